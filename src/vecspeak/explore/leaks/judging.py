"""Judging: an attack's reading of held-out items beside the base rate and beside the same reading of other items."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vecspeak.explore.contrast import LEVEL, discovery_rates
from vecspeak.explore.leaks.attacks import PairSplit, TargetReading
from vecspeak.explore.leaks.findings import LeakReading
from vecspeak.explore.leaks.outcomes import (
    Outcome,
    auc_chances,
    aucs_of,
    balanced_accuracy,
    hits,
    mean_auc,
    rank_correlation,
)
from vecspeak.explore.leaks.targets import ANY, FEWEST, LeakTarget

_EXAMPLES = 6
_NEARLY_ALL, _PERCENT = 0.995, 0.005
"""Shares of the items that are not mentioned, and that are less than the least which is printed."""
_MEASURES = {
    "class": "balanced accuracy of {}",
    "auc": "AUC, mean of {}",
    "rank": "rank correlation",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedReading:
    """A reading before it is known how many were tested."""

    reading: LeakReading
    chance: float


def judged(
    target: LeakTarget, reading: TargetReading, split: PairSplit, draw: np.random.Generator
) -> TestedReading | None:
    """A reading beside the base rate and another item's; None where too few held-out items can be judged."""
    rows = np.flatnonzero(target.known[split.held_out])
    if len(rows) < 2 * FEWEST:
        return None
    # another item's vector: the same readings, of the next item in a random order
    order = draw.permutation(len(rows))
    other = np.empty_like(rows)
    other[order] = rows[np.roll(order, 1)]
    judge = {"guesses": _guessed, "class": _classes, "auc": _values, "rank": _numbers}[target.measure]
    return judge(target, reading, split, rows, other)


