"""Step: from a step's input to its loss, in the way that suits the machine.

On a CPU: rows of like length, padded, plain attention. On a GPU: packs of one fixed length, flex attention, the LoRA
merged into the weights before each product, every decoder layer compiled once. Both give the same losses and
gradients, to the precision of bfloat16.
Knows readers and step inputs. Knows nothing of optimizers, schedules or files.
Shape letters: B rows or packs, T tokens, A answer tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from vecspeak.errors import UserError, first_line
from vecspeak.injection import inject_at
from vecspeak.model import Reader
from vecspeak.training.attention import BLOCK, pack_masks, use_packed_attention, windows
from vecspeak.training.batches import PaddedPlan, Row, plan_batches
from vecspeak.training.distilling import told_states
from vecspeak.training.feed import StepInput
from vecspeak.training.head import (
    ChunkLoss,
    chunk_loss,
    compiled_chunk_loss,
    distilled_head_loss,
    frozen_head_loss,
)
from vecspeak.training.packing import PackedPlan, plan_packs
from vecspeak.training.recipe import Recipe, Speed, Switch
from vecspeak.training.stopping import tell

_PACK_LENGTH = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
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
        tell(f"rows are padded and nothing is compiled, which is slower: {first_line(error)}")
        return False


def choose_way(speed: Speed, tokens_per_step: int, reader: Reader) -> Way:
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
    return Way(
        pack_length=(speed.pack_length or whole) if packing else 0,
        compiled=packing and _is_on(speed.compile, on_gpu),
    )


def make_plan(rows: Sequence[Row], recipe: Recipe, way: Way) -> PaddedPlan | PackedPlan:
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
    distill: float = 0.0
    """Share of the loss of told answer tokens that is the distance from the untouched language model."""

    def __call__(self, made: StepInput) -> Tensor:
        """The loss, on the reader's device; nothing here waits for it."""
        told_DE = told_states(self.reader, made.told) if made.told and self.distill else None
        hidden_BTE = self.states(made)
        answers_AE = hidden_BTE.flatten(0, 1).index_select(0, made.answers_A)
        weight, count = self.reader.language_model.get_output_embeddings().weight, max(made.num_answers, 1)
        if made.told is None or told_DE is None:
            return frozen_head_loss(answers_AE, weight, made.targets_A, count=count, loss_of=self.loss_of)
        at, rest = made.told.told_D, made.told.rest_R
        of_told = distilled_head_loss(
            answers_AE[at], weight, made.targets_A[at], told_DE, share=self.distill, count=count
        )
        # Not compiled: how many answer tokens are told is another number every step.
        return of_told + frozen_head_loss(answers_AE[rest], weight, made.targets_A[rest], count=count)

    def states(self, made: StepInput) -> Tensor:
        """[B, T, E] last hidden states, each row's its own."""
        reader = self.reader
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


def make_step_loss(reader: Reader, way: Way, distill: float = 0.0) -> StepLoss:
    """The loss of a way; prepares the reader's attention, and premerges and compiles its layers for a compiled one."""
    if way.pack_length and reader.device.type == "cuda":
        use_packed_attention(reader.language_model)
    if not way.compiled:
        return StepLoss(reader, distill=distill)
    from vecspeak.training.premerging import premerge_lora  # peft takes two seconds to import

    premerge_lora(reader.language_model)
    for layer in decoder_layers(reader.language_model):
        layer.compile(dynamic=False)
    return StepLoss(reader, compiled_chunk_loss(), distill)


def undo_compiling(language_model: Any) -> None:
    """Let the layers run as they are written again: whoever uses a trained reader brings rows of many lengths."""
    from vecspeak.training.premerging import undo_premerging

    undo_premerging(language_model)
    for layer in decoder_layers(language_model):
        layer._compiled_call_impl = None


def uncompiled() -> Any:
    """A block in which compiled layers run as they are written: rows of many lengths would compile again."""
    return torch.compiler.set_stance("force_eager")
