"""Stages: which parameters train when (the paper's two stages, section 3).

Knows the names of parameters. Knows nothing of data or of the loop.
Departs from the paper: the joint stage trains a low-rank change of the language model, not all of it.
"""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vecspeak.errors import UserError
from vecspeak.training.recipe import Lora, Schedule, Stage, StageName


def trains(stage: StageName, parameter: str) -> bool:
    """Whether a parameter, named from the language model or `adapter.`, trains in a stage."""
    if parameter.startswith("adapter."):
        return True
    return stage == "joint" and "lora_" in parameter


def stage_at(stages: Sequence[Stage], progress: float) -> StageName:
    """The stage at a progress between 0 and 1."""
    end = 0.0
    for stage in stages:
        end += stage.share
        if progress < end:
            return stage.name
    return stages[-1].name


def attach_lora(language_model: nn.Module, lora: Lora) -> nn.Module:
    """Freeze the language model and attach a LoRA (peft). Raises UserError when a target matches nothing."""
    from peft import LoraConfig, get_peft_model

    head: Any = language_model
    head = (
        head.get_output_embeddings()
    )  # the loss takes its weight as it is: a change of it would never learn
    linear = [n for n, m in language_model.named_modules() if isinstance(m, nn.Linear) and m is not head]
    names = {name.rsplit(".", 1)[-1] for name in linear}
    unmatched = [target for target in lora.targets if target not in names]
    if unmatched:
        raise UserError(
            f"lora.targets names {unmatched[0]!r}; the linear layers here are {', '.join(sorted(names))}",
            "correct [lora] in the recipe",
        )
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft divides it by the rank: any number will do
        target_modules=list(lora.targets),
        bias="none",
    )
    with warnings.catch_warnings():  # peft asks transformers by a name that is on its way out
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        return get_peft_model(language_model, config, autocast_adapter_dtype=False)


@dataclass(frozen=True, slots=True, eq=False)
class Trainable:
    """A parameter of the model and its float32 copy that the optimizer moves."""

    name: str
    parameter: nn.Parameter
    master: nn.Parameter
    """The parameter itself when it is float32 already."""


def trainables(model: nn.Module, adapter: nn.Module) -> list[Trainable]:
    """Everything that trains in any stage. A low-precision parameter gets a float32 master copy."""
    named = [(f"adapter.{name}", p) for name, p in adapter.named_parameters()]
    named += [(name, p) for name, p in model.named_parameters() if "lora_" in name]
    return [
        Trainable(name, p, p if p.dtype == torch.float32 else nn.Parameter(p.detach().float().clone()))
        for name, p in named
    ]


def set_stages(items: Sequence[Trainable], stages: Collection[StageName]) -> None:
    """Let exactly the parameters of these stages take gradients.

    One stage alone saves the work of the others. All stages of a run at once keep a compiled step the same in each of
    them: PyTorch before 2.13 does not notice that what takes gradients changed, and goes on without the new ones.
    """
    for item in items:
        item.parameter.requires_grad_(any(trains(stage, item.name) for stage in stages))


def make_optimizer(items: Sequence[Trainable], schedule: Schedule) -> torch.optim.AdamW:
    """AdamW over the masters: one group for the adapter, one for the LoRA."""
    adapter = [item.master for item in items if item.name.startswith("adapter.")]
    lora = [item.master for item in items if not item.name.startswith("adapter.")]
    groups = [
        {"params": adapter, "base_rate": schedule.adapter_rate},
        {"params": lora, "base_rate": schedule.model_rate},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), weight_decay=0.01, fused=True)


def gradients_to_masters(items: Sequence[Trainable], stage: StageName) -> None:
    """Move the gradients of the stage's parameters onto the float32 masters, and drop the others.

    Raises RuntimeError where a parameter of the stage has none: it would stay as it is for the rest of the run.
    """
    given, taken = [], []
    for item in items:
        gradient, item.parameter.grad, item.master.grad = item.parameter.grad, None, None
        if not trains(stage, item.name):
            continue
        if gradient is None:
            raise RuntimeError(f"no gradient came to {item.name}, which trains in the {stage} stage")
        if item.master is item.parameter:
            item.master.grad = gradient
            continue
        item.master.grad = torch.empty_like(item.master)
        given.append(gradient)
        taken.append(item.master.grad)
    if given:
        torch._foreach_copy_(taken, given)


@torch.no_grad()
def masters_to_parameters(items: Sequence[Trainable]) -> None:
    """Copy the moved masters back, rounded to the parameters' precision."""
    moved = [item for item in items if item.master is not item.parameter]
    if moved:
        torch._foreach_copy_([item.parameter for item in moved], [item.master for item in moved])
