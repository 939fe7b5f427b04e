"""Vectors too large for memory: the same space as of small ones, later, and nothing of it unchecked."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vecspeak import Space
from vecspeak.errors import UserError
from vecspeak.spaces.io import save_space
from vecspeak.spaces.search import nearest
from vecspeak.tables import arrays, mapped, names

VECTORS = np.random.default_rng(0).standard_normal((400, 6)).astype(np.float32)
IDS = [f"item {row}" for row in range(400)]
COLUMNS = {"id": "id", "vector": "v"}


@pytest.fixture(autouse=True)
def large(monkeypatch, tmp_path):
    monkeypatch.setattr(mapped, "LARGE_BYTES", 1000)
    monkeypatch.setattr(arrays, "_MAPPED", 1000)
    monkeypatch.setattr(names, "SMALL", 10)
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))


def table(lists=None, **more):
    lists = VECTORS.tolist() if lists is None else lists
    return pa.table({"id": IDS[: len(lists)], "v": pa.array(lists, pa.list_(pa.float32())), **more})


def write(path, rows, **options):
    pq.write_table(rows, path, row_group_size=90, **options)
    return path


def mapped_files(tmp_path):
    return sorted((tmp_path / "cache" / "vectors").glob("*.f32"))


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_table_opens_without_its_vectors_and_reads_them_once(tmp_path, compression):
    path = write(tmp_path / "a.parquet", table(price=range(400)), compression=compression)
    space = Space.read(path, **COLUMNS)
    assert (len(space), space.dim, space.has_late_vectors) == (400, 6, True) and not mapped_files(tmp_path)
    assert (
        space.ids == tuple(IDS)
        and space.index_of("item 17") == 17
        and space.metadata.column_names == ["price"]
    )
    assert np.array_equal(space.vectors, VECTORS) and not space.vectors.flags.writeable
    assert space.lengths == pytest.approx(np.linalg.norm(VECTORS, axis=1))
    assert space["item 17"].vector.tolist() == VECTORS[17].tolist()
    again = Space.read(path, **COLUMNS)
    assert (
        not again.has_late_vectors
        and np.array_equal(again.vectors, VECTORS)
        and len(mapped_files(tmp_path)) == 1
    )


def test_the_digest_is_that_of_the_same_content_in_memory(tmp_path):
    path = write(tmp_path / "a.parquet", table(price=range(400)))
    space, small = (
        Space.read(path, **COLUMNS),
        Space.from_arrays(VECTORS, ids=IDS, metadata={"price": range(400)}, name="a"),
    )
    assert space._digest is None and space.digest == small.digest


def test_neighbors_are_those_of_the_same_space_in_memory(tmp_path):
    late = Space.read(write(tmp_path / "a.parquet", table()), **COLUMNS)
    found = nearest(late, VECTORS[:9], 5)
    known = nearest(Space.from_arrays(VECTORS, ids=IDS), VECTORS[:9], 5)
    assert np.array_equal(found.indices, known.indices) and np.array_equal(found.scores, known.scores)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float64()), pa.list_(pa.float32(), 6), pa.large_list(pa.float16())]
)
def test_every_kind_of_list_becomes_float32(tmp_path, kind):
    numbers = VECTORS.astype(np.float16) if "half" in str(kind) else VECTORS
    rows = pa.table({"id": IDS, "v": pa.array(list(numbers), kind)})
    space = Space.read(write(tmp_path / "a.parquet", rows), **COLUMNS)
    assert space.has_late_vectors and np.array_equal(space.vectors, numbers.astype(np.float32))


def test_a_column_a_dimension_and_text_are_vectors_too(tmp_path):
    wide = pa.table({"id": IDS, **{f"d{n}": VECTORS[:, n] for n in range(6)}})
    space = Space.read(write(tmp_path / "a.parquet", wide), id="id", vector="d*")
    assert (
        space.has_late_vectors and np.array_equal(space.vectors, VECTORS) and not space.metadata.column_names
    )
    texts = pa.table({"id": IDS, "v": [str(one.tolist()) for one in VECTORS]})
    assert np.array_equal(Space.read(write(tmp_path / "b.parquet", texts), **COLUMNS).vectors, VECTORS)


def test_a_folder_of_parts_is_one_table(tmp_path):
    for part in (10, 2):
        (tmp_path / "parts" / f"half={part}").mkdir(parents=True)
        half = slice(200, 400) if part == 10 else slice(0, 200)
        write(tmp_path / "parts" / f"half={part}" / "x.parquet", table().slice(half.start, 200))
    space = Space.read(tmp_path / "parts", **COLUMNS)
    assert space.has_late_vectors and np.array_equal(space.vectors, VECTORS) and space.ids == tuple(IDS)
    assert space.metadata.column("half").to_pylist() == ["2"] * 200 + ["10"] * 200


def test_rows_without_a_usable_vector_are_refused_at_the_first_use_and_left_out_from_then_on(tmp_path):
    lists = VECTORS.tolist()
    lists[7], lists[95], lists[180], lists[399] = None, [1.0], [0.0] * 6, [float("nan")] * 6
    path = write(tmp_path / "a.parquet", table(lists))
    with pytest.raises(UserError, match="rows of .* have .*open it again"):
        Space.read(path, **COLUMNS).vectors  # noqa: B018
    with pytest.warns(match="no vector .ids 'item 7'.*another width than 6 .ids 'item 95'"):
        space = Space.read(path, **COLUMNS)
    bad = [7, 95, 180, 399]
    assert len(space.notes) == 4 and np.array_equal(space.vectors, np.delete(VECTORS, bad, axis=0))
    assert space.ids == tuple(np.delete(IDS, bad)) and space.index_of("item 8") == 7
    with pytest.raises(UserError, match="mend or drop them"):
        Space.read(path, **COLUMNS, strict=True)


def test_a_group_of_rows_without_any_vector_is_left_out_too(tmp_path):
    lists = [None] * 90 + VECTORS[90:].tolist()
    path = write(tmp_path / "a.parquet", table(lists))
    with pytest.raises(UserError, match="90 of 400 rows"):
        Space.read(path, **COLUMNS).vectors  # noqa: B018
    with pytest.warns(match="90 of 400"):
        assert np.array_equal(Space.read(path, **COLUMNS).vectors, VECTORS[90:])


def test_another_file_of_the_same_name_is_read_anew(tmp_path):
    path = write(tmp_path / "a.parquet", table())
    assert Space.read(path, **COLUMNS).vectors[0, 0] == VECTORS[0, 0]
    write(path, table((2 * VECTORS).tolist()))
    os.utime(path, ns=(1, 1))
    assert Space.read(path, **COLUMNS).vectors[0, 0] == 2 * VECTORS[0, 0]


def test_the_cache_is_bounded_and_what_is_mapped_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "_MOST_BYTES", 2 * VECTORS.nbytes)
    spaces = []
    for number in range(4):
        path = write(tmp_path / f"{number}.parquet", table((VECTORS + number).tolist()))
        spaces.append(Space.read(path, **COLUMNS))
        assert np.array_equal(spaces[-1].vectors, VECTORS + np.float32(number))
    assert len(mapped_files(tmp_path)) == 2 and np.array_equal(spaces[0].vectors, VECTORS)


def test_a_cut_conversion_is_made_again(tmp_path):
    path = write(tmp_path / "a.parquet", table())
    Space.read(path, **COLUMNS).vectors  # noqa: B018
    (made,) = mapped_files(tmp_path)
    made.write_bytes(made.read_bytes()[:-4])
    space = Space.read(path, **COLUMNS)
    assert space.has_late_vectors and np.array_equal(space.vectors, VECTORS)


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "file"))
    space = Space.read(write(tmp_path / "a.parquet", table()), **COLUMNS)
    with pytest.raises(UserError, match="set VECSPEAK_CACHE"):
        space.vectors  # noqa: B018


def test_a_saved_space_opens_with_its_digest_and_compares_it_when_it_is_read(tmp_path):
    small = Space.from_arrays(VECTORS, ids=IDS, name="things", metadata={"n": range(400)})
    save_space(small, tmp_path / "a.parquet")
    space = Space.load(tmp_path / "a.parquet")
    assert (
        space.has_late_vectors and space.digest == small.digest and space.changed(name="x").has_late_vectors
    )
    assert np.array_equal(space.vectors, VECTORS) and space.metadata.column("n")[9].as_py() == 9
    assert not Space.load(tmp_path / "a.parquet").has_late_vectors

    rows = pq.read_table(tmp_path / "a.parquet")
    pq.write_table(rows.set_column(0, "id", pa.array([*IDS[:-1], "another"])), tmp_path / "b.parquet")
    changed = Space.load(tmp_path / "b.parquet")
    with pytest.raises(UserError, match="was changed after it was saved"):
        changed.vectors  # noqa: B018


def test_arrays_of_float32_stay_in_their_files(tmp_path):
    from safetensors.numpy import save_file

    np.save(tmp_path / "a.npy", VECTORS)
    np.savez(tmp_path / "b.npz", v=VECTORS, ids=np.arange(400))
    save_file({"x": np.ones(3, np.float32), "v": VECTORS}, tmp_path / "c.safetensors")
    pq.write_table(pa.table({"id": IDS}), tmp_path / "t.parquet")
    for name in ("a.npy", "b.npz", "c.safetensors"):
        space = Space.read(tmp_path / name, id="id", table=tmp_path / "t.parquet")
        assert np.array_equal(space.vectors, VECTORS) and isinstance(space.vectors.base, np.memmap), name


def test_arrays_of_other_numbers_are_copied(tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(VECTORS))
    np.savez_compressed(tmp_path / "b.npz", v=VECTORS)
    np.savez(tmp_path / "c.npz", v=VECTORS.astype(np.float64))
    pq.write_table(pa.table({"id": IDS}), tmp_path / "t.parquet")
    for name in ("a.npy", "b.npz", "c.npz"):
        space = Space.read(tmp_path / name, id="id", table=tmp_path / "t.parquet")
        assert np.array_equal(space.vectors, VECTORS) and not isinstance(space.vectors.base, np.memmap), name


def test_rows_of_a_large_space_are_a_space(tmp_path):
    np.save(tmp_path / "a.npy", VECTORS)
    pq.write_table(pa.table({"id": IDS}), tmp_path / "t.parquet")
    part = Space.read(tmp_path / "a.npy", id="id", table=tmp_path / "t.parquet").take(range(399, 99, -1))
    assert np.array_equal(part.vectors, VECTORS[399:99:-1]) and part.ids == tuple(IDS[399:99:-1])
    assert isinstance(part.vectors.base, np.memmap)
