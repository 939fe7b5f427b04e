"""Neighbours: which items lie nearest to a vector, and how far a vector lies from the data.

Exact, by matrix products over blocks: memory beside the result does not grow with the space or the queries. Knows
vectors only; knows nothing of labels, expressions or files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from vecspeak.errors import UserError
from vecspeak.spaces.search import Items, Metric, Struck, search, unit_rows
from vecspeak.spaces.space import Space

__all__ = ["DataDistance", "Metric", "Neighbours", "nearest", "unit_rows"]

_SAMPLE, _PAIRS = (500, 5000), 10**9
"""Fewest and most items to calibrate on, and comparisons allowed: seconds on two cores."""
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
    block_rows: int | None = None,
) -> Neighbours:
    """The k nearest items of each of the Q vectors [Q, D]; one vector [D] is taken as Q = 1.

    `exclude` holds for each query the rows that may not be named, such as the query's own. Fewer than k come
    back where the space has fewer. Equal scores come in the order of rows. Items are compared `block_rows`
    at a time, or as many as fit `vecspeak.spaces.search.BLOCK_BYTES`, of which the memory in use beside the result is
    a small multiple. Raises UserError for a wrong width, NaN or infinities, an unknown metric, k below 1, a query
    without a direction (all zeros) under cosine, and when every item is excluded.
    """
    queries = _checked_queries(space, vectors, metric)
    assert exclude is None or len(exclude) == len(queries), (
        "exclude needs one collection of rows for each query"
    )
    struck = Struck.of(exclude or [])
    allowed = space.num_items - struck.most()
    if k < 1 or allowed < 1:
        what = f"{k} neighbours were asked for" if k < 1 else "every item of the space is excluded"
        raise UserError(what, "ask for 1 or more, and leave at least one item")
    k = min(k, allowed)
    indices = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    done = 0
    for found in search(Items(space.vectors, space.lengths), queries, k, metric, struck, block_rows):
        part = slice(done, done := done + len(found.rows))
        indices[part], scores[part] = found.rows, found.scores
    return Neighbours(indices=indices, scores=scores)


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

        Near 0: in the densest part of the data. 100: farther out than every sampled item. `exclude` as above.
        """
        not_farther = np.searchsorted(self.reference, self.distance(vectors, exclude=exclude), side="right")
        return 100.0 * not_farther / len(self.reference)


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
