"""Names: the ids or labels of a space in Arrow's memory, read like a tuple of texts.

Five million take 60 to 100 MB, where Python's texts take 400 and a dictionary of their rows as much again. Up to
`SMALL` a dictionary answers which row bears a name. Of more the first look-ups go through all, some 10 ms for five
million; many look-ups make an index of hashes first, which takes 12 bytes a name.
"""

import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError
from vecspeak.tables.cells import cell, to_python
from vecspeak.tables.spelling import folded

SMALL = 100_000
"""Names that a dictionary is made of."""
_SCANS = 64
"""Look-ups by going through all names, before an index is made."""
_MOST_DIGITS = 20
"""Digits of a row; of some thousand Python makes no number."""
_BLOCK = 1 << 16
"""Names that become Python's at a time."""
_MOST_BYTES = 2**31 - 1
"""Bytes of text that 32-bit offsets reach."""
_ODD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFF51AFD7ED558CCD)


class Names(Sequence[str]):
    """N texts that never change: a sequence that is equal to, and hashes as, the tuple of them.

    >>> names = Names.of(["a", "b", "a"])
    >>> names == ("a", "b", "a"), names[1:], names.rows_of("a"), list(Names.numbered(2))
    (True, Names('b', 'a'), [0, 2], ['0', '1'])
    """

    __slots__ = ("_array", "_index", "_numbers", "_repeated", "_row_lists", "_scans")

    def __init__(self, texts: pa.Array | pa.ChunkedArray | range) -> None:
        """Strings without gaps, or a range whose digits are the names, which takes no memory."""
        self._numbers = texts if isinstance(texts, range) else None
        self._array = None if isinstance(texts, range) else _one_array(texts)
        self._row_lists: dict[str, list[int]] | None = None
        self._index: tuple[np.ndarray, np.ndarray] | None = None
        self._repeated: frozenset[str] | None = None
        self._scans = 0

    @classmethod
    def of(cls, texts: Iterable[str], what: str = "names") -> "Names":
        """Names of Python's texts. Raises UserError for half of a letter, which no file holds."""
        try:
            return cls(pa.array(texts if isinstance(texts, list | tuple) else list(texts), pa.string()))
        except UnicodeEncodeError as error:
            raise UserError(
                f"{what} hold half of a letter (a surrogate): {error}", "write them again as UTF-8"
            ) from error

    @classmethod
    def numbered(cls, number: int) -> "Names":
        """Row numbers as names: "0" to "N-1"."""
        return cls(range(number))

    @property
    def array(self) -> pa.Array:
        """The names as Arrow's strings; made anew of row numbers."""
        if self._array is None:
            assert self._numbers is not None
            return pa.array(np.asarray(self._numbers, dtype=np.int64)).cast(pa.string())
        return self._array

    # --- as a tuple ---

    def __len__(self) -> int:
        return len(self.array) if self._numbers is None else len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> "Names": ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            if self._numbers is not None:
                return Names(self._numbers[place])
            return self.take(np.arange(len(self))[place])
        if self._numbers is not None:
            return str(self._numbers[place])
        return cell(self._array, operator.index(place))

    def __iter__(self) -> Iterator[str]:
        if self._numbers is not None:
            yield from map(str, self._numbers)
            return
        for start in range(0, len(self), _BLOCK):
            yield from to_python(self._array.slice(start, _BLOCK))  # type: ignore[union-attr]

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and bool(self.rows_of(text))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Names):
            if self is other or (self._numbers is not None and self._numbers == other._numbers):
                return True
            mine, theirs = self.array, other.array
            if (
                mine.type != theirs.type
            ):  # a cast imports pyarrow.compute, which a first answer need not wait for
                theirs = theirs.cast(mine.type)
            return len(self) == len(other) and bool(mine.equals(theirs))
        if not isinstance(other, tuple | list):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:3]))
        return f"Names({shown}{f', ... {len(self):,}' if len(self) > 3 else ''})"

    def index(self, text: str, start: int = 0, stop: int | None = None) -> int:
        """The first row of a name from `start` to before `stop`. Raises ValueError where there is none."""
        inside = range(len(self))[start:stop]
        for row in self.rows_of(text):
            if row in inside:
                return row
        raise ValueError(f"{text!r} is no name here")

    def count(self, text: str) -> int:
        """How many rows bear a name."""
        return len(self.rows_of(text))

    # --- rows ---

    def take(self, rows: Any) -> "Names":
        """The names of these rows, in this order."""
        return Names(self.array.take(pa.array(np.asarray(rows, dtype=np.int64))))

    def rows_of(self, text: str) -> list[int]:
        """The rows of exactly this name, ascending."""
        if self._numbers is not None:
            is_number = len(text) <= _MOST_DIGITS and text.isascii() and text.removeprefix("-").isdigit()
            number = int(text) if is_number else -1
            return [self._numbers.index(number)] if str(number) == text and number in self._numbers else []
        if len(self) <= SMALL:
            return list(self._by_name().get(text, ()))
        try:
            wanted = pa.array([text], self.array.type)
        except UnicodeEncodeError:  # half of a letter, which no name has
            return []
        if self._index is None and self._scans < _SCANS:
            self._scans += 1
            return _rows_where(_compute().equal(self._array, wanted[0]))
        hashes, rows = self._hashed()
        first, last = (np.searchsorted(hashes, _hashes(wanted), side=side)[0] for side in ("left", "right"))
        return sorted(row for row in rows[first:last].tolist() if self[row] == text)

    def rows_folded(self, text: str) -> list[int]:
        """The rows of this name in whatever case and composition of letters, ascending."""
        wanted = folded(text)
        if self._numbers is not None or len(self) <= SMALL:
            return [row for row, name in enumerate(self) if folded(name) == wanted]
        compute = _compute()
        is_ascii = compute.string_is_ascii(self._array)
        rows = _rows_where(compute.and_(is_ascii, compute.equal(compute.ascii_lower(self._array), wanted)))
        others = _rows_where(compute.invert(is_ascii))
        return sorted(rows + [row for row in others if folded(self[row]) == wanted])

    def find(self, texts: Sequence[str]) -> np.ndarray:
        """[M] int64: the first row of each of M names, -1 where none bears it."""
        texts = list(texts)
        if self._numbers is not None or len(self) <= SMALL or len(texts) <= _SCANS:
            return np.fromiter((next(iter(self.rows_of(text)), -1) for text in texts), np.int64, len(texts))
        try:
            wanted = pa.array(texts, self.array.type)
        except UnicodeEncodeError:  # half of a letter, which no name has
            known = [text.encode("utf-8", "ignore").decode() == text for text in texts]
            found = np.full(len(texts), -1, np.int64)
            found[known] = self.find([text for text, is_known in zip(texts, known, strict=True) if is_known])
            return found
        # one index instead of scans, and all names at once: one by one a million takes minutes
        hashes, rows = self._hashed()
        first, last = (np.searchsorted(hashes, _hashes(wanted), side=side) for side in ("left", "right"))
        found = rows[np.minimum(first, len(rows) - 1)].astype(np.int64)
        same = _compute().equal(self.array.take(pa.array(found)), wanted).to_numpy(zero_copy_only=False)
        found[(last == first) | ~same] = -1
        for place in np.flatnonzero(last - first > 1):  # several rows of one hash: of one name, or of several
            found[place] = next(iter(self.rows_of(texts[place])), -1)
        return found

    def repeated(self) -> frozenset[str]:
        """The names that several rows bear."""
        if self._repeated is None:
            self._repeated = frozenset(self._repeats())
        return self._repeated

    def _repeats(self) -> Iterator[str]:
        if self._numbers is not None:
            return
        if len(self) <= SMALL:
            yield from (text for text, rows in self._by_name().items() if len(rows) > 1)
            return
        hashes = _hashes(self.array)
        ordered = np.sort(hashes)
        alike = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        if len(alike):  # names of one hash need not be the same
            counts = Counter(self.take(np.flatnonzero(np.isin(hashes, alike))))
            yield from (text for text, count in counts.items() if count > 1)

    def _by_name(self) -> dict[str, list[int]]:
        if self._row_lists is None:
            found: dict[str, list[int]] = {}
            for row, text in enumerate(self):
                found.setdefault(text, []).append(row)
            self._row_lists = found
        return self._row_lists

    def _hashed(self) -> tuple[np.ndarray, np.ndarray]:
        """[N] hashes, ascending, and the row of each."""
        if self._index is None:
            hashes = _hashes(self.array)
            order = np.argsort(hashes)
            rows = order.astype(np.uint32) if len(self) < 2**32 else order
            self._index = hashes[order], rows
        return self._index


