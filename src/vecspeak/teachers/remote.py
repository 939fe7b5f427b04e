"""The teacher at an address: any OpenAI-compatible server, asked several things at once, at a pace and within a budget.

A request that fails is sent again later, after waits that grow; a lesson that fails again and again is left for another
run; when nothing but failures comes, the run stops. Everything is decided in one thread, requests alone run in others.
Knows chats, lessons, pace and budget. Keeps nothing.
"""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from vecspeak.chat import CUT, FILTERED, Address, Chat, FailedError, RefusedError, Reply
from vecspeak.errors import UserError
from vecspeak.tasks.lessons import Lesson
from vecspeak.teachers.base import SpentError, Written, longest_answer
from vecspeak.teachers.pace import Budget, Clock, Limits, Pace

_MOST_IN_A_ROW = 8
"""Failures without a reply between them after which the server is given up."""
_MOST_OF_ONE = 4
"""Failures of one lesson after which it is left for another run."""
_MOST_REFUSED = 5
"""Refusals without any reply: it is not the lessons that are refused."""
_BYTES_A_TOKEN = 3
"""Of a text that is sent: less than English has, so that a budget errs on the careful side."""
_TEMPLATE = 48
"""Tokens of a chat template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """How a remote teacher is asked."""

    temperature: float = 0.0
    seed: int = 0
    concurrency: int = 4
    per_minute: float = 0.0
    """Requests; 0 is no limit."""
    limits: Limits = field(default_factory=Limits)
    most_failures: int = _MOST_IN_A_ROW
    clock: Clock = field(default_factory=Clock)


@dataclass(slots=True)
class _State:
    """A run on its way."""

    waiting: deque[int]
    flying: dict[Future[Reply], tuple[int, int]] = field(default_factory=dict)
    """Number of the lesson, and how many rounds of failures there were when it was sent."""
    failures: dict[int, int] = field(default_factory=dict)
    in_a_row: int = 0
    """Failures since the last reply; several that were on their way at once are one."""
    rounds: int = 0
    refused: int = 0
    replied: bool = False
    last: FailedError | None = None
    given_up: UserError | None = None

    def places(self, most: int) -> int:
        """How many more may be on their way: one alone tries whether a server that failed is back."""
        return max(0, (1 if self.in_a_row else most) - len(self.flying))


class RemoteTeacher:
    """Writes with a model behind an address."""

    def __init__(self, address: Address, settings: RemoteSettings | None = None) -> None:
        """Connects to nothing yet. UserError where the package openai is missing."""
        self.settings = settings or RemoteSettings()
        self.name = f"{address.model} at {address.host}"
        # Failed requests come back here and are sent again at our pace, not at the client's.
        self._chat = Chat(replace(address, retries=0), self._options())
        self._pace = Pace(self.settings.per_minute, self.settings.clock)
        self.budget = Budget(self.settings.limits)

    def _options(self) -> dict[str, float | int]:
        chosen = self.settings
        return {
            "temperature": float(chosen.temperature),
            **({"seed": chosen.seed} if chosen.temperature else {}),
        }

    def settings_for(self, lesson: Lesson) -> str:
        """What is sent beside the lesson."""
        return json.dumps([self._options(), longest_answer(lesson.task)], sort_keys=True)

    def write(self, lessons: Sequence[Lesson]) -> Iterator[tuple[int, Written]]:
        """In the order given, several at a time; what comes back first is told first."""
        if not lessons:
            return
        self._chat.reach()
        state = _State(waiting=deque(range(len(lessons))))
        pool = ThreadPoolExecutor(self.settings.concurrency)
        try:
            while state.flying or self._goes_on(state, lessons):
                self._send(state, lessons, pool)
                yield from self._gather(state, lessons)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        if state.given_up:
            raise state.given_up
        if state.last and not state.replied:
            raise state.last
        if state.refused and not state.replied:
            raise UserError(f"{self._chat.address.shown} refuses every lesson", "give another --model")

    def _goes_on(self, state: _State, lessons: Sequence[Lesson]) -> bool:
        """Whether something is left to send. Raises SpentError where it may not be sent."""
        if state.given_up or not state.waiting:
            return False
        if not self.budget.has_room(*_needs(lessons[state.waiting[0]])):
            raise SpentError(self.budget.told)
        return True

    def _send(self, state: _State, lessons: Sequence[Lesson], pool: ThreadPoolExecutor) -> None:
        """Send while there are places, pace and budget; with nothing on its way, wait for the pace."""
        while state.waiting and not state.given_up and state.places(self.settings.concurrency):
            lesson = lessons[state.waiting[0]]
            if not self.budget.has_room(*_needs(lesson)):
                return
            if delay := self._pace.wait:
                if state.flying:
                    return
                self._pace.clock.sleep(delay)
            number = state.waiting.popleft()
            self.budget.set_aside(*_needs(lesson))
            self._pace.sent()
            state.flying[pool.submit(self._ask, lesson)] = (number, state.rounds)

    def _ask(self, lesson: Lesson) -> Reply:
        told = lesson.told.encode("utf-8", "replace").decode()
        return self._chat.ask([{"role": "user", "content": told}], max_tokens=longest_answer(lesson.task))

    def _gather(self, state: _State, lessons: Sequence[Lesson]) -> Iterator[tuple[int, Written]]:
        """What came back; waits for the first, or until the next may be sent."""
        can_send = state.waiting and state.places(self.settings.concurrency)
        until = self._pace.wait if can_send else 0.0
        done, _ = wait(state.flying, timeout=until or None, return_when=FIRST_COMPLETED)
        for future in done:
            number, rounds = state.flying.pop(future)
            written = self._landed(future, (number, rounds), state, lessons[number])
            if written is not None:
                yield number, written

    def _landed(
        self, future: Future[Reply], sent: tuple[int, int], state: _State, lesson: Lesson
    ) -> Written | None:
        """What one request came to; None where it failed."""
        aside = _needs(lesson)
        try:
            reply = future.result()
        except RefusedError as error:
            self.budget.settle(aside, 0, 0)
            return self._refused(state, error)
        except FailedError as error:
            self.budget.settle(aside, 0, 0)
            self._failed(state, sent, error)
            return None
        used = (
            aside[0] if reply.tokens_in is None else reply.tokens_in,
            _tokens(reply.text) if reply.tokens_out is None else reply.tokens_out,
        )
        self.budget.settle(aside, *used)
        if not reply.text.strip() and reply.end != FILTERED:
            self._failed(state, sent, self._empty())
            return None
        state.in_a_row, state.replied = 0, True
        return Written(
            text=reply.text.encode("utf-8", "replace").decode(),
            tokens_in=reply.tokens_in,
            tokens_out=reply.tokens_out,
            refused=reply.end == FILTERED,
            cut=reply.end == CUT,
        )

    def _empty(self) -> FailedError:
        return FailedError(
            f"{self._chat.address.shown} sends empty replies",
            "look at the server, then run the same again",
            passing=True,
        )

    def _refused(self, state: _State, error: RefusedError) -> Written | None:
        """A lesson that the server will not take; where it takes none, the server is given up."""
        state.refused += 1
        if not state.replied and state.refused >= _MOST_REFUSED:
            state.given_up = state.given_up or self._chat.explained(error)
        return Written(text="", refused=True) if state.replied else None

    def _failed(self, state: _State, sent: tuple[int, int], error: FailedError) -> None:
        """Put the lesson back, or leave it; give up where nothing else comes."""
        number, rounds = sent
        state.last = error
        if rounds == state.rounds:  # those that were on their way together failed together
            state.in_a_row, state.rounds = state.in_a_row + 1, state.rounds + 1
        state.failures[number] = state.failures.get(number, 0) + 1
        self._pace.failed(max(1, state.in_a_row), error.wait)
        if not error.passing:
            state.given_up = state.given_up or error
        elif state.in_a_row >= self.settings.most_failures:
            times = f"{state.in_a_row} times in a row"
            state.given_up = state.given_up or UserError(f"{error.message}, {times}", error.hint)
        if state.failures[number] < _MOST_OF_ONE:
            state.waiting.append(number)


def _needs(lesson: Lesson) -> tuple[int, int]:
    """Tokens that a lesson may take, read and written: an estimate from above."""
    return _tokens(lesson.told) + _TEMPLATE, longest_answer(lesson.task)


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN)
