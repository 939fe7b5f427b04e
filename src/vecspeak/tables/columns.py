"""Columns of Arrow tables as what a space needs: ids, labels, texts, vectors and everything else."""

import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError, did_you_mean, first_line, listed
from vecspeak.tables.cells import is_held, to_python, value_of
from vecspeak.tables.convert import all_there, own
from vecspeak.tables.ledger import Ledger
from vecspeak.tables.names import Names
from vecspeak.tables.spelling import free_name

RESERVED_COLUMNS = ("id", "label", "vector")
"""Columns of a saved space that metadata may not be named after."""
TEXT_COLUMN = "text"
"""Metadata column that holds the items' texts, whatever it was called in the file that was read."""
_PANDAS_INDEX = re.compile(r"^__index_level_\d+__$")
_NUMBERED = re.compile(r"^(.*?)(\d+)$")
_BRACKETS, _BETWEEN = r"[\[\](){}]", r"[\s,;|]+"
"""What stands around the numbers of a vector that is written as text, and between them."""
_AMBIGUOUS = (
    (
        r"^[^0-9]*[0-9]+,[0-9]+([\s;|]+-?[0-9]+,[0-9]+)+[^0-9]*$",
        "numbers with decimal commas",
        "write points: 0.5 0.2",
    ),
    (r"[\[({][^\])}]*[\[({]", "lists within lists", "give one list of numbers an item"),
)
"""Texts that may be read in two ways, and what to do about them."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadVectors:
    """The vectors of a column that can be used, and why the others cannot."""

    vectors: np.ndarray
    """[M, D] float32 of the rows that have one."""
    rows: np.ndarray | None
    """[M] which rows these are; None where they are all."""
    left_out: Mapping[str, list[int]]
    """Rows without a usable vector, by what is wrong with them."""


def require_column(table: pa.Table, name: str, source: str | Path) -> pa.ChunkedArray:
    """The column of this name, or UserError that names the columns there are and the nearest spelling."""
    if name not in table.column_names:
        hint = did_you_mean(name, table.column_names, "name one of these")
        there_are = listed(table.column_names, 40)
        raise UserError(f"{source} has no column {name!r}; its columns are {there_are}", hint)
    return table.column(name)


# --- names ---


def as_texts(column: pa.ChunkedArray, name: str) -> list[str | None]:
    """Values of a column as strings, None where missing; see `text_column`."""
    return to_python(text_column(column, name), name)


def text_column(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """A column of strings, whole numbers, UUIDs or dates as strings.

    Floats that are all whole numbers, which is how some tools write ids with gaps, become whole numbers, and NaN is
    missing. Raises UserError for fractions, lists and other kinds.
    """
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column
    if pa.types.is_dictionary(kind):
        try:
            return text_column(column.cast(kind.value_type), name)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:  # such as more than 2 GB of strings
            message = f"column {name!r} holds {kind}, and is not written out: {first_line(error)}"
            raise UserError(message, "write it as large_string") from error
    if pa.types.is_floating(kind):
        return _texts(_whole(column, name))
    if isinstance(kind, pa.UuidType) or (pa.types.is_fixed_size_binary(kind) and kind.byte_width == 16):
        values = to_python(column.cast(kind.storage_type) if isinstance(kind, pa.UuidType) else column, name)
        return _texts([None if one is None else str(uuid.UUID(bytes=one)) for one in values])
    try:
        # cast imports pyarrow.compute, 0.1 s, which opening a saved space does not wait for
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise UserError(f"column {name!r} holds {kind}, not text", "choose a column of text") from error


def _texts(values: Sequence[str | None]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


def _whole(column: pa.ChunkedArray, name: str) -> list[str | None]:
    """Digits of floats that are whole; a float of 1e19 is one, which no int64 holds."""
    found: list[str | None] = []
    for value in to_python(column, name):
        if value is None or value != value:
            found.append(None)
        elif float(value).is_integer():
            found.append(str(int(value)))
        else:
            raise UserError(f"column {name!r} holds fractions where names are needed", "choose another")
    return found


_FEW = 100_000
"""Names that are looked at one by one."""


def as_ids(column: pa.ChunkedArray, name: str) -> Names:
    """Values of a column as ids; raises UserError when some are missing."""
    if pa.types.is_integer(column.type) and not column.null_count and len(column) > 1:
        if np.array_equal(column.to_numpy(), np.arange(len(column))):
            return Names.numbered(len(column))
    texts = text_column(column, name)
    if texts.null_count:
        all_there(to_python(texts, name), f"column {name!r}")
    return Names(texts)


def as_labels(column: pa.ChunkedArray, name: str, ids: Names) -> Names:
    """Values of a column as labels; the id where one is missing or blank."""
    texts = text_column(column, name)
    if len(texts) <= _FEW:  # a loop is quick, and a saved space does not wait for pyarrow.compute
        found = to_python(texts, name)
        if all(one and not one.isspace() for one in found):
            return Names(texts)
        return Names.of(
            [own if not one or one.isspace() else one for own, one in zip(ids, found, strict=True)]
        )
    import pyarrow.compute as pc

    blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts), ""), True)
    if not value_of(pc.any(blank)):
        return Names(texts)
    return Names(pc.if_else(blank, ids.array, texts))


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


# --- vectors ---


def as_vectors(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """[N, D] float32 of a column of vectors. Raises UserError for other kinds, and where a row has none that fits.

    Read-only and without a copy where Arrow holds them just so, else new.
    """
    found = read_vector_column(column, name)
    for why, rows in found.left_out.items():
        shown = f"first in row {rows[0]}"
        raise UserError(f"column {name!r} has {why} in {len(rows)} rows, {shown}", "mend or drop these rows")
    return found.vectors


def read_vector_column(
    column: pa.ChunkedArray, name: str, ids: Sequence[str] = (), width: int | None = None
) -> ReadVectors:
    """The vectors of a column of lists or tensors of numbers, or of text such as "[0.1, 0.2]".

    Rows without a vector, or with one of another `width` (by default that of most), are told as left out.
    Raises UserError for a column of another kind, and for text that is none, with the row and its id.
    """
    numbers = _as_lists(column, name, ids)
    left_out: dict[str, list[int]] = {}
    keep = np.ones(len(numbers), dtype=bool)
    widths = _widths(numbers)
    if numbers.null_count or 0 in widths[1:] or widths[:1] == [0]:
        keep &= ~numbers.is_null().to_numpy() & (widths_of(numbers) > 0)
        if not keep.any() and width is None:
            raise UserError(f"vectors in column {name!r} are empty lists", "give vectors of width 1 or more")
        if not keep.all():
            left_out["no vector"] = np.flatnonzero(~keep).tolist()
        widths = [one for one in widths if one]
    if len(widths) > 1 or (width and widths != [width]):
        usual = width or int(np.bincount(widths_of(numbers)[keep]).argmax())
        odd = keep & (widths_of(numbers) != usual)
        if odd.any():
            left_out[f"a vector of another width than {usual}"] = np.flatnonzero(odd).tolist()
        keep &= ~odd
        widths = [usual]
    if not widths or not widths[0]:
        raise UserError(f"vectors in column {name!r} are empty lists", "give vectors of width 1 or more")
    rows = None if keep.all() else np.flatnonzero(keep)
    kept = numbers if rows is None else numbers.filter(pa.array(keep))
    parts = [_flat_numbers(chunk).reshape(-1, widths[0]) for chunk in kept.chunks if len(chunk)]
    parts = parts or [np.empty((0, widths[0]), dtype=np.float32)]
    vectors = parts[0] if len(parts) == 1 else np.concatenate(parts)
    # what may be written to is no view of Arrow's memory
    return ReadVectors(own(vectors) if vectors.flags.writeable else vectors, rows, left_out)


def _as_lists(column: pa.ChunkedArray, name: str, ids: Sequence[str]) -> pa.ChunkedArray:
    """The column as lists of numbers. Raises UserError for what holds none."""
    kind = column.type
    if isinstance(kind, pa.FixedShapeTensorType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], type=kind.storage_type)
        kind = column.type
    if is_text(kind):
        return _from_text(column, name, ids)
    value = getattr(kind, "value_type", None)
    if value is not None and not pa.types.is_dictionary(kind):
        if pa.types.is_floating(value) or pa.types.is_integer(value):
            is_view = pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind)
            return column.cast(pa.list_(value)) if is_view else column
        if pa.types.is_decimal(value):
            return column.cast(pa.list_(pa.float64()))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        hint = "unpack them first, such as with np.frombuffer(b''.join(column), 'float32')"
        raise UserError(f"column {name!r} holds {kind}, and bytes do not say which numbers they are", hint)
    raise UserError(f"column {name!r} holds {kind}, not vectors", "choose a column of number lists")


def _from_text(column: pa.ChunkedArray, name: str, ids: Sequence[str]) -> pa.ChunkedArray:
    """Lists of numbers from text: JSON, pgvector's, NumPy's and PostgreSQL's arrays, numbers with blanks between.

    Raises UserError with the row of a text that is no vector.
    """
    import pyarrow.compute as pc

    texts = column.cast(pa.string())
    for pattern, what, hint in _AMBIGUOUS:
        if value_of(pc.any(pc.match_substring_regex(texts, pattern))):
            raise UserError(f"column {name!r} holds {what}", hint)
    bare = pc.replace_substring_regex(texts, _BRACKETS, " ")
    bare = pc.utf8_trim_whitespace(pc.replace_substring_regex(bare, _BETWEEN, " "))
    bare = pc.if_else(pc.equal(bare, ""), None, bare)
    parts = pc.split_pattern(bare, " ")
    try:
        return parts.cast(pa.list_(pa.float64()))
    except pa.ArrowInvalid as error:
        for row, text in enumerate(to_python(column, name)):
            if text is not None and not _is_vector(text):
                shown = text if len(text) <= 60 else text[:57] + "..."
                hint = "write all numbers" if "..." in text else "choose a column of vectors"
                where = f"row {row} (id {ids[row]!r})" if ids else f"row {row}"
                message = f"column {name!r} holds text that is no vector in {where}: {shown!r}"
                raise UserError(message, hint) from error
        raise UserError(f"column {name!r} holds text that is no vector", "choose another") from error


def _is_vector(text: str) -> bool:
    parts = re.sub(_BETWEEN, " ", re.sub(_BRACKETS, " ", text)).split()
    try:
        return all(isinstance(float(part), float) and "_" not in part for part in parts)
    except ValueError:
        return False


def widths_of(column: pa.ChunkedArray) -> np.ndarray:
    """[N] how many numbers each row has; 0 where it has no list."""
    import pyarrow.compute as pc

    return pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)


def _widths(column: pa.ChunkedArray) -> list[int]:
    """The different numbers of values in the lists."""
    if pa.types.is_fixed_size_list(column.type):
        return [column.type.list_size]
    import pyarrow.compute as pc  # a slow import, which a saved space never needs

    return to_python(pc.unique(pc.drop_null(pc.list_value_length(column))))


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
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and is told by its row
        return array.astype(np.float32, copy=False)


def vector_columns(names: Sequence[str], pattern: str) -> list[str]:
    """The columns that a pattern names, such as "emb_*", in the order of the table.

    >>> vector_columns(["id", "d0", "d1", "price"], "d*")
    ['d0', 'd1']
    """
    return [name for name in names if fnmatchcase(name, pattern)]


def select_vectors(
    rows: pa.Table,
    vector: str | Sequence[str] | None,
    source: str | Path,
    ids: Sequence[str] = (),
    width: int | None = None,
) -> tuple[ReadVectors, tuple[str, ...]]:
    """Vectors [M, D] of the named column, or of D columns of numbers that are named or like a pattern; and their names.

    Raises UserError with the columns that would do where none is named.
    """
    if vector is None:
        found = vectors_there(rows.schema)
        otherwise = f"name it with vector=COLUMN, or give a .npy of the vectors and table='{source}'"
        hint = f"name it: vector={found}" if found else otherwise
        raise UserError(f"{source} is a table, and its column of vectors is not named", hint)
    if isinstance(vector, str):
        is_pattern = any(letter in vector for letter in "*?[") and vector not in rows.column_names
        if not is_pattern:
            if vector not in rows.column_names and (wide := vectors_there(rows.schema)):
                there_are = listed(rows.column_names, 20)
                raise UserError(
                    f"{source} has no column {vector!r}; its columns are {there_are}", f"vector={wide}"
                )
            return read_vector_column(require_column(rows, vector, source), vector, ids, width), (vector,)
        names = vector_columns(rows.column_names, vector)
        if not names:
            raise UserError(
                f"no column of {source} is like {vector!r}; there are {listed(rows.column_names, 20)}"
            )
        vector = names
    if not vector:
        raise UserError("an empty list of columns is given as vector", "name one column a dimension")
    vectors = np.empty((rows.num_rows, len(vector)), dtype=np.float32)
    for dimension, name in enumerate(vector):  # one after the other: all at once would be a second copy
        vectors[:, dimension] = _numbers(require_column(rows, name, source), name)
    return ReadVectors(own(vectors), None, {}), tuple(vector)


def _numbers(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """[N] float32 of a column that is one dimension, NaN where it has no number; UserError for text."""
    kind = column.type
    if is_text(kind):
        column = _spelled(column, name)
    elif not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        raise UserError(f"column {name!r} holds {kind}, not numbers", "name columns of numbers only")
    with np.errstate(over="ignore"):  # what overflows becomes infinite, and is told by its row
        return column.cast(pa.float64()).to_numpy().astype(np.float32, copy=False)


def _spelled(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Numbers in whatever spelling, such as 1e-7 and .5; UserError with the first text that is none."""
    import pyarrow.compute as pc

    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    missing = pc.is_in(texts, value_set=pa.array(["", "NA", "N/A", "#N/A", "NULL", "null", "None"]))
    try:
        return pc.if_else(missing, None, texts).cast(pa.float64())
    except pa.ArrowInvalid as error:
        for row, text in enumerate(to_python(texts, name)):
            try:
                float(text or "nan")
            except ValueError:
                hint = (
                    "write points, not commas"
                    if re.fullmatch(r"-?[0-9]+,[0-9]+", text)
                    else "name columns of numbers only"
                )
                raise UserError(
                    f"column {name!r} holds string, not numbers: {text!r} in row {row}", hint
                ) from error
        raise UserError(
            f"column {name!r} holds string, not numbers", "name columns of numbers only"
        ) from error


