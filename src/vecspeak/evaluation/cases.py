"""Case sets: what is asked about which entities, what is true of them, and what baselines and scorers need.

Case makers: `space_cases` (items of a bundle's space), `corpus_sets` (texts of a training recipe), `plan_tasks` (every
task of a set); the protocols make more. What something was fitted on is refused unless its split is asked for by name.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from vecspeak.bundles import SpaceEntry
from vecspeak.encoders.factorization import Ratings
from vecspeak.encoders.text import Encoder
from vecspeak.errors import UserError
from vecspeak.evaluation.behavior import Attributes, Predictor, attributes_of, fit_predictor
from vecspeak.evaluation.report import TrainingExample
from vecspeak.model.alignment import unit
from vecspeak.model.prompt import check_question, with_default_slots
from vecspeak.points import evaluate
from vecspeak.points.expressions import Call, ItemName
from vecspeak.spaces import Space
from vecspeak.spaces.search import Metric, nearest
from vecspeak.spaces.splits import HOLDOUT, MET
from vecspeak.spaces.tables import TEXT_COLUMN
from vecspeak.tasks.corpus import CORPUS_TASKS, CorpusTask, Text
from vecspeak.tasks.examples import PERSON, example_data, is_held_out_person, make_task_examples
from vecspeak.tasks.task_set import Keywords, Task, TaskSet, opening
from vecspeak.training.dataset import TrainingTexts, held_out_kinds, held_out_tasks, prepare, prepare_texts
from vecspeak.training.recipe import Recipe

NUM_NEAREST = 10
"""Nearest training entities stored for each case of an entity question."""
SHOWN = 420
"""Characters of a text that stand for it as a target, a context or an answer: about 100 tokens."""
TRAIN = "train"
"""Name of the split that everything was fitted on."""
FEWEST = 5
"""Minimum number of entities of an evaluation."""
ENTITY_BASELINES = (
    "reader", "best_of", "swapped", "mean", "random",
    "nearest_text", "nearest_whole", "lm_texts", "lm_labels", "lm_truth", "truth",
)  # fmt: skip
ENTITY_SCORERS = (
    "loss", "consistency", "variance", "text_retrieval", "second_consistency", "second_retrieval",
    "behavior", "attributes", "repeated", "copied",
)  # fmt: skip
TASK_BASELINES = ("reader", "swapped", "mean", "nearest_text", "lm_texts", "lm_truth")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """The users or items that an answer and a vector both rank, for behavioral consistency."""

    predictor: Predictor
    """From the encoder's vectors of answers to the space."""
    others: np.ndarray
    """[U, D] users that an item's vector ranks, or items that a person's vector ranks."""
    average: np.ndarray | None = None
    """[D] the average person, where persons are asked about."""

    @property
    def beyond_average(self) -> "Ranking":
        """The same with the average person taken from what is predicted; `average` must be there."""
        assert self.average is not None
        return replace(self, predictor=replace(self.predictor, offset=self.predictor.offset - self.average))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseSet:
    """N cases of one question or task: vectors for its slots, what is true of each, and who answers and scores.

    A question about single entities is a task with one slot, x. Shape letters: N cases, S slots, T encoder width,
    D width of the space, P pool.
    """

    name: str
    """Such as `movies.semantic` or `movies.semantic / summary`."""
    question: str
    slots: tuple[str, ...] = ("x",)
    """Names of the slots, in the order of the vectors."""
    split: str
    trained_on: bool
    """Whether something was fitted on these entities."""
    ids: list[str]
    labels: list[str]
    inputs: np.ndarray
    """[N, S, T] encoder-space vectors that the reader gets."""
    mean_input: np.ndarray
    """[T] their mean over the training entities."""
    own: np.ndarray | None = None
    """[N, S, D] the same points in the space itself; needed for behavioral consistency."""
    truths: list[tuple[str, ...]]
    """True texts: one a slot; of both ends of a point between; of a person what ratings say; empty where unknown."""
    contexts: list[tuple[str, ...]]
    """The texts that the base model reads where it may read the truth."""
    neighbors: list[tuple[tuple[TrainingExample, ...], ...]]
    """For each slot the nearest training entities, nearest first."""
    nearest_by: str
    nearest_truths: list[str] | None = None
    """The whole truth of the nearest training entity; None: the neighbors' texts are what a search shows."""
    training_texts: list[str] = field(default_factory=list)
    """Truths of the training entities, from which an answer might be copied."""
    baselines: tuple[str, ...] = TASK_BASELINES
    """Names in `baselines.BASELINES`, in the order of the table."""
    scorers: tuple[str, ...]
    """Names in `metrics.SCORERS`, in the order of the table."""
    descriptions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Name and description by baseline, where the registry's do not fit."""
    base_contexts: Mapping[str, list[str]] = field(default_factory=dict)
    """What the base model is told, by baseline, where it is not made of neighbors and contexts."""
    neighbor_chars: int = SHOWN
    context_chars: int | None = None
    """Characters of each neighbor's text and of each context in a base model's prompt; None: all of them."""
    shuffle: list[int] | None = None
    """For each case the case whose answer is its shuffled control; None: the one before it."""
    # what scorers compare with
    truth: np.ndarray | None = None
    """[N, T] unit vectors of the truths; None: answers are compared with what was read."""
    mean_truth: np.ndarray | None = None
    """[T] mean vector of the training entities' truths."""
    pool: np.ndarray | None = None
    """[P, T] unit vectors to find the right text among, the cases' own first; None where texts are shared."""
    items: np.ndarray | None = None
    """[P, T] all items as the reader sees them, to find the right one among."""
    rows: list[tuple[int, ...]] = field(default_factory=list)
    """Row of the item in each slot; empty where no item sits there."""
    of_people: bool = False
    ranking: Ranking | None = None
    attributes: Attributes | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def with_baselines(self, names: Collection[str]) -> "CaseSet":
        """The same cases with fewer baselines; the reader and the true texts themselves always stay."""
        wanted = {"reader", "truth", *names}
        return replace(self, baselines=tuple(key for key in self.baselines if key in wanted))

    @property
    def texts(self) -> list[str]:
        """The truth of each case as one text."""
        return ["\n\n".join(texts) for texts in self.truths]

    @property
    def targets(self) -> list[str]:
        """What the loss is measured on: the truth, or its opening where it is long."""
        return [opening(text, SHOWN) for text in self.texts]

    @property
    def nearest(self) -> list[tuple[TrainingExample, ...]]:
        """The neighbors of all slots together."""
        return [tuple(one for near in slots for one in near) for slots in self.neighbors]

    @property
    def search_answers(self) -> list[str]:
        """What a plain search shows, as long as an answer: the opening of the nearest text, or of each slot's."""
        if self.nearest_truths is not None:
            return [opening(text, SHOWN) for text in self.nearest_truths]
        room = SHOWN // len(self.slots)
        return [" ".join(opening(near[0].text, room) for near in slots) for slots in self.neighbors]

    @property
    def known_texts(self) -> int:
        """How many have word for word the text of a training entity: they are not unseen, whatever their split."""
        known = {_plain(text) for text in self.training_texts}
        return sum(_plain(texts[0]) in known for texts in self.truths if texts)

    @property
    def among(self) -> int:
        """Size of the pool that the right one is searched in; 0 where nothing is searched."""
        if self.items is not None:
            return 0 if self.of_people else len(self.items) + self.is_between
        return 0 if self.pool is None else len(self.pool)

    @property
    def is_between(self) -> bool:
        """Whether each point lies between two items, of which `truths` has the texts."""
        return self.items is not None and not self.of_people and not any(self.rows)

    def roll(self, values: Sequence[Any]) -> list[Any]:
        """Another case's value for each case: the shuffled control of answers and of prompts."""
        return [values[row] for row in (self.shuffle or range(-1, len(values) - 1))]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def question_about_x(question: str) -> str:
    """The question with its one slot, which is called x. Raises UserError for any other slot and for half letters."""
    if not question.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in question):
        raise UserError("the question holds bytes that are no UTF-8", "type it again")
    template = with_default_slots(check_question(question), ["x"])
    if set(template.slots) != {"x"}:
        raise UserError(
            f"the question {question!r} has the slots {', '.join(template.slots)}; an evaluation fills {{x}}",
            'write one slot, for example "Describe {x}."',
        )
    return template.text


