"""Plane: a map of a space: from its items to places, from any vector to a place, and from a place to a vector.

The items are laid out by t-SNE (van der Maaten and Hinton 2008; openTSNE), where who is near stays near, and how far
two groups lie apart tells little. What is placed later needs nothing of the layout but its coordinates: a vector goes
where most of its nearest items lie, and a place is read back from the items around it. So a map is [N, 2] numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vecspeak.errors import UserError, check_path, check_seed, require, shorten, shown_value
from vecspeak.foreign import write_csv
from vecspeak.spaces.clusters import Clusters
from vecspeak.spaces.search import DataDistance, ExclusionMask, ItemMatrix, nearest, search, unit_rows
from vecspeak.spaces.space import Space
from vecspeak.storage import check_target, replace_file

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

VERSION = 1
"""Goes up when the same space and seed would be laid out otherwise."""
MOST_FITTED = 200_000
"""Items that are laid out together; of more a sample is, and the others are placed beside it."""
_DIMS, _PERPLEXITY = 50, 30
"""Principal directions that t-SNE sees, and about how many neighbors it holds each item to."""
_NEAREST = 10
"""Nearest items that say where a vector goes."""
_REACH = 2.0
"""How far around the middlemost of them others count, in distances to the tenth item there."""
_AROUND = 12
"""Items around a place of which its vector is made."""
_LEAST_FACTOR = 1e-6
"""What adds less to a sum is not of what the sum is made of."""
_SAME_PLACE = 1.0 - 1e-6
"""Cosine from which a vector stands on an item."""
_EMPTY = 99.0
"""Percent of the items that have ten others nearer than a place must have one, else nothing is near it."""
_SAMPLE, _BLOCK = 5000, 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapPlace:
    """A place on a map, read back as a vector: a blend of the items around it."""

    xy: tuple[float, float]
    vector: np.ndarray
    """[D] float32; as long as the items around it are on average."""
    rows: tuple[int, ...]
    """Of the items that it was made of, the nearest on the map first."""
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    weights: tuple[float, ...]
    """How much of each, 1 in all."""
    factors: tuple[float, ...]
    """What each is multiplied by in the sum that is the vector: the weights, but for the length."""
    gap: float
    """Distance on the map to the nearest item, in typical distances of an item to its tenth nearest."""
    percentile: float
    """Share of the items, in percent, that lie no farther from the data than the vector; those that it was made of do
    not count as its neighbors."""
    note: str
    """What must be known before it is believed; empty where items are near."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SpaceMap:
    """A space on a plane. Distances on it are in units of its radius: the items' mean square distance to the middle."""

    space: Space
    coordinates: np.ndarray
    """[N, 2] float32, read-only: the place of each item; the middle is 0, 0."""
    method: str
    """What laid the items out: "tsne", or "pca" for few items."""
    seed: int
    distance: DataDistance | None = None
    """How far vectors lie from the data; worked out when it is first needed, where it is not given."""

    def __post_init__(self) -> None:
        given = np.array(self.coordinates, dtype=np.float32, order="C")
        if given.shape != (self.space.num_items, 2) or not np.isfinite(given).all():
            raise ValueError(f"a map of {self.space.num_items} items has as many finite places [N, 2]")
        given.flags.writeable = False
        object.__setattr__(self, "coordinates", given)

    def __repr__(self) -> str:
        return f"SpaceMap({self.space.name!r}, {self.space.num_items:,} items by {self.method}, seed {self.seed})"

    @property
    def bounds(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The smallest and the largest x and y of an item."""
        low, high = self.coordinates.min(0).tolist(), self.coordinates.max(0).tolist()
        return (low[0], low[1]), (high[0], high[1])

    @cached_property
    def _tree(self) -> "cKDTree":
        from scipy.spatial import cKDTree

        return cKDTree(self.coordinates)

    @cached_property
    def _spacing(self) -> np.ndarray:
        """[S] ascending: how far the tenth nearest of an item lies on the map, of a sample of them."""
        rows = np.arange(self.space.num_items)
        if len(rows) > _SAMPLE:
            rows = np.random.default_rng(0).choice(rows, _SAMPLE, replace=False)
        return np.sort(_radii(self._tree, self.coordinates[rows]))

    @cached_property
    def _distance(self) -> DataDistance:
        return self.distance or DataDistance.from_space(self.space)

    def place(self, vectors: np.ndarray, *, kind: Literal["item", "user"] = "item") -> np.ndarray:
        """[Q, 2] float32 places of vectors [Q, D]; one vector [D] is taken as Q = 1.

        A vector goes to the middlemost of its ten nearest items and those of them around it; one that stands on an item
        goes to that item's place. `kind="user"` ranks items by the dot product, as ratings do. Raises UserError for
        another width, NaN, infinities and zeros alone.
        """
        metric: Literal["dot", "cosine"] = "dot" if kind == "user" else "cosine"
        found = nearest(self.space, vectors, _NEAREST, metric=metric)
        places = _between(self._tree, self.coordinates, found.indices)
        if metric == "cosine":
            stands = found.scores[:, 0] >= _SAME_PLACE
            places[stands] = self.coordinates[found.indices[stands, 0]]
        return places

    def place_without(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """[Q, 2] where items would go if the map did not have them: each is placed by its neighbors alone."""
        without = [[int(row)] for row in rows]
        found = nearest(self.space, self.space.vectors[rows], _NEAREST, exclude=without)
        return _between(self._tree, self.coordinates, found.indices)

    def unplace(self, xy: np.ndarray | Sequence[Sequence[float]] | Sequence[float]) -> tuple[MapPlace, ...]:
        """The vector of each of Q places [Q, 2] or [2], made of the twelve items around it.

        Weights fall with the distance and end at the thirteenth item (Shepard's, as Franke and Nielson bound them), so
        that a place on an item gives the item, and nothing jumps on the way. Raises UserError for what is no place.
        """
        places = _checked_places(xy)
        rows, distances, weights = self._around(places)
        factors = self._factors(rows, weights)
        made = self._summed(rows, factors)
        return tuple(map(self._read, places, made, rows, distances[:, 0], weights, factors))

    def unplace_without(self, xy: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """[Q, D] vectors of places [Q, 2], to each of which one item [Q] adds nothing."""
        near, _, weights = self._around(_checked_places(xy), without=rows)
        return self._summed(near, self._factors(near, weights))

    def _around(
        self, places: np.ndarray, without: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[Q, K] rows of the items around places [Q, 2], their distances and weights."""
        spare = 0 if without is None else 1
        count = min(_AROUND, self.space.num_items - spare)
        distances, rows = self._tree.query(places, k=range(1, count + 2 + spare))
        if without is not None:
            # the item goes to the end of its line; where it is not in it, the last one does
            order = np.argsort(rows == without[:, None], axis=1, kind="stable")[:, :-1]
            distances, rows = (np.take_along_axis(one, order, axis=1) for one in (distances, rows))
        end = distances[:, -1:]  # infinite where there are no more items
        near, rows = distances[:, :-1], rows[:, :-1]
        least = 1e-7 * (1 + np.abs(places).max(axis=1, keepdims=True))  # float32's step: the place of an item
        fading = np.where(
            np.isinf(end), 1.0, 1.0 - near / np.maximum(np.where(np.isinf(end), 1.0, end), least)
        )
        weights = (fading / np.maximum(near, least)) ** 2
        weights[~weights.any(axis=1)] = 1.0  # thirteen items in one place
        return rows, near, weights / weights.sum(1, keepdims=True)

    def _factors(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """[Q, K] what makes sums of items [Q, K] weighted means that are as long as the items are on average."""
        vectors = self.space.vectors[rows].astype(np.float64)
        norms = np.linalg.norm(np.einsum("qk,qkd->qd", weights, vectors), axis=1)
        lengths = (weights * np.linalg.norm(vectors, axis=2)).sum(1)
        lost = norms <= 1e-6 * lengths  # opposite items cancel out: the nearest one stands for them
        found = weights * (lengths / np.where(lost, 1.0, norms))[:, None]
        found[lost] = np.eye(1, weights.shape[1])
        return found

    def _summed(self, rows: np.ndarray, factors: np.ndarray) -> np.ndarray:
        """[Q, D] float32 sums of items [Q, K]."""
        made: np.ndarray = np.einsum("qk,qkd->qd", factors, self.space.vectors[rows].astype(np.float64))
        return made.astype(np.float32)

    def _read(
        self,
        xy: np.ndarray,
        vector: np.ndarray,
        rows: np.ndarray,
        distance: float,
        weights: np.ndarray,
        factors: np.ndarray,
    ) -> MapPlace:
        typical, most = (float(np.percentile(self._spacing, share)) for share in (50.0, _EMPTY))
        gap = float(distance) / typical if typical > 0 else float(distance > 0)
        used = factors >= _LEAST_FACTOR
        made_of = rows[used].tolist()
        note = ""
        if distance > max(most, 1e-6):
            label = shorten(self.space.labels[made_of[0]])
            note = (
                f"nothing is near this place of the map: the nearest item, {label}, lies {gap:.1f} times as far as an "
                "item's tenth neighbor usually does, and the vector is made of it and others"
            )
        return MapPlace(
            xy=(float(xy[0]), float(xy[1])),
            vector=vector,
            rows=tuple(made_of),
            ids=tuple(self.space.ids[row] for row in made_of),
            labels=tuple(self.space.labels[row] for row in made_of),
            weights=tuple((weights[used] / weights[used].sum()).tolist()),
            factors=tuple(factors[used].tolist()),
            gap=gap,
            percentile=float(self._distance.percentile(vector[None], exclude=made_of)[0]),
            note=note,
        )

    def write(self, path: str | Path, clusters: Clusters | None = None) -> int:
        """Write id, label, x, y and, with `clusters`, the region of each item (-1: none) to a .csv or .parquet file.

        How many rows there are. Raises UserError for another ending, and where it cannot be written.
        """
        target = check_table(path)
        columns: dict[str, Any] = {
            "id": self.space.ids,
            "label": self.space.labels,
            "x": self.coordinates[:, 0],
            "y": self.coordinates[:, 1],
        }
        if clusters is not None:
            columns["region"] = clusters.labels
        with replace_file(target) as temporary:
            if target.suffix.casefold() == ".csv":
                return write_csv(temporary, _csv_rows(columns))
            _write_parquet(temporary, columns)
        return self.space.num_items


def check_table(path: str | Path) -> Path:
    """The path of a table to be written. Raises UserError where it is none, or cannot be written."""
    target = check_path("path", path)
    if target.suffix.casefold() not in (".csv", ".parquet"):
        raise UserError(f"{target} ends neither in .csv nor in .parquet", "name a file that does")
    check_target(target)
    return target


def _csv_rows(columns: dict[str, Any]) -> Iterator[list[object]]:
    yield list(columns)
    lists = [one.tolist() if isinstance(one, np.ndarray) else one for one in columns.values()]
    yield from ([*row] for row in zip(*lists, strict=True))


def _write_parquet(path: Path, columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table({k: pa.array(v if isinstance(v, np.ndarray) else list(v)) for k, v in columns.items()}), path
    )


def make_map(space: Space, *, seed: int = 0, distance: DataDistance | None = None) -> SpaceMap:
    """Lay a space out: the same every time under a seed. Half a minute for 5,000 items of one core, see docs/maps.md.

    Two principal directions stand in where there are fewer than 90 items. Raises UserError where openTSNE is missing.
    """
    check_seed(seed)
    rows = np.arange(space.num_items)
    if len(rows) > MOST_FITTED:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_FITTED, replace=False))
    fitted, method = _layout(unit_rows(space.vectors[rows]), seed)
    places = scaled(fitted)
    if len(rows) < space.num_items:
        places = _with_others(space, rows, places)
    return SpaceMap(space=space, coordinates=places, method=method, seed=seed, distance=distance)


def _layout(vectors: np.ndarray, seed: int) -> tuple[np.ndarray, str]:
    """[M, 2] places of unit vectors, and what found them."""
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    # On one thread: several add up in an order of their own, and the same seed would give another map.
    with threadpool_limits(1):
        if not np.ptp(vectors, axis=0).any():
            return np.zeros((len(vectors), 2)), "pca"
        main = PCA(min(_DIMS, *vectors.shape), random_state=seed).fit_transform(vectors)
        if len(main) < 3 * _PERPLEXITY or main.shape[1] < 2:
            return np.hstack([main, np.zeros((len(main), 2))])[:, :2], "pca"
        openTSNE = require("openTSNE", "map")  # noqa: N806
        found = openTSNE.TSNE(
            perplexity=_PERPLEXITY,
            initialization="pca",
            neighbors="exact" if len(main) < _SAMPLE else "annoy",
            random_state=seed,
            n_jobs=1,
        ).fit(main)
        return np.asarray(found, dtype=np.float64), "tsne"


def scaled(places: np.ndarray) -> np.ndarray:
    """Around 0, 0, with a root mean square distance of 1 to it."""
    centered = places - places.mean(0)
    radius = float(np.sqrt((centered**2).sum(1).mean()))
    return (centered / radius if radius > 0 else centered).astype(np.float32)


def _with_others(space: Space, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[N, 2] the places of the rows, and of all others by their nearest ones among these."""
    from scipy.spatial import cKDTree

    tree, every = cKDTree(places), np.empty((space.num_items, 2), dtype=np.float32)
    every[rows] = places
    others = np.setdiff1d(np.arange(space.num_items), rows)
    items = ItemMatrix(space.vectors[rows], space.lengths[rows])
    none = ExclusionMask(np.zeros(0, np.int64), np.zeros(0, np.int64))
    for start in range(0, len(others), _BLOCK):
        part = others[start : start + _BLOCK]
        found = search(items, space.vectors[part], min(_NEAREST, len(rows)), "cosine", none)
        near = np.concatenate([one.rows for one in found])
        every[part] = _between(tree, places, near)
    return every


def _between(tree: "cKDTree", coordinates: np.ndarray, near: np.ndarray) -> np.ndarray:
    """[Q, 2] the middlemost of the places of each row of near items [Q, K], evened out with those around it.

    The mean of all would lie between groups, where nothing is: where the nearest lie apart, most of them decide.
    """
    places = coordinates[near].astype(np.float64)
    apart = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)  # [Q, K, K]
    middlemost, every = apart.sum(2).argmin(1), np.arange(len(near))
    reach = _REACH * _radii(tree, places[every, middlemost])
    distances = apart[every, middlemost]  # [Q, K]
    weights = np.exp(-((distances / np.maximum(reach, 1e-9)[:, None]) ** 2))
    found = (weights[:, :, None] * places).sum(1) / weights.sum(1, keepdims=True)
    return found.astype(np.float32)


def _radii(tree: "cKDTree", places: np.ndarray) -> np.ndarray:
    """[Q] distance of places of items to their tenth nearest other item; to the farthest of fewer."""
    found = tree.query(places, k=[min(_NEAREST + 1, tree.n)])[0]
    radii: np.ndarray = found[:, 0]
    return radii


def _checked_places(xy: Any) -> np.ndarray:
    try:
        places = np.atleast_2d(np.asarray(xy, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"a place is two numbers, got {shown_value(xy)}", "give [x, y] or [[x, y], ...]"
        ) from error
    if places.ndim != 2 or places.shape[1] != 2:
        raise UserError(f"places of shape {list(places.shape)} are none", "give [x, y] or [[x, y], ...]")
    if not (np.abs(places) < 1e6).all():
        raise UserError(
            "a place holds NaN, or numbers beyond 1,000,000", "give places on the map, whose radius is 1"
        )
    return places
