"""Step: from a step's input to its loss, in the way that suits the machine.

On a CPU: rows of like length, padded, plain attention. On a GPU: packs of one fixed length, flex attention, the LoRA
merged into the weights before each product, every decoder layer compiled once. Both give the same losses and
gradients, to the precision of bfloat16.

Shape letters: B rows or packs, T tokens, A answer tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from vecspeak.console import print_line
from vecspeak.errors import UserError, first_line
from vecspeak.model.head import output_head
from vecspeak.model.inject import inject_at
from vecspeak.model.reader import Reader
from vecspeak.training.batching import PackedPlan, PaddedPlan, TokenRow, plan_batches, plan_packs
from vecspeak.training.feed import StepInput
from vecspeak.training.loss import (
    ChunkLoss,
    chunk_loss,
    compiled_chunk_loss,
    frozen_head_loss,
)
from vecspeak.training.recipe import Recipe, Speed, Switch

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
        # own row, or the front that all rows of the pack share (document 0); never a later token
        of_key = documents_BT[pack, key]
        allowed = ((documents_BT[pack, query] == of_key) | (of_key == 0)) & (query >= key)
        if window is not None:
            allowed = allowed & (positions_BT[pack, query] - positions_BT[pack, key] < window)
        return allowed

    return sees


def _ordered(blocks_BQJ: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks of keys each block of queries has, and which, those first: [B, 1, Q] and [B, 1, Q, J]."""
    # flex wants a count and a list per query block; a stable sort of the flags puts the wanted blocks first,
    # in order
    order = torch.argsort(blocks_BQJ.to(torch.int8), dim=-1, descending=True, stable=True)
    return blocks_BQJ.sum(-1, dtype=torch.int32)[:, None], order.to(torch.int32)[:, None]


def block_mask(documents_BT: Tensor, positions_BT: Tensor, window: int | None) -> BlockMask:
    """Which blocks of keys a block of queries computes, from the first and last row of each block.

    Rows stand in order, so the blocks of a row are neighbours. A block of one row alone before the query's own
    needs no rule at all. Nothing here waits for a GPU, and no T x T mask is made.
    """
    blocks = documents_BT.unflatten(1, (-1, BLOCK))
    first_BQ, last_BQ = blocks.amin(-1), blocks.amax(-1)
    # Documents ascend inside a pack, so two blocks share a row just where their ranges of document numbers
    # overlap; the front (0) is everybody's.
    at_Q = torch.arange(first_BQ.shape[1], device=documents_BT.device)
    earlier_QJ = at_Q[:, None] > at_Q
    meets_BQJ = (last_BQ[:, None, :] >= first_BQ[:, :, None]) | (first_BQ[:, None, :] == 0)
    one_row = first_BQ == last_BQ
    same_BQJ = (first_BQ[:, :, None] == first_BQ[:, None, :]) & one_row[:, :, None] & one_row[:, None, :]
    # "whole" blocks skip the rule: all pairs are allowed. With a sliding window none is certain.
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


_PACK_LENGTH = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionMode:
    """How the steps of a run are computed."""

    pack_length: int
    """Tokens of a pack; 0 where rows are padded instead."""
    compiled: bool

    @property
    def name(self) -> str:
        """Kept with a checkpoint: the order of the rows depends on it."""
        return f"packs of {self.pack_length}" if self.pack_length else "padded rows"


def _is_on(switch: Switch, automatic: bool) -> bool:
    return automatic if switch == "auto" else switch == "on"


def _can_pack(config: Any) -> bool:
    try:
        return bool(windows(config))
    except UserError:
        return False


def _doubled(x: Tensor) -> Tensor:
    return x + x


@cache
def can_compile(device: str) -> bool:
    """Whether torch compiles for the device here: that takes a C compiler, and for a GPU Triton. Says why not."""
    try:
        return bool((torch.compile(_doubled, dynamic=False)(torch.ones(8, device=device)) == 2).all())
    except Exception as error:  # each part that may be missing has errors of its own
        print_line(f"rows are padded and nothing is compiled, which is slower: {first_line(error)}")
        return False