def choose_rows(entry: SpaceEntry, split: str, usable: Sequence[int]) -> tuple[list[int], list[int]]:
    """Rows to evaluate on and training rows, among the usable ones; the two never share an entity.

    Raises UserError for a split that the bundle does not have or that holds fewer than five usable items.
    """
    train = [row for row in usable if entry.space.ids[row] not in entry.held_out]
    if split == TRAIN:
        if len(train) < FEWEST:
            raise UserError(
                f"the space {entry.space.name!r} has {len(train)} items with a text that were fitted on; "
                f"at least {FEWEST} are needed",
                "evaluate a held-out split, or fit with more texts",
            )
        return train, train
    if split not in entry.splits:
        known = ", ".join([*entry.splits, f"{TRAIN} (nothing there is held out)"])
        raise UserError(
            f"no split {split!r} in the space {entry.space.name!r}; it has {known}", "use `split`"
        )
    wanted = entry.splits[split]
    selected = [row for row in usable if entry.space.ids[row] in wanted]
    if len(selected) < FEWEST or len(train) < FEWEST:
        raise UserError(
            f"the split {split!r} of {entry.space.name!r} has {len(selected)} items with a text and "
            f"{len(train)} to train on; at least {FEWEST} of each are needed",
            "fit with `text` and a larger `holdout`, as 0.2, or give texts to more items",
        )
    return selected, train


