"""Table: systems by measures with intervals, for the terminal and for Markdown, and whether the vector is read.

Knows evaluated sets and their summaries. Computes no estimate.
`python -m vecspeak.report.tables REPORT.json` prints the Markdown tables of a report or of its summary.
"""

import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vecspeak.errors import UserError
from vecspeak.evaluation.report import (
    NOT_READ_BELOW,
    OVER_SWAP,
    READER,
    UNSURE_ABOVE,
    AnySet,
    Measure,
    System,
    read_summary,
)
from vecspeak.stats import Estimate

WIDTH = 120
"""Letters in a line of a terminal."""
EMPTY = "–"
NOT_READ = "THE VECTOR IS NOT READ"
NOT_SHOWN = "NOT SHOWN THAT THE VECTOR IS READ"
TRAINED_ON = "TRAINING ENTITIES: THESE NUMBERS SAY NOTHING ABOUT WHAT WAS NOT SEEN"
_NAME = 30
"""Letters of a system's name in a line; longer ones go on in the next."""
_COLUMN = len("(higher is better)")
_BETWEEN = 2
_ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the vector is read, by the swap gap of the reader."""

    kind: Literal["read", "not read", "not shown", "not measured"]
    words: str


def verdict(one: AnySet) -> Verdict:
    """Read: the interval of the reader's swap gap is clear of zero by more than noise (0.02 nats a token).

    Where no loss was measured: the interval of what the right answer has over another entity's is above zero.
    """
    reader = one.system(READER)
    gap = reader.estimates.get("gap") if reader else None
    over_swap = reader.estimates.get(OVER_SWAP) if reader else None
    if gap is None and over_swap is not None:
        return _by_answers(over_swap)
    if gap is None:
        return Verdict(kind="not measured", words="Whether the vector is read was not measured.")
    size = f"swap gap {gap.value:z.3f} [{gap.low:z.3f}, {gap.high:z.3f}] nats a token"
    if gap.low > NOT_READ_BELOW:
        return Verdict(
            kind="read",
            words=f"The vector is read: another entity's vector makes the truth less likely ({size}).",
        )
    if gap.high > UNSURE_ABOVE:
        return Verdict(kind="not shown", words=f"{NOT_SHOWN}: evaluate more entities ({size}).")
    return Verdict(
        kind="not read",
        words=f"{NOT_READ}: another entity's vector does as well as the right one ({size}).",
    )


def _by_answers(over_swap: Estimate) -> Verdict:
    size = f"{over_swap.value:+z.3f} [{over_swap.low:+z.3f}, {over_swap.high:+z.3f}]"
    if over_swap.low > 0:
        words = f"The vector is read: its answer fits better than the one given to another entity ({size})."
        return Verdict(kind="read", words=words)
    words = f"NOT READ: nothing shows that the answers depend on the vectors (over another entity's: {size})."
    return Verdict(kind="not read", words=words)


def is_read(one: AnySet) -> bool:
    """Whether the vector is read, by the verdict."""
    return verdict(one).kind == "read"


def notices(one: AnySet) -> list[str]:
    """What must be told before any number: training entities first, then a vector that is not read, then the flags.

    Each is told once, also where a flag says it too.
    """
    found = [TRAINED_ON] if one.trained_on else []
    if verdict(one).kind in ("not read", "not shown"):
        found.append(verdict(one).words)
    said = tuple(notice.partition(":")[0] for notice in found)
    return found + [flag for flag in one.flags if flag.partition(":")[0] not in said]


# --- numbers ---


def is_rank(measure: Measure) -> bool:
    """Whether its values are ranks or counts, to be written without decimals."""
    return measure.key.startswith("rank") or measure.statistic == "median"


def number(measure: Measure, value: float, *, signed: bool = False) -> str:
    """Ranks as whole or with one decimal, all else with three; a difference carries its sign."""
    sign = "+" if signed else ""
    if is_rank(measure):
        return f"{value:{sign}z,.1f}".removesuffix(".0")
    return f"{value:{sign}z,.3f}"


def interval(measure: Measure, estimate: Estimate, *, signed: bool = False) -> str:
    """As `[0.470, 0.490]`."""
    ends = (number(measure, value, signed=signed) for value in (estimate.low, estimate.high))
    return f"[{', '.join(ends)}]"


def cell(measure: Measure, estimate: Estimate | None, *, signed: bool = False) -> str:
    """As `0.480 [0.470, 0.490]`; a dash where there is none."""
    if estimate is None:
        return EMPTY
    value = number(measure, estimate.value, signed=signed)
    return f"{value} {interval(measure, estimate, signed=signed)}"


def measured(one: AnySet) -> list[Measure]:
    """The measures that some system has, in order."""
    return [m for m in one.measures if any(m.key in system.estimates for system in one.systems)]


# --- the terminal ---


def plain(one: AnySet) -> Iterator[str]:
    """Lines for a terminal, none longer than 120 letters: what must be told first, then the table in blocks."""
    about = f"{one.name}: {one.count:,} entities of {one.split!r}, asked {one.question!r}"
    yield from wrapped(about, first="", rest="  ")
    for notice in notices(one):
        yield from wrapped(f"! {notice}", rest="    ")
    for block in _blocks(one):
        yield ""
        yield from _block(one.systems, block)
    if verdict(one).kind not in ("not read", "not shown"):
        yield ""
        yield from wrapped(verdict(one).words)


def wrapped(text: str, *, first: str = "  ", rest: str = "  ") -> list[str]:
    """The text in lines of a terminal; what a terminal would obey instead of showing is left out."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return textwrap.wrap(shown, WIDTH, initial_indent=first, subsequent_indent=rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    measure: Measure
    cells: tuple[str, ...]
    width: int


