"""The teacher at an address: any OpenAI-compatible server, asked several things at once, at a rate and within a budget.

A failed request is sent again later, after waits that grow and are told; an example that fails again and again is left
for another run; when nothing but failures or refusals comes, the run stops: at the second reply that is no completion
where there was no other. Ctrl-C waits for the requests in flight, which are paid
for, and a second one does not. Everything is decided in one thread; other threads only wait for replies.

The retries of the openai client are off here. They are per request, so each of many requests in flight would try a dead
server by itself; here one request alone tries whether it is back, and the budget is settled between two attempts.
"""

import json
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from threading import Thread

from vecspeak.console import print_line
from vecspeak.errors import UserError
from vecspeak.llm_client import (
    CUT,
    DONE,
    FILTERED,
    LONGEST_RETRY_AFTER,
    ChatClient,
    Endpoint,
    RefusedError,
    Reply,
    RequestFailedError,
)
from vecspeak.tasks.examples import TaskExample
from vecspeak.teachers.base import (
    Budget,
    BudgetError,
    Clock,
    Generation,
    Teacher,
    TeacherConfig,
    estimate_tokens,
    max_answer_tokens,
    max_request_tokens,
    truncated,
)

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
_MAX_FAILURES_OF_ONE = 4
"""Failures of one example after which it is left for another run."""
_MAX_REFUSED = 5
"""Refusals without a reply between them: the server refuses the model, not the examples."""
_MAX_EMPTY = 8
"""Empty replies in a row: each is cached, and paid for."""


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
        """Count a request."""
        self._next = max(self._next, self.clock.now()) + self._gap

    def failed(self, in_a_row: int, retry_after: float = 0.0) -> None:
        """Back off exponentially with jitter, but at least as long as the server asked for."""
        grown = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(in_a_row - 1, 16))
        delay = max(grown * (0.5 + 0.5 * self._random.random()), min(retry_after, LONGEST_RETRY_AFTER))
        self._next = max(self._next, self.clock.now() + delay)


class RemoteTeacher(Teacher):
    """Writes with a model behind an address."""

    def __init__(self, address: Endpoint, config: TeacherConfig | None = None) -> None:
        """Connects to nothing yet. Raises UserError where the package openai is missing."""
        self.address, self.config = address, config or TeacherConfig()
        self.name = f"{address.model} at {address.place}"
        self.sends_to = "" if address.is_here else address.place
        self.budget: Budget = Budget(self.config.limits)
        self.options = {"temperature": float(self.config.temperature)}
        if self.config.temperature:
            self.options["seed"] = self.config.seed
        self.client = ChatClient(address, self.options, retries=0)

    def settings_for(self, example: TaskExample) -> str:
        """Return what is sent besides the prompt."""
        return json.dumps([self.options, max_answer_tokens(example.task)], sort_keys=True)

    def write(self, examples: Sequence[TaskExample]) -> Iterator[tuple[int, Generation]]:
        """Send in the order given, several at a time; replies come in any order."""
        if not examples:
            return
        self.client.reach()
        run = _Run(self, examples)
        try:
            while run.in_flight or run.may_send():
                run.send()
                yield from run.collect()
        except KeyboardInterrupt:
            if run.in_flight:
                waits = f"waiting for {len(run.in_flight)} replies on their way; stop again to leave them"
                print_line(waits)
            while run.in_flight:
                run.waiting.clear()
                yield from run.collect()
            raise
        run.raise_failure()


