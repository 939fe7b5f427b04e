"""The runner: a reader and every baseline on the same cases, scored by the same scorers.

Answers are cached as they come, so that a stopped run goes on.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
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
    load_named_encoder,
)
from vecspeak.engines import AUTO, Engine, Sampling, open_engine, resolve_engine
from vecspeak.engines.registry import REFERENCE, engine_kind, local_engines
from vecspeak.errors import UserError, check_one_of, check_whole
from vecspeak.evaluation.answering import answer, losses, search
from vecspeak.evaluation.baselines import BASELINES, NUM_LABELS, NUM_TEXTS, READ, described
from vecspeak.evaluation.cases import CaseSet, terms_by_prompt
from vecspeak.evaluation.metrics import ScoringContext, estimates_of, loss_series, same_points
from vecspeak.evaluation.report import (
    READER,
    SHUFFLED,
    TRUTH,
    Entity,
    EvaluatedSet,
    Measure,
    Report,
    System,
    flags_of,
)
from vecspeak.evaluation.table import concat, rows, series_of
from vecspeak.evaluation.wording import NO_ANSWER
from vecspeak.model.prompt import Prompt, with_beginning
from vecspeak.model.reader import Reader
from vecspeak.searching import EFFORTS, Effort, TermsOf
from vecspeak.stats import Series
from vecspeak.storage import Cache


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Models:
    """Who answers, and who reads the answers back."""

    engines: Mapping[str, Engine]
    """By `reader` and `base`, which is the same language model before it learned to read vectors."""
    encoder: Encoder
    second: Encoder | None
    """An encoder that had no part in making vectors or answers; None where it is not installed."""
    key: str
    """Names the engines and the weights, so that cached answers of others are not used."""
    reader: Callable[[str], Reader] | None = None
    """Loads the weights of `reader` or `base` for losses; None: no losses are measured."""

    @property
    def encoding_once(self) -> "Models":
        """The same with an encoder that remembers: answers to the start of several ways are equal, for example."""
        return replace(self, encoder=CachedVectors(self.encoder, Cache(), key=self.encoder.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """What a person may choose; written into the report."""

    sampling: Sampling = Sampling()
    effort: Effort | None = None
    """How much is searched for an answer of the reader; None: a plain draw of the sampling."""
    words_in_prompt: bool = False
    """Whether the reader's questions have the words that are read from each case's vector."""
    best_of: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("best_of", self.best_of, 1, 64)
        check_whole("seed", self.seed, 0)
        check_one_of("effort", self.effort, (None, *EFFORTS))


def evaluate(
    models: Models,
    case_sets: Sequence[CaseSet],
    config: EvaluationConfig | None = None,
    cache: Cache | None = None,
) -> list[EvaluatedSet]:
    """Score every baseline of every case set by all of its scorers: one evaluated set each, in order."""
    config = config or EvaluationConfig()
    contexts = scoring_contexts(models, case_sets, config, cache)
    return [evaluated_set(context, score(context), config) for context in contexts]


def scoring_contexts(
    models: Models, case_sets: Sequence[CaseSet], config: EvaluationConfig, cache: Cache | None = None
) -> Iterator[ScoringContext]:
    """Ask every baseline of every case set, then give what is scored of each; losses are measured as sets come.

    Protocols, which make summaries of their own, score these into the tidy table: `concat(map(score, contexts))`.
    """
    cache = Cache() if cache is None else cache
    texts = generate(models, case_sets, config, cache)
    tasks = same_points(case_sets, texts)
    for cases, given, points in zip(case_sets, texts, tasks, strict=True):
        losses = _losses(models, cases, config, cache) if "loss" in cases.scorers else {}
        yield ScoringContext(cases, models.encoder, models.second, texts=given, losses=losses, tasks=points)


def generate(
    models: Models, case_sets: Sequence[CaseSet], config: EvaluationConfig, cache: Cache
) -> list[dict[str, list[str]]]:
    """Every baseline's answers to each case set, by baseline; a baseline that has nothing to go by is left out.

    All prompts of one baseline go to the engine in one call.
    """
    found: list[dict[str, list[str]]] = [{} for _ in case_sets]
    who = case_sets[0].name if len(case_sets) == 1 else "all sets"
    for key, baseline in BASELINES.items():
        if baseline.prompts is None or baseline.model is None:
            continue
        prompts = [baseline.prompts(one, config.seed) if key in one.baselines else [] for one in case_sets]
        searched = bool(config.effort) and baseline.model == "reader"
        flat = [
            with_beginning(prompt, one.beginning if searched else "")
            for one, some in zip(case_sets, prompts, strict=True)
            for prompt in some
        ]
        read = terms_by_prompt(case_sets, flat) if searched else None
        texts = iter(_answered(models, baseline.model, flat, config, cache, f"{who}: {baseline.name}", read))
        for given, some in zip(found, prompts, strict=True):
            if some:
                given[key] = [next(texts) for _ in some]
    for cases, given in zip(case_sets, found, strict=True):
        if "best_of" in cases.baselines and config.best_of > 1:
            given["best_of"] = _best_of(models, cases, config, cache)
        # Nobody is asked again: another case's answer is as fluent as the right one, and of another vector.
        if SHUFFLED in cases.baselines:
            given[SHUFFLED] = cases.roll(given[READER])
        for key in cases.baselines:
            ready = BASELINES[key].texts
            if ready is not None and (made := ready(cases)):
                given[key] = list(made)
    return found


def _answered(
    models: Models,
    model: str,
    prompts: Sequence[Prompt],
    config: EvaluationConfig,
    cache: Cache,
    progress: str,
    terms_of: TermsOf | None = None,
) -> list[str]:
    if not prompts:  # nobody asks for this baseline: its model is not opened
        return []
    engine, key, sampling = models.engines[model], f"{models.key}/{model}", config.sampling
    if config.effort and model == "reader":
        found = search(
            engine, models.encoder, prompts, sampling, config.effort,
            terms_of=terms_of, key=key, cache=cache, progress=progress,
        )  # fmt: skip
        return [one.text for one in found]
    return answer(engine, prompts, sampling, key=key, cache=cache, progress=progress)


def _best_of(models: Models, cases: CaseSet, config: EvaluationConfig, cache: Cache) -> list[str]:
    """Of several drawn answers the one whose vector is nearest to the one that was read."""
    assert READ.prompts is not None
    prompts = READ.prompts(cases, 0)
    drawn = []
    for number in range(config.best_of):
        drawn_once = replace(config.sampling.varied, seed=config.seed + number)
        draw = replace(config, sampling=drawn_once, effort=None)
        label = f"{cases.name}: draw {number + 1} of {config.best_of}"
        drawn.append(_answered(models, "reader", prompts, draw, cache, label))
    flat = [text.strip() or NO_ANSWER for texts in drawn for text in texts]
    vectors = models.encoder.encode(flat).reshape(len(drawn), len(prompts), -1)
    # By the space's own encoder, so that best-of is fairly scored by the second encoder alone.
    best = np.einsum("knt,nt->kn", vectors, cases.inputs[:, 0]).argmax(0)
    return [drawn[k][row] for row, k in enumerate(best.tolist())]


def _losses(models: Models, cases: CaseSet, config: EvaluationConfig, cache: Cache) -> dict[str, Series]:
    """The loss of the truth after every baseline's prompts, and after those of another case."""
    if models.reader is None:
        return {}
    found = {}
    for key, baseline in BASELINES.items():
        if key not in cases.baselines or baseline.prompts is None or baseline.model is None:
            continue
        prompts = baseline.prompts(cases, config.seed)
        if not prompts:  # of a case set without words nothing is asked without them
            continue
        # The shuffled control has the reader's prompts of other cases before each case's own target.
        asked = {key: prompts} | ({SHUFFLED: cases.roll(prompts)} if key == READER else {})
        for name, some in asked.items():
            sums, tokens = losses(
                models.reader(baseline.model),
                some,
                cases.targets,
                key=f"{models.key}/{baseline.model}",
                cache=cache,
                progress=f"{cases.name}: loss, {BASELINES[name].name}",
            )
            found[name] = loss_series(sums, tokens)
    return found


