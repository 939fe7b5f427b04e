"""What a saved space says of itself: the header of its Parquet file."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from vecspeak.errors import UserError, listed
from vecspeak.tables.columns import RESERVED_COLUMNS, is_list, vectors_there

FORMAT_VERSION = 1
"""Version of the saved form; files of a newer one are refused."""
HEADER_KEY = b"vecspeak"


def saved_header(schema: pa.Schema, path: Path) -> dict[str, Any]:
    """What the file says of itself, checked."""
    raw = (schema.metadata or {}).get(HEADER_KEY)
    if raw is None:
        raise plain_table(schema, path)
    try:
        header = json.loads(raw)
        version, expected = header["format_version"], {"name": str, "digest": str, "encoder": str | None}
        damaged = (
            not isinstance(version, int)
            or version <= FORMAT_VERSION
            and (
                any(not isinstance(header[key], kind) for key, kind in expected.items())
                or any(name not in schema.names for name in RESERVED_COLUMNS)
            )
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error
    if damaged:
        raise _damaged(path)
    if version > FORMAT_VERSION:
        raise UserError(
            f"{path} has format {version}, and this vecspeak reads formats up to {FORMAT_VERSION}",
            "pip install --upgrade vecspeak",
        )
    return header


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is a damaged space: what it says of itself is broken", "make the space again")


class PlainTableError(UserError):
    """A table without the head of a saved space stands where a space is wanted."""


def plain_table(schema: pa.Schema, path: str | Path, *, with_vectors: bool = True) -> PlainTableError:
    """The error that says of a table which columns it has and how they are named as ids, labels and vectors."""
    others = [field.name for field in schema if not is_list(field.type)]
    named = f"id={(others or ['COLUMN'])[0]!r}, label={(others[1:] or others or ['COLUMN'])[0]!r}"
    named += f", vector={vectors_there(schema) or repr('COLUMN')}" if with_vectors else ""
    return PlainTableError(
        f"{path} is a plain table, not a saved space; its columns are {listed(schema.names, 20)}",
        f"say which are which, such as {named}",
    )
