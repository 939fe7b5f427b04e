"""Drift: one space at two dates. What moved, beyond the noise of having been made anew, and what came and went.

Two spaces of one origin may be turned against each other: `turning` turns the later one back where that fits better.
Knows vectors, ids and regions. Knows no reader.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vecspeak.evaluation.intervals import Estimate, estimate
from vecspeak.regions.contrast import LEVEL, contrast
from vecspeak.regions.facts import Facts
from vecspeak.regions.naming import region_names
from vecspeak.regions.region import similarities
from vecspeak.regions.turning import (
    BLOCK,
    EXACT,
    MOST_FITTED,
    MOST_JUDGED,
    Fit,
    Pair,
    Turn,
    check_spread,
    judge_turn,
)
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters, cluster_space
from vecspeak.spaces.neighbours import nearest

NEIGHBOURS = 10
_LEAST_SPREAD = 0.05
"""Of the logarithm of the residuals, where they are all alike."""
_FAR = 99.0
_LISTED = 1000
"""New and gone ids that are named."""
Change = Literal["grew", "shrank", "same", "appeared", "vanished"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An item that moved more than the noise between the two dates lets items move."""

    id: str
    label: str
    residual: float
    """Distance of its place from where the map puts it, on unit vectors."""
    times: float
    """The same over the middle residual of all."""
    q: float
    """False discovery rate at which it would just count as moved."""
    kept: float
    """Share of its 10 nearest that are among both times' nearest: shared over all of the two lists (Jaccard)."""
    before: tuple[str, ...]
    """Labels of its nearest items then."""
    after: tuple[str, ...]
    """And now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionChange:
    """A region at both dates."""

    name: str
    change: Change
    before: int
    """Items then."""
    after: int
    came: int
    """Items that are new or moved in."""
    left: int
    """Items that are gone or moved out."""
    difference: Estimate
    """Its share of all items now, minus then."""
    q: float
    """False discovery rate of that difference; 0 for what appeared or vanished, which distance tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What became of a space."""

    before: str
    after: str
    dims: tuple[int, int]
    num_shared: int
    num_new: int
    num_gone: int
    new: tuple[str, ...]
    """Ids, at most 1,000."""
    gone: tuple[str, ...]
    note: str
    """What limits the comparison; mostly empty."""
    fit: Fit
    neighbours: Estimate
    """Mean share of the 10 nearest that were kept (Jaccard), among the shared items."""
    num_moved: int
    moved: tuple[Moved, ...]
    """Those that moved most."""
    regions: tuple[RegionChange, ...]
    """Regions of then, and those that appeared; what changed comes first."""


def drift(
    before: Space, after: Space, *, regions: int | None = None, count: int = 20, seed: int = 0
) -> Drift:
    """Compare two dates of a space; `count` movers are named.

    Spaces of different widths are compared with zeros added to the narrower one. Raises UserError where fewer than 20
    ids are shared, and where these all point the same way at one of the dates.
    """
    pair = Pair.of(before, after)
    check_spread(pair)
    residuals, fit = judge_turn(pair, seed)
    rates = _rates(residuals)
    is_moved = rates < LEVEL
    order = np.lexsort((-residuals, ~is_moved))[: min(count, int(is_moved.sum()))]
    kept, moved = _neighbourhoods(pair, order, residuals, rates, seed)
    new = [item for item in after.ids if not before.has(item)]
    gone = [item for item in before.ids if not after.has(item)]
    return Drift(
        before=before.name,
        after=after.name,
        dims=(before.dim, after.dim),
        num_shared=len(pair.rows_before),
        num_new=len(new),
        num_gone=len(gone),
        new=tuple(new[:_LISTED]),
        gone=tuple(gone[:_LISTED]),
        note=_note(pair, fit),
        fit=fit,
        neighbours=kept,
        num_moved=int(is_moved.sum()),
        moved=moved,
        regions=_region_changes(pair, fit, is_moved, regions, seed),
    )


def _rates(residuals: np.ndarray) -> np.ndarray:
    """[S] false discovery rate of each residual being one of the bulk's, whose logarithms are taken for normal.

    Middle and spread are by median and median deviation, which movers do not shift while they are few.
    """
    from scipy.stats import false_discovery_control, norm

    logs = np.log(np.maximum(residuals, EXACT))
    middle = np.median(logs)
    spread = max(1.4826 * float(np.median(np.abs(logs - middle))), _LEAST_SPREAD)
    return np.asarray(false_discovery_control(norm.sf((logs - middle) / spread)))


def _note(pair: Pair, fit: Fit) -> str:
    half = len(pair.rows_before) // 2
    notes = []
    if fit.is_unrelated:
        notes.append(
            "NOTHING SHOWS THAT THESE ARE ONE SPACE AT TWO DATES: items paired at random fit about as well, so nothing "
            "below tells what moved"
        )
    if pair.widths[0] != pair.widths[1]:
        notes.append(
            f"widths {pair.widths[0]} and {pair.widths[1]}: zeros were added to the narrower one, so what the wider "
            "one holds beyond it counts as moved"
        )
    if half < max(pair.widths) and fit.is_turned:
        notes.append(
            f"each half has {half:,} shared items for {max(pair.widths):,} directions: the turn is not determined, and "
            "the misfit an upper bound, in which small moves are not seen"
        )
    return "; ".join(notes)


# --- neighbours ---


def _neighbourhoods(
    pair: Pair, movers: np.ndarray, residuals: np.ndarray, rates: np.ndarray, seed: int
) -> tuple[Estimate, tuple[Moved, ...]]:
    """The mean share of neighbours that were kept, and the movers; neighbours are shared items."""
    then = pair.before.take(pair.rows_before)
    now = pair.after.take(pair.rows_after)
    sample = np.random.default_rng(seed).permutation(len(then))[:MOST_JUDGED]
    rows = np.concatenate([movers, sample])
    lists = [
        nearest(space, space.vectors[rows], NEIGHBOURS, exclude=[[row] for row in rows.tolist()]).indices
        for space in (then, now)
    ]
    kept = np.array([_jaccard(one, other) for one, other in zip(*lists, strict=True)])
    middle = max(float(np.median(residuals)), EXACT)
    moved = tuple(
        Moved(
            id=then.ids[row],
            label=then.labels[row],
            residual=float(residuals[row]),
            times=float(residuals[row]) / middle,
            q=float(rates[row]),
            kept=float(kept[place]),
            before=tuple(then.labels[near] for near in lists[0][place][:3]),
            after=tuple(now.labels[near] for near in lists[1][place][:3]),
        )
        for place, row in enumerate(movers.tolist())
    )
    return estimate(kept[len(movers) :], seed=seed), moved


def _jaccard(one: np.ndarray, other: np.ndarray) -> float:
    both = len(np.intersect1d(one, other))
    return both / (len(one) + len(other) - both)


# --- regions ---


def _region_changes(
    pair: Pair, fit: Fit, is_moved: np.ndarray, regions: int | None, seed: int
) -> tuple[RegionChange, ...]:
    """Regions of then with their items now, and regions of now that lie where nothing was.

    An item that did not move stays in its region; movers and new items go where the map puts them.
    """
    then = _cut(pair.before, regions, seed)
    turn = _fitted(pair, fit, is_moved)
    labels = _placed(pair, then, is_moved, turn)
    vanished = _beyond(pair.reversed(), fit, then, is_moved)
    changes = list(_changes(pair, then, labels, vanished))
    now = _cut(pair.after, regions, seed)
    for number in np.flatnonzero(_beyond(pair, fit, now, is_moved)):
        rows = now.rows_of(int(number))
        known = np.isin(rows, pair.rows_after)
        changes.append(
            RegionChange(
                name=now.name(int(number)),
                change="appeared",
                before=0,
                after=len(rows),
                came=int((~known).sum() + is_moved[np.isin(pair.rows_after, rows)].sum()),
                left=0,
                difference=_difference(0, pair.before.num_items, len(rows), pair.after.num_items),
                q=0.0,
            )
        )
    ranks: tuple[Change, ...] = ("appeared", "vanished", "grew", "shrank", "same")
    return tuple(sorted(changes, key=lambda one: (ranks.index(one.change), -abs(one.difference.value))))


def _cut(space: Space, regions: int | None, seed: int) -> Clusters:
    """By k-means: every item has its region."""
    clusters = cluster_space(space, "kmeans", k=min(regions, space.num_items) if regions else None, seed=seed)
    facts = Facts.of(space)
    rows = [clusters.rows_of(number) for number in range(clusters.num_regions)]
    if len(rows) < 2:
        return clusters.named(["everything"] * len(rows))
    typical = [
        space.labels[int(of_one[similarities(space.take(of_one), center).argmax()])]
        for of_one, center in zip(rows, clusters.centroids, strict=True)
    ]
    return clusters.named(region_names([contrast(facts, of_one) for of_one in rows], typical))


def _fitted(pair: Pair, fit: Fit, is_moved: np.ndarray) -> Turn:
    """The turn by all that did not move, without a scale; none where the spaces are compared as they are."""
    if not fit.is_turned:
        return Turn.none(pair.before.dim)
    still = np.flatnonzero(~is_moved)[:MOST_FITTED]
    source, target = pair.after.vectors[pair.rows_after[still]], pair.before.vectors[pair.rows_before[still]]
    return Turn.of(source, target).rigid


def _placed(pair: Pair, then: Clusters, is_moved: np.ndarray, turn: Turn) -> np.ndarray:
    """[N] the region of then that every item of now is in."""
    labels = np.full(pair.after.num_items, -1, dtype=np.int32)
    labels[pair.rows_after] = then.labels[pair.rows_before]
    labels[pair.rows_after[is_moved]] = -1
    loose = np.flatnonzero(labels < 0)
    centers = then.centroids.astype(np.float64)
    lengths = (centers**2).sum(1)
    for start in range(0, len(loose), BLOCK):
        rows = loose[start : start + BLOCK]
        labels[rows] = (lengths - 2 * turn(pair.after.vectors[rows]) @ centers.T).argmin(1)
    return labels


def _beyond(pair: Pair, fit: Fit, now: Clusters, is_moved: np.ndarray) -> np.ndarray:
    """[K] whether most items of a region of `pair.after` lie where `pair.before` has nothing.

    That is: farther from its items than 99% of those that are shared and did not move; an item's own place of the
    other date does not count.
    """
    turn = _fitted(pair, fit, is_moved)
    own = np.full(pair.after.num_items, -1)
    own[pair.rows_after] = pair.rows_before
    still = np.zeros(pair.after.num_items, dtype=bool)
    still[pair.rows_after[~is_moved]] = True
    loose, known = np.flatnonzero(~still), np.flatnonzero(still)[:MOST_JUDGED]
    if not len(loose) or not len(known):
        return np.zeros(now.num_regions, dtype=bool)
    limit = np.percentile(_distances(pair.before, turn, pair.after, known, own), _FAR)
    far = loose[_distances(pair.before, turn, pair.after, loose, own) > limit]
    return np.bincount(now.labels[far], minlength=now.num_regions) > 0.5 * now.sizes


def _distances(data: Space, turn: Turn, space: Space, rows: np.ndarray, own: np.ndarray) -> np.ndarray:
    """[M] mean cosine distance of mapped items to their nearest in the data."""
    exclude = [[] if row < 0 else [row] for row in own[rows].tolist()]
    count = min(NEIGHBOURS, data.num_items - 1)
    found = nearest(data, turn(space.vectors[rows]).astype(np.float32), count, exclude=exclude)
    return 1.0 - found.scores.mean(1)


def _changes(pair: Pair, then: Clusters, labels: np.ndarray, vanished: np.ndarray) -> Iterator[RegionChange]:
    """Each region of then, with the rate at which its growth would count as found."""
    from scipy.stats import false_discovery_control

    sizes = then.sizes, np.bincount(labels, minlength=then.num_regions)
    totals = pair.before.num_items, pair.after.num_items
    stayed = np.bincount(
        then.labels[pair.rows_before][then.labels[pair.rows_before] == labels[pair.rows_after]],
        minlength=then.num_regions,
    )
    chances = [_chance(one, totals[0], other, totals[1]) for one, other in zip(*sizes, strict=True)]
    rates = false_discovery_control(chances)
    for number in range(then.num_regions):
        first, second = int(sizes[0][number]), int(sizes[1][number])
        difference = _difference(first, totals[0], second, totals[1])
        found: Change = "same"
        if vanished[number]:
            found = "vanished"
        elif rates[number] < LEVEL:
            found = "grew" if difference.value > 0 else "shrank"
        yield RegionChange(
            name=then.name(number),
            change=found,
            before=first,
            after=second,
            came=second - int(stayed[number]),
            left=first - int(stayed[number]),
            difference=difference,
            q=0.0 if vanished[number] else float(rates[number]),
        )


def _chance(first: int, of_first: int, second: int, of_second: int) -> float:
    """Two-sided, of two shares; cautious, as most items are the same at both dates."""
    from scipy.stats import norm

    pooled = (first + second) / (of_first + of_second)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / of_first + 1 / of_second))
    return float(2 * norm.sf(abs(second / of_second - first / of_first) / spread)) if spread > 0 else 1.0


def _difference(first: int, of_first: int, second: int, of_second: int) -> Estimate:
    one, other = first / of_first, second / of_second
    spread = 1.96 * np.sqrt(one * (1 - one) / of_first + other * (1 - other) / of_second)
    return Estimate(other - one, float(other - one - spread), float(other - one + spread))
