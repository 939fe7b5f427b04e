"""Foreign files are bounded: what they claim is known before memory is taken, and refused in words."""

import gzip
import io
import json
import os
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vecspeak import Space
from vecspeak.bounds import allow_memory
from vecspeak.errors import UserError
from vecspeak.tables import footers, mapped
from vecspeak.tables.arrays import read_vectors_file
from vecspeak.tables.files import read_table
from vecspeak.tables.mapped import check_whole

ROWS = 25_000
LONG = "x" * 200


def repeated(kind):
    """Five megabytes of text or numbers that take some kilobytes in a file."""
    return {
        "text": pa.array([LONG] * ROWS),
        "list": pa.array([[LONG, "y"]] * ROWS),
        "map": pa.array([[("k", LONG)]] * ROWS, pa.map_(pa.string(), pa.string())),
        "struct": pa.array([{"a": LONG, "b": None}] * ROWS),
        "categories": pa.array([LONG] * ROWS).dictionary_encode(),
        "numbers": pa.array([[1.0] * 50] * ROWS, pa.list_(pa.float32())),
        "bytes": pa.array([b"x" * 200] * ROWS, pa.binary(200)),
    }[kind]


@pytest.fixture
def few_bytes():
    with allow_memory("4MB"):
        yield


@pytest.mark.parametrize("kind", ["text", "list", "map", "struct", "categories", "numbers", "bytes"])
@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"store_schema": False}], ids=str)
def test_parquet_is_refused_before_it_is_read(tmp_path, few_bytes, monkeypatch, kind, options):
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"id": range(ROWS), "x": repeated(kind)}),
        path,
        compression="zstd",
        **options,
    )
    assert path.stat().st_size < 1_000_000
    monkeypatch.setattr(pq.ParquetFile, "read", lambda *given, **more: pytest.fail("it was read"))
    with pytest.raises(
        UserError, match=r"a.parquet holds 1?[0-9.]+ MB once it is unpacked, and 4 MB are allowed"
    ):
        read_table(path)


def test_a_delta_of_prefixes_is_refused(tmp_path, few_bytes):
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"x": [LONG] * ROWS}), path, use_dictionary=False, column_encoding={"x": "DELTA_BYTE_ARRAY"}
    )
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match="4 MB are allowed"):
        read_table(path)


def test_of_parquet_only_what_is_read_counts_and_what_fits_is_read(tmp_path, few_bytes):
    path = tmp_path / "a.parquet"
    texts = [f"text {row} " + "z" * (row % 40) for row in range(2000)]
    table = pa.table(
        {"id": texts, "tags": [["a", None, one] for one in texts], "big": [LONG] * 2000, "n": [1.5] * 2000}
    )
    pq.write_table(table, path, row_group_size=700)
    assert read_table(path).equals(table)
    pq.write_table(table.append_column("x", pa.array([LONG * 20] * 2000)), path)
    with pytest.raises(UserError, match="4 MB are allowed"):
        read_table(path)
    assert read_table(path, without=("x",)).equals(table)


@pytest.mark.parametrize("kind", ["text", "list", "map", "struct"])
def test_repeated_texts_are_counted_to_the_byte(tmp_path, kind):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": repeated(kind)}), path)
    chunks = [
        one for one in footers._chunks(pq.ParquetFile(path), None) if one[1].physical_type == "BYTE_ARRAY"
    ]
    found = sum(footers._exact_bytes(path, group, one) for group, one, _ in chunks)
    assert found == ROWS * {"text": 200, "list": 201, "map": 201, "struct": 200}[kind]


@pytest.mark.parametrize("form", ["file", "stream"])
@pytest.mark.parametrize("packed", ["zstd", "lz4", None])
def test_arrow_is_refused_before_it_is_unpacked(tmp_path, few_bytes, form, packed):
    table = pa.table({"x": [LONG] * ROWS, "y": pa.array(["a"] * ROWS).dictionary_encode()})
    make = pa.ipc.new_file if form == "file" else pa.ipc.new_stream
    for rows, is_read in ((table, False), (table.slice(0, 100), True)):
        path = tmp_path / "a.arrow"
        with make(str(path), table.schema, options=pa.ipc.IpcWriteOptions(compression=packed)) as writer:
            writer.write_table(rows)
        if is_read:
            assert read_table(path).equals(rows)
        else:
            with pytest.raises(UserError, match=r"holds [0-9.]+ MB once it is unpacked"):
                read_table(path)


