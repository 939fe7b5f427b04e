"""Formats: a Space from foreign files, and to and from our own Parquet file.

A saved space is one Parquet table: `id`, `label`, `vector` (a fixed-size list), then the metadata columns.
The schema's metadata holds, under the key `vecspeak`, JSON with the format's version, the space's name,
encoder and digest. The users of a behavioral space lie beside it (`movies.parquet`, `movies.users.parquet`), and
their header holds the settings of the factorization that made them, under `factors`.

Knows files and columns; knows nothing of how vectors are made or used.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.errors import UserError
from vecspeak.files import replace_file
from vecspeak.spaces.factors import FactorSettings
from vecspeak.spaces.space import RESERVED_COLUMNS, Space
from vecspeak.spaces.tables import (
    as_ids,
    as_texts,
    as_vectors,
    check_file,
    read_parquet,
    read_table,
    read_tensor,
    read_vectors,
    require_column,
    table_beside,
)

FORMAT_VERSION = 1
"""Version of the saved form; files of a newer one are refused."""
TEXT_COLUMN = "text"
"""Metadata column that holds the items' texts, whatever it was called in the file that was read."""
_KEY = b"vecspeak"
_GROUP_BYTES = 32 << 20
"""Bytes of vectors in a group of rows: what a reader's thread holds at a time."""


def read_space(
    path: str | Path,
    *,
    id: str,
    label: str,
    vector: str | None = None,
    text: str | None = None,
    name: str | None = None,
    table: str | Path | None = None,
) -> Space:
    """Read a space from a Parquet or JSONL table, or from vectors (`.npy`, `.safetensors`) beside a table.

    In a table, `vector` names the column of lists. For a file of vectors, row i of the table belongs to
    vector i; the table is the one of the same stem (`table` names another) and `vector` names the tensor
    where there are several. A missing label becomes the id. The text column becomes the metadata column
    "text" (missing texts stay missing); the other columns become metadata under their names, with "_" added
    where a name is taken.
    The space is called `name`, or else after the file. Raises UserError for whatever does not fit.
    """
    path = Path(path)
    is_vectors = path.suffix.lower() in (".npy", ".safetensors")
    source = Path(table or table_beside(path)) if is_vectors else path
    rows = read_table(source, text_columns=[column for column in (id, label, text) if column])
    ids = as_ids(require_column(rows, id, source), id)
    labels = as_texts(require_column(rows, label, source), label)
    return Space(
        name=name or path.stem,
        ids=ids,
        labels=tuple(ids[row] if text is None else text for row, text in enumerate(labels)),
        vectors=_paired_tensor(path, vector, rows) if is_vectors else _vector_column(rows, vector, path),
        metadata=other_columns(
            rows, used=(id, label, None if is_vectors else vector), text=text, source=source
        ),
    )


def other_columns(
    rows: pa.Table, *, used: tuple[str | None, ...], text: str | None = None, source: str | Path = "the table"
) -> pa.Table:
    """The columns of a table that are not used otherwise, as metadata of a space.

    The text column becomes the first, named "text"; names that are taken get a "_".
    """
    taken = set(RESERVED_COLUMNS)
    columns: dict[str, Any] = {}
    if text is not None:
        texts = as_texts(require_column(rows, text, source), text)
        columns[TEXT_COLUMN] = pa.array(texts, type=pa.string())
    for name in rows.column_names:
        if name in used or name == text:
            continue
        free = name
        while free in taken or free in columns:
            free += "_"
        columns[free] = rows.column(name)
    return pa.table(columns)


def save_space(space: Space, path: str | Path, dtype: Literal["float32", "float16"] = "float32") -> None:
    """Write a space to one Parquet file, whole or not at all.

    float16 halves the file and rounds the vectors; the digest in the file is that of the rounded ones, which
    is what loading gives back. Raises UserError when vectors do not fit float16 or the file cannot be
    written.
    """
    _write(space, path, dtype, extra={})


def load_space(path: str | Path) -> Space:
    """Read a space that `save_space` wrote.

    Raises UserError for a missing, broken, changed or plain Parquet file and for a newer format.
    """
    path = Path(path)
    check_file(path)
    try:
        schema = pq.read_schema(path)
        header = _header(schema, path)
        table = read_parquet(path, [name for name in schema.names if name != "vector"])
        vectors = read_vectors(path, "vector", table.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} is not a whole Parquet file", "restore it, or make the space again"
        ) from error
    space = Space(
        name=header["name"],
        ids=as_ids(table.column("id"), "id"),
        labels=as_ids(table.column("label"), "label"),
        vectors=vectors,
        metadata=table.drop_columns(["id", "label"]).replace_schema_metadata(None),
        encoder=header["encoder"],
    )
    if space.digest != header["digest"]:
        raise UserError(
            f"{path} was changed after it was saved: its digest does not match", "make the space again"
        )
    return space


def users_path(path: str | Path) -> Path:
    """Where the users of the space saved at this path lie: `movies.parquet` -> `movies.users.parquet`."""
    return Path(path).with_suffix(".users.parquet")


