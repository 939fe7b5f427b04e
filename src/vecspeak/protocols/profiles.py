"""Profiles: what the text written from a part of a person's ratings says of the part that was hidden from it.

Each draw of what is hidden is a case set of the one evaluator, with a person as entity. A person's vector is folded in
from the ratings that are left, into the space as it is without the hidden ones: the vector in the table has seen them.
What a text says of an item is the score that the person has for it who is predicted from the vector of the text, its
clauses on dislike left out, by a map fitted in that same space on texts of items that are not held out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.asking import Asker
from vecspeak.bundles import SpaceEntry
from vecspeak.console import progress_bar
from vecspeak.engines import Sampling
from vecspeak.errors import UserError
from vecspeak.evaluation.baselines import Baseline
from vecspeak.evaluation.baselines import register as register_baseline
from vecspeak.evaluation.behavior import Attributes, attributes_of
from vecspeak.evaluation.cases import CaseSet
from vecspeak.evaluation.evaluate import EvaluationConfig, Models, score, scoring_contexts
from vecspeak.evaluation.metrics import SCORERS, ScoringContext, SystemAnswers, register
from vecspeak.evaluation.report import POINT, READER, SHUFFLED, Measure
from vecspeak.evaluation.table import concat, series_of
from vecspeak.evaluation.task_cases import ranking_of_people
from vecspeak.evaluation.wording import NO_ANSWER, liked_part
from vecspeak.explore.tastes import TasteReader
from vecspeak.points import Point, evaluate
from vecspeak.points.expressions import ItemName, Person
from vecspeak.protocols.hiding import (
    HoldoutOrder,
    HoldoutSplit,
    hide,
    order_of,
)
from vecspeak.protocols.people import UserRatings
from vecspeak.spaces import Space
from vecspeak.stats import Series
from vecspeak.tasks.examples import ItemFacts, compose, known_items, person_facts, taste_of
from vecspeak.tasks.privacy import flagged
from vecspeak.tasks.task_set import Task, TaskSet

PROFILE, ANOTHER, RULE = "profile", "another person's profile", "text by rule from the kept ratings"
BY_TASTES, BY_EXEMPLARS = "tastes in closed form", "exemplars of the tastes"
READ, VECTOR, AVERAGE = "vector as the reader sees it", "vector of the kept ratings", "average person"
POPULAR, MEAN, ANY = "number of ratings", "mean rating", "any kind or time"
ORDERS = {
    READER: PROFILE,
    SHUFFLED: ANOTHER,
    "rule": RULE,
    "tastes": BY_TASTES,
    "exemplars": BY_EXEMPLARS,
    POINT: READ,
    "person": VECTOR,
    "average_person": AVERAGE,
    "popular": POPULAR,
    "mean_rating": MEAN,
}
"""What ranks the hidden items, in the order of the table: names in results by the keys of systems."""
TEXTS = {READER: PROFILE, SHUFFLED: ANOTHER, "rule": RULE, "any_kind": ANY}
"""What names kinds and times."""
AUC, OWN = "auc", "auc_own"
"""The order by all that is predicted, and by what sets the person apart from the average one."""
PRECISION, RECALL = "precision", "recall"
_FEWEST_TEXTS = 5

register_baseline(
    Baseline(
        key="rule",
        name=RULE,
        what="What a person's ratings say by rule, without a model.",
        texts=lambda cases: [] if cases.compared_with is None else cases.compared_with.by_rule,
    )
)
for _key, _what in {
    "tastes": "The terms that the vector predicts they like more and less than others: what words alone can tell.",
    "exemplars": "The few items that sum up what sets the person's vector apart: what naming items can tell.",
    "person": "The person's vector itself: all that a profile could tell.",
    "average_person": "The same order for everyone: what the average person likes.",
    "popular": "The same order for everyone: what more people rated.",
    "mean_rating": "The same order for everyone: what people rate higher.",
    "any_kind": "Every kind and time at once: what precision is worth without knowing anything.",
}.items():
    # These rank the hidden items, or name kinds, without a text.
    register_baseline(
        Baseline(
            key=_key,
            name=(ORDERS | TEXTS)[_key],
            what=_what,
            texts=lambda cases: [] if cases.compared_with is None else [""] * len(cases),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileConfig:
    """How people's ratings are hidden and their profiles written."""

    share: float = 0.3
    """Of a person's ratings that is hidden."""
    draws: int = 5
    """How often, each time other ones."""
    seed: int = 0
    sampling: Sampling


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _HiddenRatings:
    """What the scorers of one draw compare with; lists are of the people in order."""

    crowd: UserRatings
    space: Space
    """The items without what is hidden."""
    parts: Sequence[HoldoutSplit]
    by_rule: Sequence[str]
    by_tastes: Mapping[str, np.ndarray]
    """[P, N] what the terms and the exemplars of each person's tastes say of each item, by the key of the system."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckedDraws:
    """Profiles of people with a part of their ratings hidden, once or several times, and their scores."""

    people: tuple[str, ...]
    """Who is checked: the first entities of every draw."""
    num_ratings: tuple[int, ...]
    draws: tuple[ScoringContext, ...]
    table: pa.Table
    """The tidy table of all draws."""

    def parts(self, draw: int) -> Sequence[HoldoutSplit]:
        """What was hidden of each person in one draw."""
        hidden: _HiddenRatings = self.draws[draw].cases.compared_with
        return hidden.parts[: len(self.people)]

    def text(self, draw: int, person: int, system: str = READER) -> str:
        """What a system wrote of a person in one draw."""
        return self.draws[draw].texts[system][person].strip() or NO_ANSWER

    def series(self, system: str, metric: str) -> list[Series]:
        """A metric of the people checked, a series for each draw; empty where the system was not measured so."""
        count = len(self.people)
        found = (self._series.get((one.cases.name, system, metric)) for one in self.draws)
        return [
            Series(one.values[:count], None if one.weights is None else one.weights[:count])
            for one in found
            if one is not None
        ]

    @cached_property
    def _series(self) -> dict[tuple[str, str, str], Series]:
        return series_of(self.table)

    def profiles(self) -> list[dict[str, Any]]:
        """Plain values of every profile, with what it is compared with; those of one person follow each other."""
        places = [(i, j) for i in range(len(self.people)) for j in range(len(self.draws))]
        return [
            {
                "person": self.people[i],
                "num_ratings": self.num_ratings[i],
                "text": self.text(j, i),
                "another": self.text(j, i, SHUFFLED),
                "flags": list(flagged(self.text(j, i))),
                "hidden_liked": list(self.parts(j)[i].liked),
                "hidden_disliked": list(self.parts(j)[i].disliked),
                "auc": {name: float(self.series(key, AUC)[j].values[i]) for key, name in ORDERS.items()},
                "kinds": {
                    name: dict(zip(("right", "said", "true"), kinds, strict=True))
                    for key, name in TEXTS.items()
                    if (kinds := self._kinds(key, j, i))
                },
            }
            for i, j in places
        ]

    def _kinds(self, system: str, draw: int, person: int) -> tuple[int, int, int] | None:
        """How many kinds and times a text rightly says are liked, how many it says, and how many are."""
        found = [self.series(system, metric) for metric in (PRECISION, RECALL)]
        if not all(found):
            return None
        said, true = (int(one[draw].counted[person]) for one in found)
        right = round(found[1][draw].values[person] * true) if true else 0
        return right, said, true


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

    def check_one(self, person: str, ratings: Mapping[str, float], others: Sequence[str]) -> CheckedDraws:
        """One person in all draws, each with the profile of another of the `others`. Raises UserError as `hide`."""
        draws = [others[draw % len(others)] for draw in range(self.settings.draws)]
        rated = [{person: ratings, other: self.crowd.people[other]} for other in draws]
        return self._check({person: ratings}, rated)

    def check_many(self, people: Sequence[str]) -> CheckedDraws:
        """People of the crowd, two or more, each with the profile of the next."""
        rated = {person: self.crowd.people[person] for person in people}
        return self._check(rated, [rated] * self.settings.draws)

    def _check(
        self, people: Mapping[str, Mapping[str, float]], rated: Sequence[Mapping[str, Mapping[str, float]]]
    ) -> CheckedDraws:
        bar = progress_bar(rated, desc="hiding", unit="draw")  # a space is made for each draw
        cases = [self.cases(one, draw) for draw, one in enumerate(bar)]
        models = Models(
            engines={"reader": self.asker.engine}, encoder=self.asker.encoder, second=None, key="profiles"
        )
        config = EvaluationConfig(sampling=self.settings.sampling)
        draws = tuple(scoring_contexts(models.encoding_once, cases, config))
        return CheckedDraws(
            people=tuple(people),
            num_ratings=tuple(map(len, people.values())),
            draws=draws,
            table=concat(map(score, draws)),
        )

    def cases(self, people: Mapping[str, Mapping[str, float]], draw: int) -> CaseSet:
        """The case set of one draw: people in a space that has seen none of what is hidden of them."""
        share, seed = self.settings.share, self.settings.seed
        parts = [hide(rated, share, [seed, draw, *person.encode()]) for person, rated in people.items()]
        hidden = {person: one.hidden for person, one in zip(people, parts, strict=True)}
        entry = self.crowd.without(hidden)
        if any(not (_there(entry.space, one.liked) and _there(entry.space, one.disliked)) for one in parts):
            raise UserError(
                "nobody else rated the hidden items of someone, so nothing can be said of them",
                "hide less with `hide`, or give ratings of more people",
            )
        rows = [row for row, item in enumerate(entry.space.ids) if item in self.texts]
        points = []
        for one in parts:
            stars = tuple((ItemName(name=item, by_id=True), value) for item, value in one.shown.items())
            points.append(evaluate(Person(ratings=stars), entry.scope))
        inputs = np.stack([self._read(point) for point in points])
        by_rule = [self._by_rule(one.shown) for one in parts]
        return CaseSet(
            name=f"{entry.space.name} / {self.task.name}, draw {draw + 1}",
            question=self.task.question,
            split="hidden ratings",
            trained_on=False,
            ids=list(people),
            labels=list(people),
            inputs=inputs[:, None],
            mean_input=inputs.mean(0),
            own=np.stack([point.vector for point in points])[:, None],
            truths=[(text,) for text in by_rule],
            contexts=[(text,) for text in by_rule],
            neighbors=[((),)] * len(people),
            nearest_by="",
            baselines=tuple(ORDERS | TEXTS),
            scorers=("hidden_order", "liked_kinds"),
            # Another's profile is that of the next person: of two, each has the other's.
            shuffle=[*range(1, len(people)), 0],
            of_people=True,
            ranking=ranking_of_people(
                entry, np.stack([self.texts[entry.space.ids[row]] for row in rows]), rows
            ),
            attributes=self.names and replace(self.names, truth=tuple(map(self._liked_kinds, parts))),
            compared_with=_HiddenRatings(
                crowd=self.crowd,
                space=entry.space,
                parts=parts,
                by_rule=by_rule,
                by_tastes=_by_tastes(entry, np.stack([point.vector for point in points])),
            ),  # fmt: skip
        )

    def _read(self, point: Point) -> np.ndarray:
        """[T] the person as the reader sees them. Raises UserError for a question that must not be asked of people."""
        self.asker.prepare_points(self.task.question, {"x": point})
        return self.asker.read(point)

    def _by_rule(self, ratings: Mapping[str, float]) -> str:
        counts = dict(zip(ratings, self.crowd.popularity(list(ratings)).astype(int).tolist(), strict=True))
        return compose(self.task, person_facts(taste_of(ratings, self.known, counts))) or NO_ANSWER

    def _liked_kinds(self, parts: HoldoutSplit) -> frozenset[str]:
        """Names of the kinds and times that the person rates over their own average among what is hidden."""
        assert self.names is not None
        taste = taste_of(parts.hidden, self.known, {})
        over = [*taste.kinds_over, *(time for era in taste.eras_over for time in _time(era))]
        return frozenset().union(*(self.names.named(name) for name in over))


def _there(space: Space, items: Sequence[str]) -> list[str]:
    """Those of the items that the space has: what nobody else rated is not in it."""
    return [item for item in items if space.has(item)]


def _time(era: str) -> Iterator[str]:
    """A decade as it stands among names: `the 1990s` is 1990s; nothing where it is not known."""
    if era:
        yield era.removeprefix("the ")


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


# --- scorers ---


def hidden_orders(answers: SystemAnswers, cases: CaseSet) -> dict[str, list[HoldoutOrder]]:
    """By measure one order of the hidden items for each person."""
    hidden: _HiddenRatings = cases.compared_with
    assert cases.ranking is not None and cases.ranking.average is not None
    average, system, crowd = cases.ranking.average, answers.system, hidden.crowd
    people = None
    if system not in ("average_person", "popular", "mean_rating", *hidden.by_tastes):
        people = _people(answers, cases)
    found: dict[str, list[HoldoutOrder]] = {}
    for place, (person, parts) in enumerate(zip(cases.ids, hidden.parts, strict=True)):
        liked, disliked = _there(hidden.space, parts.liked), _there(hidden.space, parts.disliked)
        items = [*liked, *disliked]
        rows = [hidden.space.index_of(item) for item in items]
        vectors = hidden.space.vectors[rows].astype(np.float64)
        if people is not None:
            scores = {AUC: vectors @ people[place], OWN: vectors @ (people[place] - average)}
        elif system in hidden.by_tastes:
            scores = dict.fromkeys((AUC, OWN), hidden.by_tastes[system][place, rows])
        elif system == "average_person":
            scores = {AUC: vectors @ average}
        else:
            rank = crowd.popularity if system == "popular" else crowd.mean_ratings
            scores = {AUC: rank(items, person)}
        for measure, values in scores.items():
            found.setdefault(measure, []).append(order_of(liked, disliked, values))
    return found


def _by_tastes(entry: SpaceEntry, vectors: np.ndarray) -> dict[str, np.ndarray]:
    reader = TasteReader(entry)
    return {"tastes": reader.scores_by_terms(vectors), "exemplars": reader.scores_by_exemplars(vectors)}


def _people(answers: SystemAnswers, cases: CaseSet) -> np.ndarray:
    """[N, D] the people whom texts speak of, or vectors stand for, in the space of the draw."""
    assert cases.ranking is not None and cases.own is not None
    if answers.system == "person":
        return cases.own[:, 0].astype(np.float64)
    if answers.system == POINT:
        return cases.ranking.predictor.predict(answers.vectors)
    texts = [text.strip() or NO_ANSWER for text in answers.texts]
    # An encoder puts "likes less of it" next to "likes it".
    vectors = answers.context.encoder.encode([liked_part(text).strip() or text for text in texts])
    return cases.ranking.predictor.predict(vectors)


_ORDERED = (
    Measure(
        key=AUC,
        name="AUC",
        what="Share of the pairs of a liked and a disliked hidden item that stand in the right order; 0.5 is chance.",
        better="higher",
    ),
    Measure(
        key=OWN,
        name="beyond the average",
        what="The same after what the average person likes is taken out: what sets this person apart.",
        better="higher",
    ),
)


@register("hidden_order", lambda context: _ORDERED)
def _hidden_order(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    """Share of the pairs of a liked and a disliked hidden item that stand as they should."""
    if answers.system not in ORDERS:
        return {}
    orders = hidden_orders(answers, cases)
    return {key: Series(np.array([order.auc for order in some])) for key, some in orders.items()}


@register("liked_kinds", lambda context: SCORERS["attributes"].measures(context))
def _liked(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    """Precision and recall of the kinds and times that a text says are liked, weighted so that means are micro."""
    if answers.system not in TEXTS or cases.attributes is None:
        return {}
    if answers.system != "any_kind":
        return dict(SCORERS["attributes"].score(answers, cases))
    said, true = len(cases.attributes.names), np.array([float(len(one)) for one in cases.attributes.truth])
    return {
        PRECISION: Series(true / said, np.full(len(true), float(said))),
        RECALL: Series(np.minimum(true, 1.0), true),
    }
