"""JSON rows: a line an object (JSONL), an array of objects, or one object of columns.

Arrow reads plain files fast. It takes texts that look like dates for dates, refuses a column of numbers and texts and
loses digits of large numbers, so that whatever it does not give as it is written is read again by Python, slower.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.json as pa_json

from vecspeak.bounds import AN_OBJECT, check_levels, check_memory
from vecspeak.errors import UserError, first_line, listed
from vecspeak.tables.delimited import count_letters, first_letters, typed
from vecspeak.tables.ledger import Ledger

Loads = Callable[[Any], Any]
_BLOCK = 1 << 24
_PART = 1 << 22
_A_VALUE = 8
"""Bytes of a value in Arrow's memory."""
_ROWS = 4096
"""Rows that become Arrow's at a time."""


def read_json(
    path: Path, data: bytes | pa.Buffer, *, as_written: tuple[str, ...], ledger: Ledger
) -> pa.Table:
    """The rows in `data`, which was read from `path`; the columns `as_written` come as text or whole numbers.

    Raises UserError for what is no JSON, with the line, for brackets too deep, and for rows that are no objects.
    """
    check_memory(path, len(data) + _A_VALUE * count_letters(data, b","))
    is_array = first_letters(data).startswith("[")
    check_levels(data, path, by_line=not is_array)  # a deep line ends Arrow's process
    if is_array:
        return table_of(_spelled(_array, path, data, as_written), as_written, ledger, path)
    try:
        table = _by_arrow(data) if _is_plain(data) else None
    except pa.ArrowException:
        table = None
    is_whole = table is not None and table.num_rows == 1 and not set(as_written) <= set(table.column_names)
    if table is None or is_whole or not all(_is_name(table, name) for name in as_written):
        return table_of(_spelled(_lines, path, data, as_written), as_written, ledger, path)
    columns = {name: table.column(name) for name in table.column_names}
    return pa.table({name: one if name in as_written else _dated(one) for name, one in columns.items()})


def _is_plain(data: bytes | pa.Buffer) -> bool:
    """Whether Arrow may see it: a line that is null, or lists within lists within lists, end its process."""
    if not first_letters(data).startswith("{"):
        return False
    for start in range(0, len(data), _PART):  # parts overlap by what is looked for
        part = bytes(memoryview(data)[start : start + _PART + 8])
        if b"\nnull" in part or b"[[[[" in part:
            return False
    return True


def _by_arrow(data: bytes | pa.Buffer) -> pa.Table:
    """Read twice where texts came as moments: the second time they stay texts."""
    reading = pa_json.ReadOptions(block_size=_BLOCK)
    table = pa_json.read_json(pa.BufferReader(data), read_options=reading)
    moments = [field for field in table.schema if pa.types.is_timestamp(field.type)]
    if not moments:
        return table
    schema = pa.schema([pa.field(field.name, pa.string()) for field in moments])
    again = pa_json.read_json(
        pa.BufferReader(data),
        read_options=reading,
        parse_options=pa_json.ParseOptions(explicit_schema=schema),
    )
    return again.select(table.column_names)


def _is_name(table: pa.Table, name: str) -> bool:
    """Whether a column that is needed as it is written came so. What is not there is told later."""
    if name not in table.column_names:
        return True
    kind = table.column(name).type
    return bool(pa.types.is_string(kind) or pa.types.is_integer(kind))


