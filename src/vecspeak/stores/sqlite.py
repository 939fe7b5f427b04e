"""SQLite: vectors as bytes in a column, or a `vec0` table of sqlite-vec."""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.bounds import MemoryGauge
from vecspeak.errors import UserError, first_line
from vecspeak.stores.address import Address
from vecspeak.stores.rows import Watch, not_there, quoted
from vecspeak.tables.json_rows import table_of
from vecspeak.tables.ledger import Ledger

_INSTALL = "pip install 'vecspeak[sqlite-vec]'"
_VECTOR = re.compile(r"[\"'`\[]?(\w+)[\"'`\]]?\s+(float|f32|int8|i8|bit)\s*\[\s*\d+\s*\]", re.IGNORECASE)
"""A vector column of a `vec0` table, as it is declared."""
_KINDS = {"float": "<f4", "f32": "<f4", "int8": "i1", "i8": "i1", "bit": "u1"}


_LONGEST_CELL, _BATCH_BYTES, _A_CELL = 1 << 27, 1 << 26, 8
"""Bytes of a cell that SQLite reads, of a batch of rows, and of a number."""


def read_sqlite(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """All columns of a table; bytes of one length everywhere are float32, as sqlite-vec keeps them."""
    path = address.file
    connection = _plain_connection(path)
    watch: Watch | None = None
    try:
        query = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'view')"
        tables = dict(connection.execute(query).fetchall())
        if address.collection not in tables:
            raise not_there("table", address.collection, tables, path)
        declared = str(tables[address.collection])
        columns, kinds = "*", {}
        if re.search(r"using\s+vec0", declared, re.IGNORECASE):
            connection.close()
            connection = _with_vec0(path)
            kinds = {name: _KINDS[kind.lower()] for name, kind in _VECTOR.findall(declared)}
            # rowid is the key of a table that declares no other, and cannot be asked for in one that does
            columns = "*" if re.search(r"primary\s+key", declared, re.IGNORECASE) else "rowid, *"
        with Watch(connection.interrupt) as watch:
            cursor = connection.execute(f"SELECT {columns} FROM {quoted(address.collection)}")
            names = _names(cursor)
        batches = _batches(cursor, batch, path)
        while names:
            with Watch(connection.interrupt) as watch:
                rows = next(batches, None)
            if rows is None:
                break
            held = (
                _plain(column, kinds.get(name))
                for name, column in zip(names, zip(*rows, strict=True), strict=True)
            )
            objects = [dict(zip(names, row, strict=True)) for row in zip(*held, strict=True)]
            yield table_of(objects, (), ledger, path, dated=False)
    except UserError:
        raise
    except Exception as error:  # those of sqlite3 and of apsw have no class in common
        if not isinstance(error, sqlite3.Error) and not type(error).__module__.startswith("apsw"):
            raise
        if watch is not None and watch.has_passed:
            raise watch.too_late(path) from error
        hint = _INSTALL if "vec0" in str(error) else "check that it is an SQLite database"
        raise UserError(f"cannot read {path}: {first_line(error)}", hint) from error
    finally:
        connection.close()


def _names(cursor: Any) -> list[str]:
    """The columns of a query that was begun; APSW does not name those of one without rows."""
    try:
        return [one[0] for one in cursor.description]
    except Exception as error:
        if type(error).__name__ != "ExecutionCompleteError":
            raise
        return []


def _batches(cursor: Iterable[tuple[Any, ...]], batch: int, path: Path) -> Iterator[list[tuple[Any, ...]]]:
    """Rows in batches, which end earlier where cells are long; counted, for a view may make rows without end."""
    gauge = MemoryGauge(path)
    rows, held = [], 0
    for row in cursor:
        size = sum(len(one) if isinstance(one, str | bytes) else _A_CELL for one in row)
        gauge.add(size)
        rows.append(row)
        held += size
        if len(rows) == batch or held > _BATCH_BYTES:
            yield rows
            rows, held = [], 0
    if rows:
        yield rows


def _plain_connection(path: Path) -> Any:
    connection = sqlite3.connect(_uri(path), uri=True)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_CELL)
    return connection


def _uri(path: Path) -> str:
    return f"{path.resolve().as_uri()}?mode=ro"


def _with_vec0(path: Path) -> Any:
    """A connection that knows `vec0` tables: Python's own where it loads extensions, which many do not, else APSW's.

    Raises UserError where neither can.
    """
    try:
        import sqlite_vec
    except ImportError as error:
        raise UserError(f"tables of sqlite-vec in {path} need it installed", _INSTALL) from error
    if hasattr(sqlite3.Connection, "enable_load_extension"):
        connection = _plain_connection(path)
        connection.enable_load_extension(True)
        sqlite_vec.load(connection)
        connection.enable_load_extension(False)
        return connection
    try:
        import apsw
    except ImportError as error:
        raise UserError(
            f"this Python's SQLite loads no extensions, and {path} needs one", _INSTALL
        ) from error
    connection = apsw.Connection(_uri(path), flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, _LONGEST_CELL)
    connection.enable_load_extension(True)
    connection.load_extension(sqlite_vec.loadable_path())
    connection.enable_load_extension(False)
    return connection


def _plain(values: Sequence[Any], kind: str | None = None) -> Sequence[Any]:
    """A column of SQLite, its bytes as numbers of the declared kind, or of the one that they can be.

    That is float32 or float64; other bytes are given in hexadecimal digits.
    """
    held = [one for one in values if isinstance(one, bytes)]
    if not held:
        return values
    kinds = [
        name for name, size in (("<f4", 4), ("<f8", 8)) if all(one and len(one) % size == 0 for one in held)
    ]
    kind = kind or next((name for name in kinds if _is_likely(held, name)), None)
    return [
        one if not isinstance(one, bytes) else np.frombuffer(one, dtype=kind).tolist() if kind else one.hex()
        for one in values
    ]


def _is_likely(held: Sequence[bytes], kind: str) -> bool:
    """Whether bytes read so are numbers as vectors have them: of another kind they are huge, tiny or none."""
    numbers = np.abs(np.frombuffer(b"".join(held), dtype=kind).astype(np.float64))
    usual = (numbers == 0) | ((numbers > 1e-9) & (numbers < 1e9))
    zeros = (numbers == 0).mean()
    return bool(usual.mean() > 0.98 and zeros < 0.4)
