"""Continuous batching: many answers at once, step by step. A waiting prompt takes the slot of an answer that ended.

A prompt is read padded on the right, behind the constant tokens that it shares with others, which are read once. On a
CPU the rows that are left when nothing waits close up, so that a step is as small as they are. Models whose layers or
places do not fit into slots are decoded in plain batches over transformers' own cache.
After Yu et al. 2022 (continuous batching).

Shape letters: B rows, G rows read together, T tokens, E model width, V vocabulary, N longest answer.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from vecspeak.console import print_line
from vecspeak.engines.base import TOP_K, TOP_P, Sampling
from vecspeak.errors import first_line

_ROTARY = ("default", "linear", "llama3", "yarn")
"""Positions that depend on a token's place alone, not on how long its neighbours are."""
_MASKED_BY_SUM = ("eager", "sdpa")
"""Kinds of attention that add a mask given as numbers."""

Put = Callable[[Tensor, Tensor], Tensor]
"""Writes new keys or values into a layer's [B, H, S, D] buffer, and gives those that are attended to."""
PrefixStates = list[tuple[Tensor, ...]]
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
    """[B] the likeliest token of each row; above temperature 0 by inverse-CDF sampling with the draws in [0, 1)."""
    if temperature == 0:
        return logits_BV.argmax(-1)
    best_BK, ids_BK = logits_BV.float().topk(min(TOP_K, logits_BV.shape[-1]))
    shares_BK = (best_BK / temperature).softmax(-1)
    # top-p: a token stays while those before it hold less than TOP_P; the draw falls on the cumulated rest
    before_BK = shares_BK.cumsum(-1) - shares_BK
    shares_BK = torch.where(before_BK < TOP_P, shares_BK, 0.0)
    reached_BK = shares_BK.cumsum(-1) <= (draws_B * shares_BK.sum(-1))[:, None]
    # rounding of the sums may carry a draw past the last token that stayed
    picked_B = torch.minimum(reached_BK.sum(-1), (shares_BK > 0).sum(-1) - 1)
    return ids_BK.gather(1, picked_B[:, None])[:, 0]


def penalized(logits_BV: Tensor, answers_BN: Tensor, made_B: Tensor, sampling: Sampling) -> Tensor:
    """The logits [B, V] of the next token after what each answer has said, as `drawing.Repetitions` has them.

    `answers_BN` has the `made_B` tokens of each answer, at least one, and behind them any of these again. The shapes of
    all operations depend on no value, so that a captured step may have them.
    """
    penalty, size = sampling.repetition_penalty, sampling.no_repeat_ngram_size
    if not sampling.has_penalties:
        return logits_BV
    logits_BV = logits_BV.float()
    if penalty != 1:  # a token that comes twice is written twice, with the same number
        seen_BN = logits_BV.gather(1, answers_BN)
        seen_BN = torch.where(seen_BN < 0, seen_BN * penalty, seen_BN / penalty)
        logits_BV = logits_BV.scatter(1, answers_BN, seen_BN)
    starts = answers_BN.shape[1] - size + 1
    if not size or starts < 1:
        return logits_BV
    # an n-gram that begins at i is there in whole where i + n - 1 < made; its last token may not come again
    # where the tokens before that are the last of the answer
    ends_N = torch.arange(size - 1, answers_BN.shape[1], device=answers_BN.device)
    repeats_BN = ends_N < made_B[:, None]
    for place in range(size - 1):
        last_B1 = answers_BN.gather(1, (made_B[:, None] - size + 1 + place).clamp(0, answers_BN.shape[1] - 1))
        repeats_BN = repeats_BN & (answers_BN[:, place : place + starts] == last_B1)
    most_BN = torch.where(repeats_BN, -torch.inf, torch.inf)
    return logits_BV.scatter_reduce(1, answers_BN[:, size - 1 :], most_BN.to(logits_BV.dtype), "amin")


