"""Ratings, their summaries by system and pair, and how far raters agree.

A sequence of ratings is one tidy table (set, item, question, rater, value) whoever rated; every number that is
reported about raters is a group-by of it. Intervals are bootstraps over entities.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

import numpy as np

from vecspeak.errors import require
from vecspeak.raters.items import Item, Question, Value
from vecspeak.stats import Series, difference, estimate

OUTCOMES = ("win", "tie", "loss")
_FOR_LEFT = {"left": "win", "tie": "tie", "right": "loss"}
_FOR_RIGHT = {"left": "loss", "tie": "tie", "right": "win"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One rater's value for one question about one item."""

    item: Item
    question: Question
    value: Value | None
    """None where a model gave no usable reply."""
    rater: str = ""
    seconds: float = 0.0
    """Since the item was shown, or since the rater's previous answer to it."""
    at: str = ""
    """ISO 8601 in UTC."""

    def outcome_for(self, system: str) -> str:
        """For a pair: win, tie or loss of one of its two systems."""
        return (_FOR_LEFT if self.item.systems[0] == system else _FOR_RIGHT)[str(self.value)]


def by_entity(ratings: Iterable[Rating], system: str, question: Question) -> dict[str, float]:
    """Return entity id -> mean rating from 1 to 5 of one system, or one planted kind, over raters."""
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for rating in ratings:
        if rating.item.systems[0] == system and rating.question is question and rating.value is not None:
            groups[rating.item.entity.id].append(float(rating.value))
    return {entity: fmean(values) for entity, values in groups.items()}


def outcomes(ratings: Iterable[Rating], system: str, against: str) -> dict[str, list[str]]:
    """Return entity id -> outcomes for `system` against another, one for each order and rater that answered."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for rating in ratings:
        if rating.value is not None and set(rating.item.systems) == {system, against}:
            found[rating.item.entity.id].append(rating.outcome_for(system))
    return dict(found)


def mean_of(values: Mapping[str, float], *, seed: int) -> dict[str, Any] | None:
    """Estimate the mean over entities, as plain values with their count; None without values."""
    if not values:
        return None
    found = estimate(np.array(list(values.values()), dtype=float), seed=seed)
    return {**asdict(found), "count": len(values)}


def difference_of(
    first: Mapping[str, float], second: Mapping[str, float], *, seed: int
) -> dict[str, Any] | None:
    """Estimate first minus second over the entities that have both; None where none has."""
    both = [entity for entity in first if entity in second]
    one, other = (Series(np.array([values[entity] for entity in both])) for values in (first, second))
    found = difference(one, other, seed=seed) if both else None
    return {**asdict(found), "count": len(both)} if found else None


def pair_of(found: Mapping[str, Sequence[str]], *, seed: int) -> dict[str, Any] | None:
    """Estimate the shares of wins, ties and losses from outcomes by entity; None without outcomes.

    An entity counts once: its two orders are averaged. `flips` is the share of entities whose verdict changed when
    left and right changed places, None where no entity was judged in both orders.
    """
    if not found:
        return None
    shares = {
        outcome: {entity: given.count(outcome) / len(given) for entity, given in found.items()}
        for outcome in OUTCOMES
    }
    # Both orders of one pair: a rater who takes whatever stands on the left wins once and loses once.
    both = [given for given in found.values() if len(given) == 2]
    flips = float(np.mean([given[0] != given[1] for given in both])) if both else None
    means = {outcome: mean_of(share, seed=seed) for outcome, share in shares.items()}
    return {**means, "flips": flips, "count": len(found)}


Level = Literal["ordinal", "nominal"]


def krippendorff_alpha(
    ratings: Mapping[str, Mapping[str, float | str]], level: Level = "ordinal"
) -> float | None:
    """Compute Krippendorff's alpha from values by rater and item.

    1 is perfect agreement, 0 is chance, below 0 is worse than chance. Ordinal ratings are numbers of which the order
    alone counts; nominal ones may be words. A rater may have left items out, and items of a single rater count
    nothing. None where alpha is not defined: fewer than two raters share items, or all that they share has one and the
    same value. Raises ValueError for ordinal ratings that are words, UserError where the package is missing.
    """
    by_item: defaultdict[str, dict[str, float | str]] = defaultdict(dict)
    for rater, given in ratings.items():
        for item, value in given.items():
            by_item[item][rater] = value
    shared = [given for given in by_item.values() if len(given) > 1]
    values = {value for given in shared for value in given.values()}
    if level == "ordinal" and any(isinstance(value, str) for value in values):
        raise ValueError("ordinal ratings must be numbers; words can only be compared as nominal ratings")
    if len(values) < 2:
        return None
    # The package takes numbers only: words become codes, numbers keep their order.
    codes = {value: code for code, value in enumerate(sorted(values, key=lambda v: (isinstance(v, str), v)))}
    table = [[codes[given[r]] if r in given else np.nan for given in shared] for r in sorted(ratings)]
    return float(require("krippendorff", "judge").alpha(table, level_of_measurement=level))
