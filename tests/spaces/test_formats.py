import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

import vecspeak.spaces.io as formats
from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.io import load_users, save_space, save_users
from vecspeak.spaces.space import ReadingWarning

VECTORS = np.array([[1, 0.1], [0, 2], [-3, 0.3]], dtype=np.float32)
ROWS = {
    "movie_id": ["007", "2", "3"],
    "title": ["Heat", "Alien", None],
    "plot": ["A thief.", None, "A bear."],
}


def make(**changes):
    metadata = pa.table({"text": ["a", None, "c"], "genres": [["x"], [], None], "year": [1995, 1979, 2020]})
    given = {"name": "movies", "ids": ("1", "2", "3"), "labels": ("A", "B", "B"), "vectors": VECTORS}
    return Space(**{**given, "metadata": metadata, "encoder": "all-minilm-l6-v2", **changes})


def write_table(path, vectors=None, **columns):
    table = pa.table({**ROWS, **columns} if vectors is None else {**ROWS, "v": vectors, **columns})
    pq.write_table(table, path)
    return path


def read(path, **changes):
    return Space.read(path, **{"id": "movie_id", "label": "title", "vector": "v", "text": "plot", **changes})


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_saved_space_comes_back_with_the_digest_in_its_file(tmp_path, dtype):
    save_space(make(), tmp_path / "a.parquet", dtype)
    loaded = Space.load(tmp_path / "a.parquet")
    header = json.loads(pq.read_schema(tmp_path / "a.parquet").metadata[b"vecspeak"])
    assert loaded.digest == header["digest"]
    assert (loaded.name, loaded.ids, loaded.labels) == ("movies", ("1", "2", "3"), ("A", "B", "B"))
    assert loaded.encoder == "all-minilm-l6-v2"
    assert loaded.metadata.to_pydict() == make().metadata.to_pydict()
    np.testing.assert_array_equal(loaded.vectors, VECTORS.astype(dtype))


def test_a_space_saved_as_float32_keeps_its_digest(tmp_path):
    save_space(make(), tmp_path / "a.parquet")
    assert Space.load(tmp_path / "a.parquet").digest == make().digest


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("group_bytes", [1, 8, 16, 24])
def test_a_space_in_many_groups_of_rows_is_the_same_space(tmp_path, monkeypatch, dtype, group_bytes):
    save_space(make(), tmp_path / "whole.parquet", dtype)
    monkeypatch.setattr(formats, "_GROUP_BYTES", group_bytes)
    save_space(make(), tmp_path / "groups.parquet", dtype)
    assert pq.ParquetFile(tmp_path / "groups.parquet").num_row_groups == -(-3 // max(1, group_bytes // 8))
    loaded = Space.load(tmp_path / "groups.parquet")
    assert loaded.digest == Space.load(tmp_path / "whole.parquet").digest
    assert not loaded.vectors.flags.writeable


def test_vectors_are_not_compressed_and_the_rest_is(tmp_path):
    save_space(make(), tmp_path / "a.parquet")
    group = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0)
    kinds = {group.column(i).path_in_schema: group.column(i).compression for i in range(group.num_columns)}
    assert kinds["vector.list.element"] == "UNCOMPRESSED"
    assert {kinds[name] for name in ("id", "label", "text", "genres.list.element", "year")} == {"ZSTD"}


