"""Crowd: all who rated, and the space as it would be without what is hidden.

A factorization has seen what is hidden afterwards: the vector of a hidden item leans towards those who liked it, and so
do, at second hand, the vectors of what they kept and of people like them. Folding in what they kept does not mend that.
So the factorization is made anew without the hidden ratings before anyone is folded in. Knows ratings and vectors; no
texts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.embedders.behavioral import Ratings, refactorize
from vecspeak.errors import UserError
from vecspeak.points.folding import FoldIn
from vecspeak.profiles.hiding import mean_of

_SHRINK = 5.0
"""Ratings at the mean of all that are added to an item's, so that two fives are no masterpiece."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Crowd:
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
    def of(cls, entry: SpaceEntry, ratings: Mapping[str, Mapping[str, float]]) -> "Crowd":
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
                "name the column that holds the space's ids with --item",
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
        kept = [
            (person, item, value)
            for person, rated in self.people.items()
            for item, value in rated.items()
            if item not in hidden.get(person, ())
        ]
        people, items, values = (np.array(column, dtype=object) for column in zip(*kept, strict=True))
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
            "make the space with vecspeak space factorize, then vecspeak fit",
        )
    return entry.fold_in
