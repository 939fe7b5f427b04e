"""LoRA without copies: peft's low-rank layers, computed with fewer passes over the activations.

peft computes `x W' + scale * (x A') B'` as five operations, each with a result of its own; here the low-rank part is
added inside its matrix product, forward and back, and what no gradient needs is not kept. The same numbers up to
rounding. Knows peft's layers. Knows nothing of stages or training.
Shape letters: N tokens, I inputs, O outputs, R rank.
"""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn


class LowRankLinear(torch.autograd.Function):
    """`x W' + scale * (x A') B'` with a frozen W."""

    @staticmethod
    def forward(
        ctx: Any, x_NI: Tensor, weight_OI: Tensor, a_RI: Tensor, b_OR: Tensor, scale: float
    ) -> Tensor:
        """[N, O]; keeps the inputs only where A trains."""
        inner_NR = x_NI @ a_RI.T
        trains = a_RI.requires_grad or b_OR.requires_grad
        ctx.save_for_backward(weight_OI, a_RI, b_OR, *((x_NI, inner_NR) if trains else ()))
        ctx.scale = scale
        return (x_NI @ weight_OI.T).addmm_(inner_NR, b_OR.T, alpha=scale)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Gradients for the inputs, A and B, each only where it is needed."""
        weight_OI, a_RI, b_OR, *kept = ctx.saved_tensors
        (grad_NO,) = grads
        inner_NR = grad_NO @ b_OR
        x_grad = (
            (grad_NO @ weight_OI).addmm_(inner_NR, a_RI, alpha=ctx.scale) if ctx.needs_input_grad[0] else None
        )
        a_grad = b_grad = None
        if kept:
            a_grad = (inner_NR.T @ kept[0]).mul_(ctx.scale) if ctx.needs_input_grad[2] else None
            b_grad = (grad_NO.T @ kept[1]).mul_(ctx.scale) if ctx.needs_input_grad[3] else None
        return x_grad, None, a_grad, b_grad, None


def _forward(self: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Stands in for peft's `Linear.forward` on one layer; unusual states go to peft's own."""
    if self.disable_adapters or self.merged or len(self.active_adapters) != 1 or args or kwargs:
        return type(self).forward(self, x, *args, **kwargs)
    name = self.active_adapters[0]
    flat = x.flatten(0, -2)
    down, up = self.lora_A[name].weight, self.lora_B[name].weight
    out = LowRankLinear.apply(flat, self.base_layer.weight, down, up, self.scaling[name])
    return out.unflatten(0, x.shape[:-1])


def _is_plain(layer: Any) -> bool:
    """One LoRA in the weight's precision, without dropout, bias or a variant."""
    names = list(layer.lora_A)
    return (
        len(names) == 1
        and isinstance(layer.base_layer, nn.Linear)
        and layer.base_layer.bias is None
        and isinstance(layer.lora_dropout[names[0]], nn.Identity)
        and layer.lora_A[names[0]].weight.dtype == layer.base_layer.weight.dtype
        and not getattr(layer, "lora_variant", {})
    )


def speed_up_lora(language_model: nn.Module) -> int:
    """Compute the model's plain low-rank layers this way; how many these are."""
    from peft.tuners.lora import Linear

    layers = [m for m in language_model.modules() if isinstance(m, Linear) and _is_plain(m)]
    for layer in layers:
        layer.forward = MethodType(_forward, layer)  # type: ignore[method-assign]
    return len(layers)
