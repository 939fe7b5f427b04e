"""Injection: prompts become input embeddings. The only place where vectors meet tokens.

Shape letters: B prompts, T tokens, K soft tokens per vector, S vectors of all prompts, E model width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vecspeak.model.prompt import PLACEHOLDER


def pad_left(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """[B, T] ids padded on the left and the [B, T] mask of what is real."""
    width = max(map(len, rows))
    ids_BT = torch.full((len(rows), width), pad_id)
    mask_BT = torch.zeros(len(rows), width, dtype=torch.long)
    for index, row in enumerate(rows):
        ids_BT[index, width - len(row) :] = torch.tensor(row)
        mask_BT[index, width - len(row) :] = 1
    return ids_BT, mask_BT


def inject(ids_BT: Tensor, soft_tokens_SKE: Tensor, embedding: nn.Module) -> Tensor:
    """[B, T, E] input embeddings: token embeddings, with the soft tokens at the slots in reading order.

    `embedding` is the model's own input embedding, so that a model which scales inside it (Gemma 3)
    is served as it expects. Raises ValueError when slots and soft tokens do not count the same.
    """
    slots_BT = ids_BT == PLACEHOLDER
    wanted, given = int(slots_BT.sum()), soft_tokens_SKE.shape[0] * soft_tokens_SKE.shape[1]
    if wanted != given:
        raise ValueError(f"the prompts have {wanted} soft token slots, the vectors make {given} soft tokens")
    embeds_BTE = embedding(ids_BT.clamp(min=0))
    return embeds_BTE.masked_scatter(slots_BT[..., None], soft_tokens_SKE.to(embeds_BTE.dtype))


def inject_at(ids_BT: Tensor, places_P: Tensor, soft_tokens_SKE: Tensor, embedding: nn.Module) -> Tensor:
    """`inject` where the slots' places, counted over the rows laid end to end, are known beforehand.

    Nothing is counted here, so a GPU is never waited for: whoever finds the places checks their number.
    Places beyond the slots may stand for padding; soft tokens there land on tokens that nothing reads.
    """
    embeds_BTE = embedding(ids_BT.clamp(min=0))
    soft_PE = soft_tokens_SKE.flatten(0, 1).to(embeds_BTE.dtype)
    return embeds_BTE.flatten(0, 1).index_copy(0, places_P, soft_PE).view_as(embeds_BTE)


def token_norm(embedding: nn.Module, vocabulary_size: int) -> float:
    """Mean Euclidean norm of the embeddings that the model feeds itself, its own scaling included."""
    ids = torch.arange(vocabulary_size, device=next(embedding.parameters()).device)
    with torch.no_grad():
        norms = [embedding(part).float().norm(dim=-1) for part in ids.split(8192)]
    return float(torch.cat(norms).mean())
