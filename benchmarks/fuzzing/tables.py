"""Tables with columns of every type, written in every format that is read, and then perhaps with bytes changed."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from safetensors.numpy import save

from fuzzing.files import mutated
from fuzzing.values import odd_texts, weighted, words

FORMATS = (
    ".parquet",
    ".arrow",
    ".feather",
    ".jsonl",
    ".json",
    ".csv",
    ".tsv",
    ".csv.gz",
    ".item",
    ".npy",
    ".npz",
    ".safetensors",
    ".vec",
    ".txt",
    ".bin",
)


@dataclass(frozen=True)
class TableFile:
    """A table as a person would give it: files by name, the columns to read, and what is in it."""

    name: str
    """Of the file to read; beside it may lie others."""
    files: dict[str, bytes]
    columns: dict[str, str]
    """Arguments of `Space.read`."""
    ids: tuple[str, ...] = ()
    """What is read as ids, where nothing was changed; empty where something was."""
    dim: int = 0
    others: tuple[str, ...] = field(default=())
    """Names of the other columns."""


_texts = weighted((3, words), (1, odd_texts), (1, st.text(max_size=8)))
_whole = st.one_of(st.integers(-5, 2100), st.sampled_from((2**31 - 1, -(2**31), 2**62, 2**63 - 1, -(2**63))))
_floats = st.one_of(st.floats(-9, 9), st.floats())


def _viewed(kind: pa.DataType, bits: int = 64) -> Callable[[list[Any]], pa.Array]:
    """Makes a column of whole numbers as another type of as many bits, whatever that means."""
    whole = pa.int64() if bits == 64 else pa.int32()
    half = 2 ** (bits - 1)
    return lambda cells: pa.array(
        [None if one is None else max(-half, min(half - 1, one)) for one in cells], whole
    ).view(kind)


def _typed(kind: pa.DataType) -> Callable[[list[Any]], pa.Array]:
    return lambda cells: pa.array(cells, type=kind)


_small = st.integers(-100, 100)
_lists = st.lists(words, max_size=3)
_TYPES: dict[str, tuple[st.SearchStrategy[Any], Callable[[list[Any]], pa.Array]]] = {
    "text": (_texts, _typed(pa.string())),
    "large text": (words, _typed(pa.large_string())),
    "text view": (words, _typed(pa.string_view())),
    "binary": (st.binary(max_size=6), _typed(pa.binary())),
    "fixed binary": (st.binary(min_size=4, max_size=4), _typed(pa.binary(4))),
    "whole": (_whole, _typed(pa.int64())),
    "small whole": (_small, _typed(pa.int8())),
    "unsigned": (st.integers(0, 2**64 - 1), _typed(pa.uint64())),
    "floats": (_floats, _typed(pa.float64())),
    "half floats": (st.floats(-9, 9, width=16).map(np.float16), _typed(pa.float16())),
    "truth": (st.booleans(), _typed(pa.bool_())),
    "nothing": (st.none(), _typed(pa.null())),
    "decimal": (st.decimals(-999, 999, places=2), _typed(pa.decimal128(38, 2))),
    "wide decimal": (st.decimals(-999, 999, places=2), _typed(pa.decimal256(60, 10))),
    "date": (_whole, _viewed(pa.date32(), 32)),
    "date64": (_whole, _viewed(pa.date64())),
    "seconds": (_whole, _viewed(pa.timestamp("s"))),
    "moments": (_whole, _viewed(pa.timestamp("us"))),
    "nanoseconds": (_whole, _viewed(pa.timestamp("ns"))),
    "zoned": (_whole, _viewed(pa.timestamp("us", tz="Europe/Berlin"))),
    "odd zone": (_whole, _viewed(pa.timestamp("ms", tz="No/Where"))),
    "time": (_whole, _viewed(pa.time64("us"))),
    "duration": (_whole, _viewed(pa.duration("s"))),
    "categories": (words, lambda cells: pa.array(cells, pa.string()).dictionary_encode()),
    "lists": (_lists, _typed(pa.list_(pa.string()))),
    "large lists": (st.lists(_small, max_size=3), _typed(pa.large_list(pa.int64()))),
    "pairs": (st.lists(_small, min_size=2, max_size=2), _typed(pa.list_(pa.int16(), 2))),
    "lists of dates": (
        st.lists(_whole, max_size=2),
        lambda cells: pa.array(
            [None if one is None else [max(-(2**31), min(2**31 - 1, day)) for day in one] for one in cells],
            pa.list_(pa.int32()),
        ).cast(pa.list_(pa.date32())),
    ),
    "nested": (st.lists(_lists, max_size=2), _typed(pa.list_(pa.list_(pa.string())))),
    "structs": (
        st.fixed_dictionaries({"a": words, "b": _small}),
        _typed(pa.struct({"a": pa.string(), "b": pa.int32()})),
    ),
    "maps": (st.lists(st.tuples(words, _small), max_size=2), _typed(pa.map_(pa.string(), pa.int32()))),
}
TYPES = tuple(_TYPES)
_PLAIN = ("text", "whole", "floats", "truth", "lists", "structs", "nested")
"""Types that tables of text can hold."""
_names = st.one_of(
    st.sampled_from(("year", "genres", "price", "text", "label_", "not", "id2", "two words", "vector_")),
    st.text(min_size=1, max_size=5).filter(str.strip),
)
_vectors: tuple[tuple[str, Callable[[np.ndarray], Any]], ...] = (
    ("lists", lambda made: pa.array(made.tolist(), pa.list_(pa.float64()))),
    (
        "fixed",
        lambda made: pa.FixedSizeListArray.from_arrays(
            pa.array(made.ravel().astype(np.float32)), made.shape[1]
        ),
    ),
    ("large", lambda made: pa.array(made.tolist(), pa.large_list(pa.float32()))),
    ("text", lambda made: pa.array([json.dumps(row) for row in made.tolist()])),
    (
        "whole",
        lambda made: pa.array(
            [[int(one) or 1 for one in row] for row in made.tolist()], pa.list_(pa.int64())
        ),
    ),
)


@st.composite
def tables(draw: st.DrawFn, types: tuple[str, ...]) -> tuple[pa.Table, np.ndarray, tuple[str, ...]]:
    """A table with ids, labels, vectors of width 1 to 4 and up to four other columns; its vectors and its ids."""
    count, dim = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    of_text = draw(st.booleans())
    ids = draw(
        st.lists(
            st.text("abcxyzÄ0189", min_size=1, max_size=4) if of_text else st.integers(0, 999),
            min_size=count,
            max_size=count,
            unique=True,
        )
    )
    numbers = draw(st.lists(st.floats(-9, 9, width=16), min_size=count * dim, max_size=count * dim))
    made = np.array(numbers).reshape(count, dim)
    made[~made.any(axis=1), 0] = 1.0  # zero vectors are refused, which is not what is looked for
    _, vectors = draw(st.sampled_from(_vectors))
    columns = {
        "id": pa.array(ids),
        "label": pa.array(draw(st.lists(_texts, min_size=count, max_size=count)), pa.string()),
    }
    columns["vector"] = vectors(made)
    if draw(st.booleans()):
        columns["text"] = pa.array(
            draw(st.lists(st.one_of(st.none(), words), min_size=count, max_size=count)), pa.string()
        )
    for name in draw(st.lists(_names, max_size=3, unique=True)):
        cells, make = _TYPES[draw(st.sampled_from(types))]
        if name not in columns:
            columns[name] = make(
                draw(st.lists(weighted((4, cells), (1, st.none())), min_size=count, max_size=count))
            )
    return pa.table(columns), made, tuple(map(str, ids))


def _parquet(table: pa.Table, draw: st.DrawFn) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(
        table,
        out,
        compression=draw(st.sampled_from(("none", "zstd", "snappy"))),
        use_dictionary=draw(st.booleans()),
        row_group_size=draw(st.sampled_from((1, 3, 100))),
        version=draw(st.sampled_from(("1.0", "2.6"))),
        data_page_version=draw(st.sampled_from(("1.0", "2.0"))),
    )
    return out.getvalue().to_pybytes()


def _arrow(table: pa.Table, draw: st.DrawFn) -> bytes:
    out = pa.BufferOutputStream()
    kind = draw(st.sampled_from((pa.ipc.new_file, pa.ipc.new_stream)))
    with kind(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=draw(st.sampled_from((2, 100))))
    return out.getvalue().to_pybytes()


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items()} for row in table.to_pylist()]


def _json(table: pa.Table, draw: st.DrawFn) -> bytes:
    return json.dumps(_rows(table), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


def _jsonl(table: pa.Table, draw: st.DrawFn) -> bytes:
    plain = draw(st.booleans())
    return "".join(json.dumps(row, ensure_ascii=plain) + "\n" for row in _rows(table)).encode(
        "utf-8", "surrogatepass"
    )


def _separated(sep: str) -> Callable[[pa.Table, st.DrawFn], bytes]:
    def write(table: pa.Table, draw: st.DrawFn) -> bytes:
        out = io.StringIO()
        quoting = draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
        writer = csv.writer(
            out, delimiter=sep, quoting=quoting, lineterminator=draw(st.sampled_from(("\n", "\r\n")))
        )
        writer.writerow(table.column_names)
        writer.writerows([_cell(one) for one in row.values()] for row in _rows(table))
        return out.getvalue().encode("utf-8", "replace")

    return write


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _npy(made: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, made)
    return out.getvalue()


def _npz(made: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, a=made, b=made[:, :1])
    return out.getvalue()


def _words2vec(ids: tuple[str, ...], made: np.ndarray, *, binary: bool) -> bytes:
    head = f"{len(made)} {made.shape[1]}\n".encode()
    if binary:
        rows = zip(ids, made.astype("<f4"), strict=True)
        return head + b"".join(name.encode() + b" " + row.tobytes() + b"\n" for name, row in rows)
    lines = (f"{name} {' '.join(map(str, row))}\n" for name, row in zip(ids, made.tolist(), strict=True))
    return head + "".join(lines).encode()


WRITERS: dict[str, Callable[[pa.Table, st.DrawFn], bytes]] = {
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".feather": _arrow,
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".item": _separated("\t"),
    ".csv.gz": lambda table, draw: gzip.compress(_separated(",")(table, draw), mtime=0),
}


@st.composite
def table_files(draw: st.DrawFn, changed: bool | None = None) -> TableFile:
    """A table in one of the formats; two of five have changed bytes, or all, or none."""
    ending = draw(st.sampled_from(FORMATS))
    name, columns = f"t{ending}", {"id": "id", "label": "label"}
    types = TYPES if ending in (".parquet", ".arrow", ".feather") else _PLAIN
    table, made, ids = draw(tables(types))
    if ending in WRITERS:
        columns["vector"] = "vector"
        files = {name: _written(table, ending, draw)}
    elif ending in (".vec", ".txt", ".bin"):
        columns = {}
        files = {name: _words2vec(ids, made, binary=ending == ".bin")}
    else:
        beside = table.drop_columns(["vector"])
        files = {"t.csv": _separated(",")(beside, draw)}
        files[name] = {
            ".npy": _npy(made),
            ".npz": _npz(made),
            ".safetensors": save({"a": made, "b": made[:, :1].copy()}),
        }[ending]
        columns |= {} if ending == ".npy" else {"vector": "a"}
    if "text" in table.column_names and columns:
        columns["text"] = "text"
    if draw(st.integers(0, 4)) < 2 if changed is None else changed:
        which = draw(st.sampled_from(sorted(files)))
        files[which] = draw(mutated(files[which], which))
        ids = ()
    others = tuple(one for one in table.column_names if one not in ("id", "label", "vector", "text"))
    return TableFile(name=name, files=files, columns=columns, ids=ids, dim=made.shape[1], others=others)


def _written(table: pa.Table, ending: str, draw: st.DrawFn) -> bytes:
    """The file; a column of a type that the format does not have is left out."""
    try:
        return WRITERS[ending](table, draw)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, UnicodeError):
        plain = table.select([one for one in table.column_names if one in ("id", "label", "vector", "text")])
        return WRITERS[ending](plain, draw)
