"""Clusters: a space cut into regions of items that point the same way.

How many regions k-means makes where nobody says: the square root of half the items, from 2 to 40. No measure chooses
it: silhouettes are flat where spaces are wide (0.03 for 5 regions of 5,000 movies by their texts, 0.01 for 60; 0.04 for
all of these by their ratings), and more than 40 regions are no overview.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from vecspeak.errors import UserError, check_seed, check_whole
from vecspeak.spaces.levels import Level, check_names, check_whole_numbers, joined_levels
from vecspeak.spaces.search import unit_rows
from vecspeak.spaces.space import Space

Method = Literal["auto", "kmeans", "hdbscan"]
METHODS: tuple[Method, ...] = get_args(Method)

MOST_REGIONS = 40
"""As many as k-means makes by itself."""
LARGEST, LEAST_REGIONS, MOST_NOISE = 0.5, 3, 1 / 3
"""`auto` takes HDBSCAN's regions where no region is larger, they are no fewer, and no more items have none."""
LEAST_SPREAD = 0.4
"""`auto` takes them where no fewer items are in regions beside the largest.

Where density finds planted regions (adjusted Rand index 0.86 and more, 31 of 48 worlds) it is 0.43 to 0.94; in six
spaces of movies by their plots, ratings and views it is 0.04 to 0.31, and there its regions tell next to nothing of the
texts (variance explained -0.01 to 0.01).
"""
_SAMPLE, _BLOCK = 20_000, 65_536
"""Rows that regions are found on, and rows that are put into them at a time."""
_DENSITY_SAMPLE, _DENSITY_DIMS = 10_000, 15
"""Rows that HDBSCAN looks at, whose time grows with their square, and directions in which density still differs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clusters:
    """The regions of a space, numbered by size: 0 is the largest. Raises ValueError for what no regions can be."""

    labels: np.ndarray
    """[N] int32, read-only: the region of each item; -1 where it has none."""
    centroids: np.ndarray
    """[K, D] float32, read-only: the mean vector of each region's items."""
    method: str
    """What found them: "kmeans" or "hdbscan"."""
    seed: int
    """Of the method's start."""
    space_digest: str
    """Digest of the space that was cut."""
    note: str = ""
    """Why another method was taken than was tried first; mostly empty."""
    names: tuple[str, ...] = ()
    """What an atlas called the regions; empty before there was one."""
    run: str = ""
    """Digest of the atlas that they are of, which its tables hold too; empty before there was one."""
    levels: tuple[Level, ...] = ()
    """Coarser cuts, the coarsest first; none for few regions, and for what an older vecspeak cut."""

    def __post_init__(self) -> None:
        given = np.asarray(self.labels)
        check_whole_numbers("labels", given)
        labels = _frozen(given, np.int32)
        centroids = _frozen(self.centroids, np.float32)
        if labels.ndim != 1 or centroids.ndim != 2 or not len(centroids):
            raise ValueError("regions have one label an item [N] and one centroid a region [K, D]")
        if (
            not np.array_equal(np.unique(labels[labels >= 0]), np.arange(len(centroids)))
            or given.min() < -1
            or given.max() >= len(centroids)
        ):
            raise ValueError(f"labels must be -1 and every number from 0 to {len(centroids) - 1}")
        if not np.isfinite(centroids).all():
            raise ValueError("a centroid holds NaN or infinite numbers")
        check_names(self.names, len(centroids), "regions")
        for level in self.levels:
            if len(level.parents) != len(centroids):
                raise ValueError(f"a level of {len(level.parents)} regions for {len(centroids)}")
        for above, below in pairwise(self.levels):
            if len(np.unique(np.stack([above.parents, below.parents]), axis=1).T) != below.num_groups:
                raise ValueError("a group of a level lies in two groups of the level above it")
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "centroids", centroids)

    @property
    def num_regions(self) -> int:
        """Number of regions (K)."""
        return len(self.centroids)

    @property
    def sizes(self) -> np.ndarray:
        """[K] int64 items of each region."""
        return np.bincount(self.labels[self.labels >= 0], minlength=self.num_regions)

    def rows_of(self, region: int) -> np.ndarray:
        """[M] int64 rows of a region's items, ascending. Raises UserError for a number that none has."""
        return np.flatnonzero(self.labels == self._checked(region))

    def centroid(self, region: int) -> np.ndarray:
        """[D] float32 mean vector of a region's items. Raises UserError for a number that none has."""
        found: np.ndarray = self.centroids[self._checked(region)]
        return found

    def name(self, region: int) -> str:
        """What an atlas called the region; empty where none did."""
        number = self._checked(region)
        return self.names[number] if self.names else ""

    def named(self, names: Sequence[str], *levels: Sequence[str]) -> "Clusters":
        """The same regions under these names; and those of the levels' groups, the coarsest first, where given."""
        named = [replace(one, names=tuple(of)) for one, of in zip(self.levels, levels, strict=bool(levels))]
        return replace(self, names=tuple(names), levels=tuple(named) or self.levels)

    def of_run(self, run: str) -> "Clusters":
        """The same regions, as those of an atlas with this digest."""
        return replace(self, run=run)

    def _checked(self, region: int) -> int:
        if not 0 <= check_whole("cluster", region, 0) < self.num_regions:
            raise UserError(
                f"there is no region {region}; the atlas has {self.num_regions}, numbered from 0",
                f"type a number from 0 to {self.num_regions - 1}",
            )
        return region


