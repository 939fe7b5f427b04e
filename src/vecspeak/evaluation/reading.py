"""Reading: reports as JSON files, checked against their schema on the way in and on the way out.

`report.schema.json` beside this module says what a file holds. A summary is the form without entities: no truths, no
answers, no labels; it may go where texts may not. Knows reports and files. Computes nothing.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from vecspeak.errors import UserError
from vecspeak.evaluation.intervals import Estimate
from vecspeak.evaluation.report import REPORT_VERSION, Entity, EvaluatedSet, Known, Measure, Report, System
from vecspeak.files import read_json, write_json

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
            f"give the whole report; for its table: python -m vecspeak.evaluation.table {path}",
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
    return Entity(**{**plain, "nearest": tuple(Known(**one) for one in plain["nearest"])})
