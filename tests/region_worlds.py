"""Planted regions: four groups of items with texts, genres and years of their own, and readers for them."""

import dataclasses

import numpy as np
import pyarrow as pa

from fakes import WORDS, NearestEngine, WordEncoder
from vecspeak.asking import Asker
from vecspeak.bundles import SpaceEntry
from vecspeak.explore.regions import RegionReader
from vecspeak.model.alignment import Alignment
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import cluster_space

ENCODER = WordEncoder()
GENRES = ("Horror", "Comedy", "Space opera", "Romance")
SIZES = (60, 50, 40, 30)
GROUPS = np.repeat(np.arange(4), SIZES)
NUM = len(GROUPS)


def texts():
    """Two or three of the group's words, and one of any."""
    draw = np.random.default_rng(0)
    return [
        " ".join([*[f"{WORDS[2 * group]} {WORDS[2 * group + 1]}"] * draw.integers(1, 3), draw.choice(WORDS)])
        for group in GROUPS
    ]


def space(name="planted"):
    """Vectors are the encoder's of the texts; four in five items have their group's genre, the rest any."""
    draw = np.random.default_rng(1)
    own = [GENRES[group] if draw.random() < 0.8 else draw.choice(GENRES) for group in GROUPS]
    return Space(
        name=name,
        ids=tuple(f"i{row}" for row in range(NUM)),
        labels=tuple(f"Item {row}" for row in range(NUM)),
        vectors=ENCODER.encode(texts()),
        metadata=pa.table(
            {
                "text": texts(),
                "genres": [[str(genre), "Feature"] for genre in own],
                "year": pa.array((1950 + 10 * GROUPS + draw.integers(0, 12, NUM)).tolist()),
                "coin": draw.integers(0, 2, NUM).astype(bool),
                "split": ["held_out" if row % 10 == 0 else "train" for row in range(NUM)],
            }
        ),
        encoder=ENCODER.name,
    )


def entry(*, atlas=True, **changes):
    """The space in a bundle, with its four regions unless `atlas` is off."""
    made = SpaceEntry(
        space=space(),
        users=None,
        alignment=Alignment(dim=ENCODER.dim, encoder_dim=ENCODER.dim),
        splits={"holdout": frozenset(f"i{row}" for row in range(0, NUM, 10))},
        report={},
        concepts={},
        clusters=cluster_space(space(), "kmeans", k=4) if atlas else None,
    )
    return dataclasses.replace(made, **changes)


def reader(of, cache=None, engine=None):
    """Answers with the text of the nearest item."""
    asker = Asker(of, lambda: engine or NearestEngine(texts(), ENCODER), lambda: ENCODER)
    return RegionReader(asker, weights="fake", cache=cache)