def default_regions(num_items: int) -> int:
    """How many regions k-means makes where nobody says."""
    return max(1, min(MOST_REGIONS, max(2, round(math.sqrt(num_items / 2))), num_items))


def cluster_space(space: Space, method: Method = "auto", *, k: int | None = None, seed: int = 0) -> Clusters:
    """Cut a space into regions by direction; the same every time under a seed.

    `kmeans` puts every item into one of `k` regions. `hdbscan` (Campello et al. 2013) finds dense ones, on the first
    15 principal directions of wide vectors, and leaves items between them without one. `auto` takes `hdbscan` where
    that is no caricature, and `kmeans` otherwise, with a note; with `k` it is `kmeans`. Found on a sample where there
    are more than 20,000 items (10,000 for hdbscan); the others join the nearest. Raises UserError for an unknown
    method, an impossible `k`, and where `hdbscan` was asked for and finds nothing.
    """
    check_seed(seed)
    _check(space, method, k)
    if method == "kmeans" or k is not None or space.num_items < 4 * LEAST_REGIONS:
        return _by_means(space, k, seed, note="")
    found = _by_density(space, seed)
    complaint = _complaint(found)
    if method == "hdbscan":
        if found.max() < 0:
            raise UserError(
                f"hdbscan finds no dense region in {space.name!r}: all its items are spread alike",
                "use `method='kmeans'`",
            )
        return _clusters(space, found, "hdbscan", seed, note="")
    if complaint:
        return _by_means(space, k, seed, note=f"k-means, because hdbscan {complaint}")
    return _clusters(space, found, "hdbscan", seed, note="")


