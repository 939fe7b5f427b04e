"""Ground: what all tasks of one space stand on: held-out rows, what is known of them, and how behavior is predicted.

Made once a space, whatever is asked. Knows spaces, splits, texts and people's ratings. Knows no task and no model.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from vecspeak.alignment import unit
from vecspeak.bundles import SpaceEntry
from vecspeak.embedders.behavioral import Ratings
from vecspeak.embedders.semantic import Encodes
from vecspeak.evaluation.attributes import Attributes, attributes_of
from vecspeak.evaluation.behavior import Predictor, fit_predictor
from vecspeak.evaluation.cases import SHOWN, TRAIN, choose_rows, column_texts
from vecspeak.evaluation.report import Known
from vecspeak.spaces import Space
from vecspeak.spaces.formats import TEXT_COLUMN
from vecspeak.spaces.neighbours import Metric, nearest
from vecspeak.spaces.splits import MET
from vecspeak.tasks.lessons import is_held_out_person, make_lessons, material
from vecspeak.tasks.sets import Task, TaskSet
from vecspeak.tasks.targets import PERSON
from vecspeak.tasks.texts import opening

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
class Ranking:
    """What behavioral consistency is measured with: who or what is ranked by an answer and by a vector."""

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
class Tastes:
    """What the ratings of held-out people say."""

    shown: Mapping[str, str]
    """By id of the person: what was rated highest and lowest, and which kinds and times."""
    attributes: Attributes | None
    """Kinds, and those that each person (in the order of `shown`) rates over their own average."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
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
    mean_read: np.ndarray
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
    ) -> list[tuple[Known, ...]]:
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

    def _known(self, row: int, score: float) -> Known:
        return Known(
            label=self.space.labels[row], text=opening(self.texts[row], SHOWN), similarity=float(score)
        )


def ground_of(
    entry: SpaceEntry, encoder: Encodes, *, split: str, seed: int, tastes: Tastes | None = None
) -> Ground:
    """The split of a space with its behavior where it has users.

    Raises UserError for a space without texts, an unknown split, and fewer than five items.
    """
    texts, chosen, train = _choose(entry, split)
    rng = np.random.default_rng(seed)
    items = entry.alignment(entry.space.vectors)
    sample = np.sort(rng.permutation(train)[:_MEAN_OF])
    by_users = _by_users(entry, encoder, texts, train)
    return Ground(
        entry=entry,
        split=split,
        held_out=tuple(np.random.default_rng(seed).permutation(chosen).tolist()),
        train=tuple(train),
        texts=texts,
        items=items,
        mean_read=items[sample].mean(0),
        people=tuple(_people(entry, tastes, seed)),
        by_users=by_users,
        by_items=by_users and _by_items(entry, by_users.predictor, train),
        tastes=tastes,
    )


def check_ground(entry: SpaceEntry, split: str) -> None:
    """Raise UserError for what `ground_of` would refuse, before any text is encoded."""
    _choose(entry, split)


def _choose(entry: SpaceEntry, split: str) -> tuple[dict[int, str], list[int], list[int]]:
    found = column_texts(entry.space, TEXT_COLUMN)
    texts = {row: text for row, text in enumerate(found) if text}
    chosen, train = choose_rows(entry, split, list(texts))
    return texts, chosen, train


def _people(entry: SpaceEntry, tastes: Tastes | None, seed: int) -> list[str]:
    """Held-out people; where there are ratings those of whom the ratings say something."""
    if entry.users is None:
        return []
    people = sorted(person for person in entry.users.ids if is_held_out_person(person))
    kept = [person for person in people if tastes is None or person in tastes.shown]
    return [kept[i] for i in np.random.default_rng(seed).permutation(len(kept)).tolist()]


# --- behavior ---


def _by_users(
    entry: SpaceEntry, encoder: Encodes, texts: Mapping[int, str], train: Sequence[int]
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
    made = material(entry.space, task_set, splits=entry.splits, ratings=by_person(ratings))
    known = {PERSON + person for person in (entry.users.ids if entry.users else ())}
    lessons = make_lessons(made, counts={task.name: len(made.people)}, split="holdout") if made.people else []
    shown = {
        lesson.slots["x"].removeprefix(PERSON): "\n".join(lesson.texts)
        for lesson in lessons
        if lesson.slots["x"] in known
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
