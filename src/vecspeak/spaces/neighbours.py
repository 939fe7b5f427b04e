"""Neighbours: which items lie nearest to a vector, and how far a vector lies from the data.

Exact, by matrix products over blocks, so that memory does not grow with the square of the space. Knows
vectors only; knows nothing of labels, expressions or files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vecspeak.errors import UserError
from vecspeak.spaces.space import Space

Metric = Literal["cosine", "euclidean", "dot"]

_QUERY_BLOCK = 1024
_SAME_PLACE = 1.0 - 1e-6
"""Cosine from which a point counts as standing on an item: float32 cannot tell them apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The nearest items of Q query vectors, nearest first."""

    indices: np.ndarray
    """[Q, k] int64 rows of the space."""
    scores: np.ndarray
    """[Q, k] float32: cosine or dot product (larger is nearer), or euclidean distance (smaller is nearer)."""


def nearest(
    space: Space,
    vectors: np.ndarray,
    k: int,
    *,
    metric: Metric = "cosine",
    exclude: Sequence[Sequence[int]] | None = None,
    block_rows: int = 8192,
) -> Neighbours:
    """The k nearest items of each of the Q vectors [Q, D]; one vector [D] is taken as Q = 1.

    `exclude` holds for each query the rows that may not be named, such as the query's own. Fewer than k come
    back where the space has fewer. Equal scores come in the order of rows. Items are compared `block_rows`
    at a time. Raises UserError for a wrong width, NaN or infinities, an unknown metric, k below 1, a query
    without a direction (all zeros) under cosine, and when every item is excluded.
    """
    queries = _checked_queries(space, vectors, metric)
    excluded = _excluded_rows(exclude, len(queries))
    allowed = space.num_items - max((len(rows) for rows in excluded), default=0)
    if k < 1 or allowed < 1:
        what = f"{k} neighbours were asked for" if k < 1 else "every item of the space is excluded"
        raise UserError(what, "ask for 1 or more, and leave at least one item")
    k = min(k, allowed)
    indices = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    for start in range(0, len(queries), _QUERY_BLOCK):
        part = slice(start, start + _QUERY_BLOCK)
        indices[part], closeness = _best_of_blocks(
            space.vectors, queries[part], k, metric, excluded[part], block_rows=block_rows
        )
        scores[part] = np.sqrt(np.maximum(-closeness, 0)) if metric == "euclidean" else closeness
    return Neighbours(indices=indices, scores=scores)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """The rows at length 1, same type and shape; safe for very small and very large numbers.

    Rows must not be all zeros.
    """
    scaled = vectors / np.abs(vectors).max(axis=-1, keepdims=True)
    return scaled / np.linalg.norm(scaled, axis=-1, keepdims=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataDistance:
    """How far a point lies from a space's data, on the scale of the data itself.

    The distance of a point is its mean cosine distance to its `num_neighbours` nearest items. A point that
    stands on an item is taken for that item: the item (one of them, when several stand there) does not count
    as its own neighbour. So an item's distance is leave-one-out, here and in the calibration alike.
    """

    space: Space
    """The data."""
    num_neighbours: int
    """How many nearest items the distance is a mean over; fewer than 10 only in spaces of up to 10 items."""
    reference: np.ndarray
    """[S] float32, ascending: the distances of S sampled items."""

    @classmethod
    def of(
        cls, space: Space, *, num_neighbours: int = 10, max_items: int = 5000, seed: int = 0
    ) -> "DataDistance":
        """Calibrate on the space's items, or on a sample of `max_items` of them where it has more."""
        rows = np.arange(space.num_items)
        if space.num_items > max_items:
            rows = np.sort(np.random.default_rng(seed).choice(rows, max_items, replace=False))
        num_neighbours = max(1, min(num_neighbours, space.num_items - 1))
        reference = np.sort(_mean_distance(space, space.vectors[rows], num_neighbours))
        return cls(space=space, num_neighbours=num_neighbours, reference=reference)

    def distance(self, vectors: np.ndarray) -> np.ndarray:
        """[Q] float32 mean cosine distances (0 to 2) of vectors [Q, D] to their nearest items."""
        return _mean_distance(self.space, vectors, self.num_neighbours)

    def percentile(self, vectors: np.ndarray) -> np.ndarray:
        """[Q] floats from 0 to 100: the share of items that lie no farther from the data than these vectors.

        Near 0: in the densest part of the data. 100: farther out than every sampled item.
        """
        not_farther = np.searchsorted(self.reference, self.distance(vectors), side="right")
        return 100.0 * not_farther / len(self.reference)


