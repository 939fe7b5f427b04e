"""Alone: one run of a teacher on a folder at a time. Knows the lock's name, `.teacher.TOKEN.lock` in the folder."""

import contextlib
import hashlib
from pathlib import Path

from vecspeak.alone import alone as alone_with
from vecspeak.errors import UserError


def alone(folder: Path, teacher: str) -> contextlib.AbstractContextManager[None]:
    """Raise UserError where another run has this teacher write into the folder; keep others out until the end."""
    token = hashlib.sha256(teacher.encode()).hexdigest()[:12]
    busy = UserError(
        f"another run has {teacher} write into {folder}",
        "wait for its end, or give another folder to --out",
    )
    return alone_with(folder / f".teacher.{token}.lock", busy)
