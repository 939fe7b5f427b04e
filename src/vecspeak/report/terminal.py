"""Reports, task tables and comparisons as lines of text for a terminal."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from vecspeak.evaluation.report import FEW, READER, AnySet, Measure
from vecspeak.report.compare import Change, Comparison, SetComparison, about, caution
from vecspeak.report.tables import (
    EMPTY,
    FOUND,
    TASK_NOT_FOLLOWED,
    TASK_NOT_READ,
    TASK_NOT_SHOWN,
    TaskRow,
    cell,
    measured,
    notices,
    number,
    short_interval,
    short_value,
    task_rows,
    verdict,
)
from vecspeak.stats import Estimate

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 120
"""Characters of a line."""
_NAME, _COLUMN = 30, len("(higher is better)")
_TASK_WIDTHS = (25, 16, 5, 5, 5, 5, 5, 4, 4, 4, 9, 19)
_TASK_HEADS = (
    "",
    "SC: the reader",
    "other\nvec.",
    "mean\nvec.",
    "near.\ntext",
    "LM, 3\nnear.",
    "LM,\ntruth",
    *(f"\n{name}" for name in FOUND.values()),
    "told\napart/LM",
    "reader minus other\nvector",
)


def wrapped(text: str, *, first: str = "  ", rest: str = "  ", width: int = WIDTH) -> list[str]:
    """The text in lines of a terminal; what a terminal would obey instead of showing is left out."""
    return textwrap.wrap(_shown(text), width, initial_indent=first, subsequent_indent=rest)


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _lines(table: "Table", width: int) -> Iterator[str]:
    """The table without colors, whatever the terminal: the same text to a file and to a screen."""
    from rich.console import Console

    file = io.StringIO()
    Console(file=file, width=width, color_system=None, force_terminal=False).print(table)
    for line in file.getvalue().splitlines():
        yield line.rstrip()


def _grid(widths: Sequence[int], heads: Sequence[str] = (), gap: int = 2, indent: int = 2) -> "Table":
    """An empty table of columns as wide as that, the first to the left and the others to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), show_header=bool(heads))
    for index, width in enumerate(widths):
        head = Text(heads[index], justify="right") if heads else ""
        wide = width if index else width + indent
        table.add_column(head, width=wide, justify="right" if index else "left", vertical="top")
    return table


def _add(table: "Table", name: str, cells: Sequence[str], indent: int = 2) -> None:
    """Add a row; a name that does not fit goes on in the next line, indented by two more."""
    from rich.text import Text

    width: Any = table.columns[0].width
    lines = wrapped(name, first=" " * indent, rest=" " * (indent + 2), width=width)
    table.add_row(Text("\n".join(lines)), *(Text(text, no_wrap=True) for text in cells))


# --- one set ---


def plain(one: AnySet, width: int = WIDTH) -> Iterator[str]:
    """Lines no longer than `width`: warnings first, then the table in as many blocks as its measures need."""
    title = f"{one.name}: {one.count:,} entities of {one.split!r}, asked {one.question!r}"
    yield from wrapped(title, first="", width=width)
    for notice in notices(one):
        yield from wrapped(f"! {notice}", rest="    ", width=width)
    for measures in _blocks(one, width):
        yield ""
        heads = [f"{m.name}\n({m.better} is better)" if m.better else m.name for m in measures]
        table = _grid([_NAME, *(_width(one, measure) for measure in measures)], ["", *heads])
        for system in one.systems:
            _add(table, system.name or system.key, [cell(m, system.estimates.get(m.key)) for m in measures])
        yield from _lines(table, width)
    if verdict(one).kind not in ("not read", "not shown"):
        yield ""
        yield from wrapped(verdict(one).words, width=width)


def _width(one: AnySet, measure: Measure) -> int:
    return max(_COLUMN, *(len(cell(measure, system.estimates.get(measure.key))) for system in one.systems))


def _blocks(one: AnySet, width: int) -> Iterator[list[Measure]]:
    """As many measures side by side as there is room for, at least one."""
    block: list[Measure] = []
    room = left = width - _NAME - 4
    for measure in measured(one):
        wide = _width(one, measure) + 2
        if block and left < wide - 2:
            yield block
            block, left = [], room
        block.append(measure)
        left -= wide
    if block:
        yield block


