"""Replies: what a rater said, kept by the content of what it was asked, so that nothing is asked twice.

A file of one JSON object a line, only ever added to. A kill can cut its last line short; that line is dropped.
Knows neither questions nor the address of the rater, and is never given a key.
"""

import hashlib
import json
import threading
from pathlib import Path

from vecspeak.chat import Messages
from vecspeak.errors import UserError
from vecspeak.files import check_target
from vecspeak.journal import Journal


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
        self._journal: Journal | None = None
        if path is not None:
            check_target(path)
            self._journal = Journal(path)
            self._replies = _read(self._journal)

    @property
    def count(self) -> int:
        """How many replies are kept."""
        return len(self._replies)

    def get(self, key: str) -> str | None:
        """The reply under this key, if one is kept."""
        return self._replies.get(key)

    def keep(self, key: str, reply: str) -> None:
        """Keep a reply; it is in the file when this returns."""
        with self._lock:
            self._replies[key] = reply
            if self._journal is not None:
                self._journal.append([{"key": key, "reply": reply}])


def _read(journal: Journal) -> dict[str, str]:
    """The replies of a file; UserError where it plainly holds something else."""
    rows = list(journal.rows())
    known = {row["key"]: row["reply"] for row in rows if _is_reply(row)}
    path = journal.path
    start = path.open("rb").read(6) if path.exists() else b""
    if start and not known and (rows or not b'{"key"'.startswith(start)):
        raise UserError(f"{path} holds no replies of a rater", "give another file to --cache")
    return known


def _is_reply(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("key"), str) and isinstance(row.get("reply"), str)
