"""Replies: what a rater said, kept by the content of what it was asked, so that nothing is asked twice.

A file of one JSON object a line, only ever added to. A kill can cut its last line short; that line is dropped.
Knows neither questions nor the address of the rater, and is never given a key.
"""

import hashlib
import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vecspeak.errors import UserError
from vecspeak.files import check_target

Messages = Sequence[dict[str, str]]


def content_key(model: str, messages: Messages) -> str:
    """SHA-256, in hex, of the model's name and everything that it is told."""
    return hashlib.sha256(json.dumps([model, list(messages)]).encode()).hexdigest()


class KeptReplies:
    """Replies by content key, in memory and, where a path is given, in a file. Safe to use from threads."""

    def __init__(self, path: Path | None = None) -> None:
        """Read what is kept already; UserError where the path is a folder or holds something else."""
        self.path = path
        self._lock = threading.Lock()
        self._replies: dict[str, str] = {}
        if path is not None:
            check_target(path)
            self._replies = _read(path)

    @property
    def count(self) -> int:
        """How many replies are kept."""
        return len(self._replies)

    def get(self, key: str) -> str | None:
        """The reply under this key, if one is kept."""
        return self._replies.get(key)

    def keep(self, key: str, reply: str) -> None:
        """Keep a reply; it is in the file when this returns."""
        line = json.dumps({"key": key, "reply": reply}) + "\n"
        with self._lock:
            self._replies[key] = reply
            if self.path is not None:
                with self.path.open("ab") as file:
                    file.write(line.encode())


def _read(path: Path) -> dict[str, str]:
    """The whole lines of the file; a last one without its end is cut off, so that nothing is added to it."""
    if not path.exists():
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    lines = [_line(line) for line in whole.splitlines()]
    known = {row["key"]: row["reply"] for row in lines if row is not None}
    if content and not known and (lines or not content.startswith(b'{"key"'[: len(content)])):
        raise UserError(f"{path} holds no replies of a rater", "give another file to --cache")
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    return known


def _line(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    is_reply = isinstance(row, dict) and isinstance(row.get("key"), str) and isinstance(row.get("reply"), str)
    return row if is_reply else None
