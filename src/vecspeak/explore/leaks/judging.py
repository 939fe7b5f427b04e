"""Judging: a reader's reading of held-out items beside the base rate and beside the same reading of other items."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vecspeak.explore.contrast import LEVEL, discovery_rates
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
from vecspeak.explore.leaks.readers import PairSplit, TargetReading
from vecspeak.explore.leaks.targets import ANY, FEWEST, LeakTarget

_EXAMPLES = 6
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
    examples, tested, number = _best_terms(target, reading, split)
    guesses = f"{target.guesses} guesses" if target.guesses > 1 else "one guess"
    return compared(
        LeakReading(
            kind=target.kind,
            name=target.name,
            reader=reading.reader,
            measure=f"share of {guesses} that stands in the text",
            examples=examples,
            detail=f"{number:,} of {tested:,} are told apart" if tested else "",
            **EMPTY,
        ),
        hits(reading.guessed[rows], has),
        base,
        hits(reading.guessed[other], has),
    )


def _best_terms(
    target: LeakTarget, reading: TargetReading, split: PairSplit
) -> tuple[tuple[str, ...], int, int]:
    """Terms that are read best, how many were looked at, and how many are told apart at the false discovery rate.

    Of protected vectors, whose held-out items are few, none is looked at.
    """
    if not split.with_examples:
        return (), 0, 0
    has = target.matrix[split.held_out][:, reading.columns].toarray() > 0
    enough = np.flatnonzero((has.sum(0) >= FEWEST) & ((~has).sum(0) >= FEWEST))
    if not len(enough):
        return (), 0, 0
    aucs = aucs_of(reading.scores[:, enough], has[:, enough])
    sure = discovery_rates(auc_chances(aucs, has[:, enough])) < LEVEL
    best = [place for place in np.argsort(-aucs, kind="stable") if sure[place]][:_EXAMPLES]
    examples = tuple(f"{target.terms[reading.columns[enough[place]]]} {aucs[place]:.2f}" for place in best)
    return examples, len(enough), int(sure.sum())


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
            reader=reading.reader,
            measure=_MEASURES["class"].format(f"{len(enough)} values"),
            examples=_best_terms(target, reading, split)[0],
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
    examples, tested, number = _best_terms(target, reading, split) if target.name != ANY else ((), 0, 0)
    what = f"{len(enough)} values" if len(enough) > 1 else "one value"
    return compared(
        LeakReading(
            kind=target.kind,
            name=target.name,
            reader=reading.reader,
            measure="AUC" if target.name == ANY else _MEASURES["auc"].format(what),
            examples=examples,
            detail=f"{number:,} of {tested:,} are told apart" if tested > 1 else "",
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
    made = LeakReading(
        kind=target.kind, name=target.name, reader=reading.reader, measure=_MEASURES["rank"], **EMPTY
    )
    return compared(
        made,
        rank_correlation(scores[rows], values),
        Outcome.constant(0.0, len(rows)),
        rank_correlation(scores[other], values),
    )


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


def compared(made: LeakReading, outcome: Outcome, base: Outcome, shuffled: Outcome) -> TestedReading:
    """The reading with its figures; its chance is the larger of those against the base rate and the control."""
    gaps = [outcome.beyond(one) for one in (base, shuffled)]
    least = min(gaps, key=lambda gap: gap[0].value)[0]
    reading = replace(
        made,
        measured=outcome.estimate,
        base=base.value,
        shuffled=shuffled.value,
        beyond=least,
        num_items=len(outcome.influences),
    )
    return TestedReading(reading=reading, chance=max(chance for _, chance in gaps))


def corrected(found: Sequence[TestedReading]) -> list[LeakReading]:
    rates = discovery_rates(np.array([one.chance for one in found]))
    return [replace(one.reading, q=float(rate)) for one, rate in zip(found, rates, strict=True)]
