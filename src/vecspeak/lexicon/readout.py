"""Read-out: a closed-form map from vectors to the terms of their texts, and the probability that each one stands there.

Two steps, both in closed form or nearly so. Ridge regression from a vector to the 0s and 1s of the terms gives an
estimate y of each term's share. How far y lies above the term's base rate b, in its standard deviations
z = (y - b) / sqrt(b (1 - b)), is turned into a probability by a logistic regression with three weights and an
intercept, fitted on texts that the ridge did not see:

    logit p = w0 + w1 logit b + w2 z + w3 z logit b

Four numbers for all terms together are calibrated where a curve for each term would have too few texts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vecspeak.errors import UserError
from vecspeak.stats import fit_logistic, sigmoid

_BLOCK = 4096
"""Rows in memory at a time."""
_FEW = 256
"""Rows whose terms are all in memory at a time."""
_ABSENT = 2e6
"""Pairs of text and absent term that the calibration is fitted on, of which each stands for some."""
_FEWEST = 20
"""Texts that a calibration needs."""
TRACE = 1e-3
"""Ridge of the logistic regressions: slopes are in the hundreds for a read-out of noise, below 30 where it reads."""
LIFT = 0.25
"""Ranking of terms by p / b^0.25: nearly as precise as by p, and of rarer words, which say more."""
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1e3, 1e4)
"""Of the ridge, in mean eigenvalues of the vectors' gram matrix."""
_JUDGED_TERMS = 400
"""The commonest terms, whose leave-one-out errors choose the penalty."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Readout:
    """Map from vectors of width D to V terms."""

    center: np.ndarray
    """[D] float32 mean of the vectors that it was fitted on."""
    weights: np.ndarray
    """[V, D] int8 ridge weights; times `scales` they are as the ridge gave them, to half a step."""
    scales: np.ndarray
    """[V] float32"""
    rates: np.ndarray
    """[V] float32 share of the fitting texts that have the term (b), smoothed away from 0 and 1."""
    calibration: np.ndarray
    """[4] float64 weights of 1, logit b, z and z logit b."""
    unit: bool = True
    """Whether vectors are brought to length 1 first."""
    basis: np.ndarray | None = None
    """[D, R] float32 directions that the weights are along, then [V, R]; None for those of the vectors themselves."""

    @property
    def dim(self) -> int:
        """Width of the vectors (D)."""
        return len(self.center)

    def table(self) -> np.ndarray:
        """[D, V], or [R, V], float32: what `away` is multiplied by to give z."""
        spread = np.sqrt(self.rates * (1 - self.rates))
        return np.ascontiguousarray(self.weights.T * (self.scales / spread), dtype=np.float32)

    def away(self, vectors: np.ndarray) -> np.ndarray:
        """[N, D] float32 deviations from the center, [N, R] along a basis. Raises UserError for another width."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise UserError(
                f"vectors must be [N, {self.dim}], got {list(vectors.shape)}",
                "use vectors of the space it was fitted on",
            )
        found = (unit_rows(vectors) if self.unit else vectors.astype(np.float32)) - self.center
        return found if self.basis is None else found @ self.basis

    def deviations(self, vectors: np.ndarray) -> np.ndarray:
        """[N, V] float32: z of each term for [N, D] vectors. Raises UserError for another width."""
        # The scale of a term moves from the int8 weights to its column of the result: one product of matrices.
        spread = np.sqrt(self.rates * (1 - self.rates))
        return (self.away(vectors) @ self.weights.T.astype(np.float32)) * (self.scales / spread)

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """[N, V] float32: the probability that a text with this vector has the term."""
        return self.calibrate(self.deviations(vectors))

    def calibrate(self, deviations: np.ndarray) -> np.ndarray:
        """[N, V] float32 probabilities of [N, V] deviations."""
        odds = logit(self.rates.astype(np.float64))
        first, by_rate, by_deviation, both = self.calibration
        logits = deviations * (by_deviation + both * odds).astype(np.float32)
        return sigmoid(logits + (first + by_rate * odds).astype(np.float32))

    def take(self, columns: Sequence[int] | np.ndarray) -> "Readout":
        """The read-out of some of the terms."""
        return replace(
            self, weights=self.weights[columns], scales=self.scales[columns], rates=self.rates[columns]
        )


