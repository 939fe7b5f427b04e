"""Bytes of files with a few of them changed where the format keeps its lengths, offsets and headers."""

import json
import struct
from pathlib import PurePath

from hypothesis import strategies as st

from fuzzing.values import as_json, edited, odd_texts, weighted

_LENGTHS = (0, 1, 2, 7, 64, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)


def mutated(data: bytes, name: str) -> st.SearchStrategy[bytes]:
    """The bytes of a file of that name, changed by what its ending says that it is."""
    ending = PurePath(name).suffix
    plain = bytes_changed(data, _headers(data, ending))
    if ending == ".safetensors":
        return weighted((3, _numbers(data)), (2, _safetensors(data)), (1, plain))
    if ending == ".json":
        return weighted((4, edited(json.loads(data)).map(as_json)), (1, plain))
    if ending in (".jsonl", ".ndjson"):
        return weighted((4, _lines(data)), (1, plain))
    if ending == ".npy":
        return st.one_of(_npy(data), plain)
    if ending in (".csv", ".tsv", ".vec", ".txt", ".inter", ".item"):
        return weighted((4, _cells(data)), (1, plain))
    return plain


def _headers(data: bytes, ending: str) -> tuple[range, ...]:
    """Where a format says how its content lies."""
    size = len(data)
    if ending in (".parquet", ".pq") and size > 12:
        footer = int.from_bytes(data[-8:-4], "little")
        return range(max(4, size - 8 - footer), size - 8), range(size - 8, size), range(4, min(size, 60))
    if (
        ending in (".npz", ".zip", ".arrow", ".feather") and size > 64
    ):  # directories and footers lie at the end
        return range(max(0, size - 400), size), range(min(size, 300))
    return (range(min(size, 128)),)


@st.composite
def bytes_changed(draw: st.DrawFn, data: bytes, headers: tuple[range, ...] = ()) -> bytes:
    """One to four changes, most of them in these ranges."""
    out = bytearray(data)
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 4)))):
        where = draw(st.sampled_from((*[one for one in headers if len(one)] * 2, range(len(out)))))
        if not out or not len(where):
            return bytes(out) + b"x"
        at = min(
            draw(st.sampled_from(where) if len(where) < 64 else st.integers(where.start, where.stop - 1)),
            len(out) - 1,
        )
        way = draw(
            st.sampled_from(("bit", "bit", "byte", "length", "length", "cut", "insert", "repeat", "end"))
        )
        if way == "bit":
            out[at] ^= 1 << draw(st.integers(0, 7))
        elif way == "byte":
            out[at] = draw(st.integers(0, 255))
        elif way == "length":
            number = draw(st.sampled_from(_LENGTHS))
            width = draw(st.sampled_from((2, 4, 8)))
            out[at : at + width] = (number % 2 ** (8 * width)).to_bytes(width, "little")
        elif way == "cut":
            del out[at : at + draw(st.sampled_from((1, 2, 8, 100)))]
        elif way == "insert":
            out[at:at] = draw(st.binary(min_size=1, max_size=9))
        elif way == "repeat":
            out[at:at] = out[at : at + draw(st.integers(1, 200))]
        else:
            del out[at:]
    return bytes(out)


@st.composite
def _safetensors(draw: st.DrawFn, data: bytes) -> bytes:
    """The header as a tree: its shapes, types and offsets are changed, and its length is right nearly always."""
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    tensors = [name for name in header if name != "__metadata__"]
    if tensors and draw(st.booleans()):
        tensor = header[draw(st.sampled_from(tensors))]
        key, value = draw(
            st.one_of(
                st.tuples(
                    st.just("shape"),
                    st.lists(st.sampled_from((0, 1, 2, 3, 4, 6, 60, -1, 2**32, 2**63)), max_size=4),
                ),
                st.tuples(
                    st.just("dtype"),
                    st.sampled_from(("F64", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "C64", "x")),
                ),
                st.tuples(
                    st.just("data_offsets"),
                    st.lists(st.sampled_from((0, 4, len(body), len(body) + 4, 2**63)), max_size=3),
                ),
            )
        )
        tensor[key] = value
    elif "__metadata__" in header and draw(st.booleans()):
        header["__metadata__"] = {
            key: as_json(draw(edited(json.loads(value), untouched=0))).decode("utf-8", "replace")
            if value[:1] in "[{"
            else draw(odd_texts)
            for key, value in header["__metadata__"].items()
        }
    else:
        header = draw(edited(header))
    written = as_json(header)
    length = draw(st.sampled_from((len(written),) * 9 + (len(written) + 1, 0, 2**40, 2**63)))
    return struct.pack("<Q", length) + written + body[: draw(st.sampled_from((None, None, None, 4, -1)))]


_FLOATS = (0.0, -0.0, 1e-45, 1e-20, -1.0, 1.0, 40.0, 3e38, -3e38, float("nan"), float("inf"))


@st.composite
def _numbers(draw: st.DrawFn, data: bytes) -> bytes:
    """The header as it is, and up to three float32 of the body others."""
    out, start = bytearray(data), 8 + int.from_bytes(data[:8], "little")
    for _ in range(draw(st.integers(1, 3)) if len(data) >= start + 4 else 0):
        at = start + 4 * draw(st.integers(0, (len(data) - start) // 4 - 1))
        out[at : at + 4] = struct.pack("<f", draw(st.sampled_from(_FLOATS)))
    return bytes(out)


@st.composite
def _lines(draw: st.DrawFn, data: bytes) -> bytes:
    """One of the lines as a tree with changes."""
    lines = data.splitlines()
    at = draw(st.integers(0, len(lines) - 1))
    lines[at] = as_json(draw(edited(json.loads(lines[at]), untouched=1)))
    return b"\n".join(lines) + b"\n"


@st.composite
def _cells(draw: st.DrawFn, data: bytes) -> bytes:
    """Some cells of a table of text are others, as they are typed."""
    lines = data.decode("utf-8", "replace").splitlines()
    sep = max(",\t ;", key=lines[0].count)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        cells = lines[at].split(sep)
        cells[draw(st.integers(0, len(cells) - 1))] = draw(
            st.one_of(odd_texts, st.sampled_from(("", "1", "m1", "x")))
        )
        lines[at] = sep.join(cells)
    return (
        draw(st.sampled_from(("\n", "\n", "\r\n")))
        .join(lines)
        .encode(draw(st.sampled_from(("utf-8", "utf-8", "utf-8-sig", "utf-16"))))
    )


@st.composite
def _npy(draw: st.DrawFn, data: bytes) -> bytes:
    """The header is text: its type, its order and its shape are changed."""
    size = int.from_bytes(data[8:10], "little")
    types = st.sampled_from(
        ("<f4", ">f8", "<i8", "|O", "|V4", "<U2", "|b1", "<c8", "<M8[ns]", "<f2", "[('a', '<f4')]")
    )
    shape = draw(st.lists(st.sampled_from((0, 1, 2, 3, 6, 2**31, 2**62, -1)), max_size=3).map(tuple))
    text = f"{{'descr': {draw(types)!r}, 'fortran_order': {draw(st.booleans())}, 'shape': {shape}, }}"
    header = text.encode().ljust(size - 1)[: size - 1] + b"\n"
    return data[:8] + struct.pack("<H", size) + header + data[10 + size :]
