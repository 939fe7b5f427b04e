"""Slopes: what moving a point along a concept does to the answers, beside the reverse and random directions.

An attribute is judged in every answer; its slope a standard deviation of amount is least squares within each item, so
that what items are does not count, only what the way changes. Intervals are by bootstrap over items, of which every
direction is gone along. Knows numbers only. Shape letters: N items, A amounts from 0 up, R random directions, K judged
attributes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.evaluation.intervals import Estimate, Series, difference

FLAT = "FLAT"
WRONG_WAY = "WRONG WAY"
NOT_REVERSED = "NOT REVERSED"
NOT_SPECIFIC = "NOT SPECIFIC"
BLIND = "JUDGE BLIND"
SPILLS = "SPILLS"
MEANINGS = {
    FLAT: "nothing shows that the answers have more of the attribute along the concept",
    WRONG_WAY: "the answers have less of it along the concept",
    NOT_REVERSED: "nothing shows that they have less of it along the reverse",
    NOT_SPECIFIC: "the random direction that moves it most, either way, is not shown to move it less than the concept",
    BLIND: "the classifier does not tell real texts with the attribute from those without",
    SPILLS: "another attribute is moved more than this one",
}
"""What the flags say."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One judge's scores of the answers along every way from the same items, at the same amounts."""

    amounts: np.ndarray
    """[A] standard deviations along each way's own direction, ascending."""
    concept: np.ndarray
    """[N, A]."""
    reverse: np.ndarray
    """[N, A] going the other way."""
    random: np.ndarray
    """[R, N, A] along random directions of equal steps."""
    search: np.ndarray
    """[N, A] of the text of the nearest real item at each point along the concept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slopes:
    """By one judge: standard deviations of real texts' scores a standard deviation of amount."""

    judge: str
    concept: Estimate
    reverse: Estimate
    random: Estimate
    """Mean of all random directions, whichever way each goes."""
    strongest: Estimate
    """The random direction that moves the attribute most, signed so that it rises: chosen on these answers."""
    search: Estimate
    """What the nearest real items' texts do: how much of the attribute a search would show."""
    over_random: Estimate
    """Concept minus random, paired by item."""
    over_strongest: Estimate
    """Concept minus the strongest random direction; cautious, for that was chosen to be large."""
    over_search: Estimate
    """Concept minus search: below 0 the reader shows less of it than the items that lie there."""
    draws: tuple[Estimate, ...]
    """Each random direction by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What else changes at the largest amount."""

    kept: Estimate
    """Cosine of the answer with the one at 0, what the concept changes taken out of both."""
    kept_random: Estimate
    """The same along random directions: an answer changes wherever its point goes."""
    others: Mapping[str, Estimate]
    """Slopes along the concept of the other attributes' classifiers, the steepest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeSlopes:
    """Everything that is measured of one attribute."""

    name: str
    source: str
    examples: int
    """Items that had it when the concept was fitted; 0 where it came from pairs or a text."""
    caution: str
    """Why not to trust the concept; empty when there is no reason."""
    fitted: Estimate | None
    """How well the concept does on items it was not fitted on."""
    auc: Estimate
    """How well the classifier of texts does on held-out real ones."""
    items: int
    amounts: tuple[float, ...]
    outside: float
    """Share of the points at the largest amount that lie outside the data."""
    by_classifier: Slopes
    by_encoder: Slopes
    drift: Drift
    flags: tuple[str, ...]


def slope_series(amounts: np.ndarray, scores: np.ndarray) -> Series:
    """The least-squares slope of each item's scores [N, A] on the amounts [A]; their mean is the fixed-effect slope.

    All items have the same amounts, so none weighs more than another.
    """
    away = np.asarray(amounts, dtype=float) - np.mean(amounts)
    return Series(np.asarray(scores, dtype=float) @ away / (away @ away))


def slopes_of(judge: str, judged: Judged, *, seed: int = 0) -> Slopes:
    """The slopes of every way and how they differ."""

    def series(scores: np.ndarray) -> Series:
        return slope_series(judged.amounts, scores)

    concept, reverse, search = series(judged.concept), series(judged.reverse), series(judged.search)
    draws = [series(one) for one in judged.random]
    random = Series(np.mean([one.values for one in draws], axis=0))
    most = max(draws, key=lambda one: abs(one.values.mean()))
    strongest = Series(most.values * (1.0 if most.values.mean() >= 0 else -1.0))
    return Slopes(
        judge=judge,
        concept=_whole(concept.estimate(seed=seed)),
        reverse=_whole(reverse.estimate(seed=seed)),
        random=_whole(random.estimate(seed=seed)),
        strongest=_whole(strongest.estimate(seed=seed)),
        search=_whole(search.estimate(seed=seed)),
        over_random=_whole(difference(concept, random, seed=seed)),
        over_strongest=_whole(difference(concept, strongest, seed=seed)),
        over_search=_whole(difference(concept, search, seed=seed)),
        draws=tuple(_whole(one.estimate(seed=seed)) for one in draws),
    )


def _whole(found: Estimate | None) -> Estimate:
    assert found is not None, "every item has a slope"
    return found


def drift_of(
    vectors: np.ndarray,
    random_vectors: np.ndarray,
    direction: np.ndarray,
    others: Mapping[str, Series],
    *,
    seed: int = 0,
) -> Drift:
    """What else changes, from unit vectors of answers [N, A, T] along the concept and [R, N, A, T] along the others.

    `direction` [T] is what the concept changes in the vectors that are read. `others` are slopes of other attributes.
    """
    kept = Series(_kept(vectors, direction))
    kept_random = Series(np.mean([_kept(one, direction) for one in random_vectors], axis=0))
    found = {name: _whole(one.estimate(seed=seed)) for name, one in others.items()}
    return Drift(
        kept=_whole(kept.estimate(seed=seed)),
        kept_random=_whole(kept_random.estimate(seed=seed)),
        others=dict(sorted(found.items(), key=lambda one: -abs(one[1].value))),
    )


def _kept(vectors: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """[N] cosine of the last answer with the first, the direction taken out."""
    along = direction / np.linalg.norm(direction)
    rest = vectors - (vectors @ along)[..., None] * along
    rest = rest / np.maximum(np.linalg.norm(rest, axis=-1, keepdims=True), 1e-12)
    return np.asarray((rest[:, -1] * rest[:, 0]).sum(-1))


def slope_flags(slopes: Slopes, auc: Estimate, drift: Drift) -> tuple[str, ...]:
    """What a reader must be told before the numbers, see MEANINGS; empty when all is as it should be."""
    found = []
    if auc.low <= 0.5:
        found.append(BLIND)
    if slopes.concept.high < 0:
        found.append(WRONG_WAY)
    elif slopes.concept.low <= 0:
        found.append(FLAT)
    if slopes.reverse.high >= 0:
        found.append(NOT_REVERSED)
    if slopes.over_strongest.low <= 0:
        found.append(NOT_SPECIFIC)
    most = next(iter(drift.others.values()), None)
    if most is not None and abs(most.value) > abs(slopes.concept.value):
        found.append(SPILLS)
    return tuple(found)


def means(flags: Sequence[str]) -> list[str]:
    """A sentence for each flag that is there, in the order of MEANINGS."""
    return [f"{flag}: {MEANINGS[flag]}." for flag in MEANINGS if flag in flags]
