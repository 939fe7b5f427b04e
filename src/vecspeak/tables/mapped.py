"""Vectors too large to be copied into memory: they stay in files and are mapped, so that the system may let them go.

A file that holds float32 one row after the other is mapped as it is. What is packed otherwise, as Parquet is, is
converted once, into the cache; the least recently used conversions go where they take too much room.
"""

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak.bounds import shown_bytes
from vecspeak.errors import UserError
from vecspeak.storage import cache_folder, read_json, recover_all, replace_file, write_json
from vecspeak.tables.convert import own

LARGE_BYTES = 1 << 29
"""Bytes of float32 from which vectors are mapped."""
_MOST_BYTES = 64 << 30
"""Bytes of all conversions in the cache."""
_BLOCK_BYTES = 8 << 20
_ELSEWHERE = "free some space, or set VECSPEAK_CACHE to a folder on another disk"

Rows = Mapping[str, list[int]]
"""Rows without a usable vector, by what is wrong with them."""
Put = Callable[[int, np.ndarray], None]
"""Takes a row and a block of vectors from there on."""


def is_large(num_rows: int, width: int) -> bool:
    """Whether as many vectors are mapped instead of copied."""
    return 4 * num_rows * width >= LARGE_BYTES


def mapped(path: Path, shape: tuple[int, int], offset: int = 0) -> np.ndarray:
    """[N, D] float32 of a file that holds them from `offset` on, read-only and not in memory."""
    return own(np.asarray(np.memmap(path, dtype="<f4", mode="r", offset=offset, shape=shape)))


def check_whole(vectors: np.ndarray) -> None:
    """Raise UserError where the file of mapped vectors was cut since: who reads what is gone is ended by the system."""
    held: Any = vectors
    while held is not None and not isinstance(held, np.memmap):
        held = getattr(held, "base", None)
    file = getattr(held, "_mmap", None)
    if held is not None and file is not None and file.size() < held.offset + held.nbytes:
        named = held.filename or "a file of vectors"
        raise UserError(f"{named} was cut after it was opened", "make it whole, and open it again")


def take_rows(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[M, D] copy of these rows: in memory, or where it is large in a file that is gone with the array."""
    if not is_large(len(rows), vectors.shape[1]):
        return own(vectors[rows])
    step = max(1, _BLOCK_BYTES // (4 * vectors.shape[1]))
    with _explained(), tempfile.TemporaryFile(dir=_folder()) as file:
        for start in range(0, len(rows), step):
            file.write(np.ascontiguousarray(vectors[rows[start : start + step]], dtype="<f4").data)
        file.flush()
        shape = (len(rows), vectors.shape[1])
        return own(np.asarray(np.memmap(file, dtype="<f4", mode="r", shape=shape)))


class LateVectors:
    """Vectors [N, D] that are made when they are first used."""

    def __init__(self, shape: tuple[int, int], make: Callable[[], np.ndarray]) -> None:
        self.shape = shape
        self._make = make
        self._made: np.ndarray | None = None
        self._mutex = threading.Lock()

    def array(self) -> np.ndarray:
        """The vectors. Raises what making them raises."""
        with self._mutex:
            if self._made is None:
                self._made = self._make()
            return self._made


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """Vectors that were converted into the cache."""

    vectors: np.ndarray
    """[N, D] float32, mapped; anything in the rows that are left out."""
    left_out: Rows


def find_converted(key: str, shape: tuple[int, int]) -> Converted | None:
    """What was converted under a key; None where nothing was, or it is not whole."""
    path = cache_folder() / "vectors" / f"{key}.f32"
    try:
        if path.stat().st_size != 4 * shape[0] * shape[1]:
            return None
        left_out = read_json(path.with_suffix(".json"))["left_out"]
        with contextlib.suppress(OSError):  # a cache that may only be read
            os.utime(path)
        return Converted(mapped(path, shape), left_out)
    except (OSError, UserError, KeyError, TypeError):
        return None


def convert(key: str, shape: tuple[int, int], write: Callable[[Put], Rows]) -> Converted:
    """Vectors of this shape in the cache, as `write` puts them there; the rows that it returns are left out.

    Raises UserError where the cache cannot be written.
    """
    with _explained():
        path = _folder() / f"{key}.f32"
        _make_room(path.parent, 4 * shape[0] * shape[1])
        _check_disk(path.parent, 4 * shape[0] * shape[1])
        with replace_file(path) as temporary, temporary.open("r+b") as file:
            file.truncate(4 * shape[0] * shape[1])

            def put(row: int, block: np.ndarray) -> None:
                data = np.ascontiguousarray(block, dtype="<f4").data.cast("B")
                at = 4 * shape[1] * row
                while data:
                    written = os.pwrite(file.fileno(), data, at)
                    data, at = data[written:], at + written

            left_out = write(put)
        write_json(path.with_suffix(".json"), {"left_out": left_out})
    return Converted(mapped(path, shape), left_out)


def _folder() -> Path:
    folder = cache_folder() / "vectors"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """A full disk is told with what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(f"large vectors cannot be kept in {cache_folder()}: {error}", _ELSEWHERE) from error
    except UserError as error:
        if "cannot write" in error.message:
            raise UserError(error.message, _ELSEWHERE) from error
        raise


def _check_disk(folder: Path, size: int) -> None:
    """Raise UserError where a disk has no room for a file, before hours are spent on filling it."""
    free = shutil.disk_usage(folder).free
    if size > free:
        needed = f"{shown_bytes(size)} are needed and {shown_bytes(free)} are free"
        raise UserError(f"large vectors cannot be kept in {folder}: {needed}", _ELSEWHERE)


def _make_room(folder: Path, size: int) -> None:
    """Remove what kills left and the least recently used; who has one mapped keeps it."""
    recover_all(folder)
    found = [(one.stat().st_mtime, one.stat().st_size, one) for one in folder.glob("*.f32")]
    total = size + sum(held for _, held, _ in found)
    for _, held, one in sorted(found):
        if total <= _MOST_BYTES:
            return
        total -= held
        one.unlink(missing_ok=True)
        one.with_suffix(".json").unlink(missing_ok=True)
