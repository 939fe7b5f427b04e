"""Items out to annotation tools, and their ratings back into a study.

A file has one row an item and question, in a shuffled order, with texts alone: no system's name is in it. Three shapes
are written, and read back with ratings:

    CSV             a spreadsheet, or any tool that takes tables: fill in the columns `value` and `rater`
    label-studio    JSONL of {"data": {...}}; read from its JSON, JSON_MIN and CSV exports
    argilla         JSONL of {"id", "fields", "metadata"}; read from records with "responses"
"""

import csv
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vecspeak.bounds import check_levels, read_data
from vecspeak.errors import UserError, did_you_mean
from vecspeak.foreign import write_csv
from vecspeak.raters.items import ANSWER_WORDS, TRUTH_WORDS, Question, Value, cut
from vecspeak.raters.study import LONGEST_SECONDS, Given, Study, StudyLine, rater_name
from vecspeak.storage import replace_file

TOOLS = ("csv", "label-studio", "argilla")
_COLUMNS = tuple("item question label asked truth text_a text_b ask choices".split())
_NAMES_OF_RATER = ("rater", "annotator", "user_id", "completed_by")
_PROBLEMS = {
    "foreign": "{n} of items or questions that are not in this study",
    "repeated": "{n} that repeat an item, question and rater of the file",
    "changed": "{n} that differ from what the rater said in the study",
    "unusable": "{n} with a value that the question does not have",
    "nameless": "{n} without a rater",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """Counts of the rows of a file."""

    imported: int
    known: int
    """Equal to ratings that the study had already."""
    empty: int
    """Not rated yet."""
    raters: tuple[str, ...]


def export_items(study: Study, path: str | Path, *, tool: str = "") -> int:
    """Write the items for raters, whole or not at all: one row an item and question; returns how many.

    `tool` is "csv", "label-studio" or "argilla"; empty takes "label-studio" for a .jsonl file and "csv" for any other.
    Texts are cut as on the page. Raises UserError for an unknown tool.
    """
    tool = tool or ("label-studio" if Path(path).suffix in (".jsonl", ".ndjson") else "csv")
    if tool not in TOOLS:
        raise UserError(f"unknown tool {tool!r}", did_you_mean(tool, TOOLS, f"give {' or '.join(TOOLS)}"))
    rows = list(_rows(study))
    with replace_file(path) as temporary:
        if tool == "csv":
            return write_csv(
                temporary, [(*_COLUMNS, "value", "rater"), *((*row.values(), "", "") for row in rows)]
            )
        with temporary.open("w", encoding="utf-8", errors="replace", newline="") as file:
            file.writelines(json.dumps(_task(row, tool)) + "\n" for row in rows)
    return len(rows)


def _rows(study: Study) -> Iterator[dict[str, str]]:
    # The order of the sheet's items would tell the systems apart; this one is a hash of what they hold.
    for item in study.sheet.order(""):
        texts = [cut(text, ANSWER_WORDS) for text in item.texts]
        truth = cut(item.entity.truth, TRUTH_WORDS)
        for question in item.questions:
            values = (item.id, question.key, item.entity.label, item.asked, truth, texts[0], *texts[1:2])
            row = dict(zip(_COLUMNS, values, strict=False))
            more = {
                "text_b": row.get("text_b", ""),
                "ask": question.ask,
                "choices": "|".join(question.replies),
            }
            yield {**row, **more}


def _task(row: dict[str, str], tool: str) -> dict[str, Any]:
    """Wrap a row for a tool."""
    if tool == "label-studio":
        return {"data": row}
    ids = {name: row[name] for name in ("item", "question")}
    return {
        "id": f"{row['item']}-{row['question']}",
        "fields": {name: text for name, text in row.items() if name not in ids},
        "metadata": ids,
    }


def import_ratings(study: Study, path: str | Path, *, rater: str = "") -> ImportResult:
    """Add the ratings of a file to a study, all of them or none.

    `rater` names who rated where the file does not. Rows without a value are skipped, and rows that the study has
    already change nothing, so that a file which has grown can be imported again. Raises UserError, with a count of
    each kind, where rows are foreign, repeated, changed, unusable or without a rater; nothing is added then.
    """
    counts: Counter[str] = Counter()
    new: defaultdict[str, list[StudyLine]] = defaultdict(list)
    given: dict[str, Given] = {}
    seen: set[tuple[str, str, str]] = set()
    for row in _read_rows(Path(path)):
        row["rater"] = row["rater"] or rater
        question = _question(study, row)
        kind, value = _checked(row, question)
        if kind == "new":
            # Tools know raters by e-mail address; a name here has letters, digits, spaces and dashes.
            name = rater_name(re.sub(r"[^\w -]|_", " ", row["rater"]))
            key = (name, row["item"], row["question"])
            if name not in given:
                given[name] = study.given(name)
            if key in seen:
                kind = "repeated"
            elif (known := given[name].get(key[1:])) is not None:
                kind = "known" if known.value == value else "changed"
            else:
                new[name].append(_line(row, value))
            seen.add(key)
        counts[kind] += 1
    bad = {kind: counts[kind] for kind in _PROBLEMS if counts[kind]}
    if bad:
        counted = ", ".join(_PROBLEMS[kind].format(n=f"{n:,}") for kind, n in bad.items())
        raise UserError(
            f"{path} has {sum(bad.values()):,} of {counts.total():,} rows that cannot be imported: {counted}; "
            "nothing was imported",
            "correct or remove these rows",
        )
    for name, lines in new.items():
        study.append(name, lines)
    raters = tuple(sorted({name for name, _, _ in seen}))
    return ImportResult(imported=counts["new"], known=counts["known"], empty=counts["empty"], raters=raters)


def _checked(row: Mapping[str, Any], question: Question | None) -> tuple[str, Value]:
    """Return "new" or what is wrong with a row by itself, and its value where there is one."""
    if question is None:
        return "foreign", ""
    if row["value"] in (None, ""):
        return "empty", ""
    value = _value(question, row["value"])
    if value is None:
        return "unusable", ""
    return ("new" if row["rater"] else "nameless"), value


def _line(row: Mapping[str, Any], value: Value) -> StudyLine:
    try:
        seconds = float(row["seconds"])
    except (TypeError, ValueError):  # the tool does not measure it
        seconds = 0.0
    if not 0 <= seconds <= LONGEST_SECONDS:  # NaN and infinity among others
        seconds = 0.0
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return StudyLine(
        item=row["item"], question=row["question"], value=value, seconds=round(seconds, 1), at=now
    )


def _question(study: Study, row: Mapping[str, Any]) -> Question | None:
    """Return the study's question of a row; None where the study has no such item or does not ask it that."""
    item = study.sheet.items.get(row["item"]) if isinstance(row["item"], str) else None
    return next((q for q in item.questions if q.key == row["question"]), None) if item else None


def _value(question: Question, said: object) -> Value | None:
    """Convert "4", 4, "B", "right" or ["4"] to a value of the question; None where it has none such."""
    if isinstance(said, list) and len(said) == 1:
        said = said[0]
    word = str(said).strip().casefold().removesuffix(".0")
    values = {str(value).casefold(): value for value in question.values}
    values |= {name.casefold(): value for name, value in zip(question.replies, question.values, strict=True)}
    return None if isinstance(said, bool) else values.get(word)


def _read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield item, question, value, rater and seconds of every rating in a file of any of the shapes.

    Raises UserError where the file cannot be read, or is not a table of items and questions.
    """
    try:
        data = read_data(path)
        text = data.decode("utf-8-sig")
        check_levels(data, path)
        if text.lstrip()[:1] == "[":
            tasks = json.loads(text)
        elif text.lstrip()[:1] == "{":
            tasks = [json.loads(line) for line in text.split("\n") if line.strip()]
        else:
            tasks = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}", "check the path") from error
    except UserError:
        raise
    except (ValueError, RecursionError, csv.Error) as error:
        raise UserError(f"{path} is neither CSV nor JSON nor JSONL ({error})", "export it again") from error
    for number, task in enumerate(tasks, 1):
        try:
            rows = list(_ratings_of(task))
        except (AttributeError, KeyError, TypeError) as error:
            raise UserError(f"row {number} of {path} is of no known shape", "export it again") from error
        if any("item" not in row or "question" not in row for row in rows):
            raise UserError(
                f"row {number} of {path} does not say its item and question",
                "keep the columns item and question of the exported file",
            )
        yield from ({**dict.fromkeys(("value", "rater", "seconds")), **row} for row in rows)


def _ratings_of(task: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the ratings of one task: one of its own in a flat row, any number in a tool's."""
    if isinstance(task.get("data"), dict):  # Label Studio
        for one in task.get("annotations") or []:
            if one.get("was_cancelled"):
                continue
            who = one.get("completed_by")
            who = who.get("email") or who.get("id") if isinstance(who, dict) else who
            said = [next(iter(mark["value"].values()), None) for mark in one["result"] if mark.get("value")]
            value = said[0] if len(said) == 1 else said or None
            yield {**task["data"], "value": value, "rater": _name(who), "seconds": one.get("lead_time")}
    elif isinstance(task.get("metadata"), dict):  # Argilla
        for given in (task.get("responses") or {}).values():
            for one in given if isinstance(given, list) else []:
                if one.get("status", "submitted") == "submitted":
                    yield {**task["metadata"], "value": one.get("value"), "rater": _name(one.get("user_id"))}
    else:
        who = next((task[name] for name in _NAMES_OF_RATER if task.get(name) not in (None, "")), None)
        value = task.get("value") or task.get("choice") or task.get("rating")
        if isinstance(value, list) and value and isinstance(value[0], dict):  # JSON_MIN: [{"rating": 4}]
            value = value[0].get("rating")
        yield {**task, "value": value, "rater": _name(who), "seconds": task.get("lead_time")}


def _name(who: object) -> str:
    """Return a tool's user as a rater's name: 7 is "rater 7"."""
    return "" if who is None else f"rater {who}" if str(who).isdigit() else str(who)
