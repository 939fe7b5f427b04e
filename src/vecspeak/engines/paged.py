"""Paged decoding: many answers at once over a cache of blocks. A row that ends gives its place to one that waits.

Knows a compiled graph of `graph.py`, its inputs, blocks of keys and values, and input embeddings. Knows nothing of
vectors, texts or tokenizers. After Kwon et al. 2023 (paged attention) and Yu et al. 2022 (continuous batching).
Shape letters: T tokens of a prompt, E model width, S rows of a step, V vocabulary.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import openvino as ov

from vecspeak.engines.light import Fed

Choose = Callable[[np.ndarray, list[int]], np.ndarray]
"""[S, V] logits and the numbers of their rows to [S] token ids."""


@dataclass(slots=True, eq=False)
class _Prefix:
    """What several prompts begin with, or the nothing that one prompt has before it."""

    length: int = 0
    """Tokens."""
    left: int = 0
    """Its prompts whose answers have not ended."""
    blocks: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    """Where its keys and values lie, from the start of its first prompt to the end of its last answer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """A prompt that waits."""

    number: int
    embeds_TE: np.ndarray
    prefix: _Prefix
    need: int
    """Blocks of its own: those that the prefix fills are shared."""


@dataclass(slots=True, eq=False)
class _Row:
    """An answer on its way."""

    number: int
    blocks: np.ndarray
    """Where its keys and values lie; those that its prefix fills come first."""
    waiting_TE: np.ndarray
    """Input embeddings that the next step reads."""
    past: int = 0
    """Tokens whose keys and values are there."""
    made: int = 0
    """Tokens of its answer."""
    prefix: _Prefix = field(default_factory=_Prefix)


@dataclass(slots=True, eq=False)
class _Pages:
    """Numbers of the blocks that nobody has."""

    free: list[int]

    def take(self, count: int) -> np.ndarray:
        """The numbers of so many blocks."""
        taken, self.free = self.free[:count], self.free[count:]
        return np.array(taken, dtype=np.int32)

    def give(self, blocks: np.ndarray) -> None:
        """Take these back."""
        self.free += blocks.tolist()


