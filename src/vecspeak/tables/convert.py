"""From what callers give (arrays, tensors, frames, lists) to what a space holds, checked and in memory of its own."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError, listed
from vecspeak.tables.cells import to_python
from vecspeak.tables.pandas_types import spelled_out

_Held = TypeVar("_Held", np.ndarray, pa.Table)
_OWN: "WeakValueDictionary[int, Any]" = WeakValueDictionary()
"""Arrays and tables that only spaces hold, by their identity: another space may hold them too, without a copy."""
_BLOCK = 4096
"""Rows that are looked at closely at a time."""


def own(held: _Held) -> _Held:
    """Mark an array or a table whose memory nobody else can change, so that a space need not copy it."""
    if isinstance(held, np.ndarray):
        held.flags.writeable = False
    _OWN[id(held)] = held
    return held


def is_own(held: Any) -> bool:
    """Whether this very object was marked by `own` and is read-only still."""
    return _OWN.get(id(held)) is held and not (isinstance(held, np.ndarray) and held.flags.writeable)


def own_vectors(given: Any) -> np.ndarray:
    """[N, D] float32, C-contiguous, read-only; copied once unless it is a space's own. UserError for other shapes."""
    array = as_array(given)
    if array.dtype.kind not in "fiu":
        raise UserError(f"vectors must be numbers, but they are {array.dtype}", "give a float32 array [N, D]")
    if array.ndim != 2:
        raise UserError(
            f"vectors must be a table [N, D], but their shape is {list(array.shape)}", "give 2 dimensions"
        )
    if 0 in array.shape:
        raise UserError(
            f"the space is empty: its vectors have the shape {list(array.shape)}", "give one item or more"
        )
    if is_own(array) and array.dtype == np.float32 and array.flags.c_contiguous:
        return array
    with np.errstate(over="ignore"):  # what overflows becomes infinite, which is refused by row later
        return own(np.array(array, dtype=np.float32, order="C"))


