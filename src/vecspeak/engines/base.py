"""What every engine offers, and the table of engines.

Knows prompts and bundles. Knows no engine's library until one is opened.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from vecspeak.bundles import Bundle
from vecspeak.errors import UserError
from vecspeak.machine import has_gpu
from vecspeak.prompts import Prompt

BEST_OF_TEMPERATURE = 0.7
"""At which several answers are drawn to choose from, where no other was asked for."""
TOP_K, TOP_P = 50, 0.95
"""A sampled token is among the 50 likeliest, and among those that make up 95% of them."""


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
        if self.seed < 0:
            raise UserError(f"the seed may be 0 or more, got {self.seed}", "use --seed 0")
        if not 0 <= self.temperature <= 5:
            raise UserError(
                f"the temperature may be 0 to 5, got {self.temperature}", "use --temperature 0 for greedy"
            )


class Engine(Protocol):
    """Answers prompts in which vectors stand."""

    name: str

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[str]:
        """An answer for each prompt, in order, white space trimmed."""

    def answers(self, prompts: Sequence[Prompt], sampling: Sampling) -> Iterator[tuple[int, str]]:
        """The number of each prompt with its answer, as answers end: in any order, white space trimmed."""

    def stream(self, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
        """One answer, piece by piece as it comes."""


def _transformers(bundle: Bundle) -> Engine:
    from vecspeak.bundles.weights import best_device, load_reader
    from vecspeak.engines.transformers import TransformersEngine

    return TransformersEngine(load_reader(bundle, device=best_device()))


def _openvino(bundle: Bundle) -> Engine:
    from vecspeak.engines.openvino import OpenVINOEngine
    from vecspeak.engines.prepared import open_prepared

    return OpenVINOEngine(open_prepared(bundle))


ENGINES: dict[str, Callable[[Bundle], Engine]] = {"openvino": _openvino, "transformers": _transformers}
AUTO = "auto"
"""The fastest engine that can run a bundle's reader on this machine."""


def choose_engine(bundle: Bundle, name: str = AUTO) -> str:
    """The engine of that name, or for `auto` the one that is fastest here. Raises UserError for an unknown one."""
    if name in ENGINES:
        return name
    if name != AUTO:
        raise UserError(
            f"unknown engine {name!r}; known are {', '.join((AUTO, *ENGINES))}", "use --engine auto"
        )
    from vecspeak.engines.prepared import why_not

    return "transformers" if has_gpu() or why_not(bundle) else "openvino"


def open_engine(bundle: Bundle, name: str = AUTO) -> Engine:
    """Load the reader of a bundle into an engine. Raises UserError for an unknown engine."""
    return ENGINES[choose_engine(bundle, name)](bundle)


def opening_note(bundle: Bundle, name: str = AUTO) -> str:
    """What to tell a person before an engine is opened that takes long to open; empty when it does not."""
    if choose_engine(bundle, name) != "openvino":
        return ""
    from vecspeak.engines.prepared import is_prepared

    return "" if is_prepared(bundle) else "preparing the reader for this machine (once, up to half a minute)"
