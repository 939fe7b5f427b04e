"""Drift: one space at two dates. What moved, beyond the noise of having been made anew, and what came and went.

Two spaces of one origin may be turned against each other: `turning` turns the later one back where that fits better.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from markupsafe import Markup

from vecspeak.display import bullets, element, table
from vecspeak.errors import UserError, check_seed, check_whole
from vecspeak.explore.contrast import LEVEL
from vecspeak.explore.names import name_regions
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters, cluster_space
from vecspeak.spaces.search import nearest, unit_rows
from vecspeak.stats import Estimate, estimate
from vecspeak.tables.convert import own

FEWEST = 20
"""Shared items that an alignment needs."""
EXACT = 1e-5
"""Residuals below this are rounding errors."""
BLOCK = 65_536
"""Items that are mapped at a time."""
MOST_FITTED, MOST_JUDGED = 20_000, 2000
"""Items that a map is fitted on, and that intervals and neighbours are of."""
_STILL = 1e-3
"""Of a vector's length: so far items may lie off by rounding and by the fit of the turn, and have not moved."""
_TRIMMED = 0.8
"""Share of the items that the second fit is on: those that the first leaves nearest, so that movers do not turn it."""
_ANCHOR = 1e-3
"""Length of the axes that are paired with themselves: directions that the items do not tell stay as they are."""
_UNRELATED = 0.95
"""Of the misfit of items paired at random: above it the two spaces are not shown to be related."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceFit:
    """How well the later space is the earlier one, turned or as it is; all on items that no map was fitted on."""

    is_turned: bool
    """Whether the vectors are compared after a turn: where they fit no worse as they are, they stay so."""
    unexplained: Estimate
    """Share of the earlier vectors' variance that the later ones, turned or not, miss."""
    turned: float
    """The same with the turn: 0 is a mere turn."""
    unturned: float
    """The same without a turn: what the two share as they are."""
    shuffled: float
    """The same with a map fitted on items paired at random: what no relation looks like, about 1 or more."""
    scale: float
    """By which the centred later vectors are multiplied; below 1 where they are noisy copies."""
    lengths: float
    """Median length of a shared item's vector, later over earlier: directions are compared without it."""

    @property
    def is_unrelated(self) -> bool:
        """Whether nothing shows that the two are one space: items paired at random fit about as well."""
        return self.unexplained.high >= _UNRELATED * self.shuffled


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpacePair:
    """Two spaces of one width at length 1, and the rows [S] of the shared items in both."""

    before: Space
    after: Space
    rows_before: np.ndarray
    rows_after: np.ndarray
    lengths: float
    widths: tuple[int, int]

    @classmethod
    def from_spaces(cls, before: Space, after: Space) -> "SpacePair":
        """By the ids that both have. Raises UserError where they share fewer than 20."""
        shared = [item for item in before.ids if after.has(item)]
        if len(shared) < FEWEST:
            raise UserError(
                f"{before.name!r} and {after.name!r} share {len(shared)} ids, and an alignment needs {FEWEST}",
                "give two dates of one space, under the same ids",
            )
        rows = [np.array([space.index_of(item) for item in shared]) for space in (before, after)]
        width = max(before.dim, after.dim)
        ratio = np.median(after.lengths[rows[1]] / before.lengths[rows[0]])
        return cls(
            before=_widened(before, width),
            after=_widened(after, width),
            rows_before=rows[0],
            rows_after=rows[1],
            lengths=float(ratio),
            widths=(before.dim, after.dim),
        )

    def reversed(self) -> "SpacePair":
        """The same with the dates exchanged."""
        return dataclasses.replace(
            self,
            before=self.after,
            after=self.before,
            rows_before=self.rows_after,
            rows_after=self.rows_before,
        )


def check_spread(pair: SpacePair) -> None:
    """A space that is one direction has no variance to explain and nothing to turn."""
    for space, rows in ((pair.before, pair.rows_before), (pair.after, pair.rows_after)):
        if np.ptp(space.vectors[rows], axis=0).max() < EXACT:
            raise UserError(
                f"the {len(rows):,} shared items of {space.name!r} all point the same way, so nothing can be compared",
                "see how its vectors were made",
            )


