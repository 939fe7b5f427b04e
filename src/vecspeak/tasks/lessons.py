"""Lessons: who is asked about what, before anyone answers: entities drawn for each task, and what a teacher is shown.

Of an item a teacher is shown the text's beginning, kinds and time, never a vector and never its label, which the
vector does not carry (a text may name it). Of a person it is shown the labels of what they rated highest and lowest,
and the kinds and times that they rate above and below their own average; not their id. Items that are held out are in
no lesson for training, nor are people who are (`is_held_out_person`).
Knows spaces, task sets and the split. Knows no teacher and no file.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.formats import TEXT_COLUMN
from vecspeak.spaces.neighbours import nearest
from vecspeak.spaces.splits import is_under
from vecspeak.tasks.facts import Known, Taste, clean_kind, decade, item_facts, pair_facts, person_facts
from vecspeak.tasks.people import taste_of
from vecspeak.tasks.sets import Task, TaskSet
from vecspeak.tasks.targets import PERSON
from vecspeak.tasks.texts import Keywords, join_words, opening

TRAIN = "train"
PERSON_SEED, PERSON_SHARE = 0, 0.1
"""Of the split of people: a tenth of them, whole, by a hash of their ids."""
_FEWEST_LETTERS = 40
_FEWEST_RATINGS = 10
_MIN_COUNT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One question to a teacher about the entities in a task's slots."""

    task: Task
    slots: Mapping[str, str]
    """Id of the item in each slot; of a person, `user:ID`."""
    split: str
    told: str
    """All that the teacher reads."""
    facts: Mapping[str, str]
    """The same as named words, for targets that are made without a model."""
    texts: tuple[str, ...]
    """What a target may draw on: the texts that it is about, or what was rated."""
    names: tuple[str, ...]
    """Names of the entities asked about: they may not occur unless `texts` have them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """All that lessons of a space are made of."""

    space: Space
    task_set: TaskSet
    known: tuple[Known, ...]
    """What is known of each item, in the space's order."""
    rows: Mapping[str, Sequence[int]]
    """Rows with a text by split: `train` and those that are held out."""
    keywords: Keywords
    people: Mapping[str, Taste]
    """Tastes by id of the person."""

    def split_of_person(self, person: str) -> str:
        """`train`, or `holdout` for people who are in no lesson for training."""
        return "holdout" if is_held_out_person(person) else TRAIN


def is_held_out_person(person: str) -> bool:
    """Whether nothing is trained on a person; by a hash of their id alone."""
    return is_under(PERSON + person, PERSON_SEED, PERSON_SHARE)


def known_items(space: Space, task_set: TaskSet) -> tuple[Known, ...]:
    """What a space's table knows of its items. Raises UserError where it has no texts."""
    if TEXT_COLUMN not in space.metadata.column_names:
        raise UserError(
            f"the space {space.name!r} has no texts, and targets are written from texts",
            "make the bundle again with vecspeak fit ... --text COLUMN",
        )
    columns = {name: _column(space, names) for name, names in task_set.facts.items()}
    texts = space.metadata.column(TEXT_COLUMN).to_pylist()
    blank = [None] * space.num_items
    values = (columns.get(name, blank) for name in ("kinds", "era", "maker"))
    return tuple(
        Known(
            id=item,
            label=label,
            text=" ".join(str(text or "").split()),
            kinds=_kinds(kinds, task_set.item_words),
            era=decade(era),
            maker=", ".join(_list(maker)),
        )
        for item, label, text, kinds, era, maker in zip(space.ids, space.labels, texts, *values, strict=True)
    )


