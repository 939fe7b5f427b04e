"""A world for points: items are six words, vectors count them, and a true tiny reader says the words that it reads."""

import dataclasses

import numpy as np
import pyarrow as pa

from fakes import WORDS, WordEncoder
from vecspeak.bundles import SpaceEntry
from vecspeak.evaluation.evaluate import Models
from vecspeak.model.alignment import Alignment
from vecspeak.points import Concept
from vecspeak.spaces import Space

ENCODER = WordEncoder()
COUNT = 200
TEXTS = [" ".join(np.random.default_rng(row).choice(WORDS, size=6)) for row in range(COUNT)]
MASKS = {word: np.array([word in text.split() for text in TEXTS]) for word in ("ghost", "joke", "love")}
HELD_OUT = np.arange(COUNT) % 4 == 0


class Reading:
    """Says each word as often as the vector has it, in tenths of its length."""

    name = "reading"

    def answers(self, prompts, sampling):
        for number, prompt in enumerate(prompts):
            vector = next(part.values for part in prompt if not isinstance(part, str))
            counts = np.maximum(np.round(10 * vector[: len(WORDS)]), 0).astype(int)
            yield (
                number,
                " ".join(word for word, count in zip(WORDS, counts, strict=True) for _ in range(count)),
            )


class Deaf:
    """Says the same whatever it reads."""

    name = "deaf"

    def answers(self, prompts, sampling):
        yield from ((number, "train horse") for number in range(len(prompts)))


class Retelling:
    """An base model that repeats all that it was told."""

    name = "retelling"

    def answers(self, prompts, sampling):
        yield from enumerate(prompt[0].partition("\nX lies")[0] for prompt in prompts)


def concept(space, word, sign=1.0):
    """Towards a word, a twentieth of a length a step."""
    direction = sign * np.eye(ENCODER.dim, dtype=np.float32)[WORDS.index(word)]
    return Concept(
        name=word,
        space=space.name,
        space_digest=space.digest,
        direction=direction,
        scale=0.05,
        method="given",
        source=f"words = {word}",
    )


def entry(**changes):
    """The space in a bundle; a quarter of it is held out."""
    space = Space(
        name="words",
        ids=tuple(f"w{row}" for row in range(COUNT)),
        labels=tuple(f"Words {row}" for row in range(COUNT)),
        vectors=ENCODER.encode(TEXTS),
        metadata=pa.table({"text": TEXTS, "words": [sorted(set(text.split())) for text in TEXTS]}),
        encoder=ENCODER.name,
    )
    made = SpaceEntry(
        space=space,
        users=None,
        alignment=Alignment(dim=ENCODER.dim, encoder_dim=ENCODER.dim),
        splits={"holdout": frozenset(f"w{row}" for row in np.flatnonzero(HELD_OUT))},
        report={},
        concepts={word: concept(space, word) for word in MASKS},
    )
    return dataclasses.replace(made, **changes)


def models(reader=None):
    """Who answers in this world."""
    engines = {"reader": reader or Reading(), "base": Retelling()}
    return Models(engines=engines, encoder=ENCODER, second=None, key="points")
