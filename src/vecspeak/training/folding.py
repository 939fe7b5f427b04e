"""Folding: a low-rank change is added to its frozen weight before the product, not to the product's result.

Peft's way makes two narrow products and a sum as large as the result for every layer, forward and back. On a GPU those
wait for memory, and cost a third of a step. Folded, a layer is one product forward, two back, and what is narrow has
the size of a weight. The weight's whole gradient is made on the way to that of the low-rank change: half as much
arithmetic again, so on a CPU, which waits for arithmetic, peft's way stays. Folded weights are rounded to the model's
precision, as they are in the reader that is saved with its change merged.

Knows peft's layers. Knows nothing of steps, stages or compiling.
"""

from typing import Any

import torch.nn.functional as F
from peft.tuners.lora import Linear
from torch import Tensor, nn


class FoldedLinear(Linear):
    """A linear layer with a LoRA (Hu et al. 2021), computed as one product with `weight + scaling * B A`."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        if self.disable_adapters or self.merged or args or kwargs:
            return super().forward(x, *args, **kwargs)
        base: Any = self.get_base_layer()
        weight = base.weight
        for name in self.active_adapters:
            if name in self.lora_A:
                narrow, wide = self.lora_A[name].weight, self.lora_B[name].weight
                weight = weight.addmm(wide, narrow, alpha=self.scaling[name])
        return F.linear(x, weight, base.bias)


def fold_lora(language_model: nn.Module) -> None:
    """Let every linear layer with a plain LoRA compute it folded; parameters and their names stay."""
    for module in language_model.modules():
        if type(module) is Linear and _is_plain(module):
            module.__class__ = FoldedLinear


def unfold_lora(language_model: nn.Module) -> None:
    """Let them compute it peft's way again: whoever answers step by step would add up the weights for each token."""
    for module in language_model.modules():
        if isinstance(module, FoldedLinear):
            object.__setattr__(module, "__class__", Linear)


def _is_plain(layer: Linear) -> bool:
    """Whether the change is a product of two matrices and nothing else."""
    dropped = any(not isinstance(dropout, nn.Identity) for dropout in layer.lora_dropout.values())
    return not (dropped or layer.lora_variant or layer.fan_in_fan_out or any(layer.lora_bias.values()))
