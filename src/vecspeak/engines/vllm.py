"""The engine for many callers: a stock vLLM that serves the exported model, on this computer or another one.

What is about vectors stays here: the adapter makes soft tokens of them, the whole prompt becomes input embeddings, and
these are sent. The server knows no vector, no space and no label; token ids come back and become text here.

A prompt travels in one of two forms. A completion takes `prompt_embeds`; some servers count what stood in the same row
before as tokens of such a prompt, and a repetition penalty then falls on tokens that the answer never had. A message
whose only part is the embeddings has token ids of its own, and no such past. Opening tries which form is true.
"""

import base64
import io
import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from vecspeak.console import progress_bar
from vecspeak.engines.base import TOP_K, TOP_P, Sampling
from vecspeak.engines.front import Front, Probe
from vecspeak.engines.prepared import LightReader
from vecspeak.engines.vllm_http import OpenCalls, VLLMRefusal, VLLMServer, as_vllm
from vecspeak.engines.vllm_model import FLAGS, PROMPT_ROLE
from vecspeak.errors import UserError
from vecspeak.model.prompt import Prompt

CONCURRENCY = 64
"""Prompts that are at the server at a time; it batches them itself."""
_TOGETHER = 16
"""Tokens of an answer that nobody watches which come at a time."""
_MOST_BANS = 32
"""Times that one answer is asked for again because it repeats itself; what repeats after that is cut off."""
_LONGER_BANS = 4
"""Tokens more than need be that a ban may be spelled with, where fewer do not come back from their letters."""
_FORCED, _STRONG_PENALTY = 8, 5.0
_SAME_NATS = 0.05
"""Share of the distance between the two answers of a probe that one answer may move from one time to the next."""


@dataclass(frozen=True, slots=True)
class Route:
    """One of the forms in which a prompt travels."""

    path: str
    is_chat: bool

    def body(self, embeds_TE: np.ndarray) -> dict[str, Any]:
        """What holds the prompt in a request."""
        data = encoded(embeds_TE)
        if not self.is_chat:
            return {"prompt_embeds": data}
        parts = [{"type": "prompt_embeds", "data": data}]
        return {"messages": [{"role": PROMPT_ROLE, "content": parts}]}

    def asking_nats(self, tokens: Sequence[int]) -> dict[str, Any]:
        """What asks for the likelihoods of these tokens as the next one."""
        of_chat = {"logprobs": True, "top_logprobs": len(tokens)}
        given = of_chat if self.is_chat else {"logprobs": len(tokens)}
        return {**given, "logprob_token_ids": list(tokens), "return_tokens_as_token_ids": True}

    def nats(self, choice: Any, tokens: Sequence[int]) -> np.ndarray:
        """Minus the log-likelihoods that were asked for, all finite.

        Raises LookupError, TypeError, ValueError or OverflowError where they are not there.
        """
        if self.is_chat:
            first = choice["logprobs"]["content"][0]["top_logprobs"]
            found = {one["token"]: one["logprob"] for one in first}
        else:
            found = choice["logprobs"]["top_logprobs"][0]
        said = [found[f"token_id:{token}"] for token in tokens]
        if not all(type(one) in (int, float) and math.isfinite(one) for one in said):
            raise ValueError("a likelihood is no finite number")
        return -np.array(said, dtype=np.float64)


COMPLETION, CHAT = Route("/v1/completions", False), Route("/v1/chat/completions", True)


def encoded(embeds_TE: np.ndarray) -> str:
    """Input embeddings as a server of vLLM takes them: a tensor as torch saves one, in base64. It is only written."""
    import torch

    file = io.BytesIO()
    torch.save(torch.from_numpy(np.array(embeds_TE, dtype=np.float32)), file)
    return base64.b64encode(file.getvalue()).decode("ascii")


@dataclass(slots=True)
class Repeats:
    """Notes the tokens of an answer, and tells of the first that would end a run that is there already."""

    size: int
    """Tokens of a run; 0 allows all."""
    ids: list[int] = field(default_factory=list)
    _seen: set[tuple[int, ...]] = field(default_factory=set)

    def add(self, token: int) -> bool:
        """Note the next token; False, and not noted, where it ends a run that was there."""
        if self.size and len(self.ids) >= self.size - 1:
            run = (*self.ids[len(self.ids) - self.size + 1 :], token)
            if run in self._seen:
                return False
            self._seen.add(run)
        self.ids.append(token)
        return True


def spelled_ban(tokenizer: Tokenizer, ids: Sequence[int], token: int, size: int) -> str:
    """What a server is told so that `token` does not follow `ids` again; empty where no text says it.

    A server bans the last token of a text wherever an answer has the others. The run of `size` tokens alone would ban
    the first time that it came too; with the token before it it would not, for no run of that size comes twice in
    `ids`. The text has to become these tokens again, in one of the two ways in which a server reads it.
    """
    for length in range(size, size + _LONGER_BANS):
        if length > len(ids):
            return ""
        wanted = [*ids[-length:], token]
        text = tokenizer.decode(wanted, skip_special_tokens=False)
        plain, spaced = (
            tokenizer.encode(one, add_special_tokens=False).ids
            for one in (text.lstrip(), f" {text.lstrip()}")
        )
        if wanted == plain or (wanted == spaced and len(plain) == len(spaced) and plain[0] != spaced[0]):
            return text
    return ""