def test_parquet_of_large_pages_is_refused_before_a_page_is_unpacked(tmp_path, few_bytes, monkeypatch):
    path = tmp_path / "a.parquet"
    pages = {f"t{number}": pa.array(["A" * 1_000_000]) for number in range(8)}
    pq.write_table(pa.table({"id": ["1"], **pages}), path, use_dictionary=False, write_statistics=False)
    with monkeypatch.context() as patched:
        patched.setattr(pq.ParquetFile, "iter_batches", lambda *given, **more: pytest.fail("it was read"))
        with pytest.raises(
            UserError, match=r"a.parquet holds 8 MB once it is unpacked, and 4 MB are allowed"
        ):
            read_table(path)
    # of some columns one page after another is in memory
    asked, read = [], pq.ParquetFile.iter_batches

    def seen(*given, **more):
        asked.append(more["columns"])
        return read(*given, **more)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", seen)
    footers.check_parquet(path, ["id", "t0", "t1"])
    assert asked == [["id"], ["t0"], ["t1"]]


def test_rows_of_almost_no_bytes_count(tmp_path, few_bytes):
    rows = 10**6
    constant = pa.array(np.zeros(rows, np.int8))
    pq.write_table(pa.table({"id": constant, "label": constant}), tmp_path / "a.parquet")
    missing = pa.table({name: pa.nulls(rows) for name in ("id", "label", "vector")})
    inner = pa.table({"vector": pa.FixedSizeListArray.from_arrays(pa.nulls(5 * rows), 5 * rows)})
    for name, table in (("b", missing), ("c", inner)):
        with pa.ipc.new_file(tmp_path / f"{name}.arrow", table.schema) as file:
            file.write_table(table)
    for name, size in (("a.parquet", 128), ("b.arrow", 128), ("c.arrow", 5)):
        with pytest.raises(UserError, match=f"{name} holds {size} MB once it is unpacked"):
            read_table(tmp_path / name)


def shared(kind):
    """A hundred rows of one text of 100 kB, which is held once; or of a list of as many numbers."""
    text, count = "x" * 100_000, 100
    places = pa.array([0] * count, pa.int32())
    views = pa.array([text], pa.string_view()).buffers()
    if kind == "views":
        return pa.Array.from_buffers(
            pa.string_view(), count, [None, pa.py_buffer(views[1].to_pybytes() * count), *views[2:]]
        )
    if kind == "categories":
        return pa.DictionaryArray.from_arrays(places, pa.array([text]))
    if kind == "runs":
        return pa.RunEndEncodedArray.from_arrays(pa.array([count], pa.int32()), pa.array([text]))
    if kind == "struct":
        return pa.StructArray.from_arrays([shared("categories")], ["a"])
    sizes = pa.array([100_000] * count, pa.int32())
    return pa.ListViewArray.from_arrays(places, sizes, pa.array(np.zeros(100_000, np.int8)))


@pytest.mark.parametrize("kind", ["views", "categories", "runs", "struct", "lists"])
def test_values_that_share_memory_count_as_if_written_out(tmp_path, few_bytes, kind):
    path = tmp_path / "a.arrow"
    table = pa.table({"id": [str(row) for row in range(100)], "x": shared(kind)})
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table)
    assert path.stat().st_size < 200_000
    with pytest.raises(UserError, match=r"a.arrow holds 10 MB once it is unpacked, and 4 MB are allowed"):
        read_table(path)
    with allow_memory("12MB"):
        assert read_table(path).num_rows == 100


def test_a_union_of_kinds_that_are_none_is_refused_and_does_not_end_the_process(tmp_path):
    places, texts = pa.array([0, 0], pa.int32()), pa.array(["a", "b"])
    union = pa.UnionArray.from_dense(pa.array([0, 1], pa.int8()), places, [texts, texts])
    kinds = pa.py_buffer(bytes([0, 100]))
    wrong = pa.Array.from_buffers(union.type, 2, [None, kinds, places.buffers()[1]], children=[texts, texts])
    with pa.ipc.new_file(tmp_path / "a.arrow", pa.schema({"x": union.type})) as file:
        file.write_table(pa.table({"x": wrong}))
    with pytest.raises(UserError, match="union"):
        read_table(tmp_path / "a.arrow")


