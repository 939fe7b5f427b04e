"""Geometry: how a region lies in its space, and which members stand in its middle and at its edge.

Knows vectors and the calibration of distances. Knows nothing of what the members are.
"""

from dataclasses import dataclass

import numpy as np

from vecspeak.asking import Near
from vecspeak.bundles import SpaceEntry
from vecspeak.evaluation.intervals import Estimate, estimate
from vecspeak.regions.region import Region
from vecspeak.spaces import Space
from vecspeak.spaces.neighbours import unit_rows

_JUDGED = 2000
"""Members that the spread is measured on where there are more, and of which random sets are made."""
_DRAWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where the members lie."""

    percentile: float
    """Share of the real items, in percent, that lie nearer to their neighbours than the centroid does."""
    spread: Estimate
    """Mean cosine of a member to the centroid, with its interval over members: 1 is all in one place."""
    random: Estimate
    """The same of as many items drawn at random, each to their own centroid: mean, and 95% of 100 draws."""
    typical: tuple[Near, ...]
    """The members nearest to the centroid, nearest first."""
    edge: tuple[Near, ...]
    """The members farthest from it, farthest first."""

    @property
    def is_tight(self) -> bool:
        """Whether the members lie closer together than random items do, beyond chance."""
        return self.spread.low > self.random.high


def geometry(entry: SpaceEntry, region: Region, *, count: int = 5, seed: int = 0) -> Geometry:
    """Measure a region; `count` members are named on each side."""
    space = entry.space
    centroid = region.point(space).vector
    similar = unit_rows(space.vectors[region.rows]) @ unit_rows(centroid.astype(np.float64))
    order = np.argsort(-similar, kind="stable")
    draw = np.random.default_rng(seed)
    judged = similar if len(similar) <= _JUDGED else draw.choice(similar, _JUDGED, replace=False)
    chance = np.array([_closeness(space, len(judged), draw) for _ in range(_DRAWS)])
    low, high = np.percentile(chance, [2.5, 97.5])
    return Geometry(
        percentile=float(entry.distance("items").percentile(centroid[None])[0]),
        spread=estimate(judged, seed=seed),
        random=Estimate(float(chance.mean()), float(low), float(high)),
        typical=_named(space, region.rows, similar, order[:count]),
        edge=_named(space, region.rows, similar, order[::-1][: min(count, max(len(order) - count, 0))]),
    )


def _closeness(space: Space, count: int, draw: np.random.Generator) -> float:
    """Mean cosine of random items to their own centroid."""
    rows = draw.choice(space.num_items, count, replace=False, shuffle=False)
    vectors = space.vectors[rows]
    center = vectors.mean(0)
    if not center.any():
        return 0.0
    return float((unit_rows(vectors) @ unit_rows(center)).mean())


def _named(space: Space, rows: np.ndarray, similar: np.ndarray, places: np.ndarray) -> tuple[Near, ...]:
    return tuple(
        Near(id=space.ids[rows[place]], label=space.labels[rows[place]], similarity=float(similar[place]))
        for place in places.tolist()
    )