def _shown(values: Sequence[object]) -> list[str | None]:
    """A metadata column as texts: lists are joined, what is blank is None."""
    joined = [", ".join(map(str, v)) if isinstance(v, list) else v for v in values]
    return [str(v).strip() or None if v is not None else None for v in joined]


def column_texts(space: Space, column: str) -> list[str | None]:
    """One text an item from a metadata column. Raises UserError when the space has no such column."""
    if column not in space.metadata.column_names:
        known = ", ".join(space.metadata.column_names) or "none"
        raise UserError(
            f"the space {space.name!r} has no column {column!r} to compare answers with; it has {known}",
            "fit it from a table with `text`, or name a column with `target`",
        )
    return _shown(space.metadata.column(column).to_pylist())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _EvaluatedRows:
    """Which items are evaluated, which are known, and what is true of all."""

    evaluated: list[int]
    train: list[int]
    truths: Mapping[int, str]
    contexts: Mapping[int, str]


def _nearest_known(space: Space, rows: _EvaluatedRows) -> list[list[tuple[int, float]]]:
    """For each chosen row its nearest training rows with their cosine, itself left out."""
    table = space.take(rows.train)
    place = {row: index for index, row in enumerate(rows.train)}
    own = [[place[row]] if row in place else [] for row in rows.evaluated]
    found = nearest(table, space.vectors[rows.evaluated], NUM_NEAREST, exclude=own)
    return [
        [(rows.train[i], float(s)) for i, s in zip(indices, scores, strict=True)]
        for indices, scores in zip(found.indices.tolist(), found.scores.tolist(), strict=True)
    ]


def _truth_vectors(
    entry: SpaceEntry, encoder: Encoder, rows: _EvaluatedRows, own_texts: bool
) -> dict[int, np.ndarray]:
    """Unit vectors of the truths; a space that the encoder made of those very texts is not encoded again."""
    wanted = list(rows.truths)
    if own_texts and entry.space.encoder == encoder.name and entry.space.dim == encoder.dim:
        return dict(zip(wanted, unit(entry.space.vectors[wanted]), strict=True))
    vectors = encoder.encode([rows.truths[row] for row in wanted], progress=True)
    return dict(zip(wanted, vectors, strict=True))


def _behavior(entry: SpaceEntry, rows: _EvaluatedRows, vectors: Mapping[int, np.ndarray]) -> Ranking | None:
    if entry.users is None:
        return None
    texts = np.stack([vectors[row] for row in rows.train])
    predictor = fit_predictor(texts, entry.space.vectors[rows.train])
    return Ranking(predictor=predictor, others=entry.users.vectors)