class PagedDecoder:
    """Decodes with a compiled graph; the cache is made as large as the work needs and kept for the next.

    It takes `max_bytes` at most, or what one prompt needs: where that is too little for all rows, fewer run at once.
    Prompts of one prefix run one after the other. It is read when the first of them starts; they share the blocks that
    it fills, and each has a copy of the one that it fills in part.
    """

    def __init__(
        self,
        compiled: Any,
        embedding_VE: np.ndarray,
        *,
        max_rows: int = 128,
        step_tokens: int = 1024,
        max_bytes: int = 2 * 10**9,
    ) -> None:
        self.embedding_VE = embedding_VE
        self.max_rows = max_rows
        self.step_tokens = step_tokens
        self.max_bytes = max_bytes
        self._request = compiled.create_infer_request()
        self._caches = {name: one for one in compiled.inputs for name in one.get_names() if "_cache." in name}
        self._block = int(
            next(o for n, o in self._caches.items() if "value" in n).get_partial_shape()[2].get_length()
        )
        self._tensors: dict[str, ov.Tensor] = {}
        self._num_blocks = 0
        self._turn = 0

    def _sizes(self, port: Any) -> list[int]:
        """Of one block in one cache."""
        return [int(size.get_length()) for size in list(port.get_partial_shape())[1:]]

    @property
    def _block_bytes(self) -> int:
        """Of one block in all caches together."""
        ports = self._caches.values()
        return sum(int(np.prod(self._sizes(port))) * port.get_element_type().size for port in ports)

    def decode(
        self, prompts: Sequence[Fed], choose: Choose, stop_ids: Sequence[int], max_new_tokens: int
    ) -> Iterator[tuple[int, int | None]]:
        """Numbers of prompts and the next token of their answers, as they come; None when an answer has ended.

        The stop token is not given. Tokens of one answer come in order, those of several interleaved.
        """
        asked = self._in_groups(prompts, max_new_tokens)
        self._make_room(self._room_for(asked))
        self._turn += 1
        turn = self._turn
        pages = _Pages(list(range(self._num_blocks)))
        waiting, running = deque(asked), list[_Row]()
        while waiting or running:
            check_turn(turn, self._turn)
            self._admit(waiting, running, pages)
            tokens = choose(self._step(running), [row.number for row in running])
            going = []
            for row, token in zip(running, tokens.tolist(), strict=True):
                stopped = token in stop_ids
                row.made += not stopped
                if not stopped:
                    yield row.number, token
                if stopped or row.made == max_new_tokens:
                    self._end(row, pages)
                    yield row.number, None
                    continue
                row.waiting_TE = self.embedding_VE[token : token + 1]
                going.append(row)
            running = going

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self._block)

    def _in_groups(self, prompts: Sequence[Fed], max_new_tokens: int) -> list[_Asked]:
        """The prompts in order, but those of a prefix where the first of them is; one of a single prompt is none."""
        counts = Counter(one.prefix for one in prompts)
        groups: dict[object, list[_Asked]] = {}
        for number, one in enumerate(prompts):
            is_shared = len(one.prefix) > 0 and counts[one.prefix] > 1
            group = groups.setdefault(one.prefix if is_shared else number, [])
            prefix = group[0].prefix if group else _Prefix(len(one.prefix) if is_shared else 0)
            prefix.left += 1
            blocks = self._blocks_for(len(one.embeds_TE) + max_new_tokens)
            need = blocks - prefix.length // self._block
            group.append(_Asked(number=number, embeds_TE=one.embeds_TE, prefix=prefix, need=need))
        return [one for group in groups.values() for one in group]

    def _room_for(self, asked: Sequence[_Asked]) -> int:
        """Blocks for as many neighbours as may run at once, with their prefixes; fewer where memory ends."""
        if not asked:
            return 0
        own = np.array([one.need for one in asked])
        before = np.array([self._blocks_for(one.prefix.length) for one in asked])
        is_first = np.array([True, *(a.prefix is not b.prefix for a, b in pairwise(asked))])
        sums = np.concatenate([[0], np.cumsum(own + before * is_first)])
        ends = np.minimum(np.arange(len(asked)) + self.max_rows, len(asked))
        at_once = sums[ends] - sums[:-1] + before * ~is_first
        return max(min(int(at_once.max()), self.max_bytes // self._block_bytes), int((own + before).max()))

    def _make_room(self, num_blocks: int) -> None:
        if num_blocks <= self._num_blocks:
            return
        self._num_blocks = num_blocks
        for name, port in self._caches.items():
            sizes = ov.Shape([num_blocks, *self._sizes(port)])
            self._tensors[name] = ov.Tensor(port.get_element_type(), sizes)
            self._request.set_tensor(name, self._tensors[name])

    def _admit(self, waiting: deque[_Asked], running: list[_Row], pages: _Pages) -> None:
        """Let prompts in, in order, while there are places, blocks and tokens left in the step."""
        tokens = sum(len(row.waiting_TE) for row in running)
        while waiting and len(running) < self.max_rows:
            one = waiting[0]
            unread = self._blocks_for(one.prefix.length) - len(one.prefix.blocks)
            if one.need + unread > len(pages.free):
                return
            if running and tokens + len(one.embeds_TE) - one.prefix.length > self.step_tokens:
                return
            running.append(self._begin(waiting.popleft(), pages))
            tokens += len(running[-1].waiting_TE)

    def _begin(self, one: _Asked, pages: _Pages) -> _Row:
        """A row that has the keys and values of its prefix; the first of a prefix has it read."""
        prefix = one.prefix
        if prefix.length and not len(prefix.blocks):
            prefix.blocks = pages.take(self._blocks_for(prefix.length))
            self._step([_Row(one.number, prefix.blocks, one.embeds_TE[: prefix.length])])
        filled, own = self._filled(prefix), pages.take(one.need)
        self._copy(prefix.blocks[len(filled) :], own)
        rest_TE = one.embeds_TE[prefix.length :]
        return _Row(one.number, np.concatenate([filled, own]), rest_TE, past=prefix.length, prefix=prefix)

    def _filled(self, prefix: _Prefix) -> np.ndarray:
        """The blocks that nobody writes to any more."""
        return prefix.blocks[: prefix.length // self._block]

    def _end(self, row: _Row, pages: _Pages) -> None:
        pages.give(row.blocks[len(self._filled(row.prefix)) :])
        row.prefix.left -= 1
        if not row.prefix.left:
            pages.give(row.prefix.blocks)

    def _copy(self, source: np.ndarray, target: np.ndarray) -> None:
        for tensor in self._tensors.values() if len(source) else ():
            tensor.data[target[: len(source)]] = tensor.data[source]

    def _step(self, rows: Sequence[_Row]) -> np.ndarray:
        """[S, V] logits after the waiting tokens of each row; their keys and values are kept."""
        counts = np.array([len(row.waiting_TE) for row in rows])
        pasts = np.array([row.past for row in rows])
        ends = counts.cumsum()
        used = [row.blocks[: self._blocks_for(row.past + len(row.waiting_TE))] for row in rows]
        places = np.arange(ends[-1]) - np.repeat(ends - counts - pasts, counts)
        given = {
            "inputs_embeds": np.concatenate([row.waiting_TE for row in rows]).astype(np.float32, copy=False),
            "position_ids": places.astype(np.int64),
            "past_lens": pasts.astype(np.int32),
            "subsequence_begins": np.concatenate([[0], ends]).astype(np.int32),
            "block_indices": np.concatenate(used).astype(np.int32),
            "block_indices_begins": np.cumsum([0, *map(len, used)]).astype(np.int32),
            "max_context_len": np.array((pasts + counts).max(), dtype=np.int32),
            "sampled": (ends - 1).astype(np.int64),
        }
        for name, value in given.items():
            self._request.set_tensor(name, ov.Tensor(value))
        self._request.infer()
        for row in rows:
            row.past += len(row.waiting_TE)
        return self._request.get_output_tensor(0).data[:, 0]


def check_turn(mine: int, last: int) -> None:
    """Raise RuntimeError when another call has used the memory of this one since: its answers would be wrong."""
    if mine != last:
        raise RuntimeError(
            "this answer was overtaken by another call of the same engine: finish one before the next"
        )
