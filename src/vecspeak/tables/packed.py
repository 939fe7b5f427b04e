"""Files that are packed with gzip, zstd or bzip2: what they hold is counted while it is unpacked."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa

from vecspeak.bounds import MemoryGauge

COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""May follow the ending of a table of text or of word vectors, which is then unpacked as it is read."""
_PART = 1 << 22
"""Bytes that are unpacked at a time."""


def bytes_of(path: Path) -> pa.Buffer:
    """A file's bytes, unpacked where its ending says that they are packed; else mapped.

    Raises UserError where they are more than half of the memory that is allowed: a table of them takes as much again.
    """
    if path.suffix.lower() not in COMPRESSED:
        if not path.stat().st_size:
            return pa.py_buffer(b"")
        return pa.memory_map(str(path)).read_buffer()
    gauge, found = MemoryGauge(path), pa.BufferOutputStream()
    with pa.input_stream(str(path), compression=COMPRESSED[path.suffix.lower()]) as stream:
        while part := stream.read(_PART):
            gauge.add(2 * len(part))
            found.write(part)
    return found.getvalue()


class _CountedStream(io.RawIOBase):
    """What a packed file holds, as long as it is no more than is allowed."""

    def __init__(self, path: Path, packed: str) -> None:
        self._stream = pa.input_stream(str(path), compression=packed)
        self._gauge = MemoryGauge(path)

    def readable(self) -> bool:
        return True

    def readinto(self, given: Any) -> int:
        number = int(self._stream.readinto(given))
        self._gauge.add(number)
        return number

    def close(self) -> None:
        self._stream.close()
        super().close()


def unpacked(path: Path) -> io.BufferedReader:
    """The bytes of a file, unpacked as they are read where its ending says that they are packed."""
    packed = COMPRESSED.get(path.suffix.lower())
    return io.BufferedReader(_CountedStream(path, packed)) if packed else path.open("rb")
