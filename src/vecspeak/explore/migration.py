"""Migration: two spaces of the same items, by another encoder, of another width or date. What is kept and what is lost.

Neighbours are compared directly. What the vectors hold is compared by linear maps that are judged on items they were
not fitted on: how much of each space the other determines, and what lies in the rest, in words. Which words, names and
values each space tells is the area under the ROC curve (AUC) of a ridge regression that leaves each item out, paired
over the same items (DeLong, DeLong and Clarke-Pearson 1988), at a false discovery rate below 5%.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from markupsafe import Markup

from vecspeak.display import LABEL, bar, bullets, element, folded, table, to_frame
from vecspeak.errors import UserError, check_seed, check_whole, shorten
from vecspeak.explore.axes import AxisMeaning, read_axes
from vecspeak.explore.contrast import LEVEL, Facts, discovery_rates
from vecspeak.explore.drift import moved_rates, named_regions
from vecspeak.foreign import shown
from vecspeak.lexicon.readout import fit_ridge
from vecspeak.model.alignment import Ridge, Rows
from vecspeak.spaces import Space
from vecspeak.spaces.axes import principal_components
from vecspeak.spaces.search import nearest, unit_rows
from vecspeak.stats import Estimate, estimate
from vecspeak.tables.convert import own

FEWEST = 50
"""Shared items that a comparison needs."""
_QUERIES, _ITEMS, _FITTED = 2000, 4000, 20_000
"""Items whose neighbours are compared; on which words are told; on which linear maps are fitted and judged."""
_TERMS, _FEWEST_HAVING = 1500, 15
"""Words and values that are compared, the commonest; items that must have one, and lack it."""
_REGION_QUERIES = 10
"""Items of a region that are asked for their neighbours."""
_SEPARATED, _EXAMPLES, _NAMED = 3, 3, 5
"""Directions of each rest that are read, examples of each kind, and neighbours that are named."""
_OPEN = 8
"""Regions that a page shows at once."""
_LEAST_MOVE = 0.05
"""Least distance of a mover from where the map puts it, as a share of the items' own spread."""
_FEWEST_TERMS, _USUAL_EXCESS = 20, 1.3
"""Terms that tell how much too small standard errors are, and what is taken where there are fewer."""
_MIDDLE_SQUARE = 0.4549
"""Median of the square of a standard normal number."""
_SAME = 0.98
"""Share of the variance from which on a linear map leaves only rounding and noise."""
_PENALTIES = 10.0 ** np.arange(-1, 5.5, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRecall:
    """A region of the old space and how many of its items' neighbours are kept."""

    name: str
    num_items: int
    recall: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedTerm:
    """A word or a value, and how well each space tells the items that have it."""

    term: str
    column: str
    num_items: int
    old: float
    """AUC, each item left out of the fit."""
    new: float
    difference: Estimate
    """New minus old, with the 95% interval of the paired difference."""
    q: float
    """False discovery rate at which it would just count as different."""

    def __str__(self) -> str:
        return f"{self.term} {self.old:.2f} → {self.new:.2f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedNeighbours:
    """An item with its nearest items in both spaces."""

    id: str
    label: str
    recall: float
    old: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        old, new = (", ".join(shorten(label, LABEL) for label in some) for some in (self.old, self.new))
        return f"  {shorten(self.label, LABEL)}: near {old}; now {new}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFit:
    """How much of one space a linear map of the other determines, on items that it was not fitted on."""

    explained: Estimate
    """Share of the variance; the interval is by resampling items."""
    shuffled: float
    """The same where items are paired at random."""
    weak_directions: int
    """Of the 20 principal components with most variance, those of which less than half is explained."""
    separated: tuple[AxisMeaning, ...]
    """What the rest holds: its principal components in words, those with a meaning found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What changes for whoever exchanges one space for another."""

    how_to_read: ClassVar[str] = (
        "Neighbours kept: the share of an item's nearest that are its nearest in the new space too. A word's "
        "figures are how well each space tells the items that have it from the others (AUC: 0.5 is guessing, 1 is "
        "always), by a linear map that leaves the item out; those listed differ at a false discovery rate of 5%. "
        "Moved items lie farther from where the map puts them than the others' spread explains."
    )

    old: str
    new: str
    dims: tuple[int, int]
    num_shared: int
    only_old: int
    only_new: int
    k: int
    recall: Estimate
    """Mean share of an item's k nearest, among the shared items, that are its k nearest in the new space too."""
    recall_by_chance: float
    regions: tuple[RegionRecall, ...]
    """Least kept first."""
    new_from_old: MapFit
    old_from_new: MapFit
    num_terms: int
    """Words and values that were compared; 0 where items have none."""
    mean_auc: tuple[float, float]
    better: tuple[ComparedTerm, ...]
    """What the new space tells better, the largest difference first."""
    worse: tuple[ComparedTerm, ...]
    num_moved: int
    """Items that lie farther from where a linear map of the old puts them than the others' spread explains."""
    moved: tuple[MovedNeighbours, ...]
    changed: tuple[MovedNeighbours, ...]
    """Examples of items by how many neighbours are kept: fewest, and the middle."""

    def metric(self, name: str) -> float:
        """A figure by name, such as "recall@10" or "explained". Raises UserError for another."""
        known = {f"recall@{self.k}": self.recall.value, "explained": self.new_from_old.explained.value}
        if name not in known:
            raise UserError(f"there is no figure {name!r}", f"use {' or '.join(known)}")
        return known[name]

    @property
    def unmoved(self) -> tuple[MovedNeighbours, ...]:
        """Of the examples by neighbours those that lost some and are not named among the moved."""
        moved = {one.id for one in self.moved}
        return tuple(one for one in self.changed if one.id not in moved and one.recall < 1)

    @property
    def lines(self) -> tuple[str, ...]:
        """What a person reads first, a sentence a line."""
        found = [
            f"{self.old} to {self.new}: {self.num_shared:,} items in both, {self.only_old:,} only in the old, "
            f"{self.only_new:,} only in the new; {self.dims[0]} and {self.dims[1]} numbers",
            f"of an item's {self.k} nearest {_share(self.recall)} stay (by chance {self.recall_by_chance:.1%})",
        ]
        if self.regions:
            worst, best = self.regions[0], self.regions[-1]
            found.append(
                f"  fewest in {worst.name}: {_share(worst.recall)}; most in {best.name}: {_share(best.recall)}"
            )
        for name, one in (("new from the old", self.new_from_old), ("old from the new", self.old_from_new)):
            found.append(
                f"a linear map determines the {name} by {_share(one.explained)} of its variance (items paired at "
                f"random: {one.shuffled:.0%}); less than half of {one.weak_directions} of its 20 widest directions"
            )
            which = "new" if name.startswith("new") else "old"
            found += [
                f"  the {which} tells apart, the other does not: {axis.high}  |  {axis.low}"
                for axis in one.separated
            ]
        if self.num_terms:
            found.append(
                f"{self.num_terms:,} words and values: mean AUC {self.mean_auc[0]:.3f} and {self.mean_auc[1]:.3f}; the "
                f"new tells {len(self.better)} better and {len(self.worse)} worse"
            )
            found += [
                f"  {name}: {'; '.join(map(str, some[:8]))}"
                for name, some in (("better", self.better), ("worse", self.worse))
                if some
            ]
        named = f", of which {len(self.moved)} are named" if 0 < len(self.moved) < self.num_moved else ""
        found.append(f"{self.num_moved:,} items moved beyond the noise{named}")
        found += [str(item) for item in self.moved]
        if self.unmoved:
            found.append("neighbours of items that did not: those that keep fewest, and some in the middle")
            found += [str(item) for item in self.unmoved]
        return tuple(found)

    def __str__(self) -> str:
        return "\n".join(map(shown, self.lines))

    def __repr__(self) -> str:
        return f"Migration({self.old!r} to {self.new!r}, recall@{self.k} {self.recall.value:.2f})"

    def _repr_html_(self) -> Markup:
        """Neighbours kept by region, words told better and worse, and examples."""
        return element(
            "div",
            bullets(line for line in self.lines if not line.startswith("  ")),
            *_regions_table(self.regions),
            *_terms_table("what the old tells better than the new", self.worse),
            *_terms_table("what the new tells better than the old", self.better),
            table(["told apart by one alone", "one end", "the other end"], self._apart)
            if self._apart
            else "",
            *_examples_table("items that moved beyond the noise", self.moved),
            *_examples_table("items that did not: fewest neighbours kept, and the middle", self.unmoved),
        )

    @property
    def _apart(self) -> list[list[object]]:
        """What each space tells apart that the other does not: which, and both ends."""
        sides = ((self.new, self.new_from_old), (self.old, self.old_from_new))
        return [[name, str(axis.high), str(axis.low)] for name, one in sides for axis in one.separated]

    @property
    def heading(self) -> str:
        """What was asked."""
        return f"{self.old} to {self.new}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def to_pandas(self) -> Any:
        """A frame of the words and values that one of the spaces tells better."""
        return to_frame([asdict(one) for one in (*self.better, *self.worse)])


def _terms_table(name: str, terms: Sequence[ComparedTerm]) -> Iterator[Markup]:
    """Words and values with both figures, the largest difference first; the rest folds away."""
    heads = ["word or value", "column", "items", "old", "new"]
    rows = [
        [one.term, one.column, one.num_items, bar(one.old, f"{one.old:.2f}"), bar(one.new, f"{one.new:.2f}")]
        for one in terms
    ]
    if rows:
        yield element("h3", name)
        yield from _opening(heads, rows, "more")


def _examples_table(name: str, items: Sequence[MovedNeighbours]) -> Iterator[Markup]:
    rows = [[one.label, ", ".join(one.old), ", ".join(one.new)] for one in items]
    if rows:
        yield element("h3", name)
        yield table(["item", "near", "now near"], rows)


def _regions_table(regions: Sequence[RegionRecall]) -> Iterator[Markup]:
    """The regions that keep fewest neighbours; the others fold away."""
    heads = ["region", "items", "neighbours kept"]
    rows = [[one.name, one.num_items, bar(one.recall.value, _share(one.recall))] for one in regions]
    if rows:
        yield from _opening(heads, rows, "more regions")


def _opening(heads: Sequence[object], rows: Sequence[Sequence[object]], more: str) -> Iterator[Markup]:
    """A table of the first rows, and one of the others that folds away."""
    yield table(heads, rows[:_OPEN])
    if rows[_OPEN:]:
        yield folded(f"{len(rows) - _OPEN} {more}", table(heads, rows[_OPEN:]))


def _share(one: Estimate) -> str:
    return f"{one.value:.0%} [{one.low:.0%}, {one.high:.0%}]"


def compare(old: Space, new: Space, *, k: int = 10, count: int = 5, seed: int = 0) -> Migration:
    """Compare two spaces of the same items; `count` moved items are named.

    Raises UserError where fewer than 50 ids are in both.
    """
    check_whole("k", k, 1, 100)
    check_whole("count", count, 0, 1000)
    check_seed(seed)
    shared = [item for item in old.ids if new.has(item)]
    if len(shared) < FEWEST:
        raise UserError(
            f"{old.name!r} and {new.name!r} share {len(shared)} ids, and a comparison needs {FEWEST}",
            "give two spaces of the same items, under the same ids",
        )
    pair = [space.take(np.array([space.index_of(item) for item in shared])) for space in (old, new)]
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(shared))
    queries = np.sort(order[:_QUERIES])
    lists = _neighbours(pair, queries, k)
    recalls = np.array([len(np.intersect1d(*both)) / len(both[0]) for both in zip(*lists, strict=True)])
    new_from_old, movers = _mapped(pair[0], pair[1], draw, find_movers=True)
    old_from_new, _ = _mapped(pair[1], pair[0], draw)
    terms = _compared_terms(pair, order[:_ITEMS])
    different = [one for one in terms if one.q < LEVEL]
    return Migration(
        old=old.name,
        new=new.name,
        dims=(old.dim, new.dim),
        num_shared=len(shared),
        only_old=old.num_items - len(shared),
        only_new=new.num_items - len(shared),
        k=k,
        recall=estimate(recalls, seed=seed),
        recall_by_chance=min(k, len(shared) - 1) / (len(shared) - 1),
        regions=_by_region(pair[0], queries, recalls, seed),
        new_from_old=new_from_old,
        old_from_new=old_from_new,
        num_terms=len(terms),
        mean_auc=(
            float(np.mean([one.old for one in terms])) if terms else 0.0,
            float(np.mean([one.new for one in terms])) if terms else 0.0,
        ),
        better=tuple(sorted((one for one in different if one.difference.value > 0), key=_size)),
        worse=tuple(sorted((one for one in different if one.difference.value < 0), key=_size)),
        num_moved=len(movers),
        moved=_named(pair, movers[:count], k),
        changed=_named(pair, _examples(queries, recalls), k),
    )


