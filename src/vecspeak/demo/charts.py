"""Charts: numbers along the steps of a trace as lines, in the units of an SVG picture.

Knows numbers, scales and ticks. Writes no markup, and knows nothing of what is drawn.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 330, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 38, 10, 12, 32
_TICKS = 5
"""About so many on the upright axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One way, as a path through its steps."""

    kind: str
    """Of its CSS class."""
    path: str
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture of several ways."""

    title: str
    note: str
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    upright: tuple[Tick, ...]
    limit: float | None
    """Where a value stands that must not be exceeded; None without one."""
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM


def chart(
    title: str,
    note: str,
    ways: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    *,
    span: tuple[float, float] | None = None,
    limit: float | None = None,
) -> Chart:
    """Draw ways, each a kind, amounts and values; over `span` of values, by default over all of them and 0."""
    amounts = [amount for _, across, _ in ways for amount in across]
    values = [value for _, _, upright in ways for value in upright]
    ticks = _ticks(*(span or (min(*values, 0.0), max(*values, 0.0))))
    low, high = (span[0], span[1]) if span else (ticks[0], ticks[-1])
    first, last = min(amounts), max(amounts)

    def across(amount: float) -> float:
        return _scaled(amount, first, last, _LEFT + 8, WIDTH - _RIGHT - 8)

    def upright(value: float) -> float:
        return _scaled(value, low, high, HEIGHT - _BOTTOM - 2, _TOP + 2)

    lines = []
    for kind, steps, heights in ways:
        dots = tuple((across(a), upright(v)) for a, v in zip(steps, heights, strict=True))
        lines.append(Line(kind=kind, path="M" + "L".join(f"{x:g} {y:g}" for x, y in dots), dots=dots))
    return Chart(
        title=title,
        note=note,
        lines=tuple(lines),
        across=tuple(Tick(at=across(a), label=signed(a)) for a in sorted(set(amounts))),
        upright=tuple(Tick(at=upright(value), label=f"{value:g}") for value in ticks),
        limit=None if limit is None else upright(limit),
    )


def signed(amount: float) -> str:
    """An amount as people write it: with its sign, a true minus, and 0 without one."""
    return f"{amount:+g}".replace("-", "−") if amount else "0"


def _scaled(value: float, low: float, high: float, start: float, end: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(start + share * (end - start), 1)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers that hold both ends, 1, 2 or 5 times a power of ten apart."""
    rough = max(high - low, 1e-9) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * number, 10) + 0.0 for number in range(first, max(last, first + 1) + 1)]
