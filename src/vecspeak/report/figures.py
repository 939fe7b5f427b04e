"""Plots: where points, intervals, bars and lines of a page's pictures lie, in the units of their SVG.

Knows estimates and ranks. Writes no markup: `templates/plots.jinja` draws what is laid out here.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.evaluation.report import READER, Measure
from vecspeak.report.tables import cell, is_rank
from vecspeak.stats import Estimate

WIDTH = 360
"""Of every picture: as wide as a telephone, so that the letters stay legible there."""
LEFT, RIGHT = 10, WIDTH - 10
_ROW, _FOOT = 31, 24
_LETTER = 5.9
"""About how wide a letter of 11 is."""
_STEPS = (1, 2, 5)
_BARS, _GAP = 54, 24
"""Height of one histogram, and of the room above it for its name."""
_CURVE = 190
_POINTS = 120
"""Places along the axis at which a curve is drawn."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """From numbers to places along the picture."""

    low: float
    high: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value; what is beyond the axis is put on its end."""
        low, high, value = (_log(v) if self.log else v for v in (self.low, self.high, value))
        share = (value - low) / (high - low)
        return round(LEFT + min(max(share, 0.0), 1.0) * (RIGHT - LEFT), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One estimate: a point and its interval."""

    name: str
    short: str
    """The name as far as there is room beside the text."""
    text: str
    """The number with its interval."""
    is_reader: bool
    y: float
    x: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One measure, a row a system."""

    measure: Measure
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    zero: float | None
    """Where 0 lies; None when it is not on the axis or not worth a line."""
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One range of ranks."""

    x: float
    y: float
    width: float
    height: float
    label: str
    """What it says in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """The ranks of one system."""

    key: str
    name: str
    is_reader: bool
    note: str
    """What it comes to in words."""
    base: float
    """Where its bars stand."""
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The share that is found within each rank, as an SVG path."""

    key: str
    name: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RankPlot:
    """The distribution of ranks of several systems, on one axis."""

    histograms: tuple[Histogram, ...]
    height: float
    curves: tuple[Curve, ...]
    chance: str
    """Path of what guessing finds."""
    curve_height: float
    ticks: tuple[Tick, ...]
    levels: tuple[Tick, ...]
    """Marks of the shares; their `x` is a height."""


# --- intervals ---


def panel(
    measure: Measure, rows: Sequence[tuple[str, str, Estimate]], *, signed: bool = False, zero: bool = False
) -> Panel:
    """Lay out (key, name, estimate) rows of one measure; ranks go on a log axis.

    `signed` is for differences, `zero` for what is to be held against 0: the axis then goes through 0. Raises
    ValueError when there are no rows.
    """
    found = [value for _, _, one in rows for value in (one.low, one.value, one.high)]
    through = signed or zero
    axis = _axis(found + ([0.0] if through else []), log=is_rank(measure) and not through and min(found) > 0)
    ticks = _log_ticks(axis) if axis.log else _ticks(axis)
    return Panel(
        measure=measure,
        rows=tuple(_row(measure, axis, index, row, signed) for index, row in enumerate(rows)),
        ticks=tuple(Tick(axis(value), _short(value)) for value in ticks),
        zero=axis(0.0) if not axis.log and axis.low < 0 < axis.high else None,
        height=len(rows) * _ROW + _FOOT,
    )


def _row(measure: Measure, axis: Axis, index: int, row: tuple[str, str, Estimate], signed: bool) -> Row:
    key, name, estimate = row
    text = cell(measure, estimate, signed=signed)
    return Row(
        name=name,
        short=_fit(name, text),
        text=text,
        is_reader=key == READER,
        y=index * _ROW,
        x=axis(estimate.value),
        low=axis(estimate.low),
        high=axis(estimate.high),
    )


def _fit(name: str, text: str) -> str:
    room = int((RIGHT - LEFT) / _LETTER) - len(text) - 1
    return name if len(name) <= room else name[: max(room - 1, 1)].rstrip() + "…"


def _axis(values: Sequence[float], *, log: bool) -> Axis:
    """Room for all values and a little more; of one value, some room around it."""
    low, high = min(values), max(values)
    if log:
        return Axis(low=low / 1.15, high=high * 1.15, log=True)
    room = 0.05 * (high - low) or 0.05 * abs(low) or 0.05
    return Axis(low=low - room, high=high + room)


def _ticks(axis: Axis, most: int = 6) -> list[float]:
    """Round values on the axis, at most so many."""
    size = 10 ** math.floor(math.log10(axis.high - axis.low)) / 10
    steps = (size * ten * step for ten in (1, 10, 100) for step in _STEPS)
    for step in steps:
        first, last = math.ceil(axis.low / step), math.floor(axis.high / step)
        if last - first < most:
            return [round(place * step, 12) for place in range(first, last + 1)]
    raise AssertionError("a hundred times the size of the range has a step that is wide enough")


def _log_ticks(axis: Axis, most: int = 7) -> list[float]:
    """1, 2 and 5 times powers of ten; powers of ten alone where those would be too many."""
    powers = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    for steps in (_STEPS, (1, 3), (1,)):
        found = [step * 10.0**power for power in powers for step in steps]
        found = [value for value in found if axis.low <= value <= axis.high]
        if len(found) <= most:
            return found
    return found[:: math.ceil(len(found) / most)]


def _short(value: float) -> str:
    if abs(value) >= 10_000 and value % 1000 == 0:
        return f"{value / 1000:,.0f}k"
    return f"{value:z,.6g}" if abs(value) < 1000 else f"{value:,.0f}"


def _log(value: float) -> float:
    return math.log10(max(value, 1e-12))


# --- ranks ---


def rank_plot(ranks: Mapping[str, tuple[str, np.ndarray]], among: int) -> RankPlot | None:
    """Lay out the ranks [N] of systems, given by key with their names; None when there are none.

    Ranges begin at 1, 2, 5, 10, 20, ...; a bar's height is the share of entities in its range, and all systems
    have one scale.
    """
    kept = {key: (name, values[values >= 1]) for key, (name, values) in ranks.items() if (values >= 1).any()}
    if not kept:
        return None
    most = max(among, 2, *(int(values.max()) for _, values in kept.values()))
    axis = Axis(low=1, high=most + 1, log=True)
    edges = [*_edges(most), most + 1]
    shares = {key: np.histogram(values, edges)[0] / len(values) for key, (_, values) in kept.items()}
    highest = max(float(share.max()) for share in shares.values())
    return RankPlot(
        histograms=tuple(
            Histogram(
                key=key,
                name=kept[key][0],
                is_reader=key == READER,
                note=f"in the first ten: {share_within(kept[key][1], 10):.0%}",
                base=(index + 1) * (_BARS + _GAP),
                bars=tuple(_bars(share, highest, edges, axis, (index + 1) * (_BARS + _GAP))),
            )
            for index, (key, share) in enumerate(shares.items())
        ),
        height=len(kept) * (_BARS + _GAP) + _FOOT,
        curves=tuple(
            Curve(key=key, name=name, path=_curve(values, axis, most)) for key, (name, values) in kept.items()
        ),
        chance=_line((axis(k), k / most) for k in _places(most)),
        curve_height=_CURVE + _FOOT,
        ticks=tuple(Tick(axis(value), _short(value)) for value in _log_ticks(axis)),
        levels=tuple(Tick(_height(share), f"{share:.0%}") for share in (0.25, 0.5, 0.75, 1.0)),
    )


def _edges(most: int) -> list[int]:
    powers = range(math.ceil(math.log10(most)) + 1)
    return [step * 10**power for power in powers for step in _STEPS if step * 10**power <= most]


def _bars(shares: np.ndarray, highest: float, edges: Sequence[int], axis: Axis, base: float) -> Iterator[Bar]:
    for first, after, share in zip(edges, edges[1:], shares.tolist(), strict=False):
        words = f"rank {first:,}" if after - first == 1 else f"ranks {first:,} to {after - 1:,}"
        tall = round(share / highest * _BARS, 1)
        left, right = axis(first) + 0.5, axis(after) - 0.5
        yield Bar(
            x=left,
            y=round(base - tall, 1),
            width=round(right - left, 1),
            height=tall,
            label=f"{words}: {share:.1%}",
        )


def share_within(ranks: np.ndarray, k: float) -> float:
    """Share of the ranks that are k or better."""
    return float((ranks <= k).mean())


def _curve(ranks: np.ndarray, axis: Axis, most: int) -> str:
    return _line((axis(k), share_within(ranks, k)) for k in _places(most))


def _places(most: int) -> list[int]:
    return np.unique(np.geomspace(1, most, _POINTS).round().astype(int)).tolist()


def _line(points: Iterable[tuple[float, float]]) -> str:
    """A path through places and shares; steps, because nothing is found between two ranks."""
    drawn = [(x, _height(share)) for x, share in points]
    steps = "".join(f"H{x:g}V{y:g}" for x, y in drawn[1:])
    return f"M{drawn[0][0]:g} {drawn[0][1]:g}{steps}H{RIGHT}"


def _height(share: float) -> float:
    return round(_CURVE - share * (_CURVE - 10), 1)


Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""
SIZE = (760, 440)
"""Width and height of a picture on a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """From places to the picture: one scale for both directions, and nothing outside the picture."""

    middle: tuple[float, float]
    scale: float
    size: tuple[int, int]
    """Width and height of the picture."""

    @classmethod
    def around(
        cls,
        places: np.ndarray,
        extra: np.ndarray | None = None,
        *,
        size: tuple[int, int] = SIZE,
        margin: int = 26,
    ) -> "Frame":
        """Hold 99% of the places [N, 2] and all of the extra ones [P, 2]."""
        low, high = np.percentile(places, [0.5, 99.5], axis=0)
        if extra is not None:
            low, high = np.minimum(low, extra.min(0)), np.maximum(high, extra.max(0))
        spans = np.maximum(high - low, 1e-9)
        scale = min((size[0] - 2 * margin) / spans[0], (size[1] - 2 * margin) / spans[1])
        middle = (low + high) / 2
        return cls(middle=(float(middle[0]), float(middle[1])), scale=float(scale), size=size)

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        """In the picture, where y grows downwards; what lies beyond the frame is put on its edge."""
        width, height = self.size
        across = width / 2 + (x - self.middle[0]) * self.scale
        down = height / 2 - (y - self.middle[1]) * self.scale
        return min(max(across, 4), width - 4), min(max(down, 4), height - 4)


def free_spot(
    x: float,
    y: float,
    width: float,
    line: float,
    *,
    offsets: Sequence[tuple[float, float]],
    size: tuple[int, int],
    taken: list[Box],
) -> tuple[float, float, str]:
    """Where a label beside a place covers nothing, else the first place inside the picture; its box is then taken.

    The label is `width` wide and a `line` high; `offsets` are tried in order. Its x, its baseline, and SVG's anchor.
    """
    boxes = []
    for dx, dy in offsets:
        anchor = "start" if dx > 0 else "end" if dx < 0 else "middle"
        left = x + dx - {"start": 0.0, "end": width, "middle": width / 2}[anchor]
        box = (left, y + dy - line + 4, left + width, y + dy + 4)
        if box[0] > 2 and box[2] < size[0] - 2 and box[1] > 2 and box[3] < size[1] - 2:
            boxes.append((box, (x + dx, y + dy, anchor)))
    free = [found for found in boxes if not any(_overlap(found[0], other) for other in taken)]
    for box, spot in [*free, *boxes]:
        taken.append(box)
        return spot
    return min(max(x, width / 2), size[0] - width / 2), y - line, "middle"


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