def _size(one: ComparedTerm) -> float:
    return -abs(one.difference.value)


def _neighbours(pair: list[Space], rows: np.ndarray, k: int) -> list[np.ndarray]:
    """[Q, k] rows of the nearest of each row in both spaces, itself left out."""
    exclude = [[row] for row in rows.tolist()]
    return [nearest(space, space.vectors[rows], k, exclude=exclude).indices for space in pair]


def _by_region(old: Space, queries: np.ndarray, recalls: np.ndarray, seed: int) -> tuple[RegionRecall, ...]:
    clusters = named_regions(old, None, seed)
    found = []
    for number in range(clusters.num_regions):
        inside = clusters.labels[queries] == number
        if inside.sum() >= _REGION_QUERIES:
            share = estimate(recalls[inside], seed=seed)
            found.append(
                RegionRecall(name=clusters.name(number), num_items=int(clusters.sizes[number]), recall=share)
            )
    return tuple(sorted(found, key=lambda one: one.recall.value))


def _examples(queries: np.ndarray, recalls: np.ndarray) -> np.ndarray:
    """Rows of those that keep fewest neighbours, and of some in the middle."""
    order = np.argsort(recalls, kind="stable")
    middle = len(order) // 2
    return queries[np.concatenate([order[:_EXAMPLES], order[middle : middle + _EXAMPLES]])]


