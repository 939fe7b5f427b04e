"""Case sets of tasks: items, pairs, points between and people, drawn once and asked every task of a set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from vecspeak.bundles import SpaceEntry
from vecspeak.encoders.factorization import Ratings, read_ratings
from vecspeak.encoders.text import Encoder
from vecspeak.errors import UserError
from vecspeak.evaluation.behavior import Attributes, Predictor, Ranking, attributes_of, fit_predictor
from vecspeak.evaluation.cases import FEWEST, SHOWN, TRAIN, CaseSet, choose_rows, column_texts
from vecspeak.evaluation.report import TrainingExample
from vecspeak.evidence import ReadTerm
from vecspeak.model.alignment import Kind, unit
from vecspeak.points import evaluate
from vecspeak.points.expressions import Call, ItemName, Number
from vecspeak.spaces import Space
from vecspeak.spaces.search import Metric, nearest
from vecspeak.spaces.splits import MET
from vecspeak.tables.columns import TEXT_COLUMN
from vecspeak.tasks.examples import PERSON, example_data, is_held_out_person, make_task_examples
from vecspeak.tasks.task_set import Task, TaskSet, opening

NUM_NEAR = 3
"""Nearest known texts that are kept for each vector."""
_MEAN_OF = 5000
"""Items that the mean vector is taken over, at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tastes:
    """What the ratings of held-out people say."""

    shown: Mapping[str, str]
    """By id of the person: what was rated highest and lowest, and which kinds and times."""
    attributes: Attributes | None
    """Kinds, and those that each person (in the order of `shown`) rates over their own average."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationData:
    """One split of a space, ready to be asked about."""

    entry: SpaceEntry
    split: str
    held_out: tuple[int, ...]
    """Rows that are asked about, in a drawn order."""
    train: tuple[int, ...]
    """Rows with a text that may be known."""
    texts: Mapping[int, str]
    items: np.ndarray
    """[P, T] all items as the reader sees them."""
    mean_input: np.ndarray
    """[T] mean of the training items as the reader sees them."""
    people: tuple[str, ...]
    """Ids of held-out people, in a drawn order."""
    by_users: Ranking | None
    """How items rank users; None where there are no users, as for the next."""
    by_items: Ranking | None
    """How people rank items."""
    tastes: Tastes | None = None

    @property
    def space(self) -> Space:
        """The items."""
        return self.entry.space

    @property
    def trained_on(self) -> bool:
        """Whether something was fitted on these entities."""
        return self.split in (TRAIN, MET)

    def read_people(self, people: Sequence[str]) -> np.ndarray:
        """[N, T] people as the reader sees them."""
        return self.entry.alignment(self.vectors_of_people(people), "user")

    def vectors_of_people(self, people: Sequence[str]) -> np.ndarray:
        """[N, D]."""
        assert self.entry.users is not None
        return self.entry.users.vectors[[self.entry.users.index_of(person) for person in people]]

    def near(
        self, vectors: np.ndarray, *, without: Sequence[Sequence[int]] = (), metric: Metric = "cosine"
    ) -> list[tuple[TrainingExample, ...]]:
        """The nearest training items of each of the vectors [N, D], with the openings of their texts."""
        place = {row: index for index, row in enumerate(self.train)}
        out = [[place[row] for row in rows if row in place] for rows in without] or None
        table = self.space.take(list(self.train))
        found = nearest(table, vectors, NUM_NEAR, metric=metric, exclude=out)
        return [
            tuple(self._known(self.train[i], score) for i, score in zip(rows, scores, strict=True))
            for rows, scores in zip(found.indices.tolist(), found.scores.tolist(), strict=True)
        ]

    def nearest_rows(self, rows: Sequence[int]) -> list[int]:
        """The nearest training item of each row, itself left out."""
        place = {row: index for index, row in enumerate(self.train)}
        own = [[place[row]] if row in place else [] for row in rows]
        table = self.space.take(list(self.train))
        found = nearest(table, self.space.vectors[list(rows)], 1, exclude=own)
        return [self.train[i] for i in found.indices[:, 0].tolist()]

    def _known(self, row: int, score: float) -> TrainingExample:
        return TrainingExample(
            label=self.space.labels[row], text=opening(self.texts[row], SHOWN), similarity=float(score)
        )


def evaluation_data(
    entry: SpaceEntry, encoder: Encoder, *, split: str, seed: int, tastes: Tastes | None = None
) -> EvaluationData:
    """The split of a space with its behavior where it has users.

    Raises UserError for a space without texts, an unknown split, and fewer than five items.
    """
    texts, selected, train = _choose_items(entry, split)
    rng = np.random.default_rng(seed)
    items = entry.alignment(entry.space.vectors)
    sample = np.sort(rng.permutation(train)[:_MEAN_OF])
    by_users = _by_users(entry, encoder, texts, train)
    return EvaluationData(
        entry=entry,
        split=split,
        held_out=tuple(np.random.default_rng(seed).permutation(selected).tolist()),
        train=tuple(train),
        texts=texts,
        items=items,
        mean_input=items[sample].mean(0),
        people=tuple(_people(entry, tastes, seed)),
        by_users=by_users,
        by_items=by_users and _by_items(entry, by_users.predictor, train),
        tastes=tastes,
    )


def check_data(entry: SpaceEntry, split: str) -> None:
    """Raise UserError for what `ground_of` would refuse, before any text is encoded."""
    _choose_items(entry, split)


def _choose_items(entry: SpaceEntry, split: str) -> tuple[dict[int, str], list[int], list[int]]:
    found = column_texts(entry.space, TEXT_COLUMN)
    texts = {row: text for row, text in enumerate(found) if text}
    selected, train = choose_rows(entry, split, list(texts))
    return texts, selected, train


def _people(entry: SpaceEntry, tastes: Tastes | None, seed: int) -> list[str]:
    """Held-out people; where there are ratings those of whom the ratings say something."""
    if entry.users is None:
        return []
    people = sorted(person for person in entry.users.ids if is_held_out_person(person))
    retained = [person for person in people if tastes is None or person in tastes.shown]
    return [retained[i] for i in np.random.default_rng(seed).permutation(len(retained)).tolist()]


# --- behavior ---


def _by_users(
    entry: SpaceEntry, encoder: Encoder, texts: Mapping[int, str], train: Sequence[int]
) -> Ranking | None:
    if entry.users is None:
        return None
    if entry.space.encoder == encoder.name and entry.space.dim == encoder.dim:
        vectors = unit(entry.space.vectors[list(train)])
    else:
        vectors = encoder.encode([texts[row] for row in train], progress=True)
    predictor = fit_predictor(vectors, entry.space.vectors[list(train)])
    return Ranking(predictor=predictor, others=entry.users.vectors)


def ranking_of_people(entry: SpaceEntry, text_vectors: np.ndarray, train: Sequence[int]) -> Ranking:
    """How people rank the items of a space, by a map from the encoder's vectors [M, T] of the training rows' texts."""
    return _by_items(entry, fit_predictor(text_vectors, entry.space.vectors[list(train)]), train)


def _by_items(entry: SpaceEntry, predictor: Predictor, train: Sequence[int]) -> Ranking:
    assert entry.users is not None
    known = [row for row, person in enumerate(entry.users.ids) if not is_held_out_person(person)]
    people = entry.users.vectors[known or list(range(entry.users.num_items))]
    return Ranking(
        predictor=person_predictor(predictor, entry.space.vectors[list(train)], people),
        others=entry.space.vectors,
        average=people.mean(0),
    )


def person_predictor(predictor: Predictor, items: np.ndarray, people: np.ndarray) -> Predictor:
    """From text vectors to people [U, D], by the map that was fitted on items [M, D].

    A profile describes things that someone likes, so the map says where such things lie. Factors of people have
    another mean and another spread than those of items: the place is moved from the ones to the others, by two
    numbers and two means, which is how the reader sees a person too, the other way round.
    """
    # One factor for all dimensions: people and items have the axes of one factorization.
    ratio = float((people - people.mean(0)).std()) / max(float((items - items.mean(0)).std()), 1e-12)
    offset = people.mean(0) + ratio * (predictor.offset - items.mean(0))
    return Predictor(weights=ratio * predictor.weights, offset=offset, penalty=predictor.penalty)


# --- tastes ---


def tastes_of(entry: SpaceEntry, task_set: TaskSet, task: Task, ratings: Ratings) -> Tastes:
    """What ratings say of held-out people, by training items alone. Raises UserError for a space without texts."""
    made = example_data(entry.space, task_set, splits=entry.splits, ratings=by_person(ratings))
    known = {PERSON + person for person in (entry.users.ids if entry.users else ())}
    examples = (
        make_task_examples(made, counts={task.name: len(made.people)}, split="holdout") if made.people else []
    )
    shown = {
        example.slots["x"].removeprefix(PERSON): "\n".join(example.texts)
        for example in examples
        if example.slots["x"] in known
    }
    kinds = pa.array([list(one.kinds) for one in made.known], type=pa.list_(pa.string()))
    names = attributes_of(replace(entry.space, metadata=pa.table({"kinds": kinds})), [])
    liked = [made.people[person].kinds_over for person in shown]
    return Tastes(shown=shown, attributes=names and _liked(names, liked))


def by_person(ratings: Ratings) -> dict[str, dict[str, float]]:
    """Stars by person and item; of several ratings of one item their mean."""
    found: dict[str, dict[str, list[float]]] = {}
    for person, item, value in zip(ratings.user_ids, ratings.item_ids, ratings.values, strict=True):
        found.setdefault(str(person), {}).setdefault(str(item), []).append(float(value))
    return {
        person: {item: sum(values) / len(values) for item, values in rated.items()}
        for person, rated in found.items()
    }


def _liked(names: Attributes, kinds: Sequence[Sequence[str]]) -> Attributes:
    """The names with, for each person, those that their kinds are called by."""
    truth = tuple(frozenset().union(*(names.named(kind) for kind in liked)) for liked in kinds)
    return replace(names, truth=truth)


Points = Literal["items", "between"]
Wording = Literal["train", "held-out"]
BETWEEN = ", between"
"""End of the name of a set whose points lie between two items."""
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSelection:
    """Which tasks are asked, about which points, in which wording."""

    tasks: tuple[Task, ...]
    points: tuple[Points, ...] = ("items", "between")
    wording: Wording = "train"
    count: int = 500
    seed: int = 0
    by_name: bool = False
    """Whether a person named the tasks: then one that cannot be asked is a mistake, and else it is left out."""
    with_words: bool = False
    """Whether the reader's questions have the words that are read from each vector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPlan:
    """All cases, and why some tasks have none."""

    cases: tuple[CaseSet, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawn:
    """Entities with their vectors: what cases of many tasks have in common."""

    ids: list[str]
    labels: list[str]
    inputs: np.ndarray
    own: np.ndarray
    truths: list[tuple[str, ...]]
    neighbors: list[tuple[tuple[TrainingExample, ...], ...]]
    rows: list[tuple[int, ...]]
    nearest_by: str = "cosine in the space, among its training items"
    attributes: Attributes | None = None
    words: Sequence[Sequence[ReadTerm]] = ()


def select_tasks(task_set: TaskSet, names: Sequence[str]) -> tuple[Task, ...]:
    """The named tasks of a set in its own order, or all of them. Raises UserError for an unknown name."""
    asked = [part.strip() for name in names for part in name.split(",") if part.strip()]
    if ALL in asked:
        return tuple(task_set.tasks.values())
    named = {task_set.task(name).name for name in asked}
    return tuple(task for task in task_set.tasks.values() if task.name in named)


def wanted_tasks(
    entry: SpaceEntry,
    task_set: TaskSet,
    names: Sequence[str],
    *,
    points: str = "both",
    wording: Wording = "train",
    split: str = "holdout",
    count: int = 500,
    seed: int = 0,
    with_ratings: bool = False,
) -> TaskSelection:
    """The named tasks with everything that can be checked before a text is encoded; `points` are also "both".

    Raises UserError for unknown tasks and splits, for a space without texts, and for ratings where it has no users.
    """
    if with_ratings and entry.users is None:
        raise UserError(
            f"`ratings` tells what people like, and the space {entry.space.name!r} has no users",
            "leave it out, or give a space with users",
        )
    tasks = select_tasks(task_set, names)
    check_data(entry, split)
    kinds: dict[str, tuple[Points, ...]] = {"items": ("items",), "between": ("between",)}
    return TaskSelection(
        tasks=tasks,
        points=kinds.get(points, ("items", "between")),
        wording=wording,
        count=count,
        seed=seed,
        by_name=ALL not in names,
    )


def tastes_in_file(
    entry: SpaceEntry, task_set: TaskSet, tasks: Sequence[Task], path: str | Path, **columns: Any
) -> Tastes | None:
    """What a file of ratings says of people, where one of the tasks is about them.

    Raises UserError where no rated item, or nobody who rated, is in the space.
    """
    task = next((task for task in tasks if task.about == "person"), None)
    if task is None or entry.users is None:
        return None
    ratings = read_ratings(path, **columns)
    for what, found, known in (
        ("item", ratings.item_ids, entry.space.ids),
        ("user", ratings.user_ids, entry.users.ids),
    ):
        if set(known).isdisjoint(map(str, found)):
            raise UserError(
                f"none of the {what}s of {path} is in the space {entry.space.name!r}: "
                f"they are called {str(found[0])!r} there and {known[0]!r} here",
                f"name the column that holds the space's {what}s with `{what}`",
            )
    return tastes_of(entry, task_set, task, ratings)


def plan_tasks(data: EvaluationData, wanted: TaskSelection) -> TaskPlan:
    """The cases of every task, entities drawn once for each kind of points.

    Raises UserError where nothing is left to ask, and where a task that was named cannot be asked.
    """
    drawn: dict[str, _Drawn | str] = {}
    cases, left_out = [], []
    for task in wanted.tasks:
        for kind in _kinds(task, wanted.points):
            if kind not in drawn:
                drawn[kind] = _with_words(data, kind, _draw(data, kind, wanted), wanted)
            one = drawn[kind]
            question = _question(task, wanted.wording)
            problem = one if isinstance(one, str) else "" if question else "it has no held-out wording"
            if problem:
                left_out.append(f"{task.name}: {problem}")
            elif not isinstance(one, str):
                cases.append(_task_cases(data, task, question, kind, one))
    if not cases or (left_out and wanted.by_name):
        why = "; ".join(left_out) or f"no task is about points {' or '.join(wanted.points)}"
        raise UserError(f"this cannot be asked of {data.space.name!r}: {why}", "choose others with `task`")
    return TaskPlan(cases=tuple(cases), left_out=tuple(left_out))


def _kinds(task: Task, points: Sequence[Points]) -> list[str]:
    """What the task is asked about: its own kind of entities, and for a task about one item points between too."""
    kinds = [str(task.about)] if "items" in points else []
    return kinds + (["between"] if "between" in points and task.about == "item" else [])


def _question(task: Task, wording: Wording) -> str:
    if wording == "train":
        return task.question
    return task.held_out[0] if task.held_out else ""


def _draw(data: EvaluationData, kind: str, wanted: TaskSelection) -> _Drawn | str:
    """Entities of one kind, or why there are none."""
    if kind == "person":
        return _draw_people(data, wanted.count)
    first = list(data.held_out[: wanted.count])
    if kind == "item":
        return _draw_items(data, first)
    if kind == "between":
        return _draw_between(data, first)
    second = data.nearest_rows(first) if kind == "neighbour" else partners(data.held_out, len(first))
    return _draw_pairs(data, first, second)


def _with_words(data: EvaluationData, kind: str, drawn: _Drawn | str, wanted: TaskSelection) -> _Drawn | str:
    """The same entities, with what is read of the one vector of each where that is wanted; of pairs nothing is."""
    of_one = not isinstance(drawn, str) and drawn.own.shape[1] == 1
    if isinstance(drawn, str) or not (of_one and wanted.with_words and data.entry.term_reader.terms):
        return drawn
    read_as: Kind = "user" if kind == "person" else "made" if kind == "between" else "item"
    return replace(drawn, words=data.entry.prompt_words(drawn.own[:, 0], read_as))


def partners(rows: Sequence[int], count: int) -> list[int]:
    """Another row for each of the first `count`: no row is used twice where there are enough, and none is its own.

    Nor does a pair share a row with the pair before it, whose answer is its control; and no two pairs are of the same
    rows, for a step of half of them would give both (x, y) and (y, x).
    """
    # A constant step pairs every row with one a step on; with twice as many rows as pairs none is used twice.
    step = count if 2 * count <= len(rows) else (len(rows) - 1) // 2
    return [rows[(place + step) % len(rows)] for place in range(count)]


def _draw_items(data: EvaluationData, rows: list[int]) -> _Drawn:
    space = data.space
    near = data.near(space.vectors[rows], without=[[row] for row in rows])
    return _Drawn(
        ids=[space.ids[row] for row in rows],
        labels=[space.labels[row] for row in rows],
        inputs=data.items[rows][:, None],
        own=space.vectors[rows][:, None],
        truths=[(data.texts[row],) for row in rows],
        neighbors=[(known,) for known in near],
        rows=[(row,) for row in rows],
    )


def _draw_pairs(data: EvaluationData, first: list[int], second: list[int]) -> _Drawn:
    """Two items each. A neighbour is a training item, so a plain search for it finds itself, as it should."""
    space = data.space
    pairs: list[tuple[int, ...]] = list(zip(first, second, strict=True))
    near = [
        data.near(space.vectors[rows], without=[[row] if row in data.held_out else [] for row in rows])
        for rows in (first, second)
    ]
    return _Drawn(
        ids=[f"{space.ids[x]} + {space.ids[y]}" for x, y in pairs],
        labels=[f"{space.labels[x]} + {space.labels[y]}" for x, y in pairs],
        inputs=np.stack([data.items[first], data.items[second]], axis=1),
        own=np.stack([space.vectors[first], space.vectors[second]], axis=1),
        truths=[(data.texts[x], data.texts[y]) for x, y in pairs],
        neighbors=list(zip(*near, strict=True)),
        rows=pairs,
    )


def _draw_between(data: EvaluationData, first: list[int]) -> _Drawn:
    """The points halfway between two held-out items."""
    space = data.space
    pairs = list(zip(first, partners(data.held_out, len(first)), strict=True))
    points = [evaluate(midpoint(space.ids[x], space.ids[y]), data.entry.scope) for x, y in pairs]
    vectors = np.stack([point.vector for point in points])
    near = data.near(vectors, without=pairs)
    return _Drawn(
        ids=[point.expression for point in points],
        labels=[f"between {space.labels[x]} and {space.labels[y]}" for x, y in pairs],
        inputs=data.entry.alignment(vectors, "made")[:, None],
        own=vectors[:, None],
        truths=[(data.texts[x], data.texts[y]) for x, y in pairs],
        neighbors=[(known,) for known in near],
        rows=[() for _ in pairs],
    )


def midpoint(first: str, second: str, share: float | None = None) -> Call:
    """The expression of a point between two items by their ids: halfway, or this share of the way."""
    ends = (ItemName(name=first, by_id=True), ItemName(name=second, by_id=True))
    return Call(function="mid", arguments=ends if share is None else (*ends, Number(value=share)))


def _draw_people(data: EvaluationData, count: int) -> _Drawn | str:
    if data.entry.users is None:
        return "the space has no users"
    people = data.people[:count]
    if len(people) < FEWEST:
        return f"it has {len(people)} held-out users that can be scored, and {FEWEST} are needed"
    own = data.vectors_of_people(people)
    tastes = data.tastes
    known = list(tastes.shown) if tastes else []
    attributes = None
    if tastes and tastes.attributes:
        truth = tuple(tastes.attributes.truth[known.index(person)] for person in people)
        attributes = replace(tastes.attributes, truth=truth)
    return _Drawn(
        ids=[f"{PERSON}{person}" for person in people],
        labels=[f"{PERSON}{person}" for person in people],
        inputs=data.read_people(people)[:, None],
        own=own[:, None],
        truths=[(tastes.shown[person],) if tastes else () for person in people],
        neighbors=[(known,) for known in data.near(own, metric="dot")],
        rows=[() for _ in people],
        nearest_by="what is predicted to be liked most (dot product), among the training items",
        attributes=attributes,
    )


def _task_cases(data: EvaluationData, task: Task, question: str, kind: str, drawn: _Drawn) -> CaseSet:
    of_people = kind == "person"
    scorers = ["consistency"] if "sc" in task.score else []
    scorers.append("over_shuffled")
    scorers += ["second_consistency"] if "sc" in task.score else []
    scorers += ["behavior"] if "bc" in task.score else []
    scorers += (
        ["item_retrieval"] if not of_people and (len(task.slots) > 1 or "retrieval" in task.score) else []
    )
    scorers += ["attributes"] if "attributes" in task.score else []
    return CaseSet(
        name=f"{data.space.name} / {task.name}{BETWEEN if kind == 'between' else ''}",
        question=question,
        slots=task.slots,
        split="holdout" if of_people else data.split,
        trained_on=data.trained_on and not of_people,
        ids=drawn.ids,
        labels=drawn.labels,
        inputs=drawn.inputs,
        mean_input=_mean_person(data) if of_people else data.mean_input,
        own=drawn.own,
        truths=drawn.truths,
        contexts=drawn.truths,
        neighbors=drawn.neighbors,
        nearest_by=drawn.nearest_by,
        training_texts=[] if of_people else [data.texts[row] for row in data.train],
        scorers=(*scorers, "repeated", "alike", "task_accuracy"),
        # Of all slots together, since a prompt costs more time than an answer.
        neighbor_chars=SHOWN // 2 // len(task.slots),
        context_chars=None if of_people else SHOWN,
        items=data.items,
        rows=drawn.rows,
        of_people=of_people,
        ranking=data.by_items if of_people else data.by_users,
        attributes=drawn.attributes,
        words=drawn.words,
        vocabulary=data.entry.term_reader if drawn.words else None,
        beginning=task.start,
    )


def _mean_person(data: EvaluationData) -> np.ndarray:
    assert data.entry.users is not None
    out = set(data.people)
    known = [person for person in data.entry.users.ids if person not in out]
    return data.read_people(known or data.people).mean(0)