class _Run:
    """One call of `write`: the queue, the requests in flight, and what failed since the last reply."""

    def __init__(self, teacher: RemoteTeacher, examples: Sequence[TaskExample]) -> None:
        self.client, self.config, self.budget = teacher.client, teacher.config, teacher.budget
        self.examples = examples
        self.rate = RateLimiter(self.config.per_minute, self.config.clock)
        self.waiting = deque(range(len(examples)))
        self.in_flight: dict[Future[Reply], tuple[int, int]] = {}
        """Number of the example, and the rounds of failures when it was sent."""
        self.failures: Counter[int] = Counter()
        """By number of the example."""
        self.failed_rounds = 0
        """Since the last reply; requests that were in flight together and failed are one round."""
        self.rounds = self.unusable_rounds = 0
        self.refused = self.empty = 0
        self.has_replied = False
        self.last: RequestFailedError | None = None
        self.fatal: UserError | None = None

    @property
    def free_slots(self) -> int:
        """Requests that may be added to those in flight; after a failure one alone tries the server."""
        return max(0, (1 if self.failed_rounds else self.config.concurrency) - len(self.in_flight))

    def may_send(self) -> bool:
        """Return whether something is left to send. Raises BudgetError where its budget is spent."""
        if self.fatal or not self.waiting:
            return False
        needs = max_request_tokens(self.examples[self.waiting[0]])
        if self.budget.exceeded_by(*needs):
            raise BudgetError(self.budget.why_not(*needs))
        return True

    def send(self) -> None:
        """Send while slots, rate and budget allow; with nothing in flight, sleep until the rate does."""
        while self.waiting and not self.fatal and self.free_slots:
            example = self.examples[self.waiting[0]]
            needs = max_request_tokens(example)
            if self.budget.exceeded_by(*needs):
                return
            if delay := self.rate.wait:
                if self.in_flight:
                    return
                if self.failed_rounds and self.last:
                    self.last.tell_wait(delay)
                self.rate.clock.sleep(delay)
            number = self.waiting.popleft()
            self.budget.reserve(*needs)
            self.rate.sent()
            messages = [{"role": "user", "content": example.context.encode("utf-8", "replace").decode()}]
            ask = partial(self.client.ask, messages, max_tokens=max_answer_tokens(example.task))
            self.in_flight[_in_thread(ask)] = (number, self.rounds)

    def collect(self) -> Iterator[tuple[int, Generation]]:
        """Yield what came back; waits for the first reply, or until the next request may be sent."""
        until = self.rate.wait if self.waiting and self.free_slots else 0.0
        done, _ = wait(self.in_flight, timeout=until or None, return_when=FIRST_COMPLETED)
        for future in done:
            number, rounds = self.in_flight.pop(future)
            written = self._result(future, number, rounds)
            if written is not None:
                yield number, truncated(written, self.examples[number].task)

    def raise_failure(self) -> None:
        """Raise what ended the run, if something did."""
        if self.fatal:
            raise self.fatal
        if self.last and not self.has_replied:
            raise self.last
        if self.refused and not self.has_replied:
            raise UserError(f"{self.client.address.shown} refuses every lesson", "give another `model`")

    def _result(self, future: Future[Reply], number: int, rounds: int) -> Generation | None:
        """Settle one request; None where it has no answer."""
        reserved = max_request_tokens(self.examples[number])
        try:
            reply = future.result()
        except RefusedError as error:
            self.budget.settle(reserved, 0, 0)
            return self._refuse(error)
        except RequestFailedError as error:
            # A reply that was lost on its way may have been written, and paid for: count the most that it may be.
            self.budget.settle(reserved, *(reserved if error.may_cost else (0, 0)))
            self._fail(number, rounds, error)
            return None
        self.budget.settle(
            reserved,
            reserved[0] if reply.tokens_in is None else reply.tokens_in,
            estimate_tokens(reply.text) if reply.tokens_out is None else reply.tokens_out,
        )
        is_empty = not reply.text.strip() and reply.end != FILTERED
        if is_empty and reply.end not in (DONE, CUT):
            self._fail(number, rounds, self._empty_error())
            return None
        self._count_reply(is_empty=is_empty)
        return Generation(
            text="" if is_empty else reply.text.encode("utf-8", "replace").decode(),
            tokens_in=reply.tokens_in,
            tokens_out=reply.tokens_out,
            refused=reply.end == FILTERED,
            cut=reply.end == CUT,
        )

    def _count_reply(self, *, is_empty: bool) -> None:
        """Note that the server works; where it has nothing to say, again and again, it is given up."""
        self.failed_rounds, self.refused, self.has_replied = 0, 0, True
        self.empty = self.empty + 1 if is_empty else 0
        if self.empty >= _MAX_EMPTY:
            error = self._empty_error()
            self._give_up(UserError(f"{error.message}, {self.empty} times in a row", error.hint))

    def _empty_error(self) -> RequestFailedError:
        shown = self.client.address.shown
        return RequestFailedError(
            f"{shown} sends empty replies", "look at the server, then run the same again", passing=True
        )

    def _refuse(self, error: RefusedError) -> Generation | None:
        """Record a refusal: an answer where a filter says so, else the example is left for another run.

        A server that takes no example any more is given up: it may have another model or less memory by now.
        """
        if error.filtered:
            self._count_reply(is_empty=False)
            return Generation(text="", refused=True)
        self.refused += 1
        if self.refused >= _MAX_REFUSED:
            self._give_up(self.client.explained(error))
        return None

    def _fail(self, number: int, rounds: int, error: RequestFailedError) -> None:
        """Put the example back into the queue, or leave it; give up where nothing but failures comes."""
        self.last = error
        if rounds == self.rounds:  # those that were in flight together failed together
            self.failed_rounds, self.rounds = self.failed_rounds + 1, self.rounds + 1
            self.unusable_rounds += error.unusable
        self.failures[number] += 1
        self.rate.failed(max(1, self.failed_rounds), error.wait)
        if not error.passing:
            self._give_up(error)
        elif self.unusable_rounds > 1 and not self.has_replied:
            self._give_up(error.for_good())
        elif self.failed_rounds >= self.config.max_failures:
            self._give_up(UserError(f"{error.message}, {self.failed_rounds} times in a row", error.hint))
        if self.failures[number] < _MAX_FAILURES_OF_ONE:
            self.waiting.append(number)

    def _give_up(self, error: UserError) -> None:
        self.fatal = self.fatal or error


def _in_thread(call: Callable[[], Reply]) -> Future[Reply]:
    """Run a call in a thread that does not keep the program from ending, as one of an executor would."""
    future: Future[Reply] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
