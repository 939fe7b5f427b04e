"""The engine for CPUs: OpenVINO, int8, without torch.

One answer that is read as it comes runs on the plain graph, which opens from its compiled form; many answers run
together with paged attention, in bfloat16 where the processor multiplies it, so that the two may part where two tokens
are nearly as likely. Knows a prepared reader. The reference engine is `transformers.py`; what int8 changes is measured
in docs/performance.md.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import openvino as ov
from tokenizers.decoders import DecodeStream
from tqdm import tqdm

from vecspeak.engines.base import Sampling
from vecspeak.engines.choosing import Chooser
from vecspeak.engines.graph import with_paged_attention
from vecspeak.engines.light import Fed
from vecspeak.engines.paged import Choose, PagedDecoder, check_turn
from vecspeak.engines.prepared import BFLOAT16, COMPILED, EXACT, GRAPH, ROUNDED, Prepared
from vecspeak.prompts import Prompt


class OpenVINOEngine:
    """Generation by a prepared reader on the CPU; one call at a time: an older iterator that goes on is an error."""

    name = "openvino"

    def __init__(self, prepared: Prepared, *, progress: bool = False) -> None:
        self.prepared = prepared
        self.reader = prepared.reader
        self.progress = progress
        self._core = ov.Core()
        self._turn = 0

    @cached_property
    def _single(self) -> Any:
        """A request for one row, from the compiled graph, or from the graph where that cannot be imported."""
        blob = np.memmap(self.prepared.folder / COMPILED, dtype=np.uint8, mode="r")
        try:
            compiled = self._core.import_model(ov.Tensor(blob), "CPU", EXACT)
        except RuntimeError:  # made on a processor with other instructions
            compiled = self._core.compile_model(self._graph(), "CPU", EXACT)
        return compiled.create_infer_request()

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
        bar = tqdm(made, total=len(prompts), desc="answering", unit="answer", disable=not self.progress)
        return [text for _, text in sorted(bar)]

    def answers(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[tuple[int, str]]:
        """The number of each prompt with its answer, as answers end."""
        if not prompts:
            return
        ids: list[list[int]] = [[] for _ in prompts]
        fed = self.reader.feed(prompts)
        made = self.decode(fed, Chooser(sampling), self.reader.stop_ids, sampling.max_new_tokens)
        for number, token in made:
            if token is None:
                yield number, self.reader.tokenizer.decode(ids[number]).strip()
            else:
                ids[number].append(token)

    def decode(
        self, fed: Sequence[Fed], choose: Choose, stop_ids: Sequence[int], max_new_tokens: int
    ) -> Iterator[tuple[int, int | None]]:
        """The tokens of many answers as they come, as `PagedDecoder.decode` gives them."""
        return self._paged.decode(fed, choose, stop_ids, max_new_tokens)

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        """One answer, piece by piece."""
        (fed,) = self.reader.feed([prompt])
        pieces, made, said = DecodeStream(skip_special_tokens=True), list[int](), 0
        for token in self._tokens(fed, sampling):
            made.append(token)
            piece = pieces.step(self.reader.tokenizer, token)
            if piece:
                said += len(piece)
                yield piece
        if rest := self.reader.tokenizer.decode(made)[said:]:  # letters that were cut off in their middle
            yield rest

    def _tokens(self, fed: Fed, sampling: Sampling) -> Iterator[int]:
        self._turn += 1
        turn = self._turn
        for token in single_tokens(
            self._single, fed, sampling, self.reader.embedding_VE, self.reader.stop_ids
        ):
            yield token
            check_turn(turn, self._turn)


def single_tokens(
    request: Any, fed: Fed, sampling: Sampling, embedding_VE: np.ndarray, stop_ids: Sequence[int]
) -> Iterator[int]:
    """The tokens of one answer from a request of the plain graph, its stop token left out."""
    request.reset_state()
    choose, embeds_TE, past = Chooser(sampling), fed.embeds_TE, 0
    for _ in range(sampling.max_new_tokens):
        (token,) = choose(single_logits(request, embeds_TE, past)[None], [0]).tolist()
        if token in stop_ids:
            return
        yield token
        past += len(embeds_TE)
        embeds_TE = embedding_VE[token : token + 1]


def single_logits(request: Any, embeds_TE: np.ndarray, past: int) -> np.ndarray:
    """[V] logits after the new tokens [T, E] of the one row, of which `past` were read before."""
    total = past + len(embeds_TE)
    given = {
        "inputs_embeds": embeds_TE[None].astype(np.float32),
        "attention_mask": np.ones((1, total), dtype=np.int64),
        "position_ids": np.arange(past, total)[None],
        "beam_idx": np.zeros(1, dtype=np.int32),
        "sampled": np.zeros(1, dtype=np.int64),
    }
    for name, value in given.items():
        request.set_tensor(name, ov.Tensor(value))
    request.infer()
    return np.array(request.get_output_tensor(0).data[0, -1])  # a copy: the next step writes there
