"""Search: the best k of many items for many queries, exactly, by matrix products over blocks.

Three things make it quick without changing what comes out. Only scores above a query's k-th best so far are looked
at, and they are few after the first block; they are sorted in when many have come together. Lengths of items are
divided out where that is least work. And the few best of each query are scored again in float64, so that the scores,
and the order of equal ones, do not depend on the blocks.

Memory beside the result is less than ten times `BLOCK_BYTES` and ten times the best of `QUERY_BLOCK` queries, whatever
the numbers of queries and items. Knows numbers only; knows nothing of spaces, labels or errors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Metric = Literal["cosine", "euclidean", "dot"]

BLOCK_BYTES = 8 << 20
"""Size of one block of scores: it stays in a processor's cache, and a product of this size is quick already."""
QUERY_BLOCK = 1024
"""Queries that go over all items together."""
_SPARE = 8
"""How many more than k are scored again: float32 may order near ones wrongly."""
_PLAIN = (1e-15, 1e15)
"""Lengths between which products of float32 neither overflow nor lose digits."""
_NO_ROW = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Struck:
    """Pairs of a query and a row that may not be named, ordered by row."""

    queries: np.ndarray
    """[P] int64."""
    rows: np.ndarray
    """[P] int64, ascending."""

    @classmethod
    def of(cls, exclude: Sequence[Sequence[int]]) -> "Struck":
        """From the rows of each query."""
        counts = [len(rows) for rows in exclude]
        flat = [row for rows in exclude for row in rows]
        queries = np.repeat(np.arange(len(counts)), counts)
        pairs = np.unique(np.stack([np.asarray(flat, dtype=np.int64), queries], axis=1), axis=0)
        return cls(pairs[:, 1], pairs[:, 0])

    def most(self) -> int:
        """Largest number of rows of one query."""
        return int(np.bincount(self.queries).max()) if len(self.queries) else 0

    def of_queries(self, start: int, stop: int) -> "Struck":
        """Those of the queries from `start` to before `stop`, which are counted from 0 again."""
        inside = (self.queries >= start) & (self.queries < stop)
        return Struck(self.queries[inside] - start, self.rows[inside])

    def put_last(self, scores: np.ndarray, start: int) -> None:
        """Give the pairs of the rows from `start` on the score of nothing, in place."""
        part = slice(*np.searchsorted(self.rows, [start, start + scores.shape[1]]))
        scores[self.queries[part], self.rows[part] - start] = -np.inf


class Best:
    """The best `k` scores of each of `num_queries` and their rows, as blocks of scores come in, in order of rows."""

    def __init__(self, num_queries: int, k: int, dtype: np.dtype) -> None:
        self.scores = np.full((num_queries, k), -np.inf, dtype=dtype)
        """[Q, k], the best first; -inf where there is none yet."""
        self.rows = np.full((num_queries, k), _NO_ROW)
        """[Q, k] int64."""
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._num_waiting = 0

    def take(self, scores: np.ndarray, start: int) -> None:
        """Take in [Q, B] scores of the rows from `start` on; larger is better, equal ones count by row."""
        num_queries, k = self.scores.shape
        found = np.flatnonzero(scores > self.scores[:, -1:])
        if len(found) > 2 * num_queries * k:
            found = np.flatnonzero(_among_best(scores, k))
        queries, columns = np.divmod(found, scores.shape[1])
        self._waiting.append((queries, columns + start, scores.ravel()[found]))
        self._num_waiting += len(found)
        if self._num_waiting >= num_queries * k:
            self.settle()

    def settle(self) -> None:
        """Sort in what waits."""
        num_queries, k = self.scores.shape
        old = (np.repeat(np.arange(num_queries), k), self.rows.ravel(), self.scores.ravel())
        queries, rows, scores = map(np.concatenate, zip(old, *self._waiting, strict=True))
        order = np.lexsort((rows, -scores, queries))
        firsts = np.searchsorted(queries[order], np.arange(num_queries))
        kept = order[(firsts[:, None] + np.arange(k)).ravel()]
        self.rows, self.scores = rows[kept].reshape(-1, k), scores[kept].reshape(-1, k)
        self._waiting, self._num_waiting = [], 0


def _among_best(scores: np.ndarray, k: int) -> np.ndarray:
    """[Q, B] where the k best of each row are, of equal ones the first."""
    if scores.shape[1] <= k:
        return np.ones(scores.shape, dtype=bool)
    least = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k][:, None]
    best = scores >= least
    if np.count_nonzero(best) == k * len(scores):  # no ties at the last place, as is the rule
        return best
    above = scores > least
    free = k - above.sum(axis=1, keepdims=True, dtype=np.int32)
    equal = scores == least
    return above | equal & (equal.cumsum(axis=1, dtype=np.int32) <= free)


@dataclass(frozen=True, slots=True)
class Found:
    """The best of a block of queries, the best first."""

    rows: np.ndarray
    """[Q, k] int64."""
    scores: np.ndarray
    """[Q, k] float32."""


