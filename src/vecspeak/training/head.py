"""Head: the loss over a large vocabulary when the output embedding is frozen.

Knows hidden states and token ids. The logits are never held whole, and only the hidden states take a
gradient; torch's `linear_cross_entropy` makes one for the weight too and took 1.5 times as long here.
Shape letters: A answer tokens, C tokens of a chunk, E model width, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

_CHUNK = 512


class FrozenHeadLoss(torch.autograd.Function):
    """Mean cross-entropy of `hidden @ weight.T`; the gradient is made on the way forward, chunk by chunk."""

    @staticmethod
    def forward(ctx: Any, hidden_AE: Tensor, weight_VE: Tensor, labels_A: Tensor) -> Tensor:
        """Mean loss in nats over the A answer tokens."""
        gradient_AE = torch.empty_like(hidden_AE)
        total = torch.zeros((), device=hidden_AE.device)
        for start in range(0, len(hidden_AE), _CHUNK):
            part = slice(start, start + _CHUNK)
            labels_C1 = labels_A[part, None]
            logits_CV = (hidden_AE[part] @ weight_VE.T).float()
            log_sums_C1 = logits_CV.logsumexp(-1, keepdim=True)
            total += (log_sums_C1 - logits_CV.gather(1, labels_C1)).sum()
            errors_CV = logits_CV.sub_(log_sums_C1).exp_()
            errors_CV.scatter_add_(1, labels_C1, torch.full_like(labels_C1, -1, dtype=errors_CV.dtype))
            gradient_AE[part] = errors_CV.to(hidden_AE.dtype) @ weight_VE
        ctx.save_for_backward(gradient_AE / len(hidden_AE))
        return total / len(hidden_AE)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        """Gradient for the hidden states only."""
        (gradient_AE,) = ctx.saved_tensors
        return gradient_AE * grads[0].to(gradient_AE.dtype), None, None


def frozen_head_loss(hidden_AE: Tensor, weight_VE: Tensor, labels_A: Tensor) -> Tensor:
    """Mean loss in nats a token. Raises ValueError when the weight would need a gradient."""
    if weight_VE.requires_grad:
        raise ValueError("the output embedding takes a gradient: use torch's cross_entropy")
    return FrozenHeadLoss.apply(hidden_AE, weight_VE, labels_A)
