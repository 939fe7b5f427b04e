"""Periods and intervals of pandas as text, in frames and in the files that frames were written to.

Arrow has no such types: pandas gives it numbers and pairs with a note of what they are, which a reader without pandas
would take for the numbers of a column.
"""

import json
from typing import Any

import pyarrow as pa

from vecspeak.errors import UserError, require
from vecspeak.tables.cells import to_python

_PERIOD, _INTERVAL = "pandas.period", "pandas.interval"


def spelled_out(table: pa.Table) -> pa.Table:
    """The table with such columns as pandas prints them. Raises UserError for periods where pandas is not installed."""
    for place, field in enumerate(table.schema):
        is_coded = pa.types.is_dictionary(field.type)
        name, facts = _extension(field, field.type.value_type if is_coded else field.type)
        if name in (_PERIOD, _INTERVAL):
            chunks = [_spelled(chunk, name, facts, field.name) for chunk in table.column(place).chunks]
            table = table.set_column(place, field.name, pa.chunked_array(chunks, pa.string()))
    return table


def _extension(field: pa.Field, kind: pa.DataType) -> tuple[str, dict[str, Any]]:
    """What pandas says a column is: in its type where pandas is imported, else in the field's metadata."""
    known = field.metadata or {}
    name = getattr(kind, "extension_name", known.get(b"ARROW:extension:name", b"").decode())
    if name not in (_PERIOD, _INTERVAL):
        return "", {}
    noted = known.get(b"ARROW:extension:metadata")
    return name, json.loads(kind.__arrow_ext_serialize__() if noted is None else noted)


def _spelled(chunk: pa.Array, name: str, facts: dict[str, Any], column: str) -> pa.Array:
    if isinstance(chunk, pa.DictionaryArray):
        texts = _spelled(chunk.dictionary, name, facts, column)
        return pa.DictionaryArray.from_arrays(chunk.indices, texts).cast(pa.string())
    values = to_python(chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk, column)
    if name == _INTERVAL:
        opens, closes = (
            "[" if facts["closed"] in ("left", "both") else "(",
            "]" if facts["closed"] in ("right", "both") else ")",
        )
        texts = [None if _is_gap(one) else f"{opens}{one['left']}, {one['right']}{closes}" for one in values]
        return pa.array(texts, pa.string())
    try:
        periods = require("pandas", "notebook").PeriodIndex.from_ordinals
    except UserError as error:
        hint = f"write them as text: frame[{column!r}].astype(str)"
        raise UserError(
            f"column {column!r} holds pandas' periods, and pandas is not installed", hint
        ) from error
    texts = periods([one or 0 for one in values], freq=facts["freq"]).astype(str).tolist()
    return pa.array(
        [None if one is None else text for one, text in zip(values, texts, strict=True)], pa.string()
    )


def _is_gap(interval: dict[str, Any] | None) -> bool:
    return interval is None or interval["left"] is None or interval["left"] != interval["left"]
