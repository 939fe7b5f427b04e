"""Rows: ids, labels, vectors and other columns of a table or of a file of vectors, before they are a space.

Rows without a usable vector are left out and told in a ledger; everything else is kept as it is written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError, listed
from vecspeak.spaces.header import plain_table
from vecspeak.tables.cells import to_python
from vecspeak.tables.columns import (
    ReadVectors,
    as_ids,
    as_labels,
    check_unique,
    is_list,
    other_columns,
    require_column,
    select_vectors,
)
from vecspeak.tables.convert import own, unusable
from vecspeak.tables.delimited import TextFormat
from vecspeak.tables.files import (
    holds_vectors,
    no_table_beside,
    paired,
    parquet_parts,
    read_table,
    read_vectors_of,
    table_beside,
    table_name,
    tensor_name,
)
from vecspeak.tables.ledger import Ledger
from vecspeak.tables.mapped import LateVectors, take_rows
from vecspeak.tables.names import Names
from vecspeak.tables.parquet import StoredVectors

_BYTES = 4096
"""Rows that are looked at to see whether they hold bytes."""


def as_list(given: Any) -> str | list[str]:
    """A column's name, or the names of several: of a list, a range or an index of pandas.

    >>> as_list("v"), as_list(range(2))
    ('v', ['0', '1'])
    """
    if isinstance(given, str):
        return given
    if isinstance(given, Iterable):
        return [str(one) for one in given]
    return str(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns are what."""

    id: str | None = None
    label: str | None = None
    vector: str | Sequence[str] | None = None
    text: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that are read as they are written."""
        return tuple(one for one in (self.id, self.label, self.text) if one)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableRows:
    """What a space is made of."""

    ids: Names
    labels: Names
    vectors: Any
    """[N, D] float32, or what makes them when they are first used."""
    metadata: pa.Table
    id_column: str
    name: str = ""
    """What they come from is called."""


def read_rows(
    path: Path | str,
    columns: Columns,
    *,
    table: str | Path | None,
    form: TextFormat,
    unpack_bits: bool,
    ledger: Ledger,
) -> TableRows:
    """The rows of a table, of a collection at an address, or of vectors with the table that says what they belong to.

    Raises UserError for whatever does not fit.
    """
    if isinstance(path, str):
        return _rows_of_store(path, columns, table, form, unpack_bits, ledger)
    found = _rows_of_file(path, columns, table, form, unpack_bits, ledger)
    return replace(found, name=table_name(path))


def _rows_of_file(
    path: Path,
    columns: Columns,
    table: str | Path | None,
    form: TextFormat,
    unpack_bits: bool,
    ledger: Ledger,
) -> TableRows:
    """The rows of a table, or of vectors with a table."""
    is_table_of_text = path.suffix.lower() == ".txt" and (form.sep or form.columns or not form.header)
    if path.is_dir() or not holds_vectors(path) or is_table_of_text:
        if (stored := _stored(path, columns, unpack_bits)) is not None:
            return _rows_of_stored(path, stored, columns, ledger)
        rows = read_table(path, text_columns=columns.names, form=form, ledger=ledger)
        return rows_of_table(rows, columns, path, unpack_bits=unpack_bits, ledger=ledger)
    beside = Path(table) if table else table_beside(path)
    if beside is not None and columns.id is None:  # told before the vectors are read
        found = read_table(beside, form=form, ledger=ledger)
        raise plain_table(found.schema, beside, with_vectors=False)
    rows = None
    if beside is not None:
        rows = read_table(beside, text_columns=columns.names, form=form, ledger=ledger)
        as_ids(
            require_column(rows, str(columns.id), beside), str(columns.id)
        )  # told before a mistake in the vectors
    held = read_vectors_of(path, tensor_name(path, columns.vector))
    if rows is None:
        if not held.columns:
            raise no_table_beside(path)
        rows = pa.table(dict(held.columns))
        if absent := [one for one in columns.names if one not in rows.column_names]:
            there = listed(rows.column_names)
            raise UserError(
                f"{path} has no column {absent[0]!r}; it has vectors and {there}, and no table beside it",
                "leave `id`, `label` and `text` out, or name a `table` that has them",
            )
        columns = replace(columns, id=columns.id or rows.column_names[0])
        beside = path
    elif held.columns:
        keys = next(iter(held.columns.values()))
        if _share_names(keys, rows, str(columns.id)):
            rows = _joined(path, keys, rows, str(columns.id), ledger)
    vectors = paired(path, held.vectors, rows)
    columns = replace(columns, label=columns.label or columns.id, vector=None)
    assert beside is not None
    return _usable(rows, ReadVectors(vectors, None, {}), columns, (), beside, unpack_bits, ledger)


def _stored(path: Path, columns: Columns, unpack_bits: bool) -> StoredVectors | None:
    """The vectors of a table of Parquet, where they are large and everything is named that they need."""
    if columns.id is None or columns.vector is None or unpack_bits:
        return None
    try:
        parts = parquet_parts(path)
        return StoredVectors.of(parts, columns.vector) if parts else None
    except (pa.ArrowException, OSError, UnicodeDecodeError):  # which reading the table tells
        return None


def _rows_of_stored(path: Path, stored: StoredVectors, columns: Columns, ledger: Ledger) -> TableRows:
    """The rows of a large table of Parquet, whose vectors are converted when they are first used.

    Rows without a usable vector are known from the conversion on: the first use raises UserError where there are some,
    and whoever opens the table then has it without them.
    """
    rows = read_table(path, ledger=ledger, without=stored.names)
    assert columns.id is not None
    ids = as_ids(require_column(rows, columns.id, path), columns.id)
    columns = replace(columns, label=columns.label or columns.id)
    done = stored.converted()
    if done is not None:
        bad = sorted({row for which in done.left_out.values() for row in which})
        kept = np.delete(np.arange(len(ids)), bad) if bad else None
        vectors = done.vectors if kept is None else take_rows(done.vectors, kept)
        found = ReadVectors(vectors, kept, done.left_out)
        return _usable(rows, found, columns, (), path, False, ledger)

    def make() -> np.ndarray:
        made = stored.convert()
        for why, bad in made.left_out.items():
            named = listed((repr(ids[row]) for row in bad), 5)
            raise UserError(
                f"{len(bad):,} of {len(ids):,} rows of {path} have {why} (ids {named})",
                "open it again: they are left out from now on",
            )
        return made.vectors

    _say_of_bytes(stored.head(), ledger)
    return _finished(rows, ids, LateVectors(stored.shape, make), columns, (), path, ledger)


def _rows_of_store(
    address: str,
    columns: Columns,
    table: str | Path | None,
    form: TextFormat,
    unpack_bits: bool,
    ledger: Ledger,
) -> TableRows:
    """The rows of a collection; with a table, that table's rows of its ids."""
    from vecspeak.stores.registry import read_store  # clients that nobody waits for who opens a file

    rows, found = read_store(address, ledger=ledger)
    lists = [field.name for field in rows.schema if is_list(field.type)]
    vector = columns.vector or (lists[0] if lists else None)
    if table is None:
        first = "id" if "id" in rows.column_names else None
        columns = replace(columns, id=columns.id or first, vector=vector)
        made = rows_of_table(rows, columns, str(found), unpack_bits=unpack_bits, ledger=ledger)
        return replace(made, name=found.name)
    if columns.id is None:
        raise UserError(
            "a table of the items is given, and its column of ids is not named", "name it with `id`"
        )
    items = read_table(table, text_columns=columns.names, form=form, ledger=ledger)
    vectors, _ = select_vectors(rows, vector, str(found))
    names = rows.column("id" if "id" in rows.column_names else rows.column_names[0]).combine_chunks()
    kept = names if vectors.rows is None else names.take(pa.array(vectors.rows))
    joined = _joined(found.name, kept, items, columns.id, ledger)
    columns = replace(columns, label=columns.label or columns.id, vector=None)
    held = ReadVectors(vectors.vectors, None, {})
    return replace(_usable(joined, held, columns, (), table, unpack_bits, ledger), name=found.name)


