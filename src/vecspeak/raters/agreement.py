"""Checks of the rater itself: planted items of which the right rating is known, mixed among the others.

Four kinds, each made from the true texts of a report: `right` shows an entity the beginning of its own true
text, `wrong` that of another entity's, `broken` its own with the words shuffled, and a planted pair sets right
against wrong. They look as every other item does and are as long as the answers under test. A rater that does
not tell them apart is called untrusted, whatever it says of the systems. Knows items and ratings, no address.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from vecspeak.errors import require
from vecspeak.evaluation.report import Entity
from vecspeak.raters.items import ANSWER_WORDS, FITS, FLUENT, Item, Question, Value, pair_items, rating_items
from vecspeak.stats import Series, difference, estimate

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


RIGHT, WRONG, BROKEN = "right", "wrong", "broken"
MOST_PLANTED = 40
FEWEST_PLANTED = 10
FEWEST_WORDS = 8
"""A planted text is no shorter, where the true text has so many words."""
LEAST_DIFFERENCE = 1.0
LEAST_WON = 0.8
MOST_UNANSWERED = 0.2


def plant(entities: Sequence[Entity], others: Sequence[Entity], *, like: str, seed: int) -> list[Item]:
    """Planted items about at most 40 of the entities; `others` are those whose true texts are wrong for them.

    The planted texts of an entity are as long as its answer by the system `like`. Entities are passed over for
    which no other text differs.
    """
    rng = np.random.default_rng([seed, 3])
    items: list[Item] = []
    for entity in list(entities)[:MOST_PLANTED]:
        wrong = _another(entity, others, rng)
        if wrong is not None and len(entity.truth.split()) > 1:
            words = int(np.clip(len(entity.answers.get(like, "").split()), FEWEST_WORDS, ANSWER_WORDS))
            texts = {RIGHT: opening(entity.truth, words), WRONG: opening(wrong.truth, words)}
            items += _of_entity(entity, texts, rng)
    return [dataclasses.replace(item, planted=True) for item in items]


def _of_entity(entity: Entity, texts: dict[str, str], rng: np.random.Generator) -> Iterator[Item]:
    yield from rating_items(entity, RIGHT, texts[RIGHT], (FITS, FLUENT))
    yield from rating_items(entity, WRONG, texts[WRONG], (FITS,))
    yield from rating_items(entity, BROKEN, _shuffled_words(texts[RIGHT], rng), (FLUENT,))
    yield from pair_items(entity, (RIGHT, texts[RIGHT]), (WRONG, texts[WRONG]))


def opening(text: str, words: int) -> str:
    """The first words of a text, up to the end of a sentence where one ends in the last third of them."""
    kept = " ".join(text.split()[:words])
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s|$)", kept)]
    return kept[: ends[-1]] if ends and ends[-1] > len(kept) * 2 / 3 else kept


def _another(entity: Entity, others: Sequence[Entity], rng: np.random.Generator) -> Entity | None:
    """An entity with another true text, drawn; None where all are the same."""
    own = entity.truth.casefold().split()
    for i in rng.permutation(len(others)).tolist():
        theirs = others[i].truth.casefold().split()
        if theirs and theirs != own and others[i].id != entity.id:
            return others[i]
    return None


def _shuffled_words(text: str, rng: np.random.Generator) -> str:
    words = text.split()
    mixed = [words[i] for i in rng.permutation(len(words)).tolist()]
    return " ".join(mixed if mixed != words else mixed[1:] + mixed[:1])


def check_rater(ratings: Sequence[Rating], *, unanswered: float, seed: int) -> dict[str, Any]:
    """What the rater said of the planted items, whether it may be trusted, and why not.

    `unanswered` is the share of all questions without a usable reply. `reasons` are plain sentences, empty when
    it is trusted; `verdict` is one sentence for people.
    """
    planted = [rating for rating in ratings if rating.item.planted]
    fits = {kind: by_entity(planted, kind, FITS) for kind in (RIGHT, WRONG)}
    fluent = {kind: by_entity(planted, kind, FLUENT) for kind in (RIGHT, BROKEN)}
    found = {
        "planted": len({rating.item.entity for rating in planted}),
        "right": {"fits": mean_of(fits[RIGHT], seed=seed), "fluent": mean_of(fluent[RIGHT], seed=seed)},
        "wrong": {"fits": mean_of(fits[WRONG], seed=seed)},
        "broken": {"fluent": mean_of(fluent[BROKEN], seed=seed)},
        "pair": pair_of(outcomes(planted, RIGHT, WRONG), seed=seed),
        "right_minus_wrong": difference_of(fits[RIGHT], fits[WRONG], seed=seed),
        "right_minus_broken": difference_of(fluent[RIGHT], fluent[BROKEN], seed=seed),
    }
    reasons = list(_reasons(found, unanswered))
    return {**found, "trusted": not reasons, "reasons": reasons, "verdict": _verdict(reasons)}


def _reasons(found: dict[str, Any], unanswered: float) -> Iterator[str]:
    """Why a rater is not to be trusted, each a sentence without its full stop."""
    kinds = ("right_minus_wrong", "right_minus_broken", "pair")
    fewest = min(found[kind]["count"] if found[kind] else 0 for kind in kinds)
    if fewest < FEWEST_PLANTED:
        yield f"The rater could be checked on {fewest} planted entities only; it takes {FEWEST_PLANTED}"
    if _is_mixed_up(found["right_minus_wrong"]):
        yield f"The rater cannot tell a right answer from a wrong one{_beside(found, WRONG, 'fits')}"
    if _is_mixed_up(found["right_minus_broken"]):
        yield f"The rater cannot tell fluent English from shuffled words{_beside(found, BROKEN, 'fluent')}"
    if found["pair"] and found["pair"]["win"]["value"] < LEAST_WON:
        won = found["pair"]["win"]["value"]
        yield f"The rater prefers the true text to another entity's in {won:.0%} of planted pairs only"
    if unanswered > MOST_UNANSWERED:
        yield f"The rater gave no usable reply to {unanswered:.0%} of the questions"


def _is_mixed_up(difference: dict[str, Any] | None) -> bool:
    """Whether what must lie apart was measured and does not."""
    return difference is not None and (difference["value"] < LEAST_DIFFERENCE or difference["low"] <= 0)


def _beside(found: dict[str, Any], kind: str, question: str) -> str:
    return f" ({found[RIGHT][question]['value']:.1f} against {found[kind][question]['value']:.1f} of 5)"


def _verdict(reasons: Sequence[str]) -> str:
    if not reasons:
        return "The rater told the planted right answers from the wrong and the broken ones."
    return f"{'. '.join(reasons)}: do not use its ratings."


Level = Literal["ordinal", "nominal"]


def krippendorff_alpha(
    ratings: Mapping[str, Mapping[str, float | str]], level: Level = "ordinal"
) -> float | None:
    """Krippendorff's alpha: 1 is perfect agreement, 0 is chance, below 0 is worse than chance.

    `ratings` is by rater and item; a rater may have left items out. Ordinal ratings are numbers, of which the
    order alone counts; nominal ones may be words. Items that a single rater rated count nothing. None where
    alpha is not defined: fewer than two raters share items, or all that they share has one and the same rating.
    Raises ValueError for ordinal ratings that are not numbers, UserError where the package is missing.
    """
    by_item: dict[str, dict[str, float | str]] = {}
    for rater, given in ratings.items():
        for item, value in given.items():
            by_item.setdefault(item, {})[rater] = value
    shared = [given for given in by_item.values() if len(given) > 1]
    values = {value for given in shared for value in given.values()}
    if level == "ordinal" and any(isinstance(value, str) for value in values):
        raise ValueError("ordinal ratings must be numbers; words can only be compared as nominal ratings")
    if len(values) < 2:
        return None
    codes = {value: code for code, value in enumerate(sorted(values, key=_order))}
    table = [[codes[given[r]] if r in given else np.nan for given in shared] for r in sorted(ratings)]
    return float(require("krippendorff", "judge").alpha(table, level_of_measurement=level))


def _order(value: float | str) -> tuple[bool, float, str]:
    return (True, 0.0, value) if isinstance(value, str) else (False, float(value), "")