def vectors_there(schema: pa.Schema) -> str:
    """The vectors of a table as a person would name them: a column of lists, or a pattern of columns such as "d*"."""
    if lists := [field.name for field in schema if is_list(field.type)]:
        return repr(lists[0])
    numbers = [
        field.name for field in schema if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
    ]
    stems = Counter(match[1] for name in numbers if (match := _NUMBERED.match(name)))
    if not stems:
        return ""
    stem, count = stems.most_common(1)[0]
    pattern = f"{stem}*" if stem else "[0-9]*"
    matched = vector_columns(schema.names, pattern)
    if count < 3 or set(matched) - set(numbers):
        return f"[{listed(map(repr, numbers), 2)}]" if len(numbers) > 2 else ""
    return repr(pattern)


# --- everything else ---


def other_columns(
    rows: pa.Table,
    *,
    used: tuple[str | None, ...],
    text: str | None = None,
    source: str | Path = "the table",
    ledger: Ledger | None = None,
) -> pa.Table:
    """The columns of a table that are not used otherwise, as metadata of a space.

    The text column becomes the first, named "text"; names that are taken get a "_". What pandas writes as its index
    is no property of the items and is left out. The ledger tells what is left out, and what is kept and not counted.
    """
    ledger = ledger if ledger is not None else Ledger()
    columns: dict[str, Any] = {}
    if text is not None:
        texts = as_texts(require_column(rows, text, source), text)
        blank = (None if one is None or not one.strip() else one for one in texts)
        columns[TEXT_COLUMN] = pa.array(blank, type=pa.string())
    for name in rows.column_names:
        if name in used or name == text:
            continue
        if _PANDAS_INDEX.match(name):
            ledger.say(f"column {name!r} is the index of a pandas frame and is left out")
            continue
        column = plain_column(rows.column(name), name, ledger)
        if column is not None:
            columns[free_name(name, {*RESERVED_COLUMNS, *columns})] = column
    return pa.table(columns)


