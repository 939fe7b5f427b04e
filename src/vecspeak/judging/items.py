"""Items: each question put to a rater once, about a drawn entity's answers, in an order that tells nothing.

Knows reports and questions. An item's prompt holds texts alone: neither a system's name nor an entity's label.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from vecspeak.errors import UserError
from vecspeak.evaluation.report import READER, Entity, EvaluatedSet
from vecspeak.judging.questions import BETTER, SCALES, Question, prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question about one text of an entity, or about two."""

    entity: str
    """Id of the entity."""
    question: Question
    of: str
    """Whose text is rated: a system, or a planted kind. Of a pair, whose text is shown as A."""
    against: str = ""
    """Of a pair, whose text is shown as B."""
    planted: bool = False
    """Whether it checks the rater rather than a system."""
    prompt: str = field(repr=False)
    """All that the rater sees."""


def rating_items(
    entity: Entity, of: str, text: str, questions: Sequence[Question] = SCALES
) -> Iterator[Item]:
    """One text of an entity, by each of the questions with a rating from 1 to 5."""
    for question in questions:
        asked = prompt(question, {"truth": entity.truth, "description": text})
        yield Item(entity=entity.id, question=question, of=of, prompt=asked)


def pair_items(entity: Entity, first: tuple[str, str], second: tuple[str, str]) -> Iterator[Item]:
    """Two texts of an entity, each as (whose, text), compared in both orders."""
    for (of, a), (against, b) in ((first, second), (second, first)):
        asked = prompt(BETTER, {"truth": entity.truth, "a": a, "b": b})
        yield Item(entity=entity.id, question=BETTER, of=of, against=against, prompt=asked)


def system_items(entity: Entity, systems: Sequence[str]) -> Iterator[Item]:
    """Every question about the answers of these systems; the reader, if it is one, against each of the others."""
    for system in systems:
        if system not in entity.answers:
            continue
        yield from rating_items(entity, system, entity.answers[system])
        if system != READER and READER in systems and READER in entity.answers:
            yield from pair_items(entity, (READER, entity.answers[READER]), (system, entity.answers[system]))


def draw_entities(evaluated: EvaluatedSet, count: int, seed: int) -> list[Entity]:
    """At most so many entities of a set, drawn without return."""
    order = np.random.default_rng([seed, 1]).permutation(evaluated.count)
    return [evaluated.entities[i] for i in order[:count].tolist()]


def shuffled(items: Sequence[Item], seed: int) -> list[Item]:
    """The items in the order in which they are asked."""
    return [items[i] for i in np.random.default_rng([seed, 2]).permutation(len(items)).tolist()]


def choose_systems(evaluated: EvaluatedSet, wanted: Sequence[str]) -> tuple[str, ...]:
    """The wanted systems, or all that answered; UserError for one that gave no answer in this set."""
    keys = [system.key for system in evaluated.systems]
    answered = [key for key in keys if any(key in entity.answers for entity in evaluated.entities)]
    unknown = [key for key in wanted if key not in answered]
    if unknown:
        raise UserError(
            f"there are no answers of {unknown[0]!r} in {evaluated.name!r}; it has {', '.join(answered)}",
            "give one of these to --system",
        )
    if not answered:
        raise UserError(f"the report holds no answers in {evaluated.name!r}", "evaluate again, with answers")
    return tuple(dict.fromkeys(wanted)) or tuple(answered)
