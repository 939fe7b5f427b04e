"""Cells of Arrow as Python's values: the one place that turns them, which says of what Python cannot hold where it is.

Files hold years beyond 9999, time zones that nobody knows, nanoseconds and bytes that are called text. Arrow reads
them all, and raises one of six kinds of error when they become Python's. Everywhere else of the package asks here.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from vecspeak.errors import UserError, first_line, shorten

_NOT_HELD = (ArithmeticError, ValueError, LookupError, TypeError, pa.ArrowException)
"""Decimals and years (ArithmeticError), nanoseconds and bad UTF-8 (ValueError), time zones (LookupError)."""
_MOST = 200


def to_python(column: pa.Array | pa.ChunkedArray, name: str = "", *, first_row: int = 0) -> list[Any]:
    """The values of a column, None where missing. Raises UserError, with column and row, for one that Python lacks.

    `first_row` is the row of a part's first value.

    >>> to_python(pa.array([1, None, 3]))
    [1, None, 3]
    """
    try:
        return column.to_pylist()
    except _NOT_HELD as error:
        raise _not_held(column, first_row + _first_wrong(column), name, error) from error


def cell(column: pa.Array | pa.ChunkedArray, row: int, name: str = "") -> Any:
    """The value of one row. Raises UserError as `to_python` does."""
    try:
        return column[row].as_py()
    except _NOT_HELD as error:
        if not -len(column) <= row < len(column):
            raise
        raise _not_held(column, row, name, error) from error


def rows_of(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows of a table as dictionaries. Raises UserError as `to_python` does."""
    names = table.column_names
    columns = [to_python(table.column(name), name) for name in names]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def value_of(scalar: pa.Scalar) -> Any:
    """Python's value of a number, a truth or a text that Arrow computed."""
    return cell(pa.array([scalar], scalar.type), 0)


def is_held(column: pa.Array | pa.ChunkedArray) -> bool:
    """Whether Python has every value of a column."""
    try:
        column.to_pylist()
    except _NOT_HELD:
        return False
    return True


def check_utf8(table: pa.Table, source: object) -> None:
    """Raise UserError, with column and row, where what is called text is no UTF-8."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if not any(is_kind(kind) for is_kind in _WITH_TEXT):
            continue
        try:
            column.validate(full=True)
        except (pa.ArrowException, ValueError) as error:
            row = _first_row(column, _is_invalid)
            what = f"row {row} of column {name!r} in {source} is no UTF-8, as text is"
            raise UserError(
                f"{what}: {first_line(error)}", "write it again as UTF-8, or as binary"
            ) from error


_WITH_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_nested, pa.types.is_dictionary)


def _is_invalid(part: pa.ChunkedArray) -> bool:
    copied = pa.concat_arrays(part.chunks) if part.num_chunks else pa.array([])
    taken = copied.take(pa.array(range(len(copied)))) if len(copied) else copied
    try:
        taken.validate(full=True)
    except (pa.ArrowException, ValueError):
        return True
    return False


def _first_row(column: pa.ChunkedArray, is_wrong: Callable[[Any], bool]) -> int:
    """The first row of a column for which a part of it is wrong, by halving; the column itself is."""
    start, end = 0, len(column)
    while end - start > 1:
        middle = (start + end) // 2
        start, end = (start, middle) if is_wrong(column.slice(start, middle - start)) else (middle, end)
    return start


def _first_wrong(column: pa.Array | pa.ChunkedArray) -> int:
    return _first_row(column, lambda part: not is_held(part))


def _not_held(column: Any, row: int, name: str, error: Exception) -> UserError:
    named = f"column {name!r}" if name else "a column"
    return UserError(
        f"{named} holds {shorten(str(column.type), _MOST)}, and Python has no value for row {row}: "
        f"{shorten(first_line(error), _MOST)}",
        "mend the row, write the column as text, or leave it out",
    )
