"""Stages: which parameters train when (the paper's two stages, section 3).

Departs from the paper: the joint stage trains a low-rank change of the language model, not all of it.
"""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners.lora import Linear
from torch import Tensor, nn

from vecspeak.errors import UserError
from vecspeak.training.recipe import ALL_LAYERS, Lora, Schedule, Stage, StageName


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


def linear_layers(language_model: Any) -> dict[str, nn.Module]:
    """Every linear layer of a language model by its whole name, without the output embedding.

    The loss takes the output embedding's weight as it is: a change of it would never learn. GPT-2's layers, which
    keep their weight transposed (`Conv1D`), are among them.
    """
    from transformers.pytorch_utils import Conv1D

    head = language_model.get_output_embeddings()
    return {
        name: module
        for name, module in language_model.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and module is not head
    }


def lora_targets(language_model: Any, lora: Lora) -> list[str]:
    """Last names of the layers that a LoRA changes. Raises UserError when a target matches nothing."""
    names = sorted({name.rsplit(".", 1)[-1] for name in linear_layers(language_model)})
    targets = names if lora.targets == (ALL_LAYERS,) else list(lora.targets)
    if unmatched := [target for target in targets if target not in names]:
        raise UserError(
            f"lora.targets names {unmatched[0]!r}; the linear layers here are {', '.join(names)}",
            f'correct [lora] in the recipe, or write targets = ["{ALL_LAYERS}"]',
        )
    return targets


def attach_lora(language_model: Any, lora: Lora) -> nn.Module:
    """Freeze the language model and attach a LoRA (peft). Raises UserError when a target matches nothing."""
    from peft import LoraConfig, get_peft_model

    targets = lora_targets(language_model, lora)
    changed = [m for n, m in linear_layers(language_model).items() if n.rsplit(".", 1)[-1] in targets]
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft divides it by the rank: any number will do
        target_modules=targets,
        bias="none",
        fan_in_fan_out=not any(isinstance(module, nn.Linear) for module in changed),
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
        # A compiled step may drop a gradient in silence (see `set_stages`): nothing else would tell.
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


_GOLDEN = 0x9E37_79B1 - 2**32
"""2^32 over the golden ratio, as an int32: its multiples spread evenly over all of them (Knuth 1973, section 6.4)."""


class StochasticRounding(torch.autograd.Function):
    """float32 to bfloat16, up or down by a threshold that is fixed for each place; gradients pass as they are.

    Places with the same remainder between two bfloat16 numbers go up in just that share, however small it is.
    """

    @staticmethod
    def forward(ctx: Any, exact: Tensor) -> Tensor:
        """[O, I] float32 to [O, I] bfloat16; what bfloat16 can hold stays."""
        # bfloat16 is the upper half of a float32. Adding a threshold below 2^16 to the bits carries into that
        # half with the probability of the lower half over 2^16, for numbers of either sign, as their
        # magnitude is what is added to.
        places = torch.arange(exact.numel(), dtype=torch.int32, device=exact.device).view_as(exact)
        threshold = (places * _GOLDEN) >> 16 & 0xFFFF
        return ((exact.view(torch.int32) + threshold) & -0x1_0000).view(torch.float32).bfloat16()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        """The same gradient, in float32."""
        return grads[0].float()


class MergedLoraLinear(Linear):
    """A linear layer with a LoRA (Hu et al. 2021): one product with `weight + scaling * B A`, added anew each time."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        if self.disable_adapters or self.merged or args or kwargs:
            return super().forward(x, *args, **kwargs)
        base: Any = self.get_base_layer()
        lora_A: Any = self.lora_A
        lora_B: Any = self.lora_B
        # x W' + s (x A') B' passes over the activations several times; W + s B A once a step is one product
        # of weight size, and the matmul stays a single one. The same function, so gradients of A and B are
        # the same.
        exact = base.weight.float()
        for name in self.active_adapters:
            if name in lora_A:
                change = lora_B[name].weight @ lora_A[name].weight
                exact = exact + self.scaling[name] * change.float()
        weight = (
            StochasticRounding.apply(exact)
            if base.weight.dtype == torch.bfloat16
            else exact.to(base.weight.dtype)
        )
        return F.linear(x, weight, base.bias)


def use_merged_lora(language_model: nn.Module) -> None:
    """Let every linear layer with a plain LoRA compute it premerged; parameters and their names stay."""
    for module in language_model.modules():
        if type(module) is Linear and _is_plain(module):
            module.__class__ = MergedLoraLinear


def undo_merged_lora(language_model: nn.Module) -> None:
    """Let them compute it peft's way again: whoever answers step by step would add up the weights for each token."""
    for module in language_model.modules():
        if isinstance(module, MergedLoraLinear):
            object.__setattr__(module, "__class__", Linear)


def _is_plain(layer: Linear) -> bool:
    """Whether the change is a product of two matrices and nothing else."""
    dropped = any(not isinstance(dropout, nn.Identity) for dropout in layer.lora_dropout.values())
    return not (dropped or layer.lora_variant or layer.fan_in_fan_out or any(layer.lora_bias.values()))
