"""What a quotation mark in a table of text is, found from the whole file, a few megabytes at a time."""

import csv
import io
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError
from vecspeak.tables.ledger import Ledger

_BLOCK = 1 << 22
"""Bytes that are looked at at a time: what is noted of a letter takes up to eight."""
_NEWLINE, _RETURN, _QUOTE, _BACKSLASH = 10, 13, 34, 92


class Quoting(Enum):
    """What a quotation mark in the file is."""

    LITERAL = "a letter like any other"
    DOUBLED = "opens and closes a value, and is doubled inside one"
    ESCAPED = "opens and closes a value, and has a backslash before it inside one"


def find_quoting(path: Path, data: bytes | pa.Buffer, sep: str, ledger: Ledger) -> Quoting:
    """What quotation marks are, by all of them. Raises UserError with the line where they make no sense."""
    letters = np.frombuffer(data, dtype=np.uint8)
    number = sum(map(len, _marks(letters)))
    if not number:
        return Quoting.LITERAL
    lines_agree = has_one_width(data, sep)
    if _is_matched(letters, ord(sep)):
        # lines that agree as they stand have no line break inside a value: what would hold one is two stray marks
        if not (sep == "\t" and lines_agree and _encloses_line_break(letters)):
            return Quoting.DOUBLED
    else:
        bare = sum(map(len, _marks(letters, bare=True)))
        if 0 < bare < number and _is_matched(letters, ord(sep), bare=True):
            return Quoting.ESCAPED
        has_row_a_line, unclosed = _read_loosely(data, sep)
        if has_row_a_line or (unclosed is None and not lines_agree):
            return Quoting.DOUBLED
        if not lines_agree:
            raise UserError(
                f"cannot read {path} as a table: a quotation mark behind line {unclosed:,} is not closed, or closes "
                "too early",
                "double each mark inside a value, or close the value",
            )
    ledger.say(f"quotation marks in {path.name} quote nothing and are kept")
    return Quoting.LITERAL


def has_one_width(data: bytes | pa.Buffer, sep: str) -> bool:
    """Whether every line that is not empty has the same number of separators, quotation marks or not."""
    letters = np.frombuffer(data, dtype=np.uint8)
    width: int | None = None
    separators, length = 0, 0  # of the line that goes on into the next block
    for start in range(0, len(letters) + 1, _BLOCK):
        block = letters[start : start + _BLOCK]
        ends = np.flatnonzero(block == _NEWLINE)
        if start + _BLOCK > len(letters):  # the last line need not end
            ends = np.append(ends, len(block))
        counted = np.searchsorted(np.flatnonzero(block == ord(sep)), ends)
        widths, lengths = np.diff(counted, prepend=0), np.diff(ends, prepend=-1) - 1
        widths[:1] += separators
        lengths[:1] += length
        # a carriage return before the line's end is no letter of it
        lengths = lengths - (letters[np.maximum(start + ends - 1, 0)] == _RETURN)
        found = widths[lengths > 0]
        width = int(found[0]) if width is None and len(found) else width
        if len(found) and (found != width).any():
            return False
        last = int(ends[-1]) + 1 if len(ends) else 0
        separators = int(np.count_nonzero(block[last:] == ord(sep))) + (0 if last else separators)
        length = len(block) - last + (0 if last else length)
    return bool(width)


def _marks(letters: np.ndarray, *, bare: bool = False) -> Iterator[np.ndarray]:
    """Places of the quotation marks, block by block; `bare` ones have no odd number of backslashes before them."""
    slashes = 0  # at the end of the block before
    for start in range(0, len(letters), _BLOCK):
        block = letters[start : start + _BLOCK]
        marks = np.flatnonzero(block == _QUOTE)
        if bare:
            is_slash = block == _BACKSLASH
            others = np.maximum.accumulate(np.where(is_slash, -1, np.arange(len(block))))
            last_other = np.concatenate(([-1], others))  # before each place, and before the next block
            before = np.arange(len(block) + 1) - 1 - last_other
            before[last_other < 0] += slashes
            slashes = int(before[-1])
            marks = marks[before[marks] % 2 == 0]
        yield marks + start


def _is_matched(letters: np.ndarray, sep: int, *, bare: bool = False) -> bool:
    """Whether each mark opens a value, closes one or is doubled inside one.

    In a well-formed file marks open and close by turns: one that opens stands behind a separator, a line break or
    the mark before it (a doubled one), one that closes before these.
    """
    is_edge = np.zeros(256, dtype=bool)
    is_edge[[sep, _NEWLINE, _RETURN, _QUOTE]] = True
    number, previous = 0, -2
    for marks in _marks(letters, bare=bare):
        if not len(marks):
            continue
        before = np.where(marks > 0, letters[marks - 1], _NEWLINE)
        after = np.where(marks + 1 < len(letters), letters[np.minimum(marks + 1, len(letters) - 1)], _NEWLINE)
        opens = (number + np.arange(len(marks))) % 2 == 0
        # a mark before an opening one must be the closing one next to it, not a letter of an unquoted value
        is_doubled = np.concatenate(([previous], marks[:-1])) == marks - 1
        good = np.where(opens, is_edge[before] & ((before != _QUOTE) | is_doubled), is_edge[after])
        if not good.all():
            return False
        number, previous = number + len(marks), int(marks[-1])
    return number % 2 == 0


def _encloses_line_break(letters: np.ndarray) -> bool:
    number = 0
    for start, marks in zip(range(0, len(letters), _BLOCK), _marks(letters), strict=True):
        breaks = np.flatnonzero(letters[start : start + _BLOCK] == _NEWLINE) + start
        if ((np.searchsorted(marks, breaks) + number) % 2 == 1).any():
            return True
        number += len(marks)
    return False


def _read_loosely(data: bytes | pa.Buffer, sep: str) -> tuple[bool, int | None]:
    """Read marks as quoting the values that they open and close, and as letters elsewhere.

    Whether a row stands on each line, all of one width; and the line behind which a mark is not closed, or closes too
    early, None where none is.
    """
    width, rows, last, is_even = 0, 0, 0, True
    with _text(data, "") as text:
        reader = csv.reader(text, delimiter=sep, strict=True)
        try:
            for row in reader:
                if row:
                    width = width or len(row)
                    is_even = is_even and len(row) == width
                    rows, last = rows + 1, reader.line_num
        except csv.Error:
            return False, last
    with _text(data, "\n") as text:
        return is_even and rows > 0 and rows == sum(bool(line.strip("\r\n")) for line in text), None


def _text(data: bytes | pa.Buffer, newline: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(pa.BufferReader(data)), encoding="utf-8", newline=newline)
