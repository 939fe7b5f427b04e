"""Check: profiles are written from what is kept of people's ratings and held against what was hidden from them.

A person's vector is folded in from the kept ratings alone, into the space as it is without the hidden ones: the vector
in the table has seen them. What a text says of an item is the score that the person has for it who is predicted from
the vector of the text, its clauses on dislike left out, by a map that is fitted in that same space on texts of items
that are not held out. Knows an asker, people and their ratings. Prints nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from vecspeak.asking import Asked, Asker
from vecspeak.bundles import SpaceEntry
from vecspeak.engines import Sampling
from vecspeak.errors import UserError
from vecspeak.evaluation.answering import KeptAnswers, answer
from vecspeak.evaluation.attributes import Attributes, attributes_of
from vecspeak.evaluation.measures import NO_ANSWER
from vecspeak.evaluation.task_ground import Ranking, liked_part, ranking_of_people
from vecspeak.points import Point, evaluate
from vecspeak.points.expressions import Item, Person
from vecspeak.profiles.crowd import Crowd
from vecspeak.profiles.hiding import Parts, hide
from vecspeak.profiles.ranking import Order, order_of
from vecspeak.tasks.facts import Known, compose, person_facts
from vecspeak.tasks.lessons import known_items
from vecspeak.tasks.people import taste_of
from vecspeak.tasks.privacy import flagged
from vecspeak.tasks.sets import Task, TaskSet

PROFILE, ANOTHER, RULE = "profile", "another person's profile", "text by rule from the kept ratings"
READ, VECTOR, AVERAGE = "vector as the reader sees it", "vector of the kept ratings", "average person"
POPULAR, MEAN, ANY = "number of ratings", "mean rating", "any kind or time"
AUC, OWN = "auc", "auc_own"
"""The order by all that is predicted, and by what sets the person apart from the average one."""
_FEWEST_TEXTS = 5
_Draw = TypeVar("_Draw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How people's ratings are hidden and their profiles written."""

    share: float = 0.3
    """Of a person's ratings that is hidden."""
    draws: int = 5
    """How often, each time other ones."""
    seed: int = 0
    sampling: Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """How many kinds and times a text says are liked, against those of what was hidden."""

    right: int
    said: int
    true: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told:
    """One profile and what came of it."""

    parts: Parts
    text: str
    another: str
    """What was written of another person."""
    flags: tuple[str, ...]
    """Attributes that the profile states of a person and that ratings do not tell (`tasks.privacy`)."""
    orders: Mapping[str, Mapping[str, Order]]
    """What was hidden as each system orders it, by measure."""
    named: Mapping[str, Named]
    """Kinds and times by system; empty where the space knows none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checked:
    """One person with all draws."""

    person: str
    num_ratings: int
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stage:
    """What all people of one draw share."""

    entry: SpaceEntry
    """The space without what is hidden."""
    ranking: Ranking
    """How a text's vector becomes a person of that space."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    person: str
    parts: Parts
    stage: "_Stage"
    point: Point
    asked: Asked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Text:
    """A text and the encoder's vector [T] of it."""

    text: str
    vector: np.ndarray


