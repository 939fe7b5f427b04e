"""What every teacher offers: a text for each example. Estimates of tokens, and the one config of all teachers."""

import dataclasses
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from vecspeak.errors import UserError
from vecspeak.tasks.examples import TaskExample
from vecspeak.tasks.task_set import Task

FACTS = "facts"
"""Name of the teacher that puts facts into sentences; its texts are not held to be original."""
_TOKENS_A_WORD = 1.5
_SPARE = 16
"""Tokens for a lead-in, which the filters remove."""
_TOKENS_AN_ENTRY = 4
"""Number, full stop and line end of an entry of a list."""
_CHARACTERS_A_TOKEN = 40
"""More than a token of any answer has."""
_BYTES_A_TOKEN = 3
"""Of a prompt: fewer than English has, so that a budget errs on the careful side."""
_TEMPLATE = 48
"""Tokens of a chat template."""


class BudgetError(Exception):
    """The teacher stopped by itself because its budget is spent; the text is one line for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What a teacher wrote for one example."""

    text: str
    tokens_in: int | None = None
    """None where nobody counted."""
    tokens_out: int | None = None
    refused: bool = False
    """Whether the teacher or its server said that it would not write this."""
    cut: bool = False
    """Whether it ran out of tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendLimits:
    """What a teacher may spend on a folder, in all runs together; 0 is no limit."""

    tokens: int = 0
    cost: float = 0.0
    """In the currency of the prices."""
    price_in: float = 0.0
    """Of a million tokens that are read."""
    price_out: float = 0.0
    """Of a million tokens that are written."""

    def __post_init__(self) -> None:
        if min(self.tokens, self.cost, self.price_in, self.price_out) < 0:
            raise UserError("a limit and a price may be 0 or more", "leave out what has no limit")
        if self.cost and not (self.price_in or self.price_out):
            raise UserError(
                "`max_cost` needs the prices of tokens", "add `price_in` and `price_out`, per million tokens"
            )

    def cost_of(self, tokens_in: int, tokens_out: int) -> float:
        """Compute a cost in the currency of the prices."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6

    def exceeded_by(self, tokens_in: int, tokens_out: int) -> str:
        """Name the limit that is exceeded, "cost" or "tokens"; empty where none is."""
        if self.cost and self.cost_of(tokens_in, tokens_out) > self.cost:
            return "cost"
        return "tokens" if self.tokens and tokens_in + tokens_out > self.tokens else ""


