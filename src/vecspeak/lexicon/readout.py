"""Read-out: a closed-form map from vectors to the terms of their texts, and the probability that each one stands there.

Two steps, both in closed form or nearly so. Ridge regression from a vector to the 0s and 1s of the terms gives an
estimate y of each term's share. How far y lies above the term's base rate b, in its standard deviations
z = (y - b) / sqrt(b (1 - b)), is turned into a probability by a logistic regression with three weights and an
intercept, fitted on texts that the ridge did not see:

    logit p = w0 + w1 logit b + w2 z + w3 z logit b

Four numbers for all terms together are calibrated where a curve for each term would have too few texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecspeak.errors import UserError
from vecspeak.stats import fit_logistic, sigmoid

_BLOCK = 4096
"""Rows in memory at a time."""
_NEGATIVES = 0.1
"""Share of the pairs of text and absent term that the calibration is fitted on; each stands for ten."""
_FEWEST = 20
"""Texts that a calibration needs."""
LIFT = 0.25
"""Ranking of terms by p / b^0.25: nearly as precise as by p, and of rarer words, which say more."""


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

    @property
    def dim(self) -> int:
        """Width of the vectors (D)."""
        return len(self.center)

    def deviations(self, vectors: np.ndarray) -> np.ndarray:
        """[N, V] float32: z of each term. Vectors are [N, D], of any length. Raises UserError for another width."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise UserError(
                f"vectors must be [N, {self.dim}], got {list(vectors.shape)}",
                "use vectors of the space it was fitted on",
            )
        away = _unit(vectors) - self.center
        # The scale of a term moves from the int8 weights to its column of the result: one product of matrices.
        spread = np.sqrt(self.rates * (1 - self.rates))
        return (away @ self.weights.T.astype(np.float32)) * (self.scales / spread)

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """[N, V] float32: the probability that a text with this vector has the term."""
        return sigmoid(_features(self.deviations(vectors), self.rates) @ self.calibration).astype(np.float32)

    def take(self, columns: Sequence[int] | np.ndarray) -> "Readout":
        """The read-out of some of the terms."""
        return Readout(
            center=self.center, weights=self.weights[columns], scales=self.scales[columns],
            rates=self.rates[columns], calibration=self.calibration,
        )  # fmt: skip


def fit_readout(
    vectors: np.ndarray, terms: Any, calibration_vectors: np.ndarray, calibration_terms: Any,
    *, penalty: float = 1.0, seed: int = 0,
) -> Readout:  # fmt: skip
    """Fit on [N, D] vectors and the [N, V] sparse 0s and 1s of their terms; calibrate on others.

    Raises UserError when there are fewer than 20 texts to calibrate on.
    """
    center = np.mean([_unit(vectors[part]).mean(0) for part in _blocks(len(vectors))], axis=0).astype(
        np.float32
    )
    counts = np.asarray(terms.sum(0), np.float64).ravel()
    rates = (counts + 0.5) / (len(vectors) + 1)
    gram = np.zeros((len(center), len(center)))
    cross = np.zeros((len(center), terms.shape[1]))
    total = np.zeros(len(center))
    for part in _blocks(len(vectors)):
        away = (_unit(vectors[part]) - center).astype(np.float64)
        gram += away.T @ away
        cross += np.asarray((terms[part].T @ away).T)
        total += away.sum(0)
    cross -= np.outer(total, counts / len(vectors))
    weights = np.linalg.solve(gram + penalty * np.eye(len(center)), cross).T
    scales = np.maximum(np.abs(weights).max(1), 1e-12) / 127
    found = Readout(
        center=center,
        weights=np.ascontiguousarray(np.rint(weights / scales[:, None]), np.int8),
        scales=scales.astype(np.float32),
        rates=rates.astype(np.float32),
        calibration=np.array([0.0, 1.0, 0.0, 0.0]),
    )
    return calibrated(found, calibration_vectors, calibration_terms, seed=seed)


def calibrated(readout: Readout, vectors: np.ndarray, terms: Any, *, seed: int = 0) -> Readout:
    """The same read-out with probabilities that fit these texts, none of which it was fitted on."""
    if len(vectors) < _FEWEST:
        raise UserError(
            f"{len(vectors)} texts are too few to calibrate on; at least {_FEWEST} are needed",
            "give more texts",
        )
    rng = np.random.default_rng(seed)
    features, answers = [], []
    for part in _blocks(len(vectors)):
        has = np.asarray(terms[part].todense()) > 0
        drawn = has | (rng.random(has.shape) < _NEGATIVES)
        features.append(_features(readout.deviations(vectors[part]), readout.rates)[drawn])
        answers.append(has[drawn])
    x, y = np.concatenate(features), np.concatenate(answers)
    weights = fit_logistic(x, y, np.where(y, 1.0, 1 / _NEGATIVES))
    return Readout(
        center=readout.center, weights=readout.weights, scales=readout.scales, rates=readout.rates,
        calibration=weights,
    )  # fmt: skip


def _blocks(count: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, count, _BLOCK)]


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def logit(shares: np.ndarray) -> np.ndarray:
    """Log odds of shares strictly between 0 and 1."""
    return np.log(shares) - np.log1p(-shares)


def _features(deviations: np.ndarray, rates: np.ndarray) -> np.ndarray:
    odds = np.broadcast_to(logit(rates.astype(np.float64)), deviations.shape)
    return np.stack([np.ones_like(odds), odds, deviations, deviations * odds], axis=-1)
