"""Studies: which answers of a report people rate, in which order each sees them, and their ratings on the disk.

A folder is one study and a rater is one file in it:

    study.json      the report's digest and the settings that the items are made from
    NAME.jsonl      one line a rating, appended and flushed before the rater sees that it was saved

A rating names its item by an opaque id, so the files do not tell who wrote what. A rating that is given again is a
further line; the last one counts. A last line that a kill left unfinished is ignored, and cut off before the next
rating is appended. Nothing is drawn by a random generator: things are sorted by hashes of the seed and of what they
hold, so a study has the same items on every computer and with every version of every library.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from vecspeak.bounds import check_levels, read_data
from vecspeak.errors import UserError
from vecspeak.evaluation.report import READER, Entity, EvaluatedSet, Report
from vecspeak.raters.agreement import Rating
from vecspeak.raters.items import BETTER, SCALES, Item, Value
from vecspeak.storage import Journal, digest, read_json, recover, write_json

SWAPPED = "swapped"
"""Key of the system that was given another entity's vector: its answers show whether raters read."""
DEFAULT_SYSTEMS = (READER, SWAPPED, "nearest_text", "lm_texts", "mean")
STUDY_FILE = "study.json"
STUDY_VERSION = 1
_LONGEST_NAME = 40
LONGEST_SECONDS = 86_400.0
Given = dict[tuple[str, str], Rating]
"""A rater's ratings by item id and question key."""


class StudyConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What decides the items, next to the report."""

    seed: int
    count: int
    """Maximum number of entities."""
    systems: tuple[str, ...]


class _StudyFile(msgspec.Struct, kw_only=True):
    study_version: int
    report: str
    settings: StudyConfig


class StudyLine(msgspec.Struct, kw_only=True):
    """A line of a rater's file."""

    item: str
    question: str
    value: Value
    seconds: float
    at: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """All items of a study, each of which every rater gets."""

    report: Report
    digest: str
    """Equal for two reports with the same entities and answers."""
    settings: StudyConfig
    items: Mapping[str, Item]
    """By id."""

    def order(self, rater: str) -> tuple[Item, ...]:
        """Return the items as this rater sees them, always the same for one name.

        Every entity comes once before any comes again, so that items of one entity lie far apart and a rater who
        stops early has seen many entities. Two of one entity follow each other only where no other is left.
        """
        turns: dict[int, list[Item]] = {}
        seen: dict[tuple[int, str], int] = {}
        for item in sorted(self.items.values(), key=lambda item: _hash(self.settings.seed, rater, item.id)):
            # The n-th item of an entity goes to the n-th turn: a turn has every entity once.
            turn = seen[item.key] = seen.get(item.key, -1) + 1
            turns.setdefault(turn, []).append(item)
        ordered: list[Item] = []
        for _, items in sorted(turns.items()):
            # Where the last of a turn and the first of the next are of one entity, that one waits.
            if ordered and items[0].key == ordered[-1].key:
                items.append(items.pop(0))
            ordered += items
        return tuple(ordered)


def make_sheet(report: Report, *, systems: tuple[str, ...] = (), count: int = 50, seed: int = 0) -> Sheet:
    """Draw entities, evenly from the report's sets, and make their items.

    An entity has an item for each system, and a pair of the reader and one baseline; the baselines take turns. Without
    systems: those of DEFAULT_SYSTEMS that the report has. Raises UserError for a system without answers in the
    report, and where nothing can be rated.
    """
    systems = _systems(report, systems)
    digest = digest_of(report)
    items: dict[str, Item] = {}
    for index, entities in enumerate(_drawn(report, systems, count, (seed, digest))):
        first = int(_hash(digest, seed, index), 16) % 2
        for number, entity in enumerate(entities):
            shown = _with_label(report.sets[index].question, entity.label)
            for wrote in _writers(entity, systems, number, first):
                key = _hash(digest, seed, index, entity.id, sorted(wrote))[:16]
                items[key] = Item(
                    id=key,
                    set_index=index,
                    asked=shown,
                    entity=entity,
                    systems=wrote,
                    texts=tuple(entity.answers[system] for system in wrote),
                    questions=(BETTER,) if len(wrote) == 2 else SCALES,
                )
    if not items:
        raise UserError("this report holds no entity with a true text and an answer, so nothing can be rated")
    settings = StudyConfig(seed=seed, count=count, systems=systems)
    return Sheet(report=report, digest=digest, settings=settings, items=items)


