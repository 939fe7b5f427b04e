"""Why two points match: their score against the space's own, and what of it the words that they share carry.

The score is the cosine a.b of two vectors of length 1 (for a person and an item the dot product of the person's vector
of length 1 with the item's as it is). With m the mean of the items, a = m + a' and b = m + b', so that

    a.b = (a.b - a'.b')  +  sum over words of (a'.q)(b'.q)  +  what is left of a'.b'

exactly. The first part is there for every pair; the q are directions of length 1, each at right angles to those before
it, along which items differ that are likelier to have the word. Words are taken from those that both vectors are read
to have, the one first that carries most. That they carry more than words that other pairs share is not a matter of
course, so these are asked for the same pair, as a control; and each claim is checked by taking its word's direction
out of the query and ranking all items again.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from markupsafe import Markup

from vecspeak.bundles import SpaceEntry
from vecspeak.bundles.lexicons import as_items
from vecspeak.display import element, signed_bar, table, to_frame
from vecspeak.errors import UserError, check_seed, check_whole
from vecspeak.evidence import Neighbor
from vecspeak.explore.regions import random_cosines
from vecspeak.foreign import shown
from vecspeak.lexicon.joint import TermReader
from vecspeak.lexicon.terms import distinct
from vecspeak.points import Point
from vecspeak.points.resolve import person_ratings
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
_MATCH = 90.0
"""Percent of random pairs that must be farther apart: below it there is no match to explain."""
_RATED = 8
"""Rated items that are told."""
_CONCEPT = "concept"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedWord:
    """A word, a column's value or a concept that both have, and what it carries of their score."""

    term: str
    column: str
    """Column of a value; `concept` for a concept; empty for a word of the texts."""
    share: float
    """Part of the score."""
    of_first: float
    """Probability that the first has it; for a concept, standard deviations from the items' mean."""
    of_second: float
    rank_without: int
    """Rank of the second for the first when the word's direction is taken out of the first."""
    of_runner_up: float
    """Part of the runner-up's score that the same direction carries."""

    def __str__(self) -> str:
        return f"{self.term}{f' ({self.column})' if self.column else ''} {self.share:+.3f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedItem:
    """An item that a person rated, and what its rating adds to their score of another."""

    id: str
    label: str
    rating: float
    share: float
    """Part of the score; those of all rated items sum to it."""

    def __str__(self) -> str:
        return f"{self.label} ({self.rating:g}) {self.share:+.3f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Two points of a space, how near they are beside others, and what of it is shared words."""

    how_to_read: ClassVar[str] = (
        "The parts sum to the score. What is common to all items is there for every pair; a word carries what "
        "lies along the direction in which items differ that have it. In brackets behind a word: its probability "
        "in both. The rank is the second's among all items for the first, and what it becomes when the word's "
        "direction is taken out. The last column is the same for the nearest item besides. The words of other "
        "pairs are the control."
    )

    first: str
    second: str
    score: float
    """Cosine; for a person and an item the dot product with the person's vector at length 1."""
    nearer_than: float
    """Percent of random pairs of items (for a person: of all items) with a lower score."""
    random_pairs: float
    """Mean score of these."""
    rank: int
    """Of the second among all items for the first, 1 for the nearest; what the first was made of is left out."""
    num_items: int
    nearer_than_nearest: float
    """Percent of the ten nearest items of the first that have a lower score."""
    common: float
    """Part of the score that is there for every pair: by what all items have in common."""
    words: tuple[SharedWord, ...]
    """Those that carry most first."""
    rest: float
    """What neither explains; common, words and rest sum to the score."""
    explained: float
    """Percent of what lies above `common` that the words carry."""
    by_other_words: Estimate | None
    """The same by the words that random pairs share, mean and 95% of them; None where there are no words."""
    runner_up: Neighbor | None
    """The nearest item but the second, or that next behind it, with its score."""
    runner_up_common: float
    runner_up_rest: float
    rated: tuple[RatedItem, ...] = ()
    """Of a person given by ratings, what each adds to the score, most first; empty for others."""
    caution: str = ""
    """What must be known of the space, or of a first point far from the data, before anything is believed."""

    @property
    def is_match(self) -> bool:
        """Whether at least 90% of random pairs are farther apart: else there is little to explain."""
        return self.nearer_than >= _MATCH

    @property
    def is_found(self) -> bool:
        """Whether it is a match, and its shared words carry more of the score than 97.5% of other pairs' words do."""
        return (
            self.is_match
            and bool(self.words)
            and self.by_other_words is not None
            and (self.explained > self.by_other_words.high)
        )

    @property
    def verdict(self) -> str:
        """What the words are worth, in a sentence."""
        if not self.is_match:
            return f"NO MATCH: {100 - self.nearer_than:.0f}% of random pairs are nearer, so there is little to explain"
        if not self.words:
            return "NO REASON FOUND: no word is read from both that carries a part of the score"
        assert self.by_other_words is not None
        other = self.by_other_words
        share = f"{min(self.explained, 100):.0f}% of the score beyond what all items have in common"
        others = f"{other.value:.0f}% [{other.low:.0f}%, {other.high:.0f}%]"
        if self.is_found:
            return f"shared words carry {share}; the words of other pairs {others}"
        return (
            f"NO REASON FOUND: shared words carry {share}, and the words of other pairs do as well ({others})"
        )

    @property
    def lacking(self) -> tuple[SharedWord, ...]:
        """The shared words of which the runner-up has less, most first."""
        less = [one for one in self.words if one.share > one.of_runner_up]
        return tuple(sorted(less, key=lambda one: one.of_runner_up - one.share))

    def __repr__(self) -> str:
        return shown(f"Why({self.first}, {self.second}, {self.score:.2f})")

    def __str__(self) -> str:
        lines = [
            f"{self.first} and {self.second}: {self.score:.2f}, rank {self.rank:,} of {self.num_items:,}; "
            f"nearer than {self.nearer_than:.1f}% of random pairs (mean {self.random_pairs:.2f})",
            f"common to all items {self.common:+.3f}; "
            + "".join(f"{one}; " for one in self.words)
            + f"rest {self.rest:+.3f}",
            self.verdict,
        ]
        if self.rated:
            lines.append(f"from what was rated: {'; '.join(map(str, self.rated[:_RATED]))}")
        if self.runner_up:
            less = ", ".join(one.term for one in self.lacking[:3])
            lines.append(
                f"{self.runner_up.label}: {self.runner_up.similarity:.2f}{less and f', has less of {less}'}"
            )
        return "\n".join(map(shown, lines))

    def _repr_html_(self) -> Markup:
        """The parts of the score as bars, and what the runner-up has of them."""
        head = element(
            "p",
            element("code", self.first),
            " and ",
            element("code", self.second),
            f": {self.score:.2f}, rank {self.rank:,} of {self.num_items:,}; nearer than {self.nearer_than:.1f}% of "
            f"random pairs, whose mean is {self.random_pairs:.2f}",
        )
        shares = [self.common, self.rest, *(one.share for one in self.words)]
        top = max(1e-9, *map(abs, shares))
        other = self.runner_up.label if self.runner_up else ""
        rows: list[list[object]] = [
            [
                "common to all items",
                signed_bar(self.common / top, f"{self.common:+.3f}"),
                "",
                f"{self.runner_up_common:+.3f}" if other else "",
            ]
        ]
        for one in self.words:
            without = f"{self.rank:,} → {one.rank_without:,}"
            name = f"{one.term} ({one.column})" if one.column else one.term
            both = f" ({one.of_first:.2f}, {one.of_second:.2f})"
            behind = f"{one.of_runner_up:+.3f}" if other else ""
            rows.append([name + both, signed_bar(one.share / top, f"{one.share:+.3f}"), without, behind])
        behind = f"{self.runner_up_rest:+.3f}" if other else ""
        rows.append(["rest", signed_bar(self.rest / top, f"{self.rest:+.3f}"), "", behind])
        rows.append(["score", element("strong", f"{self.score:+.3f}"), "", self._runner_up_score])
        heads = ["", "of the score", "rank without it", f"of {other}" if other else ""]
        rated = [
            [one.label, f"{one.rating:g}", signed_bar(one.share / top, f"{one.share:+.3f}")]
            for one in self.rated[:_RATED]
        ]
        return element(
            "div",
            head,
            element("p", element("strong", self.verdict)),
            table(heads, rows),
            table(["rated", "rating", "of the score"], rated) if rated else "",
        )

    @property
    def _runner_up_score(self) -> str:
        return f"{self.runner_up.similarity:+.3f}" if self.runner_up else ""

    @property
    def heading(self) -> str:
        """What was asked."""
        return "Why these two match" if self.is_match else "These two do not match"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"is_found": self.is_found, "verdict": self.verdict}

    def to_pandas(self) -> Any:
        """A frame with a row for each part of the score. Raises UserError where pandas is not installed."""
        parts = [{"part": "common", "share": self.common, "of_runner_up": self.runner_up_common}]
        parts += [{"part": one.term, **asdict(one)} for one in self.words]
        return to_frame([*parts, {"part": "rest", "share": self.rest, "of_runner_up": self.runner_up_rest}])


