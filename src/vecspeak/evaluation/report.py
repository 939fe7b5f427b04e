"""Report: what an evaluation found, as frozen values that a page, a table, a judge and a comparison all read.

A set of entities is answered by systems (the reader, and every baseline) and each answer is scored by measures.
Numbers are kept for each entity, so that two reports can be compared pair by pair. Knows no model.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from vecspeak.encoders.text import KNOWN_ENCODERS, SECOND_ENCODER
from vecspeak.errors import UserError
from vecspeak.stats import Estimate, Series, Statistic
from vecspeak.storage import read_json, write_json

REPORT_VERSION = 2
READER = "reader"
"""Key of the system that is under test."""
OVER_SWAP = "over_swap"
"""Key of the measure by which a reader's answers to tasks are held against answers to other entities."""
ALIKE = "alike"
"""Key of the measure that finds the same answer to several tasks."""
TASK_ACCURACY = "told_apart"
"""Key of the measure by which answers to tasks are held against answers to other tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How an answer is scored."""

    key: str
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

    key: str
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
    similarity: float


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
    values: Mapping[str, Mapping[str, float]]
    """By system and measure."""
    weights: Mapping[str, Mapping[str, float]]
    """By system and measure; where none is given it is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedSet:
    """One question asked of one set of entities."""

    name: str
    question: str
    split: str
    """Which split the entities are of."""
    trained_on: bool
    """Whether the reader or the map was fitted on these very entities: then nothing here is held out."""
    among: int
    """How many texts the right one is searched among."""
    nearest_by: str
    """What nearest means here."""
    flags: tuple[str, ...]
    """What a reader must be told first, in plain sentences; empty when all is well."""
    measures: tuple[Measure, ...]
    systems: tuple[System, ...]
    entities: tuple[Entity, ...]

    @property
    def count(self) -> int:
        """How many entities."""
        return len(self.entities)

    def system(self, key: str) -> System | None:
        """The system of that key, if there is one."""
        return next((system for system in self.systems if system.key == key), None)

    def series(self, system: str, measure: str) -> Series | None:
        """One number an entity, as it was measured; None where the system was not measured so."""
        rows = [entity.values.get(system, {}).get(measure) for entity in self.entities]
        if any(row is None for row in rows) or not rows:
            return None
        weights = [entity.weights.get(system, {}).get(measure, 1.0) for entity in self.entities]
        return Series(np.array(rows, dtype=float), np.array(weights, dtype=float))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole evaluation."""

    bundle: str
    """Name of the bundle."""
    made: str
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


_SCHEMA = Path(__file__).with_name("report.schema.json")
_AGAIN = "make it again: vecspeak evaluate BUNDLE --out {path}"
_LONGEST = 160
"""Letters of a schema error that are shown: it may quote the whole value."""

