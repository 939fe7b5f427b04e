"""Evaluate: a reader and every baseline on the same cases, scored by the same measures.

Answers are kept as they come, so that a stopped run goes on. Knows readers, cases, systems and measures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vecspeak.embedders.semantic import Encodes
from vecspeak.engines import Engine, Sampling
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.evaluation.answering import KeptAnswers, answer, losses
from vecspeak.evaluation.cases import SHOWN, Cases
from vecspeak.evaluation.flags import flags_of
from vecspeak.evaluation.intervals import Series
from vecspeak.evaluation.measures import (
    NO_ANSWER,
    Scorer,
    estimates_of,
    loss_series,
    measures_of,
    swap_gap,
)
from vecspeak.evaluation.report import Entity, EvaluatedSet, Measure, System
from vecspeak.evaluation.systems import ASKED, GIVEN, best_of_name
from vecspeak.evaluation.task_cases import TaskCases
from vecspeak.model import Reader
from vecspeak.prompts import Prompt
from vecspeak.tasks.texts import opening


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Models:
    """Who answers, and who reads the answers back."""

    reader: Reader
    untouched: Reader
    """The same language model before it learned to read vectors."""
    encoder: Encodes
    second: Encodes | None
    """An encoder that made nothing; None where it is not at hand."""
    key: str
    """Names the engine and the weights, so that kept answers of others are not used."""
    engines: Mapping[str, Engine] = field(default_factory=dict)
    """What answers for `reader` and for `untouched`; transformers' engine where none is given."""

    def engine(self, name: str) -> Engine:
        """What answers for `reader` or `untouched`."""
        return self.engines.get(name) or TransformersEngine(getattr(self, name), batch_size=128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a person may choose; written into the report."""

    sampling: Sampling = Sampling()
    best_of: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """One system's answers and what is measured of them."""

    key: str
    name: str
    what: str
    answers: list[str]
    series: dict[str, Series]


def anothers(values: list[Any]) -> list[Any]:
    """To each entity what is another's: one rule for answers and prompts, so that they belong together."""
    return values[-1:] + values[:-1]


class _Evaluation:
    """One set of cases on its way through every system."""

    def __init__(self, models: Models, cases: Cases, settings: Settings, kept: KeptAnswers) -> None:
        self.models = models
        self.cases = cases
        self.settings = settings
        self.kept = kept
        self.engines = {name: models.engine(name) for name in ("reader", "untouched")}

    def answers(self, model: str, prompts: Sequence[Prompt], sampling: Sampling, label: str) -> list[str]:
        return answer(
            self.engines[model],
            prompts,
            sampling,
            key=f"{self.models.key}/{model}",
            kept=self.kept,
            progress=label,
        )

    def texts(self) -> dict[str, list[str]]:
        """The answers of every system, the slow part."""
        cases, settings = self.cases, self.settings
        made = {
            asked.key: self.answers(
                asked.model,
                asked.prompts(cases, settings.seed),
                settings.sampling,
                f"{cases.name}: {asked.name}",
            )
            for asked in ASKED
        }
        if settings.best_of > 1:
            made["best_of"] = self._best_of()
        shown = [opening(text, SHOWN) for text in cases.nearest_truths]
        if shown != cases.nearest_truths:
            made["nearest_whole"] = cases.nearest_truths
        return {
            **made,
            "swapped": anothers(made["reader"]),
            "nearest_text": shown,
            "truth": cases.targets,
        }

    def _best_of(self) -> list[str]:
        """Of several drawn answers the one whose vector is nearest to the one that was read."""
        prompts = next(asked for asked in ASKED if asked.key == "reader").prompts(self.cases, 0)
        drawn = []
        for number in range(self.settings.best_of):
            sampling = replace(self.settings.sampling.varied, seed=self.settings.seed + number)
            label = f"{self.cases.name}: draw {number + 1} of {self.settings.best_of}"
            drawn.append(self.answers("reader", prompts, sampling, label))
        flat = [text.strip() or NO_ANSWER for texts in drawn for text in texts]
        vectors = self.models.encoder.encode(flat).reshape(len(drawn), len(prompts), -1)
        best = np.einsum("knt,nt->kn", vectors, self.cases.read).argmax(0)
        return [drawn[k][row] for row, k in enumerate(best.tolist())]

    def losses(self) -> dict[str, Series]:
        """The loss of the truth after every prompt, with another entity's vector too."""
        found = {}
        for asked in ASKED:
            prompts = asked.prompts(self.cases, self.settings.seed)
            found[asked.key] = self._loss(asked.model, prompts, asked.name)
            if asked.key == "reader":
                found["swapped"] = self._loss("reader", anothers(prompts), GIVEN["swapped"][0])
        return found

    def _loss(self, model: str, prompts: Sequence[Prompt], name: str) -> Series:
        made = losses(
            getattr(self.models, model),
            prompts,
            self.cases.targets,
            key=f"{self.models.key}/{model}",
            kept=self.kept,
            progress=f"{self.cases.name}: loss, {name}",
        )
        return loss_series(*made)

    def systems(self) -> list[_Found]:
        """Every system, measured, in the order of the table."""
        texts, known = self.texts(), self.losses()
        scorer = Scorer.of(self.cases, self.models.encoder, self.models.second)
        names = {asked.key: (asked.name, asked.what) for asked in ASKED} | GIVEN
        names["best_of"] = best_of_name(self.settings.best_of)
        order = [
            "reader", "best_of", "swapped", "mean", "random",
            "nearest_text", "nearest_whole", "lm_texts", "lm_labels", "lm_truth", "truth",
        ]  # fmt: skip
        found = []
        for key in order:
            if key not in texts:
                continue
            series = scorer.score_truth() if key == "truth" else scorer.score(texts[key])
            if key in known:
                series = {"loss": known[key], **series}
            if key == "reader":
                series["gap"] = swap_gap(known["reader"], known["swapped"])
                series["gap_mean"] = swap_gap(known["reader"], known["mean"])
            found.append(
                _Found(key=key, name=names[key][0], what=names[key][1], answers=texts[key], series=series)
            )
        return found


def evaluate(
    models: Models, cases: Cases, settings: Settings | None = None, kept: KeptAnswers | None = None
) -> EvaluatedSet:
    """All measures of the reader and of every baseline on the cases."""
    run = _Evaluation(models, cases, settings or Settings(), kept or KeptAnswers())
    found = run.systems()
    measures = measures_of(cases, models.second)
    systems = tuple(
        System(key=one.key, name=one.name, what=one.what, estimates=estimates_of(one.series, measures))
        for one in found
    )
    return evaluated_set(
        cases,
        systems,
        measures,
        [_entity(cases, found, row) for row in range(len(cases.ids))],
        among=0 if cases.pool is None else len(cases.pool),
        second=models.second is not None,
    )


def evaluated_set(
    cases: Cases | TaskCases,
    systems: Sequence[System],
    measures: Sequence[Measure],
    entities: Sequence[Entity],
    *,
    among: int,
    second: bool,
    num_tasks: int = 1,
) -> EvaluatedSet:
    """The set that these cases became, with its flags."""
    return EvaluatedSet(
        name=cases.name,
        question=cases.question,
        split=cases.split,
        trained_on=cases.trained_on,
        among=among,
        nearest_by=cases.nearest_by,
        flags=flags_of(
            systems,
            count=len(cases.ids),
            trained_on=cases.trained_on,
            known_texts=cases.known_texts,
            second=second,
            num_tasks=num_tasks,
        ),
        measures=tuple(measures),
        systems=tuple(systems),
        entities=tuple(entities),
    )


def _entity(cases: Cases, found: Sequence[_Found], row: int) -> Entity:
    series = {one.key: one.series for one in found}
    return Entity(
        id=cases.ids[row],
        label=cases.labels[row],
        truth=cases.texts[row],
        nearest=cases.nearest[row],
        answers={one.key: one.answers[row] for one in found if one.key != "truth"},
        values=numbers_of(series, row, lambda one: one.values),
        weights=numbers_of(series, row, lambda one: one.weights),
    )


def numbers_of(
    series: Mapping[str, Mapping[str, Series]], row: int, pick: Callable[[Series], np.ndarray | None]
) -> dict[str, dict[str, float]]:
    """The numbers of one entity by system and measure; what `pick` does not find is left out."""
    made: dict[str, dict[str, float]] = {}
    for system, measured in series.items():
        values = {key: pick(one) for key, one in measured.items()}
        made[system] = {k: round(float(v[row]), 6) for k, v in values.items() if v is not None}
    return made


def flat_scores(found: EvaluatedSet) -> dict[str, Any]:
    """The numbers that a manifest carries: the reader's swap gap, consistency and R@10."""
    reader = found.system("reader")
    assert reader is not None, "every evaluation has the reader"
    wanted = {"swap_gap": "gap", "semantic_consistency": "sc", "retrieval": "r10"}
    kept = {name: reader.estimates.get(key) for name, key in wanted.items()}
    return {
        name: {"value": e.value, "low": e.low, "high": e.high} for name, e in kept.items() if e is not None
    }