def score(context: ScoringContext) -> pa.Table:
    """Score every system's answers to one case set: the tidy table of `evaluation.table`."""
    cases = context.cases
    systems = [key for key in cases.baselines if key in context.texts]
    return concat(rows(cases.name, key, cases.entities, context.answers(key).scores()) for key in systems)


def evaluated_set(context: ScoringContext, table: pa.Table, config: EvaluationConfig) -> EvaluatedSet:
    """The set of a report, from the tidy table of its case set."""
    cases, measures = context.cases, context.measures
    series: dict[str, dict[str, Series]] = {}
    for (_, system, metric), one in series_of(table).items():
        series.setdefault(system, {})[metric] = one
    systems = tuple(_system(cases, key, found, measures, config) for key, found in series.items())
    return EvaluatedSet(
        name=cases.name,
        question=cases.question,
        split=cases.split,
        trained_on=cases.trained_on,
        among=cases.among,
        nearest_by=cases.nearest_by,
        flags=flags_of(
            systems,
            count=len(cases),
            trained_on=cases.trained_on,
            known_texts=cases.known_texts,
            second=context.second is not None,
            num_tasks=context.tasks.num_tasks,
        ),
        measures=measures,
        systems=systems,
        entities=tuple(
            Entity(
                id=cases.ids[row],
                label=cases.labels[row],
                truth=cases.texts[row],
                nearest=cases.nearest[row],
                answers={key: context.texts[key][row] for key in series if key != TRUTH},
                values=_numbers(series, row, lambda one: one.values),
                weights=_numbers(series, row, lambda one: one.weights),
            )
            for row in range(len(cases))
        ),
    )


