"""Jobs: which examples of a space a teacher is asked for, checked before anybody is asked."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.bundles.bundle import check_not_in_bundle
from vecspeak.encoders.factorization import read_ratings
from vecspeak.errors import UserError, check_path, check_text, check_whole
from vecspeak.inputs import selected_task_set
from vecspeak.tasks.examples import TargetsOrigin, TaskExample, example_data, make_task_examples
from vecspeak.tasks.task_set import TaskSet, load_task_set
from vecspeak.teachers.base import FACTS, Teacher, TeacherConfig, max_request_tokens
from vecspeak.teachers.generate import GenerateResult, check_folder, generate_targets, pending
from vecspeak.teachers.registry import make_teacher

_SHOWN = 3
_MOST_WORDS, _SURE = 6, 0.15
"""Words of a text that a teacher is shown at most, and the least that the vector's probability of one may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachingPlan:
    """What a run would take. Examples that differ in nothing are asked once; cached replies are not asked again."""

    examples: Mapping[str, int]
    """By task."""
    asked: Mapping[str, int]
    """Those that would be asked; of the teacher that states facts those it can state."""
    max_tokens_in: int
    max_tokens_out: int
    is_free: bool
    """Whether the teacher uses no tokens."""
    shown: tuple[tuple[TaskExample, str], ...]
    """A few examples with what the teacher reads, or states."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values under the keys of `teach --dry-run --json`."""
        return {
            "lessons": self.examples,
            "asked": self.asked,
            "most_tokens_in": self.max_tokens_in,
            "most_tokens_out": self.max_tokens_out,
            "shown": [text for _, text in self.shown],
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TeachingJob:
    """Examples of a space for a teacher, and the folder of their targets."""

    examples: Sequence[TaskExample]
    teacher: Teacher
    folder: Path
    about: TargetsOrigin
    language: str

    @property
    def notice(self) -> str:
        """What a person should know before a run: whether what people rated leaves this machine. Mostly empty."""
        of_people = any(example.task.about == "person" for example in self.examples)
        sends_to = self.teacher.sends_to if of_people else ""
        return sends_to and f"the labels of what people rated are sent to {sends_to}"

    def run(self) -> GenerateResult:
        """Ask what was not asked before; see `generate_targets`."""
        return generate_targets(self.examples, self.teacher, self.folder, self.about, language=self.language)

    def plan(self) -> TeachingPlan:
        """What a run would ask and take; asks nobody and writes nothing."""
        teacher, examples = self.teacher, self.examples
        asked = [one for one in pending(examples, teacher, self.folder) if teacher.preview(one)]
        is_free = not teacher.uses_tokens
        some = asked if is_free else examples
        some = some[:: max(1, len(some) // _SHOWN)][:_SHOWN]  # a few, from all over
        needs = [] if is_free else [max_request_tokens(one) for one in asked]
        return TeachingPlan(
            examples=Counter(one.task.name for one in examples),
            asked=Counter(one.task.name for one in asked),
            max_tokens_in=sum(read for read, _ in needs),
            max_tokens_out=sum(written for _, written in needs),
            is_free=is_free,
            shown=tuple((one, teacher.preview(one) or "") for one in some),
        )


def make_job(
    bundle: Bundle,
    out: str | Path,
    *,
    teacher: str | Teacher = FACTS,
    config: TeacherConfig | None = None,
    task: Sequence[str] = (),
    tasks: str = "",
    words: Mapping[str, str] | Sequence[str] = (),
    ratings: str | Path | None = None,
    user: str = "",
    item: str = "",
    rating: str = "",
    count: int = 100,
    split: str = "train",
    seed: int = 0,
    space: str = "",
    read_words: bool = False,
) -> TeachingJob:
    """The job of a space of a bundle; arguments as for `VecSpeak.teach`.

    Raises UserError for what cannot be asked, and where the folder `out` holds targets of something else.
    """
    check_not_in_bundle(check_path("out", out), "out")
    check_whole("count", count, 1)
    check_whole("seed", seed, 0)
    if teacher is None:
        check_text("teacher", teacher)
    entry = bundle.entry(space)
    name, replaced = selected_task_set(bundle, space, tasks, words)
    task_set = load_task_set(name, replaced)
    columns = {"user": user, "item": item, "rating": rating}
    rated = None if ratings is None else ratings_of_items(entry, ratings, **columns)
    examples = make_examples(
        entry, task_set, task, ratings=rated, count=count, split=split, seed=seed, read_words=read_words
    )
    about = TargetsOrigin(
        space=entry.space.name,
        space_digest=entry.space.digest,
        task_set=name,
        words=replaced,
        split=split,
        seed=seed,
    )
    check_folder(Path(out), about)
    return TeachingJob(
        examples=examples,
        teacher=make_teacher(teacher, config) if isinstance(teacher, str) else teacher,
        folder=Path(out),
        about=about,
        language=task_set.language,
    )


def make_examples(
    entry: SpaceEntry,
    task_set: TaskSet,
    names: Sequence[str],
    *,
    ratings: Mapping[str, Mapping[str, float]] | None,
    count: int,
    split: str,
    seed: int,
    read_words: bool = False,
) -> list[TaskExample]:
    """`count` examples of each task that is named, or of all. Raises UserError where there are none."""
    tasks = [task_set.task(name) for name in names] or list(task_set.tasks.values())
    of_people = [task.name for task in tasks if task.about == "person"]
    if names and of_people and ratings is None:
        raise UserError(
            f"{of_people[0]} is about a person, and no ratings are given",
            "add `ratings=FILE` `user=COLUMN` `item=COLUMN` `rating=COLUMN`",
        )
    words_of = (lambda row: words_in_text(entry, row)) if read_words else None
    data = example_data(entry.space, task_set, splits=entry.splits, ratings=ratings, words_of=words_of)
    examples = make_task_examples(data, counts={task.name: count for task in tasks}, split=split, seed=seed)
    if not examples:
        raise UserError(
            f"nothing in the split {split!r} can be asked about by these tasks", "give another `split`"
        )
    return examples


def words_in_text(entry: SpaceEntry, row: int, limit: int = _MOST_WORDS) -> list[str]:
    """The words of an item's text that its vector tells, the surest first.

    What only stands in the text no reader could learn to say, and what only the vector tells might not hold.
    """
    space = entry.space
    (found,) = entry.term_probabilities([space.text_of(space.ids[row]) or ""], space.vectors[row])
    surest = sorted(found, key=lambda term: -term.probability * math.log(max(term.lift, 1.0)))
    sure = [term for term in surest if term.kind == "word" and term.probability >= _SURE and term.lift > 1]
    return [term.term for term in sure[:limit]]


def ratings_of_items(
    entry: SpaceEntry, path: str | Path, *, user: str, item: str, rating: str
) -> dict[str, dict[str, float]]:
    """Ratings by person and item of the space, from a file. Raises UserError where it rates none of the items."""
    columns = {"user": user, "item": item, "rating": rating}
    if missing := [name for name, column in columns.items() if not column]:
        raise UserError(f"`ratings` needs the column of the {missing[0]}", f"add `{missing[0]}=COLUMN`")
    read = read_ratings(path, user=user, item=item, rating=rating)
    known, found = set(entry.space.ids), dict[str, dict[str, float]]()
    for person, rated, value in zip(read.user_ids, read.item_ids, read.values.tolist(), strict=True):
        if rated in known:
            found.setdefault(str(person), {})[str(rated)] = value
    if not found:
        raise UserError(
            f"none of the items of {path} is in the space {entry.space.name!r}: "
            f"they are called {read.item_ids[0]!r} there and {entry.space.ids[0]!r} here",
            "name the column that holds the space's ids with `item`",
        )
    return found
