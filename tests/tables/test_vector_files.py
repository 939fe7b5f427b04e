"""Vectors in every file that people keep them in."""

import bz2
import gzip
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from vecspeak import Space
from vecspeak.errors import UserError
from vecspeak.spaces.space import ReadingWarning
from vecspeak.tables.arrays import read_vectors_file

VECTORS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
WORDS = ["the", "New_York", "cat", "1", "nan", "é"]


def csv_of(path, ids=("a", "b", "c", "d", "e", "f")):
    path.write_text("id,label\n" + "".join(f"{one},{one.upper()}\n" for one in ids))
    return path


def test_an_archive_of_arrays_brings_its_ids(tmp_path):
    np.savez(tmp_path / "a.npz", IDs=np.array(list("abcdef")), data=VECTORS)
    space = Space.read(tmp_path / "a.npz")
    assert space.ids == tuple("abcdef") and space.id_column == "IDs"
    np.testing.assert_array_equal(space.vectors, VECTORS)
    csv_of(tmp_path / "a.csv")
    assert Space.read(tmp_path / "a.npz", id="id", label="label", vector="data").labels == tuple("ABCDEF")
    np.savez(tmp_path / "two.npz", users=VECTORS, items=VECTORS)
    with pytest.raises(
        UserError, match=r"has 2 arrays of shape \[N, D\]; its arrays are users \[6, 4\], items"
    ):
        Space.read(tmp_path / "two.npz")


def test_halves_of_16_bits_are_read_from_safetensors(tmp_path):
    save_file({"first": torch.ones(3), "emb": torch.tensor(VECTORS).bfloat16()}, tmp_path / "a.safetensors")
    csv_of(tmp_path / "a.csv")
    np.testing.assert_allclose(Space.read(tmp_path / "a.safetensors", id="id").vectors, VECTORS, rtol=1e-2)


def test_an_embedding_table_of_pytorch_is_read_and_nothing_else_is_opened(tmp_path):
    csv_of(tmp_path / "a.csv")
    torch.save({"emb.weight": torch.tensor(VECTORS), "bias": torch.ones(4)}, tmp_path / "a.pt")
    np.testing.assert_array_equal(Space.read(tmp_path / "a.pt", id="id").vectors, VECTORS)
    torch.save(torch.nn.Embedding(6, 4), tmp_path / "a.pt")
    with pytest.raises(UserError, match="no PyTorch file of tensors alone.*torch.save"):
        Space.read(tmp_path / "a.pt", id="id")


def test_an_archive_with_a_member_that_is_no_array_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match=r"a.npz holds 'readme.txt', which is no array"):
        read_vectors_file(path)


@pytest.mark.parametrize("kind", ["meta", "quantized", "complex", "sparse_csr"])
def test_a_tensor_that_is_no_plain_array_is_refused(tmp_path, kind):
    path, plain = tmp_path / "a.pt", torch.eye(4)
    made = {
        "meta": lambda: torch.zeros(4, 4, device="meta"),
        "quantized": lambda: torch.quantize_per_tensor(plain, 1.0, 0, torch.quint8),
        "complex": lambda: plain.to(torch.complex64).conj(),
        "sparse_csr": plain.to_sparse_csr,
    }[kind]()
    torch.save(made, path)
    with pytest.raises(UserError, match=rf"a.pt holds no plain tensor: 'tensor' is .*{kind}"):
        read_vectors_file(path)
    torch.save({"other": made, "vectors": plain}, path)  # what is plain beside it is read
    assert np.array_equal(read_vectors_file(path).vectors, np.eye(4))