def digest_of(report: Report) -> str:
    """Return the SHA-256 of what raters may see of a report: names, questions, entities and their answers.

    Scores are left out: a report that was measured again keeps its ratings.
    """
    seen = [
        [s.name, s.question, [[e.id, e.label, e.truth, sorted(e.answers.items())] for e in s.entities]]
        for s in report.sets
    ]
    return _hash(seen)


def _hash(*parts: Any) -> str:
    return digest(json.dumps(parts, ensure_ascii=False).encode("utf-8", "replace"))


def _systems(report: Report, wanted: tuple[str, ...]) -> tuple[str, ...]:
    there = {key: None for s in report.sets for entity in s.entities for key in entity.answers}
    unknown = [key for key in wanted if key not in there]
    found = tuple(dict.fromkeys(wanted)) or tuple(key for key in DEFAULT_SYSTEMS if key in there)
    if unknown or not found:
        what = f"the system {unknown[0]!r}" if unknown else ", ".join(DEFAULT_SYSTEMS)
        raise UserError(
            f"this report has no answers of {what}", f"give `system` one of: {', '.join(there) or '(none)'}"
        )
    return found


def _drawn(report: Report, systems: tuple[str, ...], count: int, key: tuple[int, str]) -> list[list[Entity]]:
    """Draw `count` entities in all, as evenly from the sets as these allow."""
    pools = [_usable(entities, systems, key) for entities in report.sets]
    drawn: list[list[Entity]] = [[] for _ in pools]
    while sum(map(len, drawn)) < min(count, sum(map(len, pools))):
        for taken, pool in zip(drawn, pools, strict=True):
            if len(taken) < len(pool) and sum(map(len, drawn)) < count:
                taken.append(pool[len(taken)])
    return drawn


def _usable(entities: EvaluatedSet, systems: tuple[str, ...], key: tuple[int, str]) -> list[Entity]:
    found = [
        entity
        for entity in entities.entities
        if entity.truth.strip() and any(system in entity.answers for system in systems)
    ]
    return sorted(found, key=lambda entity: _hash(*key, entities.name, entity.id))


def _writers(entity: Entity, systems: tuple[str, ...], number: int, first: int) -> list[tuple[str, ...]]:
    """Return who writes in each of an entity's items: every system alone, then the reader and a baseline.

    The reader stands left and right by turns, over all pairs and over those with one baseline.
    """
    alone: list[tuple[str, ...]] = [(system,) for system in systems if system in entity.answers]
    baselines = [system for system in systems if system != READER]
    if READER not in systems or not baselines:
        return alone
    # Baselines take turns from entity to entity. The reader's side alternates with them, and for one baseline from
    # each of its turns to the next; where it begins is a hash, so that no position tells who wrote.
    turn, place = divmod(number, len(baselines))
    pair = (READER, baselines[place])
    if (first + place + turn) % 2:
        pair = pair[::-1]
    return [*alone, pair] if all(system in entity.answers for system in pair) else alone


def _with_label(question: str, label: str) -> str:
    return re.sub(r"\{\w+\}", lambda _: f"“{label}”", question)


