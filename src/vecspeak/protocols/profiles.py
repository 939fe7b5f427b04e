"""Check: profiles are written from what is kept of people's ratings and held against what was hidden from them.

A person's vector is folded in from the kept ratings alone, into the space as it is without the hidden ones: the vector
in the table has seen them. What a text says of an item is the score that the person has for it who is predicted from
the vector of the text, its clauses on dislike left out, by a map that is fitted in that same space on texts of items
that are not held out. Prints nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from vecspeak.asking import Asker, PreparedQuestion
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.console import progress_bar
from vecspeak.encoders.factorization import Ratings, read_ratings, refactorize
from vecspeak.engines import Sampling
from vecspeak.errors import UserError, nearest_rows
from vecspeak.evaluation.answering import answer
from vecspeak.evaluation.behavior import Attributes, Ranking, attributes_of
from vecspeak.evaluation.task_cases import by_person, ranking_of_people
from vecspeak.evaluation.wording import NO_ANSWER, liked_part
from vecspeak.points import Point, evaluate, parse
from vecspeak.points.expressions import ItemName, Person, User
from vecspeak.points.foldin import FoldIn
from vecspeak.points.resolve import source_of
from vecspeak.stats import Estimate, Series, difference
from vecspeak.storage import Cache
from vecspeak.tasks.examples import (
    ItemFacts,
    compose,
    is_held_out_person,
    known_items,
    person_facts,
    taste_of,
)
from vecspeak.tasks.privacy import flagged
from vecspeak.tasks.task_set import Task, TaskSet

FEWEST = 3
"""Items on either side of a person's mean that are hidden, and that are kept, at the least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutSplit:
    """One draw: what was kept and what was hidden."""

    shown: Mapping[str, float]
    hidden: Mapping[str, float]
    liked: tuple[str, ...]
    """Of the hidden, those over the mean of all that the person rated."""
    disliked: tuple[str, ...]
    """Of the hidden, those under it; what lies on it is neither."""


def mean_of(ratings: Mapping[str, float]) -> float:
    """The person's own mean."""
    return sum(ratings.values()) / len(ratings)


def can_hide(ratings: Mapping[str, float], share: float) -> bool:
    """Whether `hide` has enough on either side of the mean."""
    over, under, _ = _sides(ratings)
    return all(FEWEST <= _count(side, share) <= len(side) - FEWEST for side in (over, under))


def hide(ratings: Mapping[str, float], share: float, seed: Sequence[int]) -> HoldoutSplit:
    """Hide this share of what was liked, of what was disliked and of the rest, drawn by the seed.

    Raises UserError where fewer than three of either side would be hidden, or kept.
    """
    if not ratings or not can_hide(ratings, share):
        over, under, _ = _sides(ratings) if ratings else ([], [], [])
        raise UserError(
            f"of {len(over)} ratings over their own mean and {len(under)} under it, {100 * share:g}% cannot be hidden: "
            f"at least {FEWEST} of each must be hidden, and {FEWEST} kept",
            "choose someone who rated more, or another `hide`",
        )
    rng = np.random.default_rng(list(seed))
    sides = [_drawn_ratings(side, share, rng) for side in _sides(ratings)]
    out = {item for side in sides for item in side}
    return HoldoutSplit(
        shown={item: value for item, value in ratings.items() if item not in out},
        hidden={item: value for item, value in ratings.items() if item in out},
        liked=tuple(sides[0]),
        disliked=tuple(sides[1]),
    )


def _sides(ratings: Mapping[str, float]) -> tuple[list[str], list[str], list[str]]:
    """Ids over the mean, under it, and on it, each sorted, so that the order of ratings does not matter."""
    mean, items = mean_of(ratings), sorted(ratings)
    room = 1e-6 * max(abs(mean), 1.0)
    over = [item for item in items if ratings[item] > mean + room]
    under = [item for item in items if ratings[item] < mean - room]
    return over, under, [item for item in items if abs(ratings[item] - mean) <= room]


def _count(side: Sequence[str], share: float) -> int:
    return round(share * len(side))


