"""Files of tables and of vectors by their endings: what a space is read from, before it is one."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from glob import glob, has_magic
from itertools import takewhile
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.bounds import MemoryGauge, check_memory, check_plain
from vecspeak.errors import UserError, check_path, did_you_mean, first_line, listed
from vecspeak.tables.arrays import ARRAY_ENDINGS, WORD_ENDINGS, Vectors, read_vectors_file
from vecspeak.tables.arrays import read_array as _read_array
from vecspeak.tables.delimited import TextFormat, read_delimited, typed
from vecspeak.tables.footers import check_messages
from vecspeak.tables.json_rows import read_json
from vecspeak.tables.ledger import Ledger
from vecspeak.tables.packed import COMPRESSED, bytes_of
from vecspeak.tables.pandas_types import spelled_out
from vecspeak.tables.parquet import read_parquet
from vecspeak.tables.shared import check_shared

_CSV = {".csv": ",", ".tsv": "\t"}
_RECBOLE = (".inter", ".item", ".user", ".itememb", ".useremb")
_JSON = (".jsonl", ".ndjson", ".json")
_PARQUET = (".parquet", ".pq")
_ARROW = (".arrow", ".feather", ".ipc")
TABLE_SUFFIXES = (*_CSV, *_RECBOLE, *_JSON, *_PARQUET, *_ARROW)
"""Endings of files that hold a table."""
_ARROW_START = 8
"""Bytes before the stream in Arrow's file form."""
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""What stands in a folder's name where a row has no value."""
_ELSEWHERE = {
    ".xlsx": "save the sheet as CSV (UTF-8)",
    ".xls": "save the sheet as CSV (UTF-8)",
    ".pkl": "a pickle can run code and is never opened: frame.to_parquet(PATH), or np.save(PATH, array)",
    ".pickle": "a pickle can run code and is never opened: frame.to_parquet(PATH), or np.save(PATH, array)",
    ".h5": "np.save(PATH, file[NAME][:]) of its data set, with a table of the rows beside it",
    ".hdf5": "np.save(PATH, file[NAME][:]) of its data set, with a table of the rows beside it",
    ".faiss": "give its address: faiss:///FOLDER/NAME.faiss",
    ".index": "give its address: faiss:///FOLDER/NAME.index",
    ".usearch": "give its address: usearch:///FOLDER/NAME.usearch",
    ".duckdb": "give its address: duckdb:///FOLDER/NAME.duckdb?table=TABLE",
    ".db": "give its address: sqlite:///FOLDER/NAME.db?table=TABLE",
    ".sqlite": "give its address: sqlite:///FOLDER/NAME.sqlite?table=TABLE",
    ".mat": "np.save(PATH, scipy.io.loadmat(FILE)[NAME])",
    ".avro": "frame.to_parquet(PATH) of it",
    ".orc": "pq.write_table(pyarrow.orc.read_table(FILE), PATH)",
}
"""What to type for files that are not read."""


def table_ending(path: str | Path) -> str:
    """The ending that says what a file holds, in lower case; that of a packed one without ".gz".

    >>> table_ending("views.csv.gz"), table_ending("items.parquet")
    ('.csv', '.parquet')
    """
    path = Path(path)
    suffix = path.suffix.lower()
    inner = Path(path.stem).suffix.lower()
    return inner if suffix in COMPRESSED and inner in _PACKABLE else suffix


_PACKABLE = (*_CSV, *_RECBOLE, *_JSON, *WORD_ENDINGS)


def table_name(path: str | Path) -> str:
    """What a file is called without its endings: "views" of views.csv.gz."""
    path = Path(path)
    if has_magic(path.name):
        return path.parent.name or "space"
    return Path(path.stem).stem if table_ending(path) != path.suffix.lower() else path.stem


def holds_vectors(path: str | Path) -> bool:
    """Whether a file's ending says that it holds vectors, and not a table."""
    return table_ending(path) in (*ARRAY_ENDINGS, *WORD_ENDINGS)


