"""Attacks: what somebody makes of vectors who has others of the same kind together with what they were made from.

Two that everybody can build. The map is ridge regression from vectors to terms (calibrated by a logistic regression)
and to the ranks of numbers, fitted on the pairs, its penalty selected by leaving each pair out. Nearest texts says
what the ten nearest of the pairs have, the nearer weighing more. Neither sees an item that is measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecspeak.explore.leaks.targets import COLUMN_KINDS, FEWEST, LeakTarget
from vecspeak.lexicon.readout import RidgeFit, calibrated_on_own, fit_ridge, unit_rows
from vecspeak.model.alignment import Ridge, Rows

MAP, NEAREST = "map", "nearest texts"
_NEAR = 10
_CALIBRATED = 500
"""Pairs that the probabilities are calibrated on, each by the map of all others."""
_RIDGE = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4)
"""Penalties of the map to terms: in steps of ten, for it is fitted to every form of the vectors anew."""
_NARROW = 1e-3
_FARTHEST = 20
"""Powers of 2 by which a vector may be longer or shorter than the middle one: a million times."""
_PENALTIES = 10.0 ** np.arange(-1, 6.5, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairSplit:
    """Which items the attacker has the data of, and which are measured."""

    pairs: np.ndarray
    """[K] rows."""
    held_out: np.ndarray
    """[T] rows."""
    with_examples: bool = True
    """Whether it is looked at which terms are read best."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetReading:
    """What one attack says of one target, for all held-out items."""

    attack: str
    columns: np.ndarray
    """[V] terms of the target that it can say: those that enough of the pairs have."""
    scores: np.ndarray
    """[T, V] standard deviations above the base rate; of numbers [T, 1]."""
    probabilities: np.ndarray
    """[T, V]"""
    guessed: np.ndarray
    """[T, G] terms of the target, the surest first; -1 where it knows no more."""


def at_common_scale(vectors: np.ndarray) -> np.ndarray:
    """[N, D] float32 multiplied by one power of 2, which rounds nothing, so that the middle length is about 1.

    Vectors much longer or shorter than the middle one are brought within what squares in float32 can tell.
    """
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    scale = 2.0 ** np.round(np.log2(np.median(lengths)))
    within = np.clip(lengths, scale * 2.0**-_FARTHEST, scale * 2.0**_FARTHEST)
    return np.where(within == lengths, wide / scale, wide / lengths * (within / scale)).astype(np.float32)


def terms_to_read(target: LeakTarget, pairs: np.ndarray) -> np.ndarray:
    """[V] the commonest terms of a target, those that at least 5 of the pairs have and as many lack."""
    counts = np.asarray(target.matrix[pairs].sum(0)).ravel()
    known = int(target.known[pairs].sum())
    enough = np.flatnonzero((counts >= FEWEST) & (counts < known if target.measure == "auc" else True))
    return np.sort(enough[np.argsort(-counts[enough], kind="stable")[: target.most]])


def read_all(
    vectors: np.ndarray, sides: PairSplit, targets: Sequence[LeakTarget]
) -> list[list[TargetReading]]:
    """For each target what the map and the nearest texts say, from [N, D] vectors as the attacker gets them."""
    found: list[list[TargetReading]] = [[] for _ in targets]
    columns = [np.arange(1) if one.measure == "rank" else terms_to_read(one, sides.pairs) for one in targets]
    for place, reading in _mapped(vectors, sides, targets, columns):
        found[place].append(reading)
    weights = _weights(vectors, sides)
    for place, target in enumerate(targets):
        if len(columns[place]) or target.measure == "guesses":
            found[place].append(_nearest(target, columns[place], weights, sides))
    return found


def _mapped(
    vectors: np.ndarray, sides: PairSplit, targets: Sequence[LeakTarget], columns: Sequence[np.ndarray]
) -> list[tuple[int, TargetReading]]:
    of_terms = [place for place, one in enumerate(targets) if one.measure != "rank" and len(columns[place])]
    # terms of texts share one map, whose one decomposition serves them all; a column has its own, for it may lie in
    # few coordinates and want another penalty
    of_texts = [place for place in of_terms if targets[place].kind not in COLUMN_KINDS]
    groups = [of_texts] * bool(of_texts) + [[place] for place in of_terms if place not in of_texts]
    made = [reading for group in groups for reading in _mapped_terms(vectors, sides, targets, columns, group)]
    return made + _mapped_numbers(vectors, sides, targets)


def _mapped_terms(
    vectors: np.ndarray,
    sides: PairSplit,
    targets: Sequence[LeakTarget],
    columns: Sequence[np.ndarray],
    group: Sequence[int],
) -> list[tuple[int, TargetReading]]:
    """What one map says of the terms of some targets, given by their places."""
    from scipy.sparse import hstack

    has = hstack([targets[place].matrix[sides.pairs][:, columns[place]] for place in group], format="csr")
    forms = [vectors]
    if targets[group[0]].kind in COLUMN_KINDS:
        forms.append(_evened(vectors, sides.pairs))
    fits = [
        fit_ridge(one[sides.pairs], has, units=_units(one[sides.pairs]), penalties=_RIDGE) for one in forms
    ]
    best = 0
    if len(forms) > 1:
        errors = [_left_out_error(fit, one[sides.pairs], has) for fit, one in zip(fits, forms, strict=True)]
        best = int(np.argmin(errors))
    readout = calibrated_on_own(fits[best], forms[best][sides.pairs], has, most=_CALIBRATED)
    scores = readout.deviations(forms[best][sides.held_out])
    probabilities = readout.calibrate(scores)
    ends = np.cumsum([0, *(len(columns[place]) for place in group)])
    return [
        (
            place,
            _term_reading(targets[place], columns[place], scores[:, start:end], probabilities[:, start:end]),
        )
        for place, start, end in zip(group, ends[:-1], ends[1:], strict=True)
    ]