def choose_execution_mode(speed: Speed, tokens_per_step: int, reader: Reader) -> ExecutionMode:
    """The recipe's way, and where it says `auto` the one that is fastest on the reader's device.

    Raises UserError when packing is asked for and the model's layers cannot keep rows apart.
    """
    on_gpu, config = reader.device.type == "cuda", reader.language_model.config
    packing = speed.packing == "on"
    if speed.packing == "auto" and on_gpu and _can_pack(config):
        packing = can_compile("cuda")  # flex attention is compiled even where the layers are not
    if packing:
        windows(config)
    whole = max(min(_PACK_LENGTH, tokens_per_step) // BLOCK, 1) * BLOCK
    return ExecutionMode(
        pack_length=(speed.pack_length or whole) if packing else 0,
        compiled=packing and _is_on(speed.compile, on_gpu),
    )


def make_plan(rows: Sequence[TokenRow], recipe: Recipe, way: ExecutionMode) -> PaddedPlan | PackedPlan:
    """Which rows each step takes, from the recipe's seed alone."""
    limit = recipe.schedule.tokens_per_step
    if way.pack_length:
        return plan_packs(rows, limit, way.pack_length, recipe.seed)
    return PaddedPlan(plan_batches(rows, limit, recipe.seed))


def decoder_layers(language_model: Any) -> list[nn.Module]:
    """The layers that are repeated: the longest list of modules in the model's decoder."""
    lists = [list(m) for m in language_model.get_decoder().modules() if isinstance(m, nn.ModuleList)]
    return max(lists, key=len, default=[])


@dataclass(frozen=True, slots=True, eq=False)
class StepLoss:
    """Mean loss of the answer tokens of one step, in nats."""

    reader: Reader
    loss_of: ChunkLoss = chunk_loss

    def __call__(self, made: StepInput) -> Tensor:
        """The loss, on the reader's device; nothing here waits for it."""
        hidden_BTE = self.states(made)
        # Only hidden states before an answer token reach the head: most tokens of a row are its prompt.
        answers_AE = hidden_BTE.flatten(0, 1).index_select(0, made.answers_A)
        head, count = output_head(self.reader.language_model), max(made.num_answers, 1)
        return frozen_head_loss(answers_AE, head, made.targets_A, count=count, loss_of=self.loss_of)

    def states(self, made: StepInput) -> Tensor:
        """[B, T, E] last hidden states, each row's its own."""
        reader = self.reader
        # vectors -> K soft tokens each -> rows of the input embeddings at the places that the feed found
        soft_SKE = reader.adapter(made.vectors_SN)
        embeds_BTE = inject_at(made.ids_BT, made.slots_P, soft_SKE, reader.embedding)
        apart: dict[str, Any] = {}
        if made.documents_BT is not None and made.positions_BT is not None:
            masks = pack_masks(
                reader.language_model.config, made.documents_BT, made.positions_BT, embeds_BTE.dtype
            )
            apart = {"attention_mask": masks, "position_ids": made.positions_BT}
        # With a cache transformers would mix the rows of a pack.
        decoder = reader.language_model.get_decoder()
        return decoder(inputs_embeds=embeds_BTE, use_cache=False, **apart).last_hidden_state


def make_step_loss(reader: Reader, way: ExecutionMode) -> StepLoss:
    """The loss of a way; prepares the reader's attention, and premerges and compiles its layers for a compiled one."""
    if way.pack_length and reader.device.type == "cuda":
        use_packed_attention(reader.language_model)
    if not way.compiled:
        return StepLoss(reader)
    from vecspeak.training.lora import use_merged_lora

    use_merged_lora(reader.language_model)
    for layer in decoder_layers(reader.language_model):
        layer.compile(dynamic=False)
    return StepLoss(reader, compiled_chunk_loss())


def undo_compiling(language_model: Any) -> None:
    """Let the layers run as they are written again: whoever uses a trained reader brings rows of many lengths."""
    from vecspeak.training.lora import undo_merged_lora

    undo_merged_lora(language_model)
    for layer in decoder_layers(language_model):
        layer._compiled_call_impl = None


def uncompiled() -> Any:
    """A block in which compiled layers run as they are written: rows of many lengths would compile again."""
    return torch.compiler.set_stance("force_eager")
