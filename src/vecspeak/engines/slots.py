"""Slots: a cache of fixed places for many answers at once, and the steps over it.

Each row has its own length: it writes there, and a mask shows it what is written up to there. On a CPU a step takes the
first rows and as many places as are written; with a GPU all shapes stay and the step is a CUDA graph.

Knows a causal language model of transformers and its cache. Knows nothing of prompts that wait, of stop tokens or of
texts. Shape letters: B slots, S places of a slot, G rows read together, T tokens, E model width, V vocabulary,
K candidates, N longest answer, H heads, D head width.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from vecspeak.engines.base import TOP_K, TOP_P, Sampling
from vecspeak.errors import first_line

_ROTARY = ("default", "linear", "llama3", "yarn")
"""Positions that depend on a token's place alone, not on how long its neighbours are."""
_MASKED_BY_SUM = ("eager", "sdpa")
"""Kinds of attention that add a mask given as numbers."""

Put = Callable[[Tensor, Tensor], Tensor]
"""Writes new keys or values into a layer's [B, H, S, D] buffer, and gives those that are attended to."""
Prefix = list[tuple[Tensor, ...]]
"""Keys and values [H, T, D] of a prefix, layer by layer."""


def fits_slots(model: Any) -> bool:
    """Whether a model can be decoded over slots: full attention in all layers, and places given by rotation alone."""
    config = model.config.get_text_config(decoder=True)
    rotary = getattr(config, "rope_parameters", None) or {}
    return (
        all(type(layer) is DynamicLayer for layer in DynamicCache(config=config).layers)
        and rotary.get("rope_type") in _ROTARY
        and not getattr(config, "alibi", False)
        and config._attn_implementation in _MASKED_BY_SUM
    )


def next_tokens(logits_BV: Tensor, temperature: float, draws_B: Tensor) -> Tensor:
    """[B] the likeliest token of each row, or above temperature 0 the one that its number in [0, 1) falls on."""
    if temperature == 0:
        return logits_BV.argmax(-1)
    best_BK, ids_BK = logits_BV.float().topk(min(TOP_K, logits_BV.shape[-1]))
    shares_BK = (best_BK / temperature).softmax(-1)
    before_BK = shares_BK.cumsum(-1) - shares_BK
    shares_BK = torch.where(before_BK < TOP_P, shares_BK, 0.0)
    reached_BK = shares_BK.cumsum(-1) <= (draws_B * shares_BK.sum(-1))[:, None]
    picked_B = torch.minimum(reached_BK.sum(-1), (shares_BK > 0).sum(-1) - 1)
    return ids_BK.gather(1, picked_B[:, None])[:, 0]


def draws_of(numbers: Sequence[int], sampling: Sampling) -> Tensor:
    """[B, N] numbers in [0, 1): for each prompt a stream of its own, the same as in `choosing.py`; [B, 1] if greedy."""
    if sampling.temperature == 0:
        return torch.zeros(len(numbers), 1)
    streams = (np.random.default_rng([sampling.seed, number]) for number in numbers)
    drawn_BN = np.stack([stream.random(sampling.max_new_tokens) for stream in streams])
    return torch.from_numpy(drawn_BN.astype(np.float32))


