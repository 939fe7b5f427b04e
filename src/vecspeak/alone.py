"""Alone: one process at a time does something in a folder, and others are told at once instead of waiting.

The lock is an empty file, which stays; a killed process lets go of it. Where the system or the disk has no locks,
nobody is refused. Knows a lock, and nothing of what is done under it.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from vecspeak.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def alone(lock: Path, busy: UserError, option: str = "--out") -> Iterator[None]:
    """Raise `busy` where another process holds the lock; keep others out until the end.

    Raises UserError, naming the `option` that gave the folder, where the lock's file cannot be made.
    """
    if fcntl is None:
        yield
        return
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(
            f"cannot write into {lock.parent}: {error.strerror}",
            f"give a folder to {option} that you may write to",
        ) from error
    try:
        _lock(descriptor, busy)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, busy: UserError) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise busy from error
    except OSError:  # a disk without locks
        return