def rater_name(given: object) -> str:
    """Normalize a rater's name to lower case and single spaces: it is also the name of their file.

    Raises UserError for what is not 1 to 40 letters, digits, spaces and dashes, beginning with a letter or digit.
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
    """A sheet with the folder of its ratings. Nothing is held in memory: several servers may share the folder."""

    folder: Path
    sheet: Sheet

    def add(self, rater: str, item: object, question: object, value: object, seconds: object) -> None:
        """Check a rating of now that anybody may have sent, append it and flush it to the disk.

        Raises UserError for values of the wrong kind, and when the sheet has no such item, question or value.
        """
        if not (isinstance(item, str) and isinstance(question, str) and isinstance(value, int | str)):
            raise UserError("a rating is an item, a question and a value")
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not 0 <= seconds <= LONGEST_SECONDS
        ):
            raise UserError(f"seconds are a number from 0 to {LONGEST_SECONDS:.0f}")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = StudyLine(item=item, question=question, value=value, seconds=round(float(seconds), 1), at=now)
        self.append(rater, [line])

    def append(self, rater: str, lines: Sequence[StudyLine]) -> None:
        """Append ratings in one write. Raises UserError when the sheet has no such item, question or value."""
        name = rater_name(rater)
        for line in lines:
            self.rating(name, line)
        Journal(self.folder / f"{name}.jsonl").append(map(msgspec.to_builtins, lines))

    def given(self, rater: str) -> Given:
        """Read a rater's ratings; empty before the first. Raises UserError for a file that is not of this study."""
        name = rater_name(rater)
        path = self.folder / f"{name}.jsonl"
        data = read_data(path) if path.exists() else b""
        check_levels(data, path, by_line=True)
        lines = data.split(b"\n")[:-1]
        found = {}
        for number, text in enumerate(lines, 1):
            try:
                rating = self.rating(name, msgspec.json.decode(text, type=StudyLine))
            except (msgspec.MsgspecError, UserError, RecursionError) as error:
                raise UserError(
                    f"line {number} of {path} is no rating of this study ({error})",
                    "restore the file or remove the line",
                ) from error
            found[rating.item.id, rating.question.key] = rating
        return found

    def rating(self, rater: str, line: StudyLine) -> Rating:
        """Resolve a line. Raises UserError when the sheet has no such item, question or value."""
        item = self.sheet.items.get(line.item)
        if item is None:
            raise UserError("there is no such item on this sheet")
        question = next((question for question in item.questions if question.key == line.question), None)
        if question is None:
            raise UserError(f"an item of this kind is asked: {', '.join(q.key for q in item.questions)}")
        if not question.allows(line.value):
            raise UserError(f"{question.key} is one of: {', '.join(map(str, question.values))}")
        return Rating(
            item=item, question=question, value=line.value, rater=rater, seconds=line.seconds, at=line.at
        )

    def raters(self) -> tuple[str, ...]:
        """Return the names of who has rated. Raises UserError for a file that bears no rater's name."""
        names = []
        for path in sorted(self.folder.glob("*.jsonl")):
            try:
                names.append(rater_name(path.stem))
            except UserError as error:
                raise UserError(
                    f"{path} does not bear the name of a rater: {error.message}", "move it elsewhere"
                ) from error
        return tuple(sorted(names))

    def ratings(self) -> list[Rating]:
        """Return the table of all ratings that count. Raises UserError where there are none."""
        found = [rating for rater in self.raters() for rating in self.given(rater).values()]
        if not found:
            raise UserError(
                f"nobody has rated in {self.folder} yet",
                "run `vecspeak.raters.study.start_study(...)` on the report and rate",
            )
        return found


def is_done(item: Item, given: Given) -> bool:
    """Return whether every question about an item is answered."""
    return all((item.id, question.key) in given for question in item.questions)


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
        sheet = make_sheet(report, systems=systems, count=count or 50, seed=seed or 0)
        recover(folder / STUDY_FILE)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} holds other things than ratings", "give another `folder`")
        folder.mkdir(parents=True, exist_ok=True)
        return _write(folder, sheet)
    study = open_study(folder, report)
    old = study.sheet.settings
    new = StudyConfig(
        seed=old.seed if seed is None else seed,
        count=old.count if count is None else count,
        systems=tuple(dict.fromkeys(systems)) or old.systems,
    )
    if new == old:
        return study
    if not study.raters():
        return _write(folder, make_sheet(report, systems=new.systems, count=new.count, seed=new.seed))
    raise UserError(
        f"the study in {folder} was begun with `seed={old.seed}` `count={old.count}` and the systems "
        f"{', '.join(old.systems)}",
        "leave these out to go on with it, or give another `folder`",
    )


def open_study(folder: Path, report: Report) -> Study:
    """Open the study of a folder. Raises UserError when there is none, or one of another report."""
    path = folder / STUDY_FILE
    if not path.exists():
        raise UserError(
            f"there are no ratings in {folder}",
            "run `vecspeak.raters.study.start_study(...)` on the report first",
        )
    try:
        found = msgspec.convert(read_json(path), _StudyFile)
    except msgspec.ValidationError as error:
        raise UserError(
            f"{path} describes no study ({error})", "restore it or give another `folder`"
        ) from error
    if found.study_version != STUDY_VERSION:
        raise UserError(
            f"the study in {folder} is of version {found.study_version!r}, and this vecspeak knows version "
            f"{STUDY_VERSION}"
        )
    if found.report != digest_of(report):
        raise UserError(
            f"the ratings in {folder} are of another report: its entities or answers differ",
            "give that report, or another `folder`",
        )
    old = found.settings
    return Study(folder=folder, sheet=make_sheet(report, systems=old.systems, count=old.count, seed=old.seed))


def _write(folder: Path, sheet: Sheet) -> Study:
    settings = msgspec.to_builtins(sheet.settings)
    write_json(
        folder / STUDY_FILE, {"study_version": STUDY_VERSION, "report": sheet.digest, "settings": settings}
    )
    return Study(folder=folder, sheet=sheet)
