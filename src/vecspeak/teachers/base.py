"""What every teacher offers: it writes a text for each lesson.

Knows lessons. Knows nothing of models, addresses, checks or files.
"""

import dataclasses
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from vecspeak.errors import UserError
from vecspeak.tasks.examples import TaskExample
from vecspeak.tasks.task_set import Task

_TOKENS_A_WORD = 1.5
_SPARE = 16
"""Tokens for a lead-in, which the checks take off again."""
_TOKENS_AN_ENTRY = 4
"""Number, full stop and line end of an entry of a list."""

_LETTERS_A_TOKEN = 40
"""More than a token of any answer has."""
_BYTES_A_TOKEN = 3
"""Of a text that is sent: less than English has, so that a budget errs on the careful side."""
_TEMPLATE = 48
"""Tokens of a chat template."""


class BudgetError(Exception):
    """The teacher stopped by itself: what it may spend is spent. Its text is one line for the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What a teacher wrote for one lesson."""

    text: str
    tokens_in: int | None = None
    """None where nobody counted."""
    tokens_out: int | None = None
    refused: bool = False
    """Whether the teacher itself said that it would not write this."""
    cut: bool = False
    """Whether it ran out of room."""


class Teacher(Protocol):
    """Writes targets."""

    name: str
    """Goes into the targets and into the keys of what is kept."""

    def settings_for(self, lesson: TaskExample) -> str:
        """All that decides what it writes for a lesson, beside its own name and what the lesson tells it."""

    def write(self, lessons: Sequence[TaskExample]) -> Iterator[tuple[int, Generation]]:
        """The number of each lesson with what was written, as it comes: in any order.

        Raises SpentError where a budget ends, and UserError where it cannot go on; what came before is good.
        """


@runtime_checkable
class Paid(Protocol):
    """A teacher that may spend so much and no more."""

    def spent_before(self, tokens_in: int, tokens_out: int) -> None:
        """What its replies in the folder took before this run: they count as spent."""


def max_answer_tokens(task: Task) -> int:
    """Tokens that a target of the task may need."""
    return math.ceil(_TOKENS_A_WORD * task.words[1]) + _SPARE + _TOKENS_AN_ENTRY * task.entries


def truncated(written: Generation, task: Task) -> Generation:
    """What was written, as much of it as an answer can need: a server may send any amount."""
    most = _LETTERS_A_TOKEN * max_answer_tokens(task)
    if len(written.text) <= most:
        return written
    return dataclasses.replace(written, text=written.text[:most], cut=True)


def max_request_tokens(lesson: TaskExample) -> tuple[int, int]:
    """Tokens that a lesson may take, read and written: an estimate from above."""
    return estimate_tokens(lesson.context) + _TEMPLATE, max_answer_tokens(lesson.task)


