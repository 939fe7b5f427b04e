"""Tastes: what a person's vector predicts that they like more, and less, than other people do, in closed form.

A person's predicted liking of an item is the dot product of their vectors. For a term (a value of a column, a decade,
a word of the texts, a concept) it is the mean over the items that have it, less the mean over all items; persons are
brought to length 1 first, for who rated more has a longer vector. A term's number is the percent of the people of the
space of whom less is predicted. No language model takes part, and no other person's ratings are shown.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from markupsafe import Markup

from vecspeak.bundles import SpaceEntry
from vecspeak.bundles.lexicons import texts_of, values_of
from vecspeak.display import bar, element, table, to_frame
from vecspeak.errors import UserError, check_whole
from vecspeak.evidence import term_name
from vecspeak.foreign import shown
from vecspeak.model.alignment import unit
from vecspeak.points import Point
from vecspeak.stats import Finite
from vecspeak.tables.cells import to_python, value_of
from vecspeak.tasks.examples import decade
from vecspeak.tasks.privacy import names_attribute

_FEWEST, _FEWEST_PEOPLE, _MOST_PEOPLE, _MOST_WORDS = 10, 20, 5000, 2000
"""Items that must have a term; fewest and most people who are compared with; words of the texts, the commonest."""
_CLEAR = 75.0
"""Percent of the people from which on a taste is told, and 100 less it for a dislike."""
_ALIKE = 0.7
"""Overlap of two terms' items (intersection over union) from which on the weaker one is left out."""
_BEHIND = 3
"""Items that are named for a term."""
_EXEMPLARS, _RIDGE = 8, 0.1
"""Exemplars on each side; what is added to each one's weight, so that two that are nearly alike share theirs."""
_YEARS = (1000, 2200)
_ROUNDING = 1e-4
"""In standard deviations of the people."""
CONCEPT, DECADE = "concept", "decade"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """A term that a person is predicted to like more, or less, than others do.

    >>> str(Taste(term="war", column="genres", percentile=93.0, num_items=71, items=("Platoon",)))
    'war (genres): more than 93% of the people (Platoon)'
    """

    term: str
    column: str
    """Column of a value; `concept` or `decade` for these; empty for a word of the texts."""
    percentile: Finite
    """Percent of the people of whom less of it is predicted."""
    num_items: int
    """Items that have it; 0 for a concept."""
    items: tuple[str, ...] = ()
    """Labels of those of them that are predicted to be liked most, or least."""

    def __str__(self) -> str:
        behind = f" ({'; '.join(self.items)})" if self.items else ""
        more = (
            f"more than {self.percentile:.0f}%"
            if self.percentile >= 50
            else f"less than {100 - self.percentile:.0f}%"
        )
        return f"{term_name(self.term, self.column)}: {more} of the people{behind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonTastes:
    """What a person is predicted to like more and less than others, the clearest first."""

    expression: str
    space: str
    more: tuple[Taste, ...]
    less: tuple[Taste, ...]
    like: tuple[str, ...]
    """Labels of the exemplars that are added: more than others they like what these have."""
    unlike: tuple[str, ...]
    """Labels of the exemplars that are taken away."""
    num_people: int
    """People who were compared with."""
    left_out: int
    """Terms, and items among the exemplars, that name what may not be said of a person."""

    def __str__(self) -> str:
        lines = [f"{self.expression} in {self.space}, beside {self.num_people:,} people"]
        for name, found in (("likes more", self.more), ("likes less", self.less)):
            lines += (
                [f"  {name}", *(f"    {one}" for one in found)]
                if found
                else [f"  {name}: nothing that is clear"]
            )
        for name, labels in (("more of what is in", self.like), ("less of what is in", self.unlike)):
            lines.append(f"  {name}: {'; '.join(labels) or 'no items'}")
        if self.left_out:
            what = "1 term or item is" if self.left_out == 1 else f"{self.left_out} terms or items are"
            lines.append(f"  {what} left out, for they name what may not be said of a person")
        return "\n".join(map(shown, lines))

    def _repr_html_(self) -> Markup:
        rows = (
            [one.term, one.column, bar(one.percentile / 100, f"{one.percentile:.0f}%"), "; ".join(one.items)]
            for one in (*self.more, *self.less)
        )
        head = element("p", element("code", self.expression), f" beside {self.num_people:,} people")
        named = (("More of what is in: ", self.like), ("Less of what is in: ", self.unlike))
        items = [element("p", element("small", name + "; ".join(labels))) for name, labels in named if labels]
        return element("div", head, table(["term", "column", "more than", "items"], rows), *items)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def to_pandas(self) -> Any:
        """A frame with a row for each term. Raises UserError where pandas is not installed."""
        return to_frame([asdict(one) for one in (*self.more, *self.less)])


