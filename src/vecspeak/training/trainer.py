"""Trainer: the loop. Moves adapter and LoRA over rows and vectors, writes checkpoints, goes on after a kill."""

import contextlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from vecspeak.console import print_line, progress_bar
from vecspeak.errors import UserError
from vecspeak.model.reader import Reader
from vecspeak.storage import Journal, digest, replace_file
from vecspeak.training.batching import TokenRow
from vecspeak.training.feed import Feed, StepInput, inputs_from
from vecspeak.training.lora import (
    Trainable,
    gradients_to_masters,
    make_optimizer,
    masters_to_parameters,
    set_stages,
    stage_at,
    trainables,
)
from vecspeak.training.loss import swapped_losses
from vecspeak.training.recipe import Recipe, Schedule
from vecspeak.training.step import (
    choose_execution_mode,
    make_plan,
    make_step_loss,
    uncompiled,
    undo_compiling,
)
from vecspeak.training.stopping import Stop, stop_between_steps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValidationRows:
    """Rows to watch the swap gap on while training."""

    rows: list[TokenRow]
    vectors: np.ndarray

    @property
    def digest(self) -> str:
        """Of rows and vectors: measurements on other ones cannot be compared."""
        tokens = (np.array([row.num_prompt, *row.ids], dtype=np.int64) for row in self.rows)
        return digest(np.asarray(self.vectors, dtype=np.float32), tokens)[:16]