def _system(
    cases: CaseSet,
    key: str,
    series: Mapping[str, Series],
    measures: Sequence[Measure],
    config: EvaluationConfig,
) -> System:
    name, what = described(cases, key)
    if key == "best_of":
        name, what = (text.replace("several", str(config.best_of), 1) for text in (name, what))
    return System(key=key, name=name, what=what, estimates=estimates_of(series, measures))


def _numbers(
    series: Mapping[str, Mapping[str, Series]], row: int, pick: Callable[[Series], np.ndarray | None]
) -> dict[str, dict[str, float]]:
    """The numbers of one entity by system and metric; what `pick` does not find is left out."""
    made: dict[str, dict[str, float]] = {}
    for system, measured in series.items():
        values = {key: pick(one) for key, one in measured.items()}
        made[system] = {k: round(float(v[row]), 6) for k, v in values.items() if v is not None}
    return made


def flat_scores(found: EvaluatedSet) -> dict[str, Any]:
    """The numbers that a manifest carries: the reader's swap gap, consistency and R@10."""
    reader = found.system(READER)
    assert reader is not None, "every evaluation has the reader"
    wanted = {"swap_gap": "gap", "semantic_consistency": "sc", "retrieval": "r10"}
    estimates = {name: reader.estimates.get(key) for name, key in wanted.items()}
    return {
        name: {"value": e.value, "low": e.low, "high": e.high}
        for name, e in estimates.items()
        if e is not None
    }


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


class _Opened(dict[str, Engine]):
    """Engines by name, each opened when it is first asked: without baselines of the base model that stays closed."""

    def __init__(self, open: Callable[[str], Engine]) -> None:
        super().__init__()
        self._open = open

    def __missing__(self, name: str) -> Engine:
        return self.setdefault(name, self._open(name))


