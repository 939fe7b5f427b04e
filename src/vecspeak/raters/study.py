"""Store: what raters said, on the disk. A folder is one study; a rater is one file in it.

    study.json      the report's digest and the settings that the sheet is made from
    NAME.jsonl      one line a rating, appended and flushed before the rater sees that it was saved

Knows sheets and files. Knows nothing of servers. A rating names its item by an opaque id only, so that the
files do not tell who wrote what either. A rating that is given again is a further line; the last one counts. What a
kill leaves of a last line is not read, and is cut off before the next rating is appended.
"""

import json
import math
import unicodedata
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vecspeak.errors import UserError
from vecspeak.evaluation.report import Report
from vecspeak.raters.sheet import Item, Settings, Sheet, Value, digest_of, make_sheet
from vecspeak.storage import Journal, read_json, recover, write_json

STUDY_FILE = "study.json"
STUDY_VERSION = 1
_LONGEST_NAME = 40
_LONGEST_SECONDS = 86_400.0
Given = dict[tuple[str, str], "Rating"]
"""By item and question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One value that one rater gave."""

    item: str
    question: str
    value: Value
    seconds: float
    """From when the item was shown, or from the rater's last answer to it, to this one."""
    at: str
    """When, as ISO 8601 in UTC."""


def rater_name(given: object) -> str:
    """The name under which a rater's answers are kept: small letters, single spaces.

    Raises UserError for what is not 1 to 40 letters, digits, spaces and dashes that begin with a letter or digit.
    """
    text = unicodedata.normalize("NFKC", given).casefold() if isinstance(given, str) else ""
    name = " ".join(unicodedata.normalize("NFKC", text).split())
    kinds = [unicodedata.category(letter)[0] for letter in name]
    fits = all(kind in "LMN" or letter in " -" for kind, letter in zip(kinds, name, strict=True))
    if not fits or not 1 <= len(name) <= _LONGEST_NAME or kinds[0] not in "LN":
        raise UserError(
            f"a name is 1 to {_LONGEST_NAME} letters, digits, spaces and dashes, and begins with a letter or digit"
        )
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A sheet with the folder of its answers. Nothing is kept in memory: several servers may share the folder."""

    folder: Path
    sheet: Sheet

    def add(self, rater: str, rating: Rating) -> None:
        """Append a rating and flush it to the disk. Raises UserError when the sheet has no such question or value."""
        _checked(self.sheet, rating)
        Journal(self.folder / f"{rater_name(rater)}.jsonl").append([asdict(rating)])

    def given(self, rater: str) -> Given:
        """What a rater said; empty before the first rating. Raises UserError for a file that is not of this study."""
        path = self.folder / f"{rater_name(rater)}.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        found = {}
        for number, line in enumerate(lines, 1):
            try:
                rating = _checked(self.sheet, Rating(**json.loads(line)))
            except (ValueError, TypeError, RecursionError) as error:
                raise UserError(
                    f"line {number} of {path} is no rating of this study ({error})",
                    "restore the file or remove the line",
                ) from error
            found[rating.item, rating.question] = rating
        return found

    def raters(self) -> tuple[str, ...]:
        """The names of who has rated. Raises UserError for a file that bears no rater's name."""
        return tuple(sorted(_rater_of(path) for path in self.folder.glob("*.jsonl")))


def is_done(item: Item, given: Given) -> bool:
    """Whether every question about an item is answered."""
    return all((item.id, question.key) in given for question in item.questions)


def new_rating(item: object, question: object, value: object, seconds: object) -> Rating:
    """A rating of now, from values that anybody may have sent; `add` checks it against the sheet.

    Raises UserError for values that are not of the right kind.
    """
    if not (isinstance(item, str) and isinstance(question, str) and isinstance(value, int | str)):
        raise UserError("a rating is an item, a question and a value")
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 <= seconds <= _LONGEST_SECONDS
    ):
        raise UserError(f"seconds are a number from 0 to {_LONGEST_SECONDS:.0f}")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Rating(item=item, question=question, value=value, seconds=round(float(seconds), 1), at=now)


