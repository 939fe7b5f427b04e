"""Embedding again: whether vectors are those of their texts, by the encoder that made them.

A random sample says whether the encoder gives these vectors at all, and how many of all items were made of other texts.
The items whose text fits least by a closed-form map are embedded too: where most wrong rows are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.spaces import Space
from vecspeak.spaces.search import unit_rows
from vecspeak.stats import Estimate, share

SAME = 0.98
"""Cosine from which on a vector is that of its text: rounding, other batches and int8 stay above it."""
_SAMPLE, _SUSPECTS = 60, 100
"""Texts that are embedded again, at random and of those that fit least."""
_FEWEST = 20
"""Items with texts that a sample needs."""

Encode = Callable[[Sequence[str]], np.ndarray]
"""Texts to [N, T] vectors."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reembedding:
    """Some items beside their texts, embedded again."""

    rows: np.ndarray
    """[R] int64 rows, ascending."""
    cosines: np.ndarray
    """[R] cosine of each vector with that of its text."""
    median: float
    """Of the random sample."""
    share: Estimate
    """Share of the random sample that was made of other texts, with its 95% interval (Clopper and Pearson 1934)."""

    @property
    def is_same_encoder(self) -> bool:
        """Whether the encoder gives the vectors of most items: else nothing is to be learned here."""
        return self.median >= SAME

    @property
    def differing(self) -> np.ndarray:
        """[F] int64 rows whose vector is not that of their text, farthest first."""
        found = np.flatnonzero(self.cosines < SAME)
        return self.rows[found[np.argsort(self.cosines[found], kind="stable")]]


def reembedded(
    space: Space, texts: Sequence[str], suspects: np.ndarray, encode: Encode, seed: int
) -> Reembedding | None:
    """Embed a sample and the suspects [S], worst first; texts are those of all items, blank where one has none.

    None where too few items have texts, or the encoder's vectors are narrower than the space's.
    """
    having = np.array([row for row, text in enumerate(texts) if text], np.int64)
    if len(having) < _FEWEST:
        return None
    sample = np.sort(np.random.default_rng(seed).permutation(having)[:_SAMPLE])
    rows = np.union1d(sample, suspects[:_SUSPECTS])
    made = encode([texts[row] for row in rows.tolist()])[:, : space.dim]
    if made.shape[1] < space.dim:
        return None
    cosines = np.einsum("rd,rd->r", unit_rows(made.astype(np.float64)), unit_rows(space.vectors[rows]))
    of_sample = cosines[np.isin(rows, sample)]
    differing = int((of_sample < SAME).sum())
    return Reembedding(
        rows=rows,
        cosines=cosines,
        median=float(np.median(of_sample)),
        share=share(differing, len(sample)),
    )
