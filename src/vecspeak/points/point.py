"""Amounts along a concept: how they are typed, which are chosen, and where they leave the data."""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from vecspeak.errors import UserError, first_line, shown_value

MOST_STEPS, FARTHEST = 41, 1000.0
"""So many amounts a path has at most, and so far out they may lie, in standard deviations."""
SELECTED_REACH = 12.0
"""So far out amounts that nobody typed may lie."""
_SCAN, _FINE = 0.5, 0.1
"""A way is looked at every half a standard deviation, and where it crosses the edge to a tenth."""
_ROUND = (0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
"""Steps between chosen amounts, of which there are three a side: they reach 1.2 to 12."""
_EXAMPLE = 'type auto, -3..3, "-12..12 by 4" or 0,4,8'

IsOutside = Callable[[np.ndarray], np.ndarray]
"""Which of the amounts [A] lie outside the data: [A] bool."""


def amounts_of(text: str) -> tuple[float, ...] | None:
    """The amounts of `-3..3` (by 1), `-12..12 by 4` or `0,4,8`, ascending, each once; None for `auto`.

    Raises UserError for others.
    """
    if text.strip().casefold() == "auto":
        return None
    ends, _, by = text.partition(" by ")
    first, dots, last = ends.partition("..")
    if not dots:
        return checked([_number(part, text) for part in text.split(",")])
    low, high, step = _number(first, text), _number(last, text), _number(by, text) if by else 1.0
    if not (step > 0 and low <= high and math.isfinite(high - low)):
        raise UserError(f"the amounts {text!r} go nowhere", _EXAMPLE)
    if (high - low) / step > MOST_STEPS:
        raise UserError(f"{text!r} has more than {MOST_STEPS} amounts", f"take larger steps: {text} by 4")
    count = int(math.floor((high - low) / step + 1e-9)) + 1
    return checked([low + step * number for number in range(count)])


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(
            f"the amounts {whole!r} hold {text.strip()!r}, which is no number", _EXAMPLE
        ) from None


def checked(amounts: Iterable[float]) -> tuple[float, ...]:
    """The amounts ascending, each once. Raises UserError for none, too many, those too far out, and no numbers."""
    if isinstance(amounts, str | bytes) or not isinstance(amounts, Iterable):
        raise UserError(f"`steps` are numbers, got {shown_value(amounts)}", f"{_EXAMPLE}, or [0, 4, 8]")
    try:
        found = tuple(sorted({round(float(amount), 6) + 0.0 for amount in amounts}))
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"`steps` are numbers: {first_line(error)}", f"{_EXAMPLE}, or [0, 4, 8]") from error
    if not 1 <= len(found) <= MOST_STEPS:
        raise UserError(f"1 to {MOST_STEPS} amounts can be asked for, got {len(found)}", _EXAMPLE)
    if not all(math.isfinite(amount) and abs(amount) <= FARTHEST for amount in found):
        raise UserError(
            f"amounts may lie between -{FARTHEST:g} and {FARTHEST:g} standard deviations", _EXAMPLE
        )
    return found


def written(amount: float) -> str:
    """As an expression takes it."""
    return f"{amount:.6f}".rstrip("0").rstrip(".")


def listed(amounts: Sequence[float]) -> str:
    """Such as `-4, 0, 4`."""
    return ", ".join(written(amount) for amount in amounts)


def is_mirrored(amounts: Sequence[float]) -> bool:
    """Whether they go as far down as up, so that the reverse of the way has the same points."""
    return {round(amount, 6) + 0.0 for amount in amounts} == {round(-amount, 6) + 0.0 for amount in amounts}


def crossings(
    is_outside: IsOutside, end: float, *, is_item: bool, also: Sequence[float] = ()
) -> tuple[float, ...]:
    """Where a way from 0 to `end` leaves the data, comes back, leaves again and so on, outward.

    Looked at every half a standard deviation and at the amounts `also`, then halved down to a tenth, so shorter
    stays between are not seen. A start that `is_item` counts as inside; another that lies outside crosses at 0.
    """
    count = max(1, math.ceil(abs(end) / _SCAN))
    between = [abs(amount) for amount in also if 0 < amount / end < 1]
    grid = np.copysign(np.unique([*np.linspace(0.0, abs(end), count + 1), *between]), end)
    outside = np.array(is_outside(grid), dtype=bool)
    outside[0] &= not is_item
    turns = np.flatnonzero(outside[1:] != outside[:-1])
    near, far, beyond = grid[turns], grid[turns + 1], outside[turns + 1]
    while np.abs(far - near).max(initial=0.0) > _FINE:
        middle = (near + far) / 2
        is_beyond = is_outside(middle) == beyond
        near, far = np.where(is_beyond, near, middle), np.where(is_beyond, middle, far)
    start = (0.0,) if outside[0] else ()
    return (*start, *(round(float(amount), 2) + 0.0 for amount in far))


def selected_amounts(is_outside: IsOutside, *, is_item: bool) -> tuple[float, ...]:
    """Seven amounts around 0, three a side in round steps, that reach as far as that side stays in the data.

    At least 1.2, also where a side leaves before that, and at most 12.
    """
    sides = []
    for sign in (-1, 1):
        found = crossings(is_outside, sign * SELECTED_REACH, is_item=is_item)
        edge = abs(found[0]) if found else math.inf
        step = max((step for step in _ROUND if 3 * step < edge), default=_ROUND[0])
        sides.append([sign * step * number for number in (1, 2, 3)])
    return checked([0.0, *sides[0], *sides[1]])