def test_categories_at_places_that_are_none_are_refused_and_do_not_end_the_process(tmp_path):
    wrong = pa.DictionaryArray.from_arrays(pa.array([0, None, 1 << 40]), pa.array(["a", None]), safe=False)
    with pa.ipc.new_file(tmp_path / "a.arrow", pa.schema({"x": wrong.type})) as file:
        file.write_table(pa.table({"x": wrong}))
    with pytest.raises(UserError, match="out of bounds"):
        read_table(tmp_path / "a.arrow")


def test_arrow_with_texts_that_lie_elsewhere_is_refused(tmp_path):
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), pa.schema([("x", pa.string())])) as writer:
        writer.write_batch(pa.record_batch([pa.array(["abc", "def"])], ["x"]))
    data = (tmp_path / "a.arrow").read_bytes()
    offsets, wrong = (np.array([0, 3, end], dtype=np.int32).tobytes() for end in (6, 1 << 30))
    assert data.count(offsets) == 1
    (tmp_path / "a.arrow").write_bytes(data.replace(offsets, wrong))
    with pytest.raises(UserError, match="cannot read .*a.arrow as a table"):
        read_table(tmp_path / "a.arrow")


def pack(path, data):
    with pa.output_stream(
        str(path), compression={".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}[path.suffix]
    ) as out:
        out.write(data)
    return path


@pytest.mark.parametrize("ending", [".gz", ".zst", ".bz2"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.vec", "a.w2v.bin"])
def test_a_packed_file_is_unpacked_up_to_what_is_allowed(tmp_path, few_bytes, name, ending):
    line = {
        "a.csv": b"id,text\n",
        "a.jsonl": b'{"id": "a"}\n',
        "a.vec": b"word 1 2\n",
        "a.w2v.bin": b"2000000 2\n",
    }
    path = pack(tmp_path / (name + ending), line[name] * 600_000)
    read = read_vectors_file if "csv" not in name and "jsonl" not in name else read_table
    with pytest.raises(UserError, match="more than the 4 MB that are allowed"):
        read(path)
    few = pack(tmp_path / ("b" + name[1:] + ending), line[name] * 3)
    if "bin" not in name:
        read(few)


@pytest.mark.parametrize("text", ["," * 600_000, "a\n" * 600_000])
def test_cells_of_a_table_of_text_count(tmp_path, few_bytes, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=r"holds [0-9.]+ MB once it is unpacked"):
        read_table(tmp_path / "a.csv")


def test_archives_and_headers_of_arrays_are_bounded(tmp_path, few_bytes):
    np.savez_compressed(tmp_path / "a.npz", v=np.zeros((50_000, 30), np.float32))
    with pytest.raises(UserError, match=r"a.npz holds 6 MB"):
        read_vectors_file(tmp_path / "a.npz")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 300)}
    )
    (tmp_path / "a.npy").write_bytes(header.getvalue() + b"\0" * 100)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("v.npy", header.getvalue() + b"\0" * 100)
    for name in ("a.npy", "b.npz"):
        with pytest.raises(UserError, match=r"says that it holds float32 of shape .*1000000000, 300"):
            read_vectors_file(tmp_path / name)


def test_tensors_that_repeat_their_numbers_are_bounded(tmp_path, few_bytes):
    torch = pytest.importorskip("torch")
    torch.save(torch.zeros(1, 1).expand(100_000, 300), tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"a.pt holds 120 MB"):
        read_vectors_file(tmp_path / "a.pt")