def test_a_pickle_called_a_tensor_is_refused_without_advice_to_run_it(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(pickle.dumps(Path("x")))
    with pytest.raises(UserError, match=r"a pickle that could run code") as raised:
        read_vectors_file(path)
    assert "safetensors" in str(raised.value) and "weights_only" not in str(raised.value)


def test_word_vectors_are_read_from_text_and_from_bytes(tmp_path):
    lines = [f"{word} {' '.join(map(str, row))}\n" for word, row in zip(WORDS, VECTORS.tolist(), strict=True)]
    (tmp_path / "plain.txt").write_text("".join(lines))
    (tmp_path / "head.vec").write_text("6 4\n" + "".join(lines))
    body = b"".join(
        word.encode() + b" " + row.tobytes() + b"\n" for word, row in zip(WORDS, VECTORS, strict=True)
    )
    (tmp_path / "bytes.bin").write_bytes(b"6 4\n" + body)
    for name in ("head.vec", "bytes.bin"):
        space = Space.read(tmp_path / name)
        assert list(space.ids) == list(space.labels) == WORDS
        np.testing.assert_allclose(space.vectors, VECTORS, atol=1e-6)
    with pytest.raises(UserError, match="line 2 has"):  # without a head the first line says the width
        read_vectors_file(write(tmp_path / "cut.txt", "the 1 2 3\ncat 1\n"))
    with pytest.raises(UserError, match="ends within word 6"):
        read_vectors_file(write(tmp_path / "cut.bin", b"6 4\n" + body[:-9]))
    with pytest.raises(UserError, match="says that it has 7 words, and holds 6"):
        read_vectors_file(write(tmp_path / "more.vec", "7 4\n" + "".join(lines)))


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_word_vectors_are_joined_with_a_table_by_their_words(tmp_path):
    write(tmp_path / "a.vec", "3 2\nx 1 0\ny 0 1\nz 1 1\n")
    write(tmp_path / "a.csv", "id,label\nz,Zed\nx,Ex\n")
    with pytest.warns(ReadingWarning, match="1 of 3 vectors are in no row of the table .ids y"):
        space = Space.read(tmp_path / "a.vec", id="id", label="label")
    assert (space.ids, space.labels) == (("x", "y", "z"), ("Ex", "y", "Zed"))


def test_names_in_capitals_and_several_tables_beside_a_file(tmp_path):
    with (tmp_path / "A.NPY").open("wb") as file:
        np.save(file, VECTORS)
    csv_of(tmp_path / "A.csv")
    assert Space.read(tmp_path / "A.NPY", id="id").num_items == 6
    (tmp_path / "A.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(UserError, match="several tables lie beside .*A.csv, A.jsonl; name one with `table`"):
        Space.read(tmp_path / "A.NPY", id="id")


@pytest.mark.parametrize("shape", ["[{}]", "{{{}}}", "({})", "{}"])
@pytest.mark.parametrize("between", [", ", " ", ";", "\n"])
def test_vectors_are_read_from_text(shape, between):
    texts = [shape.format(between.join(map(str, row))) for row in VECTORS.tolist()]
    space = Space.from_arrow({"id": list("abcdef"), "v": texts}, id="id", vector="v")
    np.testing.assert_allclose(space.vectors, VECTORS, atol=1e-6)


def test_text_that_is_no_vector_is_refused_by_its_row_and_id():
    with pytest.raises(
        UserError, match=r"no vector in row 1 \(id 'b'\): '\[0.1 ... 0.2\]'; write all numbers"
    ):
        Space.from_arrow({"id": ["a", "b"], "v": ["[1 2]", "[0.1 ... 0.2]"]}, id="id", vector="v")


def test_frames_with_tensor_columns_are_read():
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(VECTORS))
    space = Space.from_arrow({"id": list("abcdef"), "v": tensor, "picture": tensor}, id="id", vector="v")
    np.testing.assert_array_equal(space.vectors, VECTORS)
    assert any("'picture' holds" in line for line in space.notes)
    for frame in (
        pd.DataFrame({"id": list("abcdef"), "v": list(VECTORS)}),
        pl.DataFrame({"id": list("abcdef"), "v": pl.Series(VECTORS, dtype=pl.Array(pl.Float32, 4))}),
        pl.DataFrame({"id": list("abcdef"), "v": VECTORS.tolist()}),
    ):
        np.testing.assert_allclose(Space.from_arrow(frame, id="id", vector="v").vectors, VECTORS, atol=1e-6)


def test_packed_bits_are_noticed_and_unpacked_when_asked():
    bits = np.random.default_rng(1).integers(0, 2, (100, 64)).astype(np.uint8)
    for packed in (
        np.packbits(bits, axis=1),
        (np.packbits(bits, axis=1).astype(np.int16) - 128).astype(np.int8),
    ):
        table = {"id": [str(row) for row in range(100)], "v": packed.tolist()}
        with pytest.warns(
            ReadingWarning, match="bits packed into bytes .64 of them. are read with `unpack_bits`"
        ):
            assert Space.from_arrow(table, id="id", vector="v").dim == 8
        space = Space.from_arrow(table, id="id", vector="v", unpack_bits=True)
        np.testing.assert_array_equal(space.vectors, bits * 2.0 - 1)
    quantised = np.clip(np.random.default_rng(2).normal(size=(100, 8)) * 30, -128, 127).astype(np.int8)
    table = {"id": [str(row) for row in range(100)], "v": quantised.tolist()}
    assert Space.from_arrow(table, id="id", vector="v").notes == ()


def test_moments_and_durations_that_python_cannot_hold_are_kept_and_told():
    columns = {
        "exact": pa.array([1_600_000_000_123_456_717] * 2, pa.timestamp("ns")),
        "never": pa.array([2**63 - 1] * 2, pa.timestamp("us")),
        "zero": pa.array([-800_000] * 2, pa.date32()),
        "took": pa.array([1_500_000_000] * 2, pa.duration("ns")),
        "__index_level_0__": [5, 6],
    }
    space = Space.from_arrow({"id": ["a", "b"], "v": [[1.0], [2.0]], **columns}, id="id", vector="v")
    assert space.metadata.column("took").to_pylist() == [1.5, 1.5]
    assert space.metadata.column("exact")[0].as_py().microsecond == 123456
    assert "__index_level_0__" not in space.metadata.column_names
    assert len(space.notes) == 5 and space.digest


def test_composed_and_decomposed_letters_are_one_for_looking_up():
    space = Space.from_arrays(np.eye(2), ids=["e\u0301", "b"], labels=["Ame\u0301lie", "B"])
    assert space["Am\u00e9lie"].item_id == "e\u0301" and space["AM\u00c9LIE"].item_id == "e\u0301"
    assert space.find("\u00e9") == 0 and space.labels[0] == "Ame\u0301lie"


def test_names_join_also_where_vectors_and_table_are_as_many(tmp_path):
    write(tmp_path / "w.vec", "\ufeff3 2\na 1 2\nb 3 4\nc 5 6\n")
    write(tmp_path / "w.csv", "id,label\nc,C\na,A\nb,B\n")
    space = Space.read(tmp_path / "w.vec", id="id", label="label")
    assert (space.ids, space.labels) == (("a", "b", "c"), ("A", "B", "C"))
    write(tmp_path / "w.csv", "id,label\nc,C\na,A\nb,B\nx,X\n")
    with pytest.raises(UserError, match="1 of 4 rows have no vector .ids 'x'."):
        Space.read(tmp_path / "w.vec", id="id", label="label", strict=True)


def test_a_head_that_says_another_width_than_the_lines_have_is_refused(tmp_path):
    with pytest.raises(UserError, match="vectors have 2 numbers, and every line has more"):
        read_vectors_file(write(tmp_path / "w.vec", "2 2\na 1 2 3\nb 3 4 5\n"))
    with pytest.raises(UserError, match="is too short for them"):
        read_vectors_file(write(tmp_path / "w.bin", "99999999999 300\n"))
    with pytest.raises(UserError, match="not numbers"):
        np.save(tmp_path / "u.npy", np.array([["a", "b"]]))
        read_vectors_file(tmp_path / "u.npy")


@pytest.mark.parametrize("text", ["0,5 0,2", "0,5;0,2", "[[0.1, 0.2], [1, 2]]"])
def test_text_that_may_be_read_in_two_ways_is_refused(text):
    with pytest.raises(UserError, match="holds (numbers with decimal commas|lists within lists)"):
        Space.from_arrow({"id": ["a", "b"], "v": [text, text]}, id="id", vector="v")


def test_a_column_a_dimension_takes_every_spelling_of_a_number(tmp_path):
    write(tmp_path / "a.csv", "id,d0,d1\na,1e-7,.5\nb,1.0E-5, 2\nc,inf,1\nd,#N/A,1\n")
    with pytest.warns(ReadingWarning, match="2 of 4 rows are left out"):
        space = Space.read(tmp_path / "a.csv", id="id", vector="d*")
    np.testing.assert_allclose(space.vectors, [[1e-7, 0.5], [1e-5, 2]], rtol=1e-6)
    write(tmp_path / "a.csv", "id,d0\na,0.5\nb,oops\n")
    with pytest.raises(UserError, match="not numbers: 'oops' in row 1"):
        Space.read(tmp_path / "a.csv", id="id", vector=["d0"])


def test_mostly_empty_lists_are_rows_without_a_vector():
    with pytest.warns(ReadingWarning, match="2 of 3 rows are left out: no vector"):
        assert (
            Space.from_arrow({"id": ["a", "b", "c"], "v": [[], [], [1.0, 2.0]]}, id="id", vector="v").dim == 2
        )


def test_frames_of_mixed_names_and_of_intervals_are_read():
    frame = pd.DataFrame({"id": [7, "a7", 9], "d0": [1.0, 2, 3], "d1": [0.0, 1, 2]})
    frame["bin"] = pd.cut(frame.d0, 2)
    for vector in (frame.columns[1:3], ["d0", "d1"], np.array(["d0", "d1"])):
        space = Space.from_pandas(frame, id="id", vector=vector)
        assert space.ids == ("7", "a7", "9") and space.dim == 2
    assert space.metadata.column("bin").to_pylist()[0].startswith("(0.9")
    wide = pd.DataFrame([[5, 1.0, 2.0], [6, 3.0, 4.0]])
    assert Space.from_pandas(wide, id=0, vector=range(1, 3)).vectors.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("ending, opened", [(".gz", gzip.open), (".bz2", bz2.open)])
def test_packed_word_vectors_are_read(tmp_path, ending, opened):
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    text = "3 2\n" + "".join(f"{word} {a} {b}\n" for word, (a, b) in zip("xyz", rows, strict=True))
    binary = b"3 2\n" + b"".join(
        f"{word} ".encode() + row.tobytes() for word, row in zip("xyz", rows, strict=True)
    )
    for name, data in (("a.vec", text.encode()), ("b.glove", text[4:].encode()), ("c.bin", binary)):
        with opened(tmp_path / (name + ending), "wb") as file:
            file.write(data)
        space = Space.read(tmp_path / (name + ending))
        assert (space.name, space.ids) == (name[0], ("x", "y", "z")) and np.array_equal(space.vectors, rows)
