"""A FAISS index too large for memory: its vectors are those of the small one, and stay where they are."""

import numpy as np
import pytest

from vecspeak import Space
from vecspeak.errors import UserError
from vecspeak.tables import mapped

faiss = pytest.importorskip("faiss")
VECTORS = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)


@pytest.fixture
def large(monkeypatch, tmp_path):
    monkeypatch.setattr(mapped, "LARGE_BYTES", 1000)
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))


def written(folder, index, vectors=VECTORS, ids=None):
    index.add(vectors) if ids is None else index.add_with_ids(vectors, ids)
    faiss.write_index(index, str(folder / "a.faiss"))
    return f"faiss://{folder}/a.faiss"


@pytest.mark.parametrize(
    "metric", [faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L1, faiss.METRIC_Lp]
)
def test_a_flat_index_is_read_where_it_lies(large, tmp_path, metric):
    space = Space.read(written(tmp_path, faiss.IndexFlat(8, metric)))
    assert (
        np.array_equal(space.vectors, VECTORS) and space.ids[:2] == ("0", "1") and space.labels is space.ids
    )
    assert not space.vectors.flags.writeable and space.vectors.base is not None
    assert space["7"].vector.tolist() == VECTORS[7].tolist()


@pytest.mark.parametrize("kind", [faiss.IndexIDMap, faiss.IndexIDMap2])
def test_ids_of_an_index_are_its_own(large, tmp_path, kind):
    ids = np.arange(300) * 7 + 10**15
    space = Space.read(written(tmp_path, kind(faiss.IndexFlatIP(8)), ids=ids))
    assert space.ids == tuple(map(str, ids.tolist())) and np.array_equal(space.vectors, VECTORS)


def test_a_graph_over_a_flat_index_too(large, tmp_path):
    space = Space.read(written(tmp_path, faiss.IndexHNSWFlat(8, 4)))
    assert np.array_equal(space.vectors, VECTORS)


def test_bad_rows_in_the_middle_are_left_out_and_told(large, tmp_path):
    vectors = VECTORS.copy()
    vectors[100], vectors[200, 3] = 0, np.nan
    address = written(tmp_path, faiss.IndexFlatL2(8), vectors)
    with pytest.warns(match="1 of 300 rows are left out: a vector of zeros .ids '100'."):
        space = Space.read(address)
    assert len(space) == 298 and "100" not in space.ids and space.index_of("299") == 297
    assert np.array_equal(space.vectors, np.delete(VECTORS, [100, 200], axis=0))
    with pytest.raises(UserError, match="NaN"):
        Space.read(address, strict=True)


def test_an_index_of_another_kind_is_read_in_blocks(large, tmp_path):
    index = faiss.IndexScalarQuantizer(8, faiss.ScalarQuantizer.QT_fp16)
    index.train(VECTORS)
    with pytest.warns(match="coarsely"):
        space = Space.read(written(tmp_path, index))
    assert np.allclose(space.vectors, VECTORS, atol=1e-2)
