"""What files of Arrow and Parquet will take in memory, known from what they say of themselves before they are read.

Parquet repeats a value by its place in a dictionary and Arrow packs its buffers, so that little of a file may be much
of memory. Parquet's footer says how many values and bytes there are, and a dictionary how long its longest text is;
Arrow's messages say how long each buffer is once it is unpacked.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.bounds import allowed_memory, check_memory

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
"""Bytes of a value; one of FIXED_LEN_BYTE_ARRAY has its own."""
_TEXT = "BYTE_ARRAY"
_OFFSET = 4
_ROWS = 1 << 16
A_ROW = 128
"""Bytes that the id and the label of a row take as Python's, however little of the file they are."""
_PREFIXES = "DELTA_BYTE_ARRAY"
"""The encoding in which a text repeats the beginning of the one before."""


def check_parquet(path: Path, columns: Sequence[str] | None = None) -> None:
    """Raise UserError where these columns of a Parquet file take more memory than is allowed; all where None."""
    with pq.ParquetFile(path) as file:
        if columns is None:  # known before any part is touched
            groups = range(file.metadata.num_row_groups)
            check_memory(path, sum(file.metadata.row_group(group).total_byte_size for group in groups))
        _check_parts(file, columns)
        chunks = list(_chunks(file, columns))
        rows = file.metadata.num_rows if columns is None or len(columns) > 1 else 0
    least = sum(_least_bytes(one, width) for _, one, width in chunks)
    check_memory(path, max(least, A_ROW * rows))
    texts = [(group, one) for group, one, _ in chunks if one.physical_type == _TEXT and _may_repeat(one)]
    # no text is longer than all that its part of the file holds
    if least + sum(one.num_values * one.total_uncompressed_size for _, one in texts) > allowed_memory(path):
        check_memory(path, least + _repeated_bytes(path, texts))


def _check_parts(file: pq.ParquetFile, columns: Sequence[str] | None) -> None:
    """Read a row of every part: that raises what is wrong with metadata, for which asking alone may end the process.

    One column after another, since a row brings a page with it, and little of a file may be a large page.
    """
    names = file.schema_arrow.names if columns is None else columns
    for group in range(file.metadata.num_row_groups):
        for name in dict.fromkeys(names):
            next(file.iter_batches(batch_size=1, row_groups=[group], columns=[name], use_threads=False), None)


def _chunks(file: pq.ParquetFile, columns: Sequence[str] | None) -> Iterator[tuple[int, Any, int]]:
    """The parts that will be read: group of rows, metadata, and bytes of a value that has a length of its own."""
    metadata, schema = file.metadata, file.schema
    leaves = [(place, schema.column(place)) for place in range(metadata.num_columns)]
    if columns is not None:
        leaves = [(place, leaf) for place, leaf in leaves if any(_is_of(leaf.path, one) for one in columns)]
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group)
        for place, leaf in leaves:
            yield group, rows.column(place), max(leaf.length, 0)


def _is_of(path: str, name: str) -> bool:
    """Whether a leaf such as `vector.list.element` belongs to a column."""
    return path == name or path.startswith(f"{name}.")


def _least_bytes(chunk: Any, length: int) -> int:
    """Bytes that a part takes at least: its values, and what the file itself says that it unpacks."""
    width = _OFFSET if chunk.physical_type == _TEXT else _WIDTHS.get(chunk.physical_type, length)
    return max(chunk.num_values * width, chunk.total_uncompressed_size)


def _may_repeat(chunk: Any) -> bool:
    return chunk.has_dictionary_page or _PREFIXES in chunk.encodings


def _repeated_bytes(path: Path, texts: Sequence[tuple[int, Any]]) -> int:
    """Bytes of texts that may repeat others: a bound, or all that there are where the bound is more than is allowed."""
    names = sorted({one.path_in_schema for _, one in texts if _PREFIXES not in one.encodings})
    most = 0
    with pq.ParquetFile(path, read_dictionary=names) as file:
        for group, chunks in groupby(texts, key=lambda one: one[0]):
            parts = [one for _, one in chunks]
            longest = _longest(
                file, group, [one.path_in_schema for one in parts if one.path_in_schema in names]
            )
            most += sum(_bound(one, longest) for one in parts)
    if most <= allowed_memory(path):
        return most
    total = 0
    for group, one in texts:
        total += _exact_bytes(path, group, one)
        if total > allowed_memory(path):  # as much more as the rest is like this
            break
    return total


def _bound(chunk: Any, longest: dict[str, int]) -> int:
    """Bytes that the texts of a part take at most: each repeats the longest, or is written out."""
    length = longest.get(chunk.path_in_schema.partition(".")[0])
    if length is None or _PREFIXES in chunk.encodings:
        length = chunk.total_uncompressed_size
    return int(chunk.num_values * length)


def _longest(file: pq.ParquetFile, group: int, names: list[str]) -> dict[str, int]:
    """The longest text in the dictionaries of each column, by a first row, which brings them whole."""
    if not names:
        return {}
    part = next(file.iter_batches(batch_size=1, row_groups=[group], columns=names), None)
    found = {}
    for name, column in zip(part.schema.names, part.columns, strict=True) if part is not None else ():
        lengths = [_lengths(one.dictionary) for one in _leaves(column) if isinstance(one, pa.DictionaryArray)]
        if lengths and all(map(len, lengths)):
            found[name] = max(int(one.max()) for one in lengths)
    return found