def _blocks(one: AnySet) -> Iterator[list[_Column]]:
    """As many measures side by side as there is room for."""
    block: list[_Column] = []
    room = WIDTH - _NAME - _BETWEEN
    left = room
    for measure in measured(one):
        cells = tuple(cell(measure, system.estimates.get(measure.key)) for system in one.systems)
        column = _Column(measure=measure, cells=cells, width=max(_COLUMN, *map(len, cells)))
        if block and left < column.width + _BETWEEN:
            yield block
            block, left = [], room
        block.append(column)
        left -= column.width + _BETWEEN
    if block:
        yield block


def _block(systems: Sequence[System], columns: Sequence[_Column]) -> Iterator[str]:
    heads = [_head(column) for column in columns]
    height = max(map(len, heads))
    for level in range(height):
        words = [head[level - height + len(head)] if level >= height - len(head) else "" for head in heads]
        yield _line("", words, columns)
    for index, system in enumerate(systems):
        names = textwrap.wrap(system.name, _NAME) or [system.key]
        yield _line(names[0], [column.cells[index] for column in columns], columns)
        yield from (f"    {name}" for name in names[1:])


def _head(column: _Column) -> list[str]:
    better = f"({column.measure.better} is better)" if column.measure.better else ""
    return textwrap.wrap(column.measure.name, column.width) + ([better] if better else [])


def _line(name: str, cells: Sequence[str], columns: Sequence[_Column]) -> str:
    between = " " * _BETWEEN
    together = zip(cells, columns, strict=True)
    return between.join(
        [f"  {name:<{_NAME}}", *(f"{text:>{column.width}}" for text, column in together)]
    ).rstrip()


# --- Markdown ---


def markdown(sets: Sequence[AnySet]) -> str:
    """For each set what it is and its table: a row a system, the reader in bold, a column a measure."""
    return "\n\n".join("\n".join(_markdown(one)) for one in sets)


_OVERVIEW = ("reader", "best_of", "swapped", "mean", "nearest_text", "nearest_whole", "lm_texts", "lm_truth")
"""Systems that the overview shows side by side."""


def overview(sets: Sequence[AnySet]) -> str:
    """One Markdown table of all sets: the swap gap, then consistency of the reader and of the chief baselines.

    Consistency is the second encoder's, which had no part in the answers, where every set has it.
    """
    second = all(any(measure.key == "sc_2" for measure in one.measures) for one in sets)
    names = {key: _short(sets, key) for key in _OVERVIEW}
    heads = ["", "swap gap, nats a token", "gain over the mean", *(name for name in names.values() if name)]
    lines = [f"| {' | '.join(heads).strip()} |", "|---|" + "---|" * (len(heads) - 1)]
    for one in sets:
        by_key = {measure.key: measure for measure in one.measures}
        consistency = by_key["sc_2" if second else "sc"]
        reader = one.system(READER)
        told = " **TRAINING ENTITIES**" if one.trained_on else ""
        cells = [f"{_safe(one.name)}, {_safe(one.split)} ({one.count:,}){told}"]
        for key in ("gap", "gap_mean"):
            cells.append(cell(by_key["gap"], reader.estimates.get(key) if reader else None))
        for key, name in names.items():
            system = one.system(key)
            if name:
                cells.append(cell(consistency, system.estimates.get(consistency.key) if system else None))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _short(sets: Sequence[AnySet], key: str) -> str:
    """The system's name in the first set that has it; empty where none has."""
    found = (one.system(key) for one in sets)
    return next((_safe(system.name) for system in found if system), "")


def _markdown(one: AnySet) -> Iterator[str]:
    yield f"**{_safe(one.name)}**: {one.count:,} entities of {_safe(one.split)}, asked `{_code(one.question)}`"
    for notice in notices(one):
        yield f"\n**{_safe(notice)}**"
    measures = measured(one)
    heads = [f"{_safe(measure.name)}{_ARROWS[measure.better]}" for measure in measures]
    yield ""
    yield f"| {' | '.join(['', *heads]).strip()} |" if heads else "| |"
    yield "|---|" + "---|" * len(heads)
    for system in one.systems:
        name = f"**{_safe(system.name)}**" if system.key == READER else _safe(system.name)
        cells = [cell(measure, system.estimates.get(measure.key)) for measure in measures]
        yield f"| {' | '.join([name, *cells])} |"


def _safe(text: str) -> str:
    """One line in which no letter is taken for Markdown."""
    line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\|*_`<[" else letter for letter in line)


def _code(text: str) -> str:
    return " ".join(text.split()).replace("`", "'")


def printed(arguments: Sequence[str], module: str, written: Callable[[Sequence[AnySet]], str]) -> int:
    """Print what a module writes of the report or summary that is named; the exit status."""
    if len(arguments) != 1:
        sys.stderr.write(f"python -m vecspeak.report.{module} REPORT.json\n")
        return 2
    try:
        summary = read_summary(arguments[0])
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{written(summary.sets)}\n")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Print the overview and the Markdown tables of the report or summary that is named; the exit status."""
    return printed(arguments, "tables", lambda sets: f"{overview(sets)}\n\n{markdown(sets)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
