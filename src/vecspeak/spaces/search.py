"""Search: the best k of many items for many queries, exactly, by matrix products over blocks.

Three things make it quick without changing what comes out. Only scores above a query's k-th best so far are looked
at, and they are few after the first block; they are sorted in when many have come together. Lengths of items are
divided out where that is least work. And the few best of each query are scored again in float64, so that the scores,
and the order of equal ones, do not depend on the blocks.

Memory beside the result is less than ten times `BLOCK_BYTES` and ten times the best of `QUERY_BLOCK` queries, whatever
the numbers of queries and items.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vecspeak.errors import UserError
from vecspeak.spaces.space import Space
from vecspeak.tables.mapped import check_whole

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
class ExclusionMask:
    """Pairs of a query and a row that may not be named, ordered by row."""

    queries: np.ndarray
    """[P] int64."""
    rows: np.ndarray
    """[P] int64, ascending."""

    @classmethod
    def from_rows(cls, exclude: Sequence[Sequence[int]]) -> "ExclusionMask":
        """From the rows of each query."""
        counts = [len(rows) for rows in exclude]
        flat = [row for rows in exclude for row in rows]
        queries = np.repeat(np.arange(len(counts)), counts)
        pairs = np.unique(np.stack([np.asarray(flat, dtype=np.int64), queries], axis=1), axis=0)
        return cls(pairs[:, 1], pairs[:, 0])

    def most(self) -> int:
        """Largest number of rows of one query."""
        return int(np.bincount(self.queries).max()) if len(self.queries) else 0

    def of_queries(self, start: int, stop: int) -> "ExclusionMask":
        """Those of the queries from `start` to before `stop`, which are counted from 0 again."""
        inside = (self.queries >= start) & (self.queries < stop)
        return ExclusionMask(self.queries[inside] - start, self.rows[inside])

    def put_last(self, scores: np.ndarray, start: int) -> None:
        """Give the pairs of the rows from `start` on the score of nothing, in place."""
        part = slice(*np.searchsorted(self.rows, [start, start + scores.shape[1]]))
        scores[self.queries[part], self.rows[part] - start] = -np.inf


class TopK:
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
        # Strictly above the k-th best so far: a tie at the last place belongs to the earlier row, which is
        # there already.
        found = np.flatnonzero(scores > self.scores[:, -1:])
        if len(found) > 2 * num_queries * k:
            found = np.flatnonzero(_among_best(scores, k))
        queries, columns = np.divmod(found, scores.shape[1])
        # Finds wait until there are as many as results: one sort for many blocks instead of one for each.
        self._waiting.append((queries, columns + start, scores.ravel()[found]))
        self._num_waiting += len(found)
        if self._num_waiting >= num_queries * k:
            self.settle()

    def settle(self) -> None:
        """Sort in what waits."""
        num_queries, k = self.scores.shape
        old = (np.repeat(np.arange(num_queries), k), self.rows.ravel(), self.scores.ravel())
        queries, rows, scores = map(np.concatenate, zip(old, *self._waiting, strict=True))
        # by query, then score, then row; every query keeps its old k, so its first k exist and are the best
        order = np.lexsort((rows, -scores, queries))
        firsts = np.searchsorted(queries[order], np.arange(num_queries))
        retained = order[(firsts[:, None] + np.arange(k)).ravel()]
        self.rows, self.scores = rows[retained].reshape(-1, k), scores[retained].reshape(-1, k)
        self._waiting, self._num_waiting = [], 0


def _among_best(scores: np.ndarray, k: int) -> np.ndarray:
    """[Q, B] where the k best of each row are, of equal ones the first."""
    if scores.shape[1] <= k:
        return np.ones(scores.shape, dtype=bool)
    least = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k][:, None]
    best = scores >= least
    if np.count_nonzero(best) == k * len(scores):  # no ties at the last place, as is the rule
        return best
    # ties at the k-th place: as many of the equal ones as places are left, from the left
    above = scores > least
    free = k - above.sum(axis=1, keepdims=True, dtype=np.int32)
    equal = scores == least
    return above | equal & (equal.cumsum(axis=1, dtype=np.int32) <= free)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best of a block of queries, the best first."""

    rows: np.ndarray
    """[Q, k] int64."""
    scores: np.ndarray
    """[Q, k] float32."""


@dataclass(frozen=True, slots=True)
class ItemMatrix:
    """Vectors to search and their lengths."""

    vectors: np.ndarray
    """[N, D] float32."""
    lengths: np.ndarray
    """[N] float32 lengths of the vectors."""

    @property
    def are_plain(self) -> bool:
        """Whether products of these float32 neither overflow nor lose digits."""
        return bool(_PLAIN[0] < self.lengths.min() <= self.lengths.max() < _PLAIN[1])

    def block(self, start: int, stop: int) -> "ItemMatrix":
        """Those of the rows from `start` to before `stop`."""
        return ItemMatrix(self.vectors[start:stop], self.lengths[start:stop])


