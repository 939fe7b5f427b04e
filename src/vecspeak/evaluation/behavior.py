"""Behaviour: whether an answer ranks users as its vector does, and how much of the truth its text vector explains.

Knows arrays only. Shape letters: M training entities, N entities, U others (users for items, items for users),
D width of the behavioural space, T width of text vectors.
"""

from dataclasses import dataclass

import numpy as np

from vecspeak.evaluation.intervals import Series

MOST_OTHERS = 5000
"""More users or items than these are sampled from: the ranks of so many say enough."""
_BLOCK_SCORES = 2_000_000
_ROUNDING = 1e-9
"""A truth that lies nearer to the mean than this share of its squared length lies on it, but for float32's rounding."""
_PENALTIES = np.logspace(-4, 4, 17)
"""Multiples of the number of training entities times the mean variance of a number of the text vectors."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictor:
    """Behavioural vectors predicted from text vectors, by ridge regression."""

    weights: np.ndarray
    """[T, D]."""
    offset: np.ndarray
    """[D] what is predicted for the zero vector."""
    penalty: float
    """The penalty that predicted best."""

    def predict(self, text_vectors: np.ndarray) -> np.ndarray:
        """[N, T] text vectors to [N, D] behavioural vectors."""
        return text_vectors @ self.weights + self.offset


def fit_predictor(text_vectors: np.ndarray, vectors: np.ndarray) -> Predictor:
    """Ridge from text vectors [M, T] to behavioural vectors [M, D], both of training entities only.

    The mean is not penalised. One penalty for all D numbers is chosen by leave-one-out error among 17, which
    grow with the text vectors' variance, so that their scale does not matter. Raises ValueError for fewer than
    two entities.
    """
    from sklearn.linear_model import RidgeCV

    if len(text_vectors) < 2:
        raise ValueError(f"a predictor needs 2 training entities or more, got {len(text_vectors)}")
    given, wanted = text_vectors.astype(np.float64), vectors.astype(np.float64)
    scale = len(given) * given.var(axis=0).mean()
    ridge = RidgeCV(alphas=_PENALTIES * (scale or 1.0)).fit(given, wanted)
    return Predictor(
        weights=ridge.coef_.reshape(wanted.shape[1], -1).T,
        offset=np.asarray(ridge.intercept_, dtype=np.float64).reshape(-1),
        penalty=float(ridge.alpha_),
    )


def behavioral_consistency(
    predictor: Predictor,
    answer_vectors: np.ndarray,
    vectors: np.ndarray,
    others: np.ndarray,
    *,
    seed: int = 0,
) -> np.ndarray:
    """[N] Spearman rank correlation, over the others [U, D], of two scores by inner product.

    One is of the behavioural vector that is predicted from an answer's text vector [N, T], the other of the
    entity's true vector [N, D]: 1 where both rank all others alike, -1 where in reverse, and 0 where either gives
    all the same score. Above 5,000 others, 5,000 are drawn by the seed.
    """
    if len(others) > MOST_OTHERS:
        others = others[np.random.default_rng(seed).choice(len(others), MOST_OTHERS, replace=False)]
    users = others.astype(np.float64).T
    predicted = predictor.predict(answer_vectors.astype(np.float64))
    found = np.zeros(len(vectors))
    step = max(1, _BLOCK_SCORES // max(1, users.shape[1]))
    for start in range(0, len(vectors), step):
        block = slice(start, start + step)
        found[block] = _spearman(predicted[block] @ users, vectors[block].astype(np.float64) @ users)
    return found


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[N] rank correlation of each row [N, U] with its fellow; equal scores share their mean rank."""
    one, other = _unit_ranks(first), _unit_ranks(second)
    return np.clip((one * other).sum(axis=1), -1, 1)


def _unit_ranks(scores: np.ndarray) -> np.ndarray:
    """[N, U] ranks of each row about their mean, at length 1; zeros where all scores of a row are equal."""
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=1) - (scores.shape[1] + 1) / 2
    spread = np.ptp(scores, axis=1) > 1e-12 * np.abs(scores).max(axis=1)  # less is rounding
    return np.where(spread[:, None], ranks, 0) / np.maximum(
        np.linalg.norm(ranks, axis=1, keepdims=True), 1e-12
    )


def variance_explained(answer_vectors: np.ndarray, truth: np.ndarray, mean: np.ndarray) -> Series:
    """Fraction of variance explained: how much nearer answers [N, T] are to the truth [N, T] than `mean` [T] is.

    1 - sum |answer - truth|^2 / sum |mean - truth|^2, both sums over all entities. An entity's own fraction
    weighs as much as its truth lies from the mean, so that the weighted mean is that of all. 1 is perfect, and 0
    is as good as the mean. It is negative where answers are farther from the truth than the mean is; for unit
    vectors whose mean is short that is below a cosine of about one half, since |answer - truth|^2 is then
    2 - 2 cos against a variance of nearly 1. So a fair answer by its cosine can score under 0. Where all truths are
    one text there is no variance to explain, and nothing counts.
    """
    wrong = ((answer_vectors.astype(np.float64) - truth) ** 2).sum(axis=1)
    varies = ((truth.astype(np.float64) - mean) ** 2).sum(axis=1)
    varies = np.where(varies > _ROUNDING * (truth.astype(np.float64) ** 2).sum(axis=1), varies, 0)
    return Series(np.where(varies > 0, 1 - wrong / np.where(varies > 0, varies, 1), 0), varies)
