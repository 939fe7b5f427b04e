"""Bounds of what a file may claim: memory, levels of brackets, and plain files of small size for configuration.

A file from somebody else says itself how much it holds. Whoever reads one asks here before memory is taken: a Parquet
of 200 kB may hold 20 GB, and brackets in brackets end a parser that follows them. The memory that is allowed is half
of the machine's, and no more than a gigabyte or a hundred times the file, whichever is more; or VECSPEAK_MEMORY, or
what `allow_memory` sets.
"""

import contextlib
import functools
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vecspeak.errors import UserError, shown_value

if TYPE_CHECKING:
    import numpy as np

LEVELS = 64
"""Brackets within brackets that are read."""
SMALL_FILE = 1 << 20
"""Bytes of a file of settings, such as a task set."""
_VARIABLE = "VECSPEAK_MEMORY"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
AN_OBJECT = 8
"""Times the letters of JSON or of lines that their values take as Python's."""
_LEAST = 10**6
_ANY_FILE, _TIMES = 1 << 30, 100
"""Bytes that any file may take, and times its size that a larger one may."""
_BLOCK = 1 << 22
"""Bytes in which brackets are counted at a time."""
_CGROUP = Path("/sys/fs/cgroup/memory.max")
_ALLOWED: ContextVar[int | None] = ContextVar("allowed memory", default=None)


# --- memory ---


def parse_bytes(given: str | int, what: str = "`memory`") -> int:
    """Bytes from a size as people write it. Raises UserError for what is none, and for less than a megabyte.

    >>> parse_bytes("1.5 GB"), parse_bytes("800M")
    (1500000000, 800000000)
    """
    found = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([kmgt]?)i?b?\s*", str(given), re.IGNORECASE)
    number = int(float(found[1]) * _UNITS[found[2].lower()]) if found and not isinstance(given, bool) else 0
    if number < _LEAST:
        raise UserError(
            f"{what} is a size of 1 MB or more, got {shown_value(given)}", "write it as 16GB or 800MB"
        )
    return number


def shown_bytes(number: float) -> str:
    """A size in words.

    >>> shown_bytes(20_900_000_000), shown_bytes(199_000)
    ('20.9 GB', '199 kB')
    """
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if number >= unit:
            return f"{number / unit:.3g} {name}" if number < 1000 * unit else f"{number / unit:.3e} {name}"
    return f"{number:.0f} bytes"


@functools.cache
def _machine_memory() -> int:
    """Bytes of memory that this process may have: the machine's, or those of its container where these are fewer."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        found = 8 << 30
    with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit
        found = min(found, int(_CGROUP.read_text(encoding="utf-8")))
    return found


def allowed_memory(source: object = None) -> int:
    """Bytes that what is read from one source may take; a source that is a file's path counts by its size too."""
    if (given := _ALLOWED.get()) is not None:
        return given
    if named := os.environ.get(_VARIABLE):
        return parse_bytes(named, _VARIABLE)
    half = _machine_memory() // 2
    if not isinstance(source, Path) or not source.is_file():
        return half
    return min(half, max(_ANY_FILE, _TIMES * source.stat().st_size))


@contextlib.contextmanager
def allow_memory(given: str | int | None) -> Iterator[None]:
    """Allow this much within the block; None changes nothing. Raises UserError for what is no size."""
    if given is None:
        yield
        return
    before = _ALLOWED.set(parse_bytes(given))
    try:
        yield
    finally:
        _ALLOWED.reset(before)


