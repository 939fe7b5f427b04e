"""Align: fit the map from a new space into the reader's vectors by ridge regression.

No gradient steps, no GPU. Knows vectors of items and of their texts. Knows nothing of language models.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecspeak.alignment import Alignment, unit
from vecspeak.errors import UserError

_PENALTIES = tuple(10.0 ** np.arange(-1, 6.5, 0.5))
_MIN_ITEMS = 20
_MAX_GAIN = 3.0
"""Above it a map that predicts almost nothing would be turned into confident noise."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A fitted map and how well it does on items that it was not fitted on."""

    alignment: Alignment
    report: dict[str, Any]
    """Penalty, whether vectors are brought to length 1 first, and how many items it was fitted on."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    score: float
    penalty: float
    unit: bool


def _statistics(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    center = vectors.mean(0)
    return center, float(max((vectors - center).std(), 1e-12))


def _ridge(inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Weights, offset, penalty and its leave-one-out score; one penalty for all outputs."""
    from sklearn.linear_model import RidgeCV

    model = RidgeCV(alphas=_PENALTIES, scoring=None).fit(inputs, targets)
    return model.coef_.T, model.intercept_, float(model.alpha_), float(model.best_score_)


def _candidate(vectors: np.ndarray, targets: np.ndarray, use_unit: bool) -> _Candidate:
    vectors = unit(vectors) if use_unit else vectors
    center, spread = _statistics(vectors)
    _, _, penalty, score = _ridge((vectors - center) / spread, targets)
    return _Candidate(score, penalty, use_unit)


def _gain(predicted: np.ndarray, wanted: np.ndarray) -> float:
    """What spreads the predictions [N, T] around their mean as widely as the texts' own vectors are.

    Ridge shrinks towards the mean, where the reader was never trained: it answers better, and says more, when
    mapped vectors lie where real ones do. At least 1, at most 3.
    """
    ratio = np.sqrt((wanted**2).sum() / max(float((predicted**2).sum()), 1e-12))
    return float(np.clip(ratio, 1.0, _MAX_GAIN))


def fit_alignment(vectors: np.ndarray, targets: np.ndarray, users: np.ndarray | None = None) -> Fit:
    """Ridge from [N, D] vectors to [N, T] text vectors.

    The penalty, and whether vectors are first brought to length 1, are chosen by leave-one-out error.
    Raises UserError when fewer than 20 items have texts.
    """
    if len(vectors) < _MIN_ITEMS:
        raise UserError(
            f"only {len(vectors)} items have a text; at least {_MIN_ITEMS} are needed to map a space",
            "give texts for more items with --text",
        )
    best = max((_candidate(vectors, targets, use_unit) for use_unit in (False, True)), key=lambda c: c.score)
    prepared = unit(vectors) if best.unit else vectors
    center, spread = _statistics(prepared)
    inputs = (prepared - center) / spread
    matrix, offset, penalty, _ = _ridge(inputs, targets)
    gain = _gain(inputs @ matrix, targets - offset)
    user_center, user_spread = None, 1.0
    if users is not None:
        mean, user_spread = _statistics(unit(users) if best.unit else users)
        user_center = mean.astype(np.float32)
    alignment = Alignment(
        dim=vectors.shape[1],
        encoder_dim=targets.shape[1],
        unit=best.unit,
        center=center.astype(np.float32),
        spread=spread,
        user_center=user_center,
        user_spread=user_spread,
        matrix=matrix.astype(np.float32),
        offset=np.asarray(offset, dtype=np.float32),
        gain=gain,
    )
    report = {"penalty": penalty, "unit": best.unit, "gain": gain, "items": len(vectors)}
    return Fit(alignment=alignment, report=report)


def held_out_report(fit: Fit, vectors: np.ndarray, targets: np.ndarray, offset: np.ndarray) -> dict[str, Any]:
    """How well the map does on [M, D] vectors and [M, T] text vectors that it was not fitted on.

    Mean cosine with the right text, beside that of always giving `offset` [T], the mean text; and where the
    right text ranks among the M texts: the median in percent, and how often among the ten nearest. This is
    of the plain prediction, without gain: it tells what the vectors carry, not how boldly they are read.
    """
    if not len(vectors):
        return {"items": 0}
    mapped = dataclasses.replace(fit.alignment, gain=1.0)(vectors)
    scores = mapped @ targets.T
    right = np.diag(scores)
    ranks = (scores > right[:, None]).sum(1)
    return {
        "items": len(vectors),
        "cosine": float(right.mean()),
        "cosine_of_mean": float((targets @ unit(offset)).mean()),
        "median_rank_percent": float(np.median(ranks) / max(len(targets) - 1, 1) * 100),
        "recall_at_10": float((ranks < 10).mean()),
    }