def low_rank(readout: Readout, rank: int) -> Readout:
    """The read-out along the `rank` directions that z varies most along, which sparse terms need fewer numbers for."""
    if readout.basis is not None or rank >= readout.dim:
        return readout
    table = readout.table().astype(np.float64)  # [D, V], in units of z: rare and common terms count alike
    _, directions = np.linalg.eigh(table @ table.T)
    basis = directions[:, ::-1][:, :rank]
    along = (basis.T @ table).T * np.sqrt(readout.rates * (1 - readout.rates))[:, None]
    scales = np.maximum(np.abs(along).max(1), 1e-12) / 127
    return replace(
        readout,
        basis=np.ascontiguousarray(basis, np.float32),
        weights=np.ascontiguousarray(np.rint(along / scales[:, None]), np.int8),
        scales=scales.astype(np.float32),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RidgeFit:
    """A read-out, not calibrated yet, and what takes a row out of its own prediction."""

    readout: Readout
    leverages: np.ndarray
    """[N] share of each row in its own prediction, but for its 1/N of the base rate: without that one the base rate of
    the others would be a little higher for what has no term, which a calibration takes for a sign of it."""
    penalty: float
    """In mean eigenvalues."""

    def left_out(self, vectors: np.ndarray, terms: Any, rows: np.ndarray) -> np.ndarray:
        """[R, V] z of the given rows of the fitting data, each by the map of all other rows."""
        readout = self.readout
        found = readout.deviations(vectors[rows])
        spread = np.sqrt(readout.rates * (1 - readout.rates))
        own = (np.asarray(terms[rows].todense(), np.float32) - readout.rates) / spread
        share = self.leverages[rows, None].astype(np.float32)
        return (found - share * own) / (1 - share)


def fit_ridge(
    vectors: np.ndarray,
    terms: Any,
    *,
    penalties: Sequence[float] = PENALTIES,
    units: Sequence[bool] = (True,),
) -> RidgeFit:
    """Ridge from [N, D] vectors to the [N, V] sparse 0s and 1s of their terms, in blocks of rows.

    The penalty, and whether vectors are brought to length 1 first, are those of the least leave-one-out error over the
    commonest terms.
    """
    counts = np.asarray(terms.sum(0), np.float64).ravel()
    common = np.argsort(-np.where(counts < len(vectors), counts, 0), kind="stable")[:_JUDGED_TERMS]
    tried = [_decomposed(vectors, terms, counts, unit) for unit in units]
    errors = [
        (_left_out_error(one, vectors, terms, counts, common, penalty), number, penalty)
        for number, one in enumerate(tried)
        for penalty in penalties
    ]
    _, number, penalty = min(errors)
    one = tried[number]
    shrunk = 1 / (one.values + penalty * one.mean_value)
    weights = (one.vectors @ (shrunk[:, None] * one.cross)).T
    scales = np.maximum(np.abs(weights).max(1), 1e-12) / 127
    readout = Readout(
        center=one.center,
        weights=np.ascontiguousarray(np.rint(weights / scales[:, None]), np.int8),
        scales=scales.astype(np.float32),
        rates=((counts + 0.5) / (len(vectors) + 1)).astype(np.float32),
        calibration=np.array([0.0, 1.0, 0.0, 0.0]),
        unit=units[number],
    )
    leverages = np.concatenate([
        (one.along(vectors[part]) ** 2) @ shrunk for part in _blocks(len(vectors))
    ])  # fmt: skip
    return RidgeFit(readout=readout, leverages=np.minimum(leverages, 0.999), penalty=penalty)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Decomposed:
    unit: bool
    center: np.ndarray
    values: np.ndarray
    """[R] eigenvalues of the gram."""
    vectors: np.ndarray
    """[D, R]"""
    cross: np.ndarray
    """[R, V] products with the terms along the eigenvectors."""

    @property
    def mean_value(self) -> float:
        return max(float(self.values.mean()), 1e-12)

    def along(self, vectors: np.ndarray) -> np.ndarray:
        away = (unit_rows(vectors) if self.unit else vectors) - self.center
        return away.astype(np.float64) @ self.vectors


def _decomposed(vectors: np.ndarray, terms: Any, counts: np.ndarray, unit: bool) -> _Decomposed:
    prepare = unit_rows if unit else np.asarray
    blocks = _blocks(len(vectors))
    center = sum(prepare(vectors[part]).sum(0, dtype=np.float64) for part in blocks) / len(vectors)
    center = center.astype(np.float32)
    gram = np.zeros((len(center), len(center)))
    cross = np.zeros((len(center), terms.shape[1]))
    total = np.zeros(len(center))
    for part in blocks:
        away = (prepare(vectors[part]) - center).astype(np.float64)
        gram += away.T @ away
        cross += np.asarray((terms[part].T @ away).T)
        total += away.sum(0)
    cross -= np.outer(total, counts / len(vectors))
    values, directions = np.linalg.eigh(gram)
    return _Decomposed(
        unit=unit, center=center, values=np.maximum(values, 0), vectors=directions, cross=directions.T @ cross
    )


def _left_out_error(
    one: _Decomposed, vectors: np.ndarray, terms: Any, counts: np.ndarray, common: np.ndarray, penalty: float
) -> float:
    """Mean squared error of the terms, in their variances, each row by the map of all others; of some rows."""
    shrunk = 1 / (one.values + penalty * one.mean_value)
    rows = np.sort(np.random.default_rng(0).permutation(len(vectors))[:_BLOCK])
    along = one.along(vectors[rows])
    share = (along**2) @ shrunk + 1 / len(vectors)
    rates = counts[common] / len(vectors)
    away = np.asarray(terms[rows][:, common].todense()) - rates
    left = away - (along * shrunk) @ one.cross[:, common]
    errors = (left / np.maximum(1 - share, 1e-3)[:, None]) ** 2
    return float((errors.mean(0) / np.maximum(rates * (1 - rates), 1e-12)).mean())


def fit_readout(
    vectors: np.ndarray, terms: Any, calibration_vectors: np.ndarray, calibration_terms: Any,
    *, penalties: Sequence[float] = PENALTIES, seed: int = 0,
) -> Readout:  # fmt: skip
    """Fit on [N, D] vectors and the [N, V] sparse 0s and 1s of their terms; calibrate on others.

    Raises UserError when there are fewer than 20 texts to calibrate on.
    """
    found = fit_ridge(vectors, terms, penalties=penalties).readout
    return calibrated(found, calibration_vectors, calibration_terms, seed=seed)


def calibrated(readout: Readout, vectors: np.ndarray, terms: Any, *, seed: int = 0) -> Readout:
    """The same read-out with probabilities that fit these texts, none of which it was fitted on."""
    _check_enough(len(vectors))
    parts = ((readout.deviations(vectors[part]), terms[part]) for part in _blocks(len(vectors), _FEW))
    return _calibrated(readout, parts, len(vectors), seed)


def calibrated_on_own(
    fit: RidgeFit, vectors: np.ndarray, terms: Any, *, most: int = 5000, seed: int = 0
) -> Readout:
    """The same on texts that it was fitted on, each by the map of all others."""
    _check_enough(len(vectors))
    rows = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:most])
    drawn = [rows[part] for part in _blocks(len(rows), _FEW)]
    return _calibrated(
        fit.readout, ((fit.left_out(vectors, terms, one), terms[one]) for one in drawn), len(rows), seed
    )


