"""Attention within packs: a token sees what all rows share and the earlier tokens of its own row, nothing else.

On a GPU torch's flex attention skips the blocks of other rows; elsewhere the same rule is a plain mask. Both are
made here and handed to transformers' models ready, so that transformers makes none itself. Knows documents,
places and the kinds of layers. Knows nothing of rows or of training.
Shape letters: B packs, T tokens of a pack, Q and J blocks of queries and keys, H heads, E width of a head.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from vecspeak.errors import UserError

NAME = "vecspeak_packed"
"""Of the attention in transformers' registry: flex where a pack's mask is given, else torch's fused one."""
BLOCK = 128
"""Tokens of a block that is skipped or computed as one; packs are multiples of it."""

Rule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
Masks = BlockMask | Tensor | dict[str, BlockMask] | dict[str, Tensor]
"""What a model of transformers takes as its `attention_mask`: one for all layers, or one by kind of layer."""


def windows(config: Any) -> dict[str, int | None]:
    """Kinds of attention layers of a model and how far back each sees; `""` where all layers are alike.

    Raises UserError for kinds that packs are not made for (such as linear attention): their state runs on
    from one row into the next.
    """
    kinds, window = set(getattr(config, "layer_types", None) or ()), getattr(config, "sliding_window", None)
    if not kinds:
        return {"": window}
    if unknown := kinds - {"full_attention", "sliding_attention"}:
        raise UserError(
            f"rows cannot be packed for layers of {sorted(unknown)[0]}", 'write packing = "off" under [speed]'
        )
    if kinds == {"full_attention"}:
        return {"": None}
    return {"full_attention": None, "sliding_attention": window}


def make_rule(documents_BT: Tensor, positions_BT: Tensor, window: int | None) -> Rule:
    """Whether a query may see a key, given the pack, the head and both places in the pack."""

    def sees(pack: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        of_key = documents_BT[pack, key]
        allowed = ((documents_BT[pack, query] == of_key) | (of_key == 0)) & (query >= key)
        if window is not None:
            allowed = allowed & (positions_BT[pack, query] - positions_BT[pack, key] < window)
        return allowed

    return sees


def _ordered(blocks_BQJ: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks of keys each block of queries has, and which, those first: [B, 1, Q] and [B, 1, Q, J]."""
    order = torch.argsort(blocks_BQJ.to(torch.int8), dim=-1, descending=True, stable=True)
    return blocks_BQJ.sum(-1, dtype=torch.int32)[:, None], order.to(torch.int32)[:, None]


def block_mask(documents_BT: Tensor, positions_BT: Tensor, window: int | None) -> BlockMask:
    """Which blocks of keys a block of queries computes, from the first and last row of each block.

    Rows stand in order, so the blocks of a row are neighbours. A block of one row alone before the query's own
    needs no rule at all. Nothing here waits for a GPU, and no T x T mask is made.
    """
    blocks = documents_BT.unflatten(1, (-1, BLOCK))
    first_BQ, last_BQ = blocks.amin(-1), blocks.amax(-1)
    at_Q = torch.arange(first_BQ.shape[1], device=documents_BT.device)
    earlier_QJ = at_Q[:, None] > at_Q
    meets_BQJ = (last_BQ[:, None, :] >= first_BQ[:, :, None]) | (first_BQ[:, None, :] == 0)
    one_row = first_BQ == last_BQ
    same_BQJ = (first_BQ[:, :, None] == first_BQ[:, None, :]) & one_row[:, :, None] & one_row[:, None, :]
    whole_BQJ = same_BQJ & earlier_QJ if window is None else torch.zeros_like(same_BQJ)
    part_BQJ = meets_BQJ & (at_Q[:, None] >= at_Q) & ~whole_BQJ
    return BlockMask.from_kv_blocks(
        *_ordered(part_BQJ),
        *_ordered(whole_BQJ),
        BLOCK_SIZE=BLOCK,
        mask_mod=make_rule(documents_BT, positions_BT, window),
        seq_lengths=(documents_BT.shape[1], documents_BT.shape[1]),
    )


def plain_mask(documents_BT: Tensor, positions_BT: Tensor, window: int | None, dtype: torch.dtype) -> Tensor:
    """[B, 1, T, T] what is added to the scores: 0 where a token may look, else the lowest number."""
    num_packs, length = documents_BT.shape
    pack = torch.arange(num_packs, device=documents_BT.device)[:, None, None]
    at = torch.arange(length, device=documents_BT.device)
    sees_BTT = make_rule(documents_BT, positions_BT, window)(pack, pack, at[:, None], at)
    lowest = torch.finfo(dtype).min
    return torch.zeros_like(sees_BTT, dtype=dtype).masked_fill_(~sees_BTT, lowest)[:, None]


def pack_masks(config: Any, documents_BT: Tensor, positions_BT: Tensor, dtype: torch.dtype) -> Masks:
    """The masks of all kinds of a model's layers: for flex attention where the model uses it, else plain."""
    made: dict[str, Any] = {}
    for kind, window in windows(config).items():
        if config._attn_implementation == NAME:
            made[kind] = block_mask(documents_BT, positions_BT, window)
        else:
            made[kind] = plain_mask(documents_BT, positions_BT, window, dtype)
    return made[""] if "" in made else made


def _capped(cap: float) -> Callable[..., Tensor]:
    def soften(score: Tensor, pack: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return cap * torch.tanh(score / cap)

    return soften


@cache
def _compiled_flex() -> Any:
    return torch.compile(flex_attention, dynamic=False)


def _flex(query: Tensor) -> Any:
    """Uncompiled, flex attention holds all scores: on a GPU it is compiled even where the layers are not."""
    alone = query.device.type == "cuda" and not torch.compiler.is_compiling()
    return _compiled_flex() if alone else flex_attention


def packed_attention(
    module: nn.Module,
    query_BHTE: Tensor,
    key_BHTE: Tensor,
    value_BHTE: Tensor,
    attention_mask: BlockMask | Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    **given: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers' models call it; [B, T, H, E] and no weights."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if not isinstance(attention_mask, BlockMask):
        return sdpa_attention_forward(
            module, query_BHTE, key_BHTE, value_BHTE, attention_mask, scaling=scaling, **given
        )
    groups = query_BHTE.shape[1] // key_BHTE.shape[1]
    if groups & (groups - 1):  # flex shares keys among heads only by powers of two
        key_BHTE, value_BHTE = (x.repeat_interleave(groups, dim=1) for x in (key_BHTE, value_BHTE))
        groups = 1

    out = _flex(query_BHTE)(
        query_BHTE,
        key_BHTE,
        value_BHTE,
        score_mod=_capped(softcap) if softcap else None,
        block_mask=attention_mask,
        scale=scaling,
        enable_gqa=groups > 1,
    )
    return out.transpose(1, 2).contiguous(), None


def use_packed_attention(language_model: Any) -> None:
    """Let a model of transformers compute packs by flex attention, and everything else as it did by `sdpa`."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, packed_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    language_model.set_attn_implementation(NAME)
