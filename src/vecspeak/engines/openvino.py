"""The engine for CPUs: OpenVINO, int8, without torch.

One answer that is read as it comes runs on the plain graph, which opens from its compiled form; many answers run
together with paged attention, in bfloat16 where the processor multiplies it, so that the two may part where two tokens
are nearly as likely. The reference engine is `transformers.py`; what int8 changes is measured
in docs/performance.md.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from tokenizers.decoders import DecodeStream

from vecspeak.console import progress_bar
from vecspeak.engines.base import Sampling, TokenNats, turns_of
from vecspeak.engines.drawing import Repetitions, drawn_tokens, nats_of
from vecspeak.engines.growing import Grower, GrownAnswer, Growth, RowDecoder, Score
from vecspeak.engines.openvino_graph import with_paged_attention
from vecspeak.engines.prepared import BFLOAT16, COMPILED, EXACT, GRAPH, ROUNDED, Prepared, PromptInputs
from vecspeak.engines.stateful import StatefulRows, single_logits, stateful_nats
from vecspeak.engines.token_log import TokenLog
from vecspeak.model.prompt import Prompt, segments_of
from vecspeak.model.quiet_openvino import ov
from vecspeak.model.special_tokens import encoded_pieces, foreign_ids

_FEW = 2
"""Texts whose nats the graph of one row reads as fast."""
_NATS_TOKENS = 256
"""Tokens of given answers that one step reads: each has logits of the whole vocabulary, 200 kB."""


class Sampler:
    """Takes the likeliest token of each row, or draws one at the sampling's temperature."""

    def __init__(self, sampling: Sampling, log: TokenLog | None = None) -> None:
        """`log` gets what each token costs before the penalties."""
        self.sampling = sampling
        self.log = log
        self._streams: dict[int, np.random.Generator] = {}
        self._repetitions: dict[int, Repetitions] = {}

    def __call__(self, logits_SV: np.ndarray, rows: list[int]) -> np.ndarray:
        """[S] token ids for the rows of these numbers; where there are penalties the logits are changed in place."""
        if self.log is None:
            return self._penalized(logits_SV, rows)
        before_SV = logits_SV.copy() if self.sampling.has_penalties else logits_SV
        tokens_S = self._penalized(logits_SV, rows)
        return self.log.add(rows, tokens_S, nats_of(before_SV, tokens_S))

    def _penalized(self, logits_SV: np.ndarray, rows: list[int]) -> np.ndarray:
        if not self.sampling.has_penalties:
            return self._take(logits_SV, rows)
        past = [self._repetitions.setdefault(row, Repetitions(self.sampling)) for row in rows]
        for logits_V, one in zip(logits_SV, past, strict=True):
            one.penalize(logits_V)
        tokens_S = self._take(logits_SV, rows)
        for token, one in zip(tokens_S.tolist(), past, strict=True):
            one.add(token)
        return tokens_S

    def _take(self, logits_SV: np.ndarray, rows: list[int]) -> np.ndarray:
        temperature = self.sampling.temperature
        randoms = [self._stream(row).random() for row in rows] if temperature else []
        return drawn_tokens(logits_SV, temperature, randoms)

    def _stream(self, row: int) -> np.random.Generator:
        if row not in self._streams:
            self._streams[row] = np.random.default_rng([self.sampling.seed, row])
        return self._streams[row]


SampleTokens = Callable[[np.ndarray, list[int]], np.ndarray]
"""[S, V] logits and the numbers of their rows to [S] token ids."""


