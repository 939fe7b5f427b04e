"""Indexes in files: FAISS and usearch. They hold vectors and numbers for ids, and nothing else of their items."""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.bounds import check_memory, shown_bytes
from vecspeak.errors import UserError, first_line, require
from vecspeak.stores.address import Address
from vecspeak.stores.rows import table_of_rows
from vecspeak.tables.ledger import Ledger
from vecspeak.tables.mapped import is_large

_FAISS_HEAD = struct.Struct("<4siq")
"""The kind of an index, the width of its vectors and how many there are."""
_USEARCH_HEAD = struct.Struct("<II")
"""How many vectors there are, and the bytes of one."""


def read_faiss(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """Vectors by their ids, or by their places where the index has none; lossy codes are told.

    Large ones of an index that holds them as they are come in one table, without leaving the file.
    """
    path = address.file
    faiss = require("faiss", "faiss")
    _check_size(path, *_faiss_shape(path), least=1 / 8)
    try:
        # from 1.11 on FAISS maps what lies in a row in the file; an older one reads all
        with _no_vector_over(faiss, path.stat().st_size):
            index = faiss.read_index(str(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
    except (RuntimeError, MemoryError) as error:
        raise UserError(
            f"cannot read {path} as a FAISS index: {first_line(error)}", "check that the file is whole"
        ) from error
    ids = faiss.vector_to_array(index.id_map) if hasattr(index, "id_map") else np.arange(index.ntotal)
    inner = faiss.downcast_index(index.index) if hasattr(index, "id_map") else index
    flat = faiss.downcast_index(inner.storage) if hasattr(inner, "storage") else inner
    if isinstance(flat, faiss.IndexFlat) and is_large(index.ntotal, index.d):
        yield _mapped_table(ids, _FlatNumbers(faiss, index, flat))
        return
    check_memory(path, 4 * index.ntotal * index.d)
    if hasattr(inner, "make_direct_map"):
        try:
            inner.make_direct_map()
        except RuntimeError as error:
            message = (
                f"{path.name} is an inverted index with ids of its own, which does not give its vectors back"
            )
            raise UserError(message, "keep the vectors beside it as .npy") from error
    kind = type(inner).__name__
    if any(code in kind for code in ("PQ", "SQ", "ScalarQuantizer", "LSH", "RaBitQ", "PreTransform")):
        ledger.say(
            f"{path.name} is a {kind}, which holds vectors coarsely: what is read is near them, not them"
        )
    for start in range(0, index.ntotal, batch):
        count = min(batch, index.ntotal - start)
        try:
            vectors = inner.reconstruct_n(start, count)
        except RuntimeError as error:
            raise UserError(
                f"a {kind} does not give its vectors back", "keep the vectors beside it as .npy"
            ) from error
        yield table_of_rows(ids[start : start + count].tolist(), vectors, [], ledger)


def _faiss_shape(path: Path) -> tuple[int, int]:
    """How many vectors an index says that it has, and how wide they are: behind the four letters of its kind."""
    with path.open("rb") as file:
        head = file.read(_FAISS_HEAD.size)
    if len(head) < _FAISS_HEAD.size:
        raise UserError(
            f"cannot read {path} as a FAISS index: it is too short", "check that the file is whole"
        )
    _, width, number = _FAISS_HEAD.unpack(head)
    return number, width


def _check_size(path: Path, number: int, width: int, *, least: float) -> None:
    """Raise UserError where a file says that it has more vectors than its bytes can hold, `least` bytes a vector."""
    size = path.stat().st_size
    if number < 0 or width < 0 or number * least > size:
        raise UserError(
            f"{path} says that it has {number:,} vectors of {width:,} numbers, and has {shown_bytes(size)}",
            "check that the file is whole",
        )


@contextlib.contextmanager
def _no_vector_over(faiss: Any, size: int) -> Iterator[None]:
    """Let FAISS refuse an array that says that it is larger than its file, where its version can."""
    if not hasattr(faiss, "set_deserialization_vector_byte_limit"):
        yield
        return
    before = faiss.get_deserialization_vector_byte_limit()
    faiss.set_deserialization_vector_byte_limit(size)
    try:
        yield
    finally:
        faiss.set_deserialization_vector_byte_limit(before)


class _FlatNumbers:
    """The numbers of a flat index where FAISS holds them; the index lives as long as an array of them."""

    def __init__(self, faiss: Any, index: Any, flat: Any) -> None:
        self.index, self.width = index, flat.d
        numbers = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
        numbers.flags.writeable = False
        self.__array_interface__ = numbers.__array_interface__


def _mapped_table(ids: np.ndarray, numbers: _FlatNumbers) -> pa.Table:
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.asarray(numbers)), numbers.width)
    return pa.table({"id": pa.array(ids.astype(np.int64, copy=False)), "vector": vectors})


def read_usearch(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """Vectors by their keys."""
    path = address.file
    index_module = require("usearch.index", "usearch")
    with path.open("rb") as file:
        head = file.read(_USEARCH_HEAD.size)
    if len(head) == _USEARCH_HEAD.size:
        number, row_bytes = _USEARCH_HEAD.unpack(head)
        _check_size(path, number, row_bytes, least=row_bytes)
    index: Any = index_module.Index.restore(str(path))
    if index is None:
        raise UserError(f"cannot read {path} as a usearch index", "check that the file is whole")
    check_memory(path, 4 * len(index) * index.ndim)
    keys = np.sort(np.asarray(index.keys))
    if str(index.dtype).rsplit(".", 1)[-1].lower() not in ("f32", "f64", "scalarkind.f32"):
        ledger.say(f"{path.name} holds {index.dtype}: what is read is near its vectors, not them")
    for start in range(0, len(keys), batch):
        some = keys[start : start + batch]
        yield table_of_rows(some.tolist(), np.asarray(index.get(some), dtype=np.float32), [], ledger)