class Evaluator:
    """Everything that is loaded once and used for every set of one bundle.

    `keep` is a folder where answers and vectors are cached as they come: a run that was stopped goes on where it was.
    Without it the cache is in memory. `second` names the second encoder: "" takes all-mpnet-base-v2 where it is
    installed, "none" none. `engine`, a name or one that is loaded, answers; losses are always torch's, in `precision`.
    `opened` are engines that are loaded already, by "reader" and "base"; `encoder` is the reader's own, where it is
    loaded already. Raises UserError for an encoder that is not there and for an unknown engine.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        keep: Path | None = None,
        second: str = "",
        precision: Precision = "float32",
        engine: str | Engine = AUTO,
        opened: Mapping[str, Engine] = {},
        encoder: Encoder | None = None,
    ) -> None:
        self.bundle = bundle
        self.precision = precision
        if isinstance(engine, str):
            self._opens = resolve_engine(bundle, engine)
            self.engine = engine_kind(self._opens)
        else:  # an engine of one's own reads vectors; the base model is opened by a known one
            self.engine, opened = engine.name, {"reader": engine, **opened}
            self._opens = engine.name if engine.name in local_engines() else AUTO
        card = bundle.manifest.reader
        if not isinstance(encoder, TextEncoder):
            encoder = load_named_encoder(card.encoder, card.encoder_sha256)
        other = _second(second)
        self.digests = {f"encoder {one.name}": one.digest for one in (encoder, other) if one}
        self.encoder = _retained(encoder, keep)
        self.second = _retained(other, keep) if other else None
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
        self.cache = Cache(keep / "answers.sqlite" if keep else None)
        self._engines = _Opened(self._engine)
        self._engines.update(opened)
        self._models: Models | None = None
        self._readers: dict[str, Reader] = {}

    def models(self) -> Models:
        """Engines and encoders; the weights for losses are loaded where they are needed."""
        if self._models is None:
            self._models = Models(
                engines=self._engines,
                encoder=self.encoder,
                second=self.second,
                key=self._key,
                reader=self._reader,
            )
        return self._models

    def _reader(self, name: str) -> Reader:
        if name not in self._readers:
            dtype, device = _DTYPES[self.precision], best_device()
            self._readers[name] = load_reader(
                self.bundle, dtype=dtype, device=device, base_model=name == "base"
            )
        return self._readers[name]

    def _engine(self, name: str) -> Engine:
        # An engine that runs a loaded reader shares its weights with the losses.
        loaded = partial(self._reader, name)
        return open_engine(self.bundle, self._opens, base_model=name == "base", reader=loaded)

    @property
    def _key(self) -> str:
        weights = json.dumps(self.bundle.manifest.files, sort_keys=True)
        return f"{self._answers_by}{self.bundle.manifest.reader.base_sha256}/{weights}"

    @property
    def _answers_by(self) -> str:
        """Prefix of the keys of cached answers."""
        return f"{self.precision}/" if self.engine == REFERENCE else f"{self.engine}/{self.precision}/"

    def run(self, case_sets: Sequence[CaseSet], config: EvaluationConfig) -> list[EvaluatedSet]:
        """Case sets of any spaces through every baseline, all together."""
        return evaluate(self.models(), case_sets, config, self.cache)

    def report(
        self,
        makers: Sequence[Callable[[Encoder], CaseSet]],
        settings: EvaluationConfig,
        more: Mapping[str, Any] = {},
    ) -> Report:
        """A report of several sets; each maker makes one set's cases with the reader's encoder.

        All cases are made first, so that a mistake in the last is told before the work on the first.
        """
        cases = [make(self.encoder) for make in makers]
        return self.gather([found for one in cases for found in self.run([one], settings)], settings, more)

    def gather(
        self, sets: Sequence[EvaluatedSet], settings: EvaluationConfig, more: Mapping[str, Any] = {}
    ) -> Report:
        """The report of sets that were run."""
        manifest = self.bundle.manifest
        said = {
            "seed": settings.seed,
            "effort": settings.effort or "plain",
            "words_in_prompt": settings.words_in_prompt,
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


def _retained(encoder: TextEncoder, keep: Path | None) -> Encoder:
    return CachedVectors(encoder, Cache(keep / "vectors.sqlite"), key=encoder.digest) if keep else encoder


def check_precision(name: str) -> Precision:
    """The precision of that name. Raises UserError for another."""
    if name not in _DTYPES:
        raise UserError(
            f"unknown precision {name!r}; known are {', '.join(_DTYPES)}", "use `precision='float32'`"
        )
    return name  # type: ignore[return-value]
