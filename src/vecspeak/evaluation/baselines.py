"""The registry of baselines: the reader, what answers besides it, and how each is asked.

Every control changes one thing: the vector (another case's, the mean, a random one), or what the base model (the same
language model before it learned to read vectors) is told instead of a vector: near texts, near labels, the truth.
docs/adding-a-scorer.md says how to add one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vecspeak.evaluation.cases import SHOWN, CaseSet
from vecspeak.evaluation.report import POINT, READER, SHUFFLED, TRUTH
from vecspeak.evidence import ReadTerm
from vecspeak.model.prompt import Prompt, PromptTemplate
from vecspeak.model.words import with_words
from vecspeak.tasks.task_set import opening

Model = Literal["reader", "base"]
NUM_TEXTS, NUM_LABELS = 3, 10
"""How many near texts, and how many near labels, the base model is told."""
_NAMES = ("X", "Y")
"""What the base model, which reads no vectors, finds in the place of each slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Who answers a case set, and how: a model that is given prompts, or texts that are there already."""

    key: str
    """In reports."""
    name: str
    """In tables."""
    what: str
    """One sentence: what it is given and what that shows."""
    model: Model | None = None
    """Which model answers the prompts; None where no model does."""
    prompts: Callable[[CaseSet, int], list[Prompt]] | None = None
    """From the cases and a seed a prompt for each case; no prompts where there is nothing to tell the model."""
    texts: Callable[[CaseSet], list[str]] | None = None
    """Answers that need no model; none where they would say nothing new."""
    vectors: Callable[[CaseSet], np.ndarray | None] | None = None
    """[N, T] unit vectors that are scored in the place of those of the texts; None: the texts are encoded."""


BASELINES: dict[str, Baseline] = {}
"""By key, in the order in which models are asked."""


def register(baseline: Baseline) -> Baseline:
    """Add a baseline to the registry. Raises ValueError for a key that is taken."""
    if baseline.key in BASELINES:
        raise ValueError(f"there is a baseline {baseline.key!r} already")
    BASELINES[baseline.key] = baseline
    return baseline


def described(cases: CaseSet, key: str) -> tuple[str, str]:
    """Name and description of a baseline for these cases."""
    return cases.descriptions.get(key) or (BASELINES[key].name, BASELINES[key].what)


# --- what the reader is given ---


def _with_vectors(
    cases: CaseSet, inputs: np.ndarray, words: Sequence[Sequence[ReadTerm]] = ()
) -> list[Prompt]:
    """Prompts with vectors [N, S, T] in the slots, and behind each question the words of its case."""
    template, listed = PromptTemplate(cases.question), words or [()] * len(inputs)
    filled = (dict(zip(cases.slots, vectors, strict=True)) for vectors in inputs.astype(np.float32))
    return [
        with_words(template, {"x": some}).fill(vectors) for vectors, some in zip(filled, listed, strict=True)
    ]


def random_vectors(vectors: np.ndarray, seed: int) -> np.ndarray:
    """Draw vectors of the same shape [..., T] in random directions, each as long as the vector in its place."""
    drawn = np.random.default_rng(seed).standard_normal(vectors.shape)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (drawn / np.linalg.norm(drawn, axis=-1, keepdims=True) * lengths).astype(np.float32)


# --- what the base model is told ---


def _about_unknown(cases: CaseSet, contexts: Sequence[str]) -> list[Prompt]:
    """Each context, then the question with the names X and Y in the places of the vectors."""
    question = PromptTemplate(cases.question).text
    for slot, name in zip(cases.slots, _NAMES, strict=False):
        question = question.replace(f"{{{slot}}}", name)
    question = " ".join(question.split())
    return [(f"{context}\n\n{question}",) for context in contexts]


def _near_texts(cases: CaseSet, index: int) -> str:
    parts = []
    for name, near in zip(_NAMES, cases.neighbors[index], strict=False):
        texts = [opening(one.text, cases.neighbor_chars) for one in near[:NUM_TEXTS]]
        head = f"{name} is not known. These are the things most like {name}, the most like it first:"
        parts.append("\n".join([head, *(f"{place}. {text}" for place, text in enumerate(texts, 1))]))
    return "\n\n".join(parts)


def _near_labels(cases: CaseSet, index: int) -> str:
    parts = []
    for name, near in zip(_NAMES, cases.neighbors[index], strict=False):
        labels = "; ".join(one.label for one in near[:NUM_LABELS])
        parts.append(
            f"{name} is not known. The things most like {name}, the most like it first, are: {labels}."
        )
    return "\n\n".join(parts)


def _truth(cases: CaseSet, index: int) -> str:
    limit = cases.context_chars
    shown = [text if limit is None else opening(text, limit) for text in cases.contexts[index]]
    if cases.is_between:
        return f"X lies halfway between two things. The first: {shown[0]}\nThe second: {shown[1]}"
    known = zip(_NAMES, shown, strict=False)
    return "\n".join(f"This is known of {name}: {text}" for name, text in known)


def _shown(key: str, context: Callable[[CaseSet, int], str]) -> Callable[[CaseSet, int], list[Prompt]]:
    """Prompts of a base model that is told a context of each case, or what the cases say themselves."""

    def prompts(cases: CaseSet, seed: int) -> list[Prompt]:
        given = cases.base_contexts.get(key)
        if given is None and key == "lm_truth" and not all(cases.contexts):
            return []
        return _about_unknown(
            cases, given if given is not None else [context(cases, row) for row in range(len(cases))]
        )

    return prompts


def _whole_neighbor(cases: CaseSet) -> list[str]:
    whole = cases.nearest_truths or []
    return whole if whole != cases.search_answers else []


READ = register(
    Baseline(
        key=READER,
        name="the reader",
        what="The reader with the right vector in every slot, and nothing else.",
        model="reader",
        prompts=lambda cases, seed: _with_vectors(cases, cases.inputs, cases.words),
    )
)
register(
    Baseline(
        key="no_words",
        name="the reader, without words",
        what="The reader with the right vector, and a question without the words that are read from it.",
        model="reader",
        prompts=lambda cases, seed: _with_vectors(cases, cases.inputs) if cases.words else [],
    )
)
register(
    Baseline(
        key="other_words",
        name="another entity's words",
        what="The reader with the right vector and the words of another entity of the set: how much the vector "
        "counts beside them.",
        model="reader",
        prompts=lambda cases, seed: (
            _with_vectors(cases, cases.inputs, cases.roll(cases.words)) if cases.words else []
        ),
    )
)
register(
    Baseline(
        key="other_vector",
        name="another entity's vector, own words",
        what="The reader with the vector of another entity of the set and the right words: what the words are worth "
        "without the vector.",
        model="reader",
        prompts=lambda cases, seed: (
            _with_vectors(cases, np.stack(cases.roll(list(cases.inputs))), cases.words) if cases.words else []
        ),
    )
)
register(
    Baseline(
        key="words",
        name="the words alone",
        what="What the lexicon reads from the vector, as a list: no language model had a part in it.",
        texts=lambda cases: [", ".join(term.term for term in some) for some in cases.words],
    )
)
register(
    Baseline(
        key="mean",
        name="the mean vector",
        what="The reader with the mean vector of the training entities in every slot: what it says when it is told "
        "nothing.",
        model="reader",
        prompts=lambda cases, seed: _with_vectors(
            cases, np.broadcast_to(cases.mean_input, cases.inputs.shape)
        ),
    )
)
register(
    Baseline(
        key="random",
        name="a random vector",
        what="The reader with a vector in a random direction, as long as the right one.",
        model="reader",
        prompts=lambda cases, seed: _with_vectors(cases, random_vectors(cases.inputs, seed)),
    )
)
register(
    Baseline(
        key="lm_texts",
        name=f"base model, {NUM_TEXTS} nearest texts",
        what=f"The same language model before it learned to read vectors, given the {NUM_TEXTS} nearest known texts "
        "of each slot in its prompt.",
        model="base",
        prompts=_shown("lm_texts", _near_texts),
    )
)
register(
    Baseline(
        key="lm_labels",
        name=f"base model, {NUM_LABELS} nearest labels",
        what=f"The same base model, given the labels of the {NUM_LABELS} nearest training entities only.",
        model="base",
        prompts=_shown("lm_labels", _near_labels),
    )
)
register(
    Baseline(
        key="lm_truth",
        name="base model, the true text",
        what="An upper reference, not a rival: the same base model, which READS THE TRUE TEXTS: those of the "
        "entities asked about, of both ends of a point between, or what a person's ratings say.",
        model="base",
        prompts=_shown("lm_truth", _truth),
    )
)
register(
    Baseline(
        key="best_of",
        name="the reader, best of several",
        what="Of several answers drawn with the right vector, the one that the space's own encoder puts nearest to "
        "it: to be judged by the second encoder, which had no part in the choice.",
        model="reader",
    )
)
register(
    Baseline(
        key=SHUFFLED,
        name="another entity's vector",
        what="The reader's answer to another entity of the same set: what the prose alone is worth.",
    )
)
register(
    Baseline(
        key="nearest_text",
        name="the nearest training text",
        what=f"What a plain search would show: the text of the training entity nearest to the vector, or to each of "
        f"two, to {SHOWN} characters in all, which is as long as answers are. It is itself among the texts that are "
        "searched, so it cannot find the right one first.",
        texts=lambda cases: cases.search_answers,
    )
)
register(
    Baseline(
        key="nearest_whole",
        name="the nearest training text, whole",
        what="The same text in its full length, which says more than an answer may: the strongest form of this "
        "baseline.",
        texts=_whole_neighbor,
    )
)
register(
    Baseline(
        key=TRUTH,
        name="the true text itself",
        what="What is true of the entity, measured as if it were an answer.",
        texts=lambda cases: cases.targets,
        vectors=lambda cases: cases.truth,
    )
)
register(
    Baseline(
        key=POINT,
        name="(the points themselves)",
        what="The points' vectors in the place of answers: what the geometry gives.",
        texts=lambda cases: [""] * len(cases),
        vectors=lambda cases: cases.inputs[:, 0],
    )
)
