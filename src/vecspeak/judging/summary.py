"""Summary: from a rater's values to estimates, with the bootstrap over entities. Knows neither rater nor report."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vecspeak.evaluation.intervals import Series, difference, estimate
from vecspeak.judging.items import Item
from vecspeak.judging.questions import Question, Value

OUTCOMES = ("win", "tie", "loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What a rater said of an item; None where it gave no usable reply."""

    item: Item
    value: Value | None

    @property
    def for_first(self) -> str:
        """Of a pair: whether the text shown as A wins, ties or loses."""
        return {"A": "win", "B": "loss"}.get(str(self.value), "tie")


def by_entity(ratings: Sequence[Rating], of: str, question: Question) -> dict[str, float]:
    """The ratings from 1 to 5 of one system, or one planted kind, by entity."""
    return {
        rating.item.entity: float(rating.value)
        for rating in ratings
        if rating.item.of == of and rating.item.question is question and rating.value is not None
    }


def outcomes(ratings: Sequence[Rating], of: str, against: str) -> dict[str, list[str]]:
    """By entity, how `of` fares against the other: one outcome for each order that was answered."""
    turned = {"win": "loss", "loss": "win", "tie": "tie"}
    found: dict[str, list[str]] = {}
    for rating in ratings:
        if rating.value is not None and {rating.item.of, rating.item.against} == {of, against}:
            outcome = rating.for_first if rating.item.of == of else turned[rating.for_first]
            found.setdefault(rating.item.entity, []).append(outcome)
    return found


def mean_of(values: Mapping[str, float], *, seed: int) -> dict[str, Any] | None:
    """Mean over entities with its interval and count; None of nothing."""
    if not values:
        return None
    found = estimate(np.array(list(values.values()), dtype=float), seed=seed)
    return {**asdict(found), "count": len(values)}


def difference_of(
    first: Mapping[str, float], second: Mapping[str, float], *, seed: int
) -> dict[str, Any] | None:
    """First minus second over the entities that have both, with its interval and count; None where none has."""
    both = [entity for entity in first if entity in second]
    one, other = (Series(np.array([values[entity] for entity in both])) for values in (first, second))
    found = difference(one, other, seed=seed) if both else None
    return {**asdict(found), "count": len(both)} if found else None


def pair_of(found: Mapping[str, Sequence[str]], *, seed: int) -> dict[str, Any] | None:
    """Shares of wins, ties and losses, each with its interval; None of nothing.

    An entity counts once: its two orders are averaged. `flips` is the share of entities whose verdict changed
    when A and B changed places, None where no entity was judged in both orders.
    """
    if not found:
        return None
    shares = {
        outcome: {entity: given.count(outcome) / len(given) for entity, given in found.items()}
        for outcome in OUTCOMES
    }
    both = [given for given in found.values() if len(given) == 2]
    flips = float(np.mean([given[0] != given[1] for given in both])) if both else None
    means = {outcome: mean_of(share, seed=seed) for outcome, share in shares.items()}
    return {**means, "flips": flips, "count": len(found)}


def rating_rows(ratings: Sequence[Rating], *, planted: bool) -> list[dict[str, Any]]:
    """Every usable rating as plain values; of a pair whose was shown as A, and how that fared."""
    rows = []
    for rating in ratings:
        item = rating.item
        if rating.value is None or item.planted != planted:
            continue
        row = {"entity": item.entity, "system": item.of, "question": item.question.key, "value": rating.value}
        if item.question.is_pair:
            row |= {"against": item.against, "value": rating.for_first}
        rows.append(row)
    return rows
