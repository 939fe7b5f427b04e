"""Runs: examples go to a teacher, its replies are cached as they come, and those that pass the filters become targets.

    replies.jsonl   every reply, only ever added to: nothing is asked, and paid for, twice, except what was in flight
                    when a run was killed
    targets.jsonl   those of a run's examples are derived from the replies again at its end, also at an early end;
                    those of other examples stay as they are
    dropped.jsonl   what the filters dropped of the last run's examples, and why

Filters can be changed and run again for nothing on the same examples: the replies stay. Several teachers on one folder
add up, at the same time too; one teacher runs once at a time. Replies are in a journal and not in a cache file: a line
that a disk spoils costs one paid reply, a spoiled database all of them.
"""

import dataclasses
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from vecspeak.console import progress_bar
from vecspeak.errors import UserError
from vecspeak.storage import Journal, digest, lock, replace_file
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
from vecspeak.teachers.base import (
    FACTS,
    BudgetError,
    Generation,
    Teacher,
    estimate_tokens,
    max_request_tokens,
)
from vecspeak.teachers.filters import DuplicateIndex, check_text

REPLIES, DROPPED = "replies.jsonl", "dropped.jsonl"


@dataclass(slots=True, kw_only=True)
class TaskCounts:
    """Outcome of the examples of one task."""

    accepted: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """By reason, the most frequent first."""
    unanswered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateResult:
    """Outcome of a run."""

    teacher: str
    examples: int
    asked: int
    """Examples that the teacher answered in this run; the other replies were cached."""
    tasks: Mapping[str, TaskCounts]
    """Of this teacher, by name of the task."""
    targets: int
    """All targets of the folder, those of other teachers and other examples too."""
    tokens_in: int
    tokens_out: int
    seconds: float
    stopped: str = ""
    """Why it ended early; empty where it did not."""
    cost: Mapping[str, float] = field(default_factory=dict)
    """`cost` of this run and `cost_in_all` of all runs on the folder, where the teacher's prices are known."""

    @property
    def accepted(self) -> int:
        """Targets of this teacher for these examples."""
        return sum(one.accepted for one in self.tasks.values())

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many were dropped, by reason."""
        total: Counter[str] = Counter()
        for one in self.tasks.values():
            total.update(one.dropped)
        return dict(total.most_common())

    @property
    def unanswered(self) -> int:
        """Examples without an answer."""
        return sum(one.unanswered for one in self.tasks.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the keys of `teach --json`, which are older than the names here."""
        tasks = {
            name: {"kept": one.accepted, "dropped": one.dropped, "unanswered": one.unanswered}
            for name, one in self.tasks.items()
        }
        names = ("asked", "targets", "tokens_in", "tokens_out", "seconds", "stopped")
        return {
            "teacher": self.teacher,
            "lessons": self.examples,
            "tasks": tasks,
            **{name: getattr(self, name) for name in names},
            "kept": self.accepted,
            "dropped": dict(self.dropped),
            "unanswered": self.unanswered,
            **self.cost,
        }


def generate_targets(
    examples: Sequence[TaskExample],
    teacher: Teacher,
    folder: Path,
    about: TargetsOrigin,
    *,
    language: str = "en",
) -> GenerateResult:
    """Let a teacher answer the examples that it has not answered yet, and derive the targets of all of them.

    Raises UserError where the folder holds targets of something else, where another run has this teacher write into
    it, and where the teacher cannot go on: targets are derived from the replies so far, and the same call goes on
    from there.
    """
    check_folder(folder, about)
    folder.mkdir(parents=True, exist_ok=True)
    started, used = time.monotonic(), Counter[str]()
    token = digest(teacher.name)[:12]
    busy = f"another run has {teacher.name} write into {folder}"
    with lock(folder / f"teacher.{token}", busy=busy):
        replies = ReplyCache(folder / REPLIES)
        try:
            stopped = _ask(examples, teacher, replies, used)
        finally:
            tasks, targets = _derive(examples, teacher, folder, about, language)
    return GenerateResult(
        teacher=teacher.name,
        examples=len(examples),
        asked=used["asked"],
        tasks=tasks,
        targets=targets,
        tokens_in=used["in"],
        tokens_out=used["out"],
        seconds=time.monotonic() - started,
        stopped=stopped,
        cost=teacher.budget.costs if teacher.budget else {},
    )