def material(
    space: Space,
    task_set: TaskSet,
    *,
    splits: Mapping[str, frozenset[str]],
    ratings: Mapping[str, Mapping[str, float]] | None = None,
) -> Material:
    """Everything that lessons are made of. `ratings` are stars by person and item; without them nobody is asked about.

    Raises UserError where the space has no texts. Keywords count how many training texts have a word.
    """
    known = known_items(space, task_set)
    rows = _rows(space, known, splits)
    if not rows[TRAIN]:
        raise UserError(
            f"no item of {space.name!r} that may be trained on has a text of {_FEWEST_LETTERS} letters or more",
            "make the bundle again with vecspeak fit ... --text COLUMN, or hold out fewer items",
        )
    texts = [known[row].text for row in rows[TRAIN]]
    return Material(
        space=space,
        task_set=task_set,
        known=known,
        rows=rows,
        keywords=Keywords.fit(texts, min_count=min(_MIN_COUNT, 1 + len(texts) // 100)),
        people=_people(known, rows[TRAIN], ratings or {}),
    )


def make_lessons(
    made: Material, *, counts: Mapping[str, int], split: str = TRAIN, seed: int = 0
) -> list[Lesson]:
    """Lessons of each task that `counts` names, as many as it says or as there are entities.

    A task's lessons depend on its name, the split and the seed, not on the other tasks: more of them are the same
    and some more. Raises UserError for a split that the space does not have.
    """
    if split not in made.rows and not (split == "holdout" and made.people):
        raise UserError(
            f"no split {split!r} in the space {made.space.name!r}; it has {', '.join(made.rows)}",
            "use --split",
        )
    return [
        lesson
        for name, count in counts.items()
        for lesson in _of_task(made, made.task_set.task(name), count, split, seed)
    ]


def _of_task(made: Material, task: Task, count: int, split: str, seed: int) -> list[Lesson]:
    rng = np.random.default_rng([seed, *task.name.encode()])
    if task.about == "person":
        people = sorted(person for person in made.people if made.split_of_person(person) == split)
        drawn = [people[i] for i in rng.permutation(len(people))[:count].tolist()]
        return [_person_lesson(made, task, person, split) for person in drawn]
    rows = np.asarray(made.rows.get(split, ()), dtype=np.int64)
    chosen = rows[rng.permutation(len(rows))[:count]]
    if task.about == "item":
        return [_item_lesson(made, task, row, split) for row in chosen.tolist()]
    seconds = _neighbours(made, chosen) if task.about == "neighbour" else _others(rows, chosen, rng)
    pairs = zip(chosen.tolist(), seconds.tolist(), strict=True)
    return [_pair_lesson(made, task, x, y, split) for x, y in pairs if x != y]


def _neighbours(made: Material, rows: np.ndarray) -> np.ndarray:
    """The nearest item of each that may be trained on and has a text: the neighbour that a reader may know."""
    if not len(rows):
        return rows
    allowed = np.asarray(made.rows[TRAIN], dtype=np.int64)
    found = nearest(made.space.take(allowed), made.space.vectors[rows], 2)
    near = allowed[found.indices]
    return np.where(near[:, 0] == rows, near[:, -1], near[:, 0])


def _others(rows: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Any other of the rows for each; itself where there is no other."""
    if len(rows) < 2:
        return chosen
    drawn = rng.integers(len(rows), size=len(chosen))
    same = rows[drawn] == chosen
    return rows[(drawn + same) % len(rows)]


def _item_lesson(made: Material, task: Task, row: int, split: str) -> Lesson:
    known = made.known[row]
    told = f"{_shown(made.task_set, known)}\n\n{task.teacher}"
    return Lesson(
        task=task,
        slots={"x": known.id},
        split=split,
        told=told,
        facts=item_facts(known, made.keywords, without=made.task_set.own_words),
        texts=(known.text, " ".join(known.kinds), known.maker),
        names=(known.label,),
    )


def _pair_lesson(made: Material, task: Task, x: int, y: int, split: str) -> Lesson:
    first, second = made.known[x], made.known[y]
    shown = [_shown(made.task_set, known, share=2) for known in (first, second)]
    item = made.task_set.words.get("item", "item")
    told = f"The first {item}.\n{shown[0]}\n\nThe second {item}.\n{shown[1]}\n\n{task.teacher}"
    return Lesson(
        task=task,
        slots={"x": first.id, "y": second.id},
        split=split,
        told=told,
        facts=pair_facts(first, second, made.keywords, without=made.task_set.own_words),
        texts=(first.text, second.text, " ".join((*first.kinds, *second.kinds))),
        names=(first.label, second.label),
    )


def _person_lesson(made: Material, task: Task, person: str, split: str) -> Lesson:
    taste, items = made.people[person], made.task_set.words.get("items", "items").capitalize()
    lines = {
        f"{items} that they rated highest": taste.liked,
        f"{items} that they rated lowest": taste.disliked,
        "Kinds that they rate above their own average": taste.kinds_over,
        "Kinds that they rate below their own average": taste.kinds_under,
        "Times that they rate above their own average": taste.eras_over,
        "Times that they rate below their own average": taste.eras_under,
    }
    shown = [f"{name}: {'; '.join(values)}" for name, values in lines.items() if values]
    return Lesson(
        task=task,
        slots={"x": PERSON + person},
        split=split,
        told="\n".join(shown) + f"\n\n{task.teacher}",
        facts=person_facts(taste),
        texts=tuple(shown),
        names=(),
    )


def _shown(task_set: TaskSet, known: Known, *, share: int = 1) -> str:
    """What a teacher sees of an item: what is known of it, without its name. `share` of several see less text each."""
    lines = []
    if known.kinds:
        lines.append(f"Kind: {join_words(known.kinds[:5])}")
    lines += [f"Time: {known.era}"] if known.era else []
    text = opening(known.text, task_set.text_letters // share)
    return "\n".join([*lines, f"{task_set.words.get('text', 'text').capitalize()}: {text}"])


def _rows(space: Space, known: Sequence[Known], splits: Mapping[str, frozenset[str]]) -> dict[str, list[int]]:
    usable = [row for row, one in enumerate(known) if len(one.text) >= _FEWEST_LETTERS]
    out = frozenset().union(*splits.values())
    found = {TRAIN: [row for row in usable if space.ids[row] not in out]}
    return found | {name: [row for row in usable if space.ids[row] in ids] for name, ids in splits.items()}


def _people(
    known: Sequence[Known], rows: Sequence[int], ratings: Mapping[str, Mapping[str, float]]
) -> dict[str, Taste]:
    """Tastes of people with enough ratings, of items that may be trained on."""
    items = {known[row].id: known[row] for row in rows}
    counts: dict[str, int] = {}
    for given in ratings.values():
        for item in given:
            counts[item] = counts.get(item, 0) + 1
    tastes = {
        person: taste_of(given, items, counts)
        for person, given in ratings.items()
        if sum(item in items for item in given) >= _FEWEST_RATINGS
    }
    return {person: taste for person, taste in tastes.items() if taste.kinds_over or taste.kinds_under}


def _column(space: Space, names: Sequence[str]) -> list[object]:
    found = next((name for name in names if name in space.metadata.column_names), None)
    return space.metadata.column(found).to_pylist() if found else [None] * space.num_items


def _list(value: object) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(one) for one in value if one and not isinstance(one, list | dict)]
    if isinstance(value, dict):  # a table in a cell is no kind and no maker
        return []
    return [part.strip() for part in re.split(r"[,|;]", str(value)) if part.strip()] if value else []


def _kinds(value: object, items: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (clean_kind(kind, items) for kind in _list(value)))))
