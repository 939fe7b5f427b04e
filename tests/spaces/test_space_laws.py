import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecspeak.errors import UserError
from vecspeak.spaces import Space

VECTORS = [[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]]


def make(**changes):
    given = {
        "name": "movies",
        "ids": ("1", "2", "3"),
        "labels": ("Heat", "Alien", "Alien"),
        "vectors": np.array(VECTORS),
        "metadata": pa.table({"genres": [["crime"], ["horror", "space"], None]}),
    }
    return Space(**{**given, **changes})


def test_a_space_knows_its_counts_and_keeps_float32_vectors_that_cannot_be_changed():
    space = make()
    assert (space.num_items, len(space), space.dim) == (3, 3, 2)
    assert space.vectors.dtype == np.float32
    assert space.vectors.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        space.vectors[0, 0] = 5


def test_changing_the_given_array_does_not_change_the_space():
    given = np.array(VECTORS, dtype=np.float32)
    space = make(vectors=given)
    given[0, 0] = 9
    assert space.vectors[0, 0] == 1


def test_the_same_content_has_the_same_digest_however_arrow_holds_it():
    chunked = pa.chunked_array(
        [[["crime"]], [["horror", "space"], None]], type=pa.large_list(pa.large_string())
    )
    assert make().digest == make(metadata=pa.table({"genres": chunked})).digest


@pytest.mark.parametrize(
    "change",
    [
        {"name": "films"},
        {"ids": ("1", "2", "4")},
        {"labels": ("Heat", "Alien", "Aliens")},
        {"vectors": np.array(VECTORS) + 1e-6},
        {"metadata": pa.table({"genres": [["crime"], ["horror"], None]})},
        {"metadata": pa.table({"genre": [["crime"], ["horror", "space"], None]})},
        {"metadata": pa.table({})},
    ],
    ids=str,
)
def test_any_change_of_content_changes_the_digest(change):
    assert make(**change).digest != make().digest


def test_the_digest_cannot_be_fooled_by_moving_letters_between_names():
    assert make(ids=("1", "2", "33")).digest != make(ids=("1", "23", "3")).digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vectors": np.empty((0, 2)), "ids": (), "labels": ()}, "the space is empty"),
        ({"vectors": np.empty((3, 0))}, "the space is empty"),
        ({"vectors": np.ones(3)}, r"table \[N, D\], but their shape is \[3\]"),
        ({"vectors": [[1.0], [1.0, 2.0], [3.0]]}, "different widths"),
        ({"vectors": np.array([["a", "b"]] * 3)}, "vectors must be numbers"),
        ({"vectors": np.array([[1, np.nan], [1, 1], [1, 1]])}, "1 of 3 vectors hold NaN or infinite.*'1'"),
        ({"vectors": np.array([[1, 1], [1e39, 1], [1, 1]])}, "NaN or infinite.*'2'"),
        ({"vectors": np.array([[1, 1], [0, 0], [0, 0]])}, "2 of 3 vectors hold only zeros: ids '2', '3'"),
        (
            {"vectors": np.array([[1, 1], [0, 0], [2, 0]])},
            r"1 of 3 .* only zeros: ids '2' \(rows 1\); an item of",
        ),
        ({"ids": ("1", "1", "3")}, "ids must be unique, but 1 occur more than once: '1'"),
        ({"ids": ("1", "1", "1")}, r"more than once: '1' \(rows 0, 1, 2\); .* or drop the 2 repeated rows"),
        ({"ids": ("1", "2")}, "there are 2 ids for 3 vectors"),
        ({"ids": (1, 2, 3)}, "ids must be text, but row 0 is 1"),
        ({"labels": ("a",)}, "there are 1 labels for 3 vectors"),
        ({"labels": ("a", None, "c")}, "labels must be text, but row 1 is None"),
        ({"metadata": pa.table({"a": [1]})}, "metadata has 1 rows for 3 vectors"),
        ({"metadata": pa.table({"vector": [1, 2, 3]})}, "metadata may not have columns named 'vector'"),
        ({"metadata": pa.table([[1, 2, 3]] * 2, names=["a", "a"])}, "several columns named 'a'"),
        ({"name": ""}, "a space needs a name"),
    ],
    ids=str,
)
def test_an_invalid_space_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        make(**change)


def test_index_of_finds_a_row_and_names_near_ids_when_there_is_none():
    space = make(ids=("tt01", "tt02", "tt99"))
    assert space.index_of("tt02") == 1
    with pytest.raises(UserError, match="has the id 'tt03'; did you mean 'tt0"):
        space.index_of("tt03")


def test_taking_all_rows_gives_the_same_digest():
    assert make().take(range(3)).digest == make().digest


def test_taking_rows_keeps_ids_labels_vectors_and_metadata_together():
    taken = make(encoder="e").take([2, 0])
    assert taken.ids == ("3", "1")
    assert taken.labels == ("Alien", "Heat")
    assert taken.vectors.tolist() == [[3, 4], [1, 0]]
    assert taken.metadata.column("genres").to_pylist() == [None, ["crime"]]
    assert taken.encoder == "e"


def test_a_mask_takes_the_rows_where_it_is_true():
    assert make().take(np.array([False, True, True])).ids == ("2", "3")


def test_taking_works_without_metadata():
    assert make(metadata=pa.table({})).take([1]).metadata.num_columns == 0


def test_taking_nothing_or_a_row_twice_is_refused():
    with pytest.raises(UserError, match="the space is empty"):
        make().take([])
    with pytest.raises(UserError, match="ids must be unique"):
        make().take([1, 1])


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.floats(-40, 37), st.floats(0, 2 * math.pi)).map(
            lambda polar: (10 ** polar[0] * math.cos(polar[1]), 10 ** polar[0] * math.sin(polar[1]))
        ),
        min_size=1,
        max_size=20,
    )
)
def test_lengths_are_known_for_vectors_of_any_size(rows):
    vectors = np.array(rows, dtype=np.float32)
    names = tuple(map(str, range(len(rows))))
    if not vectors.any(axis=1).all():
        return
    space = Space(name="any", ids=names, labels=names, vectors=vectors)
    expected = np.linalg.norm(vectors.astype(np.float64), axis=1)
    np.testing.assert_allclose(space.lengths, expected, rtol=1e-5, atol=2e-45)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0])
def test_a_bad_vector_is_found_among_small_huge_and_plain_ones(bad):
    vectors = np.array([[1e-30, 0], [1, 2], [bad, bad], [3e38, 3e38], [1e-45, 0]])
    with pytest.raises(UserError, match="1 of 5 vectors hold .*: ids '2'"):
        make(ids=tuple("01234"), labels=tuple("01234"), vectors=vectors, metadata=pa.table({}))


def test_a_space_knows_which_ids_it_has():
    assert make().has("2") and not make().has("Alien")
