"""Protections: forms in which vectors are handed out, from the numbers as they are to few, coarse or noisy ones.

Each takes [N, D] float32 and gives what the receiver gets, as float32. The attacker adapts: its pairs are protected
alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.spaces import Space
from vecspeak.spaces.search import nearest
from vecspeak.stats import Estimate, estimate

_QUERIES, _NEAR = 1000, 10
_NOISES = (0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Protection:
    """A form of [N, D] vectors."""

    name: str
    bytes_each: int
    """Of one vector."""
    apply: Callable[[np.ndarray, np.random.Generator], np.ndarray]
    is_secret: bool = False
    """Whether it is drawn, so that nobody else can protect another vector alike."""
    is_shared: bool = False
    """Whether one draw is for all tables of a space, as a projection is; noise is drawn for each."""

    def of_tables(self, tables: Sequence[np.ndarray], seed: Sequence[int]) -> list[np.ndarray]:
        """[N, D] vectors of several tables of one space, such as items and people."""
        seeds = [seed if self.is_shared else (*seed, number) for number in range(len(tables))]
        return [
            self.apply(table.astype(np.float32), np.random.default_rng(one))
            for table, one in zip(tables, seeds, strict=True)
        ]


def protections(dim: int) -> list[Protection]:
    """Those that make sense for vectors of this width; the first is none."""
    found = [
        Protection(name="float32", bytes_each=4 * dim, apply=lambda vectors, _: vectors),
        Protection(name="float16", bytes_each=2 * dim, apply=_float16),
        Protection(name="int8", bytes_each=dim, apply=_int8),
        Protection(name="binary (signs)", bytes_each=-(-dim // 8), apply=_signs),
    ]
    widths = [(part, dim // part) for part in (2, 4, 8) if dim // part >= 2]
    found += [
        Protection(name=f"first {width} numbers", bytes_each=4 * width, apply=_cut(width))
        for _, width in widths
    ]
    found += [
        Protection(
            name=f"random projection to {width}",
            bytes_each=4 * width,
            apply=_projected(width),
            is_secret=True,
            is_shared=True,
        )
        for _, width in widths
    ]
    found += [
        Protection(
            name=f"noise of {level:g} times the spread",
            bytes_each=4 * dim,
            apply=_noisy(level),
            is_secret=True,
        )
        for level in _NOISES
    ]
    return found


def _float16(vectors: np.ndarray, _: np.random.Generator) -> np.ndarray:
    largest = float(np.finfo(np.float16).max)
    return np.clip(vectors, -largest, largest).astype(np.float16).astype(np.float32)


def _int8(vectors: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """255 steps between the least and the greatest value of each number, as vector stores do."""
    low, high = vectors.min(0), vectors.max(0)
    step = np.where(high > low, (high - low) / 255, 1)
    return (np.rint((vectors - low) / step) * step + low).astype(np.float32)


def _signs(vectors: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return np.where(vectors > 0, np.float32(1), np.float32(-1))


def _cut(width: int) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    return lambda vectors, _: vectors[:, :width]


def _projected(width: int) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    def apply(vectors: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        directions = draw.standard_normal((vectors.shape[1], width)) / np.sqrt(width)
        return (vectors @ directions.astype(np.float32)).astype(np.float32)

    return apply


def _noisy(level: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """Gaussian noise, alike along all numbers, as long as that many times the items' spread (root mean square)."""

    def apply(vectors: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        spread = float(np.sqrt(vectors.var(0, dtype=np.float64).sum() / vectors.shape[1]))
        noise = draw.standard_normal(vectors.shape, np.float32)
        return (vectors + np.float32(level * spread) * noise).astype(np.float32)

    return apply


def neighbours(space: Space, vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[Q, 10] nearest items of some rows by [N, D] vectors that take the place of a space's, themselves left out."""
    made = Space.from_arrays(_nonzero(vectors), ids=list(space.ids), name=space.name)
    return nearest(made, made.vectors[rows], _NEAR, exclude=[[row] for row in rows.tolist()]).indices


def _nonzero(vectors: np.ndarray) -> np.ndarray:
    """Vectors of which none is all zeros: what is cut to nothing lies near nothing."""
    lost = ~vectors.any(axis=1)
    if not lost.any():
        return vectors
    vectors = vectors.copy()
    vectors[lost] = np.finfo(np.float32).tiny
    return vectors


def queries_of(space: Space, draw: np.random.Generator) -> np.ndarray:
    """[Q] items whose neighbours are compared."""
    return np.sort(draw.permutation(space.num_items)[:_QUERIES])


def share_retained(before: np.ndarray, after: np.ndarray, seed: int) -> Estimate:
    """Mean share of the ten nearest [Q, 10] that stay."""
    same = [len(np.intersect1d(*both)) / len(both[0]) for both in zip(before, after, strict=True)]
    return estimate(np.array(same), seed=seed)
