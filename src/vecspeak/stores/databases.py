"""Databases that hold vectors in a column: DuckDB, PostgreSQL with pgvector."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from vecspeak.bounds import allowed_memory
from vecspeak.errors import UserError, first_line, require
from vecspeak.stores.address import Address
from vecspeak.stores.rows import Watch, not_there, quoted
from vecspeak.tables.json_rows import table_of
from vecspeak.tables.ledger import Ledger


def _qualified(name: str) -> str:
    """A table's name, with its schema before a dot where one is named."""
    return ".".join(quoted(part) for part in name.split("."))


_ALONE = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "",
}
"""A table may be a view, which else could read other files and addresses of whoever opens it, and fill a disk."""


def read_duckdb(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """All columns of a table, opened to read only."""
    path = address.file
    duckdb = require("duckdb", "duckdb")
    try:
        # a view of the file may read others and make rows without end
        settings = {**_ALONE, "memory_limit": f"{allowed_memory()}B"}
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
        watch = Watch(connection.interrupt)
        try:
            with watch:
                found = connection.sql(f"SELECT * FROM {tables[address.collection]}")
                reader = (
                    found.to_arrow_reader(batch)
                    if hasattr(found, "to_arrow_reader")
                    else found.fetch_arrow_reader(batch)
                )
            while True:
                with Watch(connection.interrupt) as watch:
                    part = next(reader, None)
                if part is None:
                    break
                yield pa.Table.from_batches([part])
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise (watch.too_late(path) if watch.has_passed else _unreadable(path, error)) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"cannot read {path}: {first_line(error)}", "look at the table with its own client")


def read_postgresql(address: Address, batch: int, ledger: Ledger) -> Iterator[pa.Table]:
    """All columns of a table by a cursor of the server, in a transaction that only reads."""
    psycopg = require("psycopg", "pgvector")
    server = urlsplit(f"//{address.host}")
    host, port = server.hostname, server.port
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
