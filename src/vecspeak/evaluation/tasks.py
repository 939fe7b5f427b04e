"""Tasks: every task asked of a reader and of every baseline, one evaluated set for each task and kind of points.

All prompts of one system go to the engine together, whatever their task, and answers are kept as they come. Knows
engines, task cases, systems and scores. Losses are not measured here: answers are held against what was read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vecspeak.embedders.semantic import Encodes
from vecspeak.engines import Engine, Sampling
from vecspeak.evaluation.answering import KeptAnswers, answer
from vecspeak.evaluation.evaluate import anothers, evaluated_set, numbers_of
from vecspeak.evaluation.intervals import Series
from vecspeak.evaluation.measures import estimates_of
from vecspeak.evaluation.report import READER, Entity, EvaluatedSet, System
from vecspeak.evaluation.task_cases import TaskCases
from vecspeak.evaluation.task_following import Following, task_following
from vecspeak.evaluation.task_scores import TaskScorer, over_swap, task_measures
from vecspeak.evaluation.task_systems import ORDER, TASK_ASKED, TASK_GIVEN, TaskAsked
from vecspeak.prompts import Prompt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answerers:
    """Who answers, and who reads the answers back."""

    engines: Mapping[str, Engine]
    """By `reader` and `untouched`, which is the same language model before it learned to read vectors."""
    encoder: Encodes
    second: Encodes | None
    key: str
    """Names the engines and the weights, so that kept answers of others are not used."""


Answers = dict[str, list[str]]
"""By system; a system that had nothing to be told is not there."""


def evaluate_tasks(
    answerers: Answerers, cases: Sequence[TaskCases], sampling: Sampling, kept: KeptAnswers | None = None
) -> list[EvaluatedSet]:
    """Every system's answers to all cases, scored: one set for each of the cases, in order."""
    answers = answer_tasks(answerers, cases, sampling, kept or KeptAnswers())
    following = task_following(cases, answers)
    return [_evaluated(answerers, *one) for one in zip(cases, answers, following, strict=True)]


def answer_tasks(
    answerers: Answerers, cases: Sequence[TaskCases], sampling: Sampling, kept: KeptAnswers
) -> list[Answers]:
    """The answers of every system to each of the cases; the slow part."""
    found: list[Answers] = [{} for _ in cases]
    for asked in TASK_ASKED:
        prompts = [asked.prompts(one) for one in cases]
        texts = iter(_together(answerers, asked, prompts, sampling, kept))
        for place, some in enumerate(prompts):
            if some:
                found[place][asked.key] = [next(texts) for _ in some]
    for one, given in zip(cases, found, strict=True):
        given["swapped"] = anothers(given[READER])
        given["nearest_text"] = one.plain_answers
    return found


def _together(
    answerers: Answerers,
    asked: TaskAsked,
    prompts: Sequence[Sequence[Prompt]],
    sampling: Sampling,
    kept: KeptAnswers,
) -> list[str]:
    return answer(
        answerers.engines[asked.model],
        [prompt for some in prompts for prompt in some],
        sampling,
        key=f"{answerers.key}/{asked.model}",
        kept=kept,
        progress=f"all tasks: {asked.name}",
    )


def _evaluated(
    answerers: Answerers, cases: TaskCases, answers: Answers, following: Following
) -> EvaluatedSet:
    scorer = TaskScorer(cases=cases, encoder=answerers.encoder, second=answerers.second)
    scored = {key: scorer.score(answers[key]) for key in ORDER if key in answers}
    series = {key: {**found, **following.series.get(key, {})} for key, found in scored.items()}
    series[READER] |= over_swap(series[READER], series["swapped"])
    measures = (*task_measures(cases, answerers.second), *following.measures)
    names = {asked.key: (asked.name, asked.what) for asked in TASK_ASKED} | TASK_GIVEN
    systems = tuple(
        System(key=key, name=names[key][0], what=names[key][1], estimates=estimates_of(found, measures))
        for key, found in series.items()
    )
    return evaluated_set(
        cases,
        systems,
        measures,
        [_entity(cases, answers, series, row) for row in range(len(cases.ids))],
        among=0 if cases.of_people else len(cases.items) + cases.is_between,
        second=answerers.second is not None,
        num_tasks=following.num_tasks,
    )


def _entity(
    cases: TaskCases, answers: Answers, series: Mapping[str, Mapping[str, Series]], row: int
) -> Entity:
    return Entity(
        id=cases.ids[row],
        label=cases.labels[row],
        truth="\n\n".join(cases.told[row]),
        nearest=tuple(known for near in cases.near[row] for known in near),
        answers={key: answers[key][row] for key in series},
        values=numbers_of(series, row, lambda one: one.values),
        weights=numbers_of(series, row, lambda one: one.weights),
    )