def check_space(entry: SpaceEntry, split: str, target: str, question: str) -> None:
    """Raise UserError for what `space_cases` would refuse, before any text is encoded."""
    question_about_x(question)
    _choose(entry, split, target, count=FEWEST, seed=0)


def _choose(entry: SpaceEntry, split: str, target: str, count: int, seed: int) -> _EvaluatedRows:
    truths = column_texts(entry.space, target)
    contexts = column_texts(entry.space, TEXT_COLUMN) if target != TEXT_COLUMN else truths
    usable = [row for row in range(entry.space.num_items) if truths[row] and contexts[row]]
    selected, train = choose_rows(entry, split, usable)
    selected = np.random.default_rng(seed).permutation(selected)[:count].tolist()
    return _EvaluatedRows(
        evaluated=selected,
        train=train,
        truths={row: str(truths[row]) for row in usable},
        contexts={row: str(contexts[row]) for row in usable},
    )


def space_cases(
    entry: SpaceEntry,
    encoder: Encoder,
    *,
    question: str = "Describe {x}.",
    split: str = HOLDOUT,
    target: str = TEXT_COLUMN,
    count: int = 500,
    seed: int = 0,
) -> CaseSet:
    """Items of one split of a space; what is near them is found in the space itself, among its training items.

    `target` is the metadata column with the hoped-for answer. Behavioral consistency is measured where the space
    has users. Raises UserError for an unknown split or column, and for fewer than five items.
    """
    space = entry.space
    rows = _choose(entry, split, target, count, seed)
    known = _nearest_known(space, rows)
    vectors = _truth_vectors(entry, encoder, rows, own_texts=target == TEXT_COLUMN)
    taken = set(rows.evaluated)
    rest = [row for row in rows.truths if row not in taken]
    everything = np.stack([vectors[row] for row in [*rows.evaluated, *rest]])
    sample = np.sort(np.random.default_rng(seed).permutation(rows.train)[:5000])
    is_text = target == TEXT_COLUMN
    return CaseSet(
        name=space.name if is_text else f"{space.name} ({target})",
        question=question_about_x(question),
        split=split,
        trained_on=split in (TRAIN, MET),
        ids=[space.ids[row] for row in rows.evaluated],
        labels=[space.labels[row] for row in rows.evaluated],
        inputs=entry.alignment(space.vectors[rows.evaluated])[:, None],
        mean_input=entry.alignment(space.vectors[sample]).mean(0),
        own=space.vectors[rows.evaluated][:, None],
        truths=[(rows.truths[row],) for row in rows.evaluated],
        contexts=[(rows.contexts[row],) for row in rows.evaluated],
        neighbors=[(tuple(_known(space, rows, row, score) for row, score in found),) for found in known],
        nearest_truths=[rows.truths[found[0][0]] for found in known],
        nearest_by="cosine in the space, among its training items",
        training_texts=[rows.truths[row] for row in rows.train] if is_text else [],
        baselines=ENTITY_BASELINES,
        scorers=ENTITY_SCORERS,
        context_chars=2 * SHOWN,
        truth=everything[: len(rows.evaluated)],
        mean_truth=np.mean([vectors[row] for row in rows.train], axis=0),
        pool=everything if is_text else None,
        attributes=attributes_of(space, rows.evaluated),
        ranking=_behavior(entry, rows, vectors) if is_text else None,
    )


def _known(space: Space, rows: _EvaluatedRows, row: int, score: float) -> TrainingExample:
    return TrainingExample(label=space.labels[row], text=opening(rows.contexts[row], SHOWN), similarity=score)


NUM_NEAR = 3
"""Nearest known texts that are kept for each vector."""
_MEAN_OF = 5000
"""Items that the mean vector is taken over, at most."""
_CLAUSE = re.compile(
    r"(?<=[.!?;])\s+|\b(?:but|while|whereas|though|although|and(?= (?:dislike|hate|avoid)))\b", re.IGNORECASE
)
_DISLIKE = re.compile(
    r"\b(?:dislik\w*|hate\w*|avoid\w*|bor(?:ed|ing)\w*|less|not|never|lower|worst|below)\b|n['\u2019]t\b",
    re.I,
)


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


