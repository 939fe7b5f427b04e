"""What callers give becomes a space's own: nothing is retyped, lost or shared, and what does not fit is a UserError."""

import dataclasses
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from vecspeak import Space, UserError
from vecspeak.points.raw import raw_point

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
ROWS = {"id": [*"abcdef"], "emb": list(X), "y": np.arange(6.0)}


def _arrow():
    flat, years = X.ravel().copy(), np.arange(6)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat), 4)
    table = pa.table({"id": ROWS["id"], "emb": vectors, "y": pa.array(years)})
    return Space.from_arrow(table, id="id", vector="emb"), [flat, years]


def _frame():
    years = np.arange(12.0).reshape(6, 2)
    frame = pd.DataFrame(years, columns=["y", "z"], copy=False)
    return Space.from_arrays(X, metadata=frame), [years]


def _dictionary():
    years = np.arange(6)
    return Space.from_arrays(X, metadata={"y": years, "text": [*"abcdef"]}), [years]


def _view():
    vectors = X.copy()
    view = vectors[:]
    view.flags.writeable = False
    return Space.from_arrays(view), [vectors]


def _frame_of_columns():
    vectors = X.copy()
    frame = pd.DataFrame(vectors, copy=False)
    return Space.from_pandas(frame.assign(id=[*"abcdef"]), id="id", vector=[0, 1, 2, 3]), [vectors]


@pytest.mark.parametrize("given", [_arrow, _frame, _dictionary, _view, _frame_of_columns])
def test_a_space_does_not_change_with_what_it_was_made_of(given, tmp_path):
    space, sources = given()
    digest = dataclasses.replace(space).digest
    for source in sources:
        source += 1
    assert dataclasses.replace(space).digest == digest


def test_a_space_does_not_change_with_a_mapped_file(tmp_path):
    np.save(tmp_path / "x.npy", X)
    space = Space.from_arrays(np.load(tmp_path / "x.npy", mmap_mode="r"))
    np.load(tmp_path / "x.npy", mmap_mode="r+")[:] += 1
    assert np.array_equal(space.vectors, X)


