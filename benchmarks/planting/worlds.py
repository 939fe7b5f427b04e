"""Real spaces to plant things in: movies by their plots, by the openings of their plots, and by ratings."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from parallel import encoded
from quality import movies_bundle

from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.demo.data import BEHAVIORAL, SEMANTIC
from vecspeak.encoders.text import DEFAULT_ENCODER, Encoder, load_encoder
from vecspeak.explore.contrast import Facts
from vecspeak.lexicon.readout import fit_ridge, unit_rows
from vecspeak.spaces import Space
from vecspeak.stats import auc
from vecspeak.tables.columns import TEXT_COLUMN

OPENING = 32
"""Words of a plot that its opening has: what catalogues say of an item, where a single word counts."""
UNSEEN = 1_500
"""Other items that what is said of a sample is held against."""


class Term(NamedTuple):
    """A word of the texts, in the column `text`, or a value."""

    column: str
    name: str


Row = dict[str, Any]
"""What came of one seed of a case; `figures.py` says which keys."""


@dataclass(frozen=True, kw_only=True)
class World:
    """The demo's spaces, made once in the work folder, and samples of them."""

    bundle: Bundle
    work: Path
    sample: int
    """Items that a comparison sees; of the others it is asked whether what it said holds of them."""

    @classmethod
    def make(cls, work: Path, sample: int) -> "World":
        """The demo's bundle in a folder, opened where it is there."""
        return cls(bundle=movies_bundle(work), work=work, sample=sample)

    @cached_property
    def encoder(self) -> Encoder:
        """That of the plots."""
        return load_encoder()

    def entry(self, name: str) -> SpaceEntry:
        """A space of the bundle with all that was fitted on it."""
        return self.bundle.entry(name)

    @cached_property
    def openings(self) -> Space:
        """Movies by the first words of their plots, which are their texts."""
        space = self.entry(SEMANTIC).space
        texts = [" ".join((space.text_of(item) or "").split()[:OPENING]) for item in space.ids]
        table = space.metadata.drop([TEXT_COLUMN]).append_column(TEXT_COLUMN, pa.array(texts, pa.string()))
        vectors = encoded(texts, DEFAULT_ENCODER, self.work)
        return replace(space, name="openings", vectors=vectors, metadata=table)

    def space(self, name: str) -> Space:
        """A space by its name."""
        return self.openings if name == "openings" else self.entry(name).space

    def halves(self, name: str, seed: int) -> tuple[Space, Space]:
        """A sample of a space, at most half of it, and some of the others."""
        space = self.space(name)
        order = np.random.default_rng([seed, 1]).permutation(space.num_items)
        count = min(self.sample, space.num_items // 2)
        return space.take(np.sort(order[:count])), space.take(np.sort(order[count : count + UNSEEN]))


SPACES = (SEMANTIC, BEHAVIORAL)
SHORT = {SEMANTIC: "plots", BEHAVIORAL: "ratings", "openings": "openings"}


def with_vectors(space: Space, vectors: np.ndarray, name: str = "new") -> Space:
    """The same items with other vectors [N, any width]."""
    return replace(space, name=name, vectors=np.ascontiguousarray(vectors, np.float32))


def without_texts(space: Space) -> Space:
    """The same items without what words and values are counted of: for what looks at vectors alone."""
    return space.changed(metadata=pa.table({"none": pa.nulls(space.num_items, pa.string())}))


def turned(space: Space, seed: int, *, noise: float = 0.0) -> Space:
    """Vectors turned by a random rotation, with noise of that share of their spread, in float16.

    Turned with noise is what the same training from another start gives.
    """
    draw = np.random.default_rng([seed, 2])
    axes, _ = np.linalg.qr(draw.normal(size=(space.dim, space.dim)))
    vectors = unit_rows(space.vectors).astype(np.float64) @ axes
    spread = noise * (vectors - vectors.mean(0)).std()
    made = vectors + spread * draw.normal(size=vectors.shape)
    return with_vectors(space, made.astype(np.float16))


def genres_of(space: Space) -> dict[str, np.ndarray]:
    """[N] bool by genre."""
    rows = space.metadata.column("genres").to_pylist()
    names = sorted({genre for row in rows for genre in row or ()})
    return {name: np.array([name in (row or ()) for row in rows]) for name in names}


def eraser(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[D, D]: vectors times this hold nothing that any linear map tells the labels by (LEACE, Belrose et al. 2023).

    Least change in the vectors' own spread: one direction is taken off, where the spread is whitened.
    """
    vectors = vectors.astype(np.float64)
    gap = vectors[labels].mean(0) - vectors[~labels].mean(0)
    values, axes = np.linalg.eigh(np.cov(vectors.T) + 1e-9 * np.eye(vectors.shape[1]))
    whiten, back = (axes * values**power @ axes.T for power in (-0.5, 0.5))
    along = whiten @ gap
    along /= np.linalg.norm(along)
    return np.eye(len(gap)) - whiten @ np.outer(along, along) @ back


def rewritten(world: World, space: Space, word: str) -> Space:
    """The space by an encoder that never gets the word: texts that have it are embedded again without it."""
    pattern = re.compile(rf"\b{re.escape(word)}\b", re.IGNORECASE)
    vectors = space.vectors.copy()
    texts = [space.text_of(item) or "" for item in space.ids]
    rows = [row for row, text in enumerate(texts) if pattern.search(text)]
    if rows:
        vectors[rows] = world.encoder.encode([pattern.sub("", texts[row]) for row in rows])
    return with_vectors(space, vectors)


def readable(
    space: Space, *, least: int = 15, most: int = 0, only: Collection[Term] | None = None
) -> dict[Term, float]:
    """AUC of each value and word, or of some, that enough items have: of ridge that leaves the item out.

    The same question as a comparison asks, of other items.
    """
    facts = Facts.from_space(space)
    found: dict[Term, float] = {}
    for table in (facts.values, facts.words):
        counts = table.counts(np.arange(space.num_items))
        terms = [Term(*one) for one in zip(table.columns, table.names, strict=True)]
        in_range = (counts >= least) & (counts <= (most or space.num_items - least))
        enough = [place for place in np.flatnonzero(in_range) if only is None or terms[place] in only]
        if not enough:
            continue
        has = table.matrix[:, enough].tocsr()
        scores = scores_of(space.vectors, has)
        for place, number in enumerate(enough):
            one = auc(scores[:, place], np.asarray(has[:, place].todense()).ravel() > 0)
            found[terms[number]] = float(one or 0.5)
    return found


def scores_of(vectors: np.ndarray, has: Any) -> np.ndarray:
    """[N, V] how much of each sparse label is read from each row by the fit of all others."""
    vectors = unit_rows(vectors)
    fit = fit_ridge(vectors, has)
    return np.concatenate([
        fit.left_out(vectors, has, np.arange(start, min(start + 512, len(vectors))))
        for start in range(0, len(vectors), 512)
    ])  # fmt: skip