class TasteReader:
    """Reads tastes in one space of items and people; what does not depend on the person is worked out once."""

    def __init__(self, entry: SpaceEntry) -> None:
        """Raises UserError for a space without people, and for one of whose items nothing is known."""
        if entry.users is None:
            raise UserError(
                f"the space {entry.space.name!r} has no people",
                "fit it with `users`, or take a space of ratings",
            )
        if len(entry.users) < _FEWEST_PEOPLE:
            raise UserError(
                f"the space {entry.space.name!r} has {len(entry.users)} people, too few to compare one with",
                f"take a space of {_FEWEST_PEOPLE} people or more",
            )
        self.entry = entry
        self.terms, self._has = _terms_of(entry)
        items = entry.space.vectors.astype(np.float64)
        counts = np.asarray(self._has.sum(0)).ravel()
        means = np.asarray(self._has.T @ items) / counts[:, None] - items.mean(0)
        concepts = [(name, one) for name, one in entry.concepts.items() if one.is_trusted]
        directions = [one.direction.astype(np.float64)[None] for _, one in concepts]
        self.directions = np.concatenate([means, *directions])
        """[K, D] the dot product with which is what is predicted of a term."""
        self.terms += [(CONCEPT, name) for name, _ in concepts]
        self.counts = [*counts.astype(int).tolist(), *[0] * len(concepts)]
        if not self.terms:
            raise UserError(
                f"nothing is known of the items of {entry.space.name!r}",
                "fit the space with texts or columns",
            )
        rows = np.random.default_rng(0).permutation(len(entry.users))[:_MOST_PEOPLE]
        self._people = np.sort(self.predicted(entry.users.vectors[rows]), axis=0)
        self._items = items - items.mean(0)
        self._average = unit(entry.users.vectors[rows].astype(np.float64)).mean(0)

    def predicted(self, vectors: np.ndarray) -> np.ndarray:
        """[P, K] what is predicted of each term for each of [P, D] persons, all at length 1."""
        return np.asarray(unit(vectors.astype(np.float64)) @ self.directions.T)

    def percentiles(self, vectors: np.ndarray) -> np.ndarray:
        """[P, K] percent of the people of whom less of each term is predicted than of each of [P, D] persons."""
        # Half of those count of whom as much is predicted, whatever the rounding: who is like all is in the middle.
        predicted, room = self.predicted(vectors), _ROUNDING * self._people.std(0) + 1e-12
        below = np.zeros(predicted.shape)
        for column in range(len(self.terms)):
            known, own = self._people[:, column], predicted[:, column]
            below[:, column] = np.searchsorted(known, own - room[column], side="left")
            below[:, column] += np.searchsorted(known, own + room[column], side="right")
        return 50 * below / len(self._people)

    def read(self, point: Point, limit: int = 10) -> PersonTastes:
        """What a person is predicted to like more and less. Raises UserError for a point that is no person."""
        check_whole("limit", limit, 1, 1000)
        if point.kind != "user":
            raise UserError(
                f"{point.expression} is no person", "give user(ID), or user({...}) with their ratings"
            )
        (percentiles,) = self.percentiles(point.vector[None])
        liked = self.entry.space.vectors @ point.vector
        found = [
            tuple(self._taste(column, float(percentiles[column]), sign * liked) for column in columns)
            for sign, columns in zip((1, -1), self._clear(point.vector, limit), strict=True)
        ]
        shown, unsaid = self._exemplars_to_say(point.vector)
        like, unlike = (
            tuple(self.entry.space.labels[row] for row, one in shown if one == sign) for sign in (1, -1)
        )
        return PersonTastes(
            expression=point.expression, space=self.entry.space.name, more=found[0], less=found[1], like=like,
            unlike=unlike, num_people=len(self._people), left_out=self._may_say.count(False) + unsaid,
        )  # fmt: skip

    def exemplars(self, vector: np.ndarray, count: int = _EXEMPLARS) -> list[tuple[int, int]]:
        """Rows of items and whether each is added (1) or taken away (-1), the most telling first.

        At most `count` of either; the sum of these items is what is known of the person's [D] vector by them.
        """
        wanted = unit(vector.astype(np.float64)) - self._average
        rest, found, left = wanted, list[tuple[int, int]](), {1: count, -1: count}
        while any(left.values()):
            along = self._items @ rest
            along[[row for row, _ in found]] = 0
            along = np.where(along > 0, along * (left[1] > 0), along * (left[-1] > 0))
            row = int(np.abs(along).argmax())
            if not abs(along[row]) > _ROUNDING * float(np.linalg.norm(self._items[row])):
                break
            found.append((row, 1 if along[row] > 0 else -1))
            left[found[-1][1]] -= 1
            parts = np.array([sign * self._items[row] for row, sign in found])
            weights = np.linalg.solve(parts @ parts.T + _RIDGE * np.eye(len(parts)), parts @ wanted)
            rest = wanted - weights.clip(0) @ parts
        return found

    def _exemplars_to_say(self, vector: np.ndarray) -> tuple[list[tuple[int, int]], int]:
        """The exemplars whose labels may be said of a person, and how many may not."""
        found = self.exemplars(vector)
        may = [one for one in found if not names_attribute(self.entry.space.labels[one[0]], "")]
        return may, len(found) - len(may)

    def scores_by_terms(self, vectors: np.ndarray, limit: int = 10) -> np.ndarray:
        """[P, N] what the terms of [P, D] persons say of every item: the sum of the effects of those that it has."""
        found = np.zeros((len(vectors), len(self.entry.space)))
        for row, vector in enumerate(vectors):
            columns = [
                column for some in self._clear(vector, limit) for column in some if self.counts[column]
            ]
            found[row] = self._has[:, columns] @ self._effects(vector)[columns]
        return found

    def scores_by_exemplars(self, vectors: np.ndarray) -> np.ndarray:
        """[P, N] what the exemplars of [P, D] persons say of every item: its dot product with their sum."""
        sums = [
            sum(
                (sign * self._items[row] for row, sign in self._exemplars_to_say(vector)[0]),
                np.zeros(len(vector)),
            )
            for vector in vectors
        ]
        return np.asarray(np.array(sums) @ self._items.T)

    @cached_property
    def _may_say(self) -> list[bool]:
        return [not names_attribute(term, column) for column, term in self.terms]

    def _effects(self, vector: np.ndarray) -> np.ndarray:
        """[K] how much more of each term is predicted than for the middle person."""
        effects: np.ndarray = self.predicted(vector[None])[0] - np.median(self._people, axis=0)
        return effects

    def _clear(self, vector: np.ndarray, limit: int) -> list[list[int]]:
        """The terms that are clearly liked more, and those that are liked less.

        How much liking changes orders them: a decade of few items differs a little, for anyone.
        """
        (percentiles,), effects = self.percentiles(vector[None]), self._effects(vector)
        found = []
        for sign in (1, -1):
            # rounded, so that terms of the same items stay in their order whatever a processor's last digits are
            order = np.argsort(-sign * np.round(effects, 9), kind="stable").tolist()
            clear = [
                one for one in order if self._may_say[one] and sign * (percentiles[one] - 50) >= _CLEAR - 50
            ]
            found.append(self._different(clear, limit))
        return found

    def _different(self, columns: Sequence[int], limit: int) -> list[int]:
        """The first of the columns that are not about the same items as one before them, or called the same."""
        found = list[int]()
        for column in columns:
            if not any(self._is_same(column, other) for other in found):
                found.append(column)
            if len(found) == limit:
                break
        return found

    def _is_same(self, one: int, other: int) -> bool:
        if self.terms[one][1].casefold() == self.terms[other][1].casefold():
            return True
        if not (self.counts[one] and self.counts[other]):
            return False
        both = float(self._has[:, one].multiply(self._has[:, other]).sum())
        return both >= _ALIKE * (self.counts[one] + self.counts[other] - both)

    def _taste(self, column: int, percentile: float, liked: np.ndarray) -> Taste:
        name, term = self.terms[column]
        labels: list[str] = []
        if self.counts[column]:
            rows = self._has[:, column].nonzero()[0]
            best = rows[np.argsort(-liked[rows], kind="stable")[:_BEHIND]]
            labels = [self.entry.space.labels[row] for row in best.tolist()]
        return Taste(
            term=term, column=name, percentile=percentile, num_items=self.counts[column], items=tuple(labels)
        )


