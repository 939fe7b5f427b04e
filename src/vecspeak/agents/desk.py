"""The desk: calls of tools run in threads, a few at once, each for some seconds at most."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.to_thread

from vecspeak.errors import UserError, check_number, check_whole

Found = TypeVar("Found")
Check = Callable[[], None]
"""Raises where nobody waits any more, which ends the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What agents may ask at once, how much and how long."""

    most_at_once: int = 4
    """Calls that run at once; others wait for them."""
    most_waiting: int = 32
    """Calls that run or wait; more are refused."""
    most_tokens: int = 512
    """Of an answer."""
    most_bytes: int = 8 << 20
    """Of the body of a request over HTTP."""
    seconds: float = 120.0
    """From a call to its result."""

    def __post_init__(self) -> None:
        """Raise UserError for a limit that is none."""
        for name in ("most_at_once", "most_waiting", "most_tokens", "most_bytes"):
            check_whole(name, getattr(self, name), 1)
        check_number("seconds", self.seconds, 0.1, 86_400)


class _Abandoned(Exception):
    """Nobody waits for the result."""


class Desk:
    """Runs the work of tools within limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._running, self._counting = 0, threading.Lock()
        self._turns: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[[Check], Found]) -> Found:
        """Do some work in a thread. Raises UserError where too many calls wait, and where the time is over.

        Work that nobody waits for counts until it has noticed that, by its `check` or at its end.
        """
        limits = self._limits
        if self._running >= limits.most_waiting:
            raise UserError(
                f"{self._running} calls wait, and {limits.most_waiting} may", "call again in a moment"
            )
        self._turns = self._turns or anyio.CapacityLimiter(limits.most_at_once)
        gone, begun = threading.Event(), threading.Event()
        self._count(1)

        def check() -> None:
            if gone.is_set():
                raise _Abandoned

        def counted() -> Found:
            begun.set()
            try:
                check()
                return work(check)
            finally:
                self._count(-1)

        try:
            with anyio.fail_after(limits.seconds):
                return await anyio.to_thread.run_sync(counted, abandon_on_cancel=True, limiter=self._turns)
        except TimeoutError:
            raise UserError(
                f"no result in {limits.seconds:g} s", "call again, with effort quick and for fewer tokens"
            ) from None
        finally:
            gone.set()
            if not begun.is_set():
                self._count(-1)

    def _count(self, step: int) -> None:
        with self._counting:
            self._running += step
