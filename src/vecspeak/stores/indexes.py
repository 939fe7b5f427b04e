"""Indexes in files: FAISS and usearch. They hold vectors and numbers for ids, and nothing else of their items."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError, first_line, require
from vecspeak.stores.address import Address
from vecspeak.stores.rows import table_of_rows
from vecspeak.tables.ledger import Ledger


def read_faiss(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """Vectors by their ids, or by their places where the index has none; lossy codes are told."""
    path = address.file
    faiss = require("faiss", "faiss")
    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise UserError(
            f"cannot read {path} as a FAISS index: {first_line(error)}", "check that the file is whole"
        ) from error
    ids = faiss.vector_to_array(index.id_map) if hasattr(index, "id_map") else np.arange(index.ntotal)
    inner = faiss.downcast_index(index.index) if hasattr(index, "id_map") else index
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