DEEP = {
    "a.jsonl": '{"id": "a"}\n' + '{"id": "b", "x": ' + "[" * 64 + "]" * 64 + "}\n",
    "b.jsonl": '{"id": "a"}\n' + '{"x": ' * 65 + "1" + "}" * 65 + "\n",
    "c.json": '[{"id": "a"},\n' + '{"x": ' * 70 + "1" + "}" * 70 + "]",
    "d.json": '{\n"id": ' + "[" * 5000 + "]" * 5000 + "}",
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("is_packed", [False, True])
def test_deep_brackets_are_refused_with_their_line(tmp_path, name, is_packed):
    path = tmp_path / name
    path.write_text(DEEP[name])
    if is_packed:
        (path := tmp_path / f"{name}.gz").write_bytes(gzip.compress(DEEP[name].encode()))
    with pytest.raises(UserError, match=rf"line 2 of .*{name}.* has brackets more than 64 levels deep"):
        read_table(path)


def test_brackets_in_texts_and_up_to_64_levels_are_read(tmp_path):
    rows = [{"id": "a", "t": "[" * 500 + "{" * 500}, {"id": "b", "t": '\\"' + "[" * 100}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_table(tmp_path / "a.jsonl", text_columns=("id",)).to_pylist() == rows
    (tmp_path / "b.jsonl").write_text('{"id": "a", "x": ' + "[" * 63 + "]" * 63 + "}")
    assert read_table(tmp_path / "b.jsonl").num_rows == 1


def test_a_pipe_and_a_device_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(UserError, match="a.csv is a pipe, not a file; write it to a file first"):
        Space.read(tmp_path / "a.csv", id="id", vector="v")
    os.symlink("/dev/zero", tmp_path / "a.npy")
    with pytest.raises(UserError, match="a.npy is a device"):
        Space.read(tmp_path / "a.npy", id="id")


def test_text_that_is_no_utf8_is_told_with_column_and_row(tmp_path):
    texts = pa.array([b"a", b"b", b"\xff\xfe", b"d"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": ["a", "b", "c", "d"], "t": texts}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"row 2 of column 't' in .*a.parquet is no UTF-8"):
        read_table(tmp_path / "a.parquet")
    pq.write_table(pa.table({"id": ["a"], "oddname": ["b"]}), tmp_path / "b.parquet", store_schema=False)
    data = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(data.replace(b"oddname", b"\xff\xfename"))
    for read in (
        lambda path: read_table(path),
        Space.load,
        lambda path: Space.read(path, id="id", vector="v"),
    ):
        with pytest.raises(UserError, match="b.parquet"):
            read(tmp_path / "b.parquet")


def test_a_large_ragged_table_tells_what_a_small_one_tells(tmp_path, monkeypatch):
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))
    lists = (
        [[1.0, 2.0, 3.0]] * 70 + [[1.0, float(row), 3.0, 4.0] for row in range(200)] + [None, [0.0] * 4, []]
    )
    table = pa.table(
        {"id": [f"i{row}" for row in range(len(lists))], "v": pa.array(lists, pa.list_(pa.float32()))}
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=50)
    with pytest.warns() as told:
        small = Space.read(tmp_path / "a.parquet", id="id", vector="v")
    monkeypatch.setattr(mapped, "LARGE_BYTES", 1000)
    late = Space.read(tmp_path / "a.parquet", id="id", vector="v")
    with pytest.raises(UserError, match="open it again"):
        late.vectors  # noqa: B018
    with pytest.warns():
        large = Space.read(tmp_path / "a.parquet", id="id", vector="v")
    assert large.notes == small.notes and "another width than 4" in small.notes[1]
    assert np.array_equal(large.vectors, small.vectors) and large.ids == small.ids and len(told)


def test_a_file_that_is_cut_while_it_is_mapped_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "LARGE_BYTES", 1000)
    vectors = np.random.default_rng(0).normal(size=(400, 800)).astype(np.float32)
    np.save(tmp_path / "a.npy", vectors)
    (tmp_path / "a.csv").write_text("id\n" + "\n".join(map(str, range(1, 401))))
    space = Space.read(tmp_path / "a.npy", id="id")
    check_whole(space.vectors)
    assert space["7"].vector.tolist() == vectors[6].tolist()
    os.truncate(tmp_path / "a.npy", 200_000)
    with pytest.raises(UserError, match=r"a.npy was cut after it was opened"):
        space["400"]
    check_whole(np.zeros((2, 2)))


def test_vectors_larger_than_the_disk_are_refused_before_it_is_filled(tmp_path, monkeypatch):
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match=r"4e\+03 TB|are needed and .* are free"):
        mapped.convert("key", (10**12, 1000), lambda put: pytest.fail("it was written"))
