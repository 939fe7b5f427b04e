"""What each token of an answer cost as it was drawn, so that the answer need not be read again to weigh its clauses."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from vecspeak.engines.base import Engine, Sampling, TokenNats
from vecspeak.model.prompt import Prompt


class TokenLog:
    """The tokens of answers by the numbers of their prompts, each with its nats before any penalty."""

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        """`decode` makes a text of token ids."""
        self._decode = decode
        self._drawn: dict[int, list[tuple[int, float]]] = defaultdict(list)

    def add(self, numbers: Sequence[int], tokens_S: np.ndarray, nats_S: np.ndarray) -> None:
        """Note the next token of each of these answers."""
        for number, token, nats in zip(numbers, tokens_S.tolist(), nats_S.tolist(), strict=True):
            self._drawn[number].append((token, nats))

    def nats(self, number: int, text: str) -> TokenNats | None:
        """What the tokens of a text cost with which the answer to that prompt begins; None where it does not."""
        drawn = self._drawn.get(number, [])
        ids = [token for token, _ in drawn]
        whole = self._decode(ids)
        cut = len(whole) - len(whole.lstrip())
        if not text or not whole[cut:].startswith(text):
            return None
        # A token begins where the text of those before it ends; half a letter is no letter yet.
        starts = [max(len(self._decode(ids[:count])) - cut, 0) for count in range(len(ids))]
        count = sum(start < len(text) for start in starts)
        return TokenNats(starts=tuple(starts[:count]), nats=np.array([nats for _, nats in drawn[:count]]))


@runtime_checkable
class LoggingEngine(Protocol):
    """An engine that notes what tokens cost while it draws them; not every one does."""

    def token_log(self) -> TokenLog:
        """An empty log for one call of `answers` or `stream`."""

    def answers(
        self, prompts: Sequence[Prompt], sampling: Sampling, log: TokenLog | None = None
    ) -> Iterator[tuple[int, str]]:
        """As an `Engine` does, with what each token cost in the log."""

    def stream(self, prompt: Prompt, sampling: Sampling, log: TokenLog | None = None) -> Iterator[str]:
        """As an `Engine` does, with what each token cost in the log, under number 0."""


def logged_answers(
    engine: Engine, prompts: Sequence[Prompt], sampling: Sampling
) -> Iterator[tuple[int, str, TokenLog | None]]:
    """Yield the answers of an engine as they end, each with the log of all; None where it keeps none."""
    if not isinstance(engine, LoggingEngine):
        yield from ((number, text, None) for number, text in engine.answers(prompts, sampling))
        return
    log = engine.token_log()
    for number, text in engine.answers(prompts, sampling, log):
        yield number, text, log


def logged_stream(
    engine: Engine, prompt: Prompt, sampling: Sampling
) -> tuple[Iterator[str], TokenLog | None]:
    """The pieces of one answer, and the log that they fill; None where the engine keeps none."""
    if isinstance(engine, LoggingEngine):
        log = engine.token_log()
        return engine.stream(prompt, sampling, log), log
    return engine.stream(prompt, sampling), None