def _term_reading(
    target: LeakTarget, columns: np.ndarray, scores: np.ndarray, probabilities: np.ndarray
) -> TargetReading:
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, : target.guesses]
    return TargetReading(
        attack=MAP, columns=columns, scores=scores, probabilities=probabilities, guessed=columns[best]
    )


def _evened(vectors: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """[N, D] with every coordinate in its own standard deviations: what lies in a narrow one counts as much.

    A coordinate below a thousandth of the middle spread counts as one of that spread: it may be rounding alone.
    """
    known = vectors[pairs].astype(np.float64)
    spread = known.std(0)
    least = _NARROW * max(float(np.median(spread)), 1e-30)
    return ((vectors - known.mean(0)) / np.maximum(spread, least)).astype(np.float32)


def _left_out_error(fit: RidgeFit, vectors: np.ndarray, has: Any) -> float:
    """Mean squared error of the terms, in their standard deviations, of some pairs that are left out each."""
    rows = np.arange(min(len(vectors), _CALIBRATED))
    spread = np.sqrt(fit.readout.rates * (1 - fit.readout.rates))
    own = (np.asarray(has[rows].todense(), np.float32) - fit.readout.rates) / spread
    return float(((fit.left_out(vectors, has, rows) - own) ** 2).mean())


def _units(vectors: np.ndarray) -> tuple[bool, ...]:
    """Whether vectors are brought to length 1: both are tried where lengths differ."""
    lengths = np.linalg.norm(vectors, axis=1)
    return (True,) if lengths.std() < 0.01 * lengths.mean() else (True, False)


def _mapped_numbers(
    vectors: np.ndarray, sides: PairSplit, targets: Sequence[LeakTarget]
) -> list[tuple[int, TargetReading]]:
    """Ranks of the numbers, by one map; where a number is missing, the middle rank stands for it."""
    places = [place for place, one in enumerate(targets) if one.measure == "rank"]
    if not places:
        return []
    ranks = np.stack([_ranks(targets[place].matrix[sides.pairs, 0]) for place in places], axis=1)
    ridge = Ridge(Rows(inputs=vectors[sides.pairs], targets=ranks))
    weights = ridge.weights(float(_PENALTIES[int(ridge.leave_one_out(_PENALTIES).argmin())]))
    inputs = (vectors[sides.held_out].astype(np.float64) - ridge.sums.center) / ridge.sums.spread
    scores = inputs @ weights + ridge.sums.offset
    return [(place, _number_reading(MAP, scores[:, [n]])) for n, place in enumerate(places)]


def _number_reading(attack: str, ranks: np.ndarray) -> TargetReading:
    return TargetReading(
        attack=attack,
        columns=np.arange(1),
        scores=ranks,
        probabilities=ranks,
        guessed=np.empty((len(ranks), 0), int),
    )


def _ranks(values: np.ndarray) -> np.ndarray:
    """[K] ranks from 0 to 1 of numbers; 0.5 for what is not known."""
    from scipy.stats import rankdata

    known = np.isfinite(values)
    found = np.full(len(values), 0.5)
    if known.any():
        found[known] = (rankdata(values[known]) - 0.5) / known.sum()
    return found


def _weights(vectors: np.ndarray, sides: PairSplit) -> Any:
    """[T, K] sparse weight of each pair for each held-out item: 1, 1/2, 1/3, ... of the ten nearest, summing to 1."""
    from scipy.sparse import csr_matrix

    known, unknown = (unit_rows(vectors[rows]) for rows in (sides.pairs, sides.held_out))
    close = unknown @ known.T
    near = min(_NEAR, close.shape[1])
    best = np.argpartition(-close, near - 1, axis=1)[:, :near]
    order = np.argsort(-np.take_along_axis(close, best, 1), axis=1, kind="stable")
    best = np.take_along_axis(best, order, 1)
    shares = 1 / np.arange(1, near + 1, dtype=np.float32)
    data = np.tile(shares / shares.sum(), len(close))
    starts = np.arange(0, best.size + 1, near)
    return csr_matrix((data, best.ravel(), starts), close.shape)


def _nearest(target: LeakTarget, columns: np.ndarray, weights: Any, sides: PairSplit) -> TargetReading:
    if target.measure == "rank":
        return _number_reading(NEAREST, weights @ _ranks(target.matrix[sides.pairs, 0])[:, None])
    found = (weights @ target.matrix[sides.pairs]).tocsr()
    shares = np.asarray(found[:, columns].todense(), np.float32)
    rates = (np.asarray(target.matrix[sides.pairs][:, columns].sum(0)).ravel() + 0.5) / (len(sides.pairs) + 1)
    scores = ((shares - rates) / np.sqrt(rates * (1 - rates))).astype(np.float32)
    return TargetReading(
        attack=NEAREST,
        columns=columns,
        scores=scores,
        probabilities=shares,
        guessed=_largest(found, target.guesses),
    )


def _largest(found: Any, count: int) -> np.ndarray:
    """[T, count] columns of the largest values of each row of a sparse matrix, those that few texts have among them."""
    best = np.full((found.shape[0], count), -1)
    for row in range(found.shape[0]):
        part = slice(found.indptr[row], found.indptr[row + 1])
        order = np.argsort(-found.data[part], kind="stable")[:count]
        best[row, : len(order)] = found.indices[part][order]
    return best