Place = tuple[str | int, ...]
"""Keys and indices from the top of a file to a value in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSummary:
    """An evaluated set without its entities."""

    name: str
    question: str
    split: str
    trained_on: bool
    among: int
    nearest_by: str
    flags: tuple[str, ...]
    measures: tuple[Measure, ...]
    systems: tuple[System, ...]
    count: int
    """How many entities there were."""

    def system(self, key: str) -> System | None:
        """The system of that key, if there is one."""
        return next((system for system in self.systems if system.key == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A report without its entities and without what raters said."""

    bundle: str
    made: str
    settings: Mapping[str, Any]
    digests: Mapping[str, str]
    sets: tuple[SetSummary, ...]
    report_version: int = REPORT_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, marked as a summary."""
        return {"summary": True, **asdict(self)}


AnySet = EvaluatedSet | SetSummary
"""What a table can be made of."""


def write_report(path: str | Path, report: Report) -> None:
    """Write the report as JSON, whole or not at all, when it fits the schema.

    Settings and what raters said come back as JSON values: a tuple as a list. Raises ValueError with the place of
    what does not fit, numbers that are not finite among it, and UserError when the file cannot be written.
    """
    plain = json.loads(json.dumps(report.to_dict()))
    problem = _report_problem(plain)
    if problem:
        raise ValueError(f"this report cannot be written: {problem}")
    write_json(path, plain)


def read_report(path: str | Path) -> Report:
    """The report in the file.

    Raises UserError, with the place of the first error, when the file is not a report of this version; a summary
    is refused, because it holds no entities.
    """
    plain = _read(path)
    if "summary" in plain:
        raise UserError(
            f"{path} is a summary: it holds no entities",
            f"give the whole report; for its table: python -m vecspeak.report.tables {path}",
        )
    _refuse(path, _report_problem(plain))
    return _report(plain)


def read_summary(path: str | Path) -> Summary:
    """The summary in the file, or that of the report in it; raises UserError as `read_report` does."""
    plain = _read(path)
    if "summary" not in plain:
        _refuse(path, _report_problem(plain))
        return summary_of(_report(plain))
    _refuse(path, _summary_problem(plain))
    kept = {key: value for key, value in plain.items() if key != "summary"}
    return Summary(**{**kept, "sets": tuple(SetSummary(**_set_parts(one)) for one in plain["sets"])})


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
        raise UserError(f"{path} is not a report of vecspeak evaluate", _AGAIN.format(path=path))
    version = _version(plain)
    if version is None:
        raise UserError(
            f"{path} is not a report of vecspeak evaluate: it has no report_version", _AGAIN.format(path=path)
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


def _refuse(path: str | Path, problem: str) -> None:
    if problem:
        raise UserError(f"{path} is not a whole report: {problem}", _AGAIN.format(path=path))


# --- checking ---


def _report_problem(plain: Mapping[str, Any]) -> str:
    """The first error in the order of the file, with its place; empty when there is none."""
    return _problem(plain, ()) or _repeated(plain)


def _summary_problem(plain: Mapping[str, Any]) -> str:
    return _problem(plain, ("$defs", "summary")) or _repeated(plain)


def _problem(plain: Mapping[str, Any], form: tuple[str, ...]) -> str:
    """Entities are looked over by hand, which is 20 times as fast; the schema then says what is wrong with one."""
    found: list[tuple[Place, str]] = [
        *((tuple(error.absolute_path), _words(error)) for error in _validator(form).iter_errors(plain)),
        *_not_finite(plain),
    ]
    entity = next(_bad_entities(plain), None)
    if entity:
        found.append(entity)
    if not found:
        return ""
    place, words = min(found, key=lambda one: _order(plain, one[0]))
    return f"{_written(place)}: {words}"


@cache
def _validator(form: tuple[str, ...]) -> Draft202012Validator:
    """Of a form in the schema; that of the whole report leaves entities to `_bad_entities`."""
    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    if form == ("$defs", "entity"):
        return Draft202012Validator(schema["$defs"]["entity"])
    schema["$defs"]["set"]["properties"]["entities"] = {"type": "array"}
    if not form:
        return Draft202012Validator(schema)
    return Draft202012Validator({"$ref": f"#/{'/'.join(form)}", "$defs": schema["$defs"]})


def _bad_entities(plain: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    for number, one in enumerate(_list(plain.get("sets"))):
        for index, entity in enumerate(_list(one.get("entities")) if isinstance(one, dict) else []):
            if not is_entity(entity):
                yield _entity_error(entity, ("sets", number, "entities", index))


def _entity_error(entity: Any, place: Place) -> tuple[Place, str]:
    found = [
        *((tuple(e.absolute_path), _words(e)) for e in _validator(("$defs", "entity")).iter_errors(entity)),
        *_not_finite(entity, whole=True),
    ]
    inside, words = min(found, key=lambda one: _order(entity, one[0]))
    return (*place, *inside), words


def is_entity(plain: Any) -> bool:
    """Whether a plain value is what the schema calls an entity, with finite numbers only."""
    return (
        isinstance(plain, dict)
        and plain.keys() == {"id", "label", "truth", "nearest", "answers", "values", "weights"}
        and all(isinstance(plain[key], str) for key in ("id", "label", "truth"))
        and isinstance(plain["nearest"], list)
        and all(_is_known(one) for one in plain["nearest"])
        and isinstance(plain["answers"], dict)
        and all(isinstance(text, str) for text in plain["answers"].values())
        and _are_numbers(plain["values"], -math.inf)
        and _are_numbers(plain["weights"], 0.0)
    )


def _is_known(plain: Any) -> bool:
    return (
        isinstance(plain, dict)
        and plain.keys() == {"label", "text", "similarity"}
        and isinstance(plain["label"], str)
        and isinstance(plain["text"], str)
        and _is_number(plain["similarity"])
    )


def _are_numbers(plain: Any, least: float) -> bool:
    return isinstance(plain, dict) and all(
        isinstance(row, dict) and all(_is_number(value) and value >= least for value in row.values())
        for row in plain.values()
    )


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return type(value) is int and abs(value) < 2**1023


def _not_finite(plain: Any, *, whole: bool = False) -> Iterator[tuple[Place, str]]:
    """NaN, infinities and what a float cannot hold; a schema takes them for numbers. Entities only when asked."""
    waiting: list[tuple[Place, Any]] = [((), plain)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, dict):
            inside = [(key, value[key]) for key in value if whole or key != "entities"]
            waiting += [((*place, key), one) for key, one in inside]
        elif isinstance(value, list):
            waiting += [((*place, index), one) for index, one in enumerate(value)]
        elif isinstance(value, int | float) and not isinstance(value, bool) and not _is_number(value):
            yield place, "not a finite number"


def _repeated(plain: Mapping[str, Any]) -> str:
    """Keys that stand for two things: pairs and tables could not be told apart."""
    for number, one in enumerate(plain["sets"]):
        for part, key in (("measures", "key"), ("systems", "key"), ("entities", "id")):
            seen: set[str] = set()
            for index, row in enumerate(one.get(part, [])):
                if row[key] in seen:
                    return f"sets[{number}].{part}[{index}].{key}: {row[key]!r} is there twice"
                seen.add(row[key])
    return ""


def _words(error: ValidationError) -> str:
    """What is wrong in one short line."""
    if error.validator == "type":
        return f"not of type {error.validator_value}"
    words = " ".join(error.message.split())
    return words if len(words) <= _LONGEST else words[:_LONGEST] + " [...]"


def _order(plain: Any, place: Place) -> tuple[int, ...]:
    """Where in the file a place comes, to be compared."""
    found = []
    for step in place:
        found.append(list(plain).index(step) if isinstance(plain, dict) else int(step))
        plain = plain[step]
    return tuple(found)


def _written(place: Place) -> str:
    words = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return words.removeprefix(".") or "at the top"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


# --- building ---


def _report(plain: Mapping[str, Any]) -> Report:
    return Report(**{**plain, "sets": tuple(_set(one) for one in plain["sets"])})


def _set(plain: Mapping[str, Any]) -> EvaluatedSet:
    return EvaluatedSet(**_set_parts(plain) | {"entities": tuple(_entity(one) for one in plain["entities"])})


def _set_parts(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What a set and its summary have in common, as values of the report."""
    return dict(plain) | {
        "flags": tuple(plain["flags"]),
        "measures": tuple(Measure(**one) for one in plain["measures"]),
        "systems": tuple(_system(one) for one in plain["systems"]),
    }


