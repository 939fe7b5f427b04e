"""What every teacher offers: it writes a text for each lesson.

Knows lessons. Knows nothing of models, addresses, checks or files.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from vecspeak.tasks.lessons import Lesson
from vecspeak.tasks.sets import Task

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


class SpentError(Exception):
    """The teacher stopped by itself: what it may spend is spent. Its text is one line for the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
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

    def settings_for(self, lesson: Lesson) -> str:
        """All that decides what it writes for a lesson, beside its own name and what the lesson tells it."""

    def write(self, lessons: Sequence[Lesson]) -> Iterator[tuple[int, Written]]:
        """The number of each lesson with what was written, as it comes: in any order.

        Raises SpentError where a budget ends, and UserError where it cannot go on; what came before is good.
        """


@runtime_checkable
class Paid(Protocol):
    """A teacher that may spend so much and no more."""

    def spent_before(self, tokens_in: int, tokens_out: int) -> None:
        """What its replies in the folder took before this run: they count as spent."""


def longest_answer(task: Task) -> int:
    """Tokens that a target of the task may need."""
    return math.ceil(_TOKENS_A_WORD * task.words[1]) + _SPARE + _TOKENS_AN_ENTRY * task.entries


def trimmed(written: Written, task: Task) -> Written:
    """What was written, as much of it as an answer can need: a server may send any amount."""
    most = _LETTERS_A_TOKEN * longest_answer(task)
    if len(written.text) <= most:
        return written
    return dataclasses.replace(written, text=written.text[:most], cut=True)


def most_tokens(lesson: Lesson) -> tuple[int, int]:
    """Tokens that a lesson may take, read and written: an estimate from above."""
    return tokens_of(lesson.told) + _TEMPLATE, longest_answer(lesson.task)


def tokens_of(text: str) -> int:
    """Tokens of a text, rather too many than too few."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN)