def save_users(space: Space, users: Space, path: str | Path, settings: FactorSettings | None = None) -> None:
    """Write the users of a behavioral space beside its file at `path`, which is saved first.

    `settings` are those of the factorization, where they are known. Raises UserError when users and items have
    different widths.
    """
    if users.dim != space.dim:
        raise UserError(
            f"users have width {users.dim} and items {space.dim}", "take both from the same factorization"
        )
    items_digest = _saved_header(path).get("digest", space.digest)
    factors = {} if settings is None else {"factors": settings.to_dict()}
    _write(users, users_path(path), "float32", extra={"items_digest": items_digest, **factors})


def load_users(path: str | Path) -> Space | None:
    """The users beside the space saved at `path`, or None when there are none.

    Raises UserError when the users belong to another version of the space.
    """
    beside = users_path(path)
    if not beside.is_file():
        return None
    users = load_space(beside)
    if _saved_header(beside).get("items_digest") != _saved_header(path).get("digest"):
        raise UserError(
            f"the users in {beside} belong to another version of {path}",
            "run vecspeak space factorize again, or remove the file of users",
        )
    return users


def load_factor_settings(path: str | Path) -> FactorSettings | None:
    """The settings that the users beside the space at `path` were made with; None where nobody wrote them down.

    Raises UserError where what is written there is no such thing.
    """
    beside = users_path(path)
    values = _saved_header(beside).get("factors")
    if values is None:
        return None
    try:
        return FactorSettings.from_dict(values)
    except ValueError as error:
        raise UserError(
            f"{beside} is damaged: {error}", "run vecspeak space factorize again, then vecspeak fit"
        ) from error


def _vector_column(rows: pa.Table, vector: str | None, path: Path) -> np.ndarray:
    if vector is None:
        lists = [field.name for field in rows.schema if _is_list(field.type)]
        hint = f"name it: --vector {lists[0]}" if lists else "choose a file that has one"
        raise UserError(f"{path} is a table, and its column of vectors is not named", hint)
    return as_vectors(require_column(rows, vector, path), vector)


def _paired_tensor(path: Path, tensor: str | None, rows: pa.Table) -> np.ndarray:
    vectors = read_tensor(path, tensor)
    if len(vectors) != rows.num_rows:
        raise UserError(
            f"{path} holds {len(vectors)} vectors, but its table has {rows.num_rows} rows",
            "give one row for each vector, in the same order",
        )
    return vectors


def _write(space: Space, path: str | Path, dtype: str, *, extra: dict[str, Any]) -> None:
    saved = _rounded(space) if dtype == "float16" else space
    header = {
        "format_version": FORMAT_VERSION,
        "name": saved.name,
        "encoder": saved.encoder,
        "digest": saved.digest,
        **extra,
    }
    numbers = pa.array(saved.vectors.astype(dtype, copy=False).ravel())
    columns = {
        "id": pa.array(saved.ids),
        "label": pa.array(saved.labels),
        "vector": pa.FixedSizeListArray.from_arrays(numbers, saved.dim),
    }
    columns.update({name: saved.metadata.column(name) for name in saved.metadata.column_names})
    table = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(header).encode()})
    with replace_file(path) as temporary:
        try:
            _write_parquet(table, temporary, rows_a_group=max(1, _GROUP_BYTES // (4 * saved.dim)))
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            raise UserError(f"Parquet cannot hold this metadata: {error}", "drop that column") from error


def _write_parquet(table: pa.Table, path: Path, *, rows_a_group: int) -> None:
    """Vectors as they are, for numbers like these hardly get smaller and take long; the rest compressed."""
    leaves = _leaves(table.schema)
    others = [name for name in leaves if not name.startswith("vector.")]
    pq.write_table(
        table,
        path,
        compression={name: "zstd" if name in others else "none" for name in leaves},
        use_dictionary=others,
        row_group_size=rows_a_group,
        write_page_checksum=True,
    )


def _leaves(schema: pa.Schema) -> list[str]:
    """The columns as Parquet names them: `vector.list.element` for the numbers of `vector`."""
    written = pa.BufferOutputStream()
    with pq.ParquetWriter(written, schema) as writer:
        writer.write_table(schema.empty_table())
    columns = pq.ParquetFile(pa.BufferReader(written.getvalue())).schema
    return [columns.column(index).path for index in range(len(columns))]


def _rounded(space: Space) -> Space:
    with np.errstate(over="ignore"):
        vectors = space.vectors.astype(np.float16).astype(np.float32)
    if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
        raise UserError("some vectors are too large or too small for float16", "save them as float32")
    return replace(space, vectors=vectors)


def _header(schema: pa.Schema, path: Path) -> dict[str, Any]:
    """What the file says of itself, checked."""
    raw = (schema.metadata or {}).get(_KEY)
    if raw is None:
        raise _plain(schema, path)
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


def _plain(schema: pa.Schema, path: Path) -> UserError:
    lists = [field.name for field in schema if _is_list(field.type)]
    others = [name for name in schema.names if name not in lists]
    flags = f"--id {(others or ['COL'])[0]} --label {(others[1:] or others or ['COL'])[0]}"
    return UserError(
        f"{path} is a plain table, not a saved space; its columns are {', '.join(schema.names)}",
        f"say which are which, such as {flags} --vector {(lists or ['COL'])[0]}",
    )


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _saved_header(path: str | Path) -> dict[str, Any]:
    """What a saved space says of itself, unchecked, without reading its vectors; empty when it is not one."""
    try:
        header = json.loads(pq.read_schema(path).metadata[_KEY])
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        return {}
    return header if isinstance(header, dict) else {}
