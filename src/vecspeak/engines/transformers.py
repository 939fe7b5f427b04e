"""The reference engine: transformers' models, fed with input embeddings.

Knows a Reader. Prompts of a batch are padded on the left, so an answer does not depend on its neighbours. One answer
that is read as it comes is made by transformers' own `generate`; a test holds that both give the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Thread
from typing import Any

import torch
from tqdm import tqdm

from vecspeak.engines.base import TOP_K, TOP_P, Sampling
from vecspeak.engines.decoding import decode
from vecspeak.model import Reader
from vecspeak.prompts import Prompt


class TransformersEngine:
    """Generation by a causal language model of transformers."""

    name = "transformers"

    def __init__(self, reader: Reader, *, batch_size: int = 64, progress: bool = False) -> None:
        self.reader = reader
        self.batch_size = batch_size
        self.progress = progress

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """An answer for each prompt, in order."""
        answers: list[str] = []
        starts = range(0, len(prompts), self.batch_size)
        for start in tqdm(starts, desc="answering", unit="batch", disable=not self.progress):
            drawn = replace(sampling, seed=sampling.seed + start)  # else equal prompts repeat in each batch
            with torch.inference_mode():
                embeds_BTE, mask_BT = self.reader.embed_prompts(prompts[start : start + self.batch_size])
            ids = decode(self.reader.language_model, embeds_BTE, mask_BT, drawn, self.reader.stop_ids)
            answers += self.reader.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [answer.strip() for answer in answers]

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        """One answer, piece by piece. An error in the model's thread is raised here."""
        from transformers import TextIteratorStreamer

        torch.manual_seed(sampling.seed)
        streamer = TextIteratorStreamer(self.reader.tokenizer, skip_special_tokens=True)
        errors: list[BaseException] = []

        def work() -> None:
            try:
                self._generate([prompt], sampling, streamer=streamer)
            except BaseException as error:
                errors.append(error)
                streamer.end()

        thread = Thread(target=work, daemon=True)
        thread.start()
        yield from (piece for piece in streamer if piece)
        thread.join()
        if errors:
            raise errors[0]

    @torch.inference_mode()
    def _generate(self, prompts: Sequence[Prompt], sampling: Sampling, **more: Any) -> Any:
        embeds_BTE, mask_BT = self.reader.embed_prompts(prompts)
        drawn = sampling.temperature > 0
        return self.reader.language_model.generate(
            inputs_embeds=embeds_BTE,
            attention_mask=mask_BT,
            max_new_tokens=sampling.max_new_tokens,
            do_sample=drawn,
            temperature=sampling.temperature if drawn else None,
            top_k=TOP_K if drawn else None,
            top_p=TOP_P if drawn else None,
            eos_token_id=self.reader.stop_ids,
            pad_token_id=self.reader.stop_ids[0],
            **more,
        )
