"""What a table of Arrow takes once no two of its rows share memory.

Views, categories and runs repeat a text by its place, so that a few rows of memory may be many of values, and a space
writes every value out.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from vecspeak.bounds import check_memory

_VIEW = 16
"""Bytes of the view of a text; the first four are its length."""


def check_shared(table: pa.Table, path: Path) -> None:
    """Raise UserError where the values of a file's table take more memory than is allowed once they are written out.

    Its arrays have passed `validate()`, so that their buffers are as long as their types need.
    """
    total = 0
    for column in table.columns:
        for chunk in column.chunks:
            total += int(_written_out(chunk).sum())
            check_memory(path, total)


def _written_out(array: pa.Array) -> np.ndarray:
    """[N] bytes of each value of an array that may share memory; of any other [1] its bytes together."""
    kind, types = array.type, pa.types
    if isinstance(array, pa.ExtensionArray):
        return _written_out(array.storage)
    if types.is_string_view(kind) or types.is_binary_view(kind):
        return _of_valid(array, _numbers(array, 1, np.int32, width=_VIEW // 4)[:, 0])
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        sizes = _numbers(array, 2, np.int64 if types.is_large_list_view(kind) else np.int32)[:, 0]
        return _of_valid(array, sizes) * _mean(array.values)
    if types.is_dictionary(kind):
        sizes = _of_each(array.dictionary)
        places = array.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        if not len(sizes):
            return np.zeros(1)
        # missing by its place alone: whether its value is missing, Arrow asks at places that may be wrong
        return _of_valid(array.indices, sizes[np.clip(places, 0, len(sizes) - 1)])
    if types.is_run_end_encoded(kind):
        ends = np.minimum(array.run_ends.to_numpy().astype(np.int64), array.offset + len(array))
        return np.diff(ends, prepend=0) * _of_each(array.values)
    if types.is_struct(kind):
        fields = (_written_out(array.field(place)).sum() for place in range(kind.num_fields))
        return np.array([float(sum(fields))])
    if types.is_map(kind):
        return np.array([float(_written_out(array.keys).sum() + _written_out(array.items).sum())])
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return np.array([float(_written_out(array.values).sum())])
    # not `nbytes`, which follows the places in a union, and these may be wrong
    return np.array([float(sum(one.size for one in array.buffers() if one is not None))])


def _of_each(values: pa.Array) -> np.ndarray:
    """[N] bytes of each value, by the offsets of texts; of what has none the mean."""
    kind, types = values.type, pa.types
    is_wide = types.is_large_string(kind) or types.is_large_binary(kind)
    if is_wide or types.is_string(kind) or types.is_binary(kind):
        offsets = np.frombuffer(values.buffers()[1], np.int64 if is_wide else np.int32)
        bounds = offsets[values.offset :][: len(values) + 1]
    else:
        found = _written_out(values)
        return found if len(found) == len(values) else np.full(len(values), _mean(values))
    return np.diff(bounds.astype(np.float64)).clip(min=0)


def _mean(values: pa.Array) -> float:
    return float(_written_out(values).sum()) / max(1, len(values))


def _numbers(array: pa.Array, buffer: int, kind: type[np.number], width: int = 1) -> np.ndarray:
    """[N, width] numbers of a buffer of an array."""
    held = array.buffers()[buffer]
    found = np.frombuffer(held if held is not None else b"", kind)
    return found[array.offset * width :][: len(array) * width].reshape(-1, width)


def _of_valid(array: pa.Array, sizes: np.ndarray) -> np.ndarray:
    """[N] sizes as floats, which no sum of them overflows; 0 where a value is missing."""
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else False
    return np.where(missing, 0.0, np.maximum(sizes, 0).astype(np.float64))