def test_one_changed_byte_of_the_vectors_is_refused(tmp_path):
    save_space(make(), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    at = whole.index(VECTORS.tobytes())
    (tmp_path / "a.parquet").write_bytes(whole[:at] + b"?" + whole[at + 1 :])
    with pytest.raises(UserError, match=r"a\.parquet is not a whole Parquet file"):
        Space.load(tmp_path / "a.parquet")


def test_saving_what_was_loaded_from_float16_as_float16_changes_nothing(tmp_path):
    save_space(make(), tmp_path / "a.parquet", "float16")
    once = Space.load(tmp_path / "a.parquet")
    save_space(once, tmp_path / "b.parquet", "float16")
    assert once.digest == Space.load(tmp_path / "b.parquet").digest != make().digest


def test_a_space_without_metadata_or_encoder_comes_back(tmp_path):
    bare = make(metadata=pa.table({}), encoder=None)
    save_space(bare, tmp_path / "a.parquet")
    loaded = Space.load(tmp_path / "a.parquet")
    assert loaded.digest == bare.digest
    assert loaded.encoder is None
    assert loaded.metadata.num_columns == 0


def test_any_kind_of_metadata_comes_back_with_the_same_digest(tmp_path):
    odd = pa.table(
        {
            "day": pa.array([0, 1, None], pa.date32()),
            "when": pa.array([0, 1, None], pa.timestamp("ms", "UTC")),
            "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
            "bytes": [b"\xff", b"", None],
            "nested": [{"a": [1]}, {"a": []}, None],
            "share": [0.1, float("nan"), None],
            "nothing": pa.nulls(3),
        }
    )
    save_space(make(metadata=odd), tmp_path / "a.parquet")
    assert Space.load(tmp_path / "a.parquet").digest == make(metadata=odd).digest


def test_vectors_too_large_for_float16_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(UserError, match="too large or too small for float16; save them as float32"):
        save_space(make(vectors=VECTORS * 1e6), tmp_path / "a.parquet", "float16")
    assert not (tmp_path / "a.parquet").exists()


def test_a_save_that_dies_leaves_the_old_space(tmp_path, monkeypatch):
    save_space(make(), tmp_path / "a.parquet")

    def dies(table, path, **options):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pq, "write_table", dies)
    with pytest.raises(KeyboardInterrupt):
        save_space(make(name="other"), tmp_path / "a.parquet")
    assert Space.load(tmp_path / "a.parquet").digest == make().digest


def test_a_truncated_file_is_refused_wherever_it_is_cut(tmp_path):
    save_space(make(), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    for length in (0, 3, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a.parquet").write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"a\.parquet is not a whole Parquet file"):
            Space.load(tmp_path / "a.parquet")


def _rewrite(path, change=None, **header):
    table = pq.read_table(path)
    old = json.loads(table.schema.metadata[b"vecspeak"])
    table = change(table) if change else table
    pq.write_table(table.replace_schema_metadata({b"vecspeak": json.dumps({**old, **header}).encode()}), path)


def test_a_newer_format_is_refused(tmp_path):
    save_space(make(), tmp_path / "a.parquet")
    _rewrite(tmp_path / "a.parquet", format_version=99, name=None)
    with pytest.raises(
        UserError, match="has format 99, and this vecspeak reads formats up to 1; pip install"
    ):
        Space.load(tmp_path / "a.parquet")


@pytest.mark.parametrize("header", [{"format_version": "1"}, {"name": None}, {"digest": 5}])
def test_a_broken_header_is_refused(tmp_path, header):
    save_space(make(), tmp_path / "a.parquet")
    _rewrite(tmp_path / "a.parquet", **header)
    with pytest.raises(UserError, match="is a damaged space"):
        Space.load(tmp_path / "a.parquet")


def test_a_saved_space_without_its_vectors_is_refused(tmp_path):
    save_space(make(), tmp_path / "a.parquet")
    _rewrite(tmp_path / "a.parquet", lambda table: table.drop_columns(["vector"]))
    with pytest.raises(UserError, match="is a damaged space"):
        Space.load(tmp_path / "a.parquet")


def test_a_space_that_was_edited_after_it_was_saved_is_refused(tmp_path):
    save_space(make(), tmp_path / "a.parquet")
    _rewrite(tmp_path / "a.parquet", lambda table: table.set_column(1, "label", pa.array(["A", "B", "C"])))
    with pytest.raises(UserError, match="was changed after it was saved"):
        Space.load(tmp_path / "a.parquet")


def test_a_plain_table_is_refused_with_the_flags_that_would_read_it(tmp_path):
    path = write_table(tmp_path / "a.parquet", VECTORS.tolist())
    with pytest.raises(UserError, match="plain table.*such as id='movie_id', label='title', vector='v'"):
        Space.load(path)


def test_a_missing_file_is_told_with_the_nearest_name(tmp_path):
    save_space(make(), tmp_path / "movies.parquet")
    with pytest.raises(UserError, match=r"no file .*moveis\.parquet; did you mean 'movies\.parquet'"):
        Space.load(tmp_path / "moveis.parquet")


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.float16()),
        pa.list_(pa.float32()),
        pa.list_(pa.float64()),
        pa.large_list(pa.float32()),
        pa.list_(pa.float16(), 2),
        pa.list_(pa.float32(), 2),
        pa.list_(pa.float64(), 2),
    ],
    ids=str,
)
def test_vectors_are_read_from_every_kind_of_list(tmp_path, kind):
    small = np.array([[1, 0.5], [0, 2], [-3, 0.25]])
    value_type = kind.value_type.to_pandas_dtype()
    column = pa.array([list(row.astype(value_type)) for row in small], type=kind)
    np.testing.assert_array_equal(read(write_table(tmp_path / "a.parquet", column)).vectors, small)