def by_direction(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    """[N] the cluster of each row, by k-means on unit vectors; the same every time."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    rows = _sampled(len(vectors), _SAMPLE, seed)
    # On one thread: several add up in an order of their own, and an item between two clusters would move.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer places than clusters: some stay empty
        model = KMeans(count, n_init=4, random_state=seed).fit(unit_rows(vectors[rows]))
        blocks = range(0, len(vectors), _BLOCK)
        parts = [model.predict(unit_rows(vectors[start : start + _BLOCK])) for start in blocks]
    return np.concatenate(parts)


def _check(space: Space, method: str, k: int | None) -> None:
    if method not in METHODS:
        raise UserError(f"unknown method {method!r}", f"choose one of {', '.join(METHODS)}")
    if k is None:
        return
    if method == "hdbscan":
        raise UserError(
            f"hdbscan finds how many regions there are, and {k} were asked for",
            f"leave the number out, or use `method='kmeans'` and `n_regions={k}`",
        )
    if not 1 <= check_whole("n_regions", k, 1) <= space.num_items:
        raise UserError(
            f"{space.num_items:,} items cannot be cut into {k} regions",
            f"use `n_regions={default_regions(space.num_items)}`",
        )


def _by_means(space: Space, k: int | None, seed: int, *, note: str) -> Clusters:
    count = default_regions(space.num_items) if k is None else k
    return _clusters(space, by_direction(space.vectors, count, seed), "kmeans", seed, note=note)


def _by_density(space: Space, seed: int) -> np.ndarray:
    """[N] HDBSCAN's labels; rows outside the sample have that of the sampled row nearest to them."""
    from sklearn.cluster import HDBSCAN
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsClassifier
    from threadpoolctl import threadpool_limits

    rows = _sampled(space.num_items, _DENSITY_SAMPLE, seed)
    sample = unit_rows(space.vectors[rows])
    if not np.ptp(sample, axis=0).any():  # one place, which has no principal directions
        return np.full(space.num_items, -1)
    dims = min(_DENSITY_DIMS, space.dim, len(rows))
    with threadpool_limits(1):
        project = PCA(dims, random_state=seed, svd_solver="randomized" if dims < space.dim else "full")
        places = project.fit_transform(sample)
        smallest = max(5, len(rows) // (4 * default_regions(space.num_items)))
        labels = HDBSCAN(min_cluster_size=smallest, min_samples=5, copy=True).fit_predict(places)
        if len(rows) == space.num_items:
            return labels
        nearest = KNeighborsClassifier(1).fit(places, labels)
        blocks = range(0, space.num_items, _BLOCK)
        parts = [project.transform(unit_rows(space.vectors[start : start + _BLOCK])) for start in blocks]
        return np.concatenate([nearest.predict(part) for part in parts])


def _complaint(labels: np.ndarray) -> str:
    """What makes HDBSCAN's answer a caricature of the space; empty when nothing does."""
    noise = float((labels < 0).mean())
    sizes = np.bincount(labels[labels >= 0], minlength=1)
    if noise > MOST_NOISE:
        return f"leaves {noise:.0%} of the items without a region"
    if len(sizes) < LEAST_REGIONS:
        return f"finds {len(sizes)} region{'s' * (len(sizes) != 1)}"
    largest = float(sizes.max() / len(labels))
    if largest > LARGEST:
        return f"puts {largest:.0%} of the items into one region"
    if 1 - largest - noise < LEAST_SPREAD:
        return f"puts {largest:.0%} of the items into one region and leaves {noise:.0%} without any"
    return ""


def _clusters(space: Space, found: np.ndarray, method: str, seed: int, *, note: str) -> Clusters:
    labels = _by_size(found)
    centroids = _means(space.vectors, labels)
    return Clusters(
        labels=labels,
        centroids=centroids,
        method=method,
        seed=seed,
        space_digest=space.digest,
        note=note,
        levels=joined_levels(centroids, np.bincount(labels[labels >= 0])),
    )


def _means(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[K, D] float32 mean of each label's rows, summed in float64."""
    from scipy.sparse import csr_matrix

    count = int(labels.max()) + 1
    sums = np.zeros((count, vectors.shape[1]))
    for start in range(0, len(vectors), _BLOCK):
        part = labels[start : start + _BLOCK]
        inside = np.flatnonzero(part >= 0)
        picks = csr_matrix((np.ones(len(inside)), (part[inside], inside)), shape=(count, len(part)))
        sums += picks @ vectors[start : start + _BLOCK]
    return (sums / np.bincount(labels[labels >= 0], minlength=count)[:, None]).astype(np.float32)


def _by_size(found: np.ndarray) -> np.ndarray:
    """[N] int32 the labels numbered anew: by size, of equal ones the one that comes first; empty ones vanish."""
    names, firsts, counts = np.unique(found[found >= 0], return_index=True, return_counts=True)
    order = np.lexsort((firsts, -counts))
    renamed = np.full(int(found.max()) + 2, -1, dtype=np.int32)
    renamed[names[order]] = np.arange(len(names))
    return renamed[found]


def _sampled(count: int, most: int, seed: int) -> np.ndarray:
    rows = np.arange(count)
    return rows if count <= most else np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _frozen(array: np.ndarray, dtype: type) -> np.ndarray:
    retained: np.ndarray = np.array(array, dtype=dtype, order="C")
    retained.flags.writeable = False
    return retained