def unusable(vectors: np.ndarray) -> dict[str, list[int]]:
    """Rows that lie nowhere, by what is wrong with them: one pass over the numbers, and a closer look at odd rows."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("nd,nd->n", vectors, vectors)
        odd = np.flatnonzero(~((squares > 0) & np.isfinite(squares)))
    found: dict[str, list[int]] = {}
    for start in range(0, len(odd), _BLOCK):
        rows = odd[start : start + _BLOCK]
        part = vectors[rows]
        finite = np.isfinite(part).all(axis=1)
        for why, is_bad in (
            ("a vector with NaN, infinite or too large numbers", ~finite),
            ("a vector of zeros", finite & ~part.any(axis=1)),
        ):
            if is_bad.any():
                found.setdefault(why, []).extend(rows[is_bad].tolist())
    return found


def own_table(given: Any) -> pa.Table:
    """The table with copies of those columns whose memory may be another's, such as a NumPy array's.

    Texts and booleans are not copied: neither NumPy nor pandas lays them out as Arrow does.
    """
    table = as_table(given)
    if is_own(table):
        return table
    kinds = pa.types
    uncopied = (kinds.is_string, kinds.is_large_string, kinds.is_boolean, kinds.is_null)
    shared = [one.name for one in table.schema if not any(is_kind(one.type) for is_kind in uncopied)]
    if shared and len(set(table.column_names)) == table.num_columns:  # names that repeat are refused later
        stream, part = pa.BufferOutputStream(), table.select(shared)
        with pa.ipc.new_stream(stream, part.schema) as writer:
            writer.write_table(part)
        copied = pa.ipc.open_stream(stream.getvalue()).read_all()
        table = pa.table(
            {name: (copied if name in shared else table).column(name) for name in table.column_names}
        )
    return own(table)


def as_array(values: Any) -> np.ndarray:
    """A NumPy array from anything like one; a torch tensor comes to the CPU first.

    Raises UserError for vectors of several widths, masked values and tensors that are not dense.
    """
    if np.ma.is_masked(values):
        raise UserError("some of the values are masked", "drop these rows, or fill them with .filled(...)")
    if isinstance(values, list | tuple) and any(hasattr(one, "detach") for one in values):
        values = [as_array(one) for one in values]
    try:
        if hasattr(values, "detach"):
            values = values.detach().cpu()
            # NumPy has no bfloat16; complex numbers and booleans stay what they are, and are refused as such
            values = (values.float() if values.is_floating_point() else values).numpy()
        return np.asarray(values)
    except ValueError as error:
        raise UserError(
            "the vectors have different widths", "give every item a vector of one width"
        ) from error
    except (TypeError, RuntimeError) as error:
        raise UserError(f"{type(values).__name__} cannot become an array: {error}", "give numbers") from error


def as_names(given: Any, what: str, number: int) -> tuple[str | None, ...]:
    """Ids, labels or texts of rows, None where missing (None, NaN, masked); whole numbers become their digits.

    Raises UserError for another number of them, and for what is neither text nor a whole number.
    """
    given = given.detach().cpu() if hasattr(given, "detach") else given
    if isinstance(given, str | bytes | Mapping | set | frozenset) or not isinstance(given, Iterable):
        raise UserError(f"{what} are {type(given).__name__}, not a list", "give a list, one for each vector")
    if hasattr(given, "to_pylist"):
        values = to_python(given, what)
    else:
        values = list(given.tolist() if hasattr(given, "tolist") else given)
    if len(values) != number:
        raise UserError(f"there are {len(values)} {what} for {number} vectors", "give one for each vector")
    if set(map(type, values)) <= {str}:  # a million are checked in the time of a loop over 50,000
        return tuple(values)
    return tuple(_as_name(one, what, row) for row, one in enumerate(values))


def _as_name(value: Any, what: str, row: int) -> str | None:
    if isinstance(value, str):
        return str(value)
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float | np.floating) and np.isnan(value):
        return None
    is_number = isinstance(value, int | float | np.number) and not isinstance(
        value, bool | np.complexfloating
    )
    if is_number and (isinstance(value, int) or float(value).is_integer()):
        return str(int(value))
    raise UserError(
        f"{what} must be text or whole numbers, but row {row} is {value!r}", f"turn the {what} into strings"
    )


def all_there(names: Sequence[str | None], what: str) -> tuple[str, ...]:
    """The names; UserError where some are missing."""
    missing = [row for row, name in enumerate(names) if name is None]
    if not missing:
        return tuple(names)  # type: ignore[arg-type]  # none is missing
    raise UserError(
        f"{what} has no value in {len(missing)} rows, first in row {missing[0]}",
        "fill them or drop these rows",
    )


def as_table(given: Any) -> pa.Table:
    """An Arrow table from one, from a pandas or polars frame, or from a dictionary of columns.

    Frames are recognized by what they can do, so neither library is imported here. Columns that are called by numbers
    are called by their digits. Raises UserError for what is no table and for columns of one name.
    """
    table = given
    if not isinstance(given, pa.Table):
        try:
            if isinstance(given, Mapping):
                table = pa.Table.from_arrays(
                    [pa.array(c) if not isinstance(c, pa.ChunkedArray) else c for c in given.values()],
                    names=[str(name) for name in given],
                )
            elif hasattr(given, "iloc") and hasattr(given, "columns"):
                table = _from_pandas(given)
            elif hasattr(given, "to_arrow"):
                table = given.to_arrow()
            elif hasattr(given, "__arrow_c_stream__") and not hasattr(given, "iloc"):
                table = pa.table(given)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"this table cannot become an Arrow table: {error}", "give plain columns"
            ) from error
    if not isinstance(table, pa.Table):
        raise UserError(
            f"a table was expected, got {type(given).__name__}",
            "give an Arrow table, a pandas or polars frame, or a dictionary of columns",
        )
    repeated = [name for name, count in Counter(table.column_names).items() if count > 1]
    if repeated:
        raise UserError(
            f"the table has several columns named {listed(map(repr, repeated))}", "rename all but one of them"
        )
    return spelled_out(table)


def _from_pandas(frame: Any) -> pa.Table:
    """Arrow refuses arrays of different types in one column: they are given as lists then, which it takes."""
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError):
        frame = frame.assign(
            **{name: _as_texts(frame[name]) for name in frame.columns if _is_mixed(frame[name])}
        )
        arrays = [name for name in frame.columns if any(isinstance(one, np.ndarray) for one in frame[name])]
        lists = {
            name: [getattr(one, "tolist", lambda one=one: one)() for one in frame[name]] for name in arrays
        }
        table = pa.Table.from_pandas(frame.assign(**lists), preserve_index=False)
    return table.replace_schema_metadata(None)


def _is_mixed(column: Any) -> bool:
    """Whether a column holds numbers and texts, or what Arrow has no type for, such as intervals and periods."""
    kind = str(column.dtype)
    if kind != "object":
        return kind.startswith(("interval", "period", "category"))
    kinds = {type(one) for one in column if isinstance(one, str | int | float) and one == one}
    return len(kinds) > 1 and str in kinds


def _as_texts(column: Any) -> list[str | None]:
    return [None if one is None or one != one else str(one) for one in column]


def is_built_of_objects(given: Any, column: Any) -> bool:
    """Whether Arrow has to build this column of a frame from objects, so that its memory is new."""
    if isinstance(given, Mapping):
        return isinstance(column, str) and isinstance(given.get(column), list)
    is_column = hasattr(given, "iloc") and isinstance(column, str) and column in given
    return is_column and str(given[column].dtype) == "object"
