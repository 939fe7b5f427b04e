"""Run: opens a bundle's reader, its untouched language model and the encoders, and makes a report of sets of cases.

Knows where things are kept between runs. Knows nothing of the command line.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import torch

from vecspeak.bundles import Bundle
from vecspeak.bundles.weights import best_device, load_reader
from vecspeak.embedders.kept import KeptVectors
from vecspeak.embedders.packaged import SECOND_ENCODER, is_installed
from vecspeak.embedders.semantic import Encodes, TextEncoder, load_encoder
from vecspeak.engines import AUTO, Engine, choose_engine
from vecspeak.errors import UserError
from vecspeak.evaluation.answering import KeptAnswers
from vecspeak.evaluation.cases import Cases
from vecspeak.evaluation.evaluate import Models, Settings, evaluate
from vecspeak.evaluation.report import EvaluatedSet, Report
from vecspeak.evaluation.systems import NUM_LABELS, NUM_TEXTS
from vecspeak.evaluation.task_cases import TaskCases
from vecspeak.evaluation.tasks import Answerers, evaluate_tasks

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
        self.engine = choose_engine(bundle, engine)
        card = bundle.manifest.reader
        own = load_encoder(card.encoder)
        other = _second(second)
        self.digests = {f"encoder {one.name}": one.digest for one in (own, other) if one}
        self.encoder = _kept(own, keep)
        self.second = _kept(other, keep) if other else None
        self.kept = KeptAnswers(keep / "answers.jsonl" if keep else None)
        self._models: Models | None = None

    def models(self) -> Models:
        """The reader and the untouched language model, loaded when first needed."""
        if self._models is None:
            dtype, device = _DTYPES[self.precision], best_device()
            self._models = Models(
                reader=load_reader(self.bundle, dtype=dtype, device=device),
                untouched=load_reader(self.bundle, dtype=dtype, device=device, untouched=True),
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
            name: OpenVINOEngine(open_prepared(self.bundle, untouched=name == "untouched"))
            for name in ("reader", "untouched")
        }

    def answerers(self) -> Answerers:
        """What tasks are asked of: engines and encoders. Torch's weights are loaded only where torch answers."""
        engines = self._engines() or {name: self.models().engine(name) for name in ("reader", "untouched")}
        return Answerers(engines=engines, encoder=self.encoder, second=self.second, key=self._key)

    def run_tasks(self, cases: Sequence[TaskCases], settings: Settings) -> list[EvaluatedSet]:
        """Task cases of any spaces through every system, all tasks together."""
        return evaluate_tasks(self.answerers(), cases, settings.sampling, self.kept)

    def run(self, cases: Cases, settings: Settings) -> EvaluatedSet:
        """One set of cases through every system."""
        return evaluate(self.models(), cases, settings, self.kept)

    def report(
        self, makers: Sequence[Callable[[Encodes], Cases]], settings: Settings, more: Mapping[str, Any] = {}
    ) -> Report:
        """A report of several sets; each maker makes one set's cases with the reader's encoder.

        All cases are made first, so that a mistake in the last is told before the work on the first.
        """
        cases = [make(self.encoder) for make in makers]
        return self.gather([self.run(one, settings) for one in cases], settings, more)

    def gather(
        self, sets: Sequence[EvaluatedSet], settings: Settings, more: Mapping[str, Any] = {}
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


def _kept(encoder: TextEncoder, keep: Path | None) -> Encodes:
    return KeptVectors(encoder, keep / "vectors", key=encoder.digest) if keep else encoder


def check_precision(name: str) -> Precision:
    """The precision of that name. Raises UserError for another."""
    if name not in _DTYPES:
        raise UserError(
            f"unknown precision {name!r}; known are {', '.join(_DTYPES)}", "use --precision float32"
        )
    return name  # type: ignore[return-value]