def read_table(
    path: str | Path,
    *,
    text_columns: Sequence[str] = (),
    form: TextFormat | None = None,
    ledger: Ledger | None = None,
    without: Sequence[str] = (),
) -> pa.Table:
    """Read a table by its file's ending: one file, or a folder or a pattern of Parquet and Arrow files, in their order.

    The text columns are read as they are written: "007" stays "007". RecBole's headers `name:type` become
    `name`. Of Parquet the columns `without` are not read. What was guessed stands in the ledger afterwards.
    Raises UserError for a missing, broken or empty file, an unknown ending, columns of the same name, and more
    memory than is allowed.
    """
    path = check_path("path", path)
    form, ledger = form or TextFormat(), ledger if ledger is not None else Ledger()
    try:
        if _is_of_parts(path):
            table = _read_parts(path, parts_of(path, ledger), without)
        else:
            check_file(path)
            table = _read_any(path, tuple(text_columns), form, ledger, without)
        repeated = [name for name, count in Counter(table.column_names).items() if count > 1]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"cannot read {path} as a table: {first_line(error)}", "check that it is whole and its format"
        ) from error
    if repeated:
        raise UserError(f"{path} has several columns named {repeated[0]!r}", "rename all but one of them")
    if table.num_rows == 0:
        raise UserError(f"{path} holds no rows", "give a table with one row or more")
    return spelled_out(table)


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
    check_plain(path, "write it to a file first: a table is read more than once")


def read_tensor(path: Path, tensor: str | None = None) -> np.ndarray:
    """A 2-d array of a file of vectors; raises UserError for broken files and other shapes.

    A file with several needs the name of one.
    """
    return read_vectors_of(path, tensor).vectors


def read_vectors_of(path: Path, name: str | None = None) -> Vectors:
    """Vectors of a file, with the columns that it has for them; `name` is that of one array of several."""
    check_file(path)
    return read_vectors_file(path, name)


def read_array(path: Path) -> np.ndarray:
    """An array of any shape from a `.npy` file. Raises UserError for a missing or broken file, never unpickles."""
    check_file(path)
    return _read_array(path)


def table_beside(path: Path) -> Path | None:
    """The table of the same stem beside a file of vectors; None where there is none.

    Raises UserError where there are several.
    """
    texts = (*_CSV, ".jsonl", ".ndjson", ".json")
    packed = [suffix + end for suffix in texts for end in COMPRESSED]
    endings = (*texts, *_PARQUET, *_ARROW, *packed)
    found = [path.with_suffix(suffix) for suffix in endings if path.with_suffix(suffix).is_file()]
    found = [one for one in found if one != path]
    if len(found) > 1:
        names = listed((one.name for one in found), 5)
        raise UserError(
            f"several tables lie beside {path}: {names}", f"name one with `table`, such as {found[0].name}"
        )
    return found[0] if found else None


def no_table_beside(path: Path) -> UserError:
    """The error for vectors of which nothing else is known."""
    return UserError(
        f"{path} holds vectors only, and there is no table of the same name beside it",
        f"put {path.stem}.csv or {path.stem}.jsonl beside it, one row a vector, or name the table",
    )


def _read_any(
    path: Path, as_written: tuple[str, ...], form: TextFormat, ledger: Ledger, without: Sequence[str]
) -> pa.Table:
    suffix = table_ending(path)
    if suffix in _PARQUET:
        return _without(path, without)
    if suffix in _ARROW:
        return _read_arrow(path)
    if suffix in _JSON:
        return read_json(path, bytes_of(path), as_written=as_written, ledger=ledger)
    if suffix in _RECBOLE:
        return _read_recbole(path, as_written, form, ledger)
    if suffix in _CSV or form.sep or form.columns or not form.header:
        return read_delimited(
            path,
            bytes_of(path),
            form=form,
            usual=_CSV.get(suffix, "\t"),
            as_written=as_written,
            ledger=ledger,
        )
    if suffix in _ELSEWHERE:
        raise UserError(f"{path} is not read as it is", _ELSEWHERE[suffix])
    there_are = ", ".join((*TABLE_SUFFIXES, *ARRAY_ENDINGS, *WORD_ENDINGS))
    raise UserError(
        f"{path} has an unknown ending; give a file that ends in {there_are}; those of text may be packed "
        f"({', '.join(COMPRESSED)})",
        "name what separates the columns of another table of text with `sep`",
    )


def _read_recbole(path: Path, as_written: tuple[str, ...], form: TextFormat, ledger: Ledger) -> pa.Table:
    """Columns `name:type` under their names: tokens are text, a float_seq is the numbers of a vector."""
    table = read_delimited(
        path, bytes_of(path), form=form, usual="\t", as_written=None, quotes=False, ledger=ledger
    )
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):  # two may have one name
        bare, _, kind = name.partition(":")
        is_text = kind in ("token_seq", "float_seq") or bare in as_written
        columns.append(column if is_text else typed(column))
    return pa.table(columns, names=[name.partition(":")[0] for name in table.column_names])


