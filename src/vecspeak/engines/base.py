"""The contract of an engine: what generates answers from prompts in which vectors stand, and how answers are drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock, RLock
from typing import Any, Protocol, TypeVar, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np

from vecspeak.errors import UserError, check_number, check_whole
from vecspeak.model.prompt import Prompt

BEST_OF_TEMPERATURE = 0.7
"""At which several answers are drawn to choose from, where no other was asked for."""
TOP_K, TOP_P = 50, 0.95
"""A sampled token is among the 50 likeliest, and among those that make up 95% of them."""
REPETITION_PENALTY, NO_REPEAT_NGRAM_SIZE = 1.15, 3
"""Of a penalized sampling: of 60 greedy answers about movies 60% went in circles without it, and none with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How an answer is drawn.

    >>> Sampling(max_new_tokens=48).temperature    # greedy: the likeliest token each time
    0.0
    >>> Sampling(max_new_tokens=48).varied
    Sampling(max_new_tokens=48, temperature=0.7, seed=0, repetition_penalty=1.0, no_repeat_ngram_size=0)
    """

    max_new_tokens: int = 64
    """Longest answer, in tokens of the language model."""
    temperature: float = 0.0
    """0 takes the likeliest token each time (greedy)."""
    seed: int = 0
    """Of the draw; without effect at temperature 0."""
    repetition_penalty: float = 1.0
    """Divides the positive logits, and multiplies the negative ones, of tokens that the answer has already (Keskar et
    al. 2019, as in transformers); 1 changes nothing. Tokens of the prompt do not count."""
    no_repeat_ngram_size: int = 0
    """No run of so many tokens comes twice in an answer; 0 allows all."""

    @property
    def varied(self) -> "Sampling":
        """The same at a temperature: for several answers to choose from, which greedily would all be equal."""
        return replace(self, temperature=self.temperature or BEST_OF_TEMPERATURE)

    @property
    def penalized(self) -> "Sampling":
        """The same with a repetition penalty of 1.15 and no trigram twice: greedy answers do not loop then."""
        return replace(self, repetition_penalty=REPETITION_PENALTY, no_repeat_ngram_size=NO_REPEAT_NGRAM_SIZE)

    @property
    def has_penalties(self) -> bool:
        """Whether the tokens that an answer has already change what comes next."""
        return self.repetition_penalty != 1 or self.no_repeat_ngram_size > 0

    def __post_init__(self) -> None:
        check_whole("max_new_tokens", self.max_new_tokens, 1, 2048)
        check_number("temperature", self.temperature, 0, 5)
        check_whole("seed", self.seed, 0)
        check_number("repetition_penalty", self.repetition_penalty, 1, 10)
        check_whole("no_repeat_ngram_size", self.no_repeat_ngram_size, 0, 64)


class Engine(Protocol):
    """Answers prompts in which vectors stand."""

    name: str

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """An answer for each prompt, in order, white space trimmed."""

    def answers(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[tuple[int, str]]:
        """The number of each prompt with its answer, as answers end: in any order, white space trimmed."""

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        """One answer, piece by piece as it comes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenNats:
    """What the tokens of a text cost after a prompt."""

    starts: tuple[int, ...]
    """Place in the text where each token begins."""
    nats: np.ndarray
    """[T] minus the log-likelihood of each."""


@runtime_checkable
class TokenScorer(Protocol):
    """An engine that says how likely a given answer is; not every one does."""

    def token_nats(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[TokenNats]:
        """What each token of a text costs as the answer to the prompt of the same number."""


@runtime_checkable
class TokenCounter(Protocol):
    """An engine that says how many tokens a question and an answer have; not every one does."""

    def num_tokens(self, prompt: Prompt, text: str) -> tuple[int, int]:
        """Tokens of a prompt, with its chat format and a soft token counted as one, and of the text of an answer."""


Piece = TypeVar("Piece")


class Turns:
    """Lets the calls of one engine run one after the other, from whatever threads they come.

    >>> with turns_of(engine):    # others wait; the same thread may call the engine
    ...     text = "".join(engine.stream(prompt, Sampling()))
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._last = 0

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def pieces(self, made: Iterator[Piece], *, shares_memory: bool = True) -> Iterator[Piece]:
        """What a call yields; other calls wait while a piece is made, and not while nobody asks for one.

        Raises UserError where a newer call has begun since, which has the memory of this one if they share it.
        """
        mine = 0
        while True:
            with self:
                if not mine:
                    self._last += 1
                    mine = self._last
                elif shares_memory and mine != self._last:
                    raise UserError(
                        "this answer was overtaken by another call of the same engine",
                        "read one stream to its end before the next call",
                    )
                try:
                    piece = next(made)
                except StopIteration:
                    return
            yield piece


_TURNS: "WeakKeyDictionary[Any, Turns]" = WeakKeyDictionary()
_TURNS_LOCK = Lock()


def turns_of(engine: Engine) -> Turns:
    """The turns of an engine, one for each object; new ones for an object that cannot be hashed."""
    with _TURNS_LOCK:
        try:
            return _TURNS.setdefault(engine, Turns())
        except TypeError:
            return Turns()