def plain_column(column: pa.ChunkedArray, name: str, ledger: Ledger) -> pa.ChunkedArray | None:
    """The column in a type that is counted like any other: views of strings as strings, categories by their values.

    Moments that Python cannot hold become text, durations seconds; None for what cannot be kept at all.
    """
    kind, types = column.type, pa.types
    if types.is_duration(kind):
        ledger.say(f"column {name!r} holds durations and is kept as seconds")
        scale = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]
        return _seconds(column, scale)
    if types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind):
        return _moments(column, name, ledger)
    if types.is_nested(kind) and not is_list_of_texts(kind):
        if re.search(r"timestamp|date|time|duration", str(kind)) and not _is_held(column):
            ledger.say(f"column {name!r} holds moments that Python cannot hold inside {kind} and is left out")
            return None
        ledger.say(f"column {name!r} holds {kind} and is kept, but not counted")
    if pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if isinstance(kind, pa.UuidType):
        return pa.chunked_array([pa.array(as_texts(column, ""), pa.string())])
    if pa.types.is_dictionary(kind) and not is_text(kind.value_type):
        return column.cast(kind.value_type)
    if isinstance(kind, pa.FixedShapeTensorType):
        ledger.say(f"column {name!r} holds tensors and is kept as lists, but not counted")
        return pa.chunked_array([chunk.storage for chunk in column.chunks], type=kind.storage_type)
    return column