def single_vector_rows(rows: Sequence[TokenRow], vectors: np.ndarray) -> ValidationRows:
    """Rows with one vector each, and those vectors."""
    single = [row for row in rows if len(row.rows) == 1]
    return ValidationRows(
        rows=single, vectors=np.asarray(vectors[[row.rows[0] for row in single]], dtype=np.float32)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Validation:
    """Losses on held-out rows at one step of a run."""

    digest: str
    """Of the rows."""
    num_rows: int
    sums_E3: np.ndarray
    """[E, 3] of each entity's rows: loss in nats with its own vector, with another's, and tokens."""

    @property
    def loss(self) -> float:
        """Nats a token with the right vectors."""
        return float(self.sums_E3[:, 0].sum() / self.sums_E3[:, 2].sum())

    @property
    def swapped(self) -> float:
        """Nats a token with others' vectors."""
        return float(self.sums_E3[:, 1].sum() / self.sums_E3[:, 2].sum())

    def to_line(self) -> dict[str, Any]:
        """What the log keeps of it."""
        return {
            "held_out": round(self.loss, 4),
            "swapped": round(self.swapped, 4),
            "gap": round(self.swapped - self.loss, 4),
            "watched": {
                "digest": self.digest,
                "rows": self.num_rows,
                "by_entity": self.sums_E3.round(4).tolist(),
            },
        }


def validate(reader: Reader, held_out: ValidationRows, *, progress: str = "") -> Validation:
    """Measure now; rows about the same vector are one entity. `progress` is the bar's text."""
    with uncompiled():
        found = swapped_losses(reader, held_out.rows, held_out.vectors, progress=progress)
    _, entity_N = np.unique(held_out.vectors, axis=0, return_inverse=True)
    sums_E3 = np.zeros((int(entity_N.max()) + 1, 3))
    np.add.at(sums_E3, entity_N, np.stack([found.right_N, found.swapped_N, found.tokens_N], axis=1))
    return Validation(digest=held_out.digest, num_rows=len(held_out.rows), sums_E3=sums_E3)


def _logged(log: Journal, step: int, held_out: ValidationRows) -> Validation | None:
    """The last measurement at a step on these very rows, as the log has it; None where there is none."""
    rows, found = held_out.digest, None
    for line in log.rows():
        with contextlib.suppress(ValueError, KeyError, TypeError):  # a line of an older version
            retained = line["watched"]
            if line["step"] == step and retained["digest"] == rows:
                sums_E3 = np.array(retained["by_entity"], dtype=float).reshape(-1, 3)
                found = Validation(digest=rows, num_rows=int(retained["rows"]), sums_E3=sums_E3)
    return found


_CHECKPOINT_SECONDS = 300
_LOG_STEPS = 20
_WARMUP_SHARE = 0.1
"""Most of a run that the warm-up may take."""

EndedBy = Literal["plan", "tokens", "time"]
"""What ended a run: its examples, `max_tokens` or `max_hours`."""


@dataclass(slots=True)
class Progress:
    """Where a run is; what a checkpoint restores beside the weights."""

    step: int = 0
    seconds: float = 0.0
    examples: int = 0
    tokens: int = 0
    finished: bool = False
    losses: list[Tensor] = field(default_factory=list)
    """Training losses since the last log line, still where they were computed: reading one waits for a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingRun:
    """One training run over fixed rows."""

    reader: Reader
    recipe: Recipe
    rows: Sequence[TokenRow]
    vectors: np.ndarray
    held_out: ValidationRows
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingOutcome:
    """How a run ended, and what it came to on rows that nothing trains on."""

    steps: int
    planned: int
    ended_by: EndedBy
    before: Validation | None
    """As the reader was before the first step; None where no row is watched."""
    after: Validation | None


def warmup_steps(schedule: Schedule, planned: int) -> int:
    """Steps of the warm-up: the recipe's, at most a tenth of the planned steps, and at least 1."""
    return max(1, min(schedule.warmup_steps, int(planned * _WARMUP_SHARE)))


def rate_factor(progress: float, step: int, warmup: int) -> float:
    """Linear warm-up in steps, then a cosine down to 3% over the progress of the run.

    The warm-up is over after a tenth of the progress at the latest, for time or tokens may end a run before its plan.
    """
    warm = min(1.0, max((step + 1) / warmup, progress / _WARMUP_SHARE))
    return warm * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


class Trainer:
    """Runs a Run to its end, from its last checkpoint where there is one."""

    def __init__(self, run: TrainingRun) -> None:
        self.run = run
        self.items: list[Trainable] = trainables(run.reader.language_model, run.reader.adapter)
        self.optimizer = make_optimizer(self.items, run.recipe.schedule)
        self.mode = choose_execution_mode(run.recipe.speed, run.recipe.schedule.tokens_per_step, run.reader)
        self.all_stages = [stage.name for stage in run.recipe.stages]
        self.plan = make_plan(run.rows, run.recipe, self.mode)
        self.warmup = warmup_steps(run.recipe.schedule, len(self.plan))
        self.progress = Progress()
        self.run_log = Journal(run.folder / "log.jsonl")
        self.before = self.validation()  # while the reader is still as it was before the first step
        self.after: Validation | None = None
        self.restore()
        self.loss_of = make_step_loss(run.reader, self.mode)
        self.inputs = self.inputs_from(self.progress.step)

    def inputs_from(self, step: int) -> Iterator[StepInput]:
        """Inputs of that step and those after it."""
        run = self.run
        feed = Feed(
            rows=run.rows,
            vectors=run.vectors,
            plan=self.plan,
            noise=run.recipe.noise,
            seed=run.recipe.seed,
            pad_id=next(iter(run.reader.stop_ids), 0),
            num_soft_tokens=run.reader.adapter.config.num_soft_tokens,
        )
        return inputs_from(feed, step, run.reader.device)

    @property
    def fraction(self) -> float:
        """Progress from 0 to 1: by steps, by the time or by the tokens allowed, whichever is further.

        Rates and stages follow it. A run that time ended and that is given more goes back by it: its rates rise to
        where they would be had the new time been allowed from the start, and fall again to their end.
        """
        schedule = self.run.recipe.schedule
        hours = self.progress.seconds / 3600 / max(schedule.max_hours, 1e-9)
        tokens = self.progress.tokens / schedule.max_tokens if schedule.max_tokens else 0.0
        return min(1.0, max(self.progress.step / len(self.plan), hours, tokens))

    @property
    def is_finished(self) -> bool:
        """Whether the plan, the tokens or the time are used up."""
        return self.progress.step >= len(self.plan) or self.fraction >= 1

    @property
    def outcome(self) -> TrainingOutcome:
        """How a finished run ended."""
        progress, most = self.progress, self.run.recipe.schedule.max_tokens
        ended_by: EndedBy = "tokens" if most and progress.tokens >= most else "time"
        return TrainingOutcome(
            steps=progress.step,
            planned=len(self.plan),
            ended_by="plan" if progress.step >= len(self.plan) else ended_by,
            before=self.before,
            after=self.after,
        )

    def validation(self) -> Validation | None:
        """Loss and swap gap at this step: as the log has them, or measured and added to it; None without rows."""
        held_out, step = self.run.held_out, self.progress.step
        if not held_out.rows:
            return None
        found = _logged(self.run_log, step, held_out)
        if found is None:
            found = validate(self.run.reader, held_out, progress=f"held-out rows, step {step}")
            self.run_log.append([{"step": step, "of": len(self.plan), **found.to_line()}])
        return found

    def seen(self) -> list[int]:
        """Numbers of the rows of all steps so far."""
        return [row for step in range(self.progress.step) for row in self.plan.rows_of(step)]

    def train(self) -> Progress:
        """The loop: step, log, save. Ctrl-C raises KeyboardInterrupt once the step has ended and is kept."""
        try:
            with stop_between_steps() as stop:
                self._loop(stop)
        finally:
            undo_compiling(self.run.reader.language_model)
        self.after = self.after or self.validation()  # of a run that had ended before
        return self.progress

    def _loop(self, stop: Stop) -> None:
        saved = time.monotonic()
        bar = progress_bar(total=len(self.plan), initial=self.progress.step, desc="training", unit="step")
        while not self.progress.finished:
            started = time.monotonic()
            self.step()
            due = self.progress.step % _LOG_STEPS == 0
            if due:
                self.mean_loss()  # waits for a GPU, so that the time is that of whole steps
            self.progress.seconds += time.monotonic() - started
            self.progress.finished = self.is_finished
            if stop.asked:
                self._keep_and_stop()
            bar.update()
            if due or self.progress.finished:
                mean = self.mean_loss()
                self.check_is_number(mean)
                self.log()
                bar.set_postfix(loss=f"{mean:.3f}", stage=stage_at(self.run.recipe.stages, self.fraction))
            if self.progress.finished or time.monotonic() - saved > _CHECKPOINT_SECONDS:
                self.save()
                saved = time.monotonic()
            if stop.asked:  # while it measured or saved
                self._keep_and_stop()
        bar.close()

    def _keep_and_stop(self) -> NoReturn:
        """Before any line or bar is written: who reads them may be gone."""
        self.save()
        print_line(f"kept at step {self.progress.step:,}; the same command goes on")
        raise KeyboardInterrupt

    def step(self) -> None:
        """One batch forward and back, one move of the optimizer. Nothing here waits for a GPU."""
        run, progress = self.run, self.progress
        stage = stage_at(run.recipe.stages, self.fraction)
        set_stages(self.items, self.all_stages if self.mode.compiled else [stage])
        made = next(self.inputs)  # on the device already, its copy overlapping the last step
        loss = self.loss_of(made)
        loss.backward()
        # bfloat16 weights would swallow small moves: gradients go to float32 masters, the optimizer moves those, and
        # their rounded values come back
        gradients_to_masters(self.items, stage)
        torch.nn.utils.clip_grad_norm_([item.master for item in self.items], 1.0, foreach=True)
        factor = rate_factor(self.fraction, progress.step, self.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_rate"] * factor
        self.optimizer.step()
        self.optimizer.zero_grad()
        masters_to_parameters(self.items)
        progress.losses.append(loss.detach())
        progress.step += 1
        progress.examples += made.num_rows
        progress.tokens += made.num_tokens

    def mean_loss(self) -> float:
        """Mean training loss since the last log line; NaN where there was no step."""
        losses = self.progress.losses
        return float(torch.stack(losses).mean()) if losses else float("nan")

    def check_is_number(self, loss: float) -> None:
        """Raise UserError where a loss is infinite or no number: from there on nothing is learned any more."""
        if not math.isfinite(loss):
            raise UserError(
                f"the loss is no number any more, by step {self.progress.step} of {len(self.plan)}: "
                "the steps were too large",
                "lower adapter_rate and model_rate under [schedule] in the recipe, and give another `work`",
            )

    def log(self) -> None:
        """Append one line to `log.jsonl`; every 100 steps and at the end with the swap gap on held-out rows."""
        progress = self.progress
        line = {
            "step": progress.step,
            "of": len(self.plan),
            "loss": round(self.mean_loss(), 4),
            "tokens": progress.tokens,
            "examples": progress.examples,
            "seconds": round(progress.seconds, 1),
        }
        if self.run.held_out.rows and (progress.step % 100 == 0 or progress.finished):
            bar = f"held-out rows, step {progress.step}" if progress.finished else ""
            self.after = validate(self.run.reader, self.run.held_out, progress=bar)
            self.check_is_number(self.after.loss + self.after.swapped)
            line |= self.after.to_line()
        self.run_log.append([line])
        progress.losses.clear()

    def _state(self) -> dict[str, Tensor]:
        tensors = {f"value/{item.name}": item.master.detach() for item in self.items}
        for item in self.items:
            for key, value in self.optimizer.state.get(item.master, {}).items():
                tensors[f"{key}/{item.name}"] = value.detach().reshape(value.shape or (1,))
        return {key: value.contiguous().clone() for key, value in tensors.items()}

    def save(self) -> None:
        """Write the checkpoint beside the last one, then rename: weights and progress are one file.

        Weights that are no numbers raise UserError, and the last checkpoint stays.
        """
        progress = self.progress
        if not all(bool(item.master.isfinite().all()) for item in self.items):
            self.check_is_number(math.nan)
        numbers = {
            key: getattr(progress, key) for key in ("step", "seconds", "examples", "tokens", "finished")
        }
        with replace_file(self.run.folder / "checkpoint.safetensors") as path:
            metadata = {"progress": json.dumps(numbers), "way": self.mode.name}
            save_file(self._state(), path, metadata=metadata)

    def restore(self) -> None:
        """Go on from the checkpoint of this folder, if it has one; a finished run goes on where it has more time.

        Raises UserError when its steps had other rows (of a run on a GPU that goes on without one, say), and when it
        is damaged.
        """
        path = self.run.folder / "checkpoint.safetensors"
        if not path.exists():
            return
        try:
            self._restore(path)
        except UserError:
            raise
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(
                f"the checkpoint {path} is damaged ({' '.join(str(error).split())})",
                "restore it, or delete it and the run begins anew",
            ) from error

    def _restore(self, path: Path) -> None:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        way = metadata.get("way", "padded rows")
        if way != self.mode.name:
            raise UserError(
                f"the checkpoint in {self.run.folder} is of steps of {way}, this run's are of {self.mode.name}",
                "set [speed] in the recipe as it was, or choose another folder",
            )
        progress = Progress(**json.loads(metadata["progress"]))
        if not 0 <= progress.step <= len(self.plan):
            raise ValueError(f"it is of step {progress.step}, and there are {len(self.plan)}")
        self.progress = progress
        self.progress.finished = self.is_finished  # it may have been given more time, or less
        tensors = load_file(path, device=str(self.run.reader.device))
        for item in self.items:
            item.master.data.copy_(tensors[f"value/{item.name}"])
            keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}/{item.name}" in tensors]
            self.optimizer.state[item.master].update(
                {
                    k: tensors[f"{k}/{item.name}"].reshape(() if k == "step" else item.master.shape)
                    for k in keys
                }
            )
        masters_to_parameters(self.items)
