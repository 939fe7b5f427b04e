"""Alone: one run of a teacher on a folder at a time. Knows a lock, and nothing of what is done under it.

The lock is an empty file `.teacher.TOKEN.lock` in the folder, which stays; a killed run lets go of it. Where the system
or the disk has no locks, nobody is refused.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from vecspeak.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def alone(folder: Path, teacher: str) -> Iterator[None]:
    """Raise UserError where another run has this teacher write into the folder; keep others out until the end."""
    if fcntl is None:
        yield
        return
    token = hashlib.sha256(teacher.encode()).hexdigest()[:12]
    try:
        descriptor = os.open(folder / f".teacher.{token}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(
            f"cannot write into {folder}: {error.strerror}", "give a folder to --out that you may write to"
        ) from error
    try:
        _lock(descriptor, folder, teacher)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path, teacher: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(
            f"another run has {teacher} write into {folder}",
            "wait for its end, or give another folder to --out",
        ) from error
    except OSError:  # a disk without locks
        return
