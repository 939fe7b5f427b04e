"""Difference: two points or regions side by side, what each has that the other has not."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from markupsafe import Markup

from vecspeak.bundles import SpaceEntry
from vecspeak.display import bar, element, table, to_frame
from vecspeak.errors import UserError, check_seed, check_text
from vecspeak.evidence import Neighbor, Neighbors, Words
from vecspeak.explore.contrast import Contrast, Facts, contrast
from vecspeak.explore.regions import (
    COMPARE,
    ComparedAnswer,
    Region,
    RegionReader,
    random_cosines,
    region_named,
    similarities,
)
from vecspeak.points import Point, evaluate
from vecspeak.points.parser import parse_query
from vecspeak.spaces import Space
from vecspeak.spaces.search import unit_rows
from vecspeak.stats import Estimate

_SETS, _LARGEST_SET = 100, 2000
"""Random pairs of sets that a difference is held against, and items of a set that stand for it."""
_NEAR = 50
"""Nearest items of one side among which those that lie far from the other are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two."""

    name: str
    num_items: int
    """Members of a region; 0 for a point."""
    nearest: Neighbors
    """The real items nearest to it, what it was made from left out; for a region its most typical members."""
    own: Neighbors
    """Of the 50 nearest items those that lie most on its side: cosine with it minus cosine with the other."""
    words: Words = Words()  # noqa: RUF009  # an empty tuple
    """What is likelier of it than of the other, read from the vectors without a language model, with probabilities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two places of one space."""

    how_to_read: ClassVar[str] = (
        "The cosine is held against random pairs of items, and for two regions against random sets of their "
        "sizes. What one has more of is tested at a false discovery rate of 5%; in brackets its interval."
    )

    first: Side
    second: Side
    cosine: float
    farther_than: float
    """Share, in percent, of random pairs of real items that lie nearer to each other than these two."""
    of_random_sets: Estimate | None
    """Two regions only: the cosine of the centroids of random sets of these sizes, mean and 95% of 100 draws."""
    more_in_first: Contrast | None
    """Two regions only: what the first's members have more of, those in both left out."""
    more_in_second: Contrast | None
    num_in_both: int
    """Items that are members of both regions."""
    compared: ComparedAnswer | None = None
    """What the reader says of both; None where it was not asked."""

    @property
    def _sides(self) -> tuple[tuple[Side, Contrast | None], ...]:
        return ((self.first, self.more_in_first), (self.second, self.more_in_second))

    def __repr__(self) -> str:
        return f"Difference({self.first.name!r}, {self.second.name!r}, cosine {self.cosine:.2f})"

    def __str__(self) -> str:
        lines = [f"{self.first.name} and {self.second.name}: cosine {self.cosine:.2f}"]
        lines += [self.compared.text] if self.compared else []
        for side, more in self._sides:
            found = f"; more often: {more}" if more else ""
            words = f"; words: {side.words}" if side.words else ""
            lines.append(f"{side.name}: {side.own or side.nearest}{words}{found}")
        return "\n".join(lines)

    def _repr_html_(self) -> Markup:
        """How near the two are beside random pairs, the reader's words, and what each has more of."""
        rows: list[list[object]] = [["cosine", bar(self.cosine, f"{self.cosine:.2f}")]]
        if self.of_random_sets:
            value = self.of_random_sets.value
            rows.append(["random sets of these sizes", bar(value, f"{value:.2f}")])
        rows.append(
            ["farther apart than", bar(self.farther_than / 100, f"{self.farther_than:.0f}% of pairs")]
        )
        said = self.compared.text if self.compared else ""
        sides = (
            element(
                "div",
                element("strong", side.name),
                f": {side.own or side.nearest}",
                element("div", f"words: {side.words}") if side.words else "",
                more._repr_html_() if more else "",
            )
            for side, more in self._sides
        )
        return element("div", table([], rows), element("p", element("strong", said)), *sides)

    @property
    def heading(self) -> str:
        """What was asked."""
        return f"{self.first.name} and {self.second.name}"

    def to_pandas(self) -> Any:
        """A frame of what each of two regions has more of. Raises UserError where pandas is not installed."""
        rows = (
            {"more_in": side.name, **row} for side, more in self._sides if more for row in more.to_dicts()
        )
        return to_frame(rows)