def _dated(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dates, where every text of a column is one; JSON has no other way to write them. Numbers in quotes stay texts."""
    found = typed(column) if pa.types.is_string(column.type) else column
    return found if pa.types.is_temporal(found.type) else column


class _Digits(str):
    """A number with a point or an exponent, as it is written."""

    __slots__ = ()


def _spelled(read: Callable[..., list[Any]], path: Path, data: Any, as_written: tuple[str, ...]) -> list[Any]:
    """The rows, with the digits of numbers in the columns `as_written` where some of them are no whole numbers."""
    check_memory(path, AN_OBJECT * len(data))
    rows = read(path, data, as_written, json.loads)
    values = [row.get(name) for row in rows if isinstance(row, dict) for name in as_written]
    if any(isinstance(one, float) and one == one and not one.is_integer() for one in values):
        again = read(path, data, as_written, partial(json.loads, parse_float=_Digits))
        for row, digits in zip(rows, again, strict=True):
            for name in as_written:
                if isinstance(digits, dict) and isinstance(digits.get(name), _Digits):
                    row[name] = str(digits[name])
    return rows


def _array(path: Path, data: bytes | pa.Buffer, as_written: tuple[str, ...], loads: Loads) -> list[Any]:
    try:
        rows = loads(bytes(memoryview(data)))
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(rows, list):
        raise UserError(f"{path} holds no rows", "give an array of objects")
    return rows


def _lines(path: Path, data: bytes | pa.Buffer, as_written: tuple[str, ...], loads: Loads) -> list[Any]:
    """An object a line; one object over many lines is a table of columns."""
    text, rows = _text(path, data), []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append(loads(line))
            except (ValueError, RecursionError) as error:
                if not rows:
                    return _of_columns(path, text, error, as_written, loads)
                raise UserError(
                    f"cannot read {path} as a table: line {number:,} is no JSON: {first_line(error)}",
                    "mend the line, or check that the file is whole",
                ) from error
    if len(rows) == 1 and (columns := _as_columns(rows[0], as_written)):
        return columns
    return rows


def _text(path: Path, data: bytes | pa.Buffer) -> str:
    try:
        return bytes(memoryview(data)).decode().lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8, as JSON is", "save it again as UTF-8") from error


def _of_columns(
    path: Path, text: str, error: Exception, as_written: tuple[str, ...], loads: Loads
) -> list[Any]:
    check_levels(text.encode("utf-8", "surrogatepass"), path)
    try:
        whole = loads(text)
    except (ValueError, RecursionError):
        raise _unreadable(path, error) from error
    return _as_columns(whole, as_written) or [whole]


def _as_columns(whole: Any, as_written: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of {"id": [...], "label": [...]}, or of what pandas writes by `orient`; none for another object.

    Those are "columns" {"id": {"0": ...}}, "index" {"0": {"id": ...}}, "split" {"columns": [...], "data": [[...]]}
    and "table" {"schema": ..., "data": [{...}]}.
    """
    if not isinstance(whole, dict) or not whole:
        return []
    names, data = whole.get("columns"), whole.get("data")
    if isinstance(data, list) and isinstance(names, list) and not set(whole) - {"columns", "index", "data"}:
        fits = all(isinstance(row, list) and len(row) == len(names) for row in data)
        return [dict(zip(map(str, names), row, strict=True)) for row in data] if fits else []
    if isinstance(data, list) and set(whole) == {"schema", "data"}:
        return data
    if all(isinstance(row, dict) for row in whole.values()) and _is_by_row(whole, as_written):
        return list(whole.values())
    keys = next((list(values) for values in whole.values() if isinstance(values, dict)), [])
    columns = {
        name: [values.get(key) for key in keys] if isinstance(values, dict) else values
        for name, values in whole.items()
    }
    if any(not isinstance(values, list) for values in columns.values()):
        return []
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1 or len(columns) < 2:
        return []
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _is_by_row(whole: dict[str, dict[str, Any]], as_written: tuple[str, ...]) -> bool:
    """Whether an object of objects has a row under each key and not a column: by the columns that are asked for."""
    asked = set(as_written)
    if asked & set(whole):
        return False
    return bool(asked) and all(asked <= set(row) for row in whole.values())


def table_of(
    rows: list[Any], as_written: tuple[str, ...], ledger: Ledger, path: object, *, dated: bool = True
) -> pa.Table:
    """Objects of `path` as a table; the columns `as_written` come as text. UserError for a row that is no object."""
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise UserError(
                f"row {number:,} of {path} is {type(row).__name__}, not an object",
                'give objects such as {"id": "a", "vector": [0.1, 0.2]}',
            )
    names = list(dict.fromkeys(name for row in rows for name in row))
    try:
        return pa.table({name: _column(rows, name, as_written, ledger, dated=dated) for name in names})
    except UnicodeEncodeError as error:
        raise UserError(
            f"{path} holds half of a letter (a surrogate): {error}", "write it again as UTF-8"
        ) from error


def _column(
    rows: list[dict[str, Any]], name: str, as_written: tuple[str, ...], ledger: Ledger, *, dated: bool
) -> pa.ChunkedArray:
    values = [row.get(name) for row in rows]
    if name in as_written:
        return pa.chunked_array([pa.array(map(_written, values), type=pa.string())])
    kinds = {type(value) for value in values if value is not None}
    if kinds == {list}:
        with_numbers = all(type(one) in (int, float) for value in values if value for one in value[:8])
        kind = pa.list_(pa.float64()) if with_numbers else None
        try:
            parts = [pa.array(values[at : at + _ROWS], type=kind) for at in range(0, len(values), _ROWS)]
            return pa.chunked_array(parts)
        except (pa.ArrowException, TypeError):
            pass
    elif len(kinds) <= 1 or kinds == {int, float}:
        try:
            column = pa.chunked_array([pa.array(values)])
            return _dated(column) if dated else column
        except (pa.ArrowException, OverflowError):
            pass
    ledger.say(f"column {name!r} mixes {listed(sorted(kind.__name__ for kind in kinds))} and is kept as text")
    return pa.chunked_array([pa.array(map(_written, values), type=pa.string())])


def _written(value: Any) -> str | None:
    """A value as text: a text as it is, a whole number by its digits, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return (
            None if value != value else str(int(value)) if value.is_integer() else repr(value)
        )  # NaN is missing
    return json.dumps(value, ensure_ascii=False)


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(
        f"cannot read {path} as a table: {first_line(error)}",
        "check that it is whole, and JSON or a line an object",
    )