def _compute() -> Any:
    import pyarrow.compute  # a slow import, which a small space never needs

    return pyarrow.compute


def _rows_where(mask: pa.Array) -> list[int]:
    return np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist()


def _one_array(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array of strings, with wide offsets where there is more text than narrow ones reach."""
    if texts.null_count:
        raise ValueError("names have gaps")
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        texts = texts.cast(pa.string())
    if not isinstance(texts, pa.ChunkedArray):
        return texts
    if texts.nbytes > _MOST_BYTES:
        texts = texts.cast(pa.large_string())
    return texts.chunk(0) if texts.num_chunks == 1 else texts.combine_chunks()


def _hashes(array: pa.Array) -> np.ndarray:
    """[N] uint64 of N strings, by their bytes, eight at a time: equal strings have equal ones."""
    wide = pa.types.is_large_string(array.type)
    buffers = array.buffers()
    offsets = np.frombuffer(buffers[1], dtype=np.int64 if wide else np.int32)
    offsets = offsets[array.offset : array.offset + len(array) + 1]
    found = np.empty(len(array), dtype=np.uint64)
    for start in range(0, len(array), _BLOCK):
        ends = offsets[start : start + _BLOCK + 1].astype(np.int64)
        size = int(ends[-1] - ends[0])
        part = np.zeros(size + 8, dtype=np.uint8)  # eight more, so that the last word may be read whole
        if size:
            part[:size] = np.frombuffer(buffers[2], np.uint8, size, ends[0])
        found[start : start + _BLOCK] = _block_hashes(part, ends - ends[0])
    return found


def _block_hashes(part: np.ndarray, ends: np.ndarray) -> np.ndarray:
    words = np.ndarray(shape=(len(part) - 7,), dtype="<u8", buffer=part, strides=(1,))  # one at every byte
    starts, lengths = ends[:-1], np.diff(ends)
    hashes = lengths.astype(np.uint64) * _ODD[0]
    rows = np.arange(len(lengths))
    for done in range(0, int(lengths.max(initial=0)), 8):
        rows = rows[lengths[rows] > done]
        left = np.minimum(lengths[rows] - done, 8).astype(np.uint64)
        # what stands behind the end of a text belongs to the next one
        word = words[starts[rows] + done] & (~np.uint64(0) >> (np.uint64(64) - left * np.uint64(8)))
        mixed = (hashes[rows] ^ word) * _ODD[1]
        hashes[rows] = mixed ^ (mixed >> np.uint64(32))
    return hashes
