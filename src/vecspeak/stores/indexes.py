"""Indexes in files: FAISS and usearch. They hold vectors and numbers for ids, and nothing else of their items."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError, first_line, require
from vecspeak.stores.address import Address
from vecspeak.stores.rows import table_of_rows
from vecspeak.tables.ledger import Ledger
from vecspeak.tables.mapped import is_large


def read_faiss(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """Vectors by their ids, or by their places where the index has none; lossy codes are told.

    Large ones of an index that holds them as they are come in one table, without leaving the file.
    """
    path = address.file
    faiss = require("faiss", "faiss")
    try:
        # from 1.11 on FAISS maps what lies in a row in the file; an older one reads all
        index = faiss.read_index(str(path), getattr(faiss, "IO_FLAG_MMAP_IFC", 0))
    except RuntimeError as error:
        raise UserError(
            f"cannot read {path} as a FAISS index: {first_line(error)}", "check that the file is whole"
        ) from error
    ids = faiss.vector_to_array(index.id_map) if hasattr(index, "id_map") else np.arange(index.ntotal)
    inner = faiss.downcast_index(index.index) if hasattr(index, "id_map") else index
    flat = faiss.downcast_index(inner.storage) if hasattr(inner, "storage") else inner
    if isinstance(flat, faiss.IndexFlat) and is_large(index.ntotal, index.d):
        yield _mapped_table(ids, _FlatNumbers(faiss, index, flat))
        return
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
    index: Any = index_module.Index.restore(str(path))
    if index is None:
        raise UserError(f"cannot read {path} as a usearch index", "check that the file is whole")
    keys = np.sort(np.asarray(index.keys))
    if str(index.dtype).rsplit(".", 1)[-1].lower() not in ("f32", "f64", "scalarkind.f32"):
        ledger.say(f"{path.name} holds {index.dtype}: what is read is near its vectors, not them")
    for start in range(0, len(keys), batch):
        some = keys[start : start + batch]
        yield table_of_rows(some.tolist(), np.asarray(index.get(some), dtype=np.float32), [], ledger)