@dataclass(frozen=True, slots=True)
class Items:
    """What is searched."""

    vectors: np.ndarray
    """[N, D] float32."""
    lengths: np.ndarray
    """[N] float32 lengths of the vectors."""

    @property
    def are_plain(self) -> bool:
        """Whether products of these float32 neither overflow nor lose digits."""
        return bool(_PLAIN[0] < self.lengths.min() <= self.lengths.max() < _PLAIN[1])

    def block(self, start: int, stop: int) -> "Items":
        """Those of the rows from `start` to before `stop`."""
        return Items(self.vectors[start:stop], self.lengths[start:stop])


def search(
    items: Items, queries: np.ndarray, k: int, metric: Metric, struck: Struck, block_rows: int | None = None
) -> Iterator[Found]:
    """The best k of each block of the [M, D] queries in turn.

    Scores are cosines, dot products or euclidean distances. `struck` must leave k items or more to every query.
    """
    for start in range(0, len(queries), QUERY_BLOCK):
        block = queries[start : start + QUERY_BLOCK]
        struck_here = struck.of_queries(start, start + len(block))
        wanted = min(k + _SPARE, len(items.vectors) - struck_here.most())
        rows = _candidates(items, block, wanted, metric, struck_here, block_rows)
        yield _ordered(items, block, rows, k, metric)


def _candidates(
    items: Items, queries: np.ndarray, k: int, metric: Metric, struck: Struck, block_rows: int | None
) -> np.ndarray:
    """[Q, k] rows of the best by float32; by float64 where float32 cannot tell, as for small distances far out."""
    left = unit_rows(queries) if metric == "cosine" else queries
    if metric == "euclidean" or metric == "dot" and not (items.are_plain and np.abs(left).max() < _PLAIN[1]):
        left = left.astype(np.float64)
    step = block_rows or max(1, BLOCK_BYTES // (left.itemsize * max(left.shape)))
    best = Best(len(left), k, left.dtype)
    for start in range(0, len(items.vectors), step):
        scores = _closeness(left, items.block(start, start + step), metric)
        struck.put_last(scores, start)
        best.take(scores, start)
    best.settle()
    return best.rows


def _closeness(left: np.ndarray, items: Items, metric: Metric) -> np.ndarray:
    """[Q, B], larger is nearer: cosine, dot product, or the negative squared euclidean distance."""
    if metric == "cosine":
        return _cosines(left, items)
    right = items.vectors.astype(left.dtype, copy=False)
    scores = _products(left, right)
    if metric == "euclidean":
        scores *= 2.0
        scores -= np.einsum("bd,bd->b", right, right)
        scores -= np.einsum("qd,qd->q", left, left)[:, None]
    return scores


def _products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """[Q, B]. One query is bound by memory, and BLAS's threads for each block only wait for each other."""
    if len(left) == 1:
        return np.einsum("bd,d->b", right, left[0])[None]
    return left @ right.T


def _cosines(left: np.ndarray, items: Items) -> np.ndarray:
    """[Q, B]; the items' lengths are divided out of the items or of the scores, whichever are fewer numbers."""
    if not items.are_plain:
        return left @ unit_rows(items.vectors).T
    if len(left) > left.shape[1]:
        return left @ (items.vectors / items.lengths[:, None]).T
    scores = _products(left, items.vectors)
    scores /= items.lengths
    return scores


def _ordered(items: Items, queries: np.ndarray, rows: np.ndarray, k: int, metric: Metric) -> Found:
    """The first k of the candidates [Q, K] and their scores, worked out in float64."""
    scores = np.empty(rows.shape)
    step = max(1, BLOCK_BYTES // (8 * rows.shape[1] * queries.shape[1]))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        scores[part] = _exact(queries[part], items.vectors[rows[part]], metric)
    with np.errstate(over="ignore"):
        rounded = scores.astype(np.float32)
    order = np.lexsort((rows, rounded if metric == "euclidean" else -rounded), axis=1)[:, :k]
    return Found(np.take_along_axis(rows, order, axis=1), np.take_along_axis(rounded, order, axis=1))


def _exact(queries: np.ndarray, near: np.ndarray, metric: Metric) -> np.ndarray:
    """[Q, K] scores of near items [Q, K, D], in float64."""
    wide, items = queries.astype(np.float64), near.astype(np.float64)
    if metric == "euclidean":
        return np.sqrt(((items - wide[:, None]) ** 2).sum(axis=2))
    dots = np.einsum("qd,qkd->qk", wide, items)
    if metric == "dot":
        return dots
    squares = np.einsum("qkd,qkd->qk", items, items) * np.einsum("qd,qd->q", wide, wide)[:, None]
    return dots / np.sqrt(squares)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """The rows at length 1, same type and shape; safe for very small and very large numbers.

    Rows must not be all zeros.
    """
    scaled = vectors / np.abs(vectors).max(axis=-1, keepdims=True)
    return scaled / np.linalg.norm(scaled, axis=-1, keepdims=True)