def sampling_draws(numbers: Sequence[int], sampling: Sampling) -> Tensor:
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
        self.sampling = sampling
        self.device: torch.device = model.device
        config = model.config.get_text_config(decoder=True)
        self.layers = [SlotLayer(num_slots, capacity) for _ in DynamicCache(config=config).layers]
        self._cache = Cache(layers=list(self.layers))
        with torch.inference_mode():
            self._slots_B = torch.arange(num_slots, device=self.device)
            self.tokens_B = torch.zeros_like(self._slots_B)
            self.lengths_B = torch.zeros_like(self._slots_B)
            self.made_B = torch.zeros_like(self._slots_B)
            draws_N = sampling_draws([0], sampling)[0].to(self.device)
            self.draws_BN = torch.zeros_like(draws_N).repeat(num_slots, 1)
            self.answers_BN = self.tokens_B[:, None].repeat(1, sampling.max_new_tokens)

    @property
    def state(self) -> tuple[Tensor, ...]:
        """What a step changes beside the cache, and what a row takes along when it moves."""
        return self.tokens_B, self.lengths_B, self.made_B, self.draws_BN, self.answers_BN

    @torch.inference_mode()
    def read(self, slots: Sequence[int], rows: Sequence[Tensor], start: int) -> Tensor:
        """[G, V] logits after the last token of each [T, E] row, read into these slots from place `start` on."""
        embeds_GTE = pad_sequence(list(rows), batch_first=True)
        stop = start + embeds_GTE.shape[1]
        slots_G = torch.tensor(slots, device=self.device)
        places_T = torch.arange(start, stop, device=self.device)

        def put(buffer: Tensor, states: Tensor) -> Tensor:
            # behind a shared prefix the whole slot is attended to; without one the new states are all there
            # is
            buffer[slots_G, :, start:stop] = states
            return buffer[slots_G, :, :stop] if start else states

        # Padding on the right is causal: no real token sees it, and its keys lie behind each row's length,
        # where the answer's own tokens overwrite them before any step may look. Of the logits only the rows'
        # ends are computed.
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
        tokens_G = next_tokens(logits_GV, self.sampling.temperature, draws_GN[:, 0])
        self.tokens_B[slots_G] = tokens_G
        self.lengths_B[slots_G] = torch.tensor(lengths, device=self.device)
        self.made_B[slots_G] = 1
        self.draws_BN[slots_G] = draws_GN
        self.answers_BN[slots_G] = tokens_G[:, None]
        return tokens_G.tolist()

    @torch.inference_mode()
    def step(self, num_rows: int, width: int) -> Tensor:
        """[B] next tokens of the first `num_rows` slots, none of which has `width` places written."""
        tokens_B, lengths_B, made_B, draws_BN, answers_BN = (part[:num_rows] for part in self.state)
        slots_B = self._slots_B[:num_rows]

        # Each row writes one place at its own length and sees the places up to it: rows of all lengths in one
        # call, with no shape that depends on values, as a CUDA graph needs.
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
        # the m-th token of an answer takes the m-th number of its prompt's stream, whatever slot or step it
        # is in
        draws_B = draws_BN.gather(1, made_B.clamp(max=draws_BN.shape[1] - 1)[:, None])[:, 0]
        logits_BV = penalized(logits_BTV[:, -1], answers_BN, made_B, self.sampling)
        tokens_B.copy_(next_tokens(logits_BV, self.sampling.temperature, draws_B))
        if self.sampling.has_penalties:
            answers_BN.scatter_(1, made_B.clamp(max=answers_BN.shape[1] - 1)[:, None], tokens_B[:, None])
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
    def copy_out(self, slot: int, length: int) -> PrefixStates:
        """Keys and values of a slot's first places."""
        return [tuple(buffer[slot, :, :length].clone() for buffer in layer.buffers) for layer in self.layers]

    @torch.inference_mode()
    def copy_in(self, slots: Sequence[int], prefix: PrefixStates) -> None:
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
        retained = [part.clone() for part in self.slots.state]
        try:
            return self._capture()
        except RuntimeError as error:
            first: BaseException = error
            while first.__context__ is not None:  # the end of a capture that failed has an error of its own
                first = first.__context__
            print_line(f"answers are made step by step, which is slower: {first_line(first)}")
            self._captures = False
            return None
        finally:  # what trying wrote is written again by the next step
            for part, before in zip(self.slots.state, retained, strict=True):
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