def _widened(space: Space, width: int) -> Space:
    vectors = np.zeros((space.num_items, width), dtype=np.float32)
    for start in range(0, space.num_items, BLOCK):
        vectors[start : start + BLOCK, : space.dim] = unit_rows(space.vectors[start : start + BLOCK])
    return dataclasses.replace(space, vectors=own(vectors))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrthogonalMap:
    """`scale * (v - source) @ matrix + target`."""

    source: np.ndarray
    target: np.ndarray
    matrix: np.ndarray
    scale: float

    @classmethod
    def fit(cls, source: np.ndarray, target: np.ndarray) -> "OrthogonalMap":
        """Fit on paired rows [M, D], then again without the fifth that fits worst, where enough rows are left."""
        first = cls._once(source, target)
        if _TRIMMED * len(source) <= source.shape[1]:
            return first  # fewer would no longer tell all directions
        residuals = first.residuals(source, target)
        retained = residuals <= np.quantile(residuals, _TRIMMED)
        return cls._once(source[retained], target[retained])

    @classmethod
    def _once(cls, source: np.ndarray, target: np.ndarray) -> "OrthogonalMap":
        from scipy.linalg import orthogonal_procrustes

        # Orthogonal Procrustes (Schoenemann 1966): the rotation R that minimizes |S R - T| is U V' of the SVD
        # of S'T, and the sum of its singular values over |S|^2 the best scale.
        source, target = source.astype(np.float64), target.astype(np.float64)
        centers = source.mean(0), target.mean(0)
        anchor = _ANCHOR * np.eye(source.shape[1])
        # Rows that pair each axis with itself, too short to turn what the items determine: directions in
        # which all items are alike would else be turned by rounding errors.
        matrix, total = orthogonal_procrustes(
            np.vstack([source - centers[0], anchor]), np.vstack([target - centers[1], anchor])
        )
        size = float(((source - centers[0]) ** 2).sum())
        return cls(
            source=centers[0],
            target=centers[1],
            matrix=matrix,
            scale=float(total) / size if size > 0 else 1.0,
        )

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """[M, D] in the frame of the target."""
        found: np.ndarray = self.scale * (vectors - self.source) @ self.matrix + self.target
        return found

    def residuals(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """[M] distances of the mapped source from the target."""
        blocks = range(0, len(source), BLOCK)
        parts = [
            np.linalg.norm(self(source[start : start + BLOCK]) - target[start : start + BLOCK], axis=1)
            for start in blocks
        ]
        return np.concatenate(parts)

    @property
    def rigid(self) -> "OrthogonalMap":
        """The turn without its scale, which would draw everything to the middle."""
        return dataclasses.replace(self, scale=1.0)

    @classmethod
    def none(cls, width: int) -> "OrthogonalMap":
        """What leaves vectors as they are."""
        return cls(source=np.zeros(width), target=np.zeros(width), matrix=np.eye(width), scale=1.0)


def fit_orthogonal_map(pair: SpacePair, seed: int) -> tuple[np.ndarray, SpaceFit]:
    """[S] residual of every shared item by the map of the half it is not in, or by none, and how well that fits."""
    target = pair.before.vectors[pair.rows_before]
    source = pair.after.vectors[pair.rows_after]
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(target))
    mixed = source[draw.permutation(len(source))]
    # Cross-fitting: each half is judged by the map of the other, so that a map with D^2 freedoms cannot
    # explain noise. "shuffled" does the same with items paired at random, which is what no relation looks
    # like.
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    found = {name: np.empty(len(order)) for name in ("turned", "unturned", "shuffled", "whole")}
    scales = []
    for fitted, judged in (halves, halves[::-1]):
        some = fitted[:MOST_FITTED]
        turn = OrthogonalMap.fit(source[some], target[some])
        chance = OrthogonalMap.fit(mixed[some], target[some])
        scales.append(turn.scale)
        found["turned"][judged] = turn.residuals(source[judged], target[judged])
        found["unturned"][judged] = OrthogonalMap.none(source.shape[1]).residuals(
            source[judged], target[judged]
        )
        found["shuffled"][judged] = chance.residuals(mixed[judged], target[judged])
        found["whole"][judged] = np.linalg.norm(target[judged] - turn.target, axis=1)
    squares = {name: values**2 for name, values in found.items()}
    whole = float(squares["whole"].sum()) or 1.0
    missed = {name: float(values.sum()) / whole for name, values in squares.items()}
    # where most vectors are the very ones that they were, nothing was turned, whatever movers make of a fit
    is_same = float(np.median(found["unturned"])) < EXACT
    is_turned = missed["turned"] < missed["unturned"] and not is_same
    used = "turned" if is_turned else "unturned"
    some = order[:MOST_JUDGED]
    shares = squares[used][some] / np.maximum(squares["whole"][some], 1e-12)
    return found[used], SpaceFit(
        is_turned=is_turned,
        unexplained=dataclasses.replace(
            estimate(shares, squares["whole"][some], seed=seed), value=missed[used]
        ),
        turned=missed["turned"],
        unturned=missed["unturned"],
        shuffled=missed["shuffled"],
        scale=float(np.mean(scales)),
        lengths=pair.lengths,
    )


