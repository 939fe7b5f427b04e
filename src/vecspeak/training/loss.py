"""Loss over a large vocabulary when the output embedding is frozen.

The logits are never held whole, and only the hidden states take a
gradient; torch's `linear_cross_entropy` makes one for the weight too and took 1.5 times as long here.
Nothing here waits for a GPU.
Shape letters: A answer tokens, C tokens of a chunk, E model width, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vecspeak.console import progress_bar
from vecspeak.model.head import OutputHead
from vecspeak.model.reader import IGNORED, Reader
from vecspeak.training.batching import TokenRow, collate

_CHUNK = 256
"""Tokens of a chunk on a CPU: its scores fit memory that is kept from one chunk to the next."""
_CHUNK_ON_GPU = 4096

ChunkLoss = Callable[[Tensor, OutputHead, Tensor], tuple[Tensor, Tensor]]
PartLoss = Callable[[slice], tuple[Tensor, Tensor]]
"""Summed loss of a part of the answer tokens, and its gradient for their hidden states."""


def chunk_loss(hidden_CE: Tensor, head: OutputHead, labels_C: Tensor) -> tuple[Tensor, Tensor]:
    """Summed loss of a chunk and its gradient [C, E] for the hidden states; IGNORED labels count nothing."""
    retained_C1 = (labels_C != IGNORED)[:, None]
    labels_C1 = labels_C.clamp(min=0)[:, None]
    scores_CV = head.scores(hidden_CE).float()
    slopes = head.slopes(scores_CV)
    # everything in place: of [C, V] scores there is one copy, and the loss comes out before they become the
    # gradient
    scores_CV.sub_(scores_CV.amax(-1, keepdim=True))
    right_C1 = scores_CV.gather(1, labels_C1)
    sums_C1 = scores_CV.exp_().sum(-1, keepdim=True)
    total = ((sums_C1.log() - right_C1) * retained_C1).sum()
    # Softmax minus one-hot, times the sum: dividing [C, E] afterwards is cheaper than dividing [C, V].
    scores_CV.scatter_add_(1, labels_C1, -sums_C1)
    pull_CV = scores_CV.mul_(slopes).to(hidden_CE.dtype)
    gradient_CE = (pull_CV @ head.weight_VE).float() * (retained_C1 / sums_C1)
    return total, gradient_CE.to(hidden_CE.dtype)


def fused_chunk_loss(hidden_CE: Tensor, head: OutputHead, labels_C: Tensor) -> tuple[Tensor, Tensor]:
    """`chunk_loss` for a compiler: nothing in place, so that it reads the scores twice and writes them once.

    Uncompiled it would hold the scores several times over, in float32.
    """
    retained_C1 = (labels_C != IGNORED)[:, None]
    scores_CV = head.scores(hidden_CE)
    right_C1 = scores_CV.gather(1, labels_C.clamp(min=0)[:, None]).float()
    sums_C1 = scores_CV.float().logsumexp(-1, keepdim=True)
    total = ((sums_C1 - right_C1) * retained_C1).sum()
    is_right_CV = torch.arange(len(head.weight_VE), device=labels_C.device) == labels_C[:, None]
    # d loss / d scores = softmax - one-hot; the compiler fuses exp, comparison and product into one pass
    pull_CV = ((scores_CV.float() - sums_C1).exp() - is_right_CV.float()) * retained_C1
    pull_CV = pull_CV * head.slopes(scores_CV)
    return total, pull_CV.to(hidden_CE.dtype) @ head.weight_VE


@cache
def compiled_chunk_loss() -> ChunkLoss:
    """The compiled `fused_chunk_loss`; for fixed numbers of answers."""
    return torch.compile(fused_chunk_loss, dynamic=False)


class FrozenHeadLoss(torch.autograd.Function):
    """A loss of hidden states under a frozen head; the gradient is made on the way forward, chunk by chunk."""

    @staticmethod
    def forward(ctx: Any, hidden_AE: Tensor, count: int, loss_of_part: PartLoss) -> Tensor:
        """Summed loss in nats over the A answer tokens, divided by the count."""
        # The head is frozen, so the hidden states' gradient is a function of them alone: it is made here,
        # where a chunk's scores are at hand, and backward only scales it. Scores of all A x V are never in
        # memory.
        size = _CHUNK_ON_GPU if hidden_AE.device.type == "cuda" else _CHUNK
        gradient_AE = torch.empty_like(hidden_AE)
        total = torch.zeros((), device=hidden_AE.device)
        for start in range(0, len(hidden_AE), size):
            part = slice(start, start + size)
            loss, gradient_AE[part] = loss_of_part(part)
            total += loss
        ctx.save_for_backward(gradient_AE.div_(count))
        return total / count

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        """Gradient for the hidden states only."""
        (gradient_AE,) = ctx.saved_tensors
        return gradient_AE * grads[0].to(gradient_AE.dtype), None, None


def frozen_head_loss(
    hidden_AE: Tensor,
    head: OutputHead,
    labels_A: Tensor,
    *,
    count: int | None = None,
    loss_of: ChunkLoss = chunk_loss,
) -> Tensor:
    """Mean loss in nats a token, of `count` tokens (all where it is None; fewer where some are IGNORED).

    Raises ValueError when the weight would need a gradient.
    """
    if head.weight_VE.requires_grad:
        raise ValueError("the output embedding takes a gradient: use torch's cross_entropy")
    states_AE = hidden_AE.detach()

    def loss_of_part(part: slice) -> tuple[Tensor, Tensor]:
        return loss_of(states_AE[part], head, labels_A[part])

    return FrozenHeadLoss.apply(hidden_AE, len(hidden_AE) if count is None else count, loss_of_part)


_MAX_TOKENS = 4096


def _batches(rows: Sequence[TokenRow]) -> list[list[int]]:
    """Indices in batches of like length, each within 4,096 tokens with its padding."""
    batches: list[list[int]] = []
    for index in sorted(range(len(rows)), key=lambda i: len(rows[i].ids)):
        if batches and (len(batches[-1]) + 1) * len(rows[index].ids) <= _MAX_TOKENS:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


@torch.no_grad()
def row_losses(
    reader: Reader, rows: Sequence[TokenRow], vectors: Sequence[np.ndarray], *, progress: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Summed loss of each row's answer in nats [N], and the number of its tokens [N].

    `vectors[i]` is [S, D]: what stands in the S slots of row i. `progress` is the bar's text; none where empty.
    """
    sums, counts = np.zeros(len(rows)), np.zeros(len(rows))
    for indices in progress_bar(_batches(rows), desc=progress, unit="batch", shown=bool(progress)):
        batch = collate([rows[i] for i in indices], next(iter(reader.stop_ids), 0))
        used = np.concatenate([vectors[i] for i in indices]).astype(np.float32)
        sums_B, counts_B = reader.answer_losses(
            batch.ids_BT.to(reader.device),
            batch.labels_BT.to(reader.device),
            torch.from_numpy(used).to(reader.device),
        )
        sums[indices], counts[indices] = sums_B.cpu().numpy(), counts_B.cpu().numpy()
    return sums, counts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SwapLosses:
    """Summed losses of rows in nats, with their own vector and with another's: what the swap gap is made of."""

    right_N: np.ndarray
    swapped_N: np.ndarray
    tokens_N: np.ndarray
    """Tokens of the answers."""

    @property
    def right(self) -> float:
        """Loss in nats a token with the right vectors."""
        return float(self.right_N.sum() / self.tokens_N.sum())

    @property
    def swapped(self) -> float:
        """The same with others' vectors."""
        return float(self.swapped_N.sum() / self.tokens_N.sum())


def others(vectors_ND: np.ndarray) -> np.ndarray:
    """[N] for each row the nearest one before it, round the end, that has another vector; none is left its own.

    Where all vectors are the same, the row before.
    """
    # items with equal vectors are no swap of each other: the walk back goes on to another vector
    _, kind_N = np.unique(vectors_ND, axis=0, return_inverse=True)
    count = len(kind_N)
    found = np.roll(np.arange(count), 1)
    for row in range(count):
        for back in range(1, count):
            if kind_N[row - back] != kind_N[row]:
                found[row] = (row - back) % count
                break
    return found


def swapped_losses(
    reader: Reader, rows: Sequence[TokenRow], vectors: np.ndarray, *, progress: str = ""
) -> SwapLosses:
    """Losses of rows with one slot each with the right vectors [N, D], and with those of `others`."""
    right_N, tokens_N = row_losses(reader, rows, list(vectors[:, None]), progress=progress)
    swapped_N, _ = row_losses(reader, rows, list(vectors[others(vectors)][:, None]), progress=progress)
    return SwapLosses(right_N=right_N, swapped_N=swapped_N, tokens_N=tokens_N)