def rows_of_table(
    rows: pa.Table, columns: Columns, source: str | Path, *, unpack_bits: bool = False, ledger: Ledger
) -> TableRows:
    """The rows of a table by its columns."""
    if columns.id is None or (columns.vector is None and columns.label is None):
        raise plain_table(rows.schema, source)
    # a mistake in the ids is told before one in the vectors
    ids = as_ids(require_column(rows, columns.id, source), columns.id)
    found, used = select_vectors(rows, columns.vector, source, ids)
    columns = replace(columns, label=columns.label or columns.id)
    return _usable(rows, found, columns, used, source, unpack_bits, ledger)


def _share_names(keys: pa.Array, rows: pa.Table, id: str) -> bool:
    """Whether vectors and a table are joined by their names: not where they share none and have as many."""
    known = as_ids(rows.column(id), id)
    return len(keys) != rows.num_rows or bool((known.find(_names_of(keys)) >= 0).any())


def _names_of(keys: pa.Array) -> Names:
    return as_ids(pa.chunked_array([keys]), "of the vectors' names")


def _joined(source: str | Path, keys: pa.Array, rows: pa.Table, id: str, ledger: Ledger) -> pa.Table:
    """The table's row of each vector, by the vectors' names and the table's ids.

    Raises UserError where none is there. Vectors without a row, and rows without a vector, are told.
    """
    names = _names_of(keys)
    ids = as_ids(require_column(rows, id, "the table"), id)
    check_unique(ids, f"in the column {id!r}")
    found = ids.find(names)
    is_found = found >= 0
    missing = names.take(np.flatnonzero(~is_found))
    if len(missing) == len(names):
        raise UserError(
            f"none of the {len(names):,} vectors of {source} is in the table: they are called such as {names[0]!r}, "
            f"its column {id!r} holds {ids[0]!r}",
            "name the column that holds their names",
        )
    if missing:
        ledger.say(
            f"{len(missing):,} of {len(names):,} vectors are in no row of the table (ids {listed(missing, 5)})"
        )
    without = np.delete(np.arange(len(ids)), found[is_found])
    ledger.leave_out("no vector", ids.take(without), of=len(ids))
    taken = rows.take(pa.array(found, pa.int64(), mask=~is_found))
    return taken.set_column(taken.column_names.index(id), id, names.array)