def _drawn_ratings(side: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    return [side[row] for row in np.sort(rng.permutation(len(side))[: _count(side, share)]).tolist()]


_SHRINK = 5.0
"""Ratings at the mean of all that are added to an item's, so that two fives are no masterpiece."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UserRatings:
    """Everyone's ratings of the items of one space."""

    entry: SpaceEntry
    people: Mapping[str, Mapping[str, float]]
    """Stars by person and id of the item; of items of the space alone."""
    _raters: dict[str, dict[str, float]] = field(default_factory=dict, init=False, repr=False)
    """The same by item."""

    def __post_init__(self) -> None:
        for person, rated in self.people.items():
            for item, value in rated.items():
                self._raters.setdefault(item, {})[person] = value

    @classmethod
    def of(cls, entry: SpaceEntry, ratings: Mapping[str, Mapping[str, float]]) -> "UserRatings":
        """Of the space's own items. Raises UserError where none of them was rated, or nobody can be folded in."""
        fold_in_of(entry)
        known = {
            person: {item: value for item, value in rated.items() if entry.space.has(item)}
            for person, rated in ratings.items()
        }
        people = {person: rated for person, rated in known.items() if rated}
        if not people:
            raise UserError(
                f"none of the rated items is in the space {entry.space.name!r}: "
                f"its ids look like {entry.space.ids[0]!r}",
                "name the column that holds the space's ids with `item`",
            )
        return cls(entry=entry, people=people)

    def popularity(self, items: Sequence[str], without: str = "") -> np.ndarray:
        """[n] how many rated each, this person left out."""
        return np.array([float(len(self._others(item, without))) for item in items])

    def mean_ratings(self, items: Sequence[str], without: str = "") -> np.ndarray:
        """[n] how others rated each, shrunk towards the mean of all."""
        middle = float(np.mean([mean_of(rated) for rated in self.people.values()]))
        others = [self._others(item, without) for item in items]
        return np.array(
            [(sum(given.values()) + _SHRINK * middle) / (len(given) + _SHRINK) for given in others]
        )

    def without(self, hidden: Mapping[str, Mapping[str, float]]) -> SpaceEntry:
        """The space with its people as it would be had these people not given these ratings.

        Items that nobody else rated are not in it. Where none of the people is in the factorization it has seen
        nothing, and is as it is.
        """
        entry = self.entry
        users = entry.users
        if users is None or not any(users.has(person) for person in hidden):
            return entry
        retained = [
            (person, item, value)
            for person, rated in self.people.items()
            for item, value in rated.items()
            if item not in hidden.get(person, ())
        ]
        people, items, values = (np.array(column, dtype=object) for column in zip(*retained, strict=True))
        ratings = Ratings(user_ids=people, item_ids=items, values=values)
        made = refactorize(ratings, items=entry.space, users=users, settings=fold_in_of(entry).settings)
        return replace(entry, space=made.items, users=made.users, distances={})

    def _others(self, item: str, without: str) -> dict[str, float]:
        return {person: stars for person, stars in self._raters.get(item, {}).items() if person != without}


def fold_in_of(entry: SpaceEntry) -> FoldIn:
    """How people are made in this space. Raises UserError where that is not known."""
    if entry.fold_in is None:
        why = "it has no users" if entry.users is None else "how its users were made is not known"
        raise UserError(
            f"nobody can be folded into {entry.space.name}: {why}",
            "make the space with `factorize(...)`, then `VecSpeak.fit(...)`",
        )
    return entry.fold_in


CHANCE = 0.5
"""What any order reaches that knows nothing."""
_RESAMPLES = 2000
_ROUNDING = 1e-9
"""Scores that differ by less, as a share of the largest, are a tie."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HoldoutOrder:
    """One order of what was hidden in one draw."""

    liked: tuple[str, ...]
    disliked: tuple[str, ...]
    wins: np.ndarray
    """[P, N] 1 where the liked one stands higher, 0 where the disliked one does, one half for a tie."""

    @property
    def auc(self) -> float:
        """Share of the pairs that stand as they should."""
        return float(self.wins.mean())


def order_of(liked: Sequence[str], disliked: Sequence[str], scores: np.ndarray) -> HoldoutOrder:
    """The order by scores [P + N], of the liked first and then of the disliked."""
    gaps = scores[: len(liked), None] - scores[None, len(liked) :]
    room = _ROUNDING * max(float(np.abs(scores).max()), 1e-30)
    wins = np.where(np.abs(gaps) <= room, 0.5, (gaps > 0).astype(float))
    return HoldoutOrder(liked=tuple(liked), disliked=tuple(disliked), wins=wins)


def auc_over_draws(orders: Sequence[HoldoutOrder]) -> float:
    """Mean over the draws of one person."""
    return float(np.mean([order.auc for order in orders]))


def resampled(orders: Sequence[HoldoutOrder], *, seed: int = 0) -> np.ndarray:
    """[R] the same for resamples of the person's items, liked and disliked apart; NaN where no pair is drawn.

    Draws hide partly the same items, so an item is drawn once for all of them. The same draws of items and the same
    seed give the same resamples, so that two orders are compared pair by pair.
    """
    rng = np.random.default_rng(seed)
    liked = _weights({item for order in orders for item in order.liked}, rng)
    disliked = _weights({item for order in orders for item in order.disliked}, rng)
    found = np.full((len(orders), _RESAMPLES), np.nan)
    for row, order in enumerate(orders):
        over = np.stack([liked[item] for item in order.liked], axis=1)
        under = np.stack([disliked[item] for item in order.disliked], axis=1)
        pairs = over.sum(1) * under.sum(1)
        won = np.einsum("rp,pn,rn->r", over, order.wins, under, optimize=True)
        found[row] = np.divide(won, pairs, out=np.full(_RESAMPLES, np.nan), where=pairs > 0)
    some = np.isfinite(found).any(0)
    means = np.full(_RESAMPLES, np.nan)
    means[some] = np.nanmean(found[:, some], axis=0)
    return means


def interval_of(value: float, drawn: np.ndarray) -> Estimate:
    """The value with the middle 95% of what resamples gave."""
    low, high = np.percentile(drawn[np.isfinite(drawn)], [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def _weights(items: set[str], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """How often each item is drawn in each resample: [R] by item."""
    names = sorted(items)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), _RESAMPLES).astype(float)
    return {item: counts[:, place] for place, item in enumerate(names)}


PROFILE, ANOTHER, RULE = "profile", "another person's profile", "text by rule from the kept ratings"
READ, VECTOR, AVERAGE = "vector as the reader sees it", "vector of the kept ratings", "average person"
POPULAR, MEAN, ANY = "number of ratings", "mean rating", "any kind or time"
AUC, OWN = "auc", "auc_own"
"""The order by all that is predicted, and by what sets the person apart from the average one."""
_FEWEST_TEXTS = 5
_Draw = TypeVar("_Draw")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileConfig:
    """How people's ratings are hidden and their profiles written."""

    share: float = 0.3
    """Of a person's ratings that is hidden."""
    draws: int = 5
    """How often, each time other ones."""
    seed: int = 0
    sampling: Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedKinds:
    """How many kinds and times a text says are liked, against those of what was hidden."""

    right: int
    said: int
    true: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WrittenProfile:
    """One profile and what came of it."""

    parts: HoldoutSplit
    text: str
    another: str
    """What was written of another person."""
    flags: tuple[str, ...]
    """Attributes that the profile states of a person and that ratings do not tell (`tasks.privacy`)."""
    orders: Mapping[str, Mapping[str, HoldoutOrder]]
    """What was hidden as each system orders it, by measure."""
    named: Mapping[str, NamedKinds]
    """Kinds and times by system; empty where the space knows none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedPerson:
    """One person with all draws."""

    person: str
    num_ratings: int
    draws: tuple[WrittenProfile, ...]


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
    parts: HoldoutSplit
    stage: "_Stage"
    point: Point
    asked: PreparedQuestion


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Text:
    """A text and the encoder's vector [T] of it."""

    text: str
    vector: np.ndarray


class Checker:
    """Checks profiles of people of one space."""

    def __init__(
        self, asker: Asker, task_set: TaskSet, task: Task, crowd: UserRatings, settings: ProfileConfig
    ) -> None:
        self.asker, self.task_set, self.task = asker, task_set, task
        self.crowd, self.settings = crowd, settings

    @cached_property
    def known(self) -> dict[str, ItemFacts]:
        """What is known of the items, by id."""
        return {one.id: one for one in known_items(self.asker.entry.space, self.task_set)}

    @cached_property
    def texts(self) -> dict[str, np.ndarray]:
        """The encoder's vector [T] of every text of an item that is not held out, by id."""
        out = self.asker.entry.held_out
        shown = {one.id: one.text for one in self.known.values() if one.text and one.id not in out}
        if len(shown) < _FEWEST_TEXTS:
            raise UserError(
                f"{len(shown)} items of {self.asker.entry.space.name!r} have a text and are not held out; "
                f"at least {_FEWEST_TEXTS} are needed to tell what a profile speaks of",
                "fit the space with texts for more items",
            )
        vectors = self.asker.encoder.encode(list(shown.values()), progress=True)
        return dict(zip(shown, vectors, strict=True))

    @cached_property
    def names(self) -> Attributes | None:
        """Kinds and times that texts are looked through for."""
        values = [[*one.kinds, *_time(one.era)] for one in self.known.values()]
        table = pa.table({"kinds": pa.array(values, type=pa.list_(pa.string()))})
        return attributes_of(replace(self.asker.entry.space, metadata=table), [])

    def check_one(self, person: str, ratings: Mapping[str, float], others: Sequence[str]) -> CheckedPerson:
        """One person in all draws, each beside the profile of another of the `others`. Raises UserError as `hide`."""
        drawn = [
            self._drawn({person: ratings, other: self.crowd.people[other]}, draw)
            for draw, other in enumerate(_shown(_round(others, self.settings.draws)))
        ]
        shown = self._written(drawn)
        return CheckedPerson(
            person=person, num_ratings=len(ratings), draws=tuple(of_draw[0] for of_draw in shown)
        )

    def check_many(self, people: Sequence[str]) -> list[CheckedPerson]:
        """People of the crowd, two or more, each beside the profile of the next."""
        rated = {person: self.crowd.people[person] for person in people}
        shown = self._written([self._drawn(rated, draw) for draw in _shown(range(self.settings.draws))])
        return [
            CheckedPerson(
                person=person,
                num_ratings=len(rated[person]),
                draws=tuple(of_draw[place] for of_draw in shown),
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

    def _case(self, person: str, parts: HoldoutSplit, stage: _Stage) -> _Case:
        stars = tuple((ItemName(name=item, by_id=True), value) for item, value in parts.shown.items())
        point = evaluate(Person(ratings=stars), stage.entry.scope)
        asked = self.asker.prepare_points(self.task.question, {"x": point})
        return _Case(person=person, parts=parts, stage=stage, point=point, asked=asked)

    def _written(self, drawn: Sequence[Sequence[_Case]]) -> list[list[WrittenProfile]]:
        """What came of each case of each draw; another's profile is that of the next in the same draw."""
        cases = [case for of_draw in drawn for case in of_draw]
        texts = answer(
            self.asker.engine,
            [case.asked.prompt for case in cases],
            self.settings.sampling,
            key="profiles",
            cache=Cache(),
            progress="profiles",
        )
        by_reader = self._read_back(texts)
        by_rule = self._read_back([self._by_rule(case.parts.shown) for case in cases])
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

    def _by_rule(self, ratings: Mapping[str, float]) -> str:
        counts = dict(zip(ratings, self.crowd.popularity(list(ratings)).astype(int).tolist(), strict=True))
        return compose(self.task, person_facts(taste_of(ratings, self.known, counts))) or NO_ANSWER

    def _one(self, case: _Case, texts: Mapping[str, _Text]) -> WrittenProfile:
        predict = case.stage.ranking.predictor.predict
        people = {name: predict(text.vector[None])[0] for name, text in texts.items()}
        people[READ] = predict(self.asker.read(case.point)[None])[0]
        people[VECTOR] = case.point.vector.astype(np.float64)
        plain = {name: text.text for name, text in texts.items()}
        return WrittenProfile(
            parts=case.parts,
            text=plain[PROFILE],
            another=plain[ANOTHER],
            flags=flagged(plain[PROFILE]),
            orders=self._orders(case, people),
            named=self._named(case.parts, plain),
        )

    def _orders(self, case: _Case, people: Mapping[str, np.ndarray]) -> dict[str, dict[str, HoldoutOrder]]:
        space, average = case.stage.entry.space, case.stage.ranking.average
        liked, disliked = (
            [item for item in side if space.has(item)] for side in (case.parts.liked, case.parts.disliked)
        )
        if not (liked and disliked):
            raise UserError(
                "nobody else rated the hidden items of someone, so nothing can be said of them",
                "hide less with `hide`, or give ratings of more people",
            )
        items = (*liked, *disliked)
        vectors = space.vectors[[space.index_of(item) for item in items]].astype(np.float64)
        assert average is not None

        def order(scores: np.ndarray) -> HoldoutOrder:
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

    def _named(self, parts: HoldoutSplit, texts: Mapping[str, str]) -> dict[str, NamedKinds]:
        if self.names is None:
            return {}
        taste = taste_of(parts.hidden, self.known, {})
        over = [*taste.kinds_over, *(time for era in taste.eras_over for time in _time(era))]
        true = frozenset().union(*(self.names.named(name) for name in over))
        every = frozenset(self.names.names)
        said = {name: self.names.named(liked_part(text)) for name, text in texts.items()} | {ANY: every}
        return {
            name: NamedKinds(right=len(names & true), said=len(names), true=len(true))
            for name, names in said.items()
        }


def _time(era: str) -> Iterator[str]:
    """A decade as it stands among names: `the 1990s` is 1990s; nothing where it is not known."""
    if era:
        yield era.removeprefix("the ")


def _shown(draws: Sequence[_Draw]) -> Iterable[_Draw]:
    """The draws with a bar, for a space is made anew for each."""
    return progress_bar(draws, desc="hiding", unit="draw")


def _round(others: Sequence[str], count: int) -> list[str]:
    """So many of the others, from the beginning again where they are fewer."""
    return [others[place % len(others)] for place in range(count)]


ORDERS = (PROFILE, ANOTHER, RULE, READ, VECTOR, AVERAGE, POPULAR, MEAN)
"""What ranks the hidden items, in the order of the table."""
TEXTS = (PROFILE, ANOTHER, RULE, ANY)
"""What names kinds and times."""
PRECISION, RECALL = "precision", "recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileEstimate:
    """A number with its 95% interval, where there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, estimate: Estimate | None) -> "ProfileEstimate | None":
        """The same of an estimate."""
        if estimate is None:
            return None
        return cls(value=estimate.value, low=estimate.low, high=estimate.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileResult:
    """All that was found, as plain values."""

    people: tuple[str, ...]
    draws: int
    share: float
    hidden: tuple[float, float]
    """Liked and disliked items that were hidden, the mean over all draws."""
    kept: float
    """Ratings that a profile was made from, the mean over all draws."""
    ranking: Mapping[str, Mapping[str, ProfileEstimate]]
    """By system: AUC, and AUC beyond the average person."""
    kinds: Mapping[str, Mapping[str, ProfileEstimate]]
    """By text: precision and recall of the kinds and times that it says are liked."""
    over_another: Mapping[str, ProfileEstimate]
    """What the profile has over another person's, paired; by measure."""
    vector_over_average: ProfileEstimate
    """What the vector of the kept ratings has over the average person, paired: all that a profile could tell."""
    verdict: str
    standing: str
    """Whether the reader may have been trained on these people."""
    flagged: int
    """Profiles that state something of a person that ratings do not tell."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; 0.5 is chance."""
        return {**asdict(self), "chance": CHANCE}


_FEW = 20
"""Below so many people, or draws of one, an interval by bootstrap is too narrow to build on."""


def profile_result(
    checked: Sequence[CheckedPerson], *, share: float, standing: str, seed: int = 0
) -> ProfileResult:
    """What the checks of one person, or of several, come to."""
    shown = [one for person in checked for one in person.draws]
    estimate: Callable[[str, str], ProfileEstimate] = (
        _of_people(checked, seed) if len(checked) > 1 else _of_one(checked[0], seed)
    )
    over = {measure: _difference(checked, PROFILE, ANOTHER, measure, seed) for measure in (AUC, OWN)}
    ranking = {
        name: {measure: estimate(name, measure) for measure in shown[0].orders[name]} for name in ORDERS
    }
    return ProfileResult(
        people=tuple(one.person for one in checked),
        draws=len(checked[0].draws),
        share=share,
        hidden=(
            float(np.mean([len(one.parts.liked) for one in shown])),
            float(np.mean([len(one.parts.disliked) for one in shown])),
        ),
        kept=float(np.mean([len(one.parts.shown) for one in shown])),
        ranking=ranking,
        kinds=_kinds(checked, seed),
        over_another=over,
        vector_over_average=_difference(checked, VECTOR, AVERAGE, AUC, seed),
        verdict=_verdict(over[AUC], ranking[PROFILE], len(checked)),
        standing=standing,
        flagged=sum(bool(one.flags) for one in shown),
    )


def _aucs(checked: Sequence[CheckedPerson], name: str, measure: str) -> np.ndarray:
    """[people] AUC of each, the mean over the draws."""
    return np.array([auc_over_draws([one.orders[name][measure] for one in each.draws]) for each in checked])


def _of_people(checked: Sequence[CheckedPerson], seed: int) -> Callable[[str, str], ProfileEstimate]:
    def estimate(name: str, measure: str) -> ProfileEstimate:
        found = ProfileEstimate.of(Series(_aucs(checked, name, measure)).estimate(seed=seed))
        assert found is not None
        return found

    return estimate


def _of_one(checked: CheckedPerson, seed: int) -> Callable[[str, str], ProfileEstimate]:
    def estimate(name: str, measure: str) -> ProfileEstimate:
        orders = [one.orders[name][measure] for one in checked.draws]
        found = ProfileEstimate.of(interval_of(auc_over_draws(orders), resampled(orders, seed=seed)))
        assert found is not None
        return found

    return estimate


def _difference(
    checked: Sequence[CheckedPerson], one: str, other: str, measure: str, seed: int
) -> ProfileEstimate:
    """The AUC by one system minus that by another, both by the same people or the same items."""
    first, second = (_aucs(checked, name, measure) for name in (one, other))
    if len(checked) > 1:
        found = difference(Series(first), Series(second), seed=seed)
    else:
        drawn = [
            resampled([shown.orders[name][measure] for shown in checked[0].draws], seed=seed)
            for name in (one, other)
        ]
        found = interval_of(float(first[0] - second[0]), drawn[0] - drawn[1])
    figure = ProfileEstimate.of(found)
    assert figure is not None
    return figure


def _kinds(checked: Sequence[CheckedPerson], seed: int) -> dict[str, dict[str, ProfileEstimate]]:
    """Micro averages; of one person without an interval, for the draws of one hold partly the same items."""
    found: dict[str, dict[str, ProfileEstimate]] = {}
    for name in TEXTS:
        named = [[one.named[name] for one in each.draws if name in one.named] for each in checked]
        for measure, of in ((PRECISION, "said"), (RECALL, "true")):
            figure = _share(named, of, seed)
            if figure is not None:
                found.setdefault(name, {})[measure] = figure
    return found


def _share(named: Sequence[Sequence[NamedKinds]], of: str, seed: int) -> ProfileEstimate | None:
    right = np.array([sum(one.right for one in each) for each in named], dtype=float)
    whole = np.array([sum(getattr(one, of) for one in each) for each in named], dtype=float)
    if not whole.any():
        return None
    if len(named) == 1:
        return ProfileEstimate(value=float(right[0] / whole[0]))
    return ProfileEstimate.of(Series(right / np.maximum(whole, 1), whole).estimate(seed=seed))


def _verdict(over: ProfileEstimate, own: Mapping[str, ProfileEstimate], num_people: int) -> str:
    """It must beat another person's profile and chance; whether it adds to the average person's taste is told."""
    who = "this person" if num_people == 1 else "these people"
    size = f"AUC {_signed(over)} over another person's profile"
    few = f" ({num_people} people are few: a first look)" if 1 < num_people < _FEW else ""
    if over.high is not None and over.high < 0:
        return f"WRONG: another person's profile says more of what {who} liked: {size}{few}."
    if not _lies_above(over, 0):
        return f"NOT SHOWN that the profile tells anything of {who} that was hidden from it: {size}{few}."
    if not _lies_above(own[AUC], CHANCE):
        reached = f"AUC {_cell(own[AUC])}"
        return (
            f"NOT SHOWN that the profile ranks what {who} liked better than chance, {reached}: {size}{few}."
        )
    is_more = OWN in own and _lies_above(own[OWN], CHANCE)
    average = "" if is_more else ", no more than what the average person likes"
    return f"The profile tells something of {who} that was hidden from it{average}: {size}{few}."


def _lies_above(figure: ProfileEstimate, bound: float) -> bool:
    return figure.low is not None and figure.low > bound


# --- lines ---

_TITLES = {
    AUC: "AUC",
    OWN: "beyond the average",
    PRECISION: "precision",
    RECALL: "recall",
}


def lines(found: ProfileResult) -> list[str]:
    """The two tables and the verdict, for a terminal."""
    over = "the hidden items" if len(found.people) == 1 else f"{len(found.people)} people"
    shown = [
        f"{found.share:.0%} of the ratings hidden, {found.draws} time{'s' * (found.draws > 1)}: "
        f"{found.kept:.0f} kept, {found.hidden[0]:.0f} liked and {found.hidden[1]:.0f} disliked hidden on average",
        f"intervals: 95%, over {over}",
        "",
        *_table("which of the hidden they liked", found.ranking, (AUC, OWN)),
        f"{'chance':<38} {CHANCE:.3f}",
    ]
    if found.kinds:
        shown += ["", *_table("kinds and times that they like", found.kinds, (PRECISION, RECALL))]
    could = f"What could be known: the vector has AUC {_signed(found.vector_over_average)} over the average person."
    return [*shown, "", found.verdict, could, f"({found.standing})"]


def _table(
    title: str, rows: Mapping[str, Mapping[str, ProfileEstimate]], measures: Sequence[str]
) -> list[str]:
    heads = "".join(f" {_TITLES[measure]:<22}" for measure in measures)
    return [f"{title:<38}{heads}".rstrip()] + [
        f"{name:<38}{''.join(f' {_cell(row.get(measure)):<22}' for measure in measures)}".rstrip()
        for name, row in rows.items()
    ]


def _signed(figure: ProfileEstimate) -> str:
    return f"{figure.value:+z.3f} [{figure.low:+z.3f}, {figure.high:+z.3f}]"


def _cell(figure: ProfileEstimate | None) -> str:
    if figure is None:
        return "–"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


MIN_PEOPLE = 2
"""One is held against the profile of the other."""
NEW = ""
"""Id of a person who is in no table: one whose ratings were typed."""


def named_person(expression: str, crowd: UserRatings) -> tuple[str, Mapping[str, float]]:
    """The id and the ratings of `user(42)`, who is in the ratings, or of `user({"Heat": 5, ...})`, who is NEW.

    Raises UserError for any other expression, unknown people, unknown items and ratings off the space's scale.
    """
    tree = parse(expression)
    if isinstance(tree, Person):
        ratings = dict(source_of(tree, crowd.entry.scope).ratings)
        # All of them: one that is hidden in every draw would never be looked at, and yet move the person's mean.
        fold_in_of(crowd.entry).vector(crowd.entry.space, ratings)
        return NEW, ratings
    if not isinstance(tree, User):
        raise UserError(
            f"{tree} is not one person; a profile is checked of one",
            "ask about 'user(42)', with an id of the ratings",
        )
    if tree.user_id not in crowd.people:
        ids = list(crowd.people)
        near = [ids[row] for row in nearest_rows(tree.user_id, ids)] or ids[:5]
        raise UserError(
            f"nobody in the ratings has the id {tree.user_id!r} and rated an item of {crowd.entry.space.name!r}",
            f"there are: {', '.join(near)}",
        )
    return tree.user_id, crowd.people[tree.user_id]


def people_to_check(crowd: UserRatings, count: int, share: float, seed: int) -> list[str]:
    """So many held-out people with enough ratings, or as many as there are, drawn by the seed.

    Raises UserError for fewer than two.
    """
    fit = [one for one in _fit(crowd, share) if is_held_out_person(one)]
    if len(fit) < MIN_PEOPLE:
        raise UserError(
            f"{len(fit)} people who are held out rated enough for {100 * share:g}% to be hidden; at least {MIN_PEOPLE} "
            "are needed",
            "give ratings of more people, or another `hide`",
        )
    return _drawn(fit, count, seed)


def others_than(crowd: UserRatings, person: str, count: int, share: float, seed: int) -> list[str]:
    """So many other people with enough ratings, drawn by the seed. Raises UserError where there is none."""
    fit = [one for one in _fit(crowd, share) if one != person]
    if not fit:
        raise UserError(
            f"nobody else rated enough for {100 * share:g}% to be hidden and to be held beside this person",
            "give ratings of more people, or another `hide`",
        )
    return _drawn(fit, count, seed)


def standing(bundle: Bundle, people: Sequence[str]) -> str:
    """Whether the reader may have been trained on profiles of these people, in a line."""
    if not bundle.manifest.knows_tasks:
        return "the reader was trained on nobody's profile"
    if list(people) == [NEW]:
        return "this person is in no table, so nothing was trained on them"
    if all(map(is_held_out_person, people)):
        who = "this person is" if len(people) == 1 else "these people are"
        return f"{who} held out: in no target that a teacher writes for training"
    return (
        "THE READER MAY HAVE BEEN TRAINED ON THIS PERSON'S PROFILE, HIDDEN RATINGS AND ALL: only a tenth of people are "
        "held out; `people=N` takes those"
    )


def _fit(crowd: UserRatings, share: float) -> list[str]:
    return sorted(person for person, rated in crowd.people.items() if can_hide(rated, share))


def _drawn(people: Sequence[str], count: int, seed: int) -> list[str]:
    return [people[row] for row in np.random.default_rng(seed).permutation(len(people))[:count].tolist()]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProfileCheck:
    """Profiles of one person or several, held against the ratings that were hidden from them."""

    people: tuple[CheckedPerson, ...]
    result: ProfileResult

    @property
    def flags(self) -> list[str]:
        """Attributes that profiles state of a person and that ratings do not tell, sorted."""
        return sorted({flag for one in self.people for drawn in one.draws for flag in drawn.flags})

    @property
    def num_profiles(self) -> int:
        """Over all people and draws."""
        return sum(len(one.draws) for one in self.people)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the result, and every text with what was hidden from it."""
        profiles = [
            {
                "person": one.person,
                "num_ratings": one.num_ratings,
                "text": drawn.text,
                "another": drawn.another,
                "flags": list(drawn.flags),
                "hidden_liked": list(drawn.parts.liked),
                "hidden_disliked": list(drawn.parts.disliked),
                "auc": {name: orders["auc"].auc for name, orders in drawn.orders.items()},
                "kinds": {name: asdict(named) for name, named in drawn.named.items()},
            }
            for one in self.people
            for drawn in one.draws
        ]
        return {**self.result.to_dict(), "profiles": profiles}


def check_profiles(checker: Checker, bundle: Bundle, *, at: str = "", people: int = 0) -> ProfileCheck:
    """Check the person of an expression, or up to `people` held-out people of the ratings.

    Raises UserError for what is not one person, and where too little can be hidden; no model is opened before.
    """
    crowd, config = checker.crowd, checker.settings
    share, seed = config.share, config.seed
    if people:
        checked = checker.check_many(people_to_check(crowd, people, share, seed))
    else:
        person, ratings = named_person(at, crowd)
        hide(ratings, share, [seed])  # of the person first, and before anything is made
        others = others_than(crowd, person, config.draws, share, seed)
        checked = [checker.check_one(person, ratings, others)]
    known = standing(bundle, [one.person for one in checked])
    return ProfileCheck(
        people=tuple(checked), result=profile_result(checked, share=share, standing=known, seed=seed)
    )


def read_user_ratings(entry: SpaceEntry, path: str | Path, **columns: str) -> UserRatings:
    """Ratings of the items of a space from a file. Raises UserError as `read_ratings` and `UserRatings.of` do."""
    fold_in_of(entry)  # told before a large file is read
    return UserRatings.of(entry, by_person(read_ratings(path, **columns)))


def person_task(task_set: TaskSet, name: str = "") -> Task:
    """The task of that name, or the first about a person. Raises UserError where it is about something else."""
    of_people = [task for task in task_set.tasks.values() if task.about == "person"]
    if not name and not of_people:
        raise UserError(f"no task of the set {task_set.name} is about a person", "give another with `tasks`")
    task = task_set.task(name) if name else of_people[0]
    if task.about != "person":
        known = ", ".join(one.name for one in of_people) or "none"
        raise UserError(
            f"the task {name} is not about a person", f"tasks of {task_set.name} that are: {known}"
        )
    return task