class SlotLayer(DynamicLayer):
    """Keys and values of one layer, [B, H, S, D] each, in buffers that never move."""

    put: Put

    def __init__(self, num_slots: int, capacity: int) -> None:
        super().__init__()
        self.num_slots, self.capacity = num_slots, capacity
        self.buffers: tuple[Tensor, ...] = ()

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Keys and values that are attended to, the new ones among them."""
        if not self.buffers:  # zeros, for what is masked must still be a number
            self.buffers = tuple(
                states.new_zeros(self.num_slots, states.shape[1], self.capacity, states.shape[3])
                for states in (key_states, value_states)
            )
        keys, values = self.buffers
        return self.put(keys, key_states), self.put(values, value_states)


class Slots:
    """The cache, and for each slot what its next step needs: all that lies on the device."""

    def __init__(self, model: Any, num_slots: int, capacity: int, sampling: Sampling) -> None:
        self.model, self.num_slots, self.capacity = model, num_slots, capacity
        self.temperature = sampling.temperature
        self.device: torch.device = model.device
        config = model.config.get_text_config(decoder=True)
        self.layers = [SlotLayer(num_slots, capacity) for _ in DynamicCache(config=config).layers]
        self._cache = Cache(layers=list(self.layers))
        with torch.inference_mode():
            self._slots_B = torch.arange(num_slots, device=self.device)
            self.tokens_B = torch.zeros_like(self._slots_B)
            self.lengths_B = torch.zeros_like(self._slots_B)
            self.made_B = torch.zeros_like(self._slots_B)
            draws_N = draws_of([0], sampling)[0].to(self.device)
            self.draws_BN = torch.zeros_like(draws_N).repeat(num_slots, 1)

    @property
    def state(self) -> tuple[Tensor, ...]:
        """What a step changes beside the cache, and what a row takes along when it moves."""
        return self.tokens_B, self.lengths_B, self.made_B, self.draws_BN

    @torch.inference_mode()
    def read(self, slots: Sequence[int], rows: Sequence[Tensor], start: int) -> Tensor:
        """[G, V] logits after the last token of each [T, E] row, read into these slots from place `start` on."""
        embeds_GTE = pad_sequence(list(rows), batch_first=True)
        stop = start + embeds_GTE.shape[1]
        slots_G = torch.tensor(slots, device=self.device)
        places_T = torch.arange(start, stop, device=self.device)

        def put(buffer: Tensor, states: Tensor) -> Tensor:
            buffer[slots_G, :, start:stop] = states
            return buffer[slots_G, :, :stop] if start else states

        ends, which_G = torch.tensor([len(row) - 1 for row in rows]).unique(return_inverse=True)
        logits_GTV = self._run(
            put,
            places_T.expand(len(rows), -1),
            self._seen(places_T, stop)[None, None],
            inputs_embeds=embeds_GTE,
            logits_to_keep=ends.to(self.device),
        )
        return logits_GTV[torch.arange(len(rows), device=self.device), which_G.to(self.device)]

    @torch.inference_mode()
    def begin(
        self, slots: Sequence[int], lengths: Sequence[int], draws_GN: Tensor, logits_GV: Tensor
    ) -> list[int]:
        """The first token of each answer; its slot is ready for steps."""
        slots_G = torch.tensor(slots, device=self.device)
        draws_GN = draws_GN.to(self.device)
        tokens_G = next_tokens(logits_GV, self.temperature, draws_GN[:, 0])
        self.tokens_B[slots_G] = tokens_G
        self.lengths_B[slots_G] = torch.tensor(lengths, device=self.device)
        self.made_B[slots_G] = 1
        self.draws_BN[slots_G] = draws_GN
        return tokens_G.tolist()

    @torch.inference_mode()
    def step(self, num_rows: int, width: int) -> Tensor:
        """[B] next tokens of the first `num_rows` slots, none of which has `width` places written."""
        tokens_B, lengths_B, made_B, draws_BN = (part[:num_rows] for part in self.state)
        slots_B = self._slots_B[:num_rows]

        def put(buffer: Tensor, states: Tensor) -> Tensor:
            buffer[slots_B, :, lengths_B] = states[:, :, 0]
            return buffer[:num_rows, :, :width]

        logits_BTV = self._run(
            put,
            lengths_B[:, None],
            self._seen(lengths_B, width)[:, None, None],
            input_ids=tokens_B[:, None],
            logits_to_keep=1,
        )
        draws_B = draws_BN.gather(1, made_B.clamp(max=draws_BN.shape[1] - 1)[:, None])[:, 0]
        tokens_B.copy_(next_tokens(logits_BTV[:, -1], self.temperature, draws_B))
        lengths_B.add_(1).clamp_(max=self.capacity - 1)  # rows that ended may go on beside the others
        made_B.add_(1)
        return tokens_B

    @torch.inference_mode()
    def move(self, source: int, target: int, length: int) -> None:
        """Carry a row with `length` places written to another slot."""
        for layer in self.layers:
            for buffer in layer.buffers:
                buffer[target, :, :length] = buffer[source, :, :length]
        for part in self.state:
            part[target] = part[source]

    @torch.inference_mode()
    def copy_out(self, slot: int, length: int) -> Prefix:
        """Keys and values of a slot's first places."""
        return [tuple(buffer[slot, :, :length].clone() for buffer in layer.buffers) for layer in self.layers]

    @torch.inference_mode()
    def copy_in(self, slots: Sequence[int], prefix: Prefix) -> None:
        """Begin these slots with a prefix."""
        slots_G = torch.tensor(slots, device=self.device)
        for layer, states in zip(self.layers, prefix, strict=True):
            for buffer, part in zip(layer.buffers, states, strict=True):
                buffer[slots_G, :, : part.shape[1]] = part

    def _seen(self, places: Tensor, width: int) -> Tensor:
        """[..., width] zero up to each of these places, and the lowest number behind it."""
        hidden = torch.arange(width, device=self.device) > places[:, None]
        return torch.zeros_like(hidden, dtype=self.model.dtype).masked_fill_(
            hidden, torch.finfo(self.model.dtype).min
        )

    def _run(self, put: Put, places: Tensor, mask: Tensor, **given: Any) -> Tensor:
        for layer in self.layers:
            layer.put = put
        out = self.model(**given, position_ids=places, attention_mask=mask, past_key_values=self._cache)
        return out.logits