NEIGHBOURS = 10
_LEAST_SPREAD = 0.05
"""Of the logarithm of the residuals, where they are all alike."""
_FAR = 99.0
_LISTED = 1000
"""New and gone ids that are named."""
Change = Literal["grew", "shrank", "same", "appeared", "vanished"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedItem:
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

    how_to_read: ClassVar[str] = (
        "The later space is turned onto the earlier by the items of both, unless it fits as well as it is. Items that "
        "moved lie farther from their old place than the others' spread explains, at a false discovery rate of 5%; "
        "regions changed where their share of all items did."
    )

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
    fit: SpaceFit
    neighbours: Estimate
    """Mean share of the 10 nearest that were kept (Jaccard), among the shared items."""
    num_moved: int
    moved: tuple[MovedItem, ...]
    """Those that moved most."""
    regions: tuple[RegionChange, ...]
    """Regions of then, and those that appeared; what changed comes first."""

    def __repr__(self) -> str:
        return (
            f"Drift({self.before!r} to {self.after!r}, {self.num_moved:,} of {self.num_shared:,} items moved)"
        )

    @property
    def _head(self) -> list[str]:
        return [
            f"{self.before} to {self.after}: {self.num_shared:,} items in both, {self.num_new:,} new, "
            f"{self.num_gone:,} gone; {self.num_moved:,} moved beyond the noise",
            f"10 nearest items shared: {self.neighbours.value:.2f} "
            f"[{self.neighbours.low:.2f}, {self.neighbours.high:.2f}] (Jaccard)",
            *filter(None, [self.note]),
        ]

    def __str__(self) -> str:
        """What moved, what is new and gone, and a line for each item that moved most."""
        moved = (
            f"  {one.label}: near {', '.join(one.before)}; now {', '.join(one.after)}" for one in self.moved
        )
        return "\n".join([*self._head, *moved])

    def _repr_html_(self) -> Markup:
        """How many moved, regions that changed, and the items that moved most with their neighbours then and now."""
        regions = [
            [one.name, one.change, one.before, one.after, f"{one.difference.value:+.1%}"]
            for one in self.regions
            if one.change != "same"
        ]
        moved = [
            [one.label, f"{one.times:.1f}", ", ".join(one.before), ", ".join(one.after)] for one in self.moved
        ]
        return element(
            "div",
            bullets(self._head),
            table(["region", "", "items then", "now", "share"], regions) if regions else "",
            table(["moved", "times the usual", "near then", "near now"], moved) if moved else "",
        )

    @property
    def heading(self) -> str:
        """What was asked."""
        return f"{self.before} to {self.after}"


def drift(
    before: Space, after: Space, *, regions: int | None = None, count: int = 20, seed: int = 0
) -> Drift:
    """Compare two dates of a space; `count` movers are named.

    Spaces of different widths are compared with zeros added to the narrower one. Raises UserError where fewer than 20
    ids are shared, and where these all point the same way at one of the dates.
    """
    check_seed(seed)
    check_whole("count", count, 0)
    if regions is not None:
        check_whole("regions", regions, 1)
    pair = SpacePair.from_spaces(before, after)
    check_spread(pair)
    residuals, fit = fit_orthogonal_map(pair, seed)
    rates = moved_rates(residuals)
    is_moved = rates < LEVEL
    order = np.lexsort((-residuals, ~is_moved))[: min(count, int(is_moved.sum()))]
    retained, moved = _neighbourhoods(pair, order, residuals, rates, seed)
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
        neighbours=retained,
        num_moved=int(is_moved.sum()),
        moved=moved,
        regions=_region_changes(pair, fit, is_moved, regions, seed),
    )


def moved_rates(residuals: np.ndarray) -> np.ndarray:
    """[S] false discovery rate of each residual being one of the bulk's, whose logarithms are taken for normal.

    Middle and spread are by median and median deviation, which movers do not shift while they are few.
    """
    from scipy.stats import false_discovery_control, norm

    # Most items only jitter, so the bulk gives the noise: log-normal, with median and MAD (times 1.4826, an
    # sd for a normal) as movers pull them little. Benjamini-Hochberg then bounds the share of false movers.
    logs = np.log(np.maximum(residuals, _STILL))
    middle = np.median(logs)
    spread = max(1.4826 * float(np.median(np.abs(logs - middle))), _LEAST_SPREAD)
    return np.asarray(false_discovery_control(norm.sf((logs - middle) / spread)))