def _check_enough(count: int) -> None:
    if count < _FEWEST:
        raise UserError(
            f"{count} texts are too few to calibrate on; at least {_FEWEST} are needed", "give more texts"
        )


def _calibrated(readout: Readout, parts: Iterable[tuple[np.ndarray, Any]], count: int, seed: int) -> Readout:
    rng = np.random.default_rng(seed)
    share = min(1.0, _ABSENT / (count * len(readout.rates)))
    all_odds = logit(readout.rates.astype(np.float64))
    features, answers = [], []
    for deviations, terms in parts:
        has = np.asarray(terms.todense()) > 0
        drawn = has | (rng.random(has.shape, np.float32) < share)
        odds, z = np.broadcast_to(all_odds, has.shape)[drawn], deviations[drawn]
        features.append(np.stack([np.ones_like(odds), odds, z, z * odds], axis=-1))
        answers.append(has[drawn])
    x, y = np.concatenate(features), np.concatenate(answers)
    return replace(readout, calibration=fit_logistic(x, y, np.where(y, 1.0, 1 / share), penalty=TRACE))


def _blocks(count: int, size: int = _BLOCK) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """[N, D] float32 rows of length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def logit(shares: np.ndarray) -> np.ndarray:
    """Log odds of shares strictly between 0 and 1."""
    return np.log(shares) - np.log1p(-shares)
