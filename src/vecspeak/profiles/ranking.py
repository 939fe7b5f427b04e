"""Ranking: how often what a person liked stands above what they disliked (the area under the ROC curve), and how sure.

Knows numbers and names of items. Knows no vectors, texts or models. Shape letters: P liked, N disliked, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.evaluation.intervals import Estimate

CHANCE = 0.5
"""What any order reaches that knows nothing."""
_RESAMPLES = 2000
_ROUNDING = 1e-9
"""Scores that differ by less, as a share of the largest, are a tie."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Order:
    """One order of what was hidden in one draw."""

    liked: tuple[str, ...]
    disliked: tuple[str, ...]
    wins: np.ndarray
    """[P, N] 1 where the liked one stands higher, 0 where the disliked one does, one half for a tie."""

    @property
    def auc(self) -> float:
        """Share of the pairs that stand as they should."""
        return float(self.wins.mean())


def order_of(liked: Sequence[str], disliked: Sequence[str], scores: np.ndarray) -> Order:
    """The order by scores [P + N], of the liked first and then of the disliked."""
    gaps = scores[: len(liked), None] - scores[None, len(liked) :]
    room = _ROUNDING * max(float(np.abs(scores).max()), 1e-30)
    wins = np.where(np.abs(gaps) <= room, 0.5, (gaps > 0).astype(float))
    return Order(liked=tuple(liked), disliked=tuple(disliked), wins=wins)


def auc_over_draws(orders: Sequence[Order]) -> float:
    """Mean over the draws of one person."""
    return float(np.mean([order.auc for order in orders]))


def resampled(orders: Sequence[Order], *, seed: int = 0) -> np.ndarray:
    """[R] the same for resamples of the person's items, liked and disliked apart; NaN where no pair is drawn.

    Draws hide partly the same items, so an item is drawn once for all of them. The same draws of items and the same
    seed give the same resamples, so that two orders are compared pair by pair.
    """
    rng = np.random.default_rng(seed)
    liked = _weights({item for order in orders for item in order.liked}, rng)
    disliked = _weights({item for order in orders for item in order.disliked}, rng)
    found = np.full((len(orders), _RESAMPLES), np.nan)
    for row, order in enumerate(orders):
        over = np.stack([liked[item] for item in order.liked], axis=1)
        under = np.stack([disliked[item] for item in order.disliked], axis=1)
        pairs = over.sum(1) * under.sum(1)
        won = np.einsum("rp,pn,rn->r", over, order.wins, under, optimize=True)
        found[row] = np.divide(won, pairs, out=np.full(_RESAMPLES, np.nan), where=pairs > 0)
    some = np.isfinite(found).any(0)
    means = np.full(_RESAMPLES, np.nan)
    means[some] = np.nanmean(found[:, some], axis=0)
    return means


def interval_of(value: float, drawn: np.ndarray) -> Estimate:
    """The value with the middle 95% of what resamples gave."""
    low, high = np.percentile(drawn[np.isfinite(drawn)], [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def _weights(items: set[str], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """How often each item is drawn in each resample: [R] by item."""
    names = sorted(items)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), _RESAMPLES).astype(float)
    return {item: counts[:, place] for place, item in enumerate(names)}
