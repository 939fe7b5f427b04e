"""A tiny world in which a reader truly reads: texts of two words each, their vectors, and a model trained on most."""

import dataclasses
import itertools
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from fakes import WORDS, WordEncoder
from tiny_models import base_folder, tiny_recipe
from vecspeak.bundles import Bundle, ReaderCard, SpaceEntry, load_bundle, save_bundle
from vecspeak.bundles.weights import adapter_card, save_reader
from vecspeak.model.alignment import Alignment
from vecspeak.model.pretrained import model_digest
from vecspeak.spaces import Space
from vecspeak.training.batching import make_rows
from vecspeak.training.dataset import Example
from vecspeak.training.run import fresh_reader
from vecspeak.training.trainer import Trainer, TrainingRun, single_vector_rows

ENCODER = WordEncoder()
PAIRS = [f"{one} {other}" for one, other in itertools.combinations(WORDS, 2)]
HELD_OUT = frozenset(f"p{row}" for row in range(0, 45, 5))
COLD = frozenset(f"p{row}" for row in range(2, 45, 7)) - HELD_OUT
QUESTION = "Describe {x}."


def space():
    """45 pairs of words; who made a vector is the encoder itself, so nothing is mapped."""
    return Space(
        name="pairs",
        ids=tuple(f"p{row}" for row in range(len(PAIRS))),
        labels=tuple(f"Pair {row}" for row in range(len(PAIRS))),
        vectors=ENCODER.encode(PAIRS),
        metadata=pa.table({"text": PAIRS, "tags": [text.split() for text in PAIRS]}),
        encoder=ENCODER.name,
    )


def entry(**changes):
    """The space in a bundle, with a plain split and a second one; `changes` replace fields."""
    made = SpaceEntry(
        space=space(),
        users=None,
        alignment=Alignment(dim=ENCODER.dim, encoder_dim=ENCODER.dim),
        splits={"holdout": HELD_OUT, "cold": COLD},
        report={"kind": "identity", "encoder": ENCODER.name, "items": 45},
        concepts={},
    )
    return dataclasses.replace(made, **changes)


def _train(folder):
    reader = fresh_reader(tiny_recipe(base_folder(), **_SCHEDULE), ENCODER.dim, device="cpu")
    rows = [row for row in range(45) if f"p{row}" not in HELD_OUT]
    vectors = space().vectors
    drawn = np.random.default_rng(0).permutation(np.repeat(rows, 30)).tolist()
    reader.adapter.set_statistics(torch.from_numpy(vectors[rows]))
    examples = [Example(task="describe", question=QUESTION, rows=(row,), target=PAIRS[row]) for row in drawn]
    made = make_rows(examples, reader)
    run = TrainingRun(
        reader=reader,
        recipe=tiny_recipe(base_folder(), **_SCHEDULE),
        rows=made,
        vectors=vectors,
        held_out=single_vector_rows(made[:4], vectors),
        folder=folder,
    )
    Trainer(run).train()
    return reader


_SCHEDULE = {
    "schedule": {
        "tokens_per_step": 512,
        "adapter_rate": 3e-3,
        "model_rate": 1e-2,
        "warmup_steps": 5,
        "max_hours": 1000.0,
    },
    "stages": [{"name": "adapter", "share": 0.1}, {"name": "joint", "share": 0.9}],
}


@cache
def _scratch():
    return tempfile.TemporaryDirectory(prefix="tiny-worlds-")


@cache
def trained_folder():
    """A bundle of the trained reader, made once; not to be written to."""
    folder = Path(_scratch().name) / "trained"
    (Path(_scratch().name) / "work").mkdir()
    reader = _train(Path(_scratch().name) / "work")
    _save(folder, reader)
    return folder


def _save(folder, reader):
    adapter, chat = adapter_card(reader)
    card = ReaderCard(
        base_model=str(base_folder()),
        base_sha256=model_digest(str(base_folder())),
        encoder=ENCODER.name,
        encoder_sha256="",
        adapter=adapter,
        chat=chat,
    )
    save_reader(folder, reader, name="toy", card=card)


def bundle(folder: Path, change=None) -> Bundle:
    """The trained reader and the space in a bundle of their own; `change` may spoil the adapter's tensors."""
    from safetensors.torch import load_file, save_file

    from vecspeak.bundles.contents import file_digests
    from vecspeak.storage import read_json, write_json

    made = save_bundle(folder, source=load_bundle(trained_folder()), name="toy", entries={"pairs": entry()})
    if change is None:
        return made
    path = folder / "reader" / "adapter.safetensors"
    save_file(change(load_file(path)), path)
    manifest = read_json(folder / "manifest.json")
    write_json(folder / "manifest.json", {**manifest, "files": file_digests(folder, "reader")})
    return load_bundle(folder)