def _read_arrow(path: Path) -> pa.Table:
    """Arrow's file and stream forms, and Feather, which are told apart by their first letters.

    A file is a stream between its first eight bytes and its footer. Nothing in it is believed: places of texts that lie
    elsewhere end a process that follows them.
    """
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"FEA1"):
        import pyarrow.feather

        check_memory(path, path.stat().st_size)
        table = pyarrow.feather.read_table(path)
    else:
        start = _ARROW_START if magic == b"ARROW1" else 0
        with pa.memory_map(str(path)) as packed:
            packed.seek(start)
            check_messages(packed, path)
        with pa.OSFile(str(path)) as stream:
            stream.seek(start)
            table = pa.ipc.open_stream(stream).read_all()
    table.validate()
    check_shared(table, path)
    table.validate(full=True)
    return table


def parquet_parts(path: Path) -> list[Path]:
    """The Parquet files that a table is made of, in the order of their rows; none where it is not of Parquet alone."""
    if not _is_of_parts(path):
        return [path] if path.suffix.lower() in _PARQUET and path.is_file() else []
    parts = parts_of(path, Ledger())
    return parts if all(one.suffix.lower() in _PARQUET for one in parts) else []


def _without(path: Path, names: Sequence[str]) -> pa.Table:
    if not names:
        return read_parquet(path)
    return read_parquet(path, [name for name in pq.read_schema(path).names if name not in names])


def _is_of_parts(path: Path) -> bool:
    return path.is_dir() or (has_magic(str(path)) and not path.exists())


def parts_of(source: Path, ledger: Ledger) -> list[Path]:
    """The files of a folder, or of a pattern, that are parts of one table, in the order of their names.

    Raises UserError where there is none.
    """
    found = (
        list(source.rglob("*"))
        if source.is_dir()
        else [Path(one) for one in glob(str(source), recursive=True)]
    )
    is_hidden = {
        one for one in found if any(part[:1] in "._" for part in one.relative_to(_root(source)).parts)
    }
    readable = {*_PARQUET, *_ARROW}
    parts = [
        one for one in found if one.is_file() and one not in is_hidden and one.suffix.lower() in readable
    ]
    if not parts:
        kinds = ", ".join(sorted(readable))
        raise UserError(
            f"{source} holds no parts of a table ({kinds})"
            if source.is_dir()
            else f"no file is like {source}",
            "give a file, a folder of Parquet files, or a pattern such as 'parts/*.parquet'",
        )
    others = [one.name for one in found if one.is_file() and one not in is_hidden and one not in parts]
    if others:
        ledger.say(
            f"{len(others):,} files of {source} are no parts and are left out: {listed(sorted(others), 3)}"
        )
    return sorted(parts, key=lambda one: natural_key(str(one)))


def _read_parts(source: Path, parts: Sequence[Path], without: Sequence[str]) -> pa.Table:
    """One table of many files; folders called KEY=VALUE are columns. UserError where the files have other columns."""
    tables, gauge = [], MemoryGauge(source)
    for part in parts:
        table = _without(part, without) if part.suffix.lower() in _PARQUET else _read_arrow(part)
        gauge.add(table.nbytes)
        for folder in part.relative_to(_root(source)).parts[:-1]:
            key, is_key, value = folder.partition("=")
            if is_key and key not in table.column_names:
                known = None if value == _NO_VALUE else unquote(value)
                table = table.append_column(key, pa.array([known] * table.num_rows, pa.string()))
        tables.append(_decoded(table.replace_schema_metadata(None)))
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(
            f"the {len(tables)} parts of {source} do not fit together: {first_line(error)}",
            "give them alike columns",
        ) from error


def _decoded(table: pa.Table) -> pa.Table:
    """Categories by their values, which another part may hold as plain text."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(field.type.value_type))
    return table


def natural_key(name: str) -> list[tuple[int, str]]:
    """Sorts names with numbers as people do: part-2 before part-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _root(source: Path) -> Path:
    """The folder that parts are named from."""
    if source.is_dir():
        return source
    return Path(*takewhile(lambda part: not has_magic(part), source.parts))


def tensor_name(path: Path, tensor: str | Sequence[str] | None) -> str | None:
    """The name of one array. Raises UserError for a list of columns."""
    if not isinstance(tensor, str | None):
        raise UserError(f"{path} holds the vectors, and `vector` names columns", "leave `vector` out")
    return tensor


def paired(path: Path, vectors: np.ndarray, rows: pa.Table) -> np.ndarray:
    """The vectors; UserError where the table has another number of rows."""
    if len(vectors) != rows.num_rows:
        raise UserError(
            f"{path} holds {len(vectors)} vectors, but its table has {rows.num_rows} rows",
            "give one row for each vector, in the same order",
        )
    return vectors