def check_folder(folder: Path, about: TargetsOrigin) -> None:
    """Raise UserError where the folder holds broken targets, or those of another space, set or split."""
    if folder.is_file():
        raise UserError(f"{folder} is a file, and targets are a folder", "give the name of a folder to `out`")
    if (folder / TARGETS).is_file():
        read_targets(folder)
    if not (folder / ABOUT).is_file():
        return
    there, given = (dataclasses.asdict(one) for one in (read_about(folder), about))
    wrong = [name for name in given if name != "seed" and there[name] != given[name]]
    if wrong:
        name = wrong[0]
        raise UserError(
            f"{folder} holds targets {_WRONG[name]}: {_plainly(there[name])}, not {_plainly(given[name])}",
            "give another folder to `out`",
        )


_WRONG = {
    "space": "of another space",
    "space_digest": "of another version of the space, by its digest",
    "task_set": "of another task set",
    "words": "written in other words (`words`)",
    "split": "of another split",
}


def _plainly(value: str | Mapping[str, str]) -> str:
    """Format a name, the beginning of a digest, or words as they are typed."""
    if isinstance(value, str):
        return value[:12] if re.fullmatch("[0-9a-f]{64}", value) else value
    return " ".join(f"{name}={word}" for name, word in value.items()) or "those of the set"


class _ReplyRow(msgspec.Struct, kw_only=True):
    """A line of the journal. A line of another type is asked again, and never counted with what is no number."""

    key: str
    teacher: str
    prompt: str = msgspec.field(name="lesson")
    """Digest of what the teacher read."""
    most_tokens_in: int = 0
    text: str
    tokens_in: int | None = None
    tokens_out: int | None = None
    refused: bool = False
    cut: bool = False

    @property
    def generation(self) -> Generation:
        names = (one.name for one in dataclasses.fields(Generation))
        return Generation(**{name: getattr(self, name) for name in names})


class ReplyCache:
    """Replies of all teachers, by everything that decides them; on the disk as soon as they are added."""

    def __init__(self, path: Path) -> None:
        """Read the journal. Raises UserError where the file plainly holds something else."""
        self._journal = Journal(path)
        self._rows: dict[str, _ReplyRow] = {}
        self._by_prompt: defaultdict[str, dict[str, str]] = defaultdict(dict)
        """Digest of a prompt -> teacher -> key of its last reply."""
        self._used: defaultdict[str, Counter[str]] = defaultdict(Counter)
        rows = list(self._journal.rows())
        for row in rows:
            try:
                self._remember(msgspec.convert(row, _ReplyRow))
            except msgspec.ValidationError:
                continue
        if rows and not self._rows:
            raise UserError(f"{path} holds no replies of a teacher", "give another folder to `out`")

    @property
    def count(self) -> int:
        """Number of replies."""
        return len(self._rows)

    def get(self, teacher: Teacher, example: TaskExample) -> Generation | None:
        """Return what this teacher wrote for the example, if it did."""
        row = self._rows.get(key_of(teacher, example))
        return row.generation if row else None

    def by_teacher(self, teacher: Teacher, example: TaskExample) -> dict[str, Generation]:
        """Return every teacher's reply by name, sorted, so that the order of runs does not count.

        Of this teacher it is the reply under its present settings, of others the last.
        """
        found = {
            name: self._rows[key].generation
            for name, key in self._by_prompt.get(digest(json.dumps(example.context)), {}).items()
            if name != teacher.name
        }
        if (own := self.get(teacher, example)) is not None:
            found[teacher.name] = own
        return dict(sorted(found.items()))

    def used_by(self, teacher: Teacher) -> tuple[int, int]:
        """Return the tokens of a teacher's replies, read and written; estimated from above where nobody counted."""
        used = self._used[teacher.name]
        return used["in"], used["out"]

    def add(self, teacher: Teacher, example: TaskExample, written: Generation) -> None:
        """Add a reply; it is on the disk when this returns."""
        row = _ReplyRow(
            key=key_of(teacher, example),
            teacher=teacher.name,
            prompt=digest(json.dumps(example.context)),
            most_tokens_in=max_request_tokens(example)[0],
            **dataclasses.asdict(written),
        )
        self._journal.append([msgspec.to_builtins(row)])
        self._remember(row)

    def _remember(self, row: _ReplyRow) -> None:
        self._rows[row.key] = row
        self._by_prompt[row.prompt][row.teacher] = row.key
        used = self._used[row.teacher]
        used["in"] += row.most_tokens_in if row.tokens_in is None else row.tokens_in
        used["out"] += estimate_tokens(row.text) if row.tokens_out is None else row.tokens_out