def estimate_tokens(text: str) -> int:
    """Tokens of a text, rather too many than too few."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN)


_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
_LONGEST_ASKED = 600.0
"""Seconds that a server may make us wait by its own word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What tells the time and waits; tests give one that does not really wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class RateLimiter:
    """When the next request may be sent."""

    def __init__(self, per_minute: float = 0.0, clock: Clock | None = None, seed: int | None = None) -> None:
        """`per_minute` requests at most, evenly spaced; 0 is no limit."""
        self.clock = clock or Clock()
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._random = random.Random(seed)

    @property
    def wait(self) -> float:
        """Seconds until then; 0 when it is now."""
        return max(0.0, self._next - self.clock.now())

    def sent(self) -> None:
        """A request was sent."""
        self._next = max(self._next, self.clock.now()) + self._gap

    def failed(self, in_a_row: int, asked: float = 0.0) -> None:
        """Wait longer with every failure in a row, by chance a little less, but as long as the server asked for."""
        grown = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(in_a_row - 1, 16))
        wait = max(grown * (0.5 + 0.5 * self._random.random()), min(asked, _LONGEST_ASKED))
        self._next = max(self._next, self.clock.now() + wait)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendLimits:
    """What a teacher may spend on a folder, in all runs together; 0 is no limit."""

    tokens: int = 0
    cost: float = 0.0
    price_in: float = 0.0
    """Of a million tokens that are read."""
    price_out: float = 0.0
    """Of a million tokens that are written."""

    def __post_init__(self) -> None:
        if min(self.tokens, self.cost, self.price_in, self.price_out) < 0:
            raise UserError("a limit and a price may be 0 or more", "leave out what has no limit")
        if self.cost and not (self.price_in or self.price_out):
            raise UserError(
                "--max-cost needs the prices of tokens", "add --price-in and --price-out, per million tokens"
            )

    def cost_of(self, tokens_in: int, tokens_out: int) -> float:
        """In the currency of the prices."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6


@dataclass(slots=True)
class Budget:
    """What was spent, and what is set aside for requests on their way."""

    limits: SpendLimits
    tokens_in: int = 0
    """Of this run, as `tokens_out`."""
    tokens_out: int = 0
    before_in: int = 0
    """Of earlier runs, as `before_out`."""
    before_out: int = 0
    _aside_in: int = 0
    _aside_out: int = 0

    @property
    def cost(self) -> float:
        """Of what this run spent."""
        return self.limits.cost_of(self.tokens_in, self.tokens_out)

    @property
    def cost_in_all(self) -> float:
        """Of what was spent in this run and before."""
        return self.limits.cost_of(self.before_in + self.tokens_in, self.before_out + self.tokens_out)

    @property
    def tokens_in_all(self) -> int:
        """Read and written, in this run and before."""
        return self.before_in + self.tokens_in + self.before_out + self.tokens_out

    def has_room(self, tokens_in: int, tokens_out: int) -> bool:
        """Whether a request may use so many tokens beside everything that is spent and set aside."""
        read = self.before_in + self.tokens_in + self._aside_in + tokens_in
        written = self.before_out + self.tokens_out + self._aside_out + tokens_out
        return not (self._over_cost(read, written) or self._over_tokens(read, written))

    def _over_cost(self, read: int, written: int) -> bool:
        return bool(self.limits.cost) and self.limits.cost_of(read, written) > self.limits.cost

    def _over_tokens(self, read: int, written: int) -> bool:
        return bool(self.limits.tokens) and read + written > self.limits.tokens

    def set_aside(self, tokens_in: int, tokens_out: int) -> None:
        """A request is on its way."""
        self._aside_in += tokens_in
        self._aside_out += tokens_out

    def settle(self, aside: tuple[int, int], tokens_in: int, tokens_out: int) -> None:
        """It is back, and used so many."""
        self._aside_in -= aside[0]
        self._aside_out -= aside[1]
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out

    def why_not(self, tokens_in: int, tokens_out: int) -> str:
        """Why a request that may use so many tokens has no room, in a line that names the limit it would pass."""
        all_in, all_out = self.before_in + self.tokens_in, self.before_out + self.tokens_out
        may_cost, may_take = self.limits.cost_of(tokens_in, tokens_out), tokens_in + tokens_out
        if self._over_cost(all_in + tokens_in, all_out + tokens_out):
            limit, option, needs = f"{self.limits.cost:g}", "--max-cost", f"{may_cost:.4f}"
            spent = f"{self.cost_in_all:.4f} for {self.tokens_in_all:,} tokens"
            never = self._over_cost(tokens_in, tokens_out)
        else:
            limit, option, needs = f"{self.limits.tokens:,} tokens", "--max-tokens-total", f"{may_take:,}"
            spent = f"{self.tokens_in_all:,}"
            never = self._over_tokens(tokens_in, tokens_out)
        goes_on = f"the same command with a larger {option} goes on"
        if never:
            return f"the next lesson alone may take {needs}, more than the budget of {limit}; {goes_on}"
        return (
            f"the budget of {limit} is spent ({spent} in this folder so far, "
            f"the next lesson may take {needs}); {goes_on}"
        )
