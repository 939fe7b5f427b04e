"""Estimates with bootstrap intervals over entities, and paired differences."""

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
import numpy as np

Statistic = Literal["mean", "median"]
Finite = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
"""A number that is neither NaN nor infinite, when it is read from a file."""
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95% interval.

    >>> f"{Estimate(0.61, 0.6, 0.62):.2f}"
    '0.61 [0.60, 0.62]'
    """

    value: Finite
    low: Finite
    high: Finite

    def __format__(self, form: str) -> str:
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]" if form else str(self)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One number per entity, in the order of the entities; what every estimate is made of."""

    values: np.ndarray
    """[N] float; values whose weight is 0 do not count."""
    weights: np.ndarray | None = None
    """[N] how much each counts, for rates such as a loss per token; None: all the same."""

    @property
    def counted(self) -> np.ndarray:
        """[N] the weights as numbers."""
        return np.ones(len(self.values)) if self.weights is None else self.weights.astype(float)

    def estimate(self, statistic: Statistic = "mean", *, seed: int = 0) -> Estimate | None:
        """The mean or the median with its interval; None where nothing counts."""
        if not self.counted.any():
            return None
        if statistic == "median":
            return median_estimate(self.values[self.counted > 0], seed=seed)
        return estimate(self.values, self.weights, seed=seed)


@lru_cache(maxsize=2)
def _resamples(count: int, seed: int) -> np.ndarray:
    """[2000, N] how often each entity is drawn; the same for every measure of a set, so it is made once."""
    # Counts say all that a mean needs of a resample: [2000, N] counts times [N] values are 2,000 means at once.
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    return drawn.astype(float)


def _interval(value: float, drawn: np.ndarray) -> Estimate:
    # A resample in which nothing counts has no statistic, and is no 0.
    low, high = np.percentile(drawn[np.isfinite(drawn)], [2.5, 97.5])
    return Estimate(float(value), float(low), float(high))


def _means(values: np.ndarray, weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    retained = np.where(weights > 0, values, 0.0)
    total = counts @ weights
    return np.divide(counts @ (retained * weights), total, out=np.full(len(counts), np.nan), where=total > 0)


def _medians(series: "Series", draws: np.ndarray) -> np.ndarray:
    """[R] median of what counts in each of [R, N] resamples; NaN where nothing does."""
    counted = series.counted > 0
    if counted.all():
        return np.median(series.values[draws], axis=1)
    drawn = np.where(counted, series.values, np.nan)[draws]
    some = np.isfinite(drawn).any(1)
    found = np.full(len(draws), np.nan)
    found[some] = np.nanmedian(drawn[some], axis=1)
    return found


def estimate(values: np.ndarray, weights: np.ndarray | None = None, *, seed: int = 0) -> Estimate:
    """Weighted mean of one number an entity, with a percentile bootstrap over entities (2,000 resamples).

    Weights are for rates such as a loss a token: the sum of losses over the sum of tokens, both resampled.
    Raises ValueError where nothing counts.
    """
    weights = np.ones(len(values)) if weights is None else weights.astype(float)
    if not weights.any():
        raise ValueError("nothing counts, so there is nothing to estimate")
    whole = _means(values, weights, np.ones((1, len(values))))[0]
    return _interval(whole, _means(values, weights, _resamples(len(values), seed)))


def median_estimate(values: np.ndarray, *, seed: int = 0) -> Estimate:
    """Median of one number an entity, with the same bootstrap."""
    draws = np.random.default_rng(seed).integers(len(values), size=(_RESAMPLES, len(values)))
    return _interval(float(np.median(values)), np.median(values[draws], axis=1))


def share(found: int, count: int) -> Estimate:
    """A share with the interval of Clopper and Pearson, exact for few; of nothing it may be anything.

    >>> f"{share(7, 14):.0%}", f"{share(0, 0):.0%}"
    ('50% [23%, 77%]', 'nan% [0%, 100%]')
    """
    from scipy.stats import binomtest

    if not count:
        return Estimate(float("nan"), 0.0, 1.0)
    interval = binomtest(found, count).proportion_ci()
    return Estimate(found / count, float(interval.low), float(interval.high))


def difference(
    first: Series, second: Series, statistic: Statistic = "mean", *, seed: int = 0
) -> Estimate | None:
    """First minus second, paired: both are resampled by the same entities. None where either counts nothing.

    A median is the difference of the two medians. Raises ValueError when they are not of equally many entities.
    """
    if len(first.values) != len(second.values):
        raise ValueError(f"{len(first.values)} values cannot be paired with {len(second.values)}")
    if not (first.counted.any() and second.counted.any()):
        return None
    if statistic == "median":
        draws = np.random.default_rng(seed).integers(len(first.values), size=(_RESAMPLES, len(first.values)))
        drawn = [_medians(series, draws) for series in (first, second)]
        itself = np.arange(len(first.values))[None]
        return _interval((_medians(first, itself) - _medians(second, itself))[0], drawn[0] - drawn[1])
    # The same resamples for both: what makes an entity easy or hard is in both means, and falls out of the difference.
    counts = _resamples(len(first.values), seed)
    drawn = [_means(series.values, series.counted, counts) for series in (first, second)]
    once = np.ones((1, len(first.values)))
    whole = [_means(series.values, series.counted, once)[0] for series in (first, second)]
    return _interval(whole[0] - whole[1], drawn[0] - drawn[1])


def auc(scores: np.ndarray, truth: np.ndarray) -> float | None:
    """Chance that something true has a higher score than something that is not; equal scores count half.

    None where all is true, or nothing.

    >>> auc(np.array([0.9, 0.4, 0.4]), np.array([True, True, False]))
    0.75
    """
    from scipy.stats import rankdata  # what only reads estimates needs no scipy

    ranks, positives = rankdata(scores), int(truth.sum())
    if not 0 < positives < len(truth):
        return None
    above = ranks[truth].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(truth) - positives)))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return 1 / (1 + np.exp(-np.clip(x, -40, 40)))


def fit_logistic(x: np.ndarray, y: np.ndarray, weights: np.ndarray, *, penalty: float = 1e-6) -> np.ndarray:
    """[F] weights of a logistic regression of y [N] (0 or 1, each counted `weights` times) on x [N, F].

    Newton's method; `penalty` times half the squared weights is added to the loss, which keeps every step defined.

    >>> fit_logistic(np.ones((4, 1)), np.array([0, 1, 1, 1]), np.ones(4)).round(3)    # log(3/1)
    array([1.099])
    """
    found = np.zeros(x.shape[1])
    for _ in range(50):
        p = sigmoid(x @ found)
        gradient = x.T @ (weights * (p - y)) + penalty * found
        curvature = (x * (weights * p * (1 - p))[:, None]).T @ x + penalty * np.eye(x.shape[1])
        step = np.linalg.solve(curvature, gradient)
        found -= step
        if np.abs(step).max() < 1e-9:
            break
    return found
