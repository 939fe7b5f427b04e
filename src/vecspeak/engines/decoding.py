"""Decoding: many answers together, step by step. Rows that have ended leave the batch.

Knows a causal language model of transformers and its cache. Knows nothing of vectors, prompts or texts.
Shape letters: B rows, T tokens, E model width, V vocabulary, H heads, D head width.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from vecspeak.engines.base import TOP_K, TOP_P, Sampling

_ROOM = 64
_LIVE_SHARE = 0.8


class RoomyLayer(DynamicLayer):
    """Keys and values in buffers with room to grow: a step writes one token and copies nothing else.

    The plain layer joins two tensors at every step: a tenth of the time of 128 rows on two CPU cores.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._buffers: list[Tensor] = []

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """[B, H, T, D] keys and values so far, the new ones at the end."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        done = self.get_seq_length()
        total = done + key_states.shape[-2]
        if not self._buffers or total > self._buffers[0].shape[-2]:
            self._grow((key_states, value_states), done, total + _ROOM)
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, done:total] = states
        self.keys, self.values = (buffer[:, :, :total] for buffer in self._buffers)
        return self.keys, self.values

    def _grow(self, new: tuple[Tensor, Tensor], done: int, room: int) -> None:
        grown = [states.new_empty(*states.shape[:2], room, states.shape[-1]) for states in new]
        for buffer, kept in zip(grown, (self.keys, self.values), strict=True):
            if done and kept is not None:
                buffer[:, :, :done] = kept
        self._buffers = grown

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows of the batch."""
        done = self.get_seq_length()
        self._buffers = [buffer[indices] for buffer in self._buffers]
        self.keys, self.values = (buffer[:, :, :done] for buffer in self._buffers)


def make_cache(model: Any) -> Cache:
    """A cache with room to grow; transformers' own where some layers look back over a window only."""
    config = model.config.get_text_config(decoder=True)
    kinds = getattr(config, "layer_types", None) or ["full_attention"]
    if set(kinds) == {"full_attention"}:
        return Cache(layer_class_to_replicate=RoomyLayer)
    return DynamicCache(config=config)


def next_tokens(logits_BV: Tensor, sampling: Sampling, draw: torch.Generator) -> Tensor:
    """[B] the likeliest token of each row, or one drawn at the sampling's temperature."""
    if sampling.temperature == 0:
        return logits_BV.argmax(-1)
    best_BK, ids_BK = logits_BV.float().topk(min(TOP_K, logits_BV.shape[-1]))
    shares_BK = (best_BK / sampling.temperature).softmax(-1)
    before_BK = shares_BK.cumsum(-1) - shares_BK
    shares_BK = torch.where(before_BK < TOP_P, shares_BK, 0.0)
    return ids_BK.gather(1, torch.multinomial(shares_BK, 1, generator=draw))[:, 0]


@torch.inference_mode()
def decode(
    model: Any, embeds_BTE: Tensor, mask_BT: Tensor, sampling: Sampling, stop_ids: list[int]
) -> list[list[int]]:
    """Token ids of each row's answer, its stop token left out; prompts are padded on the left."""
    cache = make_cache(model)
    draw = torch.Generator(embeds_BTE.device).manual_seed(sampling.seed)
    stops = torch.tensor(stop_ids, device=embeds_BTE.device)
    answers: list[list[int]] = [[] for _ in range(len(embeds_BTE))]
    rows = torch.arange(len(embeds_BTE), device=embeds_BTE.device)
    live = torch.ones_like(rows, dtype=torch.bool)
    places_BT = (mask_BT.cumsum(1) - 1).clamp(min=0)
    fed: dict[str, Tensor] = {"inputs_embeds": embeds_BTE}
    for step in range(sampling.max_new_tokens):
        out = model(
            **fed, attention_mask=mask_BT, position_ids=places_BT, past_key_values=cache, logits_to_keep=1
        )
        tokens = next_tokens(out.logits[:, -1], sampling, draw)
        live &= ~torch.isin(tokens, stops)
        for row, token, going in zip(rows.tolist(), tokens.tolist(), live.tolist(), strict=True):
            if going:
                answers[row].append(token)
        if step + 1 == sampling.max_new_tokens or not live.any():
            break
        if live.float().mean() < _LIVE_SHARE:
            kept = live.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            rows, tokens, live = rows[kept], tokens[kept], live[kept]
            mask_BT, places_BT = mask_BT[kept], places_BT[kept]
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(rows), 1)], 1)
        places_BT = places_BT[:, -1:] + 1
        fed = {"input_ids": tokens[:, None]}
    return answers