def _usable(
    rows: pa.Table,
    found: ReadVectors,
    columns: Columns,
    used: tuple[str, ...],
    source: str | Path,
    unpack_bits: bool,
    ledger: Ledger,
) -> TableRows:
    """The rows that have a vector which lies somewhere; the others are told."""
    assert columns.id is not None and columns.label is not None
    ids = as_ids(require_column(rows, columns.id, source), columns.id)
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and its row is left out
        given = np.asarray(found.vectors).astype(np.float32, copy=False)
    vectors = _unpacked(given) if unpack_bits else given
    if not unpack_bits:
        _say_of_bytes(vectors, ledger)
    kept = np.arange(len(ids)) if found.rows is None else found.rows
    left_out = {why: [ids[row] for row in which] for why, which in found.left_out.items()}
    bad = unusable(vectors)
    for why, odd in bad.items():
        left_out[why] = [ids[kept[row]] for row in odd]
    for why, named in left_out.items():
        ledger.leave_out(why, named, of=len(ids))
    if bad:
        good = np.ones(len(vectors), dtype=bool)
        good[[row for which in bad.values() for row in which]] = False
        vectors, kept = take_rows(vectors, np.flatnonzero(good)), kept[good]
    if len(kept) < len(ids):
        if not len(kept):
            raise UserError(f"no row of {source} has a vector", "; ".join(ledger.lines))
        rows = rows.drop_columns([one for one in used if one not in columns.names]).take(pa.array(kept))
        ids = ids.take(kept)
    return _finished(rows, ids, vectors, columns, used, source, ledger)


def _finished(
    rows: pa.Table,
    ids: Names,
    vectors: np.ndarray | LateVectors,
    columns: Columns,
    used: tuple[str, ...],
    source: str | Path,
    ledger: Ledger,
) -> TableRows:
    """Labels and metadata of the rows that are kept."""
    assert columns.id is not None and columns.label is not None
    used = (columns.id, columns.label, *used)
    metadata = other_columns(rows, used=used, text=columns.text, source=source, ledger=ledger)
    if columns.text is not None:
        ledger.say_of_texts(to_python(metadata.column("text"), "text"))
    return TableRows(
        ids=ids,
        labels=ids
        if columns.label == columns.id
        else as_labels(require_column(rows, columns.label, source), columns.label, ids),
        vectors=vectors,
        metadata=metadata,
        id_column=columns.id,
    )


def _say_of_bytes(vectors: np.ndarray, ledger: Ledger) -> None:
    """Tell where numbers look like packed bits: whole, over the whole range of a byte, and evenly spread."""
    part = vectors[:_BYTES]
    if not len(part) or not np.isfinite(part).all() or (part != np.round(part)).any():
        return
    low, high = float(part.min()), float(part.max())
    is_byte = (low >= 0 and 127 < high <= 255) or (-128 <= low < -64 and 64 < high <= 127)
    middle = part + 128 if low < 0 else part
    spread = float(((middle >= 64) & (middle < 192)).mean())
    if is_byte and 0.35 < spread < 0.65:
        ledger.say(
            f"vectors are whole numbers from {low:g} to {high:g}, read as they are: bits packed into bytes "
            f"({8 * vectors.shape[1]:,} of them) are read with `unpack_bits`"
        )


def _unpacked(vectors: np.ndarray) -> np.ndarray:
    """[N, 8D] of -1 and 1 from bytes 0 to 255, or -128 to 127. Raises UserError for other numbers."""
    if (vectors != np.round(vectors)).any() or vectors.min() < -128 or vectors.max() > 255:
        raise UserError("vectors are no bytes, so there are no bits to unpack", "leave `unpack_bits` out")
    numbers = vectors + 128 if vectors.min() < 0 else vectors
    bits = np.unpackbits(numbers.astype(np.uint8), axis=1)
    return own(bits.astype(np.float32) * 2 - 1)
