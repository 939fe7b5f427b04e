"""Calls of the library that take long: few at once, in threads of their own, each with the time that a question has.

A thread cannot be stopped: a call that was given up goes on to its end, and others wait for its thread meanwhile. So
no number of them holds up what is quick, nor the questions.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from vecspeak.server.failures import Busy, Late
from vecspeak.server.settings import Settings

_THREADS = 4


class LongCalls:
    """Runs calls of one server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="vecspeak-calls")
        self._waiting = 0

    async def run(self, call: Callable[[], Any]) -> Any:
        """What a call returns. Raises Busy where too many wait, Late where the time is over, and what the call does."""
        if self._waiting >= self._settings.most_waiting:
            raise Busy(f"{self._waiting} calls wait, and as many may; ask again in a moment")
        self._waiting += 1
        try:
            future = self._threads.submit(call)
            async with asyncio.timeout(self._settings.seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Late(f"no answer in {self._settings.seconds:g} s; ask for less") from None
        finally:
            self._waiting -= 1

    def stop(self) -> None:
        """Drop what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)
