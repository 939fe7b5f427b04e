"""Calibration: what a direction's score is worth next to chance, refits and random directions."""

import math

import numpy as np

from vecspeak.errors import UserError
from vecspeak.points.concept import Chance, Score, Stability, Variance
from vecspeak.points.estimators import NUM_FOLDS, Estimator, Outcomes, Standardizer

SHUFFLES = 20
"""Fits to shuffled labels, and refits to bootstrap samples."""

MOST_ITEMS = 10_000
"""Above so many items all of this is measured on a sample: fewer items are more cautious, never less."""

_NUM_RESAMPLES = 1000
_RANDOM_DIRECTIONS = 200
FOLDED = math.sqrt(1 + NUM_FOLDS / (NUM_FOLDS - 1))
"""How much wider the interval of examples is than resampling held-out scores makes it.

Folds share training items, so their scores vary together, which resampling does not see (the variance of
Nadeau and Bengio 2003). On shuffled labels the plain interval covered 0.5 in 82 to 87% of runs, this one in
92 to 95%. Pairs need none of it: resampling the items that pairs share is wide enough, and covered 0.5 in 150 of 160
runs on shuffled items.
"""


def score(outcomes: Outcomes, seed: int, *, stretch: float = 1.0) -> Score:
    """The score with its 95% interval: items are drawn again and again, and the spread is stretched."""
    drawn = outcomes.drawn(np.random.default_rng(seed), _NUM_RESAMPLES)
    value = outcomes.value
    # The ends move away from the value by the stretch; an end that crossed it (few resamples) goes back to it.
    low, high = value + stretch * (np.percentile(drawn, [2.5, 97.5]) - value)
    low, high = min(float(low), value), max(float(high), value)
    return Score(value=value, low=max(low, 0.0), high=min(high, 1.0))


def chance(estimator: Estimator, seed: int) -> Chance:
    """The same fit with the same cross-validation where there is nothing to find, twenty times."""
    # Not 0.5: with few items, or folds that are not alike, even shuffled labels score off it, and by how much is
    # what a score must beat.
    rng = np.random.default_rng(seed)
    scores = [estimator.shuffled(rng).outcomes(seed).value for _ in range(SHUFFLES)]
    return chance_of(np.array(scores))


def chance_of(scores: np.ndarray) -> Chance:
    """From [S] scores of fits to nothing."""
    return Chance(mean=float(scores.mean()), high=float(np.percentile(scores, 95)), draws=len(scores))


def stability(
    estimator: Estimator, standardizer: Standardizer, direction: np.ndarray, seed: int
) -> Stability:
    """Cosine of a direction [D] with twenty refits to bootstrap samples of the items."""
    rng = np.random.default_rng(seed)
    cosines = np.array([_cosine(estimator.resampled(rng), standardizer, direction) for _ in range(SHUFFLES)])
    return Stability(mean=float(cosines.mean()), low=float(np.percentile(cosines, 5)), refits=SHUFFLES)


def _cosine(estimator: Estimator, standardizer: Standardizer, direction: np.ndarray) -> float:
    try:
        return float(standardizer.direction(estimator.weights()) @ direction)
    except UserError:  # what was drawn says nothing, which is as unstable as can be
        return 0.0


def variance(vectors: np.ndarray, direction: np.ndarray, seed: int) -> Variance:
    """How much of the variance of vectors [N, D] lies along a direction [D], beside random directions."""
    # Random directions are the yardstick: in a space with a few strong dimensions any direction catches more than 1/D.
    rng = np.random.default_rng(seed)
    if len(vectors) > MOST_ITEMS:
        vectors = vectors[np.sort(rng.choice(len(vectors), MOST_ITEMS, replace=False))]
    total = float(vectors.var(0, dtype=np.float64).sum())
    others = rng.standard_normal((vectors.shape[1], _RANDOM_DIRECTIONS))
    others /= np.linalg.norm(others, axis=0)
    shares = (vectors @ np.column_stack([direction, others])).var(0) / max(total, 1e-300)
    return Variance(
        share=float(shares[0]),
        random=float(shares[1:].mean()),
        random_high=float(np.percentile(shares[1:], 95)),
    )