_PLACES = 64
"""A slot has a multiple of these, so that calls of nearly equal length have the same shape."""
_MOST_PLACES = 2**15
"""Places of all slots together: of long prompts fewer are answered at once."""
_READ_TOKENS = 4096
"""Tokens that are read at once; a single prompt may have more."""
_LIKE = 0.75
"""Prompts read together are at least this long, as a share of the longest."""
_REFILL_SHARE = 1 / 8
"""Slots that must be free before waiting prompts are read: several together take less than one by one."""
_LIVE_SHARE = 0.8
"""Of a plain batch: ended rows are dropped when fewer than these are left."""

TokenEvent = tuple[int, int | None]
"""A prompt's number and the next token of its answer; None when the answer has ended."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PromptBatch:
    """Prompts that wait for their answers."""

    lengths: Sequence[int]
    """Tokens of each prompt, at least 1."""
    prefixes: Sequence[tuple[int, ...]]
    """Ids of each prompt's first tokens, whose embeddings follow from the ids alone; shorter than the prompt."""
    embed: Callable[[Sequence[int]], list[Tensor]]
    """[T, E] input embeddings of the prompts of these numbers."""

    def longest_first(self) -> list[int]:
        """Numbers of the prompts in the order in which they are read."""
        return sorted(range(len(self.lengths)), key=lambda number: -self.lengths[number])


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchingConfig:
    """How many answers are made at once, and how."""

    rows: int = 64
    """At most."""
    fixed: bool = False
    """Whether each step takes all slots at their whole length, as a captured graph must."""
    window: int = 1
    """Steps between two looks at their tokens, when fixed: a look waits for the GPU."""


GraphCache = dict[tuple[Any, ...], FixedSteps]
"""The slots of the last call that has ended, with their graph, by their shape."""


@dataclass(slots=True, eq=False)
class _SlotAnswer:
    """An answer on its way."""

    number: int
    made: int = 0
    """Tokens of the answer."""