def _exact_bytes(path: Path, group: int, chunk: Any) -> int:
    """Bytes of all texts of a part, read by their places in the dictionary."""
    name, total = chunk.path_in_schema, 0
    rows, coded = _ROWS, [name]
    if _PREFIXES in chunk.encodings:  # whose texts come written out
        coded = []
        rows = max(1, min(rows, allowed_memory(path) // 8 // max(1, chunk.total_uncompressed_size)))
    with pq.ParquetFile(path, read_dictionary=coded) as file:
        for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=[name]):
            for leaf in (one for column in batch.columns for one in _leaves(column)):
                if isinstance(leaf, pa.DictionaryArray):
                    places = leaf.indices.drop_null().to_numpy(zero_copy_only=False)
                    total += int(_lengths(leaf.dictionary)[places].sum()) if len(places) else 0
                else:
                    total += leaf.nbytes
            if total > allowed_memory(path):
                break
    return total


def _leaves(array: pa.Array) -> Iterator[pa.Array]:
    """The arrays of plain values in one of lists, maps and structs."""
    if isinstance(array, pa.ExtensionArray):
        yield from _leaves(array.storage)
    elif pa.types.is_struct(array.type):
        for place in range(array.type.num_fields):
            yield from _leaves(array.field(place))
    elif pa.types.is_map(array.type):
        yield from _leaves(array.keys)
        yield from _leaves(array.items)
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        yield from _leaves(array.values)
    else:
        yield array


def _lengths(texts: pa.Array) -> np.ndarray:
    """[N] bytes of each text, by its offsets."""
    is_wide = pa.types.is_large_string(texts.type) or pa.types.is_large_binary(texts.type)
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64 if is_wide else np.int32)
    return np.diff(offsets[texts.offset : texts.offset + len(texts) + 1].astype(np.int64))


# --- Arrow's own files ---


def check_messages(source: pa.NativeFile, path: Path) -> None:
    """Raise UserError where the messages of an Arrow stream take more memory than is allowed once they are unpacked.

    Raises what Arrow raises for a broken file.
    """
    total = 0
    for message in pa.ipc.MessageReader.open_stream(source):
        total += _unpacked_bytes(message)
        check_memory(path, total)


def _unpacked_bytes(message: pa.ipc.Message) -> int:
    """Bytes of the buffers of a message, of a packed one as the eight bytes before it say; or of its rows and values.

    A column of nothing but missing values has no buffer, and still becomes a value a row.
    """
    body = message.body
    if body is None:
        return 0
    total, held = 0, memoryview(body)
    metadata = memoryview(message.metadata)
    for start, length, is_packed in _buffers(metadata):
        size = length
        if is_packed and 0 <= start <= len(held) - 8 and length >= 8:
            size = max(length, int.from_bytes(held[start : start + 8], "little", signed=True))
        total += size
    rows, values = _counts(metadata)
    return max(total, values, A_ROW * rows)


_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2
"""Kinds of a message's header."""


def _buffers(metadata: memoryview) -> list[tuple[int, int, bool]]:
    """Place and length of each buffer of a message, and whether it is packed."""
    try:
        batch = _batch(metadata)
        pairs = _pairs(metadata, batch, 2) if batch else []
        is_packed = bool(batch and _field(metadata, batch, 3))
        return [(start, max(length, 0), is_packed) for start, length in pairs]
    except (struct.error, IndexError):  # which Arrow tells
        return []


def _counts(metadata: memoryview) -> tuple[int, int]:
    """How many rows a message has, and how many values in all its columns and in the lists in them."""
    try:
        batch = _batch(metadata)
        rows_at = _field(metadata, batch, 0) if batch else 0
        if not rows_at:
            return 0, 0
        values = sum(max(length, 0) for length, _ in _pairs(metadata, batch, 1))
        return _at(metadata, rows_at, "<q"), values
    except (struct.error, IndexError):  # which Arrow tells
        return 0, 0


def _batch(metadata: memoryview) -> int:
    """Where the table of a message's rows stands, by Message.fbs of Arrow's format; 0 where it has none.

    A flatbuffer's table begins with how far back its field list lies; the list says how far behind each field is.
    """
    message = _at(metadata, 0, "<I")
    kind_at, header_at = _field(metadata, message, 1), _field(metadata, message, 2)
    kind = metadata[kind_at] if kind_at else 0
    if kind not in (_RECORD_BATCH, _DICTIONARY_BATCH) or not header_at:
        return 0
    batch = header_at + _at(metadata, header_at, "<I")
    if kind == _DICTIONARY_BATCH:
        data_at = _field(metadata, batch, 1)
        batch = data_at + _at(metadata, data_at, "<I")
    return batch


def _pairs(metadata: memoryview, batch: int, number: int) -> list[tuple[int, int]]:
    """The pairs of whole numbers in a field of a flatbuffer's table."""
    found_at = _field(metadata, batch, number)
    if not found_at:
        return []
    vector = found_at + _at(metadata, found_at, "<I")
    count = min(_at(metadata, vector, "<I"), len(metadata) // 16)
    return [struct.unpack_from("<qq", metadata, vector + 4 + 16 * place) for place in range(count)]


def _at(metadata: memoryview, place: int, form: str) -> int:
    return int(struct.unpack_from(form, metadata, place)[0])


def _field(metadata: memoryview, table: int, number: int) -> int:
    """Where a field of a flatbuffer's table stands; 0 where it is left out."""
    fields = table - _at(metadata, table, "<i")
    if 4 + 2 * number >= _at(metadata, fields, "<H"):
        return 0
    offset = _at(metadata, fields + 4 + 2 * number, "<H")
    return table + offset if offset else 0
