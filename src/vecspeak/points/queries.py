"""Queries: which items are meant by what their metadata holds, such as `genres = "Horror" and year >= 1990`.

Knows columns and values, and how a query is printed; `label` and `id` count as columns. Knows no grammar (which makes
these trees) and no vectors.

A list holds a value when one of its parts does. Upper and lower case do not matter, and 1999 and 1999.0 are the same.
An empty cell fulfils no comparison; `!=` is what `=` is not, so an empty cell fulfils that.
"""

import operator
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError
from vecspeak.points.quoting import quoted
from vecspeak.spaces.space import Space
from vecspeak.spaces.spelling import did_you_mean

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]
"""`~` is: contains these letters."""
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LISTED_AT_MOST = 10
WORDS = ("and", "or", "not")
"""Words that a column's name must be quoted for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A node of the tree; `str()` prints it so that it parses to an equal one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Query):
    """A column against a value."""

    column: str
    operator: Operator
    value: str | float

    def __str__(self) -> str:
        is_plain = re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", self.column) and self.column not in WORDS
        value = quoted(self.value) if isinstance(self.value, str) else number_text(self.value)
        return f"{self.column if is_plain else quoted(self.column)} {self.operator} {value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Not(Query):
    """What its operand does not find."""

    operand: Query

    def __str__(self) -> str:
        is_joined = isinstance(self.operand, And | Or)
        return f"not ({self.operand})" if is_joined else f"not {self.operand}"


@dataclass(frozen=True, slots=True, kw_only=True)
class And(Query):
    """What all of its parts find."""

    parts: tuple[Query, ...]

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, And | Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Or(Query):
    """What any of its parts finds."""

    parts: tuple[Query, ...]

    def __str__(self) -> str:
        return " or ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


def number_text(value: float) -> str:
    """The shortest text that gives the number back."""
    return repr(float(value)).removesuffix(".0")


def rows_where(space: Space, query: Query | str) -> np.ndarray:
    """[M] int64 rows of the items that a query finds, ascending; none where it finds none.

    Raises UserError for a text that is no query, for an unknown column with those that there are, and for `<` and its
    like on what are no numbers.
    """
    if isinstance(query, str):
        from vecspeak.points.grammar import parse_query

        query = parse_query(query)
    return np.flatnonzero(_mask(space, query))


def _mask(space: Space, query: Query) -> np.ndarray:
    match query:
        case Comparison():
            return _compared(space, query)
        case Not(operand=operand):
            return ~_mask(space, operand)
        case And(parts=parts):
            return reduce(np.logical_and, (_mask(space, part) for part in parts))
        case Or(parts=parts):
            return reduce(np.logical_or, (_mask(space, part) for part in parts))
    raise TypeError(f"not a query: {query!r}")


def _compared(space: Space, query: Comparison) -> np.ndarray:
    cells, is_numeric = _cells(space, query.column)
    if query.operator in _ORDERS:
        test = _ordered(query, is_numeric)
    elif query.operator == "~":
        part = key(query.value)
        test = lambda value: part in key(value)  # noqa: E731
    else:
        same = key(query.value, numeric=is_numeric)
        test = lambda value: key(value) == same  # noqa: E731
    found = np.array([any(test(value) for value in cell if value is not None) for cell in cells], dtype=bool)
    return ~found if query.operator == "!=" else found


def _ordered(query: Comparison, is_numeric: bool) -> Callable[[object], bool]:
    if not is_numeric or isinstance(query.value, str):
        what = f"{query.column} holds text" if not is_numeric else f"{quoted(str(query.value))} is text"
        raise UserError(
            f"{query.operator} compares numbers, and {what}", f'use = or ~, as in {query.column} ~ "an"'
        )
    holds, bound = _ORDERS[query.operator], query.value
    return lambda value: holds(float(str(value)), bound)


def cells_of(column: pa.ChunkedArray) -> list[list[object]]:
    """What each item's cell holds: nothing, one value, or the values of its list."""
    cells = column.to_pylist()
    return [cell if isinstance(cell, list) else [] if cell is None else [cell] for cell in cells]


def is_numeric(kind: pa.DataType) -> bool:
    """Whether a column holds numbers, or lists of numbers."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def key(value: object, *, numeric: bool = False) -> str:
    """What values are compared by: folded text, where 1999 and 1999.0 are the same."""
    if isinstance(value, str) and numeric:
        with suppress(ValueError):
            value = float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().casefold()


def _cells(space: Space, column: str) -> tuple[list[list[object]], bool]:
    if column in space.metadata.column_names:
        found = space.metadata.column(column)
        return cells_of(found), is_numeric(found.type)
    if column in ("label", "id"):
        return [[text] for text in (space.labels if column == "label" else space.ids)], False
    names = ["label", "id", *space.metadata.column_names]
    listed = f"columns there are: {', '.join(names[:_LISTED_AT_MOST])}"
    raise UserError(f"{space.name} has no column {quoted(column)}", did_you_mean(column, names, listed))
