"""Tables and arrays in files: what a space is read from, before it is one."""

import json
import tokenize
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from vecspeak.errors import UserError, check_path, did_you_mean, listed
from vecspeak.spaces.convert import all_there, own

RESERVED_COLUMNS = ("id", "label", "vector")
"""Columns of a saved space that metadata may not be named after."""
FORMAT_VERSION = 1
"""Version of the saved form; files of a newer one are refused."""
TEXT_COLUMN = "text"
"""Metadata column that holds the items' texts, whatever it was called in the file that was read."""
HEADER_KEY = b"vecspeak"

_CSV = {".csv": ",", ".tsv": "\t"}
_RECBOLE = (".inter", ".item", ".user")
_JSONL = (".jsonl", ".ndjson")
_PARQUET = (".parquet", ".pq")
TABLE_SUFFIXES = (*_CSV, *_RECBOLE, *_JSONL, *_PARQUET)
"""Endings of files that hold a table."""
_COMPRESSED = ".gz"
"""May follow the ending of a table of text, which is then unpacked as it is read."""
_READERS = 2
"""Threads that read groups of rows: more hold more groups in memory."""
_MAPPED = 1 << 20
"""Bytes above which an array's file is mapped, not read."""


def table_ending(path: str | Path) -> str:
    """The ending that says what a file holds, in lower case; that of a packed table without ".gz".

    >>> table_ending("views.csv.gz"), table_ending("items.parquet")
    ('.csv', '.parquet')
    """
    path = Path(path)
    suffix = path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    return inner if suffix == _COMPRESSED and inner in TABLE_SUFFIXES and inner not in _PARQUET else suffix


def table_name(path: str | Path) -> str:
    """What a file is called without its endings: "views" of views.csv.gz."""
    path = Path(path)
    return Path(path.stem).stem if table_ending(path) != path.suffix.lower() else path.stem


def read_table(path: str | Path, *, text_columns: Sequence[str] = (), sep: str | None = None) -> pa.Table:
    """Read a table by its file's ending; `sep` overrides the separator of a CSV.

    The text columns are read as they are written: "007" stays "007". RecBole's headers `name:type` become
    `name`. Raises UserError for a missing, broken or empty file, an unknown ending and columns of the same
    name.
    """
    path = check_path("path", path)
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


def as_path(given: Any) -> Path:
    """The path of a file; UserError, with how a space is made of it, for a frame, an array or anything else."""
    if isinstance(given, str | PathLike):
        return check_path("path", given)
    if isinstance(given, Mapping) or hasattr(given, "columns"):
        way = "pandas" if hasattr(given, "iloc") else "polars" if hasattr(given, "to_arrow") else "arrow"
        hint = f"make it a space first: Space.from_{way}(table, id=COLUMN, vector=COLUMN)"
    else:
        hint = "make vectors a space first: Space.from_arrays(vectors, labels=LABELS)"
    raise UserError(f"a space or the path of a file was expected, got {type(given).__name__}", hint)


def check_file(path: Path) -> None:
    """Raise UserError when there is no such file or it is a folder."""
    check_path("path", path)
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
        # cast imports pyarrow.compute, 0.1 s, which opening a saved space does not wait for
        return (column if pa.types.is_string(column.type) else column.cast(pa.string())).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise UserError(
            f"column {name!r} holds {column.type}, not text", "choose a column of text"
        ) from error


def as_ids(column: pa.ChunkedArray, name: str) -> tuple[str, ...]:
    """Values of a column as ids; raises UserError when some are missing."""
    return all_there(as_texts(column, name), f"column {name!r}")


