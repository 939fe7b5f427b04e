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

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from markupsafe import Markup

from vecspeak.bundles import SpaceEntry
from vecspeak.display import element, signed_bar, table, to_frame
from vecspeak.errors import UserError, check_seed, check_whole
from vecspeak.evidence import Neighbor, term_name
from vecspeak.explore.regions import random_cosines
from vecspeak.explore.shared_words import ScoredPair, SelectedWord, SharedWords
from vecspeak.foreign import shown
from vecspeak.points import Point
from vecspeak.points.resolve import person_ratings
from vecspeak.spaces import Space
from vecspeak.stats import Estimate

_MATCH = 90.0
"""Percent of random pairs that must be farther apart: below it there is no match to explain."""
_RATED = 8
"""Rated items that are told."""


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
        return f"{term_name(self.term, self.column)} {self.share:+.3f}"


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
    """Percent of random pairs of items (for a person: of all items) whose score is no higher."""
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
            name = term_name(one.term, one.column)
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
    match = ScoredPair(entry, first, second)
    shared = SharedWords(entry, match, seed)
    selected = shared.carrying(shared.candidates(first, second), limit)
    return _explained(entry, first, match, shared, selected, seed)


def _rated(entry: SpaceEntry, first: Point, match: ScoredPair) -> tuple[RatedItem, ...]:
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


def _explained(
    entry: SpaceEntry,
    first: Point,
    match: ScoredPair,
    shared: SharedWords,
    selected: list[SelectedWord],
    seed: int,
) -> Why:
    space = entry.space
    one, other = shared.first, shared.second
    score = float(match.first @ match.second)
    above = float(one @ other)
    carried = sum(one.share for one in selected)
    runner_up = match.runner_up()
    third = match.prepared(space.vectors[runner_up][None])[0] if runner_up is not None else None
    words = []
    for found in selected:
        word, along = found.word, found.along
        own = word.direction / np.linalg.norm(word.direction)
        without = match.first - (one @ own) * own
        scores = match.of_items(without)
        words.append(
            SharedWord(
                term=word.term,
                column=word.column,
                share=found.share,
                of_first=word.of_first,
                of_second=word.of_second,
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


def _background(match: ScoredPair, score: float, seed: int) -> tuple[float, float]:
    """Mean score of random pairs, and the percent of them that are no nearer; for a person, of all items."""
    found = match.scores[~match.excluded] if match.is_person else random_cosines(match.space, seed)
    if not len(found):
        return 0.0, 0.0
    return float(found.mean()), float(100 * (found <= score + 1e-6).mean())
