"""Queries: which items are meant by what their metadata holds, such as `genres = "Horror" and year >= 1990`.

A list holds a value when one of its parts does. Upper and lower case do not matter, and 1999 and 1999.0 are the same.
An empty cell fulfils no comparison; `!=` is what `=` is not, so an empty cell fulfils that. Numbers are compared with
numbers by `<` and its like, and dates with dates, written "1999-12-31".
"""

import datetime
import operator
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError, did_you_mean
from vecspeak.spaces.point import ESCAPES, number_text, quoted
from vecspeak.spaces.space import Space
from vecspeak.tables.cells import to_python
from vecspeak.tables.columns import is_list
from vecspeak.tables.spelling import folded


def unescaped(text: str, unknown: Callable[[re.Match[str]], str]) -> str:
    """What stands between quotes, read; `unknown` says what a backslash before any other letter stands for."""

    def read(found: re.Match[str]) -> str:
        return ESCAPES[found[1]] if found[1] in ESCAPES else unknown(found)

    return re.sub(r"\\(.)", read, text, flags=re.DOTALL)


Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
"""`~` is: contains these letters."""
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LISTED_AT_MOST = 10
WORDS = ("and", "or", "not")
"""Words that a column's name must be quoted for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTree:
    """A node of the tree; `str()` prints it so that it parses to an equal one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnComparison(QueryTree):
    """A column against a value."""

    column: str
    operator: Operator
    value: str | float

    def __str__(self) -> str:
        is_plain = re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", self.column) and self.column not in WORDS
        value = quoted(self.value) if isinstance(self.value, str) else number_text(self.value)
        return f"{self.column if is_plain else quoted(self.column)} {self.operator} {value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Not(QueryTree):
    """What its operand does not find."""

    operand: QueryTree

    def __str__(self) -> str:
        is_joined = isinstance(self.operand, And | Or)
        return f"not ({self.operand})" if is_joined else f"not {self.operand}"


@dataclass(frozen=True, slots=True, kw_only=True)
class And(QueryTree):
    """What all of its parts find."""

    parts: tuple[QueryTree, ...]

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, And | Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Or(QueryTree):
    """What any of its parts finds."""

    parts: tuple[QueryTree, ...]

    def __str__(self) -> str:
        return " or ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


def rows_where(space: Space, query: QueryTree) -> np.ndarray:
    """[M] int64 rows of the items that a query finds, ascending; none where it finds none.

    Raises UserError for an unknown column with those that there are, and for `<` and its like on what are no numbers.
    """
    return np.flatnonzero(_mask(space, query))


def _mask(space: Space, query: QueryTree) -> np.ndarray:
    match query:
        case ColumnComparison():
            return _compared(space, query)
        case Not(operand=operand):
            return ~_mask(space, operand)
        case And(parts=parts):
            return reduce(np.logical_and, (_mask(space, part) for part in parts))
        case Or(parts=parts):
            return reduce(np.logical_or, (_mask(space, part) for part in parts))
    raise TypeError(f"not a query: {query!r}")


def _compared(space: Space, query: ColumnComparison) -> np.ndarray:
    cells, kind = _cells(space, query.column)
    if query.operator in _ORDERS:
        test = _ordered(query, kind)
    elif query.operator == "~":
        part = key(query.value)
        test = lambda value: part in key(value)  # noqa: E731
    else:
        same = key(query.value, numeric=is_numeric(kind))
        test = lambda value: key(value) == same  # noqa: E731
    found = np.array([any(test(value) for value in cell if value is not None) for cell in cells], dtype=bool)
    return ~found if query.operator == "!=" else found


def _ordered(query: ColumnComparison, kind: pa.DataType) -> Callable[[object], bool]:
    holds, bound = _ORDERS[query.operator], query.value
    if is_date(kind):
        day = _moment(query)
        return lambda value: holds(_naive(value), day)
    if not is_numeric(kind) or isinstance(bound, str):
        what = f"{quoted(str(bound))} is text" if is_numeric(kind) else f"{query.column} holds {_held(kind)}"
        raise UserError(
            f"{query.operator} compares numbers, and {what}", f'use = or ~, as in {query.column} ~ "an"'
        )
    return lambda value: holds(value, bound)


def _held(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "true and false"
    return "nothing" if pa.types.is_null(kind) else "text"


def _moment(query: ColumnComparison) -> datetime.datetime:
    text = query.value if isinstance(query.value, str) else number_text(query.value)
    try:
        return _naive(datetime.datetime.fromisoformat(text.strip()))
    except ValueError:
        raise UserError(
            f"{query.column} holds dates, and {quoted(text)} is none",
            f'write the whole date, as in {query.column} {query.operator} "1999-12-31"',
        ) from None


def _naive(value: Any) -> datetime.datetime:
    """Date or moment, in UTC, at midnight where there is no time."""
    if not isinstance(value, datetime.datetime):
        return datetime.datetime(value.year, value.month, value.day)
    return value.astimezone(datetime.UTC).replace(tzinfo=None) if value.tzinfo else value.replace(tzinfo=None)


def cells_of(column: pa.ChunkedArray, name: str) -> list[list[object]]:
    """What each item's cell holds: nothing, one value, or the values of its list."""
    cells = to_python(column, name)
    return [cell if isinstance(cell, list) else [] if cell is None else [cell] for cell in cells]


def is_numeric(kind: pa.DataType) -> bool:
    """Whether a column holds numbers, or lists of numbers."""
    kind = _of_parts(kind)
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_date(kind: pa.DataType) -> bool:
    """Whether a column holds dates or moments, or lists of them."""
    kind = _of_parts(kind)
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def is_listed(kind: pa.DataType) -> bool:
    """Whether a column holds lists, of one length or of several."""
    return is_list(kind)


def coded_values(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    """Rows, codes of their values, and the values; None for a column that holds no plain values."""
    import pyarrow.compute as pc  # half a second, which asking does not wait for

    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    rows = np.arange(len(array))
    if is_listed(array.type):
        rows = np.asarray(pc.list_parent_indices(array))
        array = array.flatten()
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    kind = array.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind)):
        return None
    texts = pc.utf8_normalize(pc.utf8_trim_whitespace(array.cast(pa.string())), form="NFC")
    known = np.asarray(pc.fill_null(pc.not_equal(texts, ""), False))
    coded = texts.filter(pa.array(known)).dictionary_encode()
    return rows[known], np.asarray(coded.indices), to_python(coded.dictionary)


def _of_parts(kind: pa.DataType) -> pa.DataType:
    kind = kind.value_type if is_listed(kind) else kind
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def key(value: object, *, numeric: bool = False) -> str:
    """What values are compared by: folded text, where 1999 and 1999.0 are the same."""
    if isinstance(value, str) and numeric:
        value = _read_number(value)
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return folded(str(value).strip())


def _read_number(text: str) -> str | float:
    """Whole numbers with all of their digits."""
    for read in (int, float):
        with suppress(ValueError):
            return read(text)
    return text


def _cells(space: Space, column: str) -> tuple[list[list[object]], pa.DataType]:
    if column in space.metadata.column_names:
        found = space.metadata.column(column)
        return cells_of(found, column), found.type
    if column in ("label", "id"):
        return [[text] for text in (space.labels if column == "label" else space.ids)], pa.string()
    names = ["label", "id", *space.metadata.column_names]
    listed = f"columns there are: {', '.join(names[:_LISTED_AT_MOST])}"
    raise UserError(f"{space.name} has no column {quoted(column)}", did_you_mean(column, names, listed))
