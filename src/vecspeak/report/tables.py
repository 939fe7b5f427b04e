"""Tables of reports as Markdown, what their cells say, and the verdict whether the vector is read.

`python -m vecspeak.report.tables FILE.json` prints those of a report, of its summary, or of scores of points.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vecspeak.console import say
from vecspeak.errors import UserError
from vecspeak.evaluation.report import (
    ALIKE,
    NOT_FOLLOWED,
    NOT_READ_BELOW,
    OVER_SWAP,
    POINT,
    READER,
    TASK_ACCURACY,
    TASK_NOT_EVIDENT,
    UNSURE_ABOVE,
    AnySet,
    Measure,
    read_summary,
)
from vecspeak.evaluation.task_cases import BETWEEN
from vecspeak.model.prompt import PromptTemplate
from vecspeak.stats import Estimate
from vecspeak.storage import read_json

if TYPE_CHECKING:
    from vecspeak.protocols.interpolation import Interpolations
    from vecspeak.protocols.slopes import AttributeSlopes

EMPTY = "–"
NOT_READ = "THE VECTOR IS NOT READ"
NOT_SHOWN = "NOT SHOWN THAT THE VECTOR IS READ"
TRAINED_ON = "TRAINING ENTITIES: THESE NUMBERS SAY NOTHING ABOUT WHAT WAS NOT SEEN"
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
    size = f"swap gap {gap:z.3f} nats a token"
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
    size = f"{over_swap:+z.3f}"
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


# --- Markdown ---


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of texts in which nothing is escaped."""
    lines = [heads, *rows]
    head, *body = (f"| {' | '.join(line).lstrip()} |" for line in lines)
    return "\n".join([head, "|---|" + "---|" * (len(heads) - 1), *body])


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
    rows = []
    for one in sets:
        by_key = {measure.key: measure for measure in one.measures}
        consistency = by_key["sc_2" if second else "sc"]
        reader = one.system(READER)
        shown = " **TRAINING ENTITIES**" if one.trained_on else ""
        cells = [f"{_safe(one.name)}, {_safe(one.split)} ({one.count:,}){shown}"]
        for key in ("gap", "gap_mean"):
            cells.append(cell(by_key["gap"], reader.estimates.get(key) if reader else None))
        for key, name in names.items():
            system = one.system(key)
            if name:
                cells.append(cell(consistency, system.estimates.get(consistency.key) if system else None))
        rows.append(cells)
    return markdown_table(heads, rows)


def _short(sets: Sequence[AnySet], key: str) -> str:
    """The system's name in the first set that has it; empty where none has."""
    found = (one.system(key) for one in sets)
    return next((_safe(system.name) for system in found if system), "")


def _markdown(one: AnySet) -> Iterator[str]:
    question = " ".join(one.question.split()).replace("`", "'")
    yield f"**{_safe(one.name)}**: {one.count:,} entities of {_safe(one.split)}, asked `{question}`"
    for notice in notices(one):
        yield f"\n**{_safe(notice)}**"
    measures = measured(one)
    heads = [f"{_safe(measure.name)}{_ARROWS[measure.better]}" for measure in measures]
    yield ""
    rows = []
    for system in one.systems:
        name = f"**{_safe(system.name)}**" if system.key == READER else _safe(system.name)
        rows.append([name, *(cell(measure, system.estimates.get(measure.key)) for measure in measures)])
    yield markdown_table(["", *heads], rows)


