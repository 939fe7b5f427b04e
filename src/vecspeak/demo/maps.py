"""Maps: where items and the asked points lie, in the units of an SVG picture.

Knows coordinates, colours and labels that must not cover each other. Writes no markup.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.demo.places import COLOURS, OTHER, colour_of
from vecspeak.demo.results import Chapter

WIDTH, HEIGHT, MARGIN = 760, 440, 26
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
class Frame:
    """From places to the picture: one scale for both directions, and nothing outside the margins."""

    middle: tuple[float, float]
    scale: float

    @classmethod
    def around(cls, places: np.ndarray, extra: np.ndarray) -> "Frame":
        """Hold 99% of the items and all of the extra points."""
        low, high = np.percentile(places, [0.5, 99.5], axis=0)
        low, high = np.minimum(low, extra.min(0)), np.maximum(high, extra.max(0))
        size = np.maximum(high - low, 1e-9)
        scale = min((WIDTH - 2 * MARGIN) / size[0], (HEIGHT - 2 * MARGIN) / size[1])
        middle = (low + high) / 2
        return cls(middle=(float(middle[0]), float(middle[1])), scale=float(scale))

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        """In the picture, where y grows downwards; what lies beyond the frame is put on its edge."""
        across = WIDTH / 2 + (x - self.middle[0]) * self.scale
        down = HEIGHT / 2 - (y - self.middle[1]) * self.scale
        return min(max(across, 4), WIDTH - 4), min(max(down, 4), HEIGHT - 4)


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
    for place, (x, y) in spots.items():
        label = _short(names[place])
        label_x, label_y, anchor = _free(x, y, label, taken)
        found.append(
            Mark(
                number=numbered.get(place, 0),
                label=label,
                x=round(x, 1),
                y=round(y, 1),
                label_x=round(label_x, 1),
                label_y=round(label_y, 1),
                anchor=anchor,
                lines=lines.get(place, ()),
            )
        )
    return tuple(found)


def _short(label: str, most: int = 30) -> str:
    return label if len(label) <= most else label[: most - 1] + "…"


def _free(
    x: float, y: float, label: str, taken: list[tuple[float, float, float, float]]
) -> tuple[float, float, str]:
    """A place for the label that covers nothing, else the first inside the picture; the box is then taken."""
    width = _LETTER * len(label)
    boxes = []
    for dx, dy in _OFFSETS:
        anchor = "start" if dx > 0 else "end" if dx < 0 else "middle"
        left = x + dx - {"start": 0.0, "end": width, "middle": width / 2}[anchor]
        box = (left, y + dy - _LINE + 4, left + width, y + dy + 4)
        if box[0] > 2 and box[2] < WIDTH - 2 and box[1] > 2 and box[3] < HEIGHT - 2:
            boxes.append((box, (x + dx, y + dy, anchor)))
    free = [found for found in boxes if not any(_overlap(found[0], other) for other in taken)]
    for box, spot in [*free, *boxes]:
        taken.append(box)
        return spot
    return min(max(x, width / 2), WIDTH - width / 2), y - _LINE, "middle"


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