@dataclass(slots=True)
class Budget:
    """Tokens that were used, in this run and before, and tokens reserved for requests in flight."""

    limits: SpendLimits
    tokens_in: int = 0
    tokens_out: int = 0
    before_in: int = 0
    before_out: int = 0
    reserved_in: int = 0
    reserved_out: int = 0

    @property
    def cost(self) -> float:
        """Cost of this run."""
        return self.limits.cost_of(self.tokens_in, self.tokens_out)

    @property
    def cost_in_all(self) -> float:
        """Cost of this run and those before."""
        return self.limits.cost_of(self.before_in + self.tokens_in, self.before_out + self.tokens_out)

    @property
    def costs(self) -> dict[str, float]:
        """Both costs by name; empty where no price is known."""
        if not (self.limits.price_in or self.limits.price_out):
            return {}
        return {"cost": round(self.cost, 6), "cost_in_all": round(self.cost_in_all, 6)}

    def exceeded_by(self, tokens_in: int, tokens_out: int) -> str:
        """Name the limit that a request of so many tokens could exceed; empty where it has room."""
        return self.limits.exceeded_by(
            self.before_in + self.tokens_in + self.reserved_in + tokens_in,
            self.before_out + self.tokens_out + self.reserved_out + tokens_out,
        )

    def reserve(self, tokens_in: int, tokens_out: int) -> None:
        """Reserve the most that a request may use, before it is sent."""
        self.reserved_in += tokens_in
        self.reserved_out += tokens_out

    def settle(self, reserved: tuple[int, int], tokens_in: int, tokens_out: int) -> None:
        """Replace a reservation by what the request used."""
        self.reserved_in -= reserved[0]
        self.reserved_out -= reserved[1]
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out

    def why_not(self, tokens_in: int, tokens_out: int) -> str:
        """Explain why a request of so many tokens has no room, naming the limit that it would exceed."""
        limit = self.exceeded_by(tokens_in, tokens_out)
        used = self.before_in + self.tokens_in + self.before_out + self.tokens_out
        if limit == "cost":
            most, option = f"{self.limits.cost:g}", "`max_cost`"
            needs = f"{self.limits.cost_of(tokens_in, tokens_out):.4f}"
            spent = f"{self.cost_in_all:.4f} for {used:,} tokens"
        else:
            most, option = f"{self.limits.tokens:,} tokens", "`max_tokens_total`"
            needs, spent = f"{tokens_in + tokens_out:,}", f"{used:,}"
        goes_on = f"the same command with a larger {option} goes on"
        if self.limits.exceeded_by(tokens_in, tokens_out) == limit:
            return f"the next lesson alone may take {needs}, more than the budget of {most}; {goes_on}"
        return (
            f"the budget of {most} is spent ({spent} in this folder so far, "
            f"the next lesson may take {needs}); {goes_on}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time and sleep, so that tests need not wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """Everything that a teacher can be given; each uses what it needs."""

    temperature: float = 0.0
    """0 takes the likeliest token each time."""
    seed: int = 0
    engine: str = "auto"
    """Of a local model."""
    model: str = ""
    """Name of a remote model at its address."""
    key: str = field(default="", repr=False)
    """API key of the address."""
    timeout: float = 120.0
    """Seconds that one reply may take."""
    concurrency: int = 4
    """Maximum number of requests in flight."""
    per_minute: float = 0.0
    """Maximum number of requests a minute; 0 is no limit."""
    limits: SpendLimits = field(default_factory=SpendLimits)
    max_failures: int = 8
    """Failures without a reply between them after which the server is given up."""
    clock: Clock = field(default_factory=Clock)


class Teacher(ABC):
    """Writes a target for each example."""

    name: str
    """Goes into the targets, and into the keys of cached replies."""
    uses_tokens: ClassVar[bool] = True
    sends_to: str = ""
    """Host of another machine that examples are sent to; empty where they stay on this one."""
    budget: Budget | None = None
    """Of a teacher that is paid for."""

    @abstractmethod
    def settings_for(self, example: TaskExample) -> str:
        """Return all that decides what it writes for an example, besides its name and the prompt."""

    @abstractmethod
    def write(self, examples: Sequence[TaskExample]) -> Iterator[tuple[int, Generation]]:
        """Yield the number of each example with its text, as it comes and in any order.

        Raises BudgetError where a budget ends, and UserError where it cannot go on; what came before is good.
        """

    def preview(self, example: TaskExample) -> str | None:
        """Return what a dry run shows; None for an example that this teacher has nothing to write about."""
        return example.context


def max_answer_tokens(task: Task) -> int:
    """Estimate from above the tokens of a target of the task."""
    return math.ceil(_TOKENS_A_WORD * task.words[1]) + _SPARE + _TOKENS_AN_ENTRY * task.entries


def max_request_tokens(example: TaskExample) -> tuple[int, int]:
    """Estimate from above the tokens that an example may take, read and written."""
    return estimate_tokens(example.context) + _TEMPLATE, max_answer_tokens(example.task)


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text, rather too many than too few."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN)


def truncated(written: Generation, task: Task) -> Generation:
    """Cut a text to as much as an answer can need: a server may send any amount."""
    most = _CHARACTERS_A_TOKEN * max_answer_tokens(task)
    if len(written.text) <= most:
        return written
    return dataclasses.replace(written, text=written.text[:most], cut=True)
