import gzip

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from vecspeak import Space
from vecspeak.errors import UserError
from vecspeak.tables.columns import as_ids, as_texts, as_vectors
from vecspeak.tables.delimited import TextFormat
from vecspeak.tables.files import read_table, read_tensor


def write(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_text_columns_are_read_as_they_are_written(tmp_path):
    table = read_table(write(tmp_path / "a.csv", "id,year\n007,1995\n010,1979\n"), text_columns=["id"])
    assert table.to_pydict() == {"id": ["007", "010"], "year": [1995, 1979]}


def test_recbole_headers_lose_their_types_and_quotes_stay(tmp_path):
    path = write(tmp_path / "a.item", 'item_id:token\ttitle:token_seq\n01\tThe "Thing\n')
    assert read_table(path, text_columns=["item_id"]).to_pydict() == {
        "item_id": ["01"],
        "title": ['The "Thing'],
    }


def test_another_separator_can_be_given(tmp_path):
    assert read_table(write(tmp_path / "a.dat", "a;b\n1;2\n"), form=TextFormat(sep=";")).to_pydict() == {
        "a": [1],
        "b": [2],
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xls", "a", "not read as it is; save the sheet as CSV"),
        ("a.odt", "a", r"unknown ending; give a file that ends in \.csv"),
        ("a.csv", "", r"cannot read .*a\.csv as a table: Empty CSV"),
        ("a.csv", "a,b\n", r"a\.csv holds no rows"),
        ("a.csv", "a,b\n1,2,3\n", "Expected 2 columns, got 3"),
        ("a.csv", "a,a\n1,2\n", "several columns named 'a'"),
        ("a.jsonl", '{"a": 1}\n{"a": ', r"cannot read .*a\.jsonl"),
        ("a.parquet", "no", r"cannot read .*a\.parquet"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, message):
    with pytest.raises(UserError, match=message):
        read_table(write(tmp_path / name, content))


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no parts of a table"):
        read_table(tmp_path)


def test_whole_numbers_become_names_also_when_written_as_floats():
    assert as_texts(pa.chunked_array([[1, 2]]), "n") == ["1", "2"]
    assert as_texts(pa.chunked_array([[1.0, None]]), "n") == ["1", None]
    with pytest.raises(UserError, match="column 'n' holds fractions"):
        as_texts(pa.chunked_array([[1.5]]), "n")


def test_missing_ids_are_refused_with_their_first_row():
    with pytest.raises(UserError, match="column 'n' has no value in 2 rows, first in row 1"):
        as_ids(pa.chunked_array([["a", None, None]]), "n")


def test_an_archive_under_the_name_of_an_array_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(UserError, match="a plain .npy array"):
        read_tensor(tmp_path / "a.npy")


def test_an_array_with_a_cut_header_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(3))
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole[:10] + b"{'descr': '<f8', 'shape': (((" + whole[39:])
    with pytest.raises(UserError, match="a plain .npy array"):
        read_tensor(tmp_path / "a.npy")


WIDE = pd.DataFrame(
    {"id": ["a", "b", "c"], "year": [1, 2, 3], "d0": [1.0, 0, 2], "d1": [0.0, 1, 3], "d2": [0.0, 0, 1]}
)
DIMENSIONS = ["d0", "d1", "d2"]


def test_columns_of_numbers_are_the_dimensions_of_a_vector(tmp_path):
    WIDE.to_parquet(tmp_path / "wide.parquet")
    wanted = WIDE[DIMENSIONS].to_numpy(np.float32)
    for space in (
        Space.from_pandas(WIDE, id="id", vector=DIMENSIONS),
        Space.from_polars(pl.from_pandas(WIDE), id="id", vector=tuple(DIMENSIONS)),
        Space.from_arrow(pa.Table.from_pandas(WIDE), id="id", vector=DIMENSIONS),
        Space.from_parquet(tmp_path / "wide.parquet", id="id", vector=DIMENSIONS),
    ):
        np.testing.assert_array_equal(space.vectors, wanted)
        assert space.metadata.column_names == ["year"]
    for vector, message in (
        (["d0", "d9"], "no column 'd9'"),
        (["d0", "id"], "column 'id' holds .*string, not numbers"),
        ([], "empty list"),
    ):
        with pytest.raises(UserError, match=message):
            Space.from_pandas(WIDE, id="id", vector=vector)
    with pytest.raises(UserError, match="1 of 2 rows have a vector with NaN"):
        Space.from_arrow({"id": ["a", "b"], "d0": [1.0, None]}, id="id", vector=["d0"], strict=True)
    for pattern in ("d*", "d[0-2]"):
        np.testing.assert_array_equal(Space.from_pandas(WIDE, id="id", vector=pattern).vectors, wanted)


def test_a_table_whose_columns_are_not_named_says_how(tmp_path):
    WIDE.to_parquet(tmp_path / "wide.parquet")
    frame = pd.DataFrame({"id": ["a"], "v": [[1.0, 2.0]]})
    with pytest.raises(UserError, match=r"its columns are id, v; .*id='id', label='id', vector='v'"):
        Space.from_pandas(frame, id="id")
    with pytest.raises(UserError, match=r"vector='d\*'"):
        Space.from_parquet(tmp_path / "wide.parquet", vector="v")
    with pytest.raises(UserError, match="no argument 'labels'.*did you mean 'label'"):
        Space.from_pandas(frame, id="id", vector="v", labels="id")
    with pytest.raises(UserError, match="no argument 'labels'.*did you mean 'label'"):
        Space.from_parquet(tmp_path / "wide.parquet", id="id", vector="v", labels="id")