def _note(pair: SpacePair, fit: SpaceFit) -> str:
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
    pair: SpacePair, movers: np.ndarray, residuals: np.ndarray, rates: np.ndarray, seed: int
) -> tuple[Estimate, tuple[MovedItem, ...]]:
    """The mean share of neighbours that were kept, and the movers; neighbours are shared items."""
    then = pair.before.take(pair.rows_before)
    now = pair.after.take(pair.rows_after)
    sample = np.random.default_rng(seed).permutation(len(then))[:MOST_JUDGED]
    rows = np.concatenate([movers, sample])
    lists = [
        nearest(space, space.vectors[rows], NEIGHBOURS, exclude=[[row] for row in rows.tolist()]).indices
        for space in (then, now)
    ]
    retained = np.array([_jaccard(one, other) for one, other in zip(*lists, strict=True)])
    middle = max(float(np.median(residuals)), _STILL)
    moved = tuple(
        MovedItem(
            id=then.ids[row],
            label=then.labels[row],
            residual=float(residuals[row]),
            times=float(residuals[row]) / middle,
            q=float(rates[row]),
            kept=float(retained[place]),
            before=tuple(then.labels[near] for near in lists[0][place][:3]),
            after=tuple(now.labels[near] for near in lists[1][place][:3]),
        )
        for place, row in enumerate(movers.tolist())
    )
    return estimate(retained[len(movers) :], seed=seed), moved


def _jaccard(one: np.ndarray, other: np.ndarray) -> float:
    both = len(np.intersect1d(one, other))
    return both / (len(one) + len(other) - both)


# --- regions ---


def _region_changes(
    pair: SpacePair, fit: SpaceFit, is_moved: np.ndarray, regions: int | None, seed: int
) -> tuple[RegionChange, ...]:
    """Regions of then with their items now, and regions of now that lie where nothing was.

    An item that did not move stays in its region; movers and new items go where the map puts them.
    """
    then = named_regions(pair.before, regions, seed)
    turn = _fitted(pair, fit, is_moved)
    labels = _placed(pair, then, is_moved, turn)
    vanished = _beyond(pair.reversed(), fit, then, is_moved)
    changes = list(_changes(pair, then, labels, vanished))
    now = named_regions(pair.after, regions, seed)
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


def named_regions(space: Space, regions: int | None, seed: int) -> Clusters:
    """Regions by k-means, so that every item has one, named by what their items share."""
    clusters = cluster_space(space, "kmeans", k=min(regions, space.num_items) if regions else None, seed=seed)
    return name_regions(space, clusters).on(clusters)


def _fitted(pair: SpacePair, fit: SpaceFit, is_moved: np.ndarray) -> OrthogonalMap:
    """The turn by all that did not move, without a scale; none where the spaces are compared as they are."""
    if not fit.is_turned:
        return OrthogonalMap.none(pair.before.dim)
    still = np.flatnonzero(~is_moved)[:MOST_FITTED]
    source, target = pair.after.vectors[pair.rows_after[still]], pair.before.vectors[pair.rows_before[still]]
    return OrthogonalMap.fit(source, target).rigid


def _placed(pair: SpacePair, then: Clusters, is_moved: np.ndarray, turn: OrthogonalMap) -> np.ndarray:
    """[N] the region of then that every item of now is in."""
    # items that stayed keep their region by identity; only movers and new items are placed by the map
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


def _beyond(pair: SpacePair, fit: SpaceFit, now: Clusters, is_moved: np.ndarray) -> np.ndarray:
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


def _distances(
    data: Space, turn: OrthogonalMap, space: Space, rows: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """[M] mean cosine distance of mapped items to their nearest in the data."""
    exclude = [[] if row < 0 else [row] for row in own[rows].tolist()]
    count = min(NEIGHBOURS, data.num_items - 1)
    found = nearest(data, turn(space.vectors[rows]).astype(np.float32), count, exclude=exclude)
    return 1.0 - found.scores.mean(1)


def _changes(
    pair: SpacePair, then: Clusters, labels: np.ndarray, vanished: np.ndarray
) -> Iterator[RegionChange]:
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
