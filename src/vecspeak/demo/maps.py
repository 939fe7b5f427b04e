"""Maps: where items and the asked points lie, in the units of an SVG picture.

Knows coordinates, colours and labels that must not cover each other. Writes no markup.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vecspeak.demo.charts import signed
from vecspeak.demo.places import COLOURS, OTHER, colour_of
from vecspeak.demo.results import Chapter, TraceChapter
from vecspeak.explore.trace import Path, Step
from vecspeak.report.figures import SIZE, Box, Frame, free_spot

WIDTH, HEIGHT = SIZE
_LETTER, _LINE = 8.4, 18.0
"""About how wide a letter and how high a line of a label is."""
_OFFSETS = (
    (18, 5),
    (-18, 5),
    (0, -18),
    (0, 28),
    (18, -14),
    (-18, -14),
    (18, 24),
    (-18, 24),
    (0, -38),
    (0, 48),
)

_NEAR = ((0, -12), (0, 22), (11, 5), (-11, 5), (10, -10), (-10, -10), (10, 20), (-10, 20), (0, -28), (0, 38))
"""Where the amount of a step may stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """The items of one colour as one SVG path of dots."""

    colour: str
    index: int
    """Of its CSS class."""
    path: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """An asked point, or an item that one was made from, with the place of its label."""

    number: int
    """Of the exhibit; 0 for an item that a point was made from."""
    label: str
    x: float
    y: float
    label_x: float
    label_y: float
    anchor: str
    """SVG's text-anchor."""
    lines: tuple[tuple[float, float], ...] = ()
    """Where the items lie that it was made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """The steps of one way on the map."""

    kind: str
    """Of its CSS class."""
    path: str
    steps: tuple[Mark, ...]


def clouds(places: np.ndarray, genres: Sequence[Sequence[str]], frame: Frame) -> tuple[Cloud, ...]:
    """The items by colour; a dot is a line of no length with round ends, which is short to write."""
    dots: defaultdict[str, list[str]] = defaultdict(list)
    for (x, y), names in zip(places.tolist(), genres, strict=True):
        across, down = frame(x, y)
        dots[colour_of(names)].append(f"M{across:.0f} {down:.0f}h0")
    order = [name for name, _ in COLOURS] + [OTHER]
    return tuple(
        Cloud(colour=name, index=index, path="".join(dots[name]), count=len(dots[name]))
        for index, name in enumerate(order)
        if dots[name]
    )


def all_places(chapters: Iterable[Chapter]) -> np.ndarray:
    """[P, 2] where the chapters' points and those that they were made from lie."""
    exhibits = [exhibit for chapter in chapters for exhibit in chapter.exhibits]
    return np.array([(p.x, p.y) for exhibit in exhibits for p in (exhibit.place, *exhibit.parents)])


def marks(chapter: Chapter, frame: Frame) -> tuple[Mark, ...]:
    """The points of a chapter, numbered as its exhibits are; each place is marked once."""
    exhibits = chapter.exhibits
    own = {(exhibit.place.x, exhibit.place.y) for exhibit in exhibits}
    parents = {(p.x, p.y): p.label for exhibit in exhibits for p in exhibit.parents if (p.x, p.y) not in own}
    numbered = {(exhibit.place.x, exhibit.place.y): number for number, exhibit in enumerate(exhibits, 1)}
    lines = {
        (exhibit.place.x, exhibit.place.y): tuple(frame(p.x, p.y) for p in exhibit.parents)
        for exhibit in exhibits
    }
    names = {(exhibit.place.x, exhibit.place.y): exhibit.place.label for exhibit in exhibits} | parents
    spots = {place: frame(*place) for place in names}
    taken = [(x - 12, y - 12, x + 12, y + 12) for x, y in spots.values()]
    found = []
    for place, spot in spots.items():
        mark = _mark(_short(names[place]), spot, _OFFSETS, taken)
        found.append(replace(mark, number=numbered.get(place, 0), lines=lines.get(place, ())))
    return tuple(found)


def trails(found: TraceChapter, frame: Frame) -> tuple[Trail, ...]:
    """The concept's way and the first random one; the start and both ends of the first have their amounts as labels.

    Directions of any kind have next to nothing of the two directions of the map: their steps would be one dot.
    """
    drawn = []
    taken: list[Box] = []
    for path, row in zip(found.trace.paths, found.places, strict=True):
        if path.kind not in ("concept", "random"):
            continue
        spots = [frame(place.x, place.y) for place in row]
        taken += [(x - 7, y - 7, x + 7, y + 7) for x, y in spots]
        drawn.append((path, spots))
    return tuple(
        Trail(
            kind=path.kind,
            path="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in spots),
            steps=tuple(
                _mark(signed(step.amount) if _is_told(path, step) else "", spot, _NEAR, taken)
                for step, spot in zip(path.steps, spots, strict=True)
            ),
        )
        for path, spots in drawn
    )


def _is_told(path: Path, step: Step) -> bool:
    """Whether the amount stands on the map; of all of them the labels would cover each other."""
    return path.kind == "concept" and (step.amount == 0 or step in (path.steps[0], path.steps[-1]))


def _mark(
    label: str, spot: tuple[float, float], offsets: Sequence[tuple[int, int]], taken: list[Box]
) -> Mark:
    """A place without a number, its label where nothing is taken yet."""
    x, y = spot
    label_x, label_y, anchor = x, y, "middle"
    if label:
        label_x, label_y, anchor = free_spot(
            x, y, _LETTER * len(label), _LINE, offsets=offsets, size=SIZE, taken=taken
        )
    return Mark(
        number=0,
        label=label,
        x=round(x, 1),
        y=round(y, 1),
        label_x=round(label_x, 1),
        label_y=round(label_y, 1),
        anchor=anchor,
    )


def _short(label: str, most: int = 30) -> str:
    return label if len(label) <= most else label[: most - 1] + "…"
