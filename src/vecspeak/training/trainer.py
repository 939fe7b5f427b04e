"""Trainer: the loop. Moves adapter and LoRA over rows and vectors, writes checkpoints, goes on after a kill.

Knows batches, stages, rates and files of a run. Knows nothing of where texts come from or what they mean.
"""

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from vecspeak.errors import UserError
from vecspeak.files import replace_file
from vecspeak.model import Reader
from vecspeak.training.batches import Row
from vecspeak.training.distilling import ToldRows
from vecspeak.training.feed import Feed, StepInput, inputs_from
from vecspeak.training.losses import swapped_losses
from vecspeak.training.recipe import Recipe
from vecspeak.training.stages import (
    Trainable,
    gradients_to_masters,
    make_optimizer,
    masters_to_parameters,
    set_stage,
    stage_at,
    trainables,
)
from vecspeak.training.step import choose_way, make_plan, make_step_loss, uncompiled, undo_compiling

_CHECKPOINT_SECONDS = 300
_LOG_STEPS = 20


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
class HeldOut:
    """Rows to watch the swap gap on while training."""

    rows: list[Row]
    vectors: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One training run over fixed rows."""

    reader: Reader
    recipe: Recipe
    rows: Sequence[Row]
    vectors: np.ndarray
    held_out: HeldOut
    folder: Path
    told: ToldRows | None = None
    """What the untouched language model is told of each row, where the recipe distills."""


def rate_factor(progress: float, step: int, warmup: int) -> float:
    """Linear warm-up in steps, then a cosine down to 3% over the progress of the run."""
    return min(1.0, (step + 1) / warmup) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


class Trainer:
    """Runs a Run to its end, from its last checkpoint where there is one."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.items: list[Trainable] = trainables(run.reader.language_model, run.reader.adapter)
        self.optimizer = make_optimizer(self.items, run.recipe.schedule)
        self.way = choose_way(run.recipe.speed, run.recipe.schedule.tokens_per_step, run.reader)
        self.plan = make_plan(run.rows, run.recipe, self.way)
        self.progress = Progress()
        self.restore()
        targets = run.recipe.targets
        self.loss_of = make_step_loss(run.reader, self.way, targets.distill if targets else 0.0)
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
            pad_id=run.reader.stop_ids[0],
            num_soft_tokens=run.reader.adapter.config.num_soft_tokens,
            told=run.told,
        )
        return inputs_from(feed, step, run.reader.device)

    @property
    def fraction(self) -> float:
        """Progress from 0 to 1: by steps, by the time or by the tokens allowed, whichever is further."""
        schedule = self.run.recipe.schedule
        hours = self.progress.seconds / 3600 / max(schedule.max_hours, 1e-9)
        tokens = self.progress.tokens / schedule.max_tokens if schedule.max_tokens else 0.0
        return min(1.0, max(self.progress.step / len(self.plan), hours, tokens))

    def seen(self) -> list[int]:
        """Numbers of the rows of all steps so far."""
        return [row for step in range(self.progress.step) for row in self.plan.rows_of(step)]

    def train(self) -> Progress:
        """The loop: step, log, save."""
        saved = time.monotonic()
        bar = tqdm(total=len(self.plan), initial=self.progress.step, desc="training", unit="step")
        while not self.progress.finished:
            started = time.monotonic()
            self.step()
            due = self.progress.step % _LOG_STEPS == 0
            if due:
                self.mean_loss()  # waits for a GPU, so that the time is that of whole steps
            self.progress.seconds += time.monotonic() - started
            self.progress.finished = self.progress.step >= len(self.plan) or self.fraction >= 1
            bar.update()
            if due or self.progress.finished:
                mean = self.mean_loss()
                self.log()
                bar.set_postfix(loss=f"{mean:.3f}", stage=stage_at(self.run.recipe.stages, self.fraction))
            if self.progress.finished or time.monotonic() - saved > _CHECKPOINT_SECONDS:
                self.save()
                saved = time.monotonic()
        bar.close()
        undo_compiling(self.run.reader.language_model)
        return self.progress

    def step(self) -> None:
        """One batch forward and back, one move of the optimizer. Nothing here waits for a GPU."""
        run, progress = self.run, self.progress
        set_stage(self.items, stage_at(run.recipe.stages, self.fraction))
        made = next(self.inputs)
        loss = self.loss_of(made)
        loss.backward()
        gradients_to_masters(self.items)
        torch.nn.utils.clip_grad_norm_([item.master for item in self.items], 1.0, foreach=True)
        factor = rate_factor(self.fraction, progress.step, run.recipe.schedule.warmup_steps)
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

    def log(self) -> None:
        """Append one line to `log.jsonl`; every 100 steps with the swap gap on held-out rows."""
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
            with uncompiled():
                right, swapped = swapped_losses(
                    self.run.reader, self.run.held_out.rows, self.run.held_out.vectors
                )
            line |= {
                "held_out": round(right, 4),
                "swapped": round(swapped, 4),
                "gap": round(swapped - right, 4),
            }
        with (self.run.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        progress.losses.clear()

    def _state(self) -> dict[str, Tensor]:
        tensors = {f"value/{item.name}": item.master.detach() for item in self.items}
        for item in self.items:
            for key, value in self.optimizer.state.get(item.master, {}).items():
                tensors[f"{key}/{item.name}"] = value.detach().reshape(value.shape or (1,))
        return {key: value.contiguous().clone() for key, value in tensors.items()}

    def save(self) -> None:
        """Write the checkpoint beside the last one, then rename: weights and progress are one file."""
        progress = self.progress
        numbers = {
            key: getattr(progress, key) for key in ("step", "seconds", "examples", "tokens", "finished")
        }
        with replace_file(self.run.folder / "checkpoint.safetensors") as path:
            metadata = {"progress": json.dumps(numbers), "way": self.way.name}
            save_file(self._state(), path, metadata=metadata)

    def restore(self) -> None:
        """Go on from the checkpoint of this folder, if it has one.

        Raises UserError when its steps had other rows: of a run on a GPU that goes on without one, say.
        """
        path = self.run.folder / "checkpoint.safetensors"
        if not path.exists():
            return
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        way = metadata.get("way", "padded rows")
        if way != self.way.name:
            raise UserError(
                f"the checkpoint in {self.run.folder} is of steps of {way}, this run's are of {self.way.name}",
                "set [speed] in the recipe as it was, or choose another folder",
            )
        self.progress = Progress(**json.loads(metadata["progress"]))
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


def held_out_rows(rows: Sequence[Row], vectors: np.ndarray) -> HeldOut:
    """Rows with one vector each, and those vectors."""
    single = [row for row in rows if len(row.rows) == 1]
    return HeldOut(
        rows=single, vectors=np.asarray(vectors[[row.rows[0] for row in single]], dtype=np.float32)
    )
