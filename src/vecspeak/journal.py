"""Journal: an append-only file of JSON lines that a kill at any moment leaves readable.

What was appended is on the disk before `append` returns. A last line that was cut short is dropped, never joined with
the next. Several processes may append at once. Knows nothing of what the lines mean.
"""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vecspeak.files import exclusive


class Journal:
    """The file at a path; it need not be there yet."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def rows(self) -> Iterator[Any]:
        """The value of every whole line, in order; a line that is no JSON is passed over."""
        if not self.path.exists():
            return
        for line in self.path.read_bytes().split(b"\n")[:-1]:
            try:
                yield json.loads(line)
            except (ValueError, RecursionError):
                continue

    def append(self, rows: Iterable[Any]) -> None:
        """Add a line for each value."""
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        with exclusive(self.path), self.path.open("ab+") as file:
            file.truncate(_whole(file.fileno()))
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())


def _whole(descriptor: int) -> int:
    """Bytes of the whole lines: up to and with the last line's end, which is looked for from the back."""
    size = os.fstat(descriptor).st_size
    at = size
    while at > 0:
        start = max(0, at - 65_536)
        found = os.pread(descriptor, at - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0