def _seconds(column: pa.ChunkedArray, scale: float) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.divide(column.cast(pa.int64()).cast(pa.float64(), safe=False), scale)


def _moments(column: pa.ChunkedArray, name: str, ledger: Ledger) -> pa.ChunkedArray:
    """Moments to the microsecond; as text where Python holds no such year."""
    kind = column.type
    if getattr(kind, "unit", "") == "ns":
        coarse = pa.time64("us") if pa.types.is_time(kind) else pa.timestamp("us", getattr(kind, "tz", None))
        column = column.cast(coarse, safe=False)
        ledger.say(f"column {name!r} holds nanoseconds and is kept to the microsecond")
    if _is_held(column):
        return column
    ledger.say(
        f"column {name!r} holds moments that Python cannot hold, such as infinity, and is kept as text"
    )
    try:
        return column.cast(pa.timestamp("us") if pa.types.is_timestamp(kind) else kind).cast(pa.string())
    except pa.ArrowInvalid:
        return column.cast(pa.int64() if pa.types.is_timestamp(kind) else pa.int32()).cast(pa.string())


def _is_held(column: pa.ChunkedArray) -> bool:
    """Whether Python has every value: its years go from 1 to 9999, and a zone may shift a moment beyond."""
    import pyarrow.compute as pc

    if pa.types.is_nested(column.type):
        ends = column
    else:
        found = pc.min_max(column)
        ends = pa.chunked_array([pa.array([found["min"], found["max"]], type=column.type)])
    return is_held(ends)


def is_list_of_texts(kind: pa.DataType) -> bool:
    """Whether a column of this type holds lists of strings, which are counted one by one."""
    return is_list(kind) and is_text(kind.value_type)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds strings."""
    kinds = pa.types
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether a column of this type holds lists, or tensors."""
    kinds = pa.types
    return (
        kinds.is_list(kind)
        or kinds.is_large_list(kind)
        or kinds.is_fixed_size_list(kind)
        or kinds.is_list_view(kind)
        or kinds.is_large_list_view(kind)
        or isinstance(kind, pa.FixedShapeTensorType)
    )
