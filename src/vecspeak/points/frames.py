"""Points of pandas, polars and Arrow: which column of a frame names items, and which holds their vectors."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from vecspeak.errors import UserError
from vecspeak.points.raw import raw_point
from vecspeak.spaces.point import Point, quoted
from vecspeak.spaces.space import Space
from vecspeak.tables.cells import to_python
from vecspeak.tables.convert import as_array


def point_of_row(
    row: Mapping[str, Any], space: Space, users: Space | None, kind: Literal["user"] | None = None
) -> Point:
    """The point of a row of a frame: the item that its column of ids or labels names, else the vector that is in it.

    Numbers in other columns (a rank, a year) never count as ids. A text that is an id does where nothing else is there.
    Raises UserError for a row with neither, and for one whose id and vector are those of two items.
    """
    names = _item_columns(space)
    vectors = [one for one in row.values() if isinstance(one, list | tuple | np.ndarray)]
    numbers = [one for name, one in row.items() if name not in names and _is_number(one)]
    item = next((_item_row(space, row[name]) for name in names if name in row), None)
    if item is None and not vectors and len(numbers) != space.dim:
        texts = {one for one in row.values() if isinstance(one, str) and space.has(one)}
        item = space.index_of(texts.pop()) if len(texts) == 1 else None
    if item is not None:
        # ids of people, or of another table, may well be ids of items too
        for vector in vectors:
            array = np.asarray(vector)
            is_vector = array.shape == (space.dim,) and array.dtype.kind in "fiu"
            if is_vector and not np.allclose(array, space.vectors[item], rtol=1e-3, atol=1e-6):
                raise UserError(
                    f"the row has the id of {quoted(space.labels[item])} and another vector",
                    "give its id or its vector alone",
                )
        return space[item]
    for vector in (*vectors, numbers):
        if len(vector) == space.dim:
            return raw_point(space, users, as_array(vector), kind=kind)
    raise UserError(
        f"no id of {space.name!r} and no vector of {space.dim} numbers is in the row's columns "
        f"{', '.join(map(str, row))}",
        f"give the item's id in a column named {space.id_column!r}",
    )


def _item_columns(space: Space) -> tuple[str, ...]:
    """Columns of a frame that name items: that which the space's ids were read from first."""
    return tuple(dict.fromkeys((space.id_column, "id", "label")))


def _item_row(space: Space, value: Any) -> int | None:
    """Row of the item with this id, or else with only this label; 7 and 7.0 are the id "7"."""
    if _is_whole(value):
        value = str(int(value))
    if not isinstance(value, str):
        return None
    if space.has(value):
        return space.index_of(value)
    rows = space.rows_labelled(value)
    return rows[0] if len(rows) == 1 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def rows_of_frame(x: Any, space: Space) -> list[Mapping[str, Any]] | None:
    """The rows of a pandas or polars frame as mappings; None for anything else, such as a frame of vectors [N, D]."""
    if isinstance(x, Mapping):
        return [{str(name): value for name, value in x.items()}]
    if _is_series(x):
        return [{str(name): value for name, value in x.to_dict().items()}] if _is_row(x, space) else None
    if not hasattr(x, "columns") or not hasattr(x, "shape"):
        return None
    if x.shape[1] == space.dim and as_array(x).dtype.kind in "fiu":
        return None
    rows = x.to_dicts() if hasattr(x, "to_dicts") else x.to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _is_row(series: Any, space: Space) -> bool:
    """Whether a pandas series is a row of a frame, and not a column or the numbers of one vector."""
    if any(name in series.index for name in _item_columns(space)):
        return True
    # A row is labelled by the names of columns, and a column by numbers, or by ids above ids or vectors.
    is_labelled = all(isinstance(name, str) for name in series.index)
    is_column = all(_is_point(one, space) for one in series)
    return len(series) > 0 and series.dtype == object and is_labelled and not is_column


def _is_series(x: Any) -> bool:
    """Whether it is a row or a column of a pandas frame."""
    return hasattr(x, "iloc") and hasattr(x, "to_dict") and getattr(x, "ndim", 0) == 1


def _is_point(value: Any, space: Space) -> bool:
    if isinstance(value, str):
        return _item_row(space, value) is not None
    return isinstance(value, list | tuple | np.ndarray) and len(value) == space.dim


def column_values(x: Any, space: Space) -> list[Any] | None:
    """The ids, labels or vectors in a column of a frame or an array of objects; None for the numbers of one vector."""
    is_array = isinstance(x, np.ndarray) and x.ndim == 1 and x.dtype.kind in "OU"
    is_column = hasattr(x, "to_list") or hasattr(x, "to_pylist")
    if not (is_array or is_column) or (_is_series(x) and _is_row(x, space)):
        return None
    values = to_python(x) if hasattr(x, "to_pylist") else list(x.tolist() if is_array else x.to_list())
    is_named = getattr(x, "name", None) in _item_columns(space)
    is_object = is_array or str(x.dtype if hasattr(x, "dtype") else x.type) == "object"
    # Whole numbers as objects, or of the column that the ids were read from, are ids; all others are a vector.
    if (is_named or is_object) and values and all(_is_whole(one) for one in values):
        return [str(int(one)) for one in values]
    return None if all(_is_number(one) for one in values) else values


def _is_whole(value: Any) -> bool:
    return _is_number(value) and float(value).is_integer()
