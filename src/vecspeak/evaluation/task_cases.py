"""Task cases: who is asked about what, for each task: held-out items, pairs, neighbours, people, points between.

The same entities are drawn for every task, so that rows of a table differ by the task alone. Knows tasks, points and
the ground of a space. Knows no model and computes no score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from vecspeak.errors import UserError
from vecspeak.evaluation.attributes import Attributes
from vecspeak.evaluation.cases import FEWEST, SHOWN
from vecspeak.evaluation.report import Known
from vecspeak.evaluation.task_ground import Ground, Ranking
from vecspeak.points import evaluate
from vecspeak.points.expressions import Call, Item
from vecspeak.tasks.sets import Score, Task, TaskSet
from vecspeak.tasks.targets import PERSON
from vecspeak.tasks.texts import opening

Points = Literal["items", "between"]
Wording = Literal["train", "held-out"]
BETWEEN = ", between"
"""End of the name of a set whose points lie between two items."""
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskCases:
    """N entities or pairs of them, asked one task. Shape letters: N cases, S slots, T read width, D own width."""

    name: str
    """As in `movies.semantic / summary`, with `, between` where no item sits."""
    question: str
    slots: tuple[str, ...]
    """Names of the slots, in the order of the vectors."""
    split: str
    trained_on: bool
    ids: list[str]
    labels: list[str]
    read: np.ndarray
    """[N, S, T] unit vectors that the reader sees, slot by slot."""
    own: np.ndarray
    """[N, S, D] the same points in the space itself."""
    mean_read: np.ndarray
    """[T] what it sees where it is told nothing."""
    told: list[tuple[str, ...]]
    """True texts of each: one a slot; of both ends where the point lies between; of a person what ratings say."""
    near: list[tuple[tuple[Known, ...], ...]]
    """For each slot the nearest known texts."""
    nearest_by: str
    items: np.ndarray
    """[P, T] all items, to find the right one among."""
    rows: list[tuple[int, ...]]
    """Row of the item in each slot; empty where no item sits there."""
    known_texts: int
    """How many have word for word the text of a training item."""
    scores: tuple[Score, ...]
    """What the task is scored by."""
    of_people: bool = False
    ranking: Ranking | None = None
    attributes: Attributes | None = None

    @property
    def is_between(self) -> bool:
        """Whether each point lies between two items, of which `told` has the texts."""
        return not self.of_people and not any(self.rows)

    @property
    def is_searched(self) -> bool:
        """Whether the right item is searched with the answer: where the task names it, and of two items always."""
        return not self.of_people and (len(self.slots) > 1 or "retrieval" in self.scores)

    @property
    def plain_answers(self) -> list[str]:
        """What a plain search shows: the opening of the nearest known text of each slot, in all as long as answers."""
        room = SHOWN // len(self.slots)
        return [" ".join(opening(near[0].text, room) for near in of_one) for of_one in self.near]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which tasks are asked, about which points, in which wording."""

    tasks: tuple[Task, ...]
    points: tuple[Points, ...] = ("items", "between")
    wording: Wording = "train"
    count: int = 500
    seed: int = 0
    by_name: bool = False
    """Whether a person named the tasks: then one that cannot be asked is a mistake, and else it is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All cases, and why some tasks have none."""

    cases: tuple[TaskCases, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawn:
    """Entities with their vectors: what cases of many tasks have in common."""

    ids: list[str]
    labels: list[str]
    read: np.ndarray
    own: np.ndarray
    told: list[tuple[str, ...]]
    near: list[tuple[tuple[Known, ...], ...]]
    rows: list[tuple[int, ...]]
    nearest_by: str = "cosine in the space, among its training items"
    more: Mapping[str, object] = field(default_factory=dict)


def chosen_tasks(task_set: TaskSet, names: Sequence[str]) -> tuple[Task, ...]:
    """The named tasks of a set in its own order, or all of them. Raises UserError for an unknown name."""
    asked = [part.strip() for name in names for part in name.split(",") if part.strip()]
    if ALL in asked:
        return tuple(task_set.tasks.values())
    named = {task_set.task(name).name for name in asked}
    return tuple(task for task in task_set.tasks.values() if task.name in named)


def plan_tasks(ground: Ground, wanted: Wanted) -> Plan:
    """The cases of every task, entities drawn once for each kind of points.

    Raises UserError where nothing is left to ask, and where a task that was named cannot be asked.
    """
    drawn: dict[str, _Drawn | str] = {}
    cases, left_out = [], []
    for task in wanted.tasks:
        for kind in _kinds(task, wanted.points):
            if kind not in drawn:
                drawn[kind] = _draw(ground, kind, wanted)
            one = drawn[kind]
            question = _question(task, wanted.wording)
            problem = one if isinstance(one, str) else "" if question else "it has no held-out wording"
            if problem:
                left_out.append(f"{task.name}: {problem}")
            elif not isinstance(one, str):
                cases.append(_cases(ground, task, question, kind, one))
    if not cases or (left_out and wanted.by_name):
        why = "; ".join(left_out) or f"no task is about points {' or '.join(wanted.points)}"
        raise UserError(f"this cannot be asked of {ground.space.name!r}: {why}", "choose others with --task")
    return Plan(cases=tuple(cases), left_out=tuple(left_out))


def _kinds(task: Task, points: Sequence[Points]) -> list[str]:
    """What the task is asked about: its own kind of entities, and for a task about one item points between too."""
    kinds = [str(task.about)] if "items" in points else []
    return kinds + (["between"] if "between" in points and task.about == "item" else [])


def _question(task: Task, wording: Wording) -> str:
    if wording == "train":
        return task.question
    return task.held_out[0] if task.held_out else ""


def _draw(ground: Ground, kind: str, wanted: Wanted) -> _Drawn | str:
    """Entities of one kind, or why there are none."""
    if kind == "person":
        return _draw_people(ground, wanted.count)
    first = list(ground.held_out[: wanted.count])
    if kind == "item":
        return _draw_items(ground, first)
    if kind == "between":
        return _draw_between(ground, first)
    second = ground.nearest_rows(first) if kind == "neighbour" else partners(ground.held_out, len(first))
    return _draw_pairs(ground, first, second)


def partners(rows: Sequence[int], count: int) -> list[int]:
    """Another row for each of the first `count`: no row is used twice where there are enough, and none is its own.

    Nor does a pair share a row with the pair before it, whose answer is its control; and no two pairs are of the same
    rows, for a step of half of them would give both (x, y) and (y, x).
    """
    step = count if 2 * count <= len(rows) else (len(rows) - 1) // 2
    return [rows[(place + step) % len(rows)] for place in range(count)]


def _draw_items(ground: Ground, rows: list[int]) -> _Drawn:
    space = ground.space
    near = ground.near(space.vectors[rows], without=[[row] for row in rows])
    return _Drawn(
        ids=[space.ids[row] for row in rows],
        labels=[space.labels[row] for row in rows],
        read=ground.items[rows][:, None],
        own=space.vectors[rows][:, None],
        told=[(ground.texts[row],) for row in rows],
        near=[(known,) for known in near],
        rows=[(row,) for row in rows],
    )


def _draw_pairs(ground: Ground, first: list[int], second: list[int]) -> _Drawn:
    """Two items each. A neighbour is a training item, so a plain search for it finds itself, as it should."""
    space = ground.space
    pairs: list[tuple[int, ...]] = list(zip(first, second, strict=True))
    near = [
        ground.near(space.vectors[rows], without=[[row] if row in ground.held_out else [] for row in rows])
        for rows in (first, second)
    ]
    return _Drawn(
        ids=[f"{space.ids[x]} + {space.ids[y]}" for x, y in pairs],
        labels=[f"{space.labels[x]} + {space.labels[y]}" for x, y in pairs],
        read=np.stack([ground.items[first], ground.items[second]], axis=1),
        own=np.stack([space.vectors[first], space.vectors[second]], axis=1),
        told=[(ground.texts[x], ground.texts[y]) for x, y in pairs],
        near=list(zip(*near, strict=True)),
        rows=pairs,
    )


def _draw_between(ground: Ground, first: list[int]) -> _Drawn:
    """The points halfway between two held-out items."""
    space = ground.space
    pairs = list(zip(first, partners(ground.held_out, len(first)), strict=True))
    points = [evaluate(_mid(space.ids[x], space.ids[y]), ground.entry.scope) for x, y in pairs]
    vectors = np.stack([point.vector for point in points])
    near = ground.near(vectors, without=pairs)
    return _Drawn(
        ids=[point.expression for point in points],
        labels=[f"between {space.labels[x]} and {space.labels[y]}" for x, y in pairs],
        read=ground.entry.alignment(vectors, "made")[:, None],
        own=vectors[:, None],
        told=[(ground.texts[x], ground.texts[y]) for x, y in pairs],
        near=[(known,) for known in near],
        rows=[() for _ in pairs],
    )


def _mid(first: str, second: str) -> Call:
    return Call(function="mid", arguments=(Item(name=first, by_id=True), Item(name=second, by_id=True)))


def _draw_people(ground: Ground, count: int) -> _Drawn | str:
    if ground.entry.users is None:
        return "the space has no users"
    people = ground.people[:count]
    if len(people) < FEWEST:
        return f"it has {len(people)} held-out users that can be scored, and {FEWEST} are needed"
    own = ground.vectors_of_people(people)
    tastes = ground.tastes
    known = list(tastes.shown) if tastes else []
    attributes = None
    if tastes and tastes.attributes:
        truth = tuple(tastes.attributes.truth[known.index(person)] for person in people)
        attributes = replace(tastes.attributes, truth=truth)
    return _Drawn(
        ids=[f"{PERSON}{person}" for person in people],
        labels=[f"{PERSON}{person}" for person in people],
        read=ground.read_people(people)[:, None],
        own=own[:, None],
        told=[(tastes.shown[person],) if tastes else () for person in people],
        near=[(known,) for known in ground.near(own, metric="dot")],
        rows=[() for _ in people],
        nearest_by="what is predicted to be liked most (dot product), among the training items",
        more={"of_people": True, "ranking": ground.by_items, "attributes": attributes},
    )


def _cases(ground: Ground, task: Task, question: str, kind: str, drawn: _Drawn) -> TaskCases:
    more: dict[str, object] = {"ranking": ground.by_users, **drawn.more}
    people_read = ground.entry.users is not None and more.get("of_people")
    return TaskCases(
        name=f"{ground.space.name} / {task.name}{BETWEEN if kind == 'between' else ''}",
        question=question,
        slots=task.slots,
        split=ground.split if kind != "person" else "holdout",
        trained_on=ground.trained_on and kind != "person",
        ids=drawn.ids,
        labels=drawn.labels,
        read=drawn.read,
        own=drawn.own,
        mean_read=_mean_person(ground) if people_read else ground.mean_read,
        told=drawn.told,
        near=drawn.near,
        nearest_by=drawn.nearest_by,
        items=ground.items,
        rows=drawn.rows,
        known_texts=0 if kind == "person" else _num_known(ground, drawn),
        scores=task.score,
        **more,  # type: ignore[arg-type]
    )


def _mean_person(ground: Ground) -> np.ndarray:
    assert ground.entry.users is not None
    out = set(ground.people)
    known = [person for person in ground.entry.users.ids if person not in out]
    return ground.read_people(known or ground.people).mean(0)


def _num_known(ground: Ground, drawn: _Drawn) -> int:
    """Whose first text is word for word a training item's."""
    known = {_plain(ground.texts[row]) for row in ground.train}
    return sum(_plain(texts[0]) in known for texts in drawn.told if texts)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