def _safe(text: str) -> str:
    """One line in which no letter is taken for Markdown."""
    line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\|*_`<[" else letter for letter in line)


# --- tasks, a row each ---

TASK_NOT_READ = "NOT READ"
ONE_ANSWER = "ONE ANSWER FOR MANY"
TASK_NOT_FOLLOWED = "TASK NOT FOLLOWED"
_NOT_EVIDENT_BEFORE = "THE TASK IS NOT TOLD"
"""How older reports begin the flag TASK_NOT_EVIDENT."""
TASK_NOT_SHOWN = "TASK NOT EVIDENT"
_TASK_OTHERS = {
    "swapped": "shuffled vector",
    "mean": "mean vector",
    "nearest_text": "nearest text",
    "lm_texts": "base model, 3 nearest texts",
    "lm_truth": "base model, true text",
}
"""Baselines and controls, as the heads call them."""
FOUND = {"bc": "BC", "r1": "R@1", "r10": "R@10"}


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
    task_accuracy: tuple[Estimate | None, Estimate | None]
    """How well the reader's answers show which task was asked, and those of the base model with the truth."""
    alike: Estimate | None
    """Share of the reader's answers that are nearly those to another task."""
    over_swap: Estimate | None
    """Reader minus shuffled control, paired."""
    marks: tuple[str, ...]
    """Warnings that stand before its numbers."""


def task_rows(sets: Sequence[AnySet]) -> list[TaskRow]:
    """The rows of those sets that are tasks, of one space and one kind of points together; others are passed over."""
    rows = [_row(one) for one in sets if any(measure.key == OVER_SWAP for measure in one.measures)]
    kinds = list(dict.fromkeys((row.space, row.points) for row in rows))
    return sorted(rows, key=lambda row: kinds.index((row.space, row.points)))


def task_heads(sets: Sequence[AnySet]) -> list[str]:
    """Heads of a full table, from the task on; empty where no set is a task."""
    if not task_rows(sets):
        return []
    others = [f"SC, {name}" for name in _TASK_OTHERS.values()]
    shown = ["task accuracy, the reader", f"task accuracy, {_TASK_OTHERS['lm_truth']}", "alike"]
    tail = [*FOUND.values(), "SC, 2nd encoder", *shown, "reader minus shuffled"]
    return ["task", "points", "n", "SC, the reader", *others, *tail]


def _row(one: AnySet) -> TaskRow:
    space, _, task = one.name.partition(" / ")
    reader = one.system(READER)
    own = reader.estimates if reader else {}
    by_sc = any(measure.key == "sc" for measure in one.measures)
    main = "sc" if by_sc else "bc"
    others = [system.estimates if (system := one.system(key)) else {} for key in _TASK_OTHERS]
    truth = others[list(_TASK_OTHERS).index("lm_truth")]
    return TaskRow(
        space=space,
        task=task.removesuffix(BETWEEN),
        points=_points(one),
        count=one.count,
        split=one.split,
        measure=main.upper(),
        reader=own.get(main),
        others=tuple(other.get(main) for other in others),
        found=tuple(own.get(key) for key in FOUND),
        second=own.get("sc_2"),
        task_accuracy=(own.get(TASK_ACCURACY), truth.get(TASK_ACCURACY)),
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
        yield TASK_NOT_READ
    if any(flag.startswith(ONE_ANSWER) for flag in one.flags):
        yield ONE_ANSWER
    if any(flag.startswith(NOT_FOLLOWED) for flag in one.flags):
        yield TASK_NOT_FOLLOWED
    if any(flag.startswith((TASK_NOT_EVIDENT, _NOT_EVIDENT_BEFORE)) for flag in one.flags):
        yield TASK_NOT_SHOWN


def task_cells(row: TaskRow) -> list[str]:
    """The row as text, under `task_heads`."""
    other = f" ({row.measure})" if row.measure != "SC" else ""
    return [
        row.task,
        row.points,
        f"{row.count:,}",
        short_interval(row.reader) + other,
        *map(short_value, row.others),
        *map(short_value, row.found),
        short_value(row.second),
        short_interval(row.task_accuracy[0]),
        *map(short_value, (row.task_accuracy[1], row.alike)),
        " ".join([short_interval(row.over_swap, signed=True), *row.marks]),
    ]


def short_value(estimate: Estimate | None, digits: int = 3) -> str:
    """The value alone; a dash where there is none."""
    return EMPTY if estimate is None else f"{estimate.value:z.{digits}f}"


def short_interval(estimate: Estimate | None, *, signed: bool = False, digits: int = 3) -> str:
    """As `0.480 [0.470, 0.490]`; a dash where there is none."""
    if estimate is None:
        return EMPTY
    form = f"{'+' if signed else ''}z.{digits}f"
    return f"{estimate:{form}}"


def task_markdown(sets: Sequence[AnySet]) -> str:
    """A Markdown table for each space: a row a task, the reader's consistency in bold."""
    heads = task_heads(sets)
    found = []
    for space, rows in groupby(task_rows(sets), key=lambda row: row.space):
        found_rows = []
        for row in rows:
            own = task_cells(row)
            own[3] = f"**{own[3]}**"
            found_rows.append(own)
        found.append(f"**{space}**\n\n{markdown_table(heads, found_rows)}")
    return "\n\n".join(found)


# --- points ---

_POINTS_VERSION = 1
_NONE = "-"


def points_scores(
    along: Sequence["AttributeSlopes"],
    between: Sequence["Interpolations"],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """The numbers as plain values for a file; no text of any item or answer is among them."""
    return {
        "format_version": _POINTS_VERSION,
        "settings": dict(settings),
        "slopes": [asdict(one) for one in along],
        "interpolations": [asdict(one) for one in between],
    }


def read_points(path: str | Path) -> dict[str, Any]:
    """The numbers of a file. Raises UserError for another kind of file or another version."""
    plain = read_json(path)
    version = plain.get("format_version") if isinstance(plain, dict) else None
    if version != _POINTS_VERSION or not {"slopes", "interpolations"} <= plain.keys():
        raise UserError(
            f"{path} holds no scores of points of version {_POINTS_VERSION}", "python benchmarks/points.py"
        )
    return dict(plain)


def slopes_markdown(plain: Mapping[str, Any]) -> str:
    """A row an attribute: the classifier's slopes along every way, the encoder's, and what else changes."""
    # Imported here: the module prints tables of reports without loading torch.
    from vecspeak.protocols.slopes import means

    rows = plain["slopes"]
    if not rows:
        return "*Not measured yet.*"
    heads = (
        "attribute",
        "texts: AUC",
        "concept",
        "reverse",
        "random",
        "strongest random",
        "concept minus strongest",
        "search",
        "by encoder",
        "retained (random)",
        "largest side effect",
        "flags",
    )
    flags = {flag for one in rows for flag in one["flags"]}
    shown = [f"- {words}" for words in means(sorted(flags))]
    table = markdown_table(heads, [list(_slope_cells(one)) for one in rows])
    return "\n".join([table, *(["", *shown] if shown else [])])


def _slope_cells(one: Mapping[str, Any]) -> Iterator[str]:
    ours, drift = one["by_classifier"], one["drift"]
    yield f"{one['name']} ({one['source']})"
    yield _value(one["auc"], 2)
    yield f"**{_interval(ours['concept'], signed=True)}**"
    for key in ("reverse", "random", "strongest", "over_strongest", "search"):
        yield _interval(ours[key], signed=True)
    yield _interval(one["by_encoder"]["concept"], signed=True)
    yield f"{_value(drift['kept'], 2)} ({_value(drift['kept_random'], 2)})"
    other = next(iter(drift["others"].items()), None)
    yield f"{other[0]} {_interval(other[1], signed=True)}" if other else _NONE
    yield ", ".join(one["flags"]) or "none"


def interpolations_markdown(plain: Mapping[str, Any]) -> str:
    """A table for each kind of pairs: a row a system, and under each rival the reader minus it."""
    parts = [_between(one) for one in plain["interpolations"]]
    return "\n\n".join(parts) or "*Not measured yet.*"


def _between(one: Mapping[str, Any]) -> str:
    # Imported here: the module prints tables of reports without loading torch.
    from vecspeak.protocols.interpolation import MEASURES

    def measured_cells(estimates: Mapping[str, Any], *, signed: bool = False) -> Iterator[str]:
        for measure in MEASURES:
            found = estimates.get(measure.key)
            yield _interval(found, signed=signed) if found else _NONE

    shares = ", ".join(f"{share:g}" for share in one["shares"])
    title = (
        f"**{one['kind'].capitalize()} pairs**: {one['pairs']:,}, of which {one['pairs_with_attributes']:,} have an "
        f"attribute at each end that the other lacks; the ends' cosine is {one['similarity']:.2f}; t = {shares}"
    )
    rows = []
    for system in one["systems"]:
        mark = "**" if system["key"] == READER else ""
        rows.append([f"{mark}{system['name']}{mark}", *measured_cells(system["estimates"])])
    for system in one["systems"]:
        if system["key"] not in (READER, POINT):
            name = f"*reader minus {system['name']}*"
            rows.append([name, *measured_cells(system["reader_minus"], signed=True)])
    heads = ["", *(measure.name for measure in MEASURES)]
    return f"{title}\n\n{markdown_table(heads, rows)}"


def _value(found: Mapping[str, float], digits: int = 3) -> str:
    return short_value(Estimate(found["value"], found["low"], found["high"]), digits)


def _interval(found: Mapping[str, float], *, signed: bool = False) -> str:
    return short_interval(Estimate(found["value"], found["low"], found["high"]), signed=signed)


# --- the module ---


def main(arguments: Sequence[str]) -> int:
    """Print the tables of the file that is named; the exit status."""
    if len(arguments) != 1:
        say("python -m vecspeak.report.tables REPORT.json", err=True)
        return 2
    try:
        say(*"\n\n".join(_tables(arguments[0])).split("\n"))
    except UserError as error:
        say(str(error), err=True)
        return 2
    return 0


def _tables(path: str) -> Iterator[str]:
    plain = read_json(path)
    if isinstance(plain, dict) and "slopes" in plain:
        scores = read_points(path)
        yield from (slopes_markdown(scores), interpolations_markdown(scores))
        return
    sets = read_summary(path).sets
    if tasks := task_markdown(sets):
        yield tasks
    others = [one for one in sets if not task_rows([one])]
    if others:
        yield from (overview(others), markdown(others))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
