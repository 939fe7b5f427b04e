"""Hiding: the ratings of one person in two parts, what a profile is made from and what it is held against.

Knows ratings by id of the item. Knows no vectors and no texts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.errors import UserError

FEWEST = 3
"""Items on either side of a person's mean that are hidden, and that are kept, at the least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One draw: what was kept and what was hidden."""

    kept: Mapping[str, float]
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


def hide(ratings: Mapping[str, float], share: float, seed: Sequence[int]) -> Parts:
    """Hide this share of what was liked, of what was disliked and of the rest, drawn by the seed.

    Raises UserError where fewer than three of either side would be hidden, or kept.
    """
    if not ratings or not can_hide(ratings, share):
        over, under, _ = _sides(ratings) if ratings else ([], [], [])
        raise UserError(
            f"of {len(over)} ratings over their own mean and {len(under)} under it, {100 * share:g}% cannot be hidden: "
            f"at least {FEWEST} of each must be hidden, and {FEWEST} kept",
            "choose someone who rated more, or another --hide",
        )
    rng = np.random.default_rng(list(seed))
    sides = [_drawn(side, share, rng) for side in _sides(ratings)]
    out = {item for side in sides for item in side}
    return Parts(
        kept={item: value for item, value in ratings.items() if item not in out},
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


def _drawn(side: Sequence[str], share: float, rng: np.random.Generator) -> list[str]:
    return [side[row] for row in np.sort(rng.permutation(len(side))[: _count(side, share)]).tolist()]
