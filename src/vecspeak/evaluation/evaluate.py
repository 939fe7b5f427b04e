"""Evaluate: a reader and every baseline on the same cases, scored by the same measures.

Answers are kept as they come, so that a stopped run goes on. Knows readers, cases, systems and measures.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from vecspeak.bundles import Bundle
from vecspeak.bundles.weights import best_device, load_reader
from vecspeak.encoders.text import (
    SECOND_ENCODER,
    CachedVectors,
    Encoder,
    TextEncoder,
    is_installed,
    load_encoder,
)
from vecspeak.engines import AUTO, Engine, Sampling, resolve_engine
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.errors import UserError
from vecspeak.evaluation.answering import AnswerCache, answer, losses
from vecspeak.evaluation.baselines import (
    BASELINES,
    GIVEN,
    NUM_LABELS,
    NUM_TEXTS,
    ORDER,
    TASK_BASELINES,
    TASK_GIVEN,
    TaskBaseline,
    best_of_name,
)
from vecspeak.evaluation.cases import SHOWN, Cases, TaskCases
from vecspeak.evaluation.metrics import (
    NO_ANSWER,
    Following,
    Scorer,
    TaskScorer,
    estimates_of,
    loss_series,
    measures_of,
    over_swap,
    swap_gap,
    task_following,
    task_measures,
)
from vecspeak.evaluation.report import READER, Entity, EvaluatedSet, Measure, Report, System, flags_of
from vecspeak.model.prompt import Prompt
from vecspeak.model.reader import Reader
from vecspeak.stats import Series
from vecspeak.storage import Cache
from vecspeak.tasks.task_set import opening


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Models:
    """Who answers, and who reads the answers back."""

    reader: Reader
    base: Reader
    """The same language model before it learned to read vectors."""
    encoder: Encoder
    second: Encoder | None
    """An encoder that made nothing; None where it is not at hand."""
    key: str
    """Names the engine and the weights, so that kept answers of others are not used."""
    engines: Mapping[str, Engine] = field(default_factory=dict)
    """What answers for `reader` and for `base`; transformers' engine where none is given."""

    def engine(self, name: str) -> Engine:
        """What answers for `reader` or `base`."""
        return self.engines.get(name) or TransformersEngine(getattr(self, name), batch_size=128)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
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


def shuffled(values: list[Any]) -> list[Any]:
    """To each entity what is another's: one rule for answers and prompts, so that they belong together."""
    return values[-1:] + values[:-1]


class _Evaluation:
    """One set of cases on its way through every system."""

    def __init__(self, models: Models, cases: Cases, settings: EvaluationConfig, kept: AnswerCache) -> None:
        self.models = models
        self.cases = cases
        self.settings = settings
        self.kept = kept
        self.engines = {name: models.engine(name) for name in ("reader", "base")}

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
            for asked in BASELINES
        }
        if settings.best_of > 1:
            made["best_of"] = self._best_of()
        shown = [opening(text, SHOWN) for text in cases.nearest_truths]
        if shown != cases.nearest_truths:
            made["nearest_whole"] = cases.nearest_truths
        return {
            **made,
            "swapped": shuffled(made["reader"]),
            "nearest_text": shown,
            "truth": cases.targets,
        }

    def _best_of(self) -> list[str]:
        """Of several drawn answers the one whose vector is nearest to the one that was read."""
        prompts = next(asked for asked in BASELINES if asked.key == "reader").prompts(self.cases, 0)
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
        for asked in BASELINES:
            prompts = asked.prompts(self.cases, self.settings.seed)
            found[asked.key] = self._loss(asked.model, prompts, asked.name)
            if asked.key == "reader":
                found["swapped"] = self._loss("reader", shuffled(prompts), GIVEN["swapped"][0])
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
        names = {asked.key: (asked.name, asked.what) for asked in BASELINES} | GIVEN
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
    models: Models, cases: Cases, settings: EvaluationConfig | None = None, kept: AnswerCache | None = None
) -> EvaluatedSet:
    """All measures of the reader and of every baseline on the cases."""
    run = _Evaluation(models, cases, settings or EvaluationConfig(), kept or AnswerCache())
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answerers:
    """Who answers, and who reads the answers back."""

    engines: Mapping[str, Engine]
    """By `reader` and `base`, which is the same language model before it learned to read vectors."""
    encoder: Encoder
    second: Encoder | None
    key: str
    """Names the engines and the weights, so that kept answers of others are not used."""