def test_a_table_in_several_row_groups_is_read_in_order(tmp_path):
    table = pa.table({**ROWS, "v": VECTORS.tolist()})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=1)
    np.testing.assert_array_equal(read(tmp_path / "a.parquet").vectors, VECTORS)


def test_a_table_becomes_a_space_with_its_texts_under_text_and_other_columns_beside(tmp_path):
    path = write_table(tmp_path / "movies.parquet", VECTORS.tolist(), label=[1, 2, 3], text=["x", "y", "z"])
    space = read(path)
    assert space.name == "movies"
    assert space.ids == ("007", "2", "3")
    assert space.labels == ("Heat", "Alien", "3")
    assert space.metadata.to_pydict() == {
        "text": ["A thief.", None, "A bear."],
        "label_": [1, 2, 3],
        "text_": ["x", "y", "z"],
    }


def test_folders_named_like_partitions_add_no_columns(tmp_path):
    (tmp_path / "year=2020").mkdir()
    space = read(write_table(tmp_path / "year=2020" / "a.parquet", VECTORS.tolist()), name="films")
    assert space.metadata.column_names == ["text"]
    assert space.name == "films"


def _write_pair(folder, suffix, table_suffix, vectors=VECTORS):
    if suffix == ".npy":
        np.save(folder / "a.npy", vectors)
    else:
        save_file({"embeddings": vectors, "norms": np.ones(3, dtype=np.float32)}, folder / "a.safetensors")
    if table_suffix == ".csv":
        text = 'movie_id,title,plot\n007,Heat,"A\nthief, tired."\n2,"Alien",none\n3,Bear,A bear.\n'
    else:
        rows = [("007", "Heat", "A\nthief, tired."), ("2", "Alien", "none"), ("3", "Bear", "A bear.")]
        text = "".join(json.dumps(dict(zip(ROWS, row, strict=True))) + "\n" for row in rows)
    (folder / f"a{table_suffix}").write_text(text, encoding="utf-8")
    return folder / f"a{suffix}"


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
@pytest.mark.parametrize("table_suffix", [".csv", ".jsonl"])
def test_vectors_beside_a_table_belong_to_its_rows_in_order(tmp_path, suffix, table_suffix):
    space = read(_write_pair(tmp_path, suffix, table_suffix), vector=None)
    assert space.ids == ("007", "2", "3")
    assert space.labels == ("Heat", "Alien", "Bear")
    assert space.metadata.to_pydict() == {"text": ["A\nthief, tired.", "none", "A bear."]}
    np.testing.assert_array_equal(space.vectors, VECTORS)


def test_the_table_of_vectors_can_be_named(tmp_path):
    path = _write_pair(tmp_path, ".npy", ".csv")
    (tmp_path / "a.csv").rename(tmp_path / "other.csv")
    assert read(path, vector=None, table=tmp_path / "other.csv").ids == ("007", "2", "3")
    with pytest.raises(UserError, match=r"no table of the same name beside it; put a\.csv or a\.jsonl"):
        read(path, vector=None)


def test_another_number_of_rows_than_vectors_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds 2 vectors, but its table has 3 rows"):
        read(_write_pair(tmp_path, ".npy", ".csv", VECTORS[:2]), vector=None)


