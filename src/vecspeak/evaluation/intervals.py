"""Intervals: the bootstrap over entities. Knows numbers only."""

from dataclasses import dataclass

import numpy as np

_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95% interval."""

    value: float
    low: float
    high: float


def estimate(values: np.ndarray, weights: np.ndarray | None = None, *, seed: int = 0) -> Estimate:
    """Weighted mean of one number an entity, with a percentile bootstrap over entities (2,000 resamples).

    Weights are for rates such as a loss a token: the sum of losses over the sum of tokens, both resampled.
    """
    weights = np.ones(len(values)) if weights is None else weights.astype(float)
    counts = np.random.default_rng(seed).multinomial(
        len(values), np.full(len(values), 1 / len(values)), _RESAMPLES
    )
    means = (counts @ (values * weights)) / np.maximum(counts @ weights, 1e-12)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float((values * weights).sum() / weights.sum()), float(low), float(high))


def median_estimate(values: np.ndarray, *, seed: int = 0) -> Estimate:
    """Median of one number an entity, with the same bootstrap."""
    draws = np.random.default_rng(seed).integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.percentile(np.median(values[draws], axis=1), [2.5, 97.5])
    return Estimate(float(np.median(values)), float(low), float(high))