class Checker:
    """Checks profiles of people of one space."""

    def __init__(self, asker: Asker, task_set: TaskSet, task: Task, crowd: Crowd, settings: Settings) -> None:
        self.asker, self.task_set, self.task = asker, task_set, task
        self.crowd, self.settings = crowd, settings

    @cached_property
    def known(self) -> dict[str, Known]:
        """What is known of the items, by id."""
        return {one.id: one for one in known_items(self.asker.entry.space, self.task_set)}

    @cached_property
    def texts(self) -> dict[str, np.ndarray]:
        """The encoder's vector [T] of every text of an item that is not held out, by id."""
        out = self.asker.entry.held_out
        told = {one.id: one.text for one in self.known.values() if one.text and one.id not in out}
        if len(told) < _FEWEST_TEXTS:
            raise UserError(
                f"{len(told)} items of {self.asker.entry.space.name!r} have a text and are not held out; "
                f"at least {_FEWEST_TEXTS} are needed to tell what a profile speaks of",
                "fit the space with texts for more items",
            )
        vectors = self.asker.encoder.encode(list(told.values()), progress=True)
        return dict(zip(told, vectors, strict=True))

    @cached_property
    def names(self) -> Attributes | None:
        """Kinds and times that texts are looked through for."""
        values = [[*one.kinds, *_time(one.era)] for one in self.known.values()]
        table = pa.table({"kinds": pa.array(values, type=pa.list_(pa.string()))})
        return attributes_of(replace(self.asker.entry.space, metadata=table), [])

    def check_one(self, person: str, ratings: Mapping[str, float], others: Sequence[str]) -> Checked:
        """One person in all draws, each beside the profile of another of the `others`. Raises UserError as `hide`."""
        drawn = [
            self._drawn({person: ratings, other: self.crowd.people[other]}, draw)
            for draw, other in enumerate(_shown(_round(others, self.settings.draws)))
        ]
        told = self._told(drawn)
        return Checked(person=person, num_ratings=len(ratings), told=tuple(of_draw[0] for of_draw in told))

    def check_many(self, people: Sequence[str]) -> list[Checked]:
        """People of the crowd, two or more, each beside the profile of the next."""
        rated = {person: self.crowd.people[person] for person in people}
        told = self._told([self._drawn(rated, draw) for draw in _shown(range(self.settings.draws))])
        return [
            Checked(
                person=person, num_ratings=len(rated[person]), told=tuple(of_draw[place] for of_draw in told)
            )
            for place, person in enumerate(people)
        ]

    def _drawn(self, people: Mapping[str, Mapping[str, float]], draw: int) -> list[_Case]:
        """The people with a part of their ratings hidden, in a space that has seen none of the hidden."""
        parts = {
            person: hide(rated, self.settings.share, [self.settings.seed, draw, *person.encode()])
            for person, rated in people.items()
        }
        stage = self._stage(self.crowd.without({person: one.hidden for person, one in parts.items()}))
        return [self._case(person, one, stage) for person, one in parts.items()]

    def _stage(self, entry: SpaceEntry) -> _Stage:
        rows = [row for row, item in enumerate(entry.space.ids) if item in self.texts]
        vectors = np.stack([self.texts[entry.space.ids[row]] for row in rows])
        return _Stage(entry=entry, ranking=ranking_of_people(entry, vectors, rows))

    def _case(self, person: str, parts: Parts, stage: _Stage) -> _Case:
        stars = tuple((Item(name=item, by_id=True), value) for item, value in parts.kept.items())
        point = evaluate(Person(ratings=stars), stage.entry.scope)
        asked = self.asker.prepare_points(self.task.question, {"x": point})
        return _Case(person=person, parts=parts, stage=stage, point=point, asked=asked)

    def _told(self, drawn: Sequence[Sequence[_Case]]) -> list[list[Told]]:
        """What came of each case of each draw; another's profile is that of the next in the same draw."""
        cases = [case for of_draw in drawn for case in of_draw]
        texts = answer(
            self.asker.engine,
            [case.asked.prompt for case in cases],
            self.settings.sampling,
            key="profiles",
            kept=KeptAnswers(),
            progress="profiles",
        )
        by_reader = self._read_back(texts)
        by_rule = self._read_back([self._by_rule(case.parts.kept) for case in cases])
        found, start = [], 0
        for of_draw in drawn:
            places = range(start, start + len(of_draw))
            after = [*places[1:], start]
            found.append(
                [
                    self._one(case, {PROFILE: by_reader[i], ANOTHER: by_reader[j], RULE: by_rule[i]})
                    for case, i, j in zip(of_draw, places, after, strict=True)
                ]
            )
            start += len(of_draw)
        return found

    def _read_back(self, texts: Sequence[str]) -> list[_Text]:
        found = [text.strip() or NO_ANSWER for text in texts]
        # An encoder puts "likes less of it" beside "likes it".
        vectors = self.asker.encoder.encode([liked_part(text).strip() or text for text in found])
        return [_Text(text=text, vector=vector) for text, vector in zip(found, vectors, strict=True)]

    def _by_rule(self, kept: Mapping[str, float]) -> str:
        counts = dict(zip(kept, self.crowd.popularity(list(kept)).astype(int).tolist(), strict=True))
        return compose(self.task, person_facts(taste_of(kept, self.known, counts))) or NO_ANSWER

    def _one(self, case: _Case, texts: Mapping[str, _Text]) -> Told:
        predict = case.stage.ranking.predictor.predict
        people = {name: predict(text.vector[None])[0] for name, text in texts.items()}
        people[READ] = predict(self.asker.read(case.point)[None])[0]
        people[VECTOR] = case.point.vector.astype(np.float64)
        plain = {name: text.text for name, text in texts.items()}
        return Told(
            parts=case.parts,
            text=plain[PROFILE],
            another=plain[ANOTHER],
            flags=flagged(plain[PROFILE]),
            orders=self._orders(case, people),
            named=self._named(case.parts, plain),
        )

    def _orders(self, case: _Case, people: Mapping[str, np.ndarray]) -> dict[str, dict[str, Order]]:
        space, average = case.stage.entry.space, case.stage.ranking.average
        liked, disliked = (
            [item for item in side if space.has(item)] for side in (case.parts.liked, case.parts.disliked)
        )
        if not (liked and disliked):
            raise UserError(
                "nobody else rated the hidden items of someone, so nothing can be said of them",
                "hide less with --hide, or give ratings of more people",
            )
        items = (*liked, *disliked)
        vectors = space.vectors[[space.index_of(item) for item in items]].astype(np.float64)
        assert average is not None

        def order(scores: np.ndarray) -> Order:
            return order_of(liked, disliked, scores)

        found = {
            name: {AUC: order(vectors @ one), OWN: order(vectors @ (one - average))}
            for name, one in people.items()
        }
        return {
            **found,
            AVERAGE: {AUC: order(vectors @ average)},
            POPULAR: {AUC: order(self.crowd.popularity(items, case.person))},
            MEAN: {AUC: order(self.crowd.mean_ratings(items, case.person))},
        }

    def _named(self, parts: Parts, texts: Mapping[str, str]) -> dict[str, Named]:
        if self.names is None:
            return {}
        taste = taste_of(parts.hidden, self.known, {})
        over = [*taste.kinds_over, *(time for era in taste.eras_over for time in _time(era))]
        true = frozenset().union(*(self.names.named(name) for name in over))
        every = frozenset(self.names.names)
        said = {name: self.names.named(liked_part(text)) for name, text in texts.items()} | {ANY: every}
        return {
            name: Named(right=len(names & true), said=len(names), true=len(true))
            for name, names in said.items()
        }


def _time(era: str) -> Iterator[str]:
    """A decade as it stands among names: `the 1990s` is 1990s; nothing where it is not known."""
    if era:
        yield era.removeprefix("the ")


def _shown(draws: Sequence[_Draw]) -> Iterable[_Draw]:
    """The draws with a bar, for a space is made anew for each."""
    return tqdm(draws, desc="hiding", unit="draw")


def _round(others: Sequence[str], count: int) -> list[str]:
    """So many of the others, from the beginning again where they are fewer."""
    return [others[place % len(others)] for place in range(count)]