def _system(plain: Mapping[str, Any]) -> System:
    estimates = {key: Estimate(**value) for key, value in plain["estimates"].items()}
    return System(**{**plain, "estimates": estimates})


def _entity(plain: Mapping[str, Any]) -> Entity:
    return Entity(**{**plain, "nearest": tuple(TrainingExample(**one) for one in plain["nearest"])})


NOT_READ_BELOW = 0.02
"""Nats a token: a swap gap whose interval reaches down to this is noise."""
FEW = 30
"""Below so many entities the bootstrap's intervals are too narrow."""
UNSURE_ABOVE = 0.1
"""An interval that reaches from noise to above this says nothing either way."""
REPEATED_ABOVE = 0.25
"""Share of repeated answers, over what the true texts themselves repeat, that is called out."""
NOT_FOLLOWED = "THE TASK IS NOT FOLLOWED"
NOT_TOLD = "THE TASK IS NOT TOLD"
ALIKE_ABOVE = 0.5
"""Share of answers that are nearly those to another task, above which the task is called not followed."""
_ROUNDING = 1e-6


def _not_read(gap: Estimate) -> str:
    told = f"(swap gap {gap.value:.3f} [{gap.low:.3f}, {gap.high:.3f}] nats a token)"
    if gap.high > UNSURE_ABOVE:
        return (
            "NOT SHOWN THAT THE VECTOR IS READ: the interval is too wide to tell; evaluate more entities "
            f"{told}."
        )
    return (
        "THE VECTOR IS NOT READ: the true text is no likelier with the right vector than with another "
        f"entity's {told}."
    )


def _not_told(told: Estimate, num_tasks: int) -> Iterator[str]:
    """A sentence where chance may be all that tells the answers to this task from those to the others."""
    if told.low <= 1 / num_tasks + _ROUNDING:
        yield (
            f"{NOT_TOLD}: of {num_tasks} answers, one for each task about a point, the one to this task is picked "
            f"{told.value:.0%} [{told.low:.0%}, {told.high:.0%}] of the time, which is not shown to be more than "
            f"chance, {1 / num_tasks:.0%}."
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
            f"gave to another entity is {over_swap.value:+z.3f} [{over_swap.low:+z.3f}, {over_swap.high:+z.3f}]."
        )
    over_mean = own.get("gap_mean")
    if over_mean is not None and over_mean.low <= 0:
        yield (
            "NO MORE THAN THE MEAN: the true text is not shown to be likelier with the right vector than with the "
            f"mean vector (gain {over_mean.value:.3f} [{over_mean.low:.3f}, {over_mean.high:.3f}] nats a token), "
            "so what these vectors tell of single entities is little, however far wrong ones mislead."
        )
    alike = own.get(ALIKE)
    if alike is not None and alike.value > ALIKE_ABOVE:
        yield f"{NOT_FOLLOWED}: {alike.value:.0%} of the answers are nearly those to another task about the same point."
    if TASK_ACCURACY in own:
        yield from _not_told(own[TASK_ACCURACY], num_tasks)
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
            "for example by fit --holdout 0.2."
        )
    found += _of_the_reader(by_key, num_tasks)
    if not second:
        found.append(
            "No second encoder: consistency is by the reader's own only. To have one: "
            f"{KNOWN_ENCODERS[SECOND_ENCODER].install}"
        )
    return tuple(found)
