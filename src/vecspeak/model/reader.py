"""Model: a language model, its low-rank change and an adapter that together read vectors.

M_ELM of the paper.
Shape letters: B prompts, T tokens, E model width, S vectors, N vector width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vecspeak.errors import UserError
from vecspeak.model.adapter import Adapter
from vecspeak.model.chat import stop_ids, stop_tokens
from vecspeak.model.head import output_head
from vecspeak.model.inject import inject, pad_left
from vecspeak.model.prompt import ChatFormat, Prompt, build_input_ids, segments_of, vectors_of
from vecspeak.model.special_tokens import foreign_ids

IGNORED = -100
"""Label of a token that the loss leaves out."""


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """Everything that reads a vector: language model (its LoRA merged or attached), tokenizer and adapter."""

    language_model: Any
    """A causal language model of transformers."""
    tokenizer: Any
    """Its tokenizer."""
    adapter: Adapter
    chat: ChatFormat

    @property
    def embedding(self) -> nn.Module:
        """The language model's input embedding."""
        return self.language_model.get_input_embeddings()

    @property
    def device(self) -> torch.device:
        """Where the language model lies."""
        return next(self.language_model.parameters()).device

    @property
    def stop_ids(self) -> list[int]:
        """Token ids that end an answer."""
        return stop_ids(self.tokenizer, self.chat.stop)

    def answer_ids(self, text: str) -> list[int]:
        """Token ids of an answer with what ends it, tokenised apart: no letter may melt into the end."""
        return foreign_ids(self.tokenizer, text) + stop_tokens(self.tokenizer, self.chat.stop)

    def build_input_ids(self, pieces: Sequence[str | None]) -> list[int]:
        """Token ids of a question, soft token slots included."""
        return build_input_ids(pieces, self.tokenizer, self.chat, self.adapter.config.num_soft_tokens)

    def soft_tokens(self, vectors: Sequence[np.ndarray]) -> Tensor:
        """[S, K, E] soft tokens. Raises UserError for a vector of another width than the adapter takes."""
        width = self.adapter.config.vector_dim
        for vector in vectors:
            if vector.shape != (width,):
                raise UserError(
                    f"the reader takes vectors of {width} numbers, got shape {vector.shape}",
                    "map the space first: `VecSpeak.fit(...)`",
                )
        stacked = np.stack(vectors) if vectors else np.zeros((0, width), np.float32)
        return self.adapter(torch.from_numpy(stacked.astype(np.float32)).to(self.device))

    def embed_prompts(self, prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
        """[B, T, E] input embeddings, padded on the left, and the [B, T] attention mask."""
        ids_BT, mask_BT = pad_left(
            [self.build_input_ids(segments_of(p)) for p in prompts], next(iter(self.stop_ids), 0)
        )
        soft_SKE = self.soft_tokens([vector for prompt in prompts for vector in vectors_of(prompt)])
        embeds_BTE = inject(ids_BT.to(self.device), soft_SKE, self.embedding)
        return embeds_BTE, mask_BT.to(self.device)

    def hidden_states(self, ids_BT: Tensor, vectors_SN: Tensor) -> Tensor:
        """[B, T, E] last hidden states of right-padded rows: causal attention alone keeps padding out."""
        embeds_BTE = inject(ids_BT, self.adapter(vectors_SN), self.embedding)
        backbone = self.language_model.get_decoder()
        return backbone(inputs_embeds=embeds_BTE, use_cache=False).last_hidden_state

    def answer_losses(self, ids_BT: Tensor, labels_BT: Tensor, vectors_SN: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss in nats and number of answer tokens, both [B]."""
        hidden_BTE = self.hidden_states(ids_BT, vectors_SN)[:, :-1]
        labels_BT = labels_BT[:, 1:]
        retained_BT = labels_BT != IGNORED
        logits = output_head(self.language_model).scores(hidden_BTE[retained_BT]).float()
        losses = F.cross_entropy(logits, labels_BT[retained_BT], reduction="none")
        sums_B = torch.zeros(len(ids_BT), device=losses.device)
        sums_B.index_add_(0, retained_BT.nonzero()[:, 0], losses)
        return sums_B, retained_BT.sum(1)
