"""Task systems: what answers a task beside the reader, few and the same everywhere, and what each is given.

Knows prompts and task cases. Runs no model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.evaluation.cases import SHOWN
from vecspeak.evaluation.systems import GIVEN, Model
from vecspeak.evaluation.task_cases import TaskCases
from vecspeak.evaluation.task_ground import NUM_NEAR
from vecspeak.prompts import Prompt, PromptTemplate
from vecspeak.tasks.texts import opening

_NAMES = ("X", "Y")
"""What the untouched model, which reads no vectors, finds in the place of each slot."""

_NEAR = SHOWN // 2
"""Letters of each near text, in all slots together: what is told costs more time than what is answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAsked:
    """A system that a language model answers for."""

    key: str
    name: str
    what: str
    model: Model
    prompts: Callable[[TaskCases], list[Prompt]]
    """A prompt a case; empty where the system has nothing to be told."""


def _with_vectors(cases: TaskCases, read: np.ndarray) -> list[Prompt]:
    template = PromptTemplate(cases.question)
    filled = (dict(zip(cases.slots, vectors, strict=True)) for vectors in read.astype(np.float32))
    return [template.fill(vectors) for vectors in filled]


def _with_mean(cases: TaskCases) -> list[Prompt]:
    return _with_vectors(cases, np.broadcast_to(cases.mean_read, cases.read.shape))


def _about_unknown(cases: TaskCases, told: Sequence[str]) -> list[Prompt]:
    """The question with names in place of vectors, after what is told."""
    names = dict(zip(cases.slots, _NAMES, strict=False))
    question = PromptTemplate(cases.question).text
    for slot, name in names.items():
        question = question.replace(f"{{{slot}}}", name)
    return [(f"{one}\n\n{question}",) for one in told]


def _near_texts(cases: TaskCases) -> list[Prompt]:
    room = _NEAR // len(cases.slots)

    def told(index: int) -> str:
        parts = []
        for name, near in zip(_NAMES, cases.near[index], strict=False):
            lines = [f"{place}. {opening(known.text, room)}" for place, known in enumerate(near, 1)]
            head = f"{name} is not known. These are the things most like {name}, the most like it first:"
            parts.append("\n".join([head, *lines]))
        return "\n\n".join(parts)

    return _about_unknown(cases, [told(index) for index in range(len(cases.ids))])


def _true_texts(cases: TaskCases) -> list[Prompt]:
    if not all(cases.told):
        return []
    return _about_unknown(cases, [_truth(cases, texts) for texts in cases.told])


def _truth(cases: TaskCases, texts: Sequence[str]) -> str:
    shown = [text if cases.of_people else opening(text, SHOWN) for text in texts]
    if cases.is_between:
        return f"X lies halfway between two things. The first: {shown[0]}\nThe second: {shown[1]}"
    known = zip(_NAMES, shown, strict=False)
    return "\n".join(f"This is known of {name}: {text}" for name, text in known)


TASK_ASKED = (
    TaskAsked(
        key="reader",
        name="the reader",
        what="The reader with the right vectors, and nothing else.",
        model="reader",
        prompts=lambda cases: _with_vectors(cases, cases.read),
    ),
    TaskAsked(
        key="mean",
        name="the mean vector",
        what="The reader with the mean vector of the training entities in every slot: what it says when it is told "
        "nothing.",
        model="reader",
        prompts=_with_mean,
    ),
    TaskAsked(
        key="lm_texts",
        name=f"untouched model, {NUM_NEAR} nearest texts",
        what=f"The same language model before it learned to read vectors, given the {NUM_NEAR} nearest known texts "
        "of each slot in its prompt.",
        model="untouched",
        prompts=_near_texts,
    ),
    TaskAsked(
        key="lm_truth",
        name="untouched model, the truth",
        what="An upper reference, not a rival: the same untouched model, which READS THE TRUE TEXTS: those of the "
        "items asked about, of both ends of a point between, or what a person's ratings say.",
        model="untouched",
        prompts=_true_texts,
    ),
)
"""What a language model answers for."""

TASK_GIVEN = {
    "swapped": (
        GIVEN["swapped"][0],
        "The answer that the reader gave to another entity of the same set: what the prose alone is worth.",
    ),
    "nearest_text": (
        GIVEN["nearest_text"][0],
        "What a plain search would show: the opening of the known text nearest to the vector, or to each of the two.",
    ),
}
"""Name and description of the systems that answer without a model."""

ORDER = ("reader", "swapped", "mean", "nearest_text", "lm_texts", "lm_truth")
"""Systems in the order of the tables."""
