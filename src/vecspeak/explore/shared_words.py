"""Shared words of two points: which of them carry their score, and what the words of other pairs carry of it.

What depends on the space and the seed alone, the items that directions are worked out on and the words that random
pairs share, is worked out once and stays with the space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.bundles.lexicons import as_items
from vecspeak.lexicon.joint import TermReader
from vecspeak.lexicon.terms import distinct
from vecspeak.points import Point
from vecspeak.points.queries import is_listed
from vecspeak.spaces import Space
from vecspeak.spaces.search import unit_rows
from vecspeak.stats import Estimate

_OTHERS = 50
"""Random pairs whose shared words are the control."""
_ITEMS = 4000
"""Items that the words' directions are worked out on."""
_CANDIDATES = 40
"""Terms that both are read to have, of which those are selected that carry most."""
_LIFT = 1.5
"""Times the base rate from which on a term counts as read from a vector."""
_NEW = 0.3
"""Length that must be left of a word's direction when those before it are taken off: less says the same again."""
_LEAST = 0.02
"""Share of the score that a word must carry to be told."""
_SURE = 0.1
"""Geometric mean of the two probabilities from which on a word is told: what is hardly in either explains nothing."""
_CONCEPT = "concept"


class ScoredPair:
    """Two points as their score sees them: [D] vectors, their deviations from the items' mean, all items' scores."""

    def __init__(self, entry: SpaceEntry, first: Point, second: Point) -> None:
        self.space, self.names = entry.space, (_name(entry.space, first), _name(entry.space, second))
        self.is_person = first.kind == "user"
        self.first = unit_rows(first.vector.astype(np.float64)[None])[0]
        self.second = self.prepared(second.vector[None])[0]
        self.scores = self.of_items(self.first)
        self.excluded = np.zeros(self.space.num_items, bool)
        for item in {*first.parents, *([first.item_id] if first.item_id else [])}:
            self.excluded[self.space.index_of(item)] = True
        self.own_row = self.space.index_of(second.item_id) if second.item_id else -1

    def prepared(self, vectors: np.ndarray) -> np.ndarray:
        """[N, D] float64 items as the score sees them."""
        return vectors.astype(np.float64) if self.is_person else unit_rows(vectors.astype(np.float64))

    def of_items(self, query: np.ndarray) -> np.ndarray:
        """[N] scores of all items."""
        found = self.space.vectors @ query.astype(np.float32)
        return np.asarray(found if self.is_person else found / self.space.lengths, np.float64)

    def rank(self, scores: np.ndarray, own: float) -> int:
        """Place of a score among those of all items that count: 1 and those above it."""
        counted = ~self.excluded
        if self.own_row >= 0:
            counted[self.own_row] = False
            own = float(scores[self.own_row])
        return 1 + int((scores[counted] > own).sum())

    def runner_up(self) -> int | None:
        """Row of the nearest item that counts and is not the second."""
        counted = np.where(self.excluded, -np.inf, self.scores)
        if self.own_row >= 0:
            counted[self.own_row] = -np.inf
        best = int(counted.argmax())
        return best if np.isfinite(counted[best]) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WordCandidate:
    """A term that two points are read to have."""

    term: str
    column: str
    """Column of a value; `concept` for a concept; empty for a word of the texts."""
    of_first: float
    of_second: float
    direction: np.ndarray
    """[D] along which items differ that are likelier to have it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelectedWord:
    """A candidate that carries a part of the score."""

    word: WordCandidate
    along: np.ndarray
    """[D] of length 1: what it adds to those before it."""
    share: float


class _SpaceWords:
    """What of a space is the same for every pair of points: its items, and what random pairs of them share."""

    def __init__(self, entry: SpaceEntry, pair: ScoredPair, seed: int) -> None:
        self.entry, self.reader, space = entry, entry.term_reader, entry.space
        self._draw = np.random.default_rng(seed)
        rows = np.sort(self._draw.permutation(space.num_items)[:_ITEMS])
        self.items = space.vectors[rows]
        self.deviations = pair.prepared(self.items)
        """[R, D] of the items, as the score sees them."""
        self.mean = self.deviations.mean(0)
        """[D]"""
        self.deviations -= self.mean
        table = space.metadata
        self.exclusive = {name for name in table.column_names if not is_listed(table.schema.field(name).type)}
        """Columns of which an item has one value."""
        self._others: list[list[WordCandidate]] | None = None

    @property
    def others(self) -> list[list[WordCandidate]]:
        """The terms of 50 random pairs."""
        if self._others is None:
            self._others = self._of_random_pairs()
        return self._others

    def _of_random_pairs(self) -> list[list[WordCandidate]]:
        space, draw = self.entry.space, self._draw
        rows = np.sort(draw.permutation(space.num_items)[: 2 * min(_OTHERS, space.num_items // 2)])
        said = np.concatenate([
            self.said(space.vectors[rows[start : start + 64]], "item") for start in range(0, len(rows), 64)
        ])  # fmt: skip
        pairs = [(said[one], said[other]) for one, other in draw.permutation(len(rows)).reshape(-1, 2)]
        of_pairs = [_read_from_both(self.reader, *pair) for pair in pairs]
        columns = sorted({column for found in of_pairs for column in found})
        directions = dict(zip(columns, self._directions(columns), strict=True))
        return [
            self._candidates(found, *pair, [directions[column] for column in found])
            for found, pair in zip(of_pairs, pairs, strict=True)
        ]

    def said(self, vectors: np.ndarray, kind: str) -> np.ndarray:
        """[N, U] probabilities of all terms."""
        of: Any = "user" if kind == "user" else "item"
        return self.reader.said(
            as_items(self.entry.alignment, vectors, of), self.entry.alignment(vectors, of)
        )

    def of_columns(self, columns: Sequence[int], one: np.ndarray, other: np.ndarray) -> list[WordCandidate]:
        """Candidates of some terms, by the two points' probabilities [U]."""
        return self._candidates(columns, one, other, self._directions(columns))

    def _candidates(
        self, columns: Sequence[int], one: np.ndarray, other: np.ndarray, directions: Any
    ) -> list[WordCandidate]:
        return [
            WordCandidate(
                term=self.reader.terms[column],
                column=self.reader.columns[column],
                of_first=float(one[column]),
                of_second=float(other[column]),
                direction=direction,
            )
            for column, direction in zip(columns, directions, strict=True)
        ]

    def _directions(self, columns: Sequence[int]) -> np.ndarray:
        """[C, D]: the covariance of the items with how much of each term is read from them."""
        if not columns:
            return np.zeros((0, len(self.mean)))
        mapped = self.entry.alignment(self.items)
        evidence = self.reader.evidence(self.items, mapped, np.array(columns)).astype(np.float64)
        return np.asarray((evidence - evidence.mean(0)).T @ self.deviations)


