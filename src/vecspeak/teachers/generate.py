"""Run: lessons go to a teacher, what it writes is kept as it comes, and what the checks let pass becomes targets.

    replies.jsonl   every reply, only ever added to: nothing is asked, and paid for, twice, but what was on its way
                    when a run was killed
    targets.jsonl   those of a run's lessons are made anew from the replies at its end, early ends too; those of other
                    lessons stay as they are
    dropped.jsonl   what the checks dropped of the last run's lessons, and why

Checks can be changed and run again for nothing on the same lessons: the replies stay. Several teachers on one folder
add up, at the same time too; one teacher runs once at a time. Knows lessons, checks and the folder. Knows nothing of
how a teacher writes.
"""

import contextlib
import dataclasses
import hashlib
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vecspeak.errors import UserError
from vecspeak.storage import Journal, lock, replace_file
from vecspeak.tasks.examples import (
    ABOUT,
    TARGETS,
    Target,
    TargetsOrigin,
    TaskExample,
    read_about,
    read_targets,
    write_targets,
)
from vecspeak.teachers.backends import FACTS
from vecspeak.teachers.base import BudgetError, Generation, Paid, Teacher, estimate_tokens, max_request_tokens
from vecspeak.teachers.filters import CheckResult, DuplicateIndex, check_text


def alone(folder: Path, teacher: str) -> contextlib.AbstractContextManager[None]:
    """Raise UserError where another run has this teacher write into the folder; keep others out until the end."""
    token = hashlib.sha256(teacher.encode()).hexdigest()[:12]
    return lock(folder / f"teacher.{token}", busy=f"another run has {teacher} write into {folder}")