def _captures(model: Any) -> bool:
    """Whether a step can be a CUDA graph: by transformers' own word nothing in the model waits for the device."""
    return model.device.type == "cuda" and getattr(model, "_can_compile_fullgraph", False)


class FixedSteps:
    """Steps of all slots at their whole length: on a GPU a CUDA graph, elsewhere the same step as it is.

    The graph is captured at the first step and holds the addresses of weights: whoever replaces weights, rather than
    change them in place, needs another engine. What the captured step computes is what tests run on the CPU; tests
    that need a GPU hold that captured steps give the same.
    """

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self._captures = _captures(slots.model)
        self._graph: Any = None

    @torch.inference_mode()
    def __call__(self, count: int) -> list[list[int]]:
        """Tokens of each of `count` steps, a token for each slot; one wait for the device."""
        if self._captures and self._graph is None:
            self._graph = self._captured_or_none()
        made = []
        for _ in range(count):
            if self._graph is None:
                self._step()
            else:
                self._graph.replay()
            made.append(self.slots.tokens_B.clone())
        return torch.stack(made).tolist()

    def _step(self) -> None:
        self.slots.step(self.slots.num_slots, self.slots.capacity)

    def _captured_or_none(self) -> Any:
        """The graph; None, also from then on, where something in the model cannot be captured."""
        kept = [part.clone() for part in self.slots.state]
        try:
            return self._capture()
        except RuntimeError as error:
            first: BaseException = error
            while first.__context__ is not None:  # the end of a capture that failed has an error of its own
                first = first.__context__
            tqdm.write(
                f"answers are made step by step, which is slower: {first_line(first)}", file=sys.stderr
            )
            self._captures = False
            return None
        finally:  # what trying wrote is written again by the next step
            for part, before in zip(self.slots.state, kept, strict=True):
                part.copy_(before)

    def _capture(self) -> Any:
        """Three steps on a side stream first, as PyTorch asks."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.slots.device):
            side, usual = torch.cuda.Stream(), torch.cuda.current_stream()
            side.wait_stream(usual)
            with torch.cuda.stream(side):
                for _ in range(3):
                    self._step()
            usual.wait_stream(side)
            try:
                with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                    self._step()
            finally:
                torch.cuda.set_stream(usual)  # a capture that fails leaves its own behind
        return graph
