"""Databases that hold vectors in a column: DuckDB, SQLite with sqlite-vec, PostgreSQL with pgvector."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.bounds import MemoryGauge, allowed_memory
from vecspeak.errors import UserError, first_line, require
from vecspeak.stores.address import Address
from vecspeak.stores.rows import not_there
from vecspeak.tables.json_rows import table_of
from vecspeak.tables.ledger import Ledger

_LONGEST_CELL, _BATCH_BYTES, _A_CELL = 1 << 27, 1 << 26, 8
"""Bytes of a cell that SQLite reads, of a batch of rows, and of a number."""


def quoted(name: str) -> str:
    """A name as SQL writes it, its own marks doubled, so that nothing in it is run.

    >>> quoted("items")
    '"items"'
    """
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _qualified(name: str) -> str:
    """A table's name, with its schema before a dot where one is named."""
    return ".".join(quoted(part) for part in name.split("."))


def read_duckdb(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """All columns of a table, opened to read only."""
    path = address.file
    duckdb = require("duckdb", "duckdb")
    try:
        # a view of the file may read others and make rows without end
        settings = {"enable_external_access": "false", "memory_limit": f"{allowed_memory()}B"}
        connection = duckdb.connect(str(path), read_only=True, config=settings)
    except duckdb.Error as error:
        message = f"cannot read {path} as a DuckDB database: {first_line(error)}"
        raise UserError(message, "close what writes to it") from error
    with connection:
        query = "SELECT table_schema, table_name FROM information_schema.tables"
        tables = {
            name if schema == "main" else f"{schema}.{name}": f"{quoted(schema)}.{quoted(name)}"
            for schema, name in connection.execute(query).fetchall()
        }
        if address.collection not in tables:
            raise not_there("table", address.collection, tables, path)
        found = connection.sql(f"SELECT * FROM {tables[address.collection]}")
        reader = (
            found.to_arrow_reader(batch)
            if hasattr(found, "to_arrow_reader")
            else found.fetch_arrow_reader(batch)
        )
        for part in reader:
            yield pa.Table.from_batches([part])


def read_sqlite(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """All columns of a table; bytes of one length everywhere are float32, as sqlite-vec keeps them."""
    path = address.file
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_CELL)
        _load_sqlite_vec(connection)
        query = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'view')"
        tables = dict(connection.execute(query).fetchall())
        if address.collection not in tables:
            raise not_there("table", address.collection, tables, path)
        is_virtual = "using vec0" in str(tables[address.collection]).lower()
        columns = "rowid, *" if is_virtual else "*"
        cursor = connection.execute(f"SELECT {columns} FROM {quoted(address.collection)}")
        names = [one[0] for one in cursor.description]
        for rows in _batches(cursor, batch, path):
            columns_of = [_plain(column) for column in zip(*rows, strict=True)]
            objects = [dict(zip(names, row, strict=True)) for row in zip(*columns_of, strict=True)]
            yield table_of(objects, (), ledger, path, dated=False)
    except sqlite3.Error as error:
        hint = (
            "pip install 'vecspeak[sqlite-vec]'"
            if "vec0" in str(error)
            else "check that it is an SQLite database"
        )
        raise UserError(f"cannot read {path}: {first_line(error)}", hint) from error
    finally:
        connection.close()


def _batches(cursor: sqlite3.Cursor, batch: int, path: Path) -> Iterator[list[tuple[Any, ...]]]:
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


def _load_sqlite_vec(connection: sqlite3.Connection) -> None:
    """Let SQLite read tables of sqlite-vec, where that is installed and this Python can load it."""
    try:
        import sqlite_vec

        connection.enable_load_extension(True)
        sqlite_vec.load(connection)
        connection.enable_load_extension(False)
    except (ImportError, AttributeError, sqlite3.Error):
        return


def _plain(values: Sequence[Any]) -> Sequence[Any]:
    """A column of SQLite; bytes as the numbers that they can be, float32 or float64, else in hexadecimal digits."""
    held = [one for one in values if isinstance(one, bytes)]
    if not held:
        return values
    kinds = [
        kind for kind, size in (("<f4", 4), ("<f8", 8)) if all(one and len(one) % size == 0 for one in held)
    ]
    kind = next((kind for kind in kinds if _is_likely(held, kind)), "")
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


def read_postgresql(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """All columns of a table by a cursor of the server, in a transaction that only reads."""
    psycopg = require("psycopg", "pgvector")
    host, _, port = address.host.partition(":")
    try:
        connection = psycopg.connect(
            host=address.option("host") or host or None,
            port=port or None,
            dbname=address.path.strip("/") or None,
            user=address.user or None,
            password=address.password or address.key or None,
        )
    except psycopg.Error as error:
        raise UserError(
            f"cannot open {address}: {first_line(error)}", "check server, user and password"
        ) from error
    with connection:
        connection.read_only = True
        known = "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema NOT IN "
        tables = [
            row[0] for row in connection.execute(f"{known} ('pg_catalog', 'information_schema')").fetchall()
        ]
        name = address.collection if "." in address.collection else f"public.{address.collection}"
        if not address.collection or name not in tables:
            raise not_there(
                "table", address.collection, (one.removeprefix("public.") for one in tables), address
            )
        with connection.cursor(name="vecspeak") as cursor:
            cursor.itersize = batch
            cursor.execute(f"SELECT * FROM {_qualified(name)}")
            while rows := cursor.fetchmany(batch):
                names = [one.name for one in cursor.description]
                objects = [dict(zip(names, map(_sent, row), strict=True)) for row in rows]
                yield table_of(objects, (), ledger, address, dated=False)


def _sent(value: Any) -> Any:
    """A value of PostgreSQL: what is no plain number, text or list, such as a UUID or a date, as it is written."""
    if value is None or isinstance(value, str | bool | int | float | list | dict):
        return value
    return str(value)