def _terms_of(entry: SpaceEntry) -> tuple[list[tuple[str, str]], Any]:
    """Column and name of each term that 10 items have and not all, and [N, K] sparse: which item has which."""
    from scipy.sparse import csc_matrix, hstack

    space = entry.space
    names, values = values_of(space, np.arange(len(space)))
    tables: list[Any] = [csc_matrix(values)]
    for column in space.metadata.column_names:
        decades = (
            [decade(value) for value in to_python(space.metadata.column(column), column)]
            if _is_year(entry, column)
            else []
        )
        for one in sorted(set(filter(None, decades))):
            names.append((DECADE, one))
            tables.append(csc_matrix(np.array([[own == one] for own in decades], np.float32)))
    reader = entry.term_reader
    vocabulary = reader.lexicon.vocabulary if reader.lexicon else None
    texts = texts_of(space)
    if vocabulary is not None and len(vocabulary) and texts:
        tables.append(csc_matrix(vocabulary.matrix(texts))[:, :_MOST_WORDS])
        names += [("", term) for term in vocabulary.terms[:_MOST_WORDS]]
    both = csc_matrix(hstack(tables))
    counts = np.asarray((both > 0).sum(0)).ravel()
    common = np.flatnonzero((counts >= _FEWEST) & (counts < len(space)))
    has = both[:, common]
    has.data[:] = 1
    return [names[column] for column in common.tolist()], has


def _is_year(entry: SpaceEntry, column: str) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    values = entry.space.metadata.column(column)
    if "year" not in column.casefold() or not pa.types.is_integer(values.type):
        return False
    low, high = value_of(pc.min(values)), value_of(pc.max(values))
    return low is not None and _YEARS[0] <= low and high <= _YEARS[1]
