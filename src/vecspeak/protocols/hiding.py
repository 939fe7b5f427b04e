"""Hiding a part of a person's ratings, and the order in which something puts what was hidden."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.errors import UserError
from vecspeak.stats import Estimate

FEWEST = 3
"""Items on either side of a person's mean that are hidden, and that are kept, at the least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutSplit:
    """One draw: what was kept and what was hidden."""

    shown: Mapping[str, float]
    hidden: Mapping[str, float]
    liked: tuple[str, ...]
    """Of the hidden, those over the mean of all that the person rated."""
    disliked: tuple[str, ...]
    """Of the hidden, those under it; what lies on it is neither."""


def mean_of(ratings: Mapping[str, float]) -> float:
    """The person's own mean."""
    return sum(ratings.values()) / len(ratings)


def can_hide(ratings: Mapping[str, float], share: float) -> bool:
    """Whether `hide` has enough on either side of the mean."""
    over, under, _ = _sides(ratings)
    return all(FEWEST <= _count(side, share) <= len(side) - FEWEST for side in (over, under))


def hide(ratings: Mapping[str, float], share: float, seed: Sequence[int]) -> HoldoutSplit:
    """Hide this share of what was liked, of what was disliked and of the rest, drawn by the seed.

    Raises UserError where fewer than three of either side would be hidden, or kept.
    """
    if not ratings or not can_hide(ratings, share):
        over, under, _ = _sides(ratings) if ratings else ([], [], [])
        raise UserError(
            f"of {len(over)} ratings over their own mean and {len(under)} under it, {100 * share:g}% cannot be hidden: "
            f"at least {FEWEST} of each must be hidden, and {FEWEST} kept",
            "choose someone who rated more, or another `hide`",
        )
    rng = np.random.default_rng(list(seed))
    drawn = ((side, np.sort(rng.permutation(len(side))[: _count(side, share)])) for side in _sides(ratings))
    sides = [[side[row] for row in rows.tolist()] for side, rows in drawn]
    out = {item for side in sides for item in side}
    return HoldoutSplit(
        shown={item: value for item, value in ratings.items() if item not in out},
        hidden={item: value for item, value in ratings.items() if item in out},
        liked=tuple(sides[0]),
        disliked=tuple(sides[1]),
    )


def _sides(ratings: Mapping[str, float]) -> tuple[list[str], list[str], list[str]]:
    """Ids over the mean, under it, and on it, each sorted, so that the order of ratings does not matter."""
    mean, items = mean_of(ratings), sorted(ratings)
    room = 1e-6 * max(abs(mean), 1.0)
    over = [item for item in items if ratings[item] > mean + room]
    under = [item for item in items if ratings[item] < mean - room]
    return over, under, [item for item in items if abs(ratings[item] - mean) <= room]


def _count(side: Sequence[str], share: float) -> int:
    return round(share * len(side))


_RESAMPLES = 2000
_ROUNDING = 1e-9
"""Scores that differ by less, as a share of the largest, are a tie."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HoldoutOrder:
    """One order of what was hidden in one draw."""

    liked: tuple[str, ...]
    disliked: tuple[str, ...]
    wins: np.ndarray
    """[P, N] 1 where the liked one stands higher, 0 where the disliked one does, one half for a tie."""

    @property
    def auc(self) -> float:
        """Share of the pairs that stand as they should."""
        return float(self.wins.mean())


def order_of(liked: Sequence[str], disliked: Sequence[str], scores: np.ndarray) -> HoldoutOrder:
    """The order by scores [P + N], of the liked first and then of the disliked."""
    gaps = scores[: len(liked), None] - scores[None, len(liked) :]
    room = _ROUNDING * max(float(np.abs(scores).max()), 1e-30)
    wins = np.where(np.abs(gaps) <= room, 0.5, (gaps > 0).astype(float))
    return HoldoutOrder(liked=tuple(liked), disliked=tuple(disliked), wins=wins)


def resampled(orders: Sequence[HoldoutOrder], *, seed: int = 0) -> np.ndarray:
    """[R] the mean AUC of the draws for resamples of items, liked and disliked apart; NaN where no pair is drawn.

    Draws hide partly the same items, so an item is drawn once for all of them. The same draws of items and the same
    seed give the same resamples, so that two orders are compared pair by pair.
    """
    rng = np.random.default_rng(seed)
    # One draw of the person's liked items, and one of the disliked, weighs every draw of what was hidden: the draws
    # share items, so that resampling each by itself would make the interval too narrow.
    liked = _weights({item for order in orders for item in order.liked}, rng)
    disliked = _weights({item for order in orders for item in order.disliked}, rng)
    found = np.full((len(orders), _RESAMPLES), np.nan)
    for row, order in enumerate(orders):
        over = np.stack([liked[item] for item in order.liked], axis=1)
        under = np.stack([disliked[item] for item in order.disliked], axis=1)
        pairs = over.sum(1) * under.sum(1)
        # Each pair counts as often as its liked item was drawn times its disliked one.
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