def liked_part(text: str) -> str:
    """The text without its clauses that speak of dislike: what is named there is not said to be liked."""
    return " . ".join(part for part in _CLAUSE.split(text) if part and not _DISLIKE.search(part))


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


def select_tasks(task_set: TaskSet, names: Sequence[str]) -> tuple[Task, ...]:
    """The named tasks of a set in its own order, or all of them. Raises UserError for an unknown name."""
    asked = [part.strip() for name in names for part in name.split(",") if part.strip()]
    if ALL in asked:
        return tuple(task_set.tasks.values())
    named = {task_set.task(name).name for name in asked}
    return tuple(task for task in task_set.tasks.values() if task.name in named)


def plan_tasks(data: EvaluationData, wanted: TaskSelection) -> TaskPlan:
    """The cases of every task, entities drawn once for each kind of points.

    Raises UserError where nothing is left to ask, and where a task that was named cannot be asked.
    """
    drawn: dict[str, _Drawn | str] = {}
    cases, left_out = [], []
    for task in wanted.tasks:
        for kind in _kinds(task, wanted.points):
            if kind not in drawn:
                drawn[kind] = _draw(data, kind, wanted)
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


def partners(rows: Sequence[int], count: int) -> list[int]:
    """Another row for each of the first `count`: no row is used twice where there are enough, and none is its own.

    Nor does a pair share a row with the pair before it, whose answer is its control; and no two pairs are of the same
    rows, for a step of half of them would give both (x, y) and (y, x).
    """
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
    points = [evaluate(_mid(space.ids[x], space.ids[y]), data.entry.scope) for x, y in pairs]
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


def _mid(first: str, second: str) -> Call:
    return Call(
        function="mid", arguments=(ItemName(name=first, by_id=True), ItemName(name=second, by_id=True))
    )


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
    )


def _mean_person(data: EvaluationData) -> np.ndarray:
    assert data.entry.users is not None
    out = set(data.people)
    known = [person for person in data.entry.users.ids if person not in out]
    return data.read_people(known or data.people).mean(0)


KINDS, TASKS_SPLIT = "kinds", "tasks"
SPLITS = (HOLDOUT, KINDS, TASKS_SPLIT, TRAIN)
"""Held-out texts of the kinds in training; of kinds held out; held-out tasks; and what was trained on."""
_POOL = 5000


def corpus_sets(
    recipe: Recipe, encoder: Encoder, folder: Path, *, split: str = HOLDOUT, count: int = 500, seed: int = 0
) -> list[CaseSet]:
    """The sets of one split: other texts and plots for `holdout` and `train`, else one a held-out kind or task.

    Every entity but those of `train` is held out. Raises UserError for a split that the recipe does not have.
    """
    if split not in SPLITS:
        raise UserError(
            f"no split {split!r} of a recipe; it has {', '.join(SPLITS)}", "use `split='holdout'`"
        )
    kinds, tasks = held_out_kinds(recipe), held_out_tasks(recipe)
    if (split == KINDS and not kinds) or (split == TASKS_SPLIT and not tasks):
        raise UserError(
            f"the recipe {recipe.name!r} held out no {split}",
            f'name some under [hold_out] before training, such as {split} = ["..."]',
        )
    maker = _Maker(recipe, encoder, folder, count=count, seed=seed)
    if split == KINDS:
        return [maker.cases(f"texts of kind {kind}", split, [kind]) for kind in sorted(kinds)]
    if split == TASKS_SPLIT:
        single = [CORPUS_TASKS[name] for name in sorted(tasks) if CORPUS_TASKS[name].num_slots == 1]
        if not single:
            raise UserError(
                "only tasks about two vectors were held out, and an evaluation asks about one",
                "hold out a task about one vector as well",
            )
        return [maker.task_cases(task) for task in single]
    others = [kind for kind in recipe.texts if kind != "plot" and kind not in kinds]
    named = [("texts of other kinds", others), ("movie plots", ["plot"] if "plot" in recipe.texts else [])]
    return [maker.cases(name, split, selected) for name, selected in named if selected]