def diff(
    entry: SpaceEntry,
    first: str | Point,
    second: str | Point,
    *,
    reader: RegionReader | None = None,
    question: str = COMPARE,
    count: int = 5,
    seed: int = 0,
) -> Difference:
    """Compare two points, expressions or regions (`cluster(3)`, `where: QUERY`, `ids: FILE`).

    Raises UserError for what names neither, and where one lies in another space.
    """
    check_seed(seed)
    check_text("question", question)
    regions = [region_named(entry, one) if isinstance(one, str) else None for one in (first, second)]
    points = [
        region.point(entry.space) if region is not None else _point(entry, one)
        for region, one in zip(regions, (first, second), strict=True)
    ]
    _check_space(entry, points)
    units = unit_rows(np.stack([point.vector for point in points]).astype(np.float64))
    cosine = float(np.clip(units[0] @ units[1], -1, 1))
    sides = _sides(entry.space, regions, points, count)
    words = entry.words_apart(np.stack([one.vector for one in points]), (points[0].kind, points[1].kind))
    sides = [dataclasses.replace(side, words=some) for side, some in zip(sides, words, strict=True)]
    found = Difference(
        first=sides[0],
        second=sides[1],
        cosine=cosine,
        farther_than=_farther_than(entry.space, cosine, seed),
        of_random_sets=None,
        more_in_first=None,
        more_in_second=None,
        num_in_both=0,
    )
    one, other = regions
    if one is not None and other is not None:
        found = dataclasses.replace(found, **_of_regions(entry.space, one, other, seed))
    if reader is not None:
        found = dataclasses.replace(found, compared=reader.compare(question, points[0], points[1]))
    return found


def _point(entry: SpaceEntry, text: str | Point) -> Point:
    """The point of an expression; UserError that says how a query is written, where the text is one."""
    if isinstance(text, Point):
        return text
    try:
        if entry.space.rows_labelled(text) or entry.space.has(text):
            return entry.space[text]  # a label or an id as it stands, as `VecSpeak.point` takes it
        return evaluate(text, entry.scope)
    except UserError as error:
        try:
            parse_query(text)
        except UserError:
            raise error from None
        raise UserError(f"{text} is a query, not a point or a region", f"write 'where: {text}'") from None


def _check_space(entry: SpaceEntry, points: list[Point]) -> None:
    for point in points:
        if point.space != entry.space.name:
            raise UserError(
                f"{point.expression} lies in {point.space!r}, not in {entry.space.name!r}",
                "name two places of one space",
            )


def _sides(space: Space, regions: list[Region | None], points: list[Point], count: int) -> list[Side]:
    similar = [similarities(space, point.vector) for point in points]
    made = []
    for own, other in ((0, 1), (1, 0)):
        region, point = regions[own], points[own]
        allowed = np.ones(space.num_items, dtype=bool)
        allowed[[space.index_of(item) for item in point.parents]] = False
        if region is not None:
            allowed[:] = False
            allowed[region.rows] = True
        order = np.argsort(-np.where(allowed, similar[own], -np.inf), kind="stable")[: int(allowed.sum())]
        lead = similar[own] - similar[other]
        near = order[:_NEAR]
        telling = near[np.argsort(-lead[near], kind="stable")]
        made.append(
            Side(
                name=region.full_name if region is not None else point.expression,
                num_items=len(region) if region is not None else 0,
                nearest=_named(space, order[:count], similar[own]),
                own=_named(space, telling[lead[telling] > 0][:count], lead),
            )
        )
    return made


def _named(space: Space, rows: np.ndarray, scores: np.ndarray) -> Neighbors:
    return Neighbors(
        Neighbor(id=space.ids[row], label=space.labels[row], similarity=float(scores[row]))
        for row in rows.tolist()
    )


def _farther_than(space: Space, cosine: float, seed: int) -> float:
    cosines = random_cosines(space, seed)
    return float(100 * (cosines > cosine).mean()) if len(cosines) else 0.0


def _of_regions(space: Space, first: Region, second: Region, seed: int) -> dict[str, Any]:
    """What only two regions have; of what is in both no contrast can tell."""
    both = np.intersect1d(first.rows, second.rows)
    alone = [np.setdiff1d(region.rows, both) for region in (first, second)]
    made: dict[str, Any] = {
        "num_in_both": len(both),
        "of_random_sets": _random_sets(space, (len(first), len(second)), seed),
    }
    if len(alone[0]) and len(alone[1]):
        facts = Facts.from_space(space)
        made["more_in_first"] = contrast(facts, alone[0], alone[1])
        made["more_in_second"] = contrast(facts, alone[1], alone[0])
    return made


def _random_sets(space: Space, sizes: tuple[int, int], seed: int) -> Estimate:
    draw = np.random.default_rng(seed)
    drawn = np.empty(_SETS)
    for number in range(_SETS):
        means = [
            space.vectors[draw.choice(space.num_items, min(size, _LARGEST_SET), replace=False)].mean(0)
            for size in sizes
        ]
        drawn[number] = unit_rows(means[0]) @ unit_rows(means[1])
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(float(drawn.mean()), float(low), float(high))
