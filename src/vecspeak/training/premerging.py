"""Premerging: a low-rank change is added to its frozen weight before the product, not to the product's result.

Peft's way makes two narrow products and a sum as large as the result for every layer, forward and back. On a GPU those
wait for memory: they are a third of the bytes that a step moves. Premerged, a layer is one product forward, two back,
and what is narrow has the size of a weight. The weight's whole gradient is made on the way to that of the low-rank
change: half as much arithmetic again, so on a CPU, which waits for arithmetic, peft's way stays.

A weight and its change are added in float32 and rounded to the model's precision. Most changes are smaller than what
bfloat16 can tell apart there: rounded to the nearest they would all be lost. So each place of a weight rounds at a
threshold of its own, and a change of a tenth of the distance moves a tenth of the places. No change moves none.

Knows peft's layers. Knows nothing of steps, stages or compiling.
"""

from typing import Any

import torch
import torch.nn.functional as F
from peft.tuners.lora import Linear
from torch import Tensor, nn

_GOLDEN = 0x9E37_79B1 - 2**32
"""2^32 over the golden ratio, as an int32: its multiples spread evenly over all of them (Knuth 1973, section 6.4)."""


class Dithered(torch.autograd.Function):
    """float32 to bfloat16, up or down by a threshold that is fixed for each place; gradients pass as they are.

    Places with the same remainder between two bfloat16 numbers go up in just that share, however small it is.
    """

    @staticmethod
    def forward(ctx: Any, exact: Tensor) -> Tensor:
        """[O, I] float32 to [O, I] bfloat16; what bfloat16 can hold stays."""
        places = torch.arange(exact.numel(), dtype=torch.int32, device=exact.device).view_as(exact)
        threshold = (places * _GOLDEN) >> 16 & 0xFFFF
        return ((exact.view(torch.int32) + threshold) & -0x1_0000).view(torch.float32).bfloat16()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        """The same gradient, in float32."""
        return grads[0].float()


class PremergedLinear(Linear):
    """A linear layer with a LoRA (Hu et al. 2021): one product with `weight + scaling * B A`, added anew each time."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        if self.disable_adapters or self.merged or args or kwargs:
            return super().forward(x, *args, **kwargs)
        base: Any = self.get_base_layer()
        lora_A: Any = self.lora_A
        lora_B: Any = self.lora_B
        exact = base.weight.float()
        for name in self.active_adapters:
            if name in lora_A:
                change = lora_B[name].weight @ lora_A[name].weight
                exact = exact + self.scaling[name] * change.float()
        weight = Dithered.apply(exact) if base.weight.dtype == torch.bfloat16 else exact.to(base.weight.dtype)
        return F.linear(x, weight, base.bias)


def premerge_lora(language_model: nn.Module) -> None:
    """Let every linear layer with a plain LoRA compute it premerged; parameters and their names stay."""
    for module in language_model.modules():
        if type(module) is Linear and _is_plain(module):
            module.__class__ = PremergedLinear


def undo_premerging(language_model: nn.Module) -> None:
    """Let them compute it peft's way again: whoever answers step by step would add up the weights for each token."""
    for module in language_model.modules():
        if isinstance(module, PremergedLinear):
            object.__setattr__(module, "__class__", Linear)


def _is_plain(layer: Linear) -> bool:
    """Whether the change is a product of two matrices and nothing else."""
    dropped = any(not isinstance(dropout, nn.Identity) for dropout in layer.lora_dropout.values())
    return not (dropped or layer.lora_variant or layer.fan_in_fan_out or any(layer.lora_bias.values()))