class _Maker:
    """Makes cases of one recipe; its texts and vectors are opened once."""

    def __init__(self, recipe: Recipe, encoder: Encoder, folder: Path, *, count: int, seed: int) -> None:
        self.encoder = encoder
        self.count = count
        self.seed = seed
        self.data: TrainingTexts = prepare(recipe, encoder, folder)
        everything = prepare_texts(recipe, folder)
        order = np.random.default_rng(seed).permutation(len(everything))
        self.held_out = [everything[i] for i in order if everything[i].split == "held_out"]
        self.train = np.asarray(self.data.vectors)

    def cases(self, name: str, split: str, kinds: Sequence[str]) -> CaseSet:
        """Texts of these kinds, asked to be described."""
        question = "Describe the movie {x}." if list(kinds) == ["plot"] else "Describe {x}."
        rows = [row for row, text in enumerate(self.data.texts) if text.kind in kinds]
        np.random.default_rng(self.seed).shuffle(rows)
        if split == TRAIN:
            texts = [self.data.texts[row] for row in rows[: self.count]]
            vectors, filling = self.train[rows[: self.count]], rows[self.count :]
        else:
            wanted = [text for text in self.held_out if text.kind in kinds]
            texts, filling = wanted[: self.count], rows
            vectors = self.encoder.encode([text.text for text in texts], progress=True)
        pool = np.concatenate([vectors, self.train[filling[: max(0, _POOL - len(texts))]]])
        return self._made(name, split, question, texts, vectors, [text.target for text in texts], pool)

    def task_cases(self, task: CorpusTask) -> CaseSet:
        """A task that training never asked, of texts that it never saw."""
        keywords = Keywords.fit((text.text for text in self.data.texts), min_count=20)
        pairs = ((text, task.target((text,), keywords)) for text in self.held_out)
        retained = [(text, target) for text, target in pairs if target][: self.count]
        texts = [text for text, _ in retained]
        vectors = self.encoder.encode([text.text for text in texts], progress=True)
        targets = [str(target) for _, target in retained]
        return self._made(
            f"task {task.name}", TASKS_SPLIT, task.wordings[0], texts, vectors, targets, pool=None
        )

    def _made(
        self,
        name: str,
        split: str,
        question: str,
        texts: list[Text],
        vectors: np.ndarray,
        truths: list[str],
        pool: np.ndarray | None,
    ) -> CaseSet:
        if len(texts) < 5:
            raise UserError(
                f"{name}: only {len(texts)} texts to evaluate on; at least 5 are needed",
                "choose another split",
            )
        near = self._near(vectors, own=split == TRAIN)
        of_texts = pool is not None
        known = [
            tuple(TrainingExample(label=t.title, text=opening(t.text, SHOWN), similarity=s) for t, s in row)
            for row in near
        ]
        return CaseSet(
            name=name,
            question=question_about_x(question),
            split=split,
            trained_on=split == TRAIN,
            ids=[f"{text.source}/{text.key}/{text.kind}/{row}" for row, text in enumerate(texts)],
            labels=[text.title for text in texts],
            inputs=vectors[:, None],
            mean_input=self.train.mean(0),
            truths=[(text.text,) for text in texts] if of_texts else [(truth,) for truth in truths],
            contexts=[(text.text,) for text in texts],
            neighbors=[(one,) for one in known],
            nearest_truths=[row[0].text for row in known],
            nearest_by="cosine, among all training texts",
            training_texts=[text.text for text in self.data.texts] if of_texts else [],
            baselines=ENTITY_BASELINES,
            scorers=ENTITY_SCORERS,
            context_chars=2 * SHOWN,
            truth=vectors if of_texts else self.encoder.encode(truths),
            mean_truth=self.train.mean(0),
            pool=pool,
        )

    def _near(self, vectors: np.ndarray, *, own: bool) -> list[list[tuple[Text, float]]]:
        """The nearest training texts of each vector; for a training text not itself."""
        found = []
        skipped = 1 if own else 0
        for block in np.array_split(vectors, max(1, len(vectors) // 256)):
            scores = block @ self.train.T
            best = np.argpartition(-scores, NUM_NEAREST + skipped)[:, : NUM_NEAREST + skipped]
            for row, indices in enumerate(best):
                order = indices[np.argsort(-scores[row, indices])][skipped:]
                found.append([(self.data.texts[i], float(scores[row, i])) for i in order])
        return found