def test_a_tensor_is_named_where_there_are_several(tmp_path):
    path = _write_pair(tmp_path, ".safetensors", ".csv")
    save_file({"items": VECTORS, "users": VECTORS + 1}, path)
    np.testing.assert_array_equal(read(path, vector="users").vectors, VECTORS + 1)
    with pytest.raises(
        UserError, match=r"has 2 tensors of shape \[N, D\]; its tensors are items \[3, 2\], users \[3, 2\]"
    ):
        read(path, vector=None)
    with pytest.raises(UserError, match="has no tensor 'user'; .*did you mean 'users'"):
        read(path, vector="user")


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_a_truncated_file_of_vectors_is_refused(tmp_path, suffix):
    path = _write_pair(tmp_path, suffix, ".csv")
    whole = path.read_bytes()
    for length in (0, 5, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=rf"cannot read .*a\{suffix}"):
            read(path, vector=None)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_a_mapped_file_is_copied_so_that_a_space_does_not_change_with_it(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr("vecspeak.tables.arrays._MAPPED", 0)
    given = np.array([[1, 2], [3, 4], [5, 6]], dtype=dtype)
    path = _write_pair(tmp_path, ".npy", ".csv", given)
    space = read(path, vector=None)
    with path.open("rb+") as file:
        file.seek(-given.nbytes, 2)
        file.write(bytes(given.nbytes))
    np.testing.assert_array_equal(space.vectors, given)


def test_pickled_vectors_are_never_opened(tmp_path):
    path = _write_pair(tmp_path, ".npy", ".csv")
    np.save(path, np.array([{"a": 1}] * 3, dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="holds Python objects, which are not read: .*np.stack"):
        read(path, vector=None)


def test_an_array_of_another_shape_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds an array of shape \[6\]; give one of shape \[N, D\]"):
        read(_write_pair(tmp_path, ".npy", ".csv", VECTORS.ravel()), vector=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"id": "movieid"},
            "has no column 'movieid'; its columns are movie_id, title, plot, v; did you mean 'movie_id'",
        ),
        ({"label": "name"}, "has no column 'name'"),
        ({"text": "plots"}, "did you mean 'plot'"),
        ({"vector": "w"}, "has no column 'w'"),
        ({"vector": "title"}, "column 'title' holds text that is no vector in row 0"),
        ({"vector": None}, "its column of vectors is not named; name it: vector='v'"),
        ({"id": "title"}, "column 'title' has no value in 1 rows, first in row 2"),
        ({"id": "v"}, "column 'v' holds list.*not text"),
    ],
    ids=str,
)
def test_a_wrong_column_is_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        read(write_table(tmp_path / "a.parquet", VECTORS.tolist()), **changes)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0], [1.0, 2.0], [1.0]], "1 of 3 rows have a vector of another width than 1"),
        ([[1.0], None, [1.0]], "1 of 3 rows have no vector"),
        (
            [[1.0], [None], [1.0]],
            "1 of 3 rows have a vector with NaN, infinite or too large numbers .ids '2'.",
        ),
        ([[1.0], [1e300], [1.0]], "1 of 3 rows have a vector with NaN, infinite or too large numbers"),
        ([[1.0], [0.0], [1.0]], "1 of 3 rows have a vector of zeros"),
        (pa.array([[], [], []], pa.list_(pa.float32())), "are empty lists"),
        ([["a"], ["b"], ["c"]], "not vectors"),
    ],
    ids=str,
)
def test_wrong_vectors_are_refused_where_nothing_may_be_left_out(tmp_path, vectors, message):
    with pytest.raises(UserError, match=message):
        read(write_table(tmp_path / "a.parquet", vectors), strict=True)


@pytest.mark.parametrize("bad", [[1.0], None, [None, 1.0], [1e300, 1.0], [0.0, 0.0]])
def test_rows_without_a_usable_vector_are_left_out_and_told(tmp_path, bad):
    path = write_table(tmp_path / "a.parquet", [[1.0, 2.0], bad, [3.0, 4.0]])
    with pytest.warns(ReadingWarning, match="1 of 3 rows are left out: .*ids '2'"):
        space = read(path)
    assert space.ids == ("007", "3") and space.vectors.tolist() == [[1, 2], [3, 4]]
    assert space.metadata.num_rows == 2 and any("left out" in line for line in space.notes)


def test_users_lie_beside_their_space(tmp_path):
    users = make(name="movies.users", metadata=pa.table({}))
    save_space(make(), tmp_path / "movies.parquet", "float16")
    assert load_users(tmp_path / "movies.parquet") is None
    save_users(make(), users, tmp_path / "movies.parquet")
    assert (tmp_path / "movies.users.parquet").is_file()
    loaded = load_users(tmp_path / "movies.parquet")
    assert loaded is not None
    assert loaded.digest == users.digest


def test_users_of_another_version_of_the_space_are_refused(tmp_path):
    save_space(make(), tmp_path / "movies.parquet")
    save_users(make(), make(name="users"), tmp_path / "movies.parquet")
    save_space(make(vectors=VECTORS + 1), tmp_path / "movies.parquet")
    with pytest.raises(UserError, match="belong to another version of"):
        load_users(tmp_path / "movies.parquet")


def test_users_of_another_width_are_refused(tmp_path):
    with pytest.raises(UserError, match="users have width 3 and items 2"):
        save_users(make(), make(vectors=np.ones((3, 3))), tmp_path / "movies.parquet")


def test_the_format_version_is_written(tmp_path):
    save_space(make(), tmp_path / "a.parquet")
    header = json.loads(pq.read_schema(tmp_path / "a.parquet").metadata[b"vecspeak"])
    assert header["format_version"] == formats.FORMAT_VERSION
