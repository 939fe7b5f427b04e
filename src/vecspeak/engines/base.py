"""What every engine offers, and the table of engines.

Knows prompts and bundles. Knows no engine's library until one is opened.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from vecspeak.bundles import Bundle
from vecspeak.errors import UserError
from vecspeak.prompts import Prompt

BEST_OF_TEMPERATURE = 0.7
"""At which several answers are drawn to choose from, where no other was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How an answer is drawn."""

    max_new_tokens: int = 96
    """Longest answer, in tokens of the language model."""
    temperature: float = 0.0
    """0 takes the likeliest token each time (greedy)."""
    seed: int = 0
    """Of the draw; without effect at temperature 0."""

    @property
    def varied(self) -> "Sampling":
        """The same at a temperature: for several answers to choose from, which greedily would all be equal."""
        return replace(self, temperature=self.temperature or BEST_OF_TEMPERATURE)

    def __post_init__(self) -> None:
        if not 1 <= self.max_new_tokens <= 2048:
            raise UserError(
                f"an answer may have 1 to 2048 tokens, got {self.max_new_tokens}", "use --max-tokens 96"
            )
        if not 0 <= self.temperature <= 5:
            raise UserError(
                f"the temperature may be 0 to 5, got {self.temperature}", "use --temperature 0 for greedy"
            )


class Engine(Protocol):
    """Answers prompts in which vectors stand."""

    name: str

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """An answer for each prompt, in order, white space trimmed."""

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        """One answer, piece by piece as it comes."""


def _transformers(bundle: Bundle) -> Engine:
    from vecspeak.bundles.weights import load_reader
    from vecspeak.engines.transformers import TransformersEngine

    return TransformersEngine(load_reader(bundle))


ENGINES: dict[str, Callable[[Bundle], Engine]] = {"transformers": _transformers}


def open_engine(bundle: Bundle, name: str = "transformers") -> Engine:
    """Load the reader of a bundle into an engine. Raises UserError for an unknown engine."""
    if name not in ENGINES:
        raise UserError(
            f"unknown engine {name!r}; known are {', '.join(ENGINES)}", "use --engine transformers"
        )
    return ENGINES[name](bundle)
