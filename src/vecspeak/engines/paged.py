"""Paged decoding: many answers at once over a cache of blocks. A row that ends gives its place to one that waits.

Knows a compiled graph of `graph.py`, its inputs, blocks of keys and values, and input embeddings. Knows nothing of
vectors, texts or tokenizers. After Kwon et al. 2023 (paged attention) and Yu et al. 2022 (continuous batching).
Shape letters: T tokens of a prompt, E model width, S rows of a step, V vocabulary.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino as ov

from vecspeak.engines.light import Fed

Choose = Callable[[np.ndarray, list[int]], np.ndarray]
"""[S, V] logits and the numbers of their rows to [S] token ids."""


@dataclass(slots=True, eq=False)
class _Row:
    """An answer on its way."""

    number: int
    blocks: np.ndarray
    """Where its keys and values lie."""
    waiting_TE: np.ndarray
    """Input embeddings that the next step reads."""
    past: int = 0
    """Tokens whose keys and values are there."""
    made: int = 0
    """Tokens of its answer."""


class PagedDecoder:
    """Decodes with a compiled graph; the cache is made as large as the work needs and kept for the next.

    It takes `max_bytes` at most, or what one prompt needs: where that is too little for all rows, fewer run at once.
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
        needs = [self._blocks_for(len(one.embeds_TE) + max_new_tokens) for one in prompts]
        prefixes = self._shared_prefixes(prompts)
        own = sum(self._blocks_for(len(prefix)) for prefix in prefixes)
        wanted = sum(sorted(needs, reverse=True)[: self.max_rows])
        self._make_room(own + max(min(wanted, self.max_bytes // self._block_bytes), max(needs)))
        self._turn += 1
        turn = self._turn
        free = list(range(self._num_blocks))
        starts = self._compute_prefixes(prefixes, prompts, free)
        waiting, running = deque(range(len(prompts))), list[_Row]()
        while waiting or running:
            check_turn(turn, self._turn)
            self._admit(waiting, running, prompts, needs, starts, free)
            tokens = choose(self._step(running), [row.number for row in running])
            going = []
            for row, token in zip(running, tokens.tolist(), strict=True):
                stopped = token in stop_ids
                row.made += not stopped
                if not stopped:
                    yield row.number, token
                if stopped or row.made == max_new_tokens:
                    free += row.blocks.tolist()
                    yield row.number, None
                    continue
                row.waiting_TE = self.embedding_VE[token : token + 1]
                going.append(row)
            running = going

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self._block)

    def _shared_prefixes(self, prompts: Sequence[Fed]) -> dict[tuple[int, ...], int]:
        """Prefixes that more than one prompt has, with the first prompt that has each."""
        first: dict[tuple[int, ...], int] = {}
        shared: dict[tuple[int, ...], int] = {}
        for number, one in enumerate(prompts):
            if one.prefix in first:
                shared[one.prefix] = first[one.prefix]
            elif one.prefix:
                first[one.prefix] = number
        return shared

    def _make_room(self, num_blocks: int) -> None:
        if num_blocks <= self._num_blocks:
            return
        self._num_blocks = num_blocks
        for name, port in self._caches.items():
            sizes = ov.Shape([num_blocks, *self._sizes(port)])
            self._tensors[name] = ov.Tensor(port.get_element_type(), sizes)
            self._request.set_tensor(name, self._tensors[name])

    def _compute_prefixes(
        self, prefixes: dict[tuple[int, ...], int], prompts: Sequence[Fed], free: list[int]
    ) -> dict[tuple[int, ...], np.ndarray]:
        """The blocks that hold each prefix; they are copied from, and never written again."""
        made: dict[tuple[int, ...], np.ndarray] = {}
        for prefix, number in prefixes.items():
            blocks = _take(free, self._blocks_for(len(prefix)))
            self._step([_Row(number, blocks, prompts[number].embeds_TE[: len(prefix)])])
            made[prefix] = blocks
        return made

    def _admit(
        self,
        waiting: deque[int],
        running: list[_Row],
        prompts: Sequence[Fed],
        needs: Sequence[int],
        starts: dict[tuple[int, ...], np.ndarray],
        free: list[int],
    ) -> None:
        """Let prompts in, in order, while there are places, blocks and tokens left in the step."""
        tokens = sum(len(row.waiting_TE) for row in running)
        while waiting and len(running) < self.max_rows and needs[waiting[0]] <= len(free):
            one = prompts[waiting[0]]
            if running and tokens + len(one.embeds_TE) > self.step_tokens:
                return
            row = _Row(waiting[0], _take(free, needs[waiting.popleft()]), one.embeds_TE)
            if one.prefix in starts:
                self._copy(starts[one.prefix], row.blocks)
                row.past, row.waiting_TE = len(one.prefix), one.embeds_TE[len(one.prefix) :]
            running.append(row)
            tokens += len(row.waiting_TE)

    def _copy(self, source: np.ndarray, target: np.ndarray) -> None:
        for tensor in self._tensors.values():
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


def _take(free: list[int], count: int) -> np.ndarray:
    taken, free[:] = free[:count], free[count:]
    return np.array(taken, dtype=np.int32)