Answers = dict[str, list[str]]
"""By system; a system that had nothing to be told is not there."""


def evaluate_tasks(
    answerers: Answerers, cases: Sequence[TaskCases], sampling: Sampling, kept: AnswerCache | None = None
) -> list[EvaluatedSet]:
    """Every system's answers to all cases, scored: one set for each of the cases, in order."""
    answers = answer_tasks(answerers, cases, sampling, kept or AnswerCache())
    following = task_following(cases, answers)
    return [_evaluated(answerers, *one) for one in zip(cases, answers, following, strict=True)]


def answer_tasks(
    answerers: Answerers, cases: Sequence[TaskCases], sampling: Sampling, kept: AnswerCache
) -> list[Answers]:
    """The answers of every system to each of the cases; the slow part."""
    found: list[Answers] = [{} for _ in cases]
    for asked in TASK_BASELINES:
        prompts = [asked.prompts(one) for one in cases]
        texts = iter(_together(answerers, asked, prompts, sampling, kept))
        for place, some in enumerate(prompts):
            if some:
                found[place][asked.key] = [next(texts) for _ in some]
    for one, given in zip(cases, found, strict=True):
        given["swapped"] = shuffled(given[READER])
        given["nearest_text"] = one.plain_answers
    return found


def _together(
    answerers: Answerers,
    asked: TaskBaseline,
    prompts: Sequence[Sequence[Prompt]],
    sampling: Sampling,
    kept: AnswerCache,
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
    names = {asked.key: (asked.name, asked.what) for asked in TASK_BASELINES} | TASK_GIVEN
    systems = tuple(
        System(key=key, name=names[key][0], what=names[key][1], estimates=estimates_of(found, measures))
        for key, found in series.items()
    )
    return evaluated_set(
        cases,
        systems,
        measures,
        [_task_entity(cases, answers, series, row) for row in range(len(cases.ids))],
        among=0 if cases.of_people else len(cases.items) + cases.is_between,
        second=answerers.second is not None,
        num_tasks=following.num_tasks,
    )


def _task_entity(
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


Precision = Literal["float32", "bfloat16"]
NO_SECOND = "none"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_LIBRARIES = (
    "vecspeak",
    "torch",
    "transformers",
    "sentence-transformers",
    "openvino",
    "scikit-learn",
    "scipy",
    "numpy",
)


class Evaluator:
    """Everything that is loaded once and used for every set of one bundle.

    `keep` is a folder where answers and vectors are kept as they come: a run that was stopped goes on where it was.
    Without it nothing is kept. `second` names the second encoder: "" takes all-mpnet-base-v2 where it is
    installed, "none" none. `engine` answers; losses are always torch's, in `precision`. Raises UserError for an encoder
    that is not there and for an unknown engine.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        keep: Path | None = None,
        second: str = "",
        precision: Precision = "float32",
        engine: str = AUTO,
    ) -> None:
        self.bundle = bundle
        self.precision = precision
        self.engine = resolve_engine(bundle, engine)
        card = bundle.manifest.reader
        own = load_encoder(card.encoder)
        other = _second(second)
        self.digests = {f"encoder {one.name}": one.digest for one in (own, other) if one}
        self.encoder = _kept(own, keep)
        self.second = _kept(other, keep) if other else None
        self.kept = AnswerCache(keep / "answers.jsonl" if keep else None)
        self._models: Models | None = None

    def models(self) -> Models:
        """The reader and the untouched language model, loaded when first needed."""
        if self._models is None:
            dtype, device = _DTYPES[self.precision], best_device()
            self._models = Models(
                reader=load_reader(self.bundle, dtype=dtype, device=device),
                base=load_reader(self.bundle, dtype=dtype, device=device, base_model=True),
                encoder=self.encoder,
                second=self.second,
                key=self._key,
                engines=self._engines(),
            )
        return self._models

    @property
    def _key(self) -> str:
        weights = json.dumps(self.bundle.manifest.files, sort_keys=True)
        return f"{self._answers_by}{self.bundle.manifest.reader.base_sha256}/{weights}"

    @property
    def _answers_by(self) -> str:
        """What kept answers are marked with; those that transformers gave are marked as they always were."""
        return f"{self.precision}/" if self.engine == "transformers" else f"{self.engine}/{self.precision}/"

    def _engines(self) -> dict[str, Engine]:
        if self.engine == "transformers":
            return {}  # made of the readers that are loaded for the losses
        from vecspeak.engines.openvino import OpenVINOEngine
        from vecspeak.engines.prepared import open_prepared

        return {
            name: OpenVINOEngine(open_prepared(self.bundle, base_model=name == "base"))
            for name in ("reader", "base")
        }

    def answerers(self) -> Answerers:
        """What tasks are asked of: engines and encoders. Torch's weights are loaded only where torch answers."""
        engines = self._engines() or {name: self.models().engine(name) for name in ("reader", "base")}
        return Answerers(engines=engines, encoder=self.encoder, second=self.second, key=self._key)

    def run_tasks(self, cases: Sequence[TaskCases], settings: EvaluationConfig) -> list[EvaluatedSet]:
        """Task cases of any spaces through every system, all tasks together."""
        return evaluate_tasks(self.answerers(), cases, settings.sampling, self.kept)

    def run(self, cases: Cases, settings: EvaluationConfig) -> EvaluatedSet:
        """One set of cases through every system."""
        return evaluate(self.models(), cases, settings, self.kept)

    def report(
        self,
        makers: Sequence[Callable[[Encoder], Cases]],
        settings: EvaluationConfig,
        more: Mapping[str, Any] = {},
    ) -> Report:
        """A report of several sets; each maker makes one set's cases with the reader's encoder.

        All cases are made first, so that a mistake in the last is told before the work on the first.
        """
        cases = [make(self.encoder) for make in makers]
        return self.gather([self.run(one, settings) for one in cases], settings, more)

    def gather(
        self, sets: Sequence[EvaluatedSet], settings: EvaluationConfig, more: Mapping[str, Any] = {}
    ) -> Report:
        """The report of sets that were run."""
        manifest = self.bundle.manifest
        said = {
            "seed": settings.seed,
            "best_of": settings.best_of,
            "best_of_temperature": settings.sampling.varied.temperature,
            "sampling": asdict(settings.sampling),
            "engine": self.engine,
            "precision": self.precision,
            "nearest_texts": NUM_TEXTS,
            "nearest_labels": NUM_LABELS,
            "language_model": manifest.reader.base_model,
            "encoder": manifest.reader.encoder,
            "second_encoder": self.second.name if self.second else NO_SECOND,
            "libraries": _versions(),
            **more,
        }
        digests = {path: str(known["sha256"]) for path, known in manifest.files.items()}
        spaces = {f"space {name}": entry.space.digest for name, entry in self.bundle.entries.items()}
        return Report(
            bundle=manifest.name,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            settings=said,
            digests={**digests, **self.digests, **spaces},
            sets=tuple(sets),
        )


def _versions() -> dict[str, str]:
    """Of what is installed of the libraries that the numbers may depend on."""
    found = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _second(name: str) -> TextEncoder | None:
    if name == NO_SECOND or (not name and not is_installed(SECOND_ENCODER)):
        return None
    return load_encoder(name or SECOND_ENCODER)


def _kept(encoder: TextEncoder, keep: Path | None) -> Encoder:
    return CachedVectors(encoder, Cache(keep / "vectors.sqlite"), key=encoder.digest) if keep else encoder


def check_precision(name: str) -> Precision:
    """The precision of that name. Raises UserError for another."""
    if name not in _DTYPES:
        raise UserError(
            f"unknown precision {name!r}; known are {', '.join(_DTYPES)}", "use --precision float32"
        )
    return name  # type: ignore[return-value]
