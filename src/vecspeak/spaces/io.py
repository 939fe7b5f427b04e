"""Formats: a Space from foreign files, and to and from our own Parquet file.

A saved space is one Parquet table: `id`, `label`, `vector` (a fixed-size list), then the metadata columns.
The schema's metadata holds, under the key `vecspeak`, JSON with the format's version, the space's name,
encoder and digest. The users of a behavioral space lie beside it (`movies.parquet`, `movies.users.parquet`), and
their header holds the settings of the factorization that made them, under `factors`.

Knows files and columns; knows nothing of how vectors are made or used.
"""

import json
import math
import tokenize
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from vecspeak.errors import UserError, did_you_mean
from vecspeak.spaces.space import RESERVED_COLUMNS, Space
from vecspeak.storage import replace_file

_CSV = {".csv": ",", ".tsv": "\t"}
_RECBOLE = (".inter", ".item", ".user")
_JSONL = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
TABLE_SUFFIXES = (*_CSV, *_RECBOLE, *_JSONL, *_PARQUET)
"""Endings of files that hold a table."""
_READERS = 2
"""Threads that read groups of rows: more hold more groups in memory."""
_MAPPED = 1 << 20
"""Bytes above which an array's file is mapped, not read."""


def read_table(path: str | Path, *, text_columns: Sequence[str] = (), sep: str | None = None) -> pa.Table:
    """Read a table by its file's ending; `sep` overrides the separator of a CSV.

    The text columns are read as they are written: "007" stays "007". RecBole's headers `name:type` become
    `name`. Raises UserError for a missing, broken or empty file, an unknown ending and columns of the same
    name.
    """
    path = Path(path)
    check_file(path)
    try:
        table = _read_any(path, list(text_columns), sep)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read {path} as a table: {_first_line(error)}", "check that it is whole and its format"
        ) from error
    repeated = [name for name, count in Counter(table.column_names).items() if count > 1]
    if repeated:
        raise UserError(f"{path} has several columns named {repeated[0]!r}", "rename all but one of them")
    if table.num_rows == 0:
        raise UserError(f"{path} holds no rows", "give a table with one row or more")
    return table