def _mean_distance(space: Space, vectors: np.ndarray, num_neighbours: int) -> np.ndarray:
    scores = nearest(space, vectors, num_neighbours + 1).scores
    if scores.shape[1] > 1:
        stands_on_item = scores[:, :1] >= _SAME_PLACE
        scores = np.where(stands_on_item, scores[:, 1:], scores[:, :-1])
    return 1.0 - scores.mean(axis=1)


def _checked_queries(space: Space, vectors: np.ndarray, metric: str) -> np.ndarray:
    queries = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
    if metric not in get_args(Metric):
        raise UserError(f"unknown metric {metric!r}", f"choose one of {', '.join(get_args(Metric))}")
    if queries.ndim != 2 or queries.shape[1] != space.dim:
        raise UserError(
            f"vectors of shape {list(np.shape(vectors))} do not fit {space.name!r} of width {space.dim}",
            f"give vectors of width {space.dim}",
        )
    if not np.isfinite(queries).all():
        raise UserError("a vector holds NaN or infinite numbers", "give finite numbers")
    if metric == "cosine" and not queries.any(axis=1).all():
        raise UserError(
            "a vector of only zeros has no direction, so nothing is near it", "give a vector that is not zero"
        )
    return queries


def _excluded_rows(exclude: Sequence[Sequence[int]] | None, num_queries: int) -> list[np.ndarray]:
    if exclude is None:
        return [np.empty(0, dtype=np.int64)] * num_queries
    assert len(exclude) == num_queries, "exclude needs one collection of rows for each query"
    return [np.unique(np.asarray(rows, dtype=np.int64)) for rows in exclude]


def _best_of_blocks(
    items: np.ndarray,
    queries: np.ndarray,
    k: int,
    metric: str,
    excluded: list[np.ndarray],
    *,
    block_rows: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and closeness [Q, k] of the best, found block by block and ordered at the end."""
    rows = np.empty((len(queries), 0), dtype=np.int64)
    best = np.empty((len(queries), 0), dtype=np.float32)
    for start in range(0, len(items), block_rows):
        block = _closeness(queries, items[start : start + block_rows], metric)
        _strike_out(block, excluded, start)
        block_rows_of_space = np.broadcast_to(np.arange(start, start + block.shape[1]), block.shape)
        rows = np.concatenate([rows, block_rows_of_space], axis=1)
        best = np.concatenate([best, block], axis=1)
        if best.shape[1] > k:
            keep = np.argpartition(-best, k - 1, axis=1)[:, :k]
            rows, best = np.take_along_axis(rows, keep, axis=1), np.take_along_axis(best, keep, axis=1)
    order = np.lexsort((rows, -best), axis=1)
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(best, order, axis=1)


def _closeness(queries: np.ndarray, items: np.ndarray, metric: str) -> np.ndarray:
    """[Q, B], larger is nearer: cosine, dot product, or the negative squared euclidean distance."""
    if metric == "cosine":
        return unit_rows(queries) @ unit_rows(items).T
    if metric == "dot":
        return queries @ items.T
    wide_queries, wide_items = queries.astype(np.float64), items.astype(np.float64)
    squares = (wide_queries**2).sum(axis=1)[:, None] + (wide_items**2).sum(axis=1)[None, :]
    return 2.0 * wide_queries @ wide_items.T - squares


def _strike_out(block: np.ndarray, excluded: list[np.ndarray], start: int) -> None:
    """Put the excluded rows that fall into this block last, in place."""
    for query, rows in enumerate(excluded):
        inside = rows[(rows >= start) & (rows < start + block.shape[1])]
        block[query, inside - start] = -np.inf