REPLIES, DROPPED = "replies.jsonl", "dropped.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCounts:
    """What came of the lessons of a task."""

    kept: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    """How many by reason."""
    unanswered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateResult:
    """What came of a run."""

    teacher: str
    lessons: int
    asked: int
    """Lessons that the teacher answered in this run; the other answers were kept from before."""
    tasks: Mapping[str, TaskCounts]
    """Of this teacher, by name of the task."""
    targets: int
    """All targets of the folder, those of other teachers and other lessons too."""
    tokens_in: int
    """Of this run."""
    tokens_out: int
    seconds: float
    stopped: str = ""
    """Why it ended early; empty where it did not."""

    @property
    def kept(self) -> int:
        """Targets of this teacher for these lessons."""
        return sum(one.kept for one in self.tasks.values())

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many were dropped, by reason."""
        total: Counter[str] = Counter()
        for one in self.tasks.values():
            total.update(one.dropped)
        return dict(total.most_common())

    @property
    def unanswered(self) -> int:
        """Lessons without an answer."""
        return sum(one.unanswered for one in self.tasks.values())


@dataclass(slots=True)
class _Spent:
    """What a run has used so far."""

    asked: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, written: Generation, lessons: int) -> None:
        self.asked += lessons
        self.tokens_in += written.tokens_in or 0
        self.tokens_out += written.tokens_out or 0


def generate_targets(
    lessons: Sequence[TaskExample],
    teacher: Teacher,
    folder: Path,
    about: TargetsOrigin,
    *,
    language: str = "en",
) -> GenerateResult:
    """Let a teacher answer the lessons that it did not answer before, and make the targets of these lessons anew.

    Raises UserError where the folder holds targets of something else, where another run has this teacher write into
    it, and where the teacher cannot go on: the targets are made of what there is by then, and the same call goes on
    from there.
    """
    check_folder(folder, about)
    folder.mkdir(parents=True, exist_ok=True)
    started, spent = time.monotonic(), _Spent()
    with alone(folder, teacher.name):
        replies = Replies(folder / REPLIES)
        try:
            stopped = _ask(lessons, teacher, replies, spent)
        except BaseException:
            _derive(lessons, teacher, folder, about, language)
            raise
        tasks, targets = _derive(lessons, teacher, folder, about, language)
    return GenerateResult(
        teacher=teacher.name,
        lessons=len(lessons),
        tasks=tasks,
        targets=targets,
        seconds=time.monotonic() - started,
        stopped=stopped,
        **dataclasses.asdict(spent),
    )


def _goes_on(hint: str, replies: "Replies") -> str:
    kept = f"{replies.count:,} replies are kept, the same command goes on from there"
    return "; ".join(filter(None, [hint, kept if replies.count else ""]))


def check_folder(folder: Path, about: TargetsOrigin) -> None:
    """Raise UserError where the folder holds broken targets, or those of another space, set or split."""
    if folder.is_file():
        raise UserError(f"{folder} is a file, and targets are a folder", "give the name of a folder to --out")
    if (folder / TARGETS).is_file():
        read_targets(folder)
    if not (folder / ABOUT).is_file():
        return
    there, given = (dataclasses.asdict(one) for one in (read_about(folder), about))
    wrong = [name for name in given if name != "seed" and there[name] != given[name]]
    if wrong:
        name = wrong[0]
        raise UserError(
            f"{folder} holds targets {_OF_ANOTHER[name]}: {_plainly(there[name])}, not {_plainly(given[name])}",
            "give another folder to --out",
        )


_OF_ANOTHER = {
    "space": "of another space",
    "space_digest": "of another version of the space, by its digest",
    "task_set": "of another task set",
    "words": "written in other words (--word)",
    "split": "of another split",
}


def _plainly(value: str | Mapping[str, str]) -> str:
    """A name, the beginning of a digest, or words as they are typed."""
    if isinstance(value, str):
        return value[:12] if re.fullmatch("[0-9a-f]{64}", value) else value
    return " ".join(f"{name}={word}" for name, word in value.items()) or "those of the set"


class Replies:
    """What teachers wrote, by what they were told; in the file as soon as it is kept."""

    def __init__(self, path: Path) -> None:
        """Read what there is. Raises UserError where the file plainly holds something else."""
        self._journal = Journal(path)
        self._by_key: dict[str, Generation] = {}
        self._by_lesson: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._used: defaultdict[str, Counter[str]] = defaultdict(Counter)
        rows = list(self._journal.rows())
        for row in rows:
            if _is_reply(row):
                self._remember(row)
        if rows and not self._by_key:
            raise UserError(f"{path} holds no replies of a teacher", "give another folder to --out")

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._by_key)

    def of(self, teacher: Teacher, lesson: TaskExample) -> Generation | None:
        """What this teacher wrote for the lesson, if it did."""
        return self._by_key.get(key_of(teacher, lesson))

    def of_others(self, teacher: Teacher, lesson: TaskExample) -> dict[str, Generation]:
        """What other teachers wrote for the lesson, by their name; of one with several settings, the last."""
        found = self._by_lesson.get(_lesson_key(lesson), {})
        return {name: self._by_key[key] for name, key in sorted(found.items()) if name != teacher.name}

    def used_by(self, teacher: Teacher) -> tuple[int, int]:
        """Tokens that a teacher's replies took, read and written; an estimate from above where nobody counted."""
        used = self._used[teacher.name]
        return used["in"], used["out"]

    def keep(self, teacher: Teacher, lesson: TaskExample, written: Generation) -> None:
        """Add one."""
        row = {
            "key": key_of(teacher, lesson),
            "teacher": teacher.name,
            "lesson": _lesson_key(lesson),
            "most_tokens_in": max_request_tokens(lesson)[0],
            **dataclasses.asdict(written),
        }
        self._journal.append([row])
        self._remember(row)

    def _remember(self, row: Mapping[str, Any]) -> None:
        values = {one.name: row[one.name] for one in dataclasses.fields(Generation) if one.name in row}
        written = Generation(**values)
        self._by_key[row["key"]] = written
        read, told = written.tokens_in, written.tokens_out
        self._used[row["teacher"]]["in"] += row.get("most_tokens_in", 0) if read is None else read
        self._used[row["teacher"]]["out"] += estimate_tokens(written.text) if told is None else told
        self._by_lesson[row["lesson"]][row["teacher"]] = row["key"]


def _is_reply(row: Any) -> bool:
    """Whether a row is whole: one that somebody changed is asked again, and never counted with what is no number."""
    names, counts = ("key", "teacher", "lesson", "text"), ("tokens_in", "tokens_out", "most_tokens_in")
    return (
        isinstance(row, dict)
        and all(isinstance(row.get(name), str) for name in names)
        and all(isinstance(row.get(name) or 0, int) for name in counts)
    )


def key_of(teacher: Teacher, lesson: TaskExample) -> str:
    """SHA-256, in hex, of everything that decides what the teacher writes for the lesson."""
    return _digest([teacher.name, teacher.settings_for(lesson), lesson.context])


def _lesson_key(lesson: TaskExample) -> str:
    return _digest(lesson.context)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def pending(lessons: Sequence[TaskExample], teacher: Teacher, folder: Path) -> list[TaskExample]:
    """The lessons that a run would ask the teacher; of lessons that tell the same, the first."""
    return [group[0] for group in _alike(lessons, teacher, Replies(folder / REPLIES))]


def _alike(lessons: Sequence[TaskExample], teacher: Teacher, replies: Replies) -> list[list[TaskExample]]:
    """Lessons without an answer, those together that tell the same."""
    waiting: dict[str, list[TaskExample]] = defaultdict(list)
    for lesson in lessons:
        if replies.of(teacher, lesson) is None:
            waiting[key_of(teacher, lesson)].append(lesson)
    return list(waiting.values())


