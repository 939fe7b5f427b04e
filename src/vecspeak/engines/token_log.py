"""Answers as they are drawn, token by token: what each token cost, what the text is so far, and which shall end.

So an answer need not be read again to weigh its clauses, those of a batch can be shown while they are made, and one
that nobody waits for any more ends.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from vecspeak.engines.base import Engine, Sampling, TokenNats
from vecspeak.model.prompt import Prompt

OnPiece = Callable[[int, str], bool]
"""Gets the number of a prompt and the next piece of its answer; False ends that answer."""
_CUT = "\ufffd"
"""What stands for a letter of which only some bytes are there."""


class TokenLog:
    """The tokens of answers by the numbers of their prompts, each with its nats before any penalty."""

    def __init__(self, decode: Callable[[list[int]], str], stop_id: int) -> None:
        """`decode` makes a text of token ids; `stop_id` ends an answer."""
        self.on_piece: OnPiece | None = None
        self._decode, self._stop_id = decode, stop_id
        self._drawn: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self._said: dict[int, int] = defaultdict(int)
        self._ended: set[int] = set()

    def add(self, numbers: Sequence[int], tokens_S: np.ndarray, nats_S: np.ndarray) -> np.ndarray:
        """Note the next token of each of these answers; [S] the tokens, the stop token for those that shall end."""
        for number, token, nats in zip(numbers, tokens_S.tolist(), nats_S.tolist(), strict=True):
            self._drawn[number].append((token, nats))
            self.show(number)
        return np.where([number in self._ended for number in numbers], self._stop_id, tokens_S)

    def count(self, number: int) -> int:
        """Tokens that were drawn for an answer, the stop token among them."""
        return len(self._drawn[number])

    def fills(self, number: int, room: int) -> bool:
        """Whether an answer was ended by its room: so many tokens were drawn, and the last did not stop it."""
        return self.count(number) >= room and self._drawn[number][-1][0] != self._stop_id

    def show(self, number: int, *, is_whole: bool = False) -> None:
        """Hand on what was not shown of an answer; half a letter only where the answer is whole."""
        if self.on_piece is None or number in self._ended:
            return
        text = self._decode([token for token, _ in self._drawn[number]])
        piece = text[self._said[number] :]
        if piece and (is_whole or not piece.endswith(_CUT)):
            self._said[number] = len(text)
            if not self.on_piece(number, piece):
                self._ended.add(number)

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
    engine: Engine, prompts: Sequence[Prompt], sampling: Sampling, on_piece: OnPiece | None = None
) -> Iterator[tuple[int, str, TokenLog | None]]:
    """Yield the answers of an engine as they end, each with the log of all; where it has none, there are no pieces."""
    if not isinstance(engine, LoggingEngine):
        yield from ((number, text, None) for number, text in engine.answers(prompts, sampling))
        return
    log = engine.token_log()
    log.on_piece = on_piece
    for number, text in engine.answers(prompts, sampling, log):
        log.show(number, is_whole=True)
        yield number, text, log


def logged_stream(
    engine: Engine, prompt: Prompt, sampling: Sampling
) -> tuple[Iterator[str], TokenLog | None]:
    """The pieces of one answer, and the log that they fill; None where the engine keeps none."""
    if isinstance(engine, LoggingEngine):
        log = engine.token_log()
        return engine.stream(prompt, sampling, log), log
    return engine.stream(prompt, sampling), None
