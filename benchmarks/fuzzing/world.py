"""A small world to fuzz in: a bundle with two spaces, people, concepts, regions and words; a vector; targets.

Making it takes seconds, opening it milliseconds. Its reader's files are stand-ins: no language model takes part.
"""

import datetime
import sys
import warnings
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from fakes import WORDS, WordEncoder  # noqa: E402  (a true encoder in ten lines stands beside the tests)
from vecspeak.api import VecSpeak
from vecspeak.bundles import Bundle, Manifest, ReaderCard
from vecspeak.bundles.bundle import file_digests
from vecspeak.points.foldin import FoldIn
from vecspeak.spaces import Space
from vecspeak.spaces.io import FactorSettings
from vecspeak.storage import write_json
from vecspeak.tasks.examples import Target, TargetsOrigin, write_targets

SPACE, OTHER, DIM, NUM_ITEMS, NUM_REGIONS = "films", "words", 6, 60, 5
IDS = tuple(f"m{row}" for row in range(NUM_ITEMS))
LABELS = (
    "Film 1",
    "Film 2",
    'The "Quoted"',
    "it's",
    "Émile",
    "mid(a, b)",
    "A\\B",
    "Ünder, the sea",
    "Film 8",
    "10",
    "m3",
    "two  blanks",
    "Same",
    "Same",
    *(f"Film {row}" for row in range(14, NUM_ITEMS)),
)
USERS = ("7", "ann", "o'neil", "42")
CONCEPTS = ("scary", "recent")
COLUMNS = {
    "text": ("text", '"ghost"'),
    "genres": ("text", "Horror"),
    "title": ("text", "T3"),
    "code": ("text", "c1"),
    "label": ("text", '"Film 1"'),
    "id": ("text", "m7"),
    "year": ("number", "1970"),
    "price": ("number", "5"),
    "rank": ("number", "2.5"),
    "large": ("number", "9007199254740995"),
    "when": ("date", '"1999-01-02"'),
    "day": ("date", '"1999-03-04"'),
    "precise": ("date", '"2001-09-09"'),
    "adult": ("truth", "true"),
    "two words": ("text", "a"),
    "steps": ("number", "7"),
}
"""Columns that queries may name, what they hold, and something that is in them or near it."""


def texts() -> list[str]:
    """Five words an item."""
    draw = np.random.default_rng(0)
    return [" ".join(draw.choice(WORDS, size=5)) for _ in range(NUM_ITEMS)]


def metadata() -> pa.Table:
    """Columns of every kind that queries tell apart, with gaps in most."""
    rows, said = range(NUM_ITEMS), texts()
    return pa.table(
        {
            "text": [None if row == 5 else text for row, text in enumerate(said)],
            "genres": [
                None if row % 9 == 8 else ["Horror"] * ("ghost" in text) + ["Comedy"]
                for row, text in enumerate(said)
            ],
            "title": [f"T{row % 7}" for row in rows],
            "code": pa.array([f"c{row % 3}" for row in rows]).dictionary_encode(),
            "year": [None if row % 7 == 6 else 1950 + row for row in rows],
            "price": [float("nan") if row == 4 else row / 3 for row in rows],
            "rank": [Decimal(row) / 4 for row in rows],
            "large": [2**53 + 1 + row for row in rows],
            "when": [datetime.datetime(1990 + row % 20, 1, 2, tzinfo=datetime.UTC) for row in rows],
            "day": [None if row % 5 == 4 else datetime.date(1990 + row % 20, 3, 4) for row in rows],
            "precise": pa.array([10**18 + row for row in rows], type=pa.timestamp("ns")),
            "adult": [None if row % 6 == 5 else row % 2 == 0 for row in rows],
            "two words": ["a" if row % 2 else "b" for row in rows],
            "steps": list(rows),
            "nothing": pa.nulls(NUM_ITEMS),
        }
    )


def films() -> Space:
    """Items whose vectors are a linear image of their texts' vectors."""
    image = np.random.default_rng(1).normal(size=(WordEncoder.dim, DIM))
    vectors = (WordEncoder().encode(texts()) @ image).astype(np.float32)
    return Space(name=SPACE, ids=IDS, labels=LABELS, vectors=vectors, metadata=metadata())


def reader(folder: Path, base: str = "none") -> Bundle:
    """A bundle without spaces whose reader is a stand-in."""
    lora = folder / "reader" / "lora"
    lora.mkdir(parents=True)
    files = (
        (folder / "reader" / "adapter.safetensors"),
        lora / "adapter_model.safetensors",
        lora / "adapter_config.json",
    )
    for file in files:
        file.write_bytes(b"{}")
    card = ReaderCard(
        base_model=base,
        base_sha256="",
        encoder=WordEncoder.name,
        encoder_sha256="",
        adapter={"vector_dim": WordEncoder.dim},
        chat={},
        recipe={"targets": {"space": SPACE, "task_set": "items"}},
        data={"targets": {"task_sets": {SPACE: "movies"}}},
    )
    manifest = Manifest(name="source", reader=card, files=file_digests(folder, "reader"))
    write_json(folder / "manifest.json", manifest.to_dict())
    return Bundle(folder=folder, manifest=manifest, entries={})


def make(folder: Path) -> None:
    """Write the world into a new folder: `b.bundle`, `query.npy`, `targets/`."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(2)
    people = Space(
        name=f"{SPACE}.users",
        ids=USERS,
        labels=USERS,
        vectors=draw.normal(size=(len(USERS), DIM)).astype(np.float32),
    )
    other = Space.from_arrays(
        draw.normal(size=(30, 4)).astype(np.float32),
        labels=[f"Word {row}" for row in range(30)],
        texts=texts()[:30],
        name=OTHER,
    )
    vs = VecSpeak(reader(folder / "source"), encoder=WordEncoder(), notify=lambda note: None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vs.fit(
            films(),
            users=people,
            fold_in=FoldIn(settings=FactorSettings(alpha=10, regularization=0.05, lowest=1, highest=5)),
        )
        vs.fit(other)
        vs.concept("scary", where="genres = Horror", space=SPACE, method="mean", force=True)
        vs.concept("recent", where="year > 1980", space=SPACE, method="mean", force=True)
        vs.atlas(n_regions=NUM_REGIONS, method="kmeans", reader=False, space=SPACE)
    vs.save(folder / "b.bundle")
    np.save(folder / "query.npy", draw.normal(size=DIM).astype(np.float32))
    _write_targets(folder, vs.entry(SPACE).space, vs.entry(SPACE).held_out)


def _write_targets(folder: Path, space: Space, held_out: frozenset[str]) -> None:
    free = [item for item in IDS[:14] if item not in held_out]
    rows = [
        Target(
            task="summary",
            slots={"x": one},
            text=f"A story of {one}.",
            context="Text",
            teacher="toy",
            split="train",
        )
        for one in free
    ]
    about = TargetsOrigin(
        space=SPACE, space_digest=space.digest, task_set="items", words={}, split="train", seed=0
    )
    write_targets(folder / "targets", rows, about)