def _named(pair: list[Space], rows: np.ndarray, k: int) -> tuple[MovedNeighbours, ...]:
    if not len(rows):
        return ()
    lists = _neighbours(pair, rows, k)
    return tuple(
        MovedNeighbours(
            id=pair[0].ids[row],
            label=pair[0].labels[row],
            recall=len(np.intersect1d(one, other)) / len(one),
            old=tuple(pair[0].labels[near] for near in one[:_NAMED]),
            new=tuple(pair[0].labels[near] for near in other[:_NAMED]),
        )
        for row, one, other in zip(rows.tolist(), *lists, strict=True)
    )


# --- what a linear map keeps ---


def _mapped(
    source: Space, target: Space, draw: np.random.Generator, *, find_movers: bool = False
) -> tuple[MapFit, np.ndarray]:
    """How well [S] targets are determined by sources, and the rows of those that moved, the farthest first."""
    x = unit_rows(source.vectors).astype(np.float32)
    y = unit_rows(target.vectors).astype(np.float32)
    order = draw.permutation(len(x))
    left, uncertainty = _left(x, y, order)
    center = y.mean(0)
    whole = ((y - center) ** 2).sum(1, dtype=np.float64)
    squares = (left**2).sum(1, dtype=np.float64)
    shuffled = draw.permutation(len(x))
    chance = 1 - float((_left(x[shuffled], y, order)[0] ** 2).sum()) / max(float(whole.sum()), 1e-12)
    some = order[:_QUERIES]
    misses = estimate(squares[some] / np.maximum(whole[some], 1e-12), whole[some])
    missed = float(squares.sum()) / max(float(whole.sum()), 1e-12)
    explained = Estimate(1 - missed, 1 - misses.high, 1 - misses.low)
    variances, directions = principal_components(replace(target, vectors=own(y)))
    widest = directions[:20]
    of_rest = ((left @ widest.T.astype(np.float32)) ** 2).mean(0)
    weak = int((of_rest > 0.5 * np.maximum(variances[:20], 1e-12)).sum())
    return (
        MapFit(
            explained=explained,
            shuffled=chance,
            weak_directions=weak,
            separated=_separated(target, left, explained.value),
        ),
        _movers(x, y, order, left, uncertainty) if find_movers else order[:0],
    )


