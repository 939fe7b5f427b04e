"""Reports, task tables, comparisons, traces and what a rater said as lines of text for a terminal."""

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from vecspeak.evaluation.report import FEW, READER, AnySet, Measure
from vecspeak.foreign import shown
from vecspeak.report.compare import Change, Comparison, SetComparison, about, caution
from vecspeak.report.tables import (
    EMPTY,
    FOUND,
    TASK_NOT_FOLLOWED,
    TASK_NOT_READ,
    TASK_NOT_SHOWN,
    TRAINED_ON,
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

    from vecspeak.explore.trace import Path, Step, Trace

WIDTH = 120
"""Characters of a line."""
_TRACE_WIDTH, _TRACE_NEAR = 110, 3
"""Characters of a line of a trace, and items that are named below it."""
_NAME, _COLUMN = 30, len("(higher is better)")
_TASK_WIDTHS = (25, 16, 5, 5, 5, 5, 5, 4, 4, 4, 9, 19)
_TASK_HEADS = (
    "",
    "SC: the reader",
    "shuf.\nvec.",
    "mean\nvec.",
    "near.\ntext",
    "LM, 3\nnear.",
    "LM,\ntruth",
    *(f"\n{name}" for name in FOUND.values()),
    "task\nacc./LM",
    "reader minus\nshuffled",
)


def wrapped(text: str, *, first: str = "  ", rest: str = "  ", width: int = WIDTH) -> list[str]:
    """The text in lines of a terminal; what a terminal would obey is shown."""
    return textwrap.wrap(shown(text), width, initial_indent=first, subsequent_indent=rest)


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
        f"{TASK_NOT_READ}: the interval of the reader minus the shuffled control includes 0, so nothing shows that the "
        "answer depends on the vector."
    )
    if any(TASK_NOT_FOLLOWED in row.marks for row in rows):
        yield (
            f"{TASK_NOT_FOLLOWED}: more than half of the reader's answers are nearly those to another task about the "
            "same point."
        )
    if any(TASK_NOT_SHOWN in row.marks for row in rows):
        yield (
            f"{TASK_NOT_SHOWN}: the interval of the task accuracy includes chance, so nothing shows in the reader's "
            "words which task was asked."
        )
    if any(row.task_accuracy[0] for row in rows):
        yield (
            "Task accuracy: how often, of the answers to all tasks about one point, a classifier picks the one to this "
            "task; of the reader, and after the slash of the base model with the true text. Chance is 1 / the number "
            "of tasks about these points."
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


def trace_lines(found: "Trace") -> list[str]:
    """A trace for a terminal: every step with its evidence, then where the path leaves the data, and the slopes."""
    lines = [f"{found.start} along {found.concept} ({found.source}) in {found.space}: {found.question}"]
    if found.caution:
        lines.append(f"CAUTION: {found.caution}")
    lines += found.notes
    names = list(found.path.steps[0].judged)
    for path in found.paths:
        lines += ["", *_path_lines(path, names)]
    lines += ["", *_trace_legend(found, names), "", *_exits(found), *_slopes(found)]
    return lines


def _path_lines(path: "Path", judges: Sequence[str]) -> list[str]:
    columns = "".join(f"{_first_word(name):>{_column_width(name)}}" for name in judges)
    lines = [f"{path.name}:", f"   amount  percentile        {columns}  answer"]
    for step in path.steps:
        lines += _step_lines(step)
    if path.refused:
        lines.append(
            f"  stopped: {', '.join(f'{amount:g}' for amount in path.refused)} would lie outside the data"
        )
    return lines


def _first_word(judge: str) -> str:
    """The first word of a judge's name, as the head of its column: classifier, encoder."""
    return judge.replace(",", " ").split()[0]


def _column_width(judge: str) -> int:
    """How wide its column is."""
    return max(len(_first_word(judge)), 5) + 2


def _trace_legend(found: "Trace", judges: Sequence[str]) -> list[str]:
    """What the columns and the controls are, a line each."""
    lines = ["percentile: share of the real items that lie no farther from the data; above 99 it is outside"]
    for name in judges:
        doubt = "; its interval includes 0.5, a guess, so nothing is concluded from it"
        what = f"how much of {found.concept} is in the answer, in standard deviations of real texts"
        lines.append(f"{_first_word(name)}: {what} ({name}{doubt if name in found.doubted else ''})")
    if any(path.kind in ("random", "isotropic") for path in found.controls):
        lines.append(
            "random direction: drawn as the items vary; isotropic direction: any direction alike; "
            f"neither holds anything of {found.concept}"
        )
    return lines


def _step_lines(step: "Step") -> list[str]:
    far = f"{step.percentile:5.1f}% " + ("OUTSIDE" if step.is_outside else "       ")
    judged = "".join(f"{score:+{_column_width(name)}.2f}" for name, score in step.judged.items())
    head = f"  {step.amount:+7.2f}      {far} {judged}  "
    room = _TRACE_WIDTH - len(head)
    text = textwrap.shorten(step.text.replace("\n", " ") or "(no answer)", room, placeholder=" ...")
    near = "; ".join(one.label for one in step.nearest[:_TRACE_NEAR])
    shown = [f"{' ' * len(head)}near: {textwrap.shorten(near, room - 6, placeholder=' ...')}"]
    if step.words:
        words = textwrap.shorten(str(step.words), room - 7, placeholder=" ...")
        shown.insert(0, f"{' ' * len(head)}words: {words}")
    if step.flags:
        shown.append(
            f"{' ' * len(head)}PRIVACY: states {' and '.join(step.flags)} of a person: do not believe it"
        )
    return [f"{head}{text}", *shown]


def _exits(found: "Trace") -> list[str]:
    below, above = found.looked_at
    exits = (("up", above, found.crossings_above), ("down", below, found.crossings_below))
    return [f"{name}: {_crossings(end, crossings)}" for name, end, crossings in exits if end]


def _crossings(end: float, crossings: Sequence[float]) -> str:
    """Every crossing in turn: leaves, inside again, leaves again."""
    if not crossings:
        return f"stays in the data to {end:+g} standard deviations, as far as was looked"
    shown = [f"leaves the data at {crossings[0]:+.1f} standard deviations"]
    for place, amount in enumerate(crossings[1:]):
        shown.append(f"{'outside' if place % 2 else 'inside'} again from {amount:+.1f}")
    return ", ".join(shown) + f" (looked at to {end:+g})"


def _slopes(found: "Trace") -> list[str]:
    """How much the judged attribute changes a standard deviation, beside the controls; from one point, so a hint."""
    lines = []
    for judge in found.path.slopes:
        shown = ", ".join(
            f"{path.name} {path.slopes[judge]:+.3f}" for path in found.paths if judge in path.slopes
        )
        lines.append(f"change a step by {judge}: {shown}")
    lines += [f"change a step by {judge}: not told, it may be guessing" for judge in found.doubted]
    if found.path.slopes:
        lines.append(
            "from one point these have no interval: docs/points.md has slopes over many held-out items"
        )
    return lines


def judged_lines(entry: Mapping[str, Any]) -> Iterator[str]:
    """What a rater found, for a terminal: the check of the rater first."""
    checks = entry["checks"]
    if entry["trained_on"]:
        yield TRAINED_ON
    yield f"{entry['set']}: {entry['entities']:,} entities rated by {entry['model']} at {entry['url_host']}"
    yield checks["verdict"] if checks["trusted"] else f"DO NOT TRUST: {checks['verdict']}"
    scales = ("fluent", "fits", "specific")
    yield f"  {'from 1 to 5':<24}" + "".join(f"{name:<20}" for name in scales).rstrip()
    for system, values in entry["systems"].items():
        yield (
            f"  {system:<24}" + "".join(f"{_judged_number(values.get(name)):<20}" for name in scales).rstrip()
        )
    for kind in ("right", "wrong", "broken"):
        cells = "".join(f"{_judged_number(checks[kind].get(name)):<20}" for name in scales).rstrip()
        yield f"  {f'(planted {kind})':<24}{cells}"
    for baseline, pair in entry["pairs"].items():
        yield f"  reader against {baseline}: {_judged_pair(pair)}"
    if checks["pair"]:
        yield f"  (planted right against wrong: {_judged_pair(checks['pair'])})"
    yield f"  {entry['asked']:,} questions asked, {entry['cached']:,} from the cache, " + (
        f"{entry['unanswered']:,} without a usable reply"
    )


def _judged_number(estimate: dict[str, Any] | None) -> str:
    return f"{estimate['value']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]" if estimate else "-"


def _judged_pair(pair: dict[str, Any]) -> str:
    shares = ", ".join(
        f"{word} {pair[key]['value']:.0%} [{pair[key]['low']:.0%}, {pair[key]['high']:.0%}]"
        for key, word in (("win", "better"), ("tie", "tied"), ("loss", "worse"))
    )
    flips = "" if pair["flips"] is None else f"; the order changed {pair['flips']:.0%} of the verdicts"
    return shares + flips
