"""The reference engine: transformers' models, fed with input embeddings.

An answer depends neither on its neighbours nor on how many are made at once; a test holds that it is
what transformers' own `generate` gives.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vecspeak.console import progress_bar
from vecspeak.engines.base import Sampling, turns_of
from vecspeak.engines.batching import BatchingConfig, GraphCache, PromptBatch, TokenEvent, decode
from vecspeak.model.prompt import PLACEHOLDER, Prompt, segments_of
from vecspeak.model.reader import Reader
from vecspeak.model.special_tokens import foreign_ids

_WINDOW = 8
"""Steps that a GPU makes before their tokens are looked at."""
_CUT = "\ufffd"
"""What stands for a letter of which only some bytes are there."""


class TransformersEngine:
    """Generation by a causal language model of transformers."""

    name = "transformers"

    def __init__(self, reader: Reader, *, batch_size: int = 64, progress: bool = False) -> None:
        self.reader = reader
        self.batch_size = batch_size
        self.progress = progress
        self._spare: GraphCache = {}

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """An answer for each prompt, in order."""
        made = self.answers(prompts, sampling)
        bar = progress_bar(made, total=len(prompts), desc="answering", unit="answer", shown=self.progress)
        with turns_of(self):
            return [text for _, text in sorted(bar)]

    def answers(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[tuple[int, str]]:
        """The number of each prompt with its answer, as answers end."""
        return turns_of(self).pieces(self._answers(prompts, sampling), shares_memory=False)

    def _answers(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[tuple[int, str]]:
        ids: list[list[int]] = [[] for _ in prompts]
        for number, token in self._tokens(prompts, sampling):
            if token is None:
                yield number, self._text(ids[number]).strip()
            else:
                ids[number].append(token)

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        """One answer, piece by piece; a letter of several tokens comes whole."""
        return turns_of(self).pieces(self._stream(prompt, sampling), shares_memory=False)

    def _stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        ids, text, said = list[int](), "", 0
        for _, token in self._tokens([prompt], sampling):
            if token is not None:
                ids.append(token)
                text = self._text(ids)
            if len(text) > said and (token is None or not text.endswith(_CUT)):
                yield text[said:]
                said = len(text)

    def num_tokens(self, prompt: Prompt, text: str) -> tuple[int, int]:
        """Tokens of a prompt, with its chat format and a soft token counted as one, and of the text of an answer."""
        prompt_ids = self.reader.build_input_ids(segments_of(prompt))
        return len(prompt_ids), len(foreign_ids(self.reader.tokenizer, text))

    def _text(self, ids: list[int]) -> str:
        return str(self.reader.tokenizer.decode(ids, skip_special_tokens=True))

    def _tokens(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[TokenEvent]:
        on_gpu = self.reader.device.type == "cuda"
        batching = BatchingConfig(rows=self.batch_size, fixed=on_gpu, window=_WINDOW if on_gpu else 1)
        model, stops = self.reader.language_model, self.reader.stop_ids
        return decode(model, self._work(prompts), sampling, stops, batching, self._spare)

    def _work(self, prompts: Sequence[Prompt]) -> PromptBatch:
        built = [self.reader.build_input_ids(segments_of(prompt)) for prompt in prompts]
        return PromptBatch(
            lengths=list(map(len, built)),
            prefixes=[tuple(ids[: ids.index(PLACEHOLDER)]) if PLACEHOLDER in ids else () for ids in built],
            embed=lambda numbers: self._embed([prompts[number] for number in numbers]),
        )

    @torch.inference_mode()
    def _embed(self, prompts: Sequence[Prompt]) -> list[Tensor]:
        """[T, E] input embeddings of each prompt."""
        embeds_BTE, mask_BT = self.reader.embed_prompts(prompts)
        lengths = mask_BT.sum(1).tolist()
        return [row_TE[-length:] for row_TE, length in zip(embeds_BTE, lengths, strict=True)]
