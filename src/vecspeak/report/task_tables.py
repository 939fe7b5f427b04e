"""Task table: one row a task, for the terminal, for Markdown and for the page: every system's consistency side by side.

Knows evaluated sets of tasks and their summaries. Computes no estimate.
`python -m vecspeak.evaluation.task_table REPORT.json` prints the table of a report or of its summary.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from vecspeak.evaluation.cases import BETWEEN
from vecspeak.evaluation.report import (
    ALIKE,
    FEW,
    NOT_FOLLOWED,
    NOT_TOLD,
    OVER_SWAP,
    READER,
    TASK_ACCURACY,
    AnySet,
)
from vecspeak.model.prompt import PromptTemplate
from vecspeak.report.tables import EMPTY, printed, wrapped
from vecspeak.stats import Estimate

NOT_READ = "NOT READ"
ONE_ANSWER = "ONE ANSWER FOR MANY"
TASK_NOT_FOLLOWED = "TASK NOT FOLLOWED"
TASK_NOT_TOLD = "TASK NOT TOLD"
_OTHERS = {
    "swapped": "another's vector",
    "mean": "mean vector",
    "nearest_text": "nearest text",
    "lm_texts": "LM told 3 nearest",
    "lm_truth": "LM told the truth",
}
"""Systems beside the reader, as the heads call them."""
_FOUND = {"bc": "BC", "r1": "R@1", "r10": "R@10"}
_TASK = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One task about one kind of points."""

    space: str
    task: str
    points: str
    """Items, pairs, people, or between."""
    count: int
    split: str
    measure: str
    """By what systems are compared: SC, or BC where consistency with a text has no meaning."""
    reader: Estimate | None
    others: tuple[Estimate | None, ...]
    """In the order of the heads."""
    found: tuple[Estimate | None, ...]
    """Behavioral consistency of the reader, R@1 and R@10."""
    second: Estimate | None
    """The reader's consistency by the second encoder."""
    told_apart: tuple[Estimate | None, Estimate | None]
    """How well the reader's answers show which task was asked, and those of the base model with the truth."""
    alike: Estimate | None
    """Share of the reader's answers that are nearly those to another task."""
    over_swap: Estimate | None
    """Reader minus another's vector, paired."""
    marks: tuple[str, ...]
    """What must be told of it first."""


def task_rows(sets: Sequence[AnySet]) -> list[TaskRow]:
    """The rows of those sets that are tasks, of one space and one kind of points together; others are passed over."""
    rows = [_row(one) for one in sets if any(measure.key == OVER_SWAP for measure in one.measures)]
    kinds = list(dict.fromkeys((row.space, row.points) for row in rows))
    return sorted(rows, key=lambda row: kinds.index((row.space, row.points)))


def task_heads(sets: Sequence[AnySet]) -> list[str]:
    """Heads of a full table, from the task on; empty where no set is a task."""
    if not task_rows(sets):
        return []
    others = [f"SC, {name}" for name in _OTHERS.values()]
    told = ["told apart, the reader", f"told apart, {_OTHERS['lm_truth']}", "alike"]
    tail = [*_FOUND.values(), "SC, 2nd encoder", *told, "reader minus another's"]
    return ["task", "points", "n", "SC, the reader", *others, *tail]


def _row(one: AnySet) -> TaskRow:
    space, _, task = one.name.partition(" / ")
    reader = one.system(READER)
    own = reader.estimates if reader else {}
    by_sc = any(measure.key == "sc" for measure in one.measures)
    main = "sc" if by_sc else "bc"
    others = [system.estimates if (system := one.system(key)) else {} for key in _OTHERS]
    truth = others[list(_OTHERS).index("lm_truth")]
    return TaskRow(
        space=space,
        task=task.removesuffix(BETWEEN),
        points=_points(one),
        count=one.count,
        split=one.split,
        measure=main.upper(),
        reader=own.get(main),
        others=tuple(other.get(main) for other in others),
        found=tuple(own.get(key) for key in _FOUND),
        second=own.get("sc_2"),
        told_apart=(own.get(TASK_ACCURACY), truth.get(TASK_ACCURACY)),
        alike=own.get(ALIKE),
        over_swap=own.get(OVER_SWAP),
        marks=tuple(_marks(one, own.get(OVER_SWAP))),
    )


def _points(one: AnySet) -> str:
    if one.name.endswith(BETWEEN):
        return "between"
    if any(measure.key == "bc_own" for measure in one.measures):
        return "people"
    return "pairs" if len(set(PromptTemplate(one.question).slots)) > 1 else "items"


def _marks(one: AnySet, over_swap: Estimate | None) -> Iterator[str]:
    if one.trained_on:
        yield "TRAINING ENTITIES"
    if over_swap is not None and over_swap.low <= 0:
        yield NOT_READ
    if any(flag.startswith(ONE_ANSWER) for flag in one.flags):
        yield ONE_ANSWER
    if any(flag.startswith(NOT_FOLLOWED) for flag in one.flags):
        yield TASK_NOT_FOLLOWED
    if any(flag.startswith(NOT_TOLD) for flag in one.flags):
        yield TASK_NOT_TOLD


