"""Task following: whether answers show which task was asked, worked out from the answers that are there.

A reader that retells the plot whatever is asked agrees with its vector and follows no task. So tasks about the same
points are held against each other. Knows task cases and answers. Runs no language model. Shape letters: T tasks about
the same N entities.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vecspeak.evaluation.intervals import Series
from vecspeak.evaluation.measures import NO_ANSWER
from vecspeak.evaluation.report import ALIKE, TOLD_APART, Measure
from vecspeak.evaluation.task_cases import TaskCases
from vecspeak.evaluation.wording import repeated, words_of

_FOLDS = 5
"""Parts of the entities that are looked at in turn; with fewer entities than parts nothing is measured."""
_TERMS = 5000
"""Commonest words and pairs of words that the classifier looks at."""
_TIE = 1e-6
"""Probabilities that differ by less are a tie."""
_NOT_OWN = ("swapped",)
"""Systems whose answers are the reader's, given to other entities: of them this says nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Following:
    """What the answers to one task show of it."""

    num_tasks: int = 1
    """How many tasks were asked about the same points (T), this one included."""
    series: Mapping[str, Mapping[str, Series]] = field(default_factory=dict)
    """By system and measure; empty where there is no other task."""

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What some system was measured by, in words."""
        known = (_alike_measure(self.num_tasks), _told_apart_measure(self.num_tasks))
        return tuple(one for one in known if any(one.key in found for found in self.series.values()))


def task_following(
    cases: Sequence[TaskCases], answers: Sequence[Mapping[str, Sequence[str]]]
) -> list[Following]:
    """For each of the cases, with its answers by system: what they show of the task, beside those of the others."""
    found = [Following()] * len(cases)
    for places in _of_the_same_points(cases):
        if len(places) < 2:
            continue
        first = [key for key in answers[places[0]] if key not in _NOT_OWN]
        systems = [key for key in first if all(key in answers[place] for place in places)]
        measured = {key: _measured([answers[place][key] for place in places]) for key in systems}
        for row, place in enumerate(places):
            series = {
                key: {name: Series(values[row]) for name, values in measured[key].items()} for key in systems
            }
            found[place] = Following(num_tasks=len(places), series=series)
    return found


def _of_the_same_points(cases: Sequence[TaskCases]) -> list[list[int]]:
    """Places of the cases that ask one space about the same entities."""
    found: dict[tuple[str, ...], list[int]] = {}
    for place, one in enumerate(cases):
        space = one.name.partition(" / ")[0]
        found.setdefault((space, *one.ids), []).append(place)
    return list(found.values())


def _measured(answers: Sequence[Sequence[str]]) -> dict[str, np.ndarray]:
    """Every measure that can be had of one system's answers [T][N], as [T, N]."""
    apart = told_apart(answers)
    return {ALIKE: alike(answers)} | ({} if apart is None else {TOLD_APART: apart})


def alike(answers: Sequence[Sequence[str]]) -> np.ndarray:
    """[T, N] 1 where an answer is nearly equal to one about the same entity for another task, as `repeated` has it."""
    return np.stack([repeated(of_one).values for of_one in zip(*answers, strict=True)], axis=1)


def told_apart(answers: Sequence[Sequence[str]]) -> np.ndarray | None:
    """[T, N] 1 where the answer to the task is picked out of the T answers about the entity, 1/k where k are tied.

    A classifier of words and pairs of words learns from the answers about other entities how each task is answered.
    For a task, that of the T answers is picked which it finds likeliest to be to that task. Picking an answer for a
    task, and not a task for an answer, makes chance 1/T for every single task: a classifier that always guesses one
    task would be right about all answers to it. Where the T answers are equal, each counts 1/T and no more.

    Entities with the same answers to all tasks are copies, and are learned from or looked at together: what is known
    by heart tells no task. None where fewer than 5 entities have different answers, or where there is no other task.
    """
    texts = [tuple(_plain(text) for text in of_one) for of_one in zip(*answers, strict=True)]
    different = {of_one: number for number, of_one in enumerate(dict.fromkeys(texts))}
    if len(answers) < 2 or len(different) < _FOLDS:
        return None
    copies = np.array([different[of_one] for of_one in texts])
    return np.stack([_picked(of_one) for of_one in _likelihoods(texts, copies)], axis=1)


def _plain(text: str) -> str:
    return " ".join(words_of(text)) or NO_ANSWER


def _likelihoods(texts: Sequence[tuple[str, ...]], copies: np.ndarray) -> np.ndarray:
    """[N, T, T] how likely each answer [N][T] is to be to each task, learned where `copies` [N] has other numbers."""
    from sklearn.model_selection import GroupKFold

    found = np.zeros((len(texts), len(texts[0]), len(texts[0])))
    if all(len(set(of_one)) == 1 for of_one in texts):
        return found  # nothing to learn: all are tied
    for known, new in GroupKFold(_FOLDS).split(texts, groups=copies):
        found[new] = _learned([texts[row] for row in known], [texts[row] for row in new])
    return found


def _learned(known: Sequence[tuple[str, ...]], new: Sequence[tuple[str, ...]]) -> np.ndarray:
    """[M, T, T] of the new answers [M][T], learned from those that are known."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    count = len(new[0])
    terms = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+", max_features=_TERMS)
    rows = terms.fit_transform([text for of_one in known for text in of_one])
    tasks = np.tile(np.arange(count), len(known))
    model = LogisticRegression(max_iter=200).fit(rows, tasks)
    likely = model.predict_proba(terms.transform([text for of_one in new for text in of_one]))
    return np.asarray(likely).reshape(len(new), count, count)


def _picked(likely: np.ndarray) -> np.ndarray:
    """[T] for each task 1 if its own answer is the likeliest of the T answers, by [answer, task]; a tie is shared."""
    first = likely >= likely.max(0) - _TIE
    return np.asarray(np.diagonal(first) / first.sum(0))


# --- in words ---


def _alike_measure(num_tasks: int) -> Measure:
    return Measure(
        key=ALIKE,
        name="alike",
        what="Share of the answers that are nearly equal to the same system's answer about the same entity for another "
        f"of the {num_tasks} tasks about these points: 1 means that what is asked makes no difference.",
        better="lower",
    )


def _told_apart_measure(num_tasks: int) -> Measure:
    return Measure(
        key=TOLD_APART,
        name="told apart",
        what=f"Whether answers show the task: the share of entities of whose {num_tasks} answers, one for each task "
        "about these points, the one to this task is picked by a classifier of words that learned from answers about "
        f"other entities. Chance is {1 / num_tasks:.3f}.",
        better="higher",
    )