def _ask(lessons: Sequence[TaskExample], teacher: Teacher, replies: Replies, spent: _Spent) -> str:
    """Keep an answer for every lesson without one; says why the teacher stopped by itself, if it did."""
    if isinstance(teacher, Paid):
        teacher.spent_before(*replies.used_by(teacher))
    try:
        _keep_answers(_alike(lessons, teacher, replies), teacher, replies, spent)
    except BudgetError as error:
        return str(error)
    except UserError as error:
        raise UserError(error.message, _goes_on(error.hint, replies)) from error
    return ""


def _keep_answers(alike: list[list[TaskExample]], teacher: Teacher, replies: Replies, spent: _Spent) -> None:
    """Keep each answer as it comes; lessons that tell the same share it."""
    answers = teacher.write([group[0] for group in alike])
    bar = tqdm(answers, total=len(alike), desc="teaching", unit="lesson", disable=None if alike else True)
    for number, written in bar:
        replies.keep(teacher, alike[number][0], written)
        spent.add(written, len(alike[number]))


def _derive(
    lessons: Sequence[TaskExample],
    teacher: Teacher,
    folder: Path,
    about: TargetsOrigin,
    language: str,
) -> tuple[dict[str, TaskCounts], int]:
    """Write targets and what was dropped; counts of this teacher by task, and how many targets there are.

    The files are read anew: another teacher's run may have added to them meanwhile.
    """
    with lock(folder / TARGETS):
        return _derive_alone(lessons, teacher, folder, about, language)


def _derive_alone(
    lessons: Sequence[TaskExample], teacher: Teacher, folder: Path, about: TargetsOrigin, language: str
) -> tuple[dict[str, TaskCounts], int]:
    replies = Replies(folder / REPLIES)
    kept, dropped = DuplicateIndex(), list[dict[str, Any]]()
    targets = _of_other_lessons(folder, lessons)
    for target in targets:
        if target.teacher != FACTS:
            kept.add(target.task, target.text)
    counts = {lesson.task.name: _Tally() for lesson in lessons}
    for lesson in lessons:
        tally = counts[lesson.task.name]
        tally.unanswered += replies.of(teacher, lesson) is None
        for name, written in _answers(lesson, teacher, replies):
            checked = check_text(written, lesson, kept, language=language, composed=name == FACTS)
            mine = tally if name == teacher.name else _Tally()
            mine.add(checked)
            if checked.reason:
                dropped.append(_dropped(lesson, name, written, checked))
                continue
            targets.append(_target(lesson, name, checked.text))
            if name != FACTS:
                kept.add(lesson.task.name, checked.text)
    write_targets(folder, targets, about)
    _write_dropped(folder / DROPPED, dropped)
    return {name: tally.counts for name, tally in counts.items()}, len(targets)


@dataclass(slots=True)
class _Tally:
    """Counts on their way."""

    kept: int = 0
    unanswered: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def add(self, checked: CheckResult) -> None:
        if checked.reason:
            self.dropped[checked.reason] += 1
        else:
            self.kept += 1

    @property
    def counts(self) -> TaskCounts:
        return TaskCounts(
            kept=self.kept, dropped=dict(self.dropped.most_common()), unanswered=self.unanswered
        )


def _answers(lesson: TaskExample, teacher: Teacher, replies: Replies) -> Iterator[tuple[str, Generation]]:
    """Every teacher's answer to a lesson, by name, so that the order of the runs does not count."""
    found = replies.of_others(teacher, lesson)
    mine = replies.of(teacher, lesson)
    yield from sorted({**found, **({teacher.name: mine} if mine else {})}.items(), key=lambda pair: pair[0])


def _of_other_lessons(folder: Path, lessons: Sequence[TaskExample]) -> list[Target]:
    """Targets that the folder has of lessons which are not among these: they stay as they are."""
    if not (folder / TARGETS).is_file():
        return []
    here = {_place(lesson.task.name, lesson.slots, lesson.split) for lesson in lessons}
    return [one for one in read_targets(folder) if _place(one.task, one.slots, one.split) not in here]


def _place(task: str, slots: Mapping[str, str], split: str) -> tuple[str, ...]:
    return (task, split, *(part for pair in sorted(slots.items()) for part in pair))


def _target(lesson: TaskExample, teacher: str, text: str) -> Target:
    return Target(
        task=lesson.task.name,
        slots=dict(lesson.slots),
        text=text,
        context=lesson.context,
        teacher=teacher,
        split=lesson.split,
    )


def _dropped(lesson: TaskExample, teacher: str, written: Generation, checked: CheckResult) -> dict[str, Any]:
    return {
        "task": lesson.task.name,
        "slots": dict(lesson.slots),
        "teacher": teacher,
        "reason": checked.reason,
        "text": written.text,
    }


def _write_dropped(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with replace_file(path) as beside:
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="replace")