def test_vectors_are_copied_once_and_then_shared_by_spaces():
    vectors = np.ones((20_000, 64), np.float32)
    table = pa.table(
        {"id": range(20_000), "v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 64)}
    )
    for make in (
        lambda: Space.from_arrays(vectors),
        lambda: Space.from_arrays(vectors.astype(np.float16)),
        lambda: Space.from_arrow(table, id="id", vector="v"),
    ):
        tracemalloc.start()
        space = make()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2.7 * vectors.nbytes
        assert dataclasses.replace(space, name="other").vectors is space.vectors
        assert dataclasses.replace(space, name="other").metadata is space.metadata


def test_texts_are_given_once():
    with pytest.raises(UserError, match="texts are given, and metadata has a column 'text' too"):
        Space.from_arrays(X, texts=[*"abcdef"], metadata={"text": [*"ghijkl"]})


@pytest.mark.parametrize(
    "ids", [range(6), pd.Series(range(6)), np.arange(6), torch.arange(6), [0, 1, 2.0, np.int8(3), "4", "5"]]
)
def test_ids_that_are_whole_numbers_become_their_digits(ids):
    assert Space.from_arrays(X, ids=ids).ids == (*"012345",)


@pytest.mark.parametrize(
    "given",
    [
        {"ids": pd.Series([1, 2, 3, 4, 5, None])},
        {"ids": [None, *"abcde"]},
        {"ids": np.array([*"abcdef"], dtype="S1")},
        {"ids": np.ma.masked_less(np.arange(6), 1)},
        {"ids": [1.5, *"abcde"]},
        {"ids": [True, *"abcde"]},
        {"ids": 5},
        {"ids": "abcdef"},
        {"labels": [b"a", *"bcdef"]},
        {"texts": [0.5, *"abcde"]},
        {"texts": ["a"]},
        {"texts": [*"abcdef"], "metadata": {"y": [1]}},
        {"metadata": pd.Series(range(6))},
        {"metadata": pl.Series(range(6))},
        {"metadata": {"y": [2**70] * 6}},
        {"metadata": pd.DataFrame({"y": [2**70] * 6})},
        {"metadata": {0: range(6), "0": range(6)}},
        {"name": 5},
        {"vectors": torch.ones(6, 4, dtype=torch.complex64)},
        {"vectors": torch.ones(6, 4, dtype=torch.bool)},
        {"vectors": torch.eye(6).to_sparse()},
        {"vectors": np.ma.masked_less(X, 0)},
    ],
)
def test_what_would_be_retyped_or_lost_is_refused(given):
    with pytest.raises(UserError):
        Space.from_arrays(**{"vectors": X, **given})


def test_texts_may_have_gaps_come_from_a_generator_and_be_numbers():
    space = Space.from_arrays(X, texts=pd.Series(["a", None, float("nan"), pd.NA, 5, "f"]))
    assert [space.text_of(one) for one in space.ids] == ["a", None, None, None, "5", "f"]
    assert Space.from_arrays(X, texts=(one for one in "abcdef"), labels=iter("uvwxyz")).labels == (*"uvwxyz",)


def test_tensors_that_require_gradients_are_vectors():
    rows = [torch.tensor(row, requires_grad=True) for row in X]
    assert np.array_equal(Space.from_arrays(rows).vectors, X)
    half = Space.from_arrays(torch.tensor(X, dtype=torch.bfloat16, requires_grad=True))
    np.testing.assert_allclose(half.vectors, X, rtol=0.01)


def test_columns_may_be_called_by_numbers():
    frame = pd.DataFrame({0: [*"abcdef"], 1: list(X), 2: range(6)})
    space = Space.from_pandas(frame, id=0, vector=1)
    assert (
        space.ids == (*"abcdef",)
        and space.metadata.column_names == ["2"]
        and np.array_equal(space.vectors, X)
    )


def test_a_table_without_rows_and_a_series_are_no_space():
    empty = pl.DataFrame({"id": [], "v": []}, schema={"id": pl.String, "v": pl.Array(pl.Float32, 4)})
    for given in (empty, empty.to_arrow(), pd.Series(X[0])):
        with pytest.raises(UserError, match="no rows|a table was expected, got Series"):
            Space.from_arrow(given, id="id", vector="v")


SPACE = Space.from_arrays(X, labels=[*"ABCDEF"])


@pytest.mark.parametrize(
    "wrong", [999, -7, 1.0, None, slice(0, 3), ["A"], True, np.bool_(True), np.float32(1), np.arange(2)]
)
def test_an_item_is_a_label_an_id_or_a_row(wrong):
    with pytest.raises(UserError, match="has the rows 0 to 5, got|label, its id or its row, got"):
        SPACE[wrong]
    with pytest.raises(UserError):
        SPACE.find(wrong)
    with pytest.raises(UserError, match="no item of the space"):
        SPACE.index_of(wrong)
    assert SPACE[-1].item_id == SPACE[np.int8(5)].item_id == "5"


@pytest.mark.parametrize("wrong", [[999], [-7], [True, False], ["3"], [1.0], [[1]], 3, "3", None])
def test_rows_that_are_not_there_are_not_taken(wrong):
    with pytest.raises(UserError):
        SPACE.take(wrong)


def test_rows_are_taken_by_a_slice_a_mask_or_numbers():
    for rows in (slice(1, 3), [1, 2], SPACE.vectors[:, 0] == SPACE.vectors[:, 0]):
        taken = SPACE.take(rows)
        assert taken.ids == tuple(np.array(SPACE.ids)[rows])


def test_a_product_that_vanishes_is_no_point():
    for made in (lambda: 1e-60 * SPACE[1], lambda: SPACE[1] / 1e300, lambda: 1e-44 * SPACE[1]):
        with pytest.raises(UserError, match="so short that its direction is lost"):
            made()


@pytest.mark.parametrize("size", [1e-60, 1e-44, 1e60])
def test_a_vector_that_float32_cannot_hold_is_no_point(size):
    with pytest.raises(UserError, match="direction is lost|too far out to be computed"):
        raw_point(SPACE, None, np.full(4, size))