class ContinuousBatcher:
    """Takes prompts through slots until none is left."""

    def __init__(
        self,
        model: Any,
        work: PromptBatch,
        sampling: Sampling,
        stop_ids: Sequence[int],
        batching: BatchingConfig,
    ) -> None:
        self.work, self.sampling, self.batching = work, sampling, batching
        self._model, self._stops = model, frozenset(stop_ids)
        self._waiting = deque(work.longest_first())
        self._rows: dict[int, _SlotAnswer] = {}
        self._sharers = Counter(work.prefixes)
        self._prefixes = [prefix if self._sharers[prefix] > 1 else () for prefix in work.prefixes]
        self._known: dict[tuple[int, ...], PrefixStates] = {}

    def tokens(self, spare: GraphCache) -> Iterator[TokenEvent]:
        """Tokens of all answers as they come: those of one in order, those of several interleaved."""
        # A captured graph is worth keeping from call to call: it is found again by the shapes that it was
        # captured with.
        key = self._shape()
        steps = spare.pop(key, None)
        spare.clear()  # before others are made: the memory may not hold both
        steps = steps or FixedSteps(Slots(self._model, key[0], key[1], self.sampling))
        self._steps, self._slots = steps, steps.slots
        try:
            while self._waiting or self._rows:
                if self._is_time_to_refill():
                    yield from self._tell(self._refill())
                for tokens in self._advance():
                    yield from self._tell(enumerate(tokens))
        finally:
            if self.batching.fixed:
                spare.clear()
                spare[key] = steps

    def _shape(self) -> tuple[Any, ...]:
        """Slots, their places, and what else a captured step depends on."""
        places = max(self.work.lengths) + self.sampling.max_new_tokens
        capacity = -(-places // _PLACES) * _PLACES
        wanted = len(self.work.lengths)
        if self.batching.fixed:
            wanted = 1 << (wanted - 1).bit_length()  # few shapes for calls of few prompts
        slots = max(1, min(wanted, self.batching.rows, _MOST_PLACES // capacity))
        return slots, capacity, replace(self.sampling, seed=0)

    def _tell(self, made: Iterable[tuple[int, int]]) -> Iterator[TokenEvent]:
        """Yield new tokens by prompt and free the slots of finished rows; later tokens of a freed slot are ignored."""
        for slot, token in made:
            row = self._rows.get(slot)
            if row is None:
                continue
            stopped = token in self._stops
            if not stopped:
                row.made += 1
                yield row.number, token
            if stopped or row.made == self.sampling.max_new_tokens:
                del self._rows[slot]
                yield row.number, None

    def _is_time_to_refill(self) -> bool:
        free = self._slots.num_slots - len(self._rows)
        return bool(self._waiting) and (not self._rows or free >= self._slots.num_slots * _REFILL_SHARE)

    def _refill(self) -> Iterator[tuple[int, int]]:
        """Slots that were free, with the first token of the answer that is now made there."""
        free = [slot for slot in range(self._slots.num_slots) if slot not in self._rows]
        numbers = [self._waiting.popleft() for _ in free[: len(self._waiting)]]
        for group in self._groups(numbers):
            slots, free = free[: len(group)], free[len(group) :]
            self._rows.update(zip(slots, map(_SlotAnswer, group), strict=True))
            yield from zip(slots, self._read(slots, group), strict=True)

    def _groups(self, numbers: list[int]) -> Iterator[list[int]]:
        """Prompts of one prefix and of like length, the longest of each group first."""
        group: list[int] = []
        for number in sorted(numbers, key=lambda number: self._prefixes[number]):
            longest = self.work.lengths[group[0]] if group else 0
            if group and (
                self._prefixes[number] != self._prefixes[group[0]]
                or self.work.lengths[number] < _LIKE * longest
                or (len(group) + 1) * longest > _READ_TOKENS
            ):
                yield group
                group = []
            group.append(number)
        if group:
            yield group

    def _read(self, slots: list[int], group: list[int]) -> list[int]:
        """The first token of each answer of a group, its prompts read into these slots."""
        # A prefix is read once into some slot, copied out, and copied into each slot of a prompt that begins
        # with it.
        rows, prefix = self.work.embed(group), self._prefixes[group[0]]
        if prefix:
            self._place(prefix, slots, rows[0])
        self._sharers.subtract([prefix] * len(group))
        if self._sharers[prefix] <= 0:  # nobody waits who has it
            self._known.pop(prefix, None)
        logits_GV = self._slots.read(slots, [row[len(prefix) :] for row in rows], len(prefix))
        lengths = [self.work.lengths[number] for number in group]
        return self._slots.begin(slots, lengths, sampling_draws(group, self.sampling), logits_GV)

    def _place(self, prefix: tuple[int, ...], slots: list[int], row_TE: Tensor) -> None:
        if prefix not in self._known:
            self._slots.read(slots[:1], [row_TE[: len(prefix)]], 0)
            self._known[prefix] = self._slots.copy_out(slots[0], len(prefix))
        self._slots.copy_in(slots, self._known[prefix])

    def _advance(self) -> list[list[int]]:
        """Tokens of the next steps, by slot."""
        if not self._rows:
            return []
        if self.batching.fixed:
            # several steps between two looks at the tokens: answers that end in between run on, unread
            left = self.sampling.max_new_tokens - min(row.made for row in self._rows.values())
            return self._steps(min(self.batching.window, left))
        # On a CPU a step costs what its rows and places are: rows close up, and only written places are
        # multiplied.
        self._close_up()
        width = max(self._written(row) for row in self._rows.values()) + 1
        return [self._slots.step(len(self._rows), width).tolist()]

    def _written(self, row: _SlotAnswer) -> int:
        """Places of a row's slot that are written: the last token of its answer is still to be read."""
        return self.work.lengths[row.number] + row.made - 1

    def _close_up(self) -> None:
        """Rows of the last slots move into free ones, so that the first slots hold all."""
        count = len(self._rows)
        free = [slot for slot in range(count) if slot not in self._rows]
        for source, target in zip([slot for slot in self._rows if slot >= count], free, strict=True):
            row = self._rows[target] = self._rows.pop(source)
            self._slots.move(source, target, self._written(row))


def decode(
    model: Any,
    work: PromptBatch,
    sampling: Sampling,
    stop_ids: Sequence[int],
    batching: BatchingConfig,
    spare: GraphCache | None = None,
) -> Iterator[TokenEvent]:
    """Tokens of the answers to all prompts as they come, stop tokens left out; after an answer's last, None.

    Tokens of one answer come in order, those of several interleaved. What is drawn for a prompt depends on the seed
    and its number alone. `spare` keeps a captured graph for the next call with the same model.
    """
    if not work.lengths:
        return iter(())
    if fits_slots(model):
        return ContinuousBatcher(model, work, sampling, stop_ids, batching).tokens(
            {} if spare is None else spare
        )
    order = work.longest_first()
    batches = (order[start : start + batching.rows] for start in range(0, len(order), batching.rows))
    return (shown for batch in batches for shown in _decode_batch(model, work, batch, sampling, stop_ids))


@torch.inference_mode()
def _decode_batch(
    model: Any, work: PromptBatch, numbers: Sequence[int], sampling: Sampling, stop_ids: Sequence[int]
) -> Iterator[TokenEvent]:
    """The same for one batch over transformers' own cache; prompts are padded on the left."""
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    rows = work.embed(numbers)
    mask_BT = pad_sequence([row.new_ones(len(row)).long() for row in rows], True, padding_side="left")
    places_BT = (mask_BT.cumsum(1) - 1).clamp(min=0)
    fed = {"inputs_embeds": pad_sequence(rows, True, padding_side="left")}
    draws_BN = sampling_draws(numbers, sampling).to(mask_BT.device).expand(-1, sampling.max_new_tokens)
    answers_BN = places_BT.new_zeros(len(rows), sampling.max_new_tokens)
    live = set(range(len(rows)))
    for step in range(sampling.max_new_tokens):
        out = model(
            **fed, attention_mask=mask_BT, position_ids=places_BT, past_key_values=cache, logits_to_keep=1
        )
        logits_BV = out.logits[:, -1]
        if step:
            logits_BV = penalized(logits_BV, answers_BN, torch.full_like(answers_BN[:, 0], step), sampling)
        tokens_B = next_tokens(logits_BV, sampling.temperature, draws_BN[:, step])
        answers_BN[:, step:] = tokens_B[:, None]
        for row, token in enumerate(tokens_B.tolist()):
            if row in live and token not in stop_ids:
                yield numbers[row], token
            if row in live and (token in stop_ids or step + 1 == sampling.max_new_tokens):
                live.remove(row)
                yield numbers[row], None
        if not live:
            return
        # dropping rows copies the whole cache, so it waits until enough of them have ended
        if len(live) < _LIVE_SHARE * len(numbers):
            numbers = [numbers[row] for row in sorted(live)]
            retained = torch.tensor(sorted(live), device=mask_BT.device)
            cache.batch_select_indices(retained)
            tokens_B, mask_BT, places_BT, draws_BN, answers_BN = (
                part[retained] for part in (tokens_B, mask_BT, places_BT, draws_BN, answers_BN)
            )
            live = set(range(len(numbers)))
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(numbers), 1)], 1)
        places_BT = places_BT[:, -1:] + 1
        fed = {"input_ids": tokens_B[:, None]}
