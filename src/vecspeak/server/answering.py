"""A queue of questions about one bundle: those that come together are answered together, in one thread.

    worker   takes the question that waits longest, and with it those that are asked with the same effort and sampling
    alone    its answer streams piece by piece while it is made
    batch    each answer comes as a whole, when all of the batch are made and its own clauses are weighed

A slow client holds nothing: pieces go into its own queue, and the worker never waits for it. A question whose client
has gone is dropped where it waits; where it is answered alone, it stops at the next piece, and a batch stops when
nobody waits for any of it.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from vecspeak.asking import Asker, PreparedQuestion
from vecspeak.engines import Sampling
from vecspeak.errors import UserError
from vecspeak.evidence import Answer
from vecspeak.searching import Effort
from vecspeak.server.failures import Busy, Late
from vecspeak.server.metrics import Metrics
from vecspeak.server.settings import Settings

_log = logging.getLogger("vecspeak.server")


class _Gone(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True, eq=False)
class QueuedQuestion:
    """What is asked of whom, and how."""

    asker: Asker
    prepared: PreparedQuestion
    sampling: Sampling
    effort: Effort | None

    @property
    def batch_key(self) -> tuple[object, ...]:
        """Questions with one key can be answered together."""
        return id(self.asker), self.sampling, self.effort


@dataclass(slots=True, eq=False)
class _Waiting:
    question: QueuedQuestion
    send: Callable[[str | Answer | Exception], None]
    """Hands a piece, the answer or an error to whoever waits, from any thread."""
    since: float = field(default_factory=time.monotonic)
    is_gone: bool = False

    def say(self, piece: str) -> None:
        """Hand on a piece. Raises _Gone, which ends the generation, where nobody waits."""
        if self.is_gone:
            raise _Gone
        self.send(piece)


class AnswerQueue:
    """Questions of many clients to one reader."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._waiting: deque[_Waiting] = deque()
        self._condition = threading.Condition()
        self._running, self._is_stopped = 0, False
        self._worker = threading.Thread(target=self._work, name="vecspeak-answers", daemon=True)
        self._worker.start()

    def __len__(self) -> int:
        """Questions that wait or are being answered."""
        return len(self._waiting) + self._running

    async def pieces(self, question: QueuedQuestion) -> AsyncIterator[str | Answer]:
        """Yield the pieces of an answer as they come, and last the answer itself.

        Raises Busy where too many wait, Late where the time is over, and what the question itself raises.
        """
        loop = asyncio.get_running_loop()
        got: asyncio.Queue[str | Answer | Exception] = asyncio.Queue()

        def send(one: str | Answer | Exception) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the server stops
                loop.call_soon_threadsafe(got.put_nowait, one)

        waiting = self._enter(_Waiting(question, send))
        try:
            while True:
                left = waiting.since + self._settings.seconds - time.monotonic()
                try:
                    one = await asyncio.wait_for(got.get(), max(left, 0.001))
                except TimeoutError:
                    raise Late(
                        f"no answer in {self._settings.seconds:g} s; ask again, or for fewer tokens"
                    ) from None
                if isinstance(one, Exception):
                    raise one
                yield one
                if isinstance(one, Answer):
                    return
        finally:
            waiting.is_gone = True

    def stop(self) -> None:
        """Answer what is being answered, and nothing that waits."""
        with self._condition:
            self._is_stopped = True
            for one in self._waiting:
                one.send(Busy("the server stops; ask again later"))
            self._waiting.clear()
            self._condition.notify_all()

    def _enter(self, one: _Waiting) -> _Waiting:
        with self._condition:
            self._drop_gone()  # those whose clients have gone keep nobody out
            if self._is_stopped or len(self) >= self._settings.most_waiting:
                self._metrics.refused.inc()
                raise Busy(
                    f"{len(self)} questions wait, and {self._settings.most_waiting} may; ask again in a moment"
                )
            self._waiting.append(one)
            self._metrics.waiting.set(len(self))
            self._condition.notify_all()
        return one

    def _work(self) -> None:
        while batch := self._next_batch():
            self._metrics.batch.observe(len(batch))
            try:
                self._answer(batch)
            except _Gone:
                self._metrics.cancelled.inc(len(batch))
            except Exception as error:  # one question's error must not end the worker
                if not isinstance(error, UserError):
                    _log.exception("answering failed")
                for one in batch:
                    one.send(error)
            finally:
                with self._condition:
                    self._running = 0
                    self._metrics.waiting.set(len(self))

    def _next_batch(self) -> list[_Waiting]:
        """Those that are answered next; empty where the queue is stopped."""
        with self._condition:
            while True:
                self._drop_gone()
                if self._waiting or self._is_stopped:
                    break
                self._condition.wait()
            if not self._waiting:
                return []
            key = self._waiting[0].question.batch_key
            batch = [one for one in self._waiting if one.question.batch_key == key]
            batch = batch[: self._settings.most_together]
            taken = set(map(id, batch))
            self._waiting = deque(one for one in self._waiting if id(one) not in taken)
            self._running = len(batch)
            return batch

    def _drop_gone(self) -> None:
        gone = sum(one.is_gone for one in self._waiting)
        if gone:
            self._metrics.cancelled.inc(gone)
            self._waiting = deque(one for one in self._waiting if not one.is_gone)
            self._metrics.waiting.set(len(self))

    def _answer(self, batch: list[_Waiting]) -> None:
        first = batch[0].question
        if len(batch) == 1:
            answer = first.asker.answer(
                first.prepared, first.sampling, effort=first.effort, on_text=batch[0].say
            )
            batch[0].send(answer)
            return
        for number, answer in self._together(first, batch):
            batch[number].send(answer.text)
            batch[number].send(answer)

    def _together(self, first: QueuedQuestion, batch: list[_Waiting]) -> Iterator[tuple[int, Answer]]:
        questions = [one.question.prepared for one in batch]

        def check() -> None:
            if all(one.is_gone for one in batch):
                raise _Gone

        yield from first.asker.each_answer(questions, first.sampling, effort=first.effort, on_found=check)
