"""Planted items of which the right rating is known: they find out whether a rater can be trusted.

Four kinds, made from the true texts of a report: `right` shows the beginning of an entity's own true text, `wrong`
that of another entity's, `broken` its own with the words shuffled, and a planted pair sets right against wrong. They
look like every other item and are as long as the answers under test.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from vecspeak.evaluation.report import Entity
from vecspeak.raters.agreement import Rating, by_entity, difference_of, mean_of, outcomes, pair_of
from vecspeak.raters.items import ANSWER_WORDS, FITS, FLUENT, Item, pair_items, text_item

RIGHT, WRONG, BROKEN = "right", "wrong", "broken"
MOST_PLANTED = 40
FEWEST_PLANTED = 10
FEWEST_WORDS = 8
"""Minimum length of a planted text, where the true text has as many words."""
LEAST_DIFFERENCE = 1.0
LEAST_WON = 0.8
MOST_UNANSWERED = 0.2


def plant(entities: Sequence[Entity], others: Sequence[Entity], *, like: str, seed: int) -> list[Item]:
    """Make planted items about at most 40 of the entities; `others` lend the true texts that are wrong for them.

    The planted texts of an entity are as long as its answer by the system `like`. Entities without any other text
    that differs are skipped.
    """
    rng = np.random.default_rng([seed, 3])
    items: list[Item] = []
    for entity in list(entities)[:MOST_PLANTED]:
        wrong = _other_entity(entity, others, rng)
        if wrong is not None and len(entity.truth.split()) > 1:
            # As long as an answer under test: a planted text must not show by its length.
            words = int(np.clip(len(entity.answers.get(like, "").split()), FEWEST_WORDS, ANSWER_WORDS))
            texts = {RIGHT: opening(entity.truth, words), WRONG: opening(wrong.truth, words)}
            items += _planted_about(entity, texts, rng)
    return [dataclasses.replace(item, planted=True) for item in items]


def _planted_about(entity: Entity, texts: dict[str, str], rng: np.random.Generator) -> Iterator[Item]:
    yield text_item(entity, RIGHT, texts[RIGHT], (FITS, FLUENT))
    yield text_item(entity, WRONG, texts[WRONG], (FITS,))
    yield text_item(entity, BROKEN, _shuffled_words(texts[RIGHT], rng), (FLUENT,))
    yield from pair_items(entity, (RIGHT, texts[RIGHT]), (WRONG, texts[WRONG]))


def opening(text: str, words: int) -> str:
    """Return the first words of a text, up to the end of a sentence where one ends in their last third."""
    start = " ".join(text.split()[:words])
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s|$)", start)]
    return start[: ends[-1]] if ends and ends[-1] > len(start) * 2 / 3 else start


def _other_entity(entity: Entity, others: Sequence[Entity], rng: np.random.Generator) -> Entity | None:
    """Draw an entity with another true text; None where all are the same."""
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
    """Summarize the ratings of planted items: `trusted`, `reasons` against it, and `verdict`, a sentence for people.

    `unanswered` is the share of all questions without a usable reply.
    """
    planted = [rating for rating in ratings if rating.item.planted]
    fits = {kind: by_entity(planted, kind, FITS) for kind in (RIGHT, WRONG)}
    fluent = {kind: by_entity(planted, kind, FLUENT) for kind in (RIGHT, BROKEN)}
    found = {
        "planted": len({rating.item.entity.id for rating in planted}),
        "right": {"fits": mean_of(fits[RIGHT], seed=seed), "fluent": mean_of(fluent[RIGHT], seed=seed)},
        "wrong": {"fits": mean_of(fits[WRONG], seed=seed)},
        "broken": {"fluent": mean_of(fluent[BROKEN], seed=seed)},
        "pair": pair_of(outcomes(planted, RIGHT, WRONG), seed=seed),
        "right_minus_wrong": difference_of(fits[RIGHT], fits[WRONG], seed=seed),
        "right_minus_broken": difference_of(fluent[RIGHT], fluent[BROKEN], seed=seed),
    }
    reasons = list(_reasons(found, unanswered))
    verdict = "The rater told the planted right answers from the wrong and the broken ones."
    if reasons:
        verdict = f"{'. '.join(reasons)}: do not use its ratings."
    return {**found, "trusted": not reasons, "reasons": reasons, "verdict": verdict}


def _reasons(found: dict[str, Any], unanswered: float) -> Iterator[str]:
    """Yield why a rater is not to be trusted, each a sentence without its full stop."""
    kinds = ("right_minus_wrong", "right_minus_broken", "pair")
    fewest = min(found[kind]["count"] if found[kind] else 0 for kind in kinds)
    if fewest < FEWEST_PLANTED:
        yield f"The rater could be checked on {fewest} planted entities only; it takes {FEWEST_PLANTED}"
    if _is_mixed_up(found["right_minus_wrong"]):
        yield f"The rater cannot tell a right answer from a wrong one{_compared(found, WRONG, 'fits')}"
    if _is_mixed_up(found["right_minus_broken"]):
        yield f"The rater cannot tell fluent English from shuffled words{_compared(found, BROKEN, 'fluent')}"
    if found["pair"] and found["pair"]["win"]["value"] < LEAST_WON:
        won = found["pair"]["win"]["value"]
        yield f"The rater prefers the true text to another entity's in {won:.0%} of planted pairs only"
    if unanswered > MOST_UNANSWERED:
        yield f"The rater gave no usable reply to {unanswered:.0%} of the questions"


def _is_mixed_up(gap: dict[str, Any] | None) -> bool:
    """Return whether a difference that must be large was measured and is not."""
    return gap is not None and (gap["value"] < LEAST_DIFFERENCE or gap["low"] <= 0)


def _compared(found: dict[str, Any], kind: str, question: str) -> str:
    return f" ({found[RIGHT][question]['value']:.1f} against {found[kind][question]['value']:.1f} of 5)"