class VLLMEngine:
    """Generation by a server of vLLM; calls may run side by side. Made by `open_vllm`, which looks at the server."""

    name = "vllm"

    def __init__(
        self, reader: LightReader, server: VLLMServer, model: str, route: Route, *, progress: bool = False
    ) -> None:
        self.reader = reader
        self.server = server
        self.model = model
        self.route = route
        self.progress = progress

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """An answer for each prompt, in order."""
        made = self.answers(prompts, sampling)
        bar = progress_bar(made, total=len(prompts), desc="answering", unit="answer", shown=self.progress)
        return [text for _, text in sorted(bar)]

    def answers(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[tuple[int, str]]:
        """The number of each prompt with its answer, as answers end; many are at the server at a time."""
        if not prompts:
            return
        calls = OpenCalls()
        pool = ThreadPoolExecutor(min(CONCURRENCY, len(prompts)), thread_name_prefix="vecspeak-vllm")

        def answer(number: int) -> str:
            tokens = list(self._tokens(prompts[number], sampling, number, _TOGETHER, calls))
            with as_vllm(self.server.address):
                return str(self.reader.tokenizer.decode(tokens)).strip()

        try:
            asked = {pool.submit(answer, number): number for number in range(len(prompts))}
            for done in as_completed(asked):
                yield asked[done], done.result()
        finally:
            # Whoever asked has an error or enough: the server stops what nobody waits for.
            pool.shutdown(wait=False, cancel_futures=True)
            calls.end()

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        """One answer, piece by piece; a letter of several tokens comes whole."""
        pieces, made, said = DecodeStream(skip_special_tokens=True), list[int](), 0
        for token in self._tokens(prompt, sampling, 0, 1, OpenCalls()):
            made.append(token)
            with as_vllm(self.server.address):
                piece = pieces.step(self.reader.tokenizer, token)
            if piece:
                said += len(piece)
                yield piece
        if rest := self.reader.tokenizer.decode(made)[said:]:  # letters that were cut off in their middle
            yield rest

    def _tokens(
        self, prompt: Prompt, sampling: Sampling, number: int, together: int, calls: OpenCalls
    ) -> Iterator[int]:
        """The tokens of one answer as they come, `together` at a time; asked for again where it repeats itself."""
        body, bans, shown = self._body(prompt, sampling, number), list[str](), list[int]()
        body |= {"stream": True, "stream_interval": together}
        while True:
            repeats, banned = Repeats(sampling.no_repeat_ngram_size), None
            for token in self._streamed(body | ({"bad_words": bans} if bans else {}), calls):
                if not repeats.add(token):
                    banned = token
                    break
                if len(repeats.ids) > len(shown):
                    shown.append(token)
                    yield token
                elif token != shown[len(repeats.ids) - 1]:
                    return  # near ties fell otherwise this time: what was shown cannot go on
            if banned is None or len(bans) == _MOST_BANS:
                return
            text = spelled_ban(self.reader.tokenizer, repeats.ids, banned, repeats.size)
            if not text or text in bans:
                return
            bans.append(text)

    def _streamed(self, body: Mapping[str, Any], calls: OpenCalls) -> Iterator[int]:
        """The tokens of a streamed reply, no more than were asked for; the server stops where nobody asks for the next.

        Raises UserError for what are no tokens of the reader's, and for a reply that ends otherwise than by a stop
        before it had one.
        """
        left, reason = int(body["max_tokens"]), None
        events = self.server.events(self.route.path, body, calls)
        with as_vllm(self.server.address), closing(events):
            for event in events:
                for choice in event["choices"]:
                    ids, reason = self._ids_of(choice), choice.get("finish_reason") or reason
                    yield from self._without_stop(ids[:left])
                    left -= len(ids)
                    if left < 0:  # it takes no notice of `max_tokens`
                        return
            if left == body["max_tokens"] and reason != "stop":
                raise ValueError("a reply without tokens")

    def first_token(self, body: Mapping[str, Any]) -> int | None:
        """The first token of an answer that comes whole; None where it is empty."""
        reply = self.server.post(self.route.path, body)
        with as_vllm(self.server.address):
            return next(iter(self._without_stop(self._ids_of(reply["choices"][0]))), None)

    def _ids_of(self, choice: Any) -> list[int]:
        """The token ids of a part of a reply. Raises ValueError for others than those of the reader."""
        ids = choice.get("token_ids")
        if ids is None:
            return []
        size = len(self.reader.embedding_VE)
        if type(ids) is not list or not all(type(token) is int and 0 <= token < size for token in ids):
            raise ValueError(f"token ids are whole numbers below {size}")
        return ids

    def _without_stop(self, ids: Sequence[int]) -> list[int]:
        return [token for token in ids if token not in self.reader.stop_ids]

    def _body(self, prompt: Prompt, sampling: Sampling, number: int) -> dict[str, Any]:
        """A request for one answer; draws are seeded by the seed and the prompt's number."""
        (fed,) = self.reader.embed_prompts([prompt])
        return {
            **self.request(fed.embeds_TE),
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_k": TOP_K if sampling.temperature else -1,
            "top_p": TOP_P if sampling.temperature else 1.0,
            "seed": int(np.random.SeedSequence([sampling.seed, number]).generate_state(1)[0]),
            "repetition_penalty": sampling.repetition_penalty,
        }

    def request(self, embeds_TE: np.ndarray) -> dict[str, Any]:
        """What all requests for an answer to a prompt have."""
        return {
            **self.route.body(embeds_TE),
            "model": self.model,
            "stop_token_ids": list(self.reader.stop_ids),
            "return_token_ids": True,
        }


# --- opening ---


def open_vllm(front: Front, server: VLLMServer, name: str) -> VLLMEngine:
    """An engine on a server that was looked at: it serves the reader's model, takes embeddings, and mixes up nothing.

    `name` is what it must call the model. Raises UserError, with what to type, where something of that does not hold.
    """
    _check_model(server, name)
    engine = VLLMEngine(front.reader, server, name, COMPLETION)
    fed = [one.embeds_TE for one in front.reader.embed_prompts(list(front.probe.prompts))]
    _check_answers(engine, front.probe, fed)
    for engine.route in (COMPLETION, CHAT):
        with suppress(VLLMRefusal):  # a server without a form
            if not _counts_others(engine, front.probe, fed[0]):
                return engine
    raise UserError(
        f"{server.address.shown} counts tokens of other answers as repeated",
        "serve the folder that `VecSpeak.export_vllm(...)` writes now, with its chat template, on a newer vLLM",
    )


def _check_model(server: VLLMServer, name: str) -> None:
    with as_vllm(server.address):
        served = [str(one["id"]) for one in server.get("/v1/models")["data"]]
    if name not in served:
        raise UserError(
            f"{server.address.shown} serves {', '.join(served)[:120] or 'nothing'}, and not this bundle's reader, "
            f"which is called {name} there",
            "serve what `VecSpeak.export_vllm(...)` writes, with the command that it gives",
        )


def _check_answers(engine: VLLMEngine, probe: Probe, fed: Sequence[np.ndarray]) -> None:
    """Raise UserError where the answers to two prompts are not the reader's, each cold and after the other one."""
    own = probe.nats_PT
    apart = float(np.abs(own[0] - own[1]).max())
    where = engine.server.address.shown
    try:
        cold = [_nats(engine, probe, one, {"cache_salt": secrets.token_urlsafe(16)}) for one in fed]
    except VLLMRefusal as error:
        raise _without_embeds(where, error) from error
    if any(np.abs(found - own[row]).max() > apart / 2 for row, found in enumerate(cold)):
        raise UserError(
            f"{where} answers as another model than this bundle's reader",
            "serve what `VecSpeak.export_vllm(...)` writes, with the command that it gives",
        )
    for row in (0, 1, 0, 1):
        warm = _nats(engine, probe, fed[row], {})
        if np.abs(warm - cold[row]).max() > _SAME_NATS * apart:
            raise UserError(
                f"{where} answers one prompt with what it remembers of another", f"start it with {FLAGS[1]}"
            )


def _without_embeds(where: str, error: VLLMRefusal) -> UserError:
    if FLAGS[0] not in error.said:
        return error
    return UserError(f"{where} was started without embeddings as prompts", f"start it with {' '.join(FLAGS)}")


def _nats(engine: VLLMEngine, probe: Probe, embeds_TE: np.ndarray, more: Mapping[str, Any]) -> np.ndarray:
    """[2] minus the log-likelihoods of the probe's tokens after a prompt."""
    route, server = engine.route, engine.server
    asking = {"max_tokens": 1, "temperature": 0.0, **route.asking_nats(probe.tokens)}
    reply = server.post(route.path, {**engine.request(embeds_TE), **asking, **more})
    with as_vllm(server.address):
        return route.nats(reply["choices"][0], probe.tokens)


def _counts_others(engine: VLLMEngine, probe: Probe, embeds_TE: np.ndarray) -> bool:
    """Whether a penalty on repeated tokens falls on those of another answer: on none here, for there is no answer yet.

    The other answer is the likeliest first token again and again, where the longer prompt has its last tokens.
    """
    server, path = engine.server, engine.route.path
    plain = {"temperature": 0.0, "top_k": -1, "top_p": 1.0}
    forced = {"allowed_token_ids": [probe.tokens[0]], "max_tokens": _FORCED, "ignore_eos": True, **plain}
    penalized = {"max_tokens": 1, "repetition_penalty": _STRONG_PENALTY, **plain}
    for _ in range(2):
        server.post(path, {**engine.request(embeds_TE[:-_FORCED]), **forced})
        if engine.first_token({**engine.request(embeds_TE), **penalized}) != probe.tokens[0]:
            return True
    return False