def _movers(
    x: np.ndarray, y: np.ndarray, order: np.ndarray, left: np.ndarray, uncertainty: np.ndarray
) -> np.ndarray:
    """Rows of the targets that lie beyond the noise from where the map puts them, the farthest first.

    An item unlike the others is predicted less surely: its distance is taken in units of its own standard error (a
    studentized residual), or every odd item would be a mover. What moved would draw the map, so that it is fitted
    again without. Least of all a move is a twentieth of what items differ by: rounding is none.
    """
    moved = np.zeros(len(y), bool)
    least = _LEAST_MOVE * float(np.sqrt(((y - y.mean(0)) ** 2).sum(1).mean()))
    for _ in range(2):
        if moved.any():
            left, uncertainty = _left(x, y, order[~moved[order]], order)
        distances = np.linalg.norm(left, axis=1)
        moved = (moved_rates(distances / np.sqrt(1 + uncertainty)) < LEVEL) & (distances > least)
        if not moved.any():
            break
    rows = np.flatnonzero(moved)
    return rows[np.argsort(-distances[rows], kind="stable")]


def _left(
    x: np.ndarray, y: np.ndarray, order: np.ndarray, all_rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """[S, T] targets less their prediction by the map of the half that they are not in, and [S] its uncertainty.

    `order` [M] are the rows that maps are fitted on; rows of `all_rows` beyond them are predicted by the first map.
    """
    found, uncertainty = np.empty_like(y), np.empty(len(y))
    others = order[:0] if all_rows is None else np.setdiff1d(all_rows, order)
    for fitted, judged in ((order[::2], np.append(order[1::2], others)), (order[1::2], order[::2])):
        ridge = Ridge(Rows(inputs=x, targets=y, selected_rows=fitted[:_FITTED]))
        penalty = float(_PENALTIES[int(ridge.leave_one_out(_PENALTIES).argmin())])
        weights = ridge.weights(penalty)
        inputs = (x[judged] - ridge.sums.center) / ridge.sums.spread
        found[judged] = y[judged] - (inputs @ weights + ridge.sums.offset)
        uncertainty[judged] = ridge.uncertainty(x[judged], penalty)
    return found, uncertainty


def _separated(target: Space, left: np.ndarray, explained: float) -> tuple[AxisMeaning, ...]:
    """What the rest of the targets holds, in words: nothing where it is rounding and noise."""
    lengths = np.linalg.norm(left, axis=1)
    if explained > _SAME or not lengths.all():
        return ()
    rest = replace(target, vectors=own(left))
    try:
        _, directions = principal_components(rest)
        names = [f"rest {number + 1}" for number in range(min(_SEPARATED, len(directions)))]
        found = read_axes(rest, names, directions[: len(names)])
    except UserError:  # items without words and values
        return ()
    return tuple(one for one in found.axes if one.is_found)


# --- which words each tells ---


def _compared_terms(pair: list[Space], rows: np.ndarray) -> list[ComparedTerm]:
    """Words and values that enough of the rows have, with the AUC of both spaces."""
    from scipy.sparse import hstack
    from scipy.special import ndtr

    rows = np.sort(rows)
    facts = next((one for one in map(Facts.from_space, pair) if one.values.names or one.words.names), None)
    if facts is None:
        return []
    matrix = hstack([facts.values.matrix, facts.words.matrix], format="csc")[rows]
    counts = np.asarray(matrix.sum(0)).ravel()
    enough = np.flatnonzero((counts >= _FEWEST_HAVING) & (len(rows) - counts >= _FEWEST_HAVING))
    enough = enough[np.argsort(-counts[enough], kind="stable")[:_TERMS]]
    if not len(enough):
        return []
    has = matrix[:, enough].tocsr()
    vectors = [space.vectors[rows] for space in pair]
    aucs, spreads = _differences(vectors, has)
    columns = (*facts.values.columns, *("" for _ in facts.words.names))
    names = (*facts.values.names, *facts.words.names)
    spreads = spreads * _excess(vectors, has)
    z = (aucs[1] - aucs[0]) / np.maximum(spreads, 1e-9)
    rates = discovery_rates(2 * ndtr(-np.abs(z)))
    return [
        ComparedTerm(
            term=names[place],
            column=columns[place],
            num_items=int(counts[place]),
            old=float(old),
            new=float(new),
            difference=Estimate(*(float(new - old + sign * 1.96 * spread) for sign in (0, -1, 1))),
            q=float(rate),
        )
        for place, old, new, spread, rate in zip(enough, *aucs, spreads, rates, strict=True)
    ]


def _differences(vectors: list[np.ndarray], has: Any) -> tuple[np.ndarray, np.ndarray]:
    """[2, V] AUC of each label by both spaces' vectors, and [V] the standard error of their difference."""
    scores = [_scores(one, has) for one in vectors]
    by_label = has.tocsc()
    found = []
    for place in range(has.shape[1]):
        positive = np.zeros(has.shape[0], bool)
        positive[by_label.indices[by_label.indptr[place] : by_label.indptr[place + 1]]] = True
        found.append(_paired_auc(scores[0][:, place], scores[1][:, place], positive))
    old, new, spreads = np.array(found).reshape(-1, 3).T
    return np.stack([old, new]), spreads


def _excess(vectors: list[np.ndarray], has: Any) -> float:
    """How many times as large as given the standard errors of differences are, at least 1.

    They count the items that are judged; that the maps were fitted on few others is not in them. Two halves of the
    items, each fitted and judged for itself, differ by both, and by nothing that is so of the spaces.
    """
    order = np.random.default_rng(0).permutation(has.shape[0])
    halves = [np.sort(order[start::2]) for start in (0, 1)]
    counts = np.array([np.asarray(has[half].sum(0)).ravel() for half in halves])
    without = np.array([[len(half)] for half in halves]) - counts
    enough = np.flatnonzero((np.minimum(counts, without) >= _FEWEST_HAVING // 2).all(0))
    if len(enough) < _FEWEST_TERMS:
        return _USUAL_EXCESS
    parts = [_differences([one[half] for one in vectors], has[half][:, enough]) for half in halves]
    gaps = [aucs[1] - aucs[0] for aucs, _ in parts]
    squares = (gaps[0] - gaps[1]) ** 2 / np.maximum(sum(spread**2 for _, spread in parts), 1e-18)
    return max(1.0, float(np.sqrt(np.median(squares) / _MIDDLE_SQUARE)))


def _scores(vectors: np.ndarray, has: Any) -> np.ndarray:
    """[R, V] how much each row is told to have each term, by the fit of all other rows."""
    vectors = unit_rows(vectors).astype(np.float32)
    fit = fit_ridge(vectors, has)
    return np.concatenate([
        fit.left_out(vectors, has, np.arange(start, min(start + 512, len(vectors))))
        for start in range(0, len(vectors), 512)
    ])  # fmt: skip


def _paired_auc(one: np.ndarray, other: np.ndarray, positive: np.ndarray) -> tuple[float, float, float]:
    """The AUC of two scores of the same rows, and the standard error of their difference (DeLong et al. 1988)."""
    placed = [_placements(scores, positive) for scores in (one, other)]
    aucs = [float(of_positives.mean()) for of_positives, _ in placed]
    of_positives = placed[1][0] - placed[0][0]
    of_others = placed[1][1] - placed[0][1]
    variance = of_positives.var(ddof=1) / len(of_positives) + of_others.var(ddof=1) / len(of_others)
    return aucs[0], aucs[1], float(np.sqrt(variance))


def _placements(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each positive the share of the others below it, of each other the share of positives above it; equals half."""
    inside, outside = scores[positive], scores[~positive]
    return _below(np.sort(outside), inside), 1 - _below(np.sort(inside), outside)


def _below(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Share of the sorted known values below each value; equals count half."""
    sides = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")
    return np.asarray(sides / (2 * len(known)))
