"""Levels: the regions of a space joined into fewer, larger groups, for a map that is looked at from afar.

The centroids' directions are joined by Ward's rule, two at a time, so that every group of a level lies in one group of
the level above it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.spaces.search import unit_rows

MOST_COARSE = 8
"""Groups of the coarsest level at most: as many as a person looks over at once."""
_FEWEST = 6
"""Regions from which on there is something to join."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Level:
    """One coarser cut: groups of regions, numbered by their items, 0 the largest. ValueError for what is none."""

    parents: np.ndarray
    """[K] int32, read-only: the group of each region."""
    names: tuple[str, ...] = ()
    """What an atlas called the groups; empty before there was one."""

    def __post_init__(self) -> None:
        given = np.asarray(self.parents)
        if given.ndim != 1 or not len(given):
            raise ValueError("a level has one group a region [K]")
        check_whole_numbers("groups of a level", given)
        # a level has no more groups than regions, whatever number stands there
        found = np.unique(given)
        if not np.array_equal(found, np.arange(len(found))):
            raise ValueError(
                f"{len(found)} groups of a level must be every number from 0 to {len(found) - 1}"
            )
        check_names(self.names, len(found), "groups")
        parents: np.ndarray = np.array(given, dtype=np.int32, order="C")
        parents.flags.writeable = False
        object.__setattr__(self, "parents", parents)

    @property
    def num_groups(self) -> int:
        """Number of groups (G)."""
        return int(self.parents.max()) + 1

    def name(self, region: int) -> str:
        """What the group of a region is called; empty where nobody named it."""
        return self.names[self.parents[region]] if self.names else ""

    def labels(self, regions: np.ndarray) -> np.ndarray:
        """[N] the group of each item, of whose regions [N] some may be -1 for none, and stay so."""
        found: np.ndarray = np.where(regions < 0, -1, self.parents[regions])
        return found


def check_whole_numbers(what: str, numbers: np.ndarray) -> None:
    """Raise ValueError for an array that is not of whole numbers: fractions would be cut."""
    if numbers.dtype.kind not in "iu":
        raise ValueError(f"{what} are whole numbers, not {numbers.dtype}")


def check_names(names: Sequence[str], count: int, of: str) -> None:
    """Raise ValueError for names that are fewer or more than what they are of, or blank; none at all is fine."""
    if names and len(names) != count:
        raise ValueError(f"{len(names)} names for {count} {of}")
    if any(not name.strip() for name in names):
        raise ValueError(f"a name of the {of} is empty")


def level_sizes(num_regions: int) -> tuple[int, ...]:
    """How many groups each coarser level has, the coarsest first: the root of the number of regions, and the middle.

    >>> level_sizes(30), level_sizes(100), level_sizes(5)
    ((5, 12), (8, 28), ())
    """
    if num_regions < _FEWEST:
        return ()
    coarse = min(MOST_COARSE, round(math.sqrt(num_regions)))
    return coarse, round(math.sqrt(num_regions * coarse))


def joined_levels(centroids: np.ndarray, sizes: np.ndarray) -> tuple[Level, ...]:
    """The coarser levels of regions with centroids [K, D] and sizes [K], the coarsest first; none for few regions.

    A level that would repeat another, because regions lie in one place, is left out.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    wanted = level_sizes(len(centroids))
    if not wanted:
        return ()
    tree = linkage(unit_rows(centroids.astype(np.float64)), "ward")
    levels: list[Level] = []
    for count in wanted:
        level = Level(parents=_by_items(fcluster(tree, count, "maxclust"), sizes))
        before = levels[-1].num_groups if levels else 1
        if before < level.num_groups < len(centroids):
            levels.append(level)
    return tuple(levels)


def _by_items(groups: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[K] groups numbered anew: the one with most items is 0, of equal ones the one whose region comes first."""
    names, firsts = np.unique(groups, return_index=True)
    items = np.array([sizes[groups == name].sum() for name in names])
    order = np.lexsort((firsts, -items))
    number = np.empty(len(names), dtype=np.int32)
    number[order] = np.arange(len(names))
    found: np.ndarray = number[np.searchsorted(names, groups)]
    return found