def check_unique(ids: Sequence[str], where: str = "") -> None:
    """Raise UserError, with some of them and the rows they stand in, where ids occur more than once."""
    rows: dict[str, list[int]] = {item_id: [] for item_id, count in Counter(ids).items() if count > 1}
    if not rows:
        return
    for row, item_id in enumerate(ids):
        if item_id in rows:
            rows[item_id].append(row)
    named = (f"{item_id!r} (rows {listed(found)})" for item_id, found in rows.items())
    spare = sum(map(len, rows.values())) - len(rows)
    raise UserError(
        f"ids must be unique, but {len(rows):,} occur more than once{where and ' '}{where}: {listed(named)}",
        f"choose another id column, or drop {'the repeated row' if spare == 1 else f'the {spare:,} repeated rows'}",
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
        raise _uneven(column, name)
    if not widths[0]:
        raise UserError(f"vectors in column {name!r} are empty lists", "give vectors of width 1 or more")
    parts = [_flat_numbers(chunk).reshape(-1, widths[0]) for chunk in column.chunks if len(chunk)]
    vectors = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return (
        own(vectors) if vectors.flags.writeable else vectors
    )  # what may be written to is no view of Arrow's memory


def _uneven(column: pa.ChunkedArray, name: str) -> UserError:
    """The error that names the first row whose vector is not as wide as most are."""
    found = [len(vector) for vector in column.to_pylist()]
    usual = Counter(found).most_common(1)[0][0]
    row = next(row for row, width in enumerate(found) if width != usual)
    shown = ", ".join(map(str, sorted(set(found))[:5]))
    return UserError(
        f"vectors in column {name!r} have different widths: {shown}; row {row} has {found[row]}",
        f"keep one width: mend or drop the rows that have not {usual}",
    )


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
        return own(first)
    vectors = np.empty((num_rows, first.shape[1]), dtype=np.float32)

    def put(group: int) -> None:
        part = read(group)
        if part.shape[1] != first.shape[1]:
            raise UserError(f"vectors in column {name!r} have different widths", "keep one width")
        vectors[ends[group] - len(part) : ends[group]] = part

    with ThreadPoolExecutor(_READERS) as pool:
        list(pool.map(put, range(len(sizes))))
    return own(vectors)


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
    texts = (*_CSV, *_JSONL)
    packed = [suffix + _COMPRESSED for suffix in texts]
    candidates = [path.with_suffix(suffix) for suffix in (*texts, *_PARQUET, *packed)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UserError(
        f"{path} holds vectors only, and there is no table of the same name beside it",
        f"put {candidates[0].name} or {path.stem}.jsonl beside it, one row a vector, or name the table",
    )


def _read_any(path: Path, text_columns: list[str], sep: str | None) -> pa.Table:
    suffix = table_ending(path)  # Arrow unpacks .gz by itself
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
    raise UserError(
        f"{path} has an unknown ending",
        f"give a file that ends in {', '.join(TABLE_SUFFIXES)}; those of text may be packed ({_COMPRESSED})",
    )


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
    if pa.types.is_fixed_size_list(chunk.type):
        width = chunk.type.list_size
        numbers = chunk.values.slice(chunk.offset * width, len(chunk) * width)
    else:
        numbers = chunk.flatten()
    if numbers.null_count:
        array = numbers.to_numpy(zero_copy_only=False)
    else:  # to_numpy imports pandas where it is installed, and flatten pyarrow.compute: 0.3 s at a first answer
        array = np.from_dlpack(numbers)
        array.flags.writeable = False
    with np.errstate(over="ignore"):  # what overflows becomes infinite, which Space refuses by id
        return array.astype(np.float32, copy=False)


def read_array(path: Path) -> np.ndarray:
    """An array of any shape from a `.npy` file. Raises UserError for a missing or broken file, never unpickles."""
    check_file(path)
    return _read_npy(path)


def _read_npy(path: Path) -> np.ndarray:
    # A large one is mapped, so that one of float64 is never in memory beside its float32.
    mode: Literal["r"] | None = "r" if path.stat().st_size > _MAPPED else None
    try:
        array = np.load(path, allow_pickle=False, mmap_mode=mode)
        if isinstance(array, np.memmap):
            return _copied(array)
        if isinstance(array, np.ndarray):
            return own(array)
        raise ValueError("it is an archive of several arrays")
    except (
        ValueError,
        OSError,
        EOFError,
        ArithmeticError,
        MemoryError,
        SyntaxError,
        tokenize.TokenError,
    ) as error:
        raise _broken(path, error, "a plain .npy array") from error


def _copied(mapped: np.memmap) -> np.ndarray:
    """What lies in the file now, read-only: a space must not change with a file. Numbers become float32."""
    with np.errstate(over="ignore"):
        return own(np.array(mapped, dtype=np.float32 if mapped.dtype.kind in "fiu" else None, order="C"))


def _read_safetensors(path: Path, tensor: str | None) -> np.ndarray:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            name = _choose_tensor(path, {key: file.get_slice(key).get_shape() for key in file.keys()}, tensor)
            return own(np.asarray(file.get_tensor(name)))
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


def vector_column(rows: pa.Table, vector: str | Sequence[str] | None, source: str | Path) -> np.ndarray:
    """[N, D] float32 of the named column of lists, or of D named columns of numbers.

    Raises UserError with the columns that would do where none is named.
    """
    if vector is None:
        found = _vectors_there(rows.schema)
        otherwise = f"name it with vector=COLUMN, or give a .npy of the vectors and table='{source}'"
        hint = f"name it: vector={found}" if found else otherwise
        raise UserError(f"{source} is a table, and its column of vectors is not named", hint)
    if isinstance(vector, str):
        return as_vectors(require_column(rows, vector, source), vector)
    if not vector:
        raise UserError("an empty list of columns is given as vector", "name one column a dimension")
    vectors = np.empty((rows.num_rows, len(vector)), dtype=np.float32)
    for dimension, name in enumerate(vector):  # one after the other: all at once would be a second copy
        vectors[:, dimension] = _numbers(require_column(rows, name, source), name)
    return own(vectors)


def _numbers(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """[N] float32 of a column that is one dimension; UserError for text and for gaps."""
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise UserError(f"column {name!r} holds {kind}, not numbers", "name columns of numbers only")
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise UserError(
            f"column {name!r} has no number in {column.null_count} rows, first in row {row}", "drop them"
        )
    with np.errstate(over="ignore"):  # what overflows becomes infinite, which Space refuses by id
        return column.to_numpy().astype(np.float32, copy=False)


def _vectors_there(schema: pa.Schema) -> str:
    """The vectors of a table as a person would name them: a column of lists, or columns such as d0 to d63."""
    if lists := [field.name for field in schema if is_list(field.type)]:
        return repr(lists[0])
    numbers = [field.name for field in schema if pa.types.is_floating(field.type)]
    return f"[{listed(map(repr, numbers), 2)}]" if len(numbers) > 2 else ""


def paired_tensor(path: Path, tensor: str | Sequence[str] | None, rows: pa.Table) -> np.ndarray:
    """[N, D] of a file of vectors; UserError where its table has another number of rows."""
    if not isinstance(tensor, str | None):
        raise UserError(f"{path} holds the vectors, and `vector` names columns", "leave `vector` out")
    vectors = read_tensor(path, tensor)
    if len(vectors) != rows.num_rows:
        raise UserError(
            f"{path} holds {len(vectors)} vectors, but its table has {rows.num_rows} rows",
            "give one row for each vector, in the same order",
        )
    return vectors


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


def plain_table(schema: pa.Schema, path: str | Path, *, with_vectors: bool = True) -> UserError:
    """The error that says of a table which columns it has and how they are named as ids, labels and vectors."""
    others = [field.name for field in schema if not is_list(field.type)]
    named = f"id={(others or ['COLUMN'])[0]!r}, label={(others[1:] or others or ['COLUMN'])[0]!r}"
    named += f", vector={_vectors_there(schema) or repr('COLUMN')}" if with_vectors else ""
    return UserError(
        f"{path} is a plain table, not a saved space; its columns are {listed(schema.names, 20)}",
        f"say which are which, such as {named}",
    )


def is_list(kind: pa.DataType) -> bool:
    """Whether a column of this type holds lists."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