@pytest.mark.parametrize("open_it", [Space.load, Space.from_parquet])
def test_a_frame_where_a_file_is_wanted_says_how_it_becomes_a_space(open_it):
    with pytest.raises(
        UserError, match=r"got DataFrame; .*Space.from_pandas\(table, id=COLUMN, vector=COLUMN\)"
    ):
        open_it(WIDE)
    with pytest.raises(UserError, match=r"got ndarray; .*Space.from_arrays"):
        open_it(np.eye(3))


@pytest.mark.parametrize("short", [np.ones(5), [1.0] * 5])
def test_a_vector_of_another_width_is_named_by_its_row(short):
    vectors = [np.ones(8, dtype=np.float32), np.ones(8, dtype=np.float32), short]
    frame = pd.DataFrame({"id": ["a", "b", "c"], "v": vectors})
    with pytest.raises(UserError, match="1 of 3 rows have a vector of another width than 8 .ids 'c'."):
        Space.from_pandas(frame, id="id", vector="v", strict=True)
    frame.at[2, "v"] = np.ones(8)
    assert Space.from_pandas(frame, id="id", vector="v").dim == 8


def test_a_table_or_vectors_alone_say_what_else_is_to_be_named(tmp_path):
    table = write(tmp_path / "v.csv", "id,name\na,A\n")
    np.save(tmp_path / "w.npy", np.eye(1))
    with pytest.raises(UserError, match="vector=COLUMN, or give a .npy of the vectors and table='.*v.csv'"):
        Space.read(table, id="id")
    with pytest.raises(UserError, match="v.csv is a plain table.*id=COLUMN, label=COLUMN, vector=COLUMN"):
        Space.load(table)
    with pytest.raises(UserError, match="w.npy holds vectors.*table=FILE, id=COLUMN, label=COLUMN"):
        Space.load(tmp_path / "w.npy")


@pytest.mark.parametrize("number", [pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.int64()])
@pytest.mark.parametrize("layout", [pa.list_, pa.large_list, lambda number: pa.list_(number, 2)])
def test_a_part_of_a_column_has_the_vectors_of_that_part(number, layout):
    column = pa.array([[np.float16(row), np.float16(-row)] for row in range(5)], pa.list_(pa.float16(), 2))
    column = column.cast(pa.list_(number, 2)).cast(layout(number))
    vectors = as_vectors(pa.chunked_array([column[1:3], column[4:], column[:0]]), "v")
    assert vectors.dtype == np.float32 and not vectors.flags.writeable
    assert vectors.tolist() == [[1, -1], [2, -2], [4, -4]]
    assert not as_vectors(pa.chunked_array([column[1:]]), "v").flags.writeable


def test_a_missing_number_of_a_vector_is_no_number():
    column = pa.chunked_array([pa.array([[1.0, 2.0], [None, 4.0]], pa.list_(pa.float32(), 2))])
    assert np.isnan(as_vectors(column, "v")).tolist() == [[False, False], [True, False]]


def test_packed_tables_are_read_as_the_plain_ones(tmp_path):
    plain = {"id": ["007", "010"], "year": [1995, 1979]}
    contents = {
        "a.csv.gz": "id,year\n007,1995\n010,1979\n",
        "a.TSV.gz": "id\tyear\n007\t1995\n010\t1979\n",
        "a.jsonl.gz": '{"id": "007", "year": 1995}\n{"id": "010", "year": 1979}\n',
        "a.inter.gz": "id:token\tyear:float\n007\t1995\n010\t1979\n",
    }
    for name, content in contents.items():
        path = write(tmp_path / name, gzip.compress(content.encode()))
        assert read_table(path, text_columns=["id"]).to_pydict() == plain, name


def test_a_packed_table_that_is_cut_off_is_refused(tmp_path):
    whole = gzip.compress(b"id,year\n" + b"007,1995\n" * 1000)
    with pytest.raises(UserError, match=r"cannot read .*a\.csv\.gz"):
        read_table(write(tmp_path / "a.csv.gz", whole[: len(whole) // 2]))
    with pytest.raises(UserError, match=r"unknown ending.*may be packed \(\.gz, "):
        read_table(write(tmp_path / "a.odt.gz", whole))


def test_a_space_is_called_after_its_packed_table_without_the_endings(tmp_path):
    rows = b'{"id": "a", "v": [1.0, 0.0]}\n{"id": "b", "v": [0.0, 1.0]}\n'
    space = Space.read(write(tmp_path / "shop.v2.jsonl.gz", gzip.compress(rows)), id="id", vector="v")
    assert (space.name, space.ids) == ("shop.v2", ("a", "b"))
    np.save(tmp_path / "v.npy", np.eye(2, dtype=np.float32))
    write(tmp_path / "v.csv.gz", gzip.compress(b"id\na\nb\n"))
    assert Space.read(tmp_path / "v.npy", id="id").ids == ("a", "b")
