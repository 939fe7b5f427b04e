"""Stopping: Ctrl-C ends a run between two steps, so that what was learned is kept. A second one does not wait."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vecspeak.console import print_line


@dataclass(slots=True)
class Stop:
    """Whether the run was asked to end."""

    asked: bool = False


@contextlib.contextmanager
def stop_between_steps() -> Iterator[Stop]:
    """A block in which the first Ctrl-C is only noted; the second is KeyboardInterrupt, as ever.

    Where a program handles Ctrl-C in its own way, or runs this in another thread, nothing is changed.
    """
    stop, before, process = Stop(), signal.getsignal(signal.SIGINT), os.getpid()
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame: Any) -> None:
        if os.getpid() != process:  # a process that feeds this one gets the same Ctrl-C, and is ended by it
            return
        stop.asked = True
        signal.signal(signal.SIGINT, before)
        print_line("this step is ended and kept, then the run stops; Ctrl-C again loses the step")

    signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