# --- tasks ---


def task_lines(sets: Sequence[AnySet]) -> Iterator[str]:
    """Lines of at most 120 characters: a heading for each kind of points, then a row a task."""
    rows = task_rows(sets)
    if any(row.count < FEW for row in rows):
        yield from wrapped(f"! Fewer than {FEW} entities are too few for intervals to be relied on.")
    yield from _lines(_grid(_TASK_WIDTHS, _TASK_HEADS, gap=1), WIDTH)
    for (space, points, measure, split, count), some in groupby(
        rows, key=lambda row: (row.space, row.points, row.measure, row.split, row.count)
    ):
        other = f" ({measure} in place of SC)" if measure != "SC" else ""
        yield f"{space}, {points} of {split!r}, n = {count:,}{other}"
        for row in some:
            table = _grid(_TASK_WIDTHS, gap=1)
            _add(table, row.task, _task_cells(row))
            yield from _lines(table, WIDTH)
            if row.marks:
                yield f"      {', '.join(row.marks)}"
    yield ""
    for words in _explained(rows):
        yield from wrapped(words)


def _task_cells(row: TaskRow) -> list[str]:
    accuracy = "/".join(short_value(one, 2) for one in row.task_accuracy) if any(row.task_accuracy) else EMPTY
    values = [short_value(one, 2) for one in (*row.others, *row.found)]
    return [_tight(row.reader), *values, accuracy, _tight(row.over_swap, signed=True)]


def _tight(estimate: Estimate | None, *, signed: bool = False) -> str:
    return short_interval(estimate, signed=signed, digits=2).replace(", ", ",")


def _explained(rows: Sequence[TaskRow]) -> Iterator[str]:
    """What the heads and marks mean."""
    yield (
        f"{TASK_NOT_READ}: the interval of the reader minus another's vector includes 0, so nothing shows that the "
        "answer depends on the vector."
    )
    if any(TASK_NOT_FOLLOWED in row.marks for row in rows):
        yield (
            f"{TASK_NOT_FOLLOWED}: more than half of the reader's answers are nearly those to another task about the "
            "same point."
        )
    if any(TASK_NOT_SHOWN in row.marks for row in rows):
        yield (
            f"{TASK_NOT_SHOWN}: the interval of told apart includes chance, so nothing shows in the reader's words "
            "which task was asked."
        )
    if any(row.task_accuracy[0] for row in rows):
        yield (
            "Told apart: how often, of the answers to all tasks about one point, a classifier picks the one to this "
            "task; of the reader, and after the stroke of the LM told the truth. Chance is 1 / the number of tasks "
            "about these points."
        )


# --- a comparison ---


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """Warnings first, then the reader whole, and of the others what clearly changed."""
    yield from wrapped(f"first   {comparison.first}", first="", rest="        ")
    yield from wrapped(f"second  {comparison.second}", first="", rest="        ")
    for warning in comparison.warnings:
        yield from wrapped(f"! {warning}", rest="    ")
    for line in (*comparison.settings, *comparison.unmatched):
        yield from wrapped(line, rest="    ")
    for one in comparison.sets:
        yield ""
        yield from wrapped(about(one), first="", rest="  ")
        yield from _changes(one)
        yield from wrapped(caution(one))


def _changes(one: SetComparison) -> Iterator[str]:
    widths = (34, 9, 9, 26, 7)
    yield from _lines(_grid(widths, ("", "first", "second", "second - first", "")), WIDTH)
    for key, name in one.systems.items():
        changes = [change for change in one.of(key) if key == READER or change.is_clear]
        if not changes:
            continue
        yield from wrapped(name)
        table = _grid(widths)
        for change in changes:
            measure = one.measure(change.measure)
            _add(table, measure.name or measure.key, _change_cells(measure, change), indent=4)
        yield from _lines(table, WIDTH)
    unclear = sum(change.system != READER and not change.is_clear for change in one.changes)
    if unclear:
        yield f"  {unclear} differences of other systems are not clear of 0 and not listed."


def _change_cells(measure: Measure, change: Change) -> list[str]:
    values = [number(measure, value) for value in (change.first, change.second)]
    return [*values, cell(measure, change.difference, signed=True), change.verdict]
