"""Stopping: Ctrl-C ends a run between two steps, so that what was learned is kept. A second one does not wait.

Knows signals. Knows nothing of training.
"""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm


@dataclass(slots=True)
class Stop:
    """Whether the run was asked to end."""

    asked: bool = False


@contextlib.contextmanager
def stop_between_steps() -> Iterator[Stop]:
    """A block in which the first Ctrl-C is only noted; the second is KeyboardInterrupt, as ever.

    Where a program handles Ctrl-C in its own way, or runs this in another thread, nothing is changed.
    """
    stop, before = Stop(), signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame: Any) -> None:
        stop.asked = True
        signal.signal(signal.SIGINT, before)
        tqdm.write("ending this step, then keeping it; stop again to leave it", file=sys.stderr)

    signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