def check_memory(source: object, claimed: float) -> None:
    """Raise UserError where a file says that it holds more bytes than are allowed, with what to type."""
    allowed = allowed_memory(source)
    if claimed > allowed:
        wanted = -int(-claimed // 10**9)
        raise UserError(
            f"{source} holds {shown_bytes(claimed)} once it is unpacked, and {shown_bytes(allowed)} are allowed",
            _more(wanted),
        )


def _more(gigabytes: int) -> str:
    return f"if you trust it, allow more with `memory='{gigabytes}GB'`, or set {_VARIABLE}={gigabytes}GB"


class MemoryGauge:
    """Counts what was taken for one source, where the source does not say beforehand how much it will be."""

    def __init__(self, source: object) -> None:
        self.source = source
        self.taken = 0
        self._allowed = allowed_memory(source)

    def add(self, number: int) -> None:
        """Count so many bytes more. Raises UserError where they are more than are allowed."""
        self.taken += number
        if self.taken > self._allowed:
            wanted = -(-2 * self._allowed // 10**9)
            raise UserError(
                f"{self.source} holds more than the {shown_bytes(self._allowed)} that are allowed once it is unpacked",
                _more(wanted),
            )


# --- plain files ---

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_plain(path: str | Path, hint: str = "save it as a file and give that") -> None:
    """Raise UserError for a folder, a pipe or a device, which may be endless; OSError for what is not there."""
    mode = os.stat(path).st_mode
    for is_kind, name in _KINDS:
        if is_kind(mode):
            raise UserError(f"{path} is {name}, not a file", hint)


def read_small(path: str | Path, most: int = SMALL_FILE) -> bytes:
    """The bytes of a plain file of settings. Raises UserError for a larger one and another kind, and OSError."""
    check_plain(path)
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise UserError(
            f"{path} has more than the {shown_bytes(most)} that a file of settings may have",
            "check that it is the file you mean",
        )
    return data


def read_data(path: str | Path) -> bytes:
    """The bytes of a plain file that Python's values are made of, such as JSON.

    Raises UserError where these would take more memory than is allowed and for another kind of file, and OSError.
    """
    check_plain(path)
    check_memory(Path(path), AN_OBJECT * os.stat(path).st_size)
    with open(path, "rb") as file:
        return file.read()


# --- brackets ---


def parse_json(data: str | bytes, source: object) -> Any:
    """The value of JSON. Raises UserError for brackets more than 64 levels deep, with the line, and ValueError."""
    held = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    check_levels(held, source)
    return json.loads(data)


def check_levels(data: Any, source: object, *, by_line: bool = False) -> None:
    """Raise UserError, with the line, where brackets of JSON stand more than 64 levels deep.

    `data` is bytes or a buffer of them, which nothing has parsed yet. `by_line` says that each line is a value of its
    own.
    """
    if isinstance(data, bytes) and data.count(b"[") + data.count(b"{") <= LEVELS:
        return
    line = deep_line(data, by_line=by_line)
    if line:
        raise UserError(
            f"line {line:,} of {source} has brackets more than {LEVELS} levels deep",
            "write it flat, or leave that field out",
        )


def check_nesting(value: Any, source: object) -> None:
    """Raise UserError where tables and lists of a parsed value stand more than 64 levels deep."""
    level = [value]
    for _ in range(LEVELS):
        inside = [list(one.values()) if isinstance(one, dict) else one for one in level]
        level = [one for held in inside if isinstance(held, list) for one in held]
        if not level:
            return
    raise UserError(f"{source} is more than {LEVELS} levels deep", "write it flat")


def deep_line(data: Any, *, by_line: bool) -> int:
    """The first line, from 1 on, in which brackets outside of strings stand more than 64 levels deep; 0 for none."""
    import numpy as np  # not at the top: who reads a small file waits for no NumPy

    letters = np.frombuffer(data, dtype=np.uint8)
    scan, start = _Levels(by_line=by_line), 0
    while start < len(letters):
        block = letters[start : start + _BLOCK]
        breaks = np.flatnonzero(block == _NEWLINE)
        if len(breaks):  # end where a line ends, where one does
            block = block[: breaks[-1] + 1]
        if line := scan.first_deep(block, breaks):
            return line
        start += len(block)
    return 0


_NEWLINE, _QUOTE, _BACKSLASH = 10, 34, 92
_OPENS, _CLOSES = ord("{"), ord("}")
"""With the bit 0x20 set, "[" is "{" and "]" is "}"."""


class _Levels:
    """Counts levels of brackets through blocks of a file; a string ends with its line, as JSON's strings do."""

    def __init__(self, *, by_line: bool) -> None:
        self._by_line = by_line
        self._line = 1
        self._depth = 0
        self._quotes = 0
        """Quotation marks that the line has had in the blocks before."""
        self._escapes = False
        """Whether an odd number of backslashes ended the block before."""

    def first_deep(self, block: "np.ndarray", breaks: "np.ndarray") -> int:
        """The number of the first line that is too deep in the next block, with the line ends in it; 0 for none."""
        import numpy as np

        folded = block | 0x20
        if self._is_shallow(np.flatnonzero(folded == _OPENS), breaks, len(block)):
            self._line += len(breaks)
            return 0
        quotes = self._quotes_of(block)
        brackets = np.flatnonzero((folded == _OPENS) | (folded == _CLOSES))
        line = np.searchsorted(breaks, brackets)
        # a bracket is in a string where an odd number of marks stand before it on its line
        before = np.concatenate(([-self._quotes], np.searchsorted(quotes, breaks)))
        is_outside = (np.searchsorted(quotes, brackets) - before[line]) % 2 == 0
        brackets, line = brackets[is_outside], line[is_outside]
        depth = self._depths(np.where(folded[brackets] == _OPENS, 1, -1), line, len(breaks))
        deep = np.flatnonzero(depth > LEVELS)
        found = self._line + int(line[deep[0]]) if len(deep) else 0
        self._quotes = len(quotes) - int(before[-1])
        self._line += len(breaks)
        return found

    def _is_shallow(self, opens: "np.ndarray", breaks: "np.ndarray", length: int) -> bool:
        """Whether whole lines have so few opening brackets, in strings or not, that none can be too deep."""
        if not self._by_line or not len(breaks) or breaks[-1] != length - 1:
            return False
        if self._depth or self._quotes or self._escapes:
            return False
        import numpy as np

        line = np.searchsorted(breaks, opens)
        return not bool((line[LEVELS:] == line[:-LEVELS]).any())

    def _depths(self, steps: "np.ndarray", line: "np.ndarray", num_breaks: int) -> "np.ndarray":
        """The depth behind each bracket, from its step of 1 or -1 and its line."""
        import numpy as np

        total = np.cumsum(steps)
        if not self._by_line:
            depth = total + self._depth
            self._depth = int(depth[-1]) if len(depth) else self._depth
            return depth
        # each line begins at 0; the first goes on from the block before
        first = np.searchsorted(line, np.arange(num_breaks + 1))
        base = np.concatenate(([0], total))[first]
        base[0] -= self._depth
        depth = total - base[line]
        if len(line) and line[-1] == num_breaks:
            self._depth = int(depth[-1])
        elif num_breaks:
            self._depth = 0
        return depth

    def _quotes_of(self, block: "np.ndarray") -> "np.ndarray":
        """Places of the quotation marks that open or close a string: no odd number of backslashes stands before."""
        import numpy as np

        quotes = np.flatnonzero(block == _QUOTE)
        is_slash = block == _BACKSLASH
        if not self._escapes and not is_slash.any():
            return quotes
        others = np.where(is_slash, -1, np.arange(len(block)))
        last_other = np.concatenate(
            ([-1], np.maximum.accumulate(others))
        )  # before each place, and at the end
        slashes = np.arange(len(block) + 1) - 1 - last_other
        if self._escapes:
            slashes[last_other < 0] += 1
        self._escapes = bool(slashes[-1] % 2)
        return quotes[slashes[quotes] % 2 == 0]
