"""Run: put the questions about a report's answers to a rater, check the rater, and put its ratings in the report.

Knows reports, items, checks and a rater that answers prompts. Writes nothing.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from vecspeak.errors import UserError
from vecspeak.evaluation.report import READER, EvaluatedSet, Report
from vecspeak.judging.checks import check_rater, plant
from vecspeak.judging.items import Item, choose_systems, draw_entities, shuffled, system_items
from vecspeak.judging.questions import QUESTIONS, SCALES, Question
from vecspeak.judging.rater import Address, Verdict
from vecspeak.judging.summary import Rating, by_entity, mean_of, outcomes, pair_of, rating_rows


class Answers(Protocol):
    """What a run needs of a rater."""

    address: Address

    def ask_all(self, questions: Mapping[str, Question], *, concurrency: int) -> dict[str, Verdict]:
        """The verdict on every prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is judged."""

    systems: tuple[str, ...] = ()
    """Keys of systems; all that answered when empty."""
    sets: tuple[str, ...] = ()
    """Names of sets; all when empty."""
    count: int = 100
    """How many entities of a set, at most."""
    seed: int = 0
    """Of the draw, the order, the planted items and the intervals."""
    concurrency: int = 4


def judge_report(report: Report, rater: Answers, settings: Settings) -> Report:
    """The report with this rater's ratings of each set; those of other raters stay.

    They stand under the model's name, and under `MODEL on SET` where the report has several sets.
    """
    chosen = _chosen_sets(report, settings)
    name = rater.address.model
    found = {
        name if len(report.sets) == 1 else f"{name} on {evaluated.name}": judge_set(
            evaluated, rater, settings
        )
        for evaluated in chosen
    }
    return dataclasses.replace(report, judged={**report.judged, **found})


def make_items(evaluated: EvaluatedSet, settings: Settings) -> list[Item]:
    """Every question about a set in the order in which it is asked, planted ones among the others."""
    systems = choose_systems(evaluated, settings.systems)
    entities = draw_entities(evaluated, settings.count, settings.seed)
    asked = [item for entity in entities for item in system_items(entity, systems)]
    like = READER if READER in systems else systems[0]
    planted = plant(entities, evaluated.entities, like=like, seed=settings.seed)
    return shuffled(asked + planted, settings.seed)


def judge_set(evaluated: EvaluatedSet, rater: Answers, settings: Settings) -> dict[str, Any]:
    """A rater's ratings of one set as plain values: estimates by system and pair, the checks, every rating."""
    items = make_items(evaluated, settings)
    questions = {item.prompt: item.question for item in items}
    verdicts = rater.ask_all(questions, concurrency=settings.concurrency)
    ratings = [Rating(item=item, value=verdicts[item.prompt].value) for item in items]
    unanswered = sum(verdict.value is None for verdict in verdicts.values())
    asked = sum(verdict.fresh for verdict in verdicts.values())
    of_systems = [rating for rating in ratings if not rating.item.planted]
    systems = choose_systems(evaluated, settings.systems)
    return {
        "model": rater.address.model,
        "url_host": rater.address.host,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": settings.seed,
        "set": evaluated.name,
        "trained_on": evaluated.trained_on,
        "entities": len({rating.item.entity for rating in of_systems}),
        "questions": {question.key: dataclasses.asdict(question) for question in QUESTIONS},
        "systems": {system: _scales(of_systems, system, settings.seed) for system in systems},
        "pairs": _pairs(of_systems, systems, settings.seed),
        "checks": check_rater(ratings, unanswered=unanswered / max(len(verdicts), 1), seed=settings.seed),
        "asked": asked,
        "cached": len(verdicts) - asked,
        "unanswered": unanswered,
        "ratings": rating_rows(ratings, planted=False),
        "planted_ratings": rating_rows(ratings, planted=True),
    }


def _chosen_sets(report: Report, settings: Settings) -> list[EvaluatedSet]:
    names = [evaluated.name for evaluated in report.sets]
    unknown = [name for name in settings.sets if name not in names]
    if unknown or not names:
        what = f"the report has no set {unknown[0]!r}" if unknown else "the report has no sets"
        raise UserError(f"{what}; it has {', '.join(names) or 'none'}", "give one of these to --set")
    if len(set(names)) < len(names):
        raise UserError("two sets of the report have the same name", "name them apart and evaluate again")
    return [evaluated for evaluated in report.sets if not settings.sets or evaluated.name in settings.sets]


def _scales(ratings: Sequence[Rating], system: str, seed: int) -> dict[str, Any]:
    found = {question.key: mean_of(by_entity(ratings, system, question), seed=seed) for question in SCALES}
    return {key: value for key, value in found.items() if value is not None}


def _pairs(ratings: Sequence[Rating], systems: Sequence[str], seed: int) -> dict[str, Any]:
    found = {
        system: pair_of(outcomes(ratings, READER, system), seed=seed)
        for system in systems
        if system != READER
    }
    return {system: value for system, value in found.items() if value is not None}
