"""Scores of a map: how much of a space it keeps, beside what no map and the plainest one keep."""

from dataclasses import dataclass

import numpy as np

from vecspeak.spaces.plane import SpaceMap, make_map
from vecspeak.spaces.search import nearest, unit_rows
from vecspeak.spaces.space import Space
from vecspeak.stats import Estimate, estimate, median_estimate

_ITEMS = 1000
"""Items that are looked at, where there are more."""
_NEAR, _WIDE = 10, 50
FEWEST = 60
"""Items below which shares of the 50 nearest say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborOverlap:
    """Share of an item's 10 nearest in the space that are among its nearest on the plane, over items."""

    among_10: Estimate
    among_50: Estimate

    def __str__(self) -> str:
        return f"{self.among_10:.0%} among the 10 nearest on the plane, {self.among_50:.0%} among the 50"


@dataclass(frozen=True, slots=True, kw_only=True)
class MapStability:
    """How far a map of another seed is another map."""

    displacement: Estimate
    """Median distance of an item's two places after Procrustes, in radii of the map."""
    kept: NeighborOverlap
    """Of the 10 nearest on one plane, those among the nearest on the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapScores:
    """What a map keeps of its space."""

    items: int
    """Items that were looked at."""
    kept: NeighborOverlap
    pca: NeighborOverlap
    """By two principal directions."""
    random: NeighborOverlap
    """By places drawn at random."""
    placed: NeighborOverlap
    """Of items that are placed as new ones are, by their neighbors alone."""
    displacement: Estimate
    """Median distance between an item's place and where it would be placed as new, in radii of the map."""
    read_back: Estimate
    """Mean cosine of an item with the vector that is read back from where it would be placed as new."""
    read_back_random: Estimate
    """The same with another item."""
    stability: MapStability | None = None
    """None where no second map was made."""

    @property
    def lines(self) -> list[str]:
        """What a person should know of them."""
        found = [
            f"of an item's 10 nearest: {self.kept}",
            f"  by two principal directions: {self.pca}",
            f"  by chance: {self.random}",
            f"  of an item placed as a new one: {self.placed}",
            f"a place read back: cosine {self.read_back:.2f} with the item placed there, {self.read_back_random:.2f} "
            "with another",
        ]
        if self.stability is not None:
            found.append(
                f"another seed: moves an item by {self.stability.displacement:.2f} radii of the map (median); "
                f"{self.stability.kept}"
            )
        return found


def map_scores(found: SpaceMap, *, again: bool = False, seed: int = 0) -> MapScores | None:
    """Score a map on 1,000 of its items; None for fewer than 60. `again` makes a second one, with another seed.

    Placing counts items of the map as new: they are left out of their neighbors, and were part of the layout.
    """
    space = found.space
    if space.num_items < FEWEST:
        return None
    draw = np.random.default_rng(seed)
    rows = np.sort(draw.choice(space.num_items, min(_ITEMS, space.num_items), replace=False))
    true = nearest(space, space.vectors[rows], _NEAR, exclude=[[row] for row in rows.tolist()]).indices
    placed, own = found.place_without(rows), found.coordinates[rows]
    read = found.unplace_without(placed, rows)
    cosines = _cosines(read, space.vectors[rows]), _cosines(read, space.vectors[np.roll(rows, 1)])
    return MapScores(
        items=len(rows),
        kept=neighbor_overlap(found.coordinates, own, rows, true),
        pca=neighbor_overlap(main := _principal(space, seed), main[rows], rows, true),
        random=neighbor_overlap(drawn := draw.normal(size=(space.num_items, 2)), drawn[rows], rows, true),
        placed=neighbor_overlap(found.coordinates, placed, rows, true),
        displacement=median_estimate(np.linalg.norm(placed - own, axis=1), seed=seed),
        read_back=estimate(cosines[0], seed=seed),
        read_back_random=estimate(cosines[1], seed=seed),
        stability=stability_of(found, make_map(space, seed=found.seed + 1), rows) if again else None,
    )


def neighbor_overlap(
    places: np.ndarray, at: np.ndarray, rows: np.ndarray, true: np.ndarray
) -> NeighborOverlap:
    """Of the true neighbors [Q, 10] of rows [Q] at [Q, 2] those that are nearest there; the row itself never counts."""
    from scipy.spatial import cKDTree

    near = cKDTree(places).query(at, k=range(1, _WIDE + 2))[1]
    # the row goes to the end of its line, wherever it stands; where it is not there, the last of 51 goes
    others = np.take_along_axis(near, np.argsort(near == rows[:, None], axis=1, kind="stable"), axis=1)[
        :, :_WIDE
    ]
    hits = (others[:, :, None] == true[:, None]).any(2)
    shares = [hits[:, :count].sum(1) / true.shape[1] for count in (_NEAR, _WIDE)]
    return NeighborOverlap(among_10=estimate(shares[0]), among_50=estimate(shares[1]))


def _principal(space: Space, seed: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    return np.asarray(PCA(min(2, space.dim), random_state=seed).fit_transform(unit_rows(space.vectors)))


def stability_of(found: SpaceMap, other: SpaceMap, rows: np.ndarray) -> MapStability:
    """How far two maps of a space are apart, at some of its rows [Q], after the second is turned onto the first."""
    from scipy.linalg import orthogonal_procrustes
    from scipy.spatial import cKDTree

    turn, _ = orthogonal_procrustes(other.coordinates, found.coordinates)
    turned = other.coordinates @ turn
    near = cKDTree(turned).query(turned[rows], k=range(1, _NEAR + 2))[1]
    true = np.take_along_axis(near, np.argsort(near == rows[:, None], axis=1, kind="stable"), axis=1)[
        :, :_NEAR
    ]
    return MapStability(
        displacement=median_estimate(np.linalg.norm(turned[rows] - found.coordinates[rows], axis=1)),
        kept=neighbor_overlap(found.coordinates, found.coordinates[rows], rows, true),
    )


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    cosines: np.ndarray = np.einsum("qd,qd->q", unit_rows(first), unit_rows(second))
    return cosines
