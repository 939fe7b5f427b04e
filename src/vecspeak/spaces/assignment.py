"""Assignment: items that have no region are put to the nearest one, with how far they and the members lie from it."""

from dataclasses import dataclass

import numpy as np

from vecspeak.spaces.clusters import Clusters
from vecspeak.spaces.search import unit_rows
from vecspeak.spaces.space import Space

_BLOCK = 65_536
"""Items whose distances are worked out at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assignment:
    """The region of every item, those in none put to the nearest."""

    regions: np.ndarray
    """[N] int32 numbers of regions, none of them -1."""
    is_member: np.ndarray
    """[N] bool: whether the cut itself put the item there; else it was assigned."""
    distances: np.ndarray
    """[N] float32: 1 minus the cosine of the item and its region's centroid."""
    percentiles: np.ndarray
    """[N] float32: percent of the region's members that lie nearer to the centroid than the item."""

    @property
    def num_assigned(self) -> int:
        """Items that were in no region."""
        return int((~self.is_member).sum())


def assign(space: Space, clusters: Clusters) -> Assignment:
    """Put every item that has no region to the one whose centroid points most its way, and measure all of them."""
    centers = unit_rows(clusters.centroids.astype(np.float64))
    is_member = clusters.labels >= 0
    regions = np.array(clusters.labels)
    distances = np.empty(space.num_items, dtype=np.float32)
    for start in range(0, space.num_items, _BLOCK):
        part = slice(start, start + _BLOCK)
        similar = unit_rows(space.vectors[part]) @ centers.T
        regions[part] = np.where(is_member[part], regions[part], similar.argmax(1))
        distances[part] = 1 - similar[np.arange(len(similar)), regions[part]]
    percentiles = np.empty(space.num_items, dtype=np.float32)
    for region in range(clusters.num_regions):
        own = np.sort(distances[is_member & (regions == region)])
        inside = np.flatnonzero(regions == region)
        percentiles[inside] = 100 * np.searchsorted(own, distances[inside]) / len(own)
    return Assignment(regions=regions, is_member=is_member, distances=distances, percentiles=percentiles)