def search(
    items: ItemMatrix,
    queries: np.ndarray,
    k: int,
    metric: Metric,
    masked: ExclusionMask,
    block_rows: int | None = None,
) -> Iterator[SearchResult]:
    """The best k of each block of the [M, D] queries in turn.

    Scores are cosines, dot products or euclidean distances. `struck` must leave k items or more to every query.
    """
    for start in range(0, len(queries), QUERY_BLOCK):
        block = queries[start : start + QUERY_BLOCK]
        # Float32 picks a few more than k, float64 orders them: what comes out depends on no block size.
        masked_here = masked.of_queries(start, start + len(block))
        wanted = min(k + _SPARE, len(items.vectors) - masked_here.most())
        rows = _candidates(items, block, wanted, metric, masked_here, block_rows)
        yield _ordered(items, block, rows, k, metric)


def _candidates(
    items: ItemMatrix,
    queries: np.ndarray,
    k: int,
    metric: Metric,
    masked: ExclusionMask,
    block_rows: int | None,
) -> np.ndarray:
    """[Q, k] rows of the best by float32; by float64 where float32 cannot tell, as for small distances far out."""
    left = unit_rows(queries) if metric == "cosine" else queries
    if metric == "euclidean" or metric == "dot" and not (items.are_plain and np.abs(left).max() < _PLAIN[1]):
        left = left.astype(np.float64)
    step = block_rows or max(1, BLOCK_BYTES // (left.itemsize * max(left.shape)))
    best = TopK(len(left), k, left.dtype)
    for start in range(0, len(items.vectors), step):
        scores = _closeness(left, items.block(start, start + step), metric)
        masked.put_last(scores, start)
        best.take(scores, start)
    best.settle()
    return best.rows


def _closeness(left: np.ndarray, items: ItemMatrix, metric: Metric) -> np.ndarray:
    """[Q, B], larger is nearer: cosine, dot product, or the negative squared euclidean distance."""
    if metric == "cosine":
        return _cosines(left, items)
    right = items.vectors.astype(left.dtype, copy=False)
    scores = _products(left, right)
    if metric == "euclidean":  # -|q - x|^2 = 2 q.x - |x|^2 - |q|^2
        scores *= 2.0
        scores -= np.einsum("bd,bd->b", right, right)
        scores -= np.einsum("qd,qd->q", left, left)[:, None]
    return scores


def _products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """[Q, B]. One query is bound by memory, and BLAS's threads for each block only wait for each other."""
    if len(left) == 1:
        return np.einsum("bd,d->b", right, left[0])[None]
    return left @ right.T


def _cosines(left: np.ndarray, items: ItemMatrix) -> np.ndarray:
    """[Q, B]; the items' lengths are divided out of the items or of the scores, whichever are fewer numbers."""
    if not items.are_plain:
        return left @ unit_rows(items.vectors).T
    # [B, D] item numbers or [Q, B] scores are divided, whichever are fewer
    if len(left) > left.shape[1]:
        return left @ (items.vectors / items.lengths[:, None]).T
    scores = _products(left, items.vectors)
    scores /= items.lengths
    return scores


def _ordered(
    items: ItemMatrix, queries: np.ndarray, rows: np.ndarray, k: int, metric: Metric
) -> SearchResult:
    """The first k of the candidates [Q, K] and their scores, worked out in float64."""
    scores = np.empty(rows.shape)
    step = max(1, BLOCK_BYTES // (8 * rows.shape[1] * queries.shape[1]))
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        scores[part] = _exact(queries[part], items.vectors[rows[part]], metric)
    with np.errstate(over="ignore"):
        rounded = scores.astype(np.float32)
    order = np.lexsort((rows, rounded if metric == "euclidean" else -rounded), axis=1)[:, :k]
    return SearchResult(np.take_along_axis(rows, order, axis=1), np.take_along_axis(rounded, order, axis=1))


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
    # by the largest number first: squares of 1e30 overflow float32, and those of 1e-30 vanish
    scaled = vectors / np.abs(vectors).max(axis=-1, keepdims=True)
    return scaled / np.linalg.norm(scaled, axis=-1, keepdims=True)


__all__ = ["DataDistance", "Metric", "NeighborIndex", "nearest", "unit_rows"]

_SAMPLE, _PAIRS = (500, 5000), 10**9
"""Fewest and most items to calibrate on, and comparisons allowed: seconds on two cores."""
_DIGITS = 6
"""Of a cosine distance: what differs less is equal."""
_SAME_PLACE = 1.0 - 1e-6
"""Cosine from which a point counts as standing on an item: float32 cannot tell them apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborIndex:
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
    block_rows: int | None = None,
) -> NeighborIndex:
    """The k nearest items of each of the Q vectors [Q, D]; one vector [D] is taken as Q = 1.

    `exclude` holds for each query the rows that may not be named, such as the query's own. Fewer than k come
    back where the space has fewer. Equal scores come in the order of rows. Items are compared `block_rows`
    at a time, or as many as fit `vecspeak.spaces.search.BLOCK_BYTES`, of which the memory in use beside the result is
    a small multiple. Raises UserError for a wrong width, NaN or infinities, an unknown metric, k below 1, a query
    without a direction (all zeros) under cosine, and when every item is excluded.
    """
    queries = _checked_queries(space, vectors, metric)
    check_whole(space.vectors)
    assert exclude is None or len(exclude) == len(queries), (
        "exclude needs one collection of rows for each query"
    )
    masked = ExclusionMask.from_rows(exclude or [])
    allowed = space.num_items - masked.most()
    if k < 1 or allowed < 1:
        what = f"{k} neighbours were asked for" if k < 1 else "every item of the space is excluded"
        raise UserError(what, "ask for 1 or more, and leave at least one item")
    k = min(k, allowed)
    indices = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    done = 0
    for found in search(ItemMatrix(space.vectors, space.lengths), queries, k, metric, masked, block_rows):
        part = slice(done, done := done + len(found.rows))
        indices[part], scores[part] = found.rows, found.scores
    return NeighborIndex(indices=indices, scores=scores)


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
    def from_space(
        cls, space: Space, *, num_neighbours: int = 10, max_items: int | None = None, seed: int = 0
    ) -> "DataDistance":
        """Calibrate on the space's items, or on a sample of `max_items` of them where it has more.

        By default the sample is what bounded work allows, see `sample_size`.
        """
        max_items = sample_size(space.num_items) if max_items is None else max_items
        rows = np.arange(space.num_items)
        if space.num_items > max_items:
            rows = np.sort(np.random.default_rng(seed).choice(rows, max_items, replace=False))
        num_neighbours = max(1, min(num_neighbours, space.num_items - 1))
        reference = np.sort(_mean_distance(space, space.vectors[rows], num_neighbours))
        return cls(space=space, num_neighbours=num_neighbours, reference=reference)

    def distance(self, vectors: np.ndarray, *, exclude: Sequence[int] = ()) -> np.ndarray:
        """[Q] float32 mean cosine distances (0 to 2) of vectors [Q, D] to their nearest items.

        Rows in `exclude` are no neighbours of any vector: what points were made from would hold them near the data,
        however far they have gone.
        """
        return _mean_distance(self.space, vectors, self.num_neighbours, exclude)

    def percentile(self, vectors: np.ndarray, *, exclude: Sequence[int] = ()) -> np.ndarray:
        """[Q] floats from 0 to 100: the share of items that lie no farther from the data than these vectors.

        Near 0: in the densest part of the data. 100: farther out than every sampled item. Distances that differ by
        rounding are equal, and of several equal ones half count, so that an item among its copies lies in the middle
        of the others with copies. `exclude` as above.
        """
        reference = np.round(self.reference, _DIGITS)
        distance = np.round(self.distance(vectors, exclude=exclude), _DIGITS)
        nearer, not_farther = (np.searchsorted(reference, distance, side=side) for side in ("left", "right"))
        equal = not_farther - nearer
        return 100.0 * (nearer + (equal + (equal > 0)) / 2) / len(reference)


def sample_size(num_items: int) -> int:
    """How many items stand for all in a calibration: 5,000, fewer above 200,000 items, never fewer than 500.

    A sample of S gives a percentile p with a standard error of sqrt(p (100 - p) / S): at 99 that is 0.14 for 5,000,
    0.31 for the 1,000 of a million items, and 0.44 for 500.
    """
    return max(_SAMPLE[0], min(_SAMPLE[1], _PAIRS // num_items))


def _mean_distance(
    space: Space, vectors: np.ndarray, num_neighbours: int, exclude: Sequence[int] = ()
) -> np.ndarray:
    if exclude and space.num_items > len(set(exclude)):
        # The item that a point stands on is not counted here either: it is among those left out.
        queries = np.atleast_2d(vectors)
        found = nearest(space, queries, num_neighbours, exclude=[exclude] * len(queries))
        return np.asarray(1.0 - found.scores.mean(axis=1))
    # one neighbor more: of a point that stands on an item the first is that item, of all others the last is
    # too many
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