@dataclass(slots=True, eq=False)
class _SharedPrefix:
    """A prefix shared by several prompts; empty for a prompt of its own."""

    length: int = 0
    """Tokens."""
    left: int = 0
    """Its prompts whose answers have not ended."""
    blocks: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    """Where its keys and values lie, from the start of its first prompt to the end of its last answer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _WaitingPrompt:
    """A prompt that waits."""

    number: int
    embeds_TE: np.ndarray
    prefix: _SharedPrefix
    need: int
    """Blocks of its own: those that the prefix fills are shared."""


@dataclass(slots=True, eq=False)
class _RunningAnswer:
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
    prefix: _SharedPrefix = field(default_factory=_SharedPrefix)
    turn: int = 0
    """Of the decoder when the row began, for rows that grow."""


@dataclass(slots=True, eq=False)
class _BlockPool:
    """Numbers of the blocks that nobody has, and how many have others."""

    free: list[int]
    sharers: Counter[int] = field(default_factory=Counter)
    """Rows that read a block beside the first."""

    def take(self, count: int) -> np.ndarray:
        """The numbers of so many blocks, those that were given back last first: they may be in a cache."""
        taken = [self.free.pop() for _ in range(count)]
        return np.array(taken, dtype=np.int32)

    def share(self, blocks: np.ndarray) -> None:
        """Note one row more that reads these."""
        self.sharers.update(blocks.tolist())

    def give(self, blocks: np.ndarray) -> None:
        """Take these back, each from one row."""
        for block in blocks.tolist():
            if self.sharers[block]:
                self.sharers[block] -= 1
            else:
                self.free.append(block)


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
        self._pages, self._each = _BlockPool([]), 0

    def _sizes(self, port: Any) -> list[int]:
        """Of one block in one cache."""
        return [int(size.get_length()) for size in list(port.get_partial_shape())[1:]]

    @property
    def _block_bytes(self) -> int:
        """Of one block in all caches together."""
        ports = self._caches.values()
        return sum(int(np.prod(self._sizes(port))) * port.get_element_type().size for port in ports)

    def decode(
        self,
        prompts: Sequence[PromptInputs],
        choose: SampleTokens,
        stop_ids: Sequence[int],
        max_new_tokens: int,
    ) -> Iterator[tuple[int, int | None]]:
        """Numbers of prompts and the next token of their answers, as they come; None when an answer has ended.

        The stop token is not given. Tokens of one answer come in order, those of several interleaved.
        """
        asked = self._in_groups(prompts, max_new_tokens)
        self._make_room(self._room_for(asked))
        self._turn += 1
        turn = self._turn
        pages = _BlockPool(list(range(self._num_blocks)))
        waiting, running = deque(asked), list[_RunningAnswer]()
        # Each round: let waiting prompts in, run one step over all rows (whole prompts and single tokens
        # mixed), pick a token for each, and let go of the rows that ended.
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

    def nats(self, prompts: Sequence[PromptInputs], ids: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """For each prompt the [T] nats of the tokens of a given answer to it, as `stateful_nats` gives them.

        A prompt that comes several times is read once.
        """
        found = [np.empty(0)] * len(prompts)
        numbers = [number for number, made in enumerate(ids) if len(made)]
        given = [(prompts[number], ids[number]) for number in numbers]
        waiting = deque(self._in_groups(with_answers(given, self.embedding_VE), 0))
        self._make_room(self._room_for(waiting))
        self._turn += 1
        pages = _BlockPool(list(range(self._num_blocks)))
        while waiting:
            rows = list[_RunningAnswer]()
            self._admit(waiting, rows, pages, most=_NATS_TOKENS)
            made = [np.asarray(ids[numbers[row.number]], np.int64) for row in rows]
            counts = [len(one) for one in made]
            # Token t of an answer is foretold by the logits at the place before it.
            nats_S = nats_of(self._step(rows, counts), np.concatenate(made))
            for row, one in zip(rows, np.split(nats_S, np.cumsum(counts)[:-1]), strict=True):
                found[numbers[row.number]] = one
                self._end(row, pages)
        return found

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self._block)

    def _in_groups(self, prompts: Sequence[PromptInputs], max_new_tokens: int) -> list[_WaitingPrompt]:
        """The prompts in order, but those of a prefix where the first of them is; one of a single prompt is none."""
        counts = Counter(one.prefix for one in prompts)
        groups: dict[object, list[_WaitingPrompt]] = {}
        for number, one in enumerate(prompts):
            is_shared = len(one.prefix) > 0 and counts[one.prefix] > 1
            group = groups.setdefault(one.prefix if is_shared else number, [])
            prefix = group[0].prefix if group else _SharedPrefix(len(one.prefix) if is_shared else 0)
            prefix.left += 1
            blocks = self._blocks_for(len(one.embeds_TE) + max_new_tokens)
            need = blocks - prefix.length // self._block
            group.append(_WaitingPrompt(number=number, embeds_TE=one.embeds_TE, prefix=prefix, need=need))
        return [one for group in groups.values() for one in group]

    def _room_for(self, asked: Sequence[_WaitingPrompt]) -> int:
        """Blocks for as many neighbours as may run at once, with their prefixes; fewer where memory ends."""
        if not asked:
            return 0
        # Any `max_rows` neighbours may run together, and those of one prefix share its blocks: the largest
        # sum over a window of that many, by differences of cumulated sums. A prefix counts where its first
        # prompt is in the window, and once more at a window's start that cuts through its prompts.
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

    def _admit(
        self,
        waiting: deque[_WaitingPrompt],
        running: list[_RunningAnswer],
        pages: _BlockPool,
        *,
        most: int = 0,
    ) -> None:
        """Let prompts in, in order, while there are places, blocks and tokens left in the step.

        A step reads `most` tokens at once, `step_tokens` where it is 0; a longer prompt is read by itself.
        """
        tokens = sum(len(row.waiting_TE) for row in running)
        while waiting and len(running) < self.max_rows:
            one = waiting[0]
            unread = self._blocks_for(one.prefix.length) - len(one.prefix.blocks)
            if one.need + unread > len(pages.free):
                return
            if running and tokens + len(one.embeds_TE) - one.prefix.length > (most or self.step_tokens):
                return
            running.append(self._begin(waiting.popleft(), pages))
            tokens += len(running[-1].waiting_TE)

    def _begin(self, one: _WaitingPrompt, pages: _BlockPool) -> _RunningAnswer:
        """A row that has the keys and values of its prefix; the first of a prefix has it read."""
        prefix = one.prefix
        if prefix.length and not len(prefix.blocks):
            prefix.blocks = pages.take(self._blocks_for(prefix.length))
            self._step([_RunningAnswer(one.number, prefix.blocks, one.embeds_TE[: prefix.length])])
        # Blocks that the prefix fills are read by all its rows. The one that it fills in part gets the row's
        # own tokens at its end, so each row has a copy of it: copy on write, done ahead.
        filled, own = self._filled(prefix), pages.take(one.need)
        self._copy(prefix.blocks[len(filled) :], own)
        rest_TE = one.embeds_TE[prefix.length :]
        return _RunningAnswer(
            one.number, np.concatenate([filled, own]), rest_TE, past=prefix.length, prefix=prefix
        )

    def _filled(self, prefix: _SharedPrefix) -> np.ndarray:
        """The blocks that nobody writes to any more."""
        return prefix.blocks[: prefix.length // self._block]

    def _end(self, row: _RunningAnswer, pages: _BlockPool) -> None:
        pages.give(row.blocks[len(self._filled(row.prefix)) :])
        row.prefix.left -= 1
        if not row.prefix.left:
            pages.give(row.prefix.blocks)

    def _copy(self, source: np.ndarray, target: np.ndarray) -> None:
        for tensor in self._tensors.values() if len(source) else ():
            tensor.data[target[: len(source)]] = tensor.data[source]

    def open(self, rows: int, tokens: int) -> None:
        """Make room for rows of so many tokens each; rows and answers of before are gone."""
        self._each = self._blocks_for(tokens)
        self._make_room(rows * self._each)
        self._turn += 1
        self._pages = _BlockPool(list(range(self._num_blocks)))

    def begin(self, prompt: PromptInputs) -> _RunningAnswer:
        """A row that has read all of a prompt but its last token, which the first `step` reads."""
        row = _RunningAnswer(0, self._pages.take(self._each), prompt.embeds_TE[:-1], turn=self._turn)
        if len(row.waiting_TE):
            self._step([row])
        row.waiting_TE = prompt.embeds_TE[-1:]
        return row

    def fork(self, row: _RunningAnswer) -> _RunningAnswer:
        """Another row that stands where this one does: full blocks are shared, the last is copied."""
        filled = row.blocks[: row.past // self._block]
        own = self._pages.take(self._each - len(filled))
        self._pages.share(filled)
        self._copy(row.blocks[len(filled) : self._blocks_for(row.past)], own)
        blocks = np.concatenate([filled, own])
        return _RunningAnswer(0, blocks, row.waiting_TE, past=row.past, turn=row.turn)

    def drop(self, row: _RunningAnswer) -> None:
        """Take back what a row has, unless other work has the memory by now."""
        if row.turn == self._turn:
            self._pages.give(row.blocks)

    def step(self, rows: Sequence[_RunningAnswer]) -> np.ndarray:
        """[S, V] float32 logits of the next token of each row, which hold until the next step."""
        check_turn(min(row.turn for row in rows), self._turn)
        return self._step(rows).astype(np.float32, copy=False)

    def feed(self, row: _RunningAnswer, token: int) -> None:
        """Give a row the token that its next step reads."""
        row.waiting_TE = self.embedding_VE[token : token + 1]

    def _step(self, rows: Sequence[_RunningAnswer], wanted: Sequence[int] = ()) -> np.ndarray:
        """[S, V] logits after the waiting tokens of each row, whose keys and values are kept.

        Where `wanted` says so, after each of a row's last tokens, so many of them.
        """
        counts = np.array([len(row.waiting_TE) for row in rows])
        pasts = np.array([row.past for row in rows])
        ends = counts.cumsum()
        used = [row.blocks[: self._blocks_for(row.past + len(row.waiting_TE))] for row in rows]
        # New tokens of all rows lie end to end; a token's position is its index less its row's start, plus
        # the past.
        places = np.arange(ends[-1]) - np.repeat(ends - counts - pasts, counts)
        given = {
            "inputs_embeds": np.concatenate([row.waiting_TE for row in rows]).astype(np.float32, copy=False),
            "position_ids": places.astype(np.int64),
            "past_lens": pasts.astype(np.int32),
            "subsequence_begins": np.concatenate([[0], ends]).astype(np.int32),
            "block_indices": np.concatenate(used).astype(np.int32),
            "block_indices_begins": np.cumsum([0, *map(len, used)]).astype(np.int32),
            "max_context_len": np.array((pasts + counts).max(), dtype=np.int32),
            "sampled": np.concatenate(
                [
                    np.arange(end - count, end)
                    for end, count in zip(ends, wanted or [1] * len(rows), strict=True)
                ]
            ),
        }
        for name, value in given.items():
            self._request.set_tensor(name, ov.Tensor(value))
        self._request.infer()  # writes the new keys and values into the blocks that the row names
        for row in rows:
            row.past += len(row.waiting_TE)
        return self._request.get_output_tensor(0).data[:, 0]


def check_turn(mine: int, last: int) -> None:
    """Raise RuntimeError when another call has used the memory of this one since: its answers would be wrong."""
    if mine != last:
        raise RuntimeError(
            "this answer was overtaken by another call of the same engine: finish one before the next"
        )


class OpenVINOEngine:
    """Generation by a prepared reader on the CPU; one call at a time: an older iterator that goes on is an error."""

    name = "openvino"

    def __init__(self, prepared: Prepared, *, progress: bool = False) -> None:
        self.prepared = prepared
        self.reader = prepared.reader
        self.progress = progress
        self._core = ov.Core()

    @cached_property
    def _single(self) -> Any:
        """A request for one row, from the compiled graph, or from the graph where that cannot be imported."""
        blob = np.memmap(self.prepared.folder / COMPILED, dtype=np.uint8, mode="r")
        try:
            compiled = self._core.import_model(ov.Tensor(blob), "CPU", EXACT)
        except RuntimeError:  # made on a processor with other instructions
            compiled = self._core.compile_model(self._graph(), "CPU", EXACT)
        return compiled.create_infer_request()

    @property
    def _rows(self) -> StatefulRows:
        return StatefulRows(self._single, self.reader.embedding_VE)

    @cached_property
    def _paged(self) -> PagedDecoder:
        graph = with_paged_attention(self._graph())
        compiled = self._core.compile_model(graph, "CPU", self._many_properties())
        return PagedDecoder(compiled, self.reader.embedding_VE)

    def _many_properties(self) -> dict[str, str]:
        if not self.prepared.quantized:
            return EXACT
        return BFLOAT16 if "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else ROUNDED

    def _graph(self) -> ov.Model:
        return self._core.read_model(self.prepared.folder / GRAPH)

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """An answer for each prompt, in order."""
        made = self.answers(prompts, sampling)
        bar = progress_bar(made, total=len(prompts), desc="answering", unit="answer", shown=self.progress)
        with turns_of(self):
            return [text for _, text in sorted(bar)]

    def token_log(self) -> TokenLog:
        """An empty log of what tokens cost."""
        return TokenLog(self.reader.tokenizer.decode, self.reader.stop_ids[0])

    def answers(
        self, prompts: Sequence[Prompt], sampling: Sampling, log: TokenLog | None = None
    ) -> Iterator[tuple[int, str]]:
        """The number of each prompt with its answer, as answers end; what each token cost in the log."""
        return turns_of(self).pieces(self._answers(prompts, sampling, log))

    def _answers(
        self, prompts: Sequence[Prompt], sampling: Sampling, log: TokenLog | None
    ) -> Iterator[tuple[int, str]]:
        if not prompts:
            return
        ids: list[list[int]] = [[] for _ in prompts]
        fed = self.reader.embed_prompts(prompts)
        made = self.decode(fed, Sampler(sampling, log), self.reader.stop_ids, sampling.max_new_tokens)
        for number, token in made:
            if token is None:
                yield number, self.reader.tokenizer.decode(ids[number]).strip()
            else:
                ids[number].append(token)

    def decode(
        self, fed: Sequence[PromptInputs], choose: SampleTokens, stop_ids: Sequence[int], max_new_tokens: int
    ) -> Iterator[tuple[int, int | None]]:
        """The tokens of many answers as they come, as `PagedDecoder.decode` gives them."""
        return self._paged.decode(fed, choose, stop_ids, max_new_tokens)

    def grow(
        self, prompts: Sequence[Prompt], growth: Growth, score: Score
    ) -> Iterator[tuple[int, GrownAnswer]]:
        """The number of each prompt with its grown answer, as they come to their end."""
        return turns_of(self).pieces(self._grow(prompts, growth, score))

    def _grow(
        self, prompts: Sequence[Prompt], growth: Growth, score: Score
    ) -> Iterator[tuple[int, GrownAnswer]]:
        fed = self.reader.embed_prompts(prompts)
        decoder: RowDecoder = self._paged if len(prompts) > 1 else self._rows
        grower = Grower(decoder, self.reader.tokenizer.decode, self.reader.stop_ids, growth)
        yield from grower.grow(fed, [len(one.embeds_TE) for one in fed], score)

    def num_tokens(self, prompt: Prompt, text: str) -> tuple[int, int]:
        """Tokens of a prompt, with its chat format and a soft token counted as one, and of the text of an answer."""
        prompt_ids = self.reader.build_input_ids(segments_of(prompt))
        return len(prompt_ids), len(foreign_ids(self.reader.tokenizer, text))

    def token_nats(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[TokenNats]:
        """What each token of a text costs as the answer to the prompt of the same number."""
        made = [encoded_pieces(self.reader.tokenizer, [text]) for text in texts]
        with turns_of(self):
            fed = self.reader.embed_prompts(prompts)
            ids = [[number for _, one in pieces for number in one.ids] for pieces in made]
            if len(prompts) > _FEW:  # the graph of many rows takes seconds to compile
                found = self._paged.nats(fed, ids)
            else:
                found = stateful_nats(self._single, fed, ids, self.reader.embedding_VE)
        return [
            TokenNats(starts=tuple(_starts(pieces)), nats=nats)
            for pieces, nats in zip(made, found, strict=True)
        ]

    def stream(self, prompt: Prompt, sampling: Sampling, log: TokenLog | None = None) -> Iterator[str]:
        """One answer, piece by piece; what each token cost in the log."""
        return turns_of(self).pieces(self._stream(prompt, sampling, log))

    def _stream(self, prompt: Prompt, sampling: Sampling, log: TokenLog | None) -> Iterator[str]:
        (fed,) = self.reader.embed_prompts([prompt])
        pieces, made, said = DecodeStream(skip_special_tokens=True), list[int](), 0
        for token in self._tokens(fed, Sampler(sampling, log)):
            made.append(token)
            piece = pieces.step(self.reader.tokenizer, token)
            if piece:
                said += len(piece)
                yield piece
        if rest := self.reader.tokenizer.decode(made)[said:]:  # letters that were cut off in their middle
            yield rest

    def _tokens(self, fed: PromptInputs, choose: Sampler) -> Iterator[int]:
        request, embedding_VE, stops = self._single, self.reader.embedding_VE, self.reader.stop_ids
        return single_tokens(request, fed, choose, embedding_VE, stops)


def with_answers(
    given: Sequence[tuple[PromptInputs, Sequence[int]]], embedding_VE: np.ndarray
) -> list[PromptInputs]:
    """Prompts with all of their answers but the last token; equal prompts have all but their last token as prefix."""
    read = [prompt.embeds_TE.tobytes() for prompt, _ in given]
    counts, found = Counter(read), list[PromptInputs]()
    for (prompt, made), key in zip(given, read, strict=True):
        embeds_TE = np.concatenate([prompt.embeds_TE, embedding_VE[list(made[:-1])]])
        # Numbers below 0 are no token ids, so that no other prompt has this prefix.
        whole = (-1 - read.index(key),) * (len(prompt.embeds_TE) - 1)
        found.append(PromptInputs(embeds_TE=embeds_TE, prefix=whole if counts[key] > 1 else prompt.prefix))
    return found


def _starts(pieces: Sequence[tuple[str, Any]]) -> Iterator[int]:
    """Where each token begins in the text that was tokenised piece by piece."""
    before = 0
    for text, made in pieces:
        yield from (before + start for start, _ in made.offsets)
        before += len(text)


def single_tokens(
    request: Any, fed: PromptInputs, choose: Sampler, embedding_VE: np.ndarray, stop_ids: Sequence[int]
) -> Iterator[int]:
    """The tokens of one answer from a request of the plain graph, its stop token left out."""
    request.reset_state()
    embeds_TE, past = fed.embeds_TE, 0
    for _ in range(choose.sampling.max_new_tokens):
        (token,) = choose(single_logits(request, embeds_TE, past)[None], [0]).tolist()
        if token in stop_ids:
            return
        yield token
        past += len(embeds_TE)
        embeds_TE = embedding_VE[token : token + 1]