def _guessed(
    target: LeakTarget, reading: TargetReading, split: PairSplit, rows: np.ndarray, other: np.ndarray
) -> TestedReading:
    has = target.matrix[split.held_out[rows]].tocsr()
    counts = np.asarray(target.matrix[split.pairs].sum(0)).ravel()
    frequent = np.argsort(-counts, kind="stable")[: target.guesses]
    base = hits(np.tile(frequent, (len(rows), 1)), has)
    best = _best_terms(target, reading, split)
    guesses = f"{target.guesses} guesses" if target.guesses > 1 else "one guess"
    return compared(
        LeakReading(
            kind=target.kind,
            name=target.name,
            attack=reading.attack,
            measure=f"share of {guesses} that stands in the text",
            examples=best.examples,
            detail=best.detail,
            **EMPTY,
        ),
        hits(reading.guessed[rows], has),
        base,
        hits(reading.guessed[other], has),
        of_terms=best.chance,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _BestTerms:
    """Which single terms are read."""

    examples: tuple[str, ...] = ()
    """The best, with their AUC."""
    num_tested: int = 0
    num_found: int = 0
    """At a false discovery rate below 5%."""
    chance: float = 1.0
    """Of such a best one if none were read."""

    @property
    def detail(self) -> str:
        return f"{self.num_found:,} of {self.num_tested:,} are told apart" if self.num_tested > 1 else ""


def _best_terms(target: LeakTarget, reading: TargetReading, split: PairSplit) -> _BestTerms:
    """Of protected vectors, whose held-out items are few, none is looked at."""
    if not split.with_examples:
        return _BestTerms()
    has = target.matrix[split.held_out][:, reading.columns].toarray() > 0
    enough = np.flatnonzero((has.sum(0) >= FEWEST) & ((~has).sum(0) >= FEWEST))
    if not len(enough):
        return _BestTerms()
    aucs = aucs_of(reading.scores[:, enough], has[:, enough])
    rates = discovery_rates(auc_chances(aucs, has[:, enough]))
    # of terms that look alike as they are printed, those that more items have come first
    order = np.lexsort((-has[:, enough].sum(0), -np.round(aucs, 2)))
    best = [place for place in order if rates[place] < LEVEL][:_EXAMPLES]
    return _BestTerms(
        examples=tuple(f"{target.terms[reading.columns[enough[place]]]} {aucs[place]:.2f}" for place in best),
        num_tested=len(enough),
        num_found=int((rates < LEVEL).sum()),
        chance=float(rates.min()),  # Simes' test of all of them together
    )


def _classes(
    target: LeakTarget, reading: TargetReading, split: PairSplit, rows: np.ndarray, other: np.ndarray
) -> TestedReading | None:
    has = target.matrix[split.held_out][:, reading.columns].toarray() > 0
    enough = np.flatnonzero(has.sum(0) >= FEWEST)
    inside = has[:, enough].any(1)
    both = inside[rows]
    if len(enough) < 2 or both.sum() < 2 * FEWEST:
        return None
    rows, other = rows[both], other[both]
    classes = has[rows][:, enough].argmax(1)
    scores = reading.scores[:, enough]
    return compared(
        LeakReading(
            kind=target.kind,
            name=target.name,
            attack=reading.attack,
            measure=_MEASURES["class"].format(_values_of(len(enough), len(rows) / len(split.held_out))),
            examples=_best_terms(target, reading, split).examples,
            **EMPTY,
        ),
        balanced_accuracy(scores[rows], classes),
        Outcome.constant(1 / len(enough), len(rows)),
        balanced_accuracy(scores[other], classes),
    )


def _values(
    target: LeakTarget, reading: TargetReading, split: PairSplit, rows: np.ndarray, other: np.ndarray
) -> TestedReading | None:
    has = (target.matrix[split.held_out][:, reading.columns].toarray() > 0)[rows]
    enough = np.flatnonzero((has.sum(0) >= FEWEST) & ((~has).sum(0) >= FEWEST))
    if not len(enough):
        return None
    has = has[:, enough]
    outcome, _ = mean_auc(reading.scores[rows][:, enough], has)
    shuffled, _ = mean_auc(reading.scores[other][:, enough], has)
    best = _best_terms(target, reading, split) if target.name != ANY else _BestTerms()
    what = _values_of(len(enough), float(has.any(1).mean())) if len(enough) > 1 else "one value"
    return compared(
        LeakReading(
            kind=target.kind,
            name=target.name,
            attack=reading.attack,
            measure="AUC" if target.name == ANY else _MEASURES["auc"].format(what),
            examples=best.examples,
            detail=best.detail,
            **EMPTY,
        ),
        outcome,
        Outcome.constant(0.5, len(rows)),
        shuffled,
    )


def _numbers(
    target: LeakTarget, reading: TargetReading, split: PairSplit, rows: np.ndarray, other: np.ndarray
) -> TestedReading:
    values = target.matrix[split.held_out[rows], 0]
    scores = reading.scores[:, 0]
    measure = _MEASURES["rank"] + _of_items(len(rows) / len(split.held_out))
    made = LeakReading(kind=target.kind, name=target.name, attack=reading.attack, measure=measure, **EMPTY)
    return compared(
        made,
        rank_correlation(scores[rows], values),
        Outcome.constant(0.0, len(rows)),
        rank_correlation(scores[other], values),
    )


def _values_of(count: int, share: float) -> str:
    """So many values, and what share of the items has one of them where not all do."""
    return f"{count} values{_of_items(share)}"


def _of_items(share: float) -> str:
    if share >= _NEARLY_ALL:
        return ""
    return f", {share:.0%} of the items" if share >= _PERCENT else ", below 1% of the items"


NOTHING = Outcome.constant(0.0, 1).estimate
EMPTY: dict[str, Any] = {
    "measured": NOTHING,
    "base": 0.0,
    "shuffled": 0.0,
    "beyond": NOTHING,
    "q": 1.0,
    "num_items": 0,
}
"""What `_compared` fills in."""


def compared(
    made: LeakReading, outcome: Outcome, base: Outcome, shuffled: Outcome, *, of_terms: float = 1.0
) -> TestedReading:
    """The reading with its figures; its chance is the larger of those against the base rate and the control.

    Where single terms were tested too, the chance `of_terms`, it is twice the smaller of both.
    """
    gaps = [outcome.beyond(one) for one in (base, shuffled)]
    reading = replace(
        made,
        measured=outcome.estimate,
        base=base.value,
        shuffled=shuffled.value,
        beyond=min(gaps, key=lambda gap: gap[0].value)[0],
        num_items=len(outcome.influences),
    )
    chance = max(chance for _, chance in gaps)
    return TestedReading(
        reading=reading, chance=chance if of_terms >= 1 else min(1.0, 2 * min(chance, of_terms))
    )


def corrected(found: Sequence[TestedReading]) -> list[LeakReading]:
    """The readings with their false discovery rates over all of them."""
    rates = discovery_rates(np.array([one.chance for one in found]))
    return [replace(one.reading, q=float(rate)) for one, rate in zip(found, rates, strict=True)]
