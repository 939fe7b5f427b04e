"""Cases: held-out entities with the vector that is read, the true text, and what the baselines need.

Two ways in: the held-out texts of a training recipe, and the held-out items of a bundle's space.
Knows corpora, spaces and encoders. Knows no model and computes no score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.embedders.semantic import Encodes
from vecspeak.errors import UserError
from vecspeak.spaces.neighbours import nearest
from vecspeak.tasks.corpus import Text
from vecspeak.tasks.texts import opening
from vecspeak.training.data import prepare, prepare_texts
from vecspeak.training.recipe import Recipe

_POOL = 5000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cases:
    """N held-out entities, asked one question."""

    name: str
    question: str
    labels: list[str]
    texts: list[str]
    """What is true of each."""
    targets: list[str]
    """What the loss is measured on: the text, or its opening."""
    read: np.ndarray
    """[N, T] the vectors that the reader sees."""
    truth: np.ndarray
    """[N, T] unit vectors of the true texts."""
    pool: np.ndarray
    """[P, T] unit vectors to find the right one among; the first N are the cases' own."""
    nearest_text: np.ndarray
    """[N, T] unit vectors of the text of the nearest training entity."""
    nearest_by: str
    """What nearest means here."""


def _nearest_rows(queries: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Row of the largest dot product for each query, in blocks."""
    parts = [(block @ table.T).argmax(1) for block in np.array_split(queries, max(1, len(queries) // 256))]
    return np.concatenate(parts)


def corpus_cases(
    recipe: Recipe, encoder: Encodes, folder: Path, *, plots: bool, count: int = 500, seed: int = 0
) -> Cases:
    """Held-out movie plots, or held-out texts of the other kinds in their own proportions.

    The pool is 5,000 texts of the same sort: the held-out ones, filled up with training texts.
    """
    data = prepare(recipe, encoder, folder)
    everything = prepare_texts(recipe, folder)
    order = np.random.default_rng(seed).permutation(len(everything))

    def wanted(text: Text) -> bool:
        return (text.kind == "plot") is plots and text.kind in recipe.texts

    held_out = [everything[i] for i in order if everything[i].split == "held_out" and wanted(everything[i])]
    chosen, rest = held_out[:count], held_out[count:]
    rows = [row for row, text in enumerate(data.texts) if wanted(text)]
    np.random.default_rng(seed).shuffle(rows)
    truth = encoder.encode([text.text for text in chosen], progress=True)
    others = encoder.encode([text.text for text in rest]) if plots and rest else truth[:0]
    train = np.asarray(data.vectors)
    filling = train[rows[: max(0, _POOL - len(truth) - len(others))]]
    return Cases(
        name="movie plots" if plots else "texts of other kinds",
        question="Describe the movie {x}." if plots else "Describe {x}.",
        labels=[text.title for text in chosen],
        texts=[text.text for text in chosen],
        targets=[text.target for text in chosen],
        read=truth,
        truth=truth,
        pool=np.concatenate([truth, others, filling]),
        nearest_text=train[_nearest_rows(truth, train)],
        nearest_by="cosine, among all training texts",
    )


def space_cases(
    entry: SpaceEntry,
    encoder: Encodes,
    texts: Sequence[str | None],
    *,
    question: str = "Describe {x}.",
    count: int = 500,
    seed: int = 0,
) -> Cases:
    """Held-out items of a space that have a text; the nearest training item is found in the space itself."""
    space = entry.space
    has_text = [row for row in range(space.num_items) if (texts[row] or "").strip()]
    out = [row for row in has_text if space.ids[row] in entry.held_out]
    train = [row for row in has_text if space.ids[row] not in entry.held_out]
    if len(out) < 5 or not train:
        raise UserError(
            f"the space {space.name!r} has {len(out)} held-out items with a text; at least 5 are needed",
            "fit with --text and --holdout 0.1",
        )
    chosen = np.random.default_rng(seed).permutation(out)[:count].tolist()
    rest = [row for row in has_text if row not in set(chosen)]
    vectors = encoder.encode([str(texts[row]) for row in [*chosen, *rest]], progress=True)
    place = {row: index for index, row in enumerate([*chosen, *rest])}
    found = nearest(space.take(train), space.vectors[chosen], 1).indices[:, 0]
    return Cases(
        name=space.name,
        question=question,
        labels=[space.labels[row] for row in chosen],
        texts=[str(texts[row]) for row in chosen],
        targets=[opening(str(texts[row]), 420) for row in chosen],
        read=entry.alignment(space.vectors[chosen]),
        truth=vectors[: len(chosen)],
        pool=vectors,
        nearest_text=vectors[[place[train[i]] for i in found.tolist()]],
        nearest_by="cosine in the space, among its training items",
    )
