"""Systems: what answers beside the reader, and how each is asked. Nothing is reported without them.

Each control changes one thing: the vector (another's, the mean, a random one), or what the untouched language model
may read instead of a vector (near texts, near labels, the truth). Knows prompts and cases. Runs no model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vecspeak.evaluation.cases import NUM_NEAR, SHOWN, Cases, TaskCases
from vecspeak.model.prompt import Prompt, PromptTemplate
from vecspeak.tasks.task_set import opening

Model = Literal["reader", "base"]
NUM_TEXTS, NUM_LABELS = 3, 10
"""How many near texts, and how many near labels, the untouched model is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A system that a language model answers for."""

    key: str
    name: str
    what: str
    model: Model
    prompts: Callable[[Cases, int], list[Prompt]]
    """From the cases and a seed, a prompt for each."""


def _with_vectors(cases: Cases, vectors: np.ndarray) -> list[Prompt]:
    template = PromptTemplate(cases.question)
    return [template.fill({"x": vector}) for vector in vectors.astype(np.float32)]


def random_vectors(vectors: np.ndarray, seed: int) -> np.ndarray:
    """[N, T] in random directions, each as long as the vector in its row."""
    drawn = np.random.default_rng(seed).standard_normal(vectors.shape)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True) * lengths).astype(np.float32)


def _about_unknown(cases: Cases, told: Sequence[str]) -> list[Prompt]:
    """The question with the name X in place of the vector, after what is told."""
    question = " ".join("".join(p or "X" for p in PromptTemplate(cases.question).segments).split())
    return [(f"{one}\n\n{question}",) for one in told]


def _near_texts(cases: Cases, seed: int) -> list[Prompt]:
    def told(index: int) -> str:
        near = cases.nearest[index][:NUM_TEXTS]
        lines = "\n".join(f"{place}. {known.text}" for place, known in enumerate(near, 1))
        return f"X is not known. These are the things most like X, the most like it first:\n{lines}"

    return _about_unknown(cases, [told(index) for index in range(len(cases.ids))])


def _near_labels(cases: Cases, seed: int) -> list[Prompt]:
    def told(index: int) -> str:
        names = "; ".join(known.label for known in cases.nearest[index][:NUM_LABELS])
        return f"X is not known. The things most like X, the most like it first, are: {names}."

    return _about_unknown(cases, [told(index) for index in range(len(cases.ids))])


def _true_text(cases: Cases, seed: int) -> list[Prompt]:
    return _about_unknown(
        cases, [f"This is known of X: {opening(text, 2 * SHOWN)}" for text in cases.contexts]
    )


BASELINES = (
    Baseline(
        key="reader",
        name="the reader",
        what="The reader with the right vector, and nothing else.",
        model="reader",
        prompts=lambda cases, seed: _with_vectors(cases, cases.read),
    ),
    Baseline(
        key="mean",
        name="the mean vector",
        what="The reader with the mean vector of the training entities: what it says when it is told nothing.",
        model="reader",
        prompts=lambda cases, seed: _with_vectors(cases, np.tile(cases.mean_read, (len(cases.ids), 1))),
    ),
    Baseline(
        key="random",
        name="a random vector",
        what="The reader with a vector in a random direction, as long as the right one.",
        model="reader",
        prompts=lambda cases, seed: _with_vectors(cases, random_vectors(cases.read, seed)),
    ),
    Baseline(
        key="lm_texts",
        name=f"untouched model, {NUM_TEXTS} nearest texts",
        what=f"The same language model before it learned to read vectors, given the texts of the {NUM_TEXTS} "
        "nearest training entities in its prompt.",
        model="base",
        prompts=_near_texts,
    ),
    Baseline(
        key="lm_labels",
        name=f"untouched model, {NUM_LABELS} nearest labels",
        what=f"The same untouched model, given the labels of the {NUM_LABELS} nearest training entities only.",
        model="base",
        prompts=_near_labels,
    ),
    Baseline(
        key="lm_truth",
        name="untouched model, the true text",
        what="The ceiling: the same untouched model, given the entity's own text.",
        model="base",
        prompts=_true_text,
    ),
)
"""What a language model answers for, in the order of the table."""

GIVEN = {
    "swapped": (
        "another entity's vector",
        "The reader with the vector of another evaluated entity: what the prose alone is worth.",
    ),
    "nearest_text": (
        "the nearest training text",
        f"What a plain search would show: the own text of the training entity nearest to the vector, to {SHOWN} "
        "letters, which is as long as answers are. It is itself among the texts that are searched, so it cannot find "
        "the right one first.",
    ),
    "nearest_whole": (
        "the nearest training text, whole",
        "The same text in its full length, which says more than an answer may: the strongest form of this baseline.",
    ),
    "truth": ("the true text itself", "What is true of the entity, measured as if it were an answer."),
}
"""Name and description of the systems that answer without a model."""


def best_of_name(count: int) -> tuple[str, str]:
    """Name and description of the reader that keeps the best of several answers."""
    return (
        f"the reader, best of {count}",
        f"Of {count} answers drawn with the right vector, the one that the space's own encoder puts nearest to "
        "it: to be judged by the second encoder, which had no part in the choice.",
    )


_NAMES = ("X", "Y")
"""What the untouched model, which reads no vectors, finds in the place of each slot."""

_NEAR = SHOWN // 2
"""Letters of each near text, in all slots together: what is told costs more time than what is answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBaseline:
    """A system that a language model answers for."""

    key: str
    name: str
    what: str
    model: Model
    prompts: Callable[[TaskCases], list[Prompt]]
    """A prompt a case; empty where the system has nothing to be told."""