def key_of(teacher: Teacher, example: TaskExample) -> str:
    """Return the SHA-256, in hex, of everything that decides what the teacher writes for the example."""
    return digest(json.dumps([teacher.name, teacher.settings_for(example), example.context]))


def pending(examples: Sequence[TaskExample], teacher: Teacher, folder: Path) -> list[TaskExample]:
    """Return the examples that a run would ask the teacher; of examples with equal prompts the first."""
    return [group[0] for group in _pending_groups(examples, teacher, ReplyCache(folder / REPLIES))]


def _pending_groups(
    examples: Sequence[TaskExample], teacher: Teacher, replies: ReplyCache
) -> list[list[TaskExample]]:
    """Group the examples without a reply by what decides it."""
    waiting: dict[str, list[TaskExample]] = defaultdict(list)
    for example in examples:
        if replies.get(teacher, example) is None:
            waiting[key_of(teacher, example)].append(example)
    return list(waiting.values())


def _ask(examples: Sequence[TaskExample], teacher: Teacher, replies: ReplyCache, used: Counter[str]) -> str:
    """Cache a reply for every example without one; returns why the teacher stopped by itself, if it did."""
    if teacher.budget is not None:  # it is for all runs on the folder
        teacher.budget.before_in, teacher.budget.before_out = replies.used_by(teacher)
    groups = _pending_groups(examples, teacher, replies)
    try:
        answers = teacher.write([group[0] for group in groups])
        shown = None if groups else False
        bar = progress_bar(answers, total=len(groups), desc="teaching", unit="lesson", shown=shown)
        for number, written in bar:
            replies.add(teacher, groups[number][0], written)
            tokens = {"in": written.tokens_in or 0, "out": written.tokens_out or 0}
            used.update({"asked": len(groups[number]), **tokens})
    except BudgetError as error:
        return str(error)
    except UserError as error:
        cached = f"{replies.count:,} replies are kept, the same command goes on from there"
        hint = "; ".join(filter(None, [error.hint, cached if replies.count else ""]))
        raise UserError(error.message, hint) from error
    return ""


def _derive(
    examples: Sequence[TaskExample], teacher: Teacher, folder: Path, about: TargetsOrigin, language: str
) -> tuple[dict[str, TaskCounts], int]:
    """Write targets and what was dropped; returns this teacher's counts by task, and the number of targets."""
    with lock(folder / TARGETS):
        # Read again: another teacher's run may have added replies meanwhile.
        replies = ReplyCache(folder / REPLIES)
        targets = _targets_of_others(folder, examples)
        index, dropped = DuplicateIndex(), list[dict[str, Any]]()
        for target in targets:
            if target.teacher != FACTS:
                index.add(target.task, target.text)
        counts = {example.task.name: TaskCounts() for example in examples}
        for example in examples:
            count = counts[example.task.name]
            count.unanswered += replies.get(teacher, example) is None
            for name, written in replies.by_teacher(teacher, example).items():
                checked = check_text(written, example, index, language=language, composed=name == FACTS)
                if name == teacher.name and checked.reason:
                    count.dropped[checked.reason] = count.dropped.get(checked.reason, 0) + 1
                elif name == teacher.name:
                    count.accepted += 1
                where: dict[str, Any] = {
                    "task": example.task.name,
                    "slots": dict(example.slots),
                    "teacher": name,
                }
                if checked.reason:
                    dropped.append({**where, "reason": checked.reason, "text": written.text})
                    continue
                targets.append(
                    Target(**where, text=checked.text, context=example.context, split=example.split)
                )
                if name != FACTS:
                    index.add(example.task.name, checked.text)
        write_targets(folder, targets, about)
        with replace_file(folder / DROPPED) as temporary:
            lines = (json.dumps(row, ensure_ascii=False) for row in dropped)
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="replace")
    for count in counts.values():
        count.dropped = dict(Counter(count.dropped).most_common())
    return counts, len(targets)


def _targets_of_others(folder: Path, examples: Sequence[TaskExample]) -> list[Target]:
    """Return the folder's targets of examples that are not among these: they stay as they are."""
    if not (folder / TARGETS).is_file():
        return []

    def place(task: str, slots: Mapping[str, str], split: str) -> tuple[Any, ...]:
        return task, split, *sorted(slots.items())

    here = {place(example.task.name, example.slots, example.split) for example in examples}
    return [one for one in read_targets(folder) if place(one.task, one.slots, one.split) not in here]