def check_file(path: Path) -> None:
    """Raise UserError when there is no such file or it is a folder."""
    if path.is_dir():
        raise UserError(f"{path} is a folder", "give a file")
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"there is no file {path}", did_you_mean(path.name, siblings, "check the path"))


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read exactly this Parquet file, or some columns, checking page checksums where it has them."""
    return pq.ParquetFile(path, page_checksum_verification=True).read(columns)


def require_column(table: pa.Table, name: str, source: str | Path) -> pa.ChunkedArray:
    """The column of this name, or UserError that names the columns there are and the nearest spelling."""
    if name not in table.column_names:
        there_are = ", ".join(table.column_names)
        hint = did_you_mean(name, table.column_names, "name one of these")
        raise UserError(f"{source} has no column {name!r}; its columns are {there_are}", hint)
    return table.column(name)


def as_texts(column: pa.ChunkedArray, name: str) -> list[str | None]:
    """Values of a column of strings or whole numbers as strings; None where missing.

    Floats that are all whole numbers, which is how some tools write ids with gaps, become whole numbers.
    Raises UserError for lists and other kinds.
    """
    if pa.types.is_floating(column.type):
        try:
            column = column.cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise UserError(
                f"column {name!r} holds fractions where names are needed", "choose another"
            ) from error
    try:
        return column.cast(pa.string()).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise UserError(
            f"column {name!r} holds {column.type}, not text", "choose a column of text"
        ) from error


def as_ids(column: pa.ChunkedArray, name: str) -> tuple[str, ...]:
    """Values of a column as ids; raises UserError when some are missing."""
    texts = as_texts(column, name)
    if not column.null_count:
        return tuple(texts)  # type: ignore[arg-type]  # none is missing
    missing = [row for row, text in enumerate(texts) if text is None]
    raise UserError(
        f"column {name!r} has no value in {len(missing)} rows, first in row {missing[0]}",
        "fill them or drop these rows",
    )


def as_vectors(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """[N, D] float32 from a column of lists of numbers; raises UserError for other kinds, gaps and widths.

    Read-only and without a copy where Arrow holds them just so, else new.
    """
    value_type = getattr(column.type, "value_type", None)
    is_list = value_type is not None and not pa.types.is_dictionary(column.type)
    if not is_list or not (pa.types.is_floating(value_type) or pa.types.is_integer(value_type)):
        raise UserError(
            f"column {name!r} holds {column.type}, not vectors", "choose a column of number lists"
        )
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise UserError(
            f"column {name!r} has no vector in {column.null_count} rows, first in row {row}", "drop them"
        )
    widths = _widths(column)
    if len(widths) != 1:
        shown = ", ".join(str(width) for width in sorted(widths)[:5])
        raise UserError(f"vectors in column {name!r} have different widths: {shown}", "keep one width")
    if not widths[0]:
        raise UserError(f"vectors in column {name!r} are empty lists", "give vectors of width 1 or more")
    parts = [_flat_numbers(chunk).reshape(-1, widths[0]) for chunk in column.chunks if len(chunk)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def read_vectors(path: Path, name: str, num_rows: int) -> np.ndarray:
    """[N, D] float32 of a column of a Parquet file, one group of rows after the other on two threads.

    Beside the result only two groups are in memory. Page checksums are checked where the file has them. Raises
    UserError as `as_vectors` does, and what Arrow raises for a broken file.
    """
    with pq.ParquetFile(path) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    ends = np.cumsum(sizes).tolist()

    def read(group: int) -> np.ndarray:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return as_vectors(file.read_row_group(group, columns=[name], use_threads=False).column(0), name)

    first = read(0)
    if len(sizes) == 1:
        return first
    vectors = np.empty((num_rows, first.shape[1]), dtype=np.float32)

    def put(group: int) -> None:
        part = read(group)
        if part.shape[1] != first.shape[1]:
            raise UserError(f"vectors in column {name!r} have different widths", "keep one width")
        vectors[ends[group] - len(part) : ends[group]] = part

    with ThreadPoolExecutor(_READERS) as pool:
        list(pool.map(put, range(len(sizes))))
    vectors.flags.writeable = False
    return vectors


def read_tensor(path: Path, tensor: str | None = None) -> np.ndarray:
    """A 2-d array from a `.npy` or `.safetensors` file; raises UserError for broken files and other shapes.

    A `.safetensors` with several 2-d tensors needs the name of one.
    """
    check_file(path)
    array = _read_npy(path) if path.suffix == ".npy" else _read_safetensors(path, tensor)
    if array.ndim != 2:
        raise UserError(f"{path} holds an array of shape {list(array.shape)}", "give one of shape [N, D]")
    return array


def table_beside(path: Path) -> Path:
    """The table of the same stem beside a file of vectors; UserError names the files that would do."""
    candidates = [path.with_suffix(suffix) for suffix in (*_CSV, *_JSONL, *_PARQUET)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UserError(
        f"{path} holds vectors only, and there is no table of the same name beside it",
        f"put {candidates[0].name} or {path.stem}.jsonl beside it, one row a vector, or name the table",
    )


def _read_any(path: Path, text_columns: list[str], sep: str | None) -> pa.Table:
    suffix = path.suffix.lower()
    if suffix in _PARQUET:
        return read_parquet(path)
    if suffix in _JSONL:
        return pa_json.read_json(path, read_options=pa_json.ReadOptions(block_size=1 << 24))
    if suffix in _RECBOLE:
        typed = [f"{name}:token" for name in text_columns]
        table = _read_csv(path, typed, sep or "\t", quotes=False)
        return table.rename_columns([name.partition(":")[0] for name in table.column_names])
    if suffix in _CSV or sep:
        return _read_csv(path, text_columns, sep or _CSV[suffix], quotes=True)
    raise UserError(f"{path} has an unknown ending", f"give a file that ends in {', '.join(TABLE_SUFFIXES)}")


def _read_csv(path: Path, text_columns: list[str], sep: str, *, quotes: bool) -> pa.Table:
    parse = pa_csv.ParseOptions(delimiter=sep, quote_char='"' if quotes else False, newlines_in_values=quotes)
    types = {name: pa.string() for name in text_columns}
    return pa_csv.read_csv(
        path, parse_options=parse, convert_options=pa_csv.ConvertOptions(column_types=types)
    )


def _widths(column: pa.ChunkedArray) -> list[int]:
    """The different numbers of values in the lists."""
    if pa.types.is_fixed_size_list(column.type):
        return [column.type.list_size]
    import pyarrow.compute as pc  # a slow import, which a saved space never needs

    return pc.unique(pc.list_value_length(column)).to_pylist()


def _flat_numbers(chunk: pa.Array) -> np.ndarray:
    numbers = chunk.flatten()
    array = numbers.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):  # what overflows becomes infinite, which Space refuses by id
        return array.astype(np.float32, copy=False)


def _read_npy(path: Path) -> np.ndarray:
    # A large one is mapped, so that one of float64 is never in memory beside its float32.
    mode: Literal["r"] | None = "r" if path.stat().st_size > _MAPPED else None
    try:
        array = np.load(path, allow_pickle=False, mmap_mode=mode)
        if isinstance(array, np.memmap):
            return _copied(array)
        if isinstance(array, np.ndarray):
            return array
        raise ValueError("it is an archive of several arrays")
    except (ValueError, OSError, EOFError, MemoryError, SyntaxError, tokenize.TokenError) as error:
        raise _broken(path, error, "a plain .npy array") from error


def _copied(mapped: np.memmap) -> np.ndarray:
    """What lies in the file now, read-only: a space must not change with a file. Numbers become float32."""
    with np.errstate(over="ignore"):
        array = np.array(mapped, dtype=np.float32 if mapped.dtype.kind in "fiu" else None, order="C")
    array.flags.writeable = False
    return array


def _read_safetensors(path: Path, tensor: str | None) -> np.ndarray:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            name = _choose_tensor(path, {key: file.get_slice(key).get_shape() for key in file.keys()}, tensor)
            array = np.asarray(file.get_tensor(name))
            array.flags.writeable = False  # it is ours alone: a space need not copy it
            return array
    except UserError:
        raise
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise _broken(path, error, "safetensors of float16, float32 or float64") from error


def _choose_tensor(path: Path, shapes: dict[str, list[int]], tensor: str | None) -> str:
    if tensor is not None and tensor in shapes:
        return tensor
    tables = [name for name, shape in shapes.items() if len(shape) == 2]
    if tensor is None and len(tables) == 1:
        return tables[0]
    given = f"no tensor {tensor!r}" if tensor is not None else f"{len(tables)} tensors of shape [N, D]"
    hint = did_you_mean(tensor or "", tables, "name the one that holds the vectors")
    raise UserError(f"{path} has {given}; its tensors are {', '.join(shapes) or 'none'}", hint)


def _broken(path: Path, error: Exception, wanted: str) -> UserError:
    return UserError(f"cannot read {path} as {wanted}: {_first_line(error)}", "check that the file is whole")


def _first_line(error: Exception) -> Any:
    return (str(error).splitlines() or [type(error).__name__])[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorSettings:
    """What the equations of one more person need beside the items' vectors; checked when it is made."""

    alpha: float
    """Confidence that each step of rating above a person's own mean adds."""
    regularization: float
    """Added to the diagonal of the equations as it is, however many ratings there are."""
    lowest: float
    """Smallest rating that was given: alpha means something on this scale alone."""
    highest: float
    """Largest rating that was given."""

    def __post_init__(self) -> None:
        for what, number in (("alpha", self.alpha), ("regularization", self.regularization)):
            if not (math.isfinite(number) and number >= 0):
                raise UserError(
                    f"{what} must be 0 or more, and {number} was given", "give a finite number from 0"
                )
        if not (math.isfinite(self.lowest) and math.isfinite(self.highest) and self.lowest <= self.highest):
            raise UserError(
                f"ratings cannot go from {self.lowest:g} to {self.highest:g}", "give the smaller number first"
            )

    def confidences(self, ratings: np.ndarray, means: np.ndarray | float) -> np.ndarray:
        """[R] float64 from ratings [R] and the means [R] of those who gave them: 1 + alpha * max(rating - mean, 0)."""
        above: np.ndarray = np.maximum(np.asarray(ratings, dtype=np.float64) - means, 0)
        return 1.0 + self.alpha * above

    def to_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "FactorSettings":
        """What `to_dict` gave. Raises ValueError for anything else."""
        names = tuple(cls.__dataclass_fields__)
        if not isinstance(values, Mapping) or any(
            type(values.get(name)) not in (int, float) for name in names
        ):
            raise ValueError(f"settings of factors are four numbers ({', '.join(names)})")
        try:
            return cls(**{name: float(values[name]) for name in names})
        except UserError as error:
            raise ValueError(error.message) from error


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A space in a few facts; every field can be written as JSON."""

    name: str
    """What the space is called."""
    num_items: int
    """Number of items."""
    dim: int
    """Width of a vector."""
    encoder: str | None
    """Name of the text encoder that made the vectors; None when unknown."""
    digest: str
    """SHA-256 of the content."""
    norms: tuple[float, float, float]
    """Smallest, middle and largest length of a vector."""
    columns: tuple[str, ...]
    """Metadata columns."""
    num_users: int | None
    """Number of users beside a behavioral space; None where there are none."""


def summarize(space: Space, users: Space | None = None) -> Summary:
    """The facts of a space, and how many users lie beside it."""
    norms = np.linalg.norm(space.vectors, axis=1)
    return Summary(
        name=space.name,
        num_items=space.num_items,
        dim=space.dim,
        encoder=space.encoder,
        digest=space.digest,
        norms=(float(norms.min()), float(np.median(norms)), float(norms.max())),
        columns=tuple(space.metadata.column_names),
        num_users=None if users is None else users.num_items,
    )


def summarize_file(path: str | Path) -> Summary:
    """The facts of the space saved at this path; raises UserError as `load_space` does."""
    return summarize(load_space(path), load_users(path))
