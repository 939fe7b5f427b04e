"""Prefixes: how much of the beginning of each of many rows is worth reading once for several of them.

Knows rows of token ids, or letters of texts. Knows no prompts and no cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeVar

Row = TypeVar("Row", str, tuple[int, ...])
"""A text, or token ids."""


def shared_lengths(rows: Sequence[Row], *, shortest: int) -> list[int]:
    """How many first tokens of each row are to be read once with other rows; `shortest` at least, or 0 for none.

    Rows of one such beginning are a group, and groups are as they save most, all rows together: questions after the
    same long text are one group, also where some of them go on alike; texts that share a short opening are none.
    """
    order = sorted(range(len(rows)), key=lambda number: rows[number])
    forks = [_Fork(depth=0)]
    for number, following in zip_longest(order, order[1:]):
        common = 0 if following is None else _common(rows[number], rows[following])
        groups = [_Group(numbers=(number,))]
        while forks[-1].depth > common:
            groups = _grouped(forks[-1].groups + groups, forks.pop().depth, shortest)
        if forks[-1].depth < common:
            forks.append(_Fork(depth=common))
        forks[-1].groups += groups
    depths = {number: group.depth for group in forks[0].groups for number in group.numbers}
    return [depths[number] for number in range(len(rows))]


def _common(one: Row, other: Row) -> int:
    """How many first tokens are the same in both."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Rows whose first tokens are read once, or one row by itself."""

    numbers: tuple[int, ...]
    depth: int = 0
    """Tokens that are read once."""

    @property
    def saved(self) -> int:
        """Tokens that need not be read."""
        return (len(self.numbers) - 1) * self.depth

    def gains_at(self, depth: int) -> int:
        """Tokens that it saves more as a part of a group of fewer first tokens, beside what that group reads."""
        return len(self.numbers) * depth - self.saved


@dataclass(slots=True, kw_only=True)
class _Fork:
    """Where rows of the same first tokens begin to differ."""

    depth: int
    """Tokens that are the same in all of them."""
    groups: list[_Group] = field(default_factory=list)


def _grouped(groups: list[_Group], depth: int, shortest: int) -> list[_Group]:
    """The groups; those that save more as one, whose first `depth` tokens are read once, are one."""
    joining = [group for group in groups if group.gains_at(depth) > 0]
    gain = sum(group.gains_at(depth) for group in joining) - depth
    if depth < shortest or gain <= 0:
        return groups
    joined = _Group(numbers=tuple(number for group in joining for number in group.numbers), depth=depth)
    return [*(group for group in groups if group.gains_at(depth) <= 0), joined]