class SharedWords:
    """What words two points share, and the direction in the space of each."""

    def __init__(self, entry: SpaceEntry, pair: ScoredPair, seed: int) -> None:
        self.entry, self.pair = entry, pair
        key = ("shared words", pair.is_person, seed)
        self._of_space = entry.once(key, lambda: _SpaceWords(entry, pair, seed))
        self.mean = self._of_space.mean
        """[D] of the items, as the score sees them."""
        # a person deviates from nothing: what they give to any item is common to all
        self.first = pair.first if pair.is_person else pair.first - self.mean
        self.second = pair.second - self.mean

    def candidates(self, first: Point, second: Point) -> list[WordCandidate]:
        """Terms that are read from both, and concepts that both lie on the same side of."""
        of_space = self._of_space
        said = np.concatenate([of_space.said(point.vector[None], point.kind) for point in (first, second)])
        columns = _read_from_both(of_space.reader, said[0], said[1])
        found = of_space.of_columns(columns, said[0], said[1])
        amounts = [self._amounts(one) for one in (first.vector, second.vector)]
        for name, concept in self.entry.concepts.items():
            one, other = (amount[name] for amount in amounts)
            if one * other > 0 and min(abs(one), abs(other)) > 0.5:
                direction = np.sign(one) * concept.direction.astype(np.float64)
                found.append(
                    WordCandidate(
                        term=name, column=_CONCEPT, of_first=one, of_second=other, direction=direction
                    )
                )
        return found

    def _amounts(self, vector: np.ndarray) -> dict[str, float]:
        """Standard deviations of a vector from the items' mean along each concept."""
        center = self._of_space.items.mean(0)
        return {
            name: float((vector - center) @ one.direction) / one.scale
            for name, one in self.entry.concepts.items()
        }

    def carrying(self, candidates: Sequence[WordCandidate], limit: int) -> list[SelectedWord]:
        """Of the candidates those that carry most of the deviations' product, each beside those before it.

        Of values that exclude each other, as those of a column do that has one for each item, one is selected.
        """
        one, other = self.first, self.second
        least = _LEAST * abs(float(self.pair.first @ self.pair.second))
        left = np.array([candidate.direction for candidate in candidates]).reshape(len(candidates), len(one))
        owners = np.array([candidate.column for candidate in candidates], dtype=object)
        lengths = np.linalg.norm(left, axis=1)
        left = left / np.maximum(lengths, 1e-12)[:, None]
        selected: list[SelectedWord] = []
        open_to = lengths > 0
        while open_to.any() and len(selected) < limit:
            norms = np.linalg.norm(left, axis=1)
            open_to &= norms > _NEW
            along = left / np.maximum(norms, 1e-12)[:, None]
            of_one, of_other = along @ one, along @ other
            # a direction that only one of the two leans to carries nothing that they share
            gains = np.where(open_to & (of_one > 0) & (of_other > 0), of_one * of_other, -np.inf)
            best = int(gains.argmax())
            if gains[best] < least:
                break
            selected.append(SelectedWord(word=candidates[best], along=along[best], share=float(gains[best])))
            open_to[best] = False
            if owners[best] in self._of_space.exclusive:
                open_to &= owners != owners[best]
            left = left - np.outer(left @ along[best], along[best])
        return selected

    def by_other_words(self, limit: int) -> Estimate | None:
        """Percent of this pair's score above what is common that the words of random pairs carry: a control."""
        if self.entry.space.num_items < 2:
            return None
        above = float(self.first @ self.second)
        shares = [
            100 * sum(one.share for one in self.carrying(found, limit)) / above if above > 0 else 0.0
            for found in self._of_space.others
        ]
        low, high = np.percentile(shares, [2.5, 97.5])
        return Estimate(float(np.mean(shares)), float(low), float(high))


def _name(space: Space, point: Point) -> str:
    """An item by its label, everything else as it is written."""
    return space.labels[space.index_of(point.item_id)] if point.item_id else point.expression


def _read_from_both(reader: TermReader, one: np.ndarray, other: np.ndarray) -> list[int]:
    """Columns of the terms that two [U] rows of probabilities both give more than their base rate, the surest first."""
    if not reader.terms:
        return []
    lifted = (np.minimum(one, other) > _LIFT * reader.rates) & (one * other > _SURE**2)
    rank = np.where(lifted & reader.shown, np.minimum(reader.rank(one), reader.rank(other)), -1)
    best = np.argsort(-rank, kind="stable")[: 3 * _CANDIDATES].tolist()
    probabilities = np.minimum(one, other)
    return distinct(reader.terms, [column for column in best if rank[column] > 0], probabilities, _CANDIDATES)
