"""People by their ratings: the space without what is hidden of them, and whose profiles are checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.encoders.factorization import Ratings, read_ratings, refactorize
from vecspeak.errors import UserError, nearest_rows
from vecspeak.evaluation.task_cases import by_person
from vecspeak.points import parse
from vecspeak.points.expressions import Person, User
from vecspeak.points.foldin import FoldIn
from vecspeak.points.resolve import source_of
from vecspeak.protocols.hiding import can_hide, mean_of
from vecspeak.tasks.examples import is_held_out_person

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
            "make the space with `vecspeak.encoders.factorization.factorize(...)`, then `VecSpeak.fit(...)`",
        )
    return entry.fold_in


def read_user_ratings(entry: SpaceEntry, path: str | Path, **columns: Any) -> UserRatings:
    """Ratings of the items of a space from a file. Raises UserError as `read_ratings` and `UserRatings.of` do."""
    fold_in_of(entry)  # told before a large file is read
    return UserRatings.of(entry, by_person(read_ratings(path, **columns)))


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