def cells(row: TaskRow) -> list[str]:
    """The row as text, under `task_heads`."""
    other = f" ({row.measure})" if row.measure != "SC" else ""
    return [
        row.task,
        row.points,
        f"{row.count:,}",
        _with_interval(row.reader) + other,
        *map(_value, row.others),
        *map(_value, row.found),
        _value(row.second),
        _with_interval(row.told_apart[0]),
        *map(_value, (row.told_apart[1], row.alike)),
        " ".join([_with_interval(row.over_swap, signed=True), *row.marks]),
    ]


def _value(estimate: Estimate | None, digits: int = 3) -> str:
    return EMPTY if estimate is None else f"{estimate.value:z.{digits}f}"


def _with_interval(estimate: Estimate | None, *, signed: bool = False, digits: int = 3) -> str:
    if estimate is None:
        return EMPTY
    form = f"{'+' if signed else ''}z.{digits}f"
    return f"{estimate.value:{form}} [{estimate.low:{form}}, {estimate.high:{form}}]"


# --- the terminal ---


def task_lines(sets: Sequence[AnySet]) -> Iterator[str]:
    """Lines for a terminal, none longer than 120 letters: a heading for each kind of points, then a row a task."""
    rows = task_rows(sets)
    if any(row.count < FEW for row in rows):
        yield from wrapped(f"! Fewer than {FEW} entities are too few for intervals to be relied on.")
    yield from _heads()
    for (space, points, measure, split, count), some in groupby(
        rows, key=lambda row: (row.space, row.points, row.measure, row.split, row.count)
    ):
        other = f" ({measure} in place of SC)" if measure != "SC" else ""
        yield f"{space}, {points} of {split!r}, n = {count:,}{other}"
        for row in some:
            yield from _line(row).splitlines()
    yield ""
    for words in _explained(rows):
        yield from wrapped(words)


def _explained(rows: Sequence[TaskRow]) -> Iterator[str]:
    """What the heads and marks mean."""
    yield (
        f"{NOT_READ}: the interval of the reader minus another's vector includes 0, so nothing shows that the answer "
        "depends on the vector."
    )
    if any(TASK_NOT_FOLLOWED in row.marks for row in rows):
        yield (
            f"{TASK_NOT_FOLLOWED}: more than half of the reader's answers are nearly those to another task about the "
            "same point."
        )
    if any(TASK_NOT_TOLD in row.marks for row in rows):
        yield (
            f"{TASK_NOT_TOLD}: the interval of told apart includes chance, so nothing shows in the reader's words "
            "which task was asked."
        )
    if any(row.told_apart[0] for row in rows):
        yield (
            "Told apart: how often, of the answers to all tasks about one point, a classifier picks the one to this "
            "task; of the reader, and after the stroke of the LM told the truth. Chance is 1 / the number of tasks "
            "about these points."
        )


_HEADS = (
    (
        "",
        "SC: the reader",
        "other",
        "mean",
        "near.",
        "LM, 3",
        "LM,",
        *("",) * 3,
        "told",
        "reader minus other",
    ),
    ("", "", "vec.", "vec.", "text", "near.", "truth", *_FOUND.values(), "apart/LM", "vector"),
)
"""Two lines of short heads."""
_WIDTHS = (_TASK, 16, 5, 5, 5, 5, 5, 4, 4, 4, 9, 19)


def _heads() -> Iterator[str]:
    yield from map(_laid_out, _HEADS)


def _laid_out(texts: Sequence[str]) -> str:
    first, *rest = zip(texts, _WIDTHS, strict=True)
    return " ".join([f"  {first[0]:<{first[1]}}", *(f"{text:>{width}}" for text, width in rest)]).rstrip()


def _line(row: TaskRow) -> str:
    values = (_value(one, 2) for one in (*row.others, *row.found))
    told = "/".join(_value(one, 2) for one in row.told_apart) if any(row.told_apart) else EMPTY
    line = _laid_out([row.task, _tight(row.reader), *values, told, _tight(row.over_swap, signed=True)])
    return f"{line}\n      {', '.join(row.marks)}" if row.marks else line


def _tight(estimate: Estimate | None, *, signed: bool = False) -> str:
    return _with_interval(estimate, signed=signed, digits=2).replace(", ", ",")


# --- Markdown ---


def task_markdown(sets: Sequence[AnySet]) -> str:
    """A Markdown table for each space: a row a task, the reader's consistency in bold."""
    heads = task_heads(sets)
    found = []
    for space, rows in groupby(task_rows(sets), key=lambda row: row.space):
        lines = [f"**{space}**", "", f"| {' | '.join(heads)} |", "|---|" + "---|" * (len(heads) - 1)]
        for row in rows:
            own = cells(row)
            own[3] = f"**{own[3]}**"
            lines.append(f"| {' | '.join(own)} |")
        found.append("\n".join(lines))
    return "\n\n".join(found)


def main(arguments: Sequence[str]) -> int:
    """Print the Markdown table of the report or summary that is named; the exit status."""
    return printed(arguments, "task_tables", task_markdown)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
