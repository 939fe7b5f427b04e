"""The report of an evaluation: frozen values that pages, tables, raters and comparisons read, and their file.

A set of entities is answered by systems (the reader, and every baseline), and each answer is scored by measures.
Every entity's own numbers are in it, so that two reports can be compared pair by pair.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np
from markupsafe import Markup

from vecspeak.display import bullets, element, table, to_frame
from vecspeak.encoders.text import KNOWN_ENCODERS, SECOND_ENCODER
from vecspeak.errors import UserError
from vecspeak.evaluation.table import concat, rows
from vecspeak.stats import Estimate, Series, Statistic
from vecspeak.storage import check_target, read_json, replace_file, write_json

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

REPORT_VERSION = 2
Key = Annotated[str, msgspec.Meta(min_length=1)]
LARGEST = 1e12
"""A number of a report is no larger: what is measured is a count, a rank, a share or nats."""
Figure = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
Count = Annotated[int, msgspec.Meta(ge=0, le=int(LARGEST))]
Weight = Annotated[float, msgspec.Meta(ge=0, le=LARGEST)]
Time = Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T")]
READER, SHUFFLED, TRUTH, POINT = "reader", "swapped", "truth", "point"
"""Keys of the system under test, of its shuffled control, and of true texts and of points as if they were answers."""
OVER_SWAP = "over_swap"
"""Key of the measure by which a reader's answers to tasks are held against answers to other entities."""
ALIKE = "alike"
"""Key of the measure that finds the same answer to several tasks."""
TASK_ACCURACY = "told_apart"
"""Key of the measure by which answers to tasks are held against answers to other tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How an answer is scored."""

    key: Key
    name: str
    """As a table's head says it."""
    what: str
    """One sentence: what it is, with its unit."""
    better: Literal["higher", "lower", ""]
    """Which way is good; empty where neither is."""
    statistic: Statistic = "mean"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What gives an answer for each entity."""

    key: Key
    name: str
    what: str
    """One sentence: what it is given and what that shows."""
    estimates: Mapping[str, Estimate]
    """By measure; a measure that does not fit a system is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingExample:
    """A training entity near an evaluated one."""

    label: str
    text: str
    similarity: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One evaluated entity with all its answers."""

    id: str
    label: str
    truth: str
    """What is true of it."""
    nearest: tuple[TrainingExample, ...]
    answers: Mapping[str, str]
    """By system."""
    values: Mapping[str, Mapping[str, Figure]]
    """By system and measure."""
    weights: Mapping[str, Mapping[str, Weight]]
    """By system and measure; where none is given it is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _SetHead:
    """One question asked of one set of entities."""

    name: str
    question: str
    split: str
    """Which split the entities are of."""
    trained_on: bool
    """Whether the reader or the map was fitted on these very entities: then nothing here is held out."""
    among: Count
    """How many texts the right one is searched among."""
    nearest_by: str
    """What nearest means here."""
    flags: tuple[str, ...]
    """What a reader must be told first, in plain sentences; empty when all is well."""
    measures: tuple[Measure, ...]
    systems: tuple[System, ...]

    def system(self, key: str) -> System | None:
        """The system of that key, if there is one."""
        return next((system for system in self.systems if system.key == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedSet(_SetHead):
    """A set with its entities, all their answers and scores."""

    entities: tuple[Entity, ...]

    @property
    def count(self) -> int:
        """How many entities."""
        return len(self.entities)

    def to_table(self) -> "pa.Table":
        """The scores of all systems as a tidy table."""
        ids = [entity.id for entity in self.entities]
        metrics = [measure.key for measure in self.measures]
        return concat(
            rows(
                self.name,
                one.key,
                ids,
                {key: found for key in metrics if (found := self.series(one.key, key))},
            )
            for one in self.systems
        )

    def series(self, system: str, measure: str) -> Series | None:
        """One number an entity, as it was measured; None where the system was not measured so."""
        rows = [entity.values.get(system, {}).get(measure) for entity in self.entities]
        if any(row is None for row in rows) or not rows:
            return None
        weights = [entity.weights.get(system, {}).get(measure, 1.0) for entity in self.entities]
        return Series(np.array(rows, dtype=float), np.array(weights, dtype=float))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole evaluation: every system's answers and scores for every entity.

    >>> few = Space.from_arrays(space.vectors[:99], texts=space.labels[:99], name="few", encoder=space.encoder)
    >>> fast = {"count": 5, "baselines": ["swapped"], "scorers": ["consistency"], "max_new_tokens": 8}
    >>> report = VecSpeak.from_pretrained().fit(few).evaluate(**fast)
    >>> report
    Report('reader', few (5 of holdout))
    >>> report.summary()[["system", "metric"]].drop_duplicates().values.tolist()
    [['reader', 'sc'], ['swapped', 'sc']]
    """

    bundle: str
    """Name of the bundle."""
    made: Time
    """When, as ISO 8601 in UTC."""
    settings: Mapping[str, Any]
    """Everything that can change a number: seed, sampling, counts, versions."""
    digests: Mapping[str, str]
    """SHA-256 of the weights, encoders and space, by name."""
    sets: tuple[EvaluatedSet, ...]
    judged: Mapping[str, Any] = field(default_factory=dict)
    """What raters said, by rater; empty before any did."""
    report_version: int = REPORT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def to_table(self) -> "pa.Table":
        """All scores as one tidy table, see `evaluation.table`."""
        return concat(one.to_table() for one in self.sets)

    def to_pandas(self) -> "pd.DataFrame":
        """The same as a data frame.

        >>> report.to_pandas().groupby(["set", "system", "metric"])["value"].mean()  # doctest: +SKIP
        """
        return self.to_table().to_pandas()

    def summary(self) -> "pd.DataFrame":
        """A frame with a row for each set, system and metric: the value, and its 95% interval over entities.

        Raises UserError where pandas is not installed.
        """
        return to_frame(
            {
                "set": one.name,
                "split": one.split,
                "entities": one.count,
                "system": system.key,
                "metric": key,
                "value": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
            }
            for one in self.sets
            for system in one.systems
            for key, estimate in system.estimates.items()
        )

    def __repr__(self) -> str:
        sets = ", ".join(f"{one.name} ({one.count:,} of {one.split})" for one in self.sets)
        return f"Report({self.bundle!r}, {sets})"

    def _repr_html_(self) -> Markup:
        """For each set its warnings, then a row for each system with its estimates; shown by notebooks."""
        return Markup("").join(_set_html(one) for one in self.sets)


def _set_html(one: EvaluatedSet) -> Markup:
    shown = [m for m in one.measures if any(m.key in system.estimates for system in one.systems)]
    cells = (
        [system.name, *(_estimate_text(system.estimates.get(measure.key)) for measure in shown)]
        for system in one.systems
    )
    head = f"{one.name}: {one.count:,} entities of {one.split}, asked {one.question!r}"
    names = (
        f"{measure.name} ({measure.better} is better)" if measure.better else measure.name
        for measure in shown
    )
    return element("div", element("strong", head), bullets(one.flags), table(["", *names], cells))


def _estimate_text(found: Estimate | None) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]" if found else ""


_AGAIN = "make it again with `VecSpeak.evaluate(...)` and write it to {path}"
_LONGEST = 160
"""Characters of a mistake's description that are shown: it may quote the whole value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSummary(_SetHead):
    """An evaluated set without its entities."""

    count: Count
    """How many entities there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A report without its entities and without what raters said."""

    bundle: str
    made: Time
    settings: Mapping[str, Any]
    digests: Mapping[str, str]
    sets: tuple[SetSummary, ...]
    report_version: int = REPORT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, marked as a summary."""
        return {"summary": True, **asdict(self)}


AnySet = EvaluatedSet | SetSummary
"""What a table can be made of."""
_Kind = TypeVar("_Kind", Report, Summary)


def check_report_target(out: Path, *compared: Path) -> None:
    """Raise UserError, before any work, where report, page and cache would overwrite each other or what is compared."""
    page = out.with_suffix(".html") if out.name else out
    check_target(out)
    if out.suffix.casefold() in (".html", ".kept"):
        raise UserError(
            f"the report cannot be {out}: its page is written to NAME.html and what is kept to NAME.kept",
            "give `out=NAME.json`",
        )
    check_target(page)
    for one in compared:
        if {one.resolve()} & {out.resolve(), page.resolve()}:
            raise UserError(f"`out={out}` would overwrite {one}, which is compared", "give another name")


def write_report(path: str | Path, report: Report) -> None:
    """Write the report as JSON, whole or not at all.

    Settings and what raters said come back as JSON values: a tuple as a list. Raises ValueError with the place of
    what cannot be read back, numbers that are not finite among it, and UserError when the file cannot be written.
    """
    plain = json.loads(json.dumps(report.to_dict()))
    try:
        _checked(plain, Report)
    except ValueError as error:
        raise ValueError(f"this report cannot be written: {error}") from error
    write_json(path, plain)


def write_table(path: str | Path, report: Report) -> None:
    """Write the tidy table of a report as Parquet. Raises UserError when the file cannot be written."""
    import pyarrow.parquet as pq  # reports are read far more often than their tables are written

    with replace_file(path) as temporary:
        pq.write_table(report.to_table(), temporary)


def read_report(path: str | Path) -> Report:
    """The report in the file.

    Raises UserError, with the place of the first mistake, when the file is not a report of this version; a summary
    is refused, because it holds no entities.
    """
    plain = _read(path)
    if "summary" in plain:
        raise UserError(
            f"{path} is a summary: it holds no entities",
            f"give the whole report; for its table: python -m vecspeak.report.tables {path}",
        )
    return _opened(path, plain, Report)


def read_summary(path: str | Path) -> Summary:
    """The summary in the file, or that of the report in it; raises UserError as `read_report` does."""
    plain = _read(path)
    if plain.pop("summary", None) is True:
        return _opened(path, plain, Summary)
    return summary_of(_opened(path, plain, Report))


def summary_of(report: Report) -> Summary:
    """The report without its entities and without what raters said."""
    names = [field.name for field in fields(SetSummary)]
    return Summary(
        bundle=report.bundle,
        made=report.made,
        settings=report.settings,
        digests=report.digests,
        sets=tuple(SetSummary(**{name: getattr(one, name) for name in names}) for one in report.sets),
        report_version=report.report_version,
    )


def without_texts(report: Report) -> dict[str, Any]:
    """The summary as plain values: it may be shared where the texts of the entities may not.

    Flags and settings are kept as they are, so they must quote no text.
    """
    return summary_of(report).to_dict()


def _read(path: str | Path) -> dict[str, Any]:
    """A JSON object of this version."""
    plain = read_json(path)
    if not isinstance(plain, dict):
        raise UserError(f"{path} is not a report of `VecSpeak.evaluate(...)`", _AGAIN.format(path=path))
    version = _version(plain)
    if version is None:
        raise UserError(
            f"{path} is not a report of `VecSpeak.evaluate(...)`: it has no report_version",
            _AGAIN.format(path=path),
        )
    if version != REPORT_VERSION:
        newer = version > REPORT_VERSION
        raise UserError(
            f"{path} is a report of version {version}, and this vecspeak reads version {REPORT_VERSION}",
            "install a newer vecspeak: pip install --upgrade vecspeak" if newer else _AGAIN.format(path=path),
        )
    return plain


def _version(plain: Mapping[str, Any]) -> int | None:
    """The version of a report; version 1 had it in each of its entries instead of at the top."""
    version = plain.get("report_version")
    if version is None:
        entries = plain.get("scores")
        first = entries[0] if isinstance(entries, list) and entries else None
        version = first.get("report_version") if isinstance(first, dict) else None
    return version if isinstance(version, int) and not isinstance(version, bool) else None


def _opened(path: str | Path, plain: dict[str, Any], kind: type[_Kind]) -> _Kind:
    try:
        return _checked(plain, kind)
    except ValueError as error:
        raise UserError(f"{path} is not a whole report: {error}", _AGAIN.format(path=path)) from error


def _checked(plain: dict[str, Any], kind: type[_Kind]) -> _Kind:
    """A report or summary from plain values. Raises ValueError with the place of the first mistake."""
    try:
        made = msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        words, _, place = str(error).partition(" - at ")
        if "out of range" in words or any(str(most) in words for most in (int(LARGEST), sys.float_info.max)):
            words = f"not a finite number up to {LARGEST:g}"
        raise ValueError(f"{place.strip('`') or '$'}: {shorten(words, _LONGEST)}") from error
    # Dataclasses ignore what they do not know and fill in what is missing: neither may pass silently.
    if problem := _first_difference(plain, msgspec.to_builtins(made), "$") or _repeated(plain):
        raise ValueError(problem)
    if problem := next(_out_of_range(plain), ""):
        raise ValueError(problem)
    for name in ("settings", "judged"):
        if problem := _not_finite(plain.get(name), f"$.{name}"):
            raise ValueError(problem)
    return made


def _first_difference(plain: Any, made: Any, place: str) -> str:
    """The first key that one of two plain values has and the other does not; empty where they are equal."""
    if plain == made:
        return ""
    if isinstance(plain, dict):
        for key in plain:
            if key not in made:
                return f"{place}.{key}: unknown field"
            if found := _first_difference(plain[key], made[key], f"{place}.{key}"):
                return found
        missing = next((key for key in made if key not in plain), None)
        return f"{place}.{missing}: missing field" if missing else ""
    if isinstance(plain, list):
        pairs = enumerate(zip(plain, made, strict=True))
        return next((f for i, pair in pairs if (f := _first_difference(*pair, f"{place}[{i}]"))), "")
    return ""  # values that nothing is compared with, such as NaN in settings


def _not_finite(value: Any, place: str) -> str:
    """The first number in JSON values of any kind that is NaN or infinite."""
    if isinstance(value, dict):
        inside = ((f"{place}.{key}", one) for key, one in value.items())
    elif isinstance(value, list):
        inside = ((f"{place}[{index}]", one) for index, one in enumerate(value))
    else:
        is_odd = isinstance(value, float) and not math.isfinite(value)
        return f"{place}: not a finite number" if is_odd else ""
    return next((found for where, one in inside if (found := _not_finite(one, where))), "")


_RANGES: Mapping[str, tuple[float, float]] = dict.fromkeys(("r1", "r10", "mrr"), (0.0, 1.0))
"""What measures may be, those by the second encoder too; any other measure is a number up to LARGEST."""
_SECOND = "_2"
"""Ends the key of a measure by the second encoder."""


def _out_of_range(plain: Mapping[str, Any]) -> Iterator[str]:
    """Yield the places of numbers that their measure cannot have."""
    for number, one in enumerate(plain["sets"]):
        for index, system in enumerate(one["systems"]):
            for key, found in system["estimates"].items():
                place = f"$.sets[{number}].systems[{index}].estimates.{key}"
                yield from (
                    f"{place}.{part}: no number up to {LARGEST:g}"
                    for part, value in found.items()
                    if abs(value) > LARGEST
                )
        for index, entity in enumerate(one.get("entities", [])):
            for system, values in entity["values"].items():
                for key, value in values.items():
                    low, high = _RANGES.get(key.removesuffix(_SECOND), (-LARGEST, LARGEST))
                    if not low <= value <= high:
                        place = f"$.sets[{number}].entities[{index}].values.{system}.{key}"
                        yield f"{place}: not from {low:g} to {high:g}"


def _repeated(plain: Mapping[str, Any]) -> str:
    """The first key that stands for two things: pairs and tables could not tell them apart."""
    for number, one in enumerate(plain["sets"]):
        for part, key in (("measures", "key"), ("systems", "key"), ("entities", "id")):
            seen: set[str] = set()
            for index, row in enumerate(one.get(part, [])):
                if row[key] in seen:
                    return f"$.sets[{number}].{part}[{index}].{key}: {row[key]!r} is there twice"
                seen.add(row[key])
    return ""


NOT_READ_BELOW = 0.02
"""Nats a token: a swap gap whose interval reaches down to this is noise."""
FEW = 30
"""Below so many entities the bootstrap's intervals are too narrow."""
UNSURE_ABOVE = 0.1
"""An interval that reaches from noise to above this says nothing either way."""
REPEATED_ABOVE = 0.25
"""Share of repeated answers, over what the true texts themselves repeat, that is called out."""
NOT_FOLLOWED = "THE TASK IS NOT FOLLOWED"
TASK_NOT_EVIDENT = "THE TASK IS NOT EVIDENT"
ALIKE_ABOVE = 0.5
"""Share of answers that are nearly those to another task, above which the task is called not followed."""
_ROUNDING = 1e-6


def _not_read(gap: Estimate) -> str:
    shown = f"(swap gap {gap:.3f} nats a token)"
    if gap.high > UNSURE_ABOVE:
        return (
            "NOT SHOWN THAT THE VECTOR IS READ: the interval is too wide to tell; evaluate more entities "
            f"{shown}."
        )
    return (
        "THE VECTOR IS NOT READ: the true text is no likelier with the right vector than with another "
        f"entity's {shown}."
    )


def _not_shown(accuracy: Estimate, num_tasks: int) -> Iterator[str]:
    """A sentence where chance may be all that tells the answers to this task from those to the others."""
    if accuracy.low <= 1 / num_tasks + _ROUNDING:
        yield (
            f"{TASK_NOT_EVIDENT}: of {num_tasks} answers, one for each task about a point, the one to this task is "
            f"picked {accuracy:.0%} of the time, which is not shown "
            f"to be more than chance, {1 / num_tasks:.0%}."
        )


def _of_the_reader(by_key: Mapping[str, System], num_tasks: int) -> Iterator[str]:
    """What the reader's numbers give cause to say."""
    own = by_key[READER].estimates
    gap = own.get("gap")
    if gap is not None and gap.low <= NOT_READ_BELOW:
        yield _not_read(gap)
    over_swap = own.get(OVER_SWAP)
    if over_swap is not None and over_swap.low <= 0:
        yield (
            "NOT READ: nothing shows that the answers depend on the vectors; the reader's answer minus the one that it "
            f"gave to another entity is {over_swap:+z.3f}."
        )
    over_mean = own.get("gap_mean")
    if over_mean is not None and over_mean.low <= 0:
        yield (
            "NO MORE THAN THE MEAN: the true text is not shown to be likelier with the right vector than with the "
            f"mean vector (gain {over_mean:.3f} nats a token), "
            "so what these vectors tell of single entities is little, however far wrong ones mislead."
        )
    alike = own.get(ALIKE)
    if alike is not None and alike.value > ALIKE_ABOVE:
        yield f"{NOT_FOLLOWED}: {alike.value:.0%} of the answers are nearly those to another task about the same point."
    if TASK_ACCURACY in own:
        yield from _not_shown(own[TASK_ACCURACY], num_tasks)
    repeats = own.get("repeated")
    natural = by_key["truth"].estimates.get("repeated") if "truth" in by_key else None
    if repeats is not None and repeats.low - (natural.value if natural else 0.0) > REPEATED_ABOVE:
        yield f"ONE ANSWER FOR MANY: {repeats.value:.0%} of the answers are nearly equal to another entity's."


def flags_of(
    systems: Sequence[System],
    *,
    count: int,
    trained_on: bool,
    known_texts: int,
    second: bool,
    num_tasks: int = 1,
) -> tuple[str, ...]:
    """Plain sentences, the gravest first; empty when all is well.

    `count` is how many entities were evaluated, `known_texts` how many of them have the text of a training entity,
    `num_tasks` how many tasks were asked about them.
    """
    by_key = {system.key: system for system in systems}
    found = []
    if trained_on:
        found.append(
            "TRAINING ENTITIES: something was fitted on these very entities, so no number here is a held-out score."
        )
    elif known_texts:
        found.append(
            f"KNOWN TEXTS: {known_texts:,} of the {count:,} entities have word for word the text of a training "
            "entity, so they are not unseen."
        )
    if count < FEW:
        found.append(
            f"FEW ENTITIES: {count} are too few for intervals to be relied on; {FEW} or more are needed, "
            "for example by holding out a fifth of the items when the space is fitted."
        )
    found += _of_the_reader(by_key, num_tasks)
    if not second:
        found.append(
            "No second encoder: consistency is by the reader's own only. To have one: "
            f"{KNOWN_ENCODERS[SECOND_ENCODER].install}"
        )
    return tuple(found)