def _task_with_vectors(cases: TaskCases, read: np.ndarray) -> list[Prompt]:
    template = PromptTemplate(cases.question)
    filled = (dict(zip(cases.slots, vectors, strict=True)) for vectors in read.astype(np.float32))
    return [template.fill(vectors) for vectors in filled]


def _with_mean(cases: TaskCases) -> list[Prompt]:
    return _task_with_vectors(cases, np.broadcast_to(cases.mean_read, cases.read.shape))


def _task_about_unknown(cases: TaskCases, told: Sequence[str]) -> list[Prompt]:
    """The question with names in place of vectors, after what is told."""
    names = dict(zip(cases.slots, _NAMES, strict=False))
    question = PromptTemplate(cases.question).text
    for slot, name in names.items():
        question = question.replace(f"{{{slot}}}", name)
    return [(f"{one}\n\n{question}",) for one in told]


def _task_near_texts(cases: TaskCases) -> list[Prompt]:
    room = _NEAR // len(cases.slots)

    def told(index: int) -> str:
        parts = []
        for name, near in zip(_NAMES, cases.near[index], strict=False):
            lines = [f"{place}. {opening(known.text, room)}" for place, known in enumerate(near, 1)]
            head = f"{name} is not known. These are the things most like {name}, the most like it first:"
            parts.append("\n".join([head, *lines]))
        return "\n\n".join(parts)

    return _task_about_unknown(cases, [told(index) for index in range(len(cases.ids))])


def _true_texts(cases: TaskCases) -> list[Prompt]:
    if not all(cases.told):
        return []
    return _task_about_unknown(cases, [_truth(cases, texts) for texts in cases.told])


def _truth(cases: TaskCases, texts: Sequence[str]) -> str:
    shown = [text if cases.of_people else opening(text, SHOWN) for text in texts]
    if cases.is_between:
        return f"X lies halfway between two things. The first: {shown[0]}\nThe second: {shown[1]}"
    known = zip(_NAMES, shown, strict=False)
    return "\n".join(f"This is known of {name}: {text}" for name, text in known)


TASK_BASELINES = (
    TaskBaseline(
        key="reader",
        name="the reader",
        what="The reader with the right vectors, and nothing else.",
        model="reader",
        prompts=lambda cases: _task_with_vectors(cases, cases.read),
    ),
    TaskBaseline(
        key="mean",
        name="the mean vector",
        what="The reader with the mean vector of the training entities in every slot: what it says when it is told "
        "nothing.",
        model="reader",
        prompts=_with_mean,
    ),
    TaskBaseline(
        key="lm_texts",
        name=f"untouched model, {NUM_NEAR} nearest texts",
        what=f"The same language model before it learned to read vectors, given the {NUM_NEAR} nearest known texts "
        "of each slot in its prompt.",
        model="base",
        prompts=_task_near_texts,
    ),
    TaskBaseline(
        key="lm_truth",
        name="untouched model, the truth",
        what="An upper reference, not a rival: the same untouched model, which READS THE TRUE TEXTS: those of the "
        "items asked about, of both ends of a point between, or what a person's ratings say.",
        model="base",
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