def start_study(
    folder: Path,
    report: Report,
    *,
    systems: tuple[str, ...] = (),
    count: int | None = None,
    seed: int | None = None,
) -> Study:
    """Open the study of a folder, or begin one there: 50 entities and seed 0 where nothing else is asked for.

    Until somebody has rated, the settings may still be changed. Raises UserError when the folder is of another
    report, holds other files, or has ratings that were given under other settings.
    """
    if not (folder / STUDY_FILE).exists():
        return _begin(folder, make_sheet(report, systems=systems, count=count or 50, seed=seed or 0))
    study = open_study(folder, report)
    kept = study.sheet.settings
    asked = Settings(
        seed=kept.seed if seed is None else seed,
        count=kept.count if count is None else count,
        systems=tuple(dict.fromkeys(systems)) or kept.systems,
    )
    if asked == kept:
        return study
    if not study.raters():
        return _written(folder, make_sheet(report, systems=asked.systems, count=asked.count, seed=asked.seed))
    raise UserError(
        f"the study in {folder} was begun with --seed {kept.seed} --count {kept.count} and the systems "
        f"{', '.join(kept.systems)}",
        "leave these options out to go on with it, or give another --folder",
    )


def open_study(folder: Path, report: Report) -> Study:
    """Open the study of a folder; raises UserError when there is none, or one of another report."""
    if not (folder / STUDY_FILE).exists():
        raise UserError(f"there are no ratings in {folder}", "run vecspeak rate on the report first")
    kept = read_json(folder / STUDY_FILE)
    settings = _settings(folder, kept)
    if kept["report"] != digest_of(report):
        raise UserError(
            f"the ratings in {folder} are of another report: its entities or answers differ",
            "give that report, or another --folder",
        )
    sheet = make_sheet(report, systems=settings.systems, count=settings.count, seed=settings.seed)
    return Study(folder=folder, sheet=sheet)


def _begin(folder: Path, sheet: Sheet) -> Study:
    recover(folder / STUDY_FILE)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} holds other things than ratings", "give another --folder")
    folder.mkdir(parents=True, exist_ok=True)
    return _written(folder, sheet)


def _written(folder: Path, sheet: Sheet) -> Study:
    kept = {"study_version": STUDY_VERSION, "report": sheet.digest, "settings": asdict(sheet.settings)}
    write_json(folder / STUDY_FILE, kept)
    return Study(folder=folder, sheet=sheet)


def _settings(folder: Path, kept: Any) -> Settings:
    try:
        version, settings, _ = kept["study_version"], kept["settings"], kept["report"]
        found = Settings(
            seed=int(settings["seed"]), count=int(settings["count"]), systems=tuple(settings["systems"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder / STUDY_FILE} describes no study", "restore it or give another --folder"
        ) from error
    if version != STUDY_VERSION:
        raise UserError(
            f"the study in {folder} is of version {version!r}, and this vecspeak knows version {STUDY_VERSION}"
        )
    return found


def _checked(sheet: Sheet, rating: Rating) -> Rating:
    item = sheet.items.get(rating.item)
    if item is None:
        raise UserError("there is no such item on this sheet")
    question = next((question for question in item.questions if question.key == rating.question), None)
    if question is None:
        raise UserError(f"an item of this kind is asked: {', '.join(q.key for q in item.questions)}")
    if not question.allows(rating.value):
        raise UserError(f"{question.key} is one of: {', '.join(map(str, question.values))}")
    if not (isinstance(rating.seconds, int | float) and math.isfinite(rating.seconds)):
        raise UserError("seconds are a number")
    return rating


def _rater_of(path: Path) -> str:
    try:
        return rater_name(path.stem)
    except UserError as error:
        raise UserError(
            f"{path} does not bear the name of a rater: {error.message}", "move it elsewhere"
        ) from error