def why(entry: SpaceEntry, first: Point, second: Point, *, limit: int = 8, seed: int = 0) -> Why:
    """Explain the score of two points of a space, by at most `limit` shared words.

    Raises UserError for points of two spaces, and for a person in the second place.
    """
    check_whole("limit", limit, 1, 50)
    check_seed(seed)
    for point in (first, second):
        if point.space != entry.space.name:
            raise UserError(
                f"{point.expression} lies in {point.space!r}, not in {entry.space.name!r}",
                "name two points of one space",
            )
    if second.kind == "user":
        raise UserError(f"{second.expression} is a person", "name the person first, and an item behind")
    match = _Match(entry, first, second)
    shared = _Shared(entry, match, seed)
    selected = shared.carrying(shared.candidates(first, second), limit)
    return _explained(entry, first, match, shared, selected, seed)


class _Match:
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


class _Shared:
    """What words the space is read by, and the direction in it of each."""

    def __init__(self, entry: SpaceEntry, match: _Match, seed: int) -> None:
        self.entry, self.reader, self.match = entry, entry.term_reader, match
        space = entry.space
        draw = np.random.default_rng(seed)
        rows = np.sort(draw.permutation(space.num_items)[:_ITEMS])
        self.items = space.vectors[rows]
        self.prepared = match.prepared(self.items)
        self.mean = self.prepared.mean(0)
        """[D] of the items, as the score sees them."""
        self.draw = draw
        # a person deviates from nothing: what they give to any item is common to all
        self.first = match.first if match.is_person else match.first - self.mean
        self.second = match.second - self.mean

    def candidates(self, first: Point, second: Point) -> "_Candidates":
        """Terms that are read from both, and concepts that both lie on the same side of."""
        said = np.concatenate([self._said(point.vector[None], point.kind) for point in (first, second)])
        columns = _read_from_both(self.reader, said[0], said[1])
        found = self._of_columns(columns, said[0], said[1])
        amounts = [self._amounts(one) for one in (first.vector, second.vector)]
        for name, concept in self.entry.concepts.items():
            one, other = (amount[name] for amount in amounts)
            if one * other > 0 and min(abs(one), abs(other)) > 0.5:
                found.append(
                    (name, _CONCEPT, one, other, np.sign(one) * concept.direction.astype(np.float64))
                )
        return found

    def _of_columns(self, columns: Sequence[int], one: np.ndarray, other: np.ndarray) -> "_Candidates":
        directions = self._directions(columns)
        return [
            (
                self.reader.terms[column],
                self.reader.columns[column],
                float(one[column]),
                float(other[column]),
                direction,
            )
            for column, direction in zip(columns, directions, strict=True)
        ]

    def _said(self, vectors: np.ndarray, kind: str) -> np.ndarray:
        of: Any = "user" if kind == "user" else "item"
        return self.reader.said(
            as_items(self.entry.alignment, vectors, of), self.entry.alignment(vectors, of)
        )

    def _amounts(self, vector: np.ndarray) -> dict[str, float]:
        """Standard deviations of a vector from the items' mean along each concept."""
        center = self.items.mean(0)
        return {
            name: float((vector - center) @ one.direction) / one.scale
            for name, one in self.entry.concepts.items()
        }

    def _directions(self, columns: Sequence[int]) -> np.ndarray:
        """[C, D]: the covariance of the items with how much of each term is read from them."""
        if not columns:
            return np.zeros((0, len(self.mean)))
        mapped = self.entry.alignment(self.items)
        evidence = self.reader.evidence(self.items, mapped, np.array(columns)).astype(np.float64)
        return np.asarray((evidence - evidence.mean(0)).T @ (self.prepared - self.mean))

    def carrying(self, candidates: "_Candidates", limit: int) -> "list[_Selected]":
        """Of the candidates those that carry most of the deviations' product, each beside those before it."""
        one, other = self.first, self.second
        least = _LEAST * abs(float(self.match.first @ self.match.second))
        left = np.array([candidate[4] for candidate in candidates]).reshape(len(candidates), len(one))
        lengths = np.linalg.norm(left, axis=1)
        left = left / np.maximum(lengths, 1e-12)[:, None]
        selected: list[_Selected] = []
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
            selected.append((candidates[best], along[best], float(gains[best])))
            open_to[best] = False
            left = left - np.outer(left @ along[best], along[best])
        return selected

    def by_other_words(self, limit: int) -> Estimate | None:
        """Percent of this pair's score above what is common that the words of random pairs carry: a control."""
        space = self.entry.space
        if space.num_items < 2:
            return None
        rows = np.sort(self.draw.permutation(space.num_items)[: 2 * min(_OTHERS, space.num_items // 2)])
        said = np.concatenate([
            self._said(space.vectors[rows[start : start + 64]], "item") for start in range(0, len(rows), 64)
        ])  # fmt: skip
        paired = self.draw.permutation(len(rows)).reshape(-1, 2)
        pairs = [(said[one], said[other]) for one, other in paired]
        of_pairs = [_read_from_both(self.reader, *pair) for pair in pairs]
        columns = sorted({column for found in of_pairs for column in found})
        directions = dict(zip(columns, self._directions(columns), strict=True))
        above = float(self.first @ self.second)
        shares = []
        for found, (one, other) in zip(of_pairs, pairs, strict=True):
            terms: _Candidates = [
                ("", "", float(one[column]), float(other[column]), directions[column]) for column in found
            ]
            selected = self.carrying(terms, limit)
            shares.append(100 * sum(one[2] for one in selected) / above if above > 0 else 0.0)
        low, high = np.percentile(shares, [2.5, 97.5])
        return Estimate(float(np.mean(shares)), float(low), float(high))


def _name(space: Space, point: Point) -> str:
    """An item by its label, everything else as it is written."""
    return space.labels[space.index_of(point.item_id)] if point.item_id else point.expression


def _rated(entry: SpaceEntry, first: Point, match: _Match) -> tuple[RatedItem, ...]:
    """What each rating of a person that is given by them adds to the score of the second."""
    if entry.fold_in is None or not match.is_person:
        return ()
    ratings = person_ratings(first.expression, entry.scope)
    if not ratings:
        return ()
    space = entry.space
    length = np.linalg.norm(first.vector.astype(np.float64))
    shares = entry.fold_in.parts(space, ratings) @ match.second / length
    found = [
        RatedItem(id=item, label=space.labels[space.index_of(item)], rating=rating, share=float(share))
        for (item, rating), share in zip(ratings.items(), shares, strict=True)
    ]
    return tuple(sorted(found, key=lambda one: -abs(one.share)))


_Candidate = tuple[str, str, float, float, np.ndarray]
_Candidates = list[_Candidate]
_Selected = tuple[_Candidate, np.ndarray, float]
"""The candidate, the direction [D] of length 1 that it adds, and what it carries."""


def _read_from_both(reader: TermReader, one: np.ndarray, other: np.ndarray) -> list[int]:
    """Columns of the terms that two [U] rows of probabilities both give more than their base rate, the surest first."""
    if not reader.terms:
        return []
    lifted = (np.minimum(one, other) > _LIFT * reader.rates) & (one * other > _SURE**2)
    rank = np.where(lifted & reader.shown, np.minimum(reader.rank(one), reader.rank(other)), -1)
    best = np.argsort(-rank, kind="stable")[: 3 * _CANDIDATES].tolist()
    probabilities = np.minimum(one, other)
    return distinct(reader.terms, [column for column in best if rank[column] > 0], probabilities, _CANDIDATES)


def _explained(
    entry: SpaceEntry, first: Point, match: _Match, shared: _Shared, selected: list[_Selected], seed: int
) -> Why:
    space = entry.space
    one, other = shared.first, shared.second
    score = float(match.first @ match.second)
    above = float(one @ other)
    carried = sum(share for _, _, share in selected)
    runner_up = match.runner_up()
    third = match.prepared(space.vectors[runner_up][None])[0] if runner_up is not None else None
    words = []
    for (term, column, of_first, of_second, direction), along, share in selected:
        own = direction / np.linalg.norm(direction)
        without = match.first - (one @ own) * own
        scores = match.of_items(without)
        words.append(
            SharedWord(
                term=term,
                column=column,
                share=share,
                of_first=of_first,
                of_second=of_second,
                rank_without=match.rank(scores, float(without @ match.second)),
                of_runner_up=float((one @ along) * ((third - shared.mean) @ along))
                if third is not None
                else 0.0,
            )
        )
    random, nearer = _background(match, score, seed)
    counted = np.sort(match.scores[~match.excluded])[::-1][:10]
    third_score = float(match.first @ third) if third is not None else 0.0
    third_above = float(one @ (third - shared.mean)) if third is not None else 0.0
    return Why(
        first=match.names[0],
        second=match.names[1],
        score=score,
        nearer_than=nearer,
        random_pairs=random,
        rank=match.rank(match.scores, score),
        num_items=space.num_items,
        nearer_than_nearest=float(100 * (counted < score - 1e-6).mean()) if len(counted) else 0.0,
        common=score - above,
        words=tuple(words),
        rest=above - carried,
        explained=100 * carried / above if above > 0 else 0.0,
        by_other_words=shared.by_other_words(max(len(selected), 1)) if selected else None,
        runner_up=None if runner_up is None else _neighbor(space, runner_up, third_score),
        runner_up_common=third_score - third_above,
        runner_up_rest=third_above - sum(one.of_runner_up for one in words),
        rated=_rated(entry, first, match),
        caution=entry.caution_of(first),
    )


def _neighbor(space: Space, row: int, score: float) -> Neighbor:
    return Neighbor(id=space.ids[row], label=space.labels[row], similarity=score)


def _background(match: _Match, score: float, seed: int) -> tuple[float, float]:
    """Mean score of random pairs, and the percent of them that lie lower; for a person, of all items."""
    found = match.scores[~match.excluded] if match.is_person else random_cosines(match.space, seed)
    if not len(found):
        return 0.0, 0.0
    lower = (found < score - 1e-6).mean() + (np.abs(found - score) <= 1e-6).mean() / 2  # of equals half
    return float(found.mean()), float(100 * lower)
