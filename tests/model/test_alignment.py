"""Alignment: the identity, the map, whose statistics are used, and what is refused."""

import numpy as np
import pytest

from vecspeak.errors import UserError
from vecspeak.model.alignment import Alignment, unit

RNG = np.random.default_rng(0)
MAP = RNG.standard_normal((3, 4)).astype(np.float32)


def alignment(**changes):
    values = {
        "dim": 3,
        "encoder_dim": 4,
        "center": np.array([1, 2, 3], np.float32),
        "spread": 2.0,
        "matrix": MAP,
        "offset": np.array([0, 0, 0, 1], np.float32),
    }
    return Alignment(**{**values, **changes})


def test_without_a_matrix_a_vector_is_only_brought_to_length_one():
    same = Alignment(dim=2, encoder_dim=2)
    assert same.is_identity
    assert np.allclose(same(np.array([[3, 4], [0, 2]], np.float32)), [[0.6, 0.8], [0, 1]])


def test_the_center_of_the_items_is_mapped_to_the_mean_text():
    assert np.allclose(alignment()(np.array([[1, 2, 3]], np.float32)), [[0, 0, 0, 1]], atol=1e-6)


def test_the_map_is_centre_scale_multiply_add_and_length_one():
    vector = np.array([[3, 2, 1]], np.float32)
    wanted = unit((vector - [1, 2, 3]) / 2 @ MAP + [0, 0, 0, 1])
    assert np.allclose(alignment()(vector), wanted, atol=1e-6)


def test_with_unit_the_length_of_a_vector_does_not_matter():
    vector = np.array([[3, 2, 1]], np.float32)
    assert np.allclose(alignment(unit=True)(vector), alignment(unit=True)(5 * vector), atol=1e-6)
    assert not np.allclose(alignment()(vector), alignment()(5 * vector), atol=1e-2)


def test_a_user_is_matched_by_the_statistics_of_users():
    made = alignment(user_center=np.array([10, 20, 30], np.float32), user_spread=20.0)
    item = np.array([[3, 2, 1]], np.float32)
    user = np.array([[30, 20, 10]], np.float32)
    assert np.allclose(made(user, "user"), made(item, "item"), atol=1e-6)
    assert not np.allclose(made(user, "item"), made(item, "item"), atol=1e-2)


def test_without_users_a_user_is_read_as_an_item():
    vector = np.array([[3, 2, 1]], np.float32)
    assert np.array_equal(alignment()(vector, "user"), alignment()(vector, "item"))


def test_arrays_and_numbers_make_the_same_alignment_again():
    made = alignment(user_center=np.zeros(3, np.float32), user_spread=4.0, unit=True)
    again = Alignment(**made.numbers(), **made.arrays())
    vectors = RNG.standard_normal((5, 3)).astype(np.float32)
    for kind in ("item", "user"):
        assert np.array_equal(made(vectors, kind), again(vectors, kind))


@pytest.mark.parametrize("vectors", [np.ones((2, 4)), np.ones(3)])
def test_vectors_of_another_width_are_refused(vectors):
    with pytest.raises(UserError, match="has vectors of 3 numbers, got shape"):
        alignment()(vectors)


def test_an_identity_between_two_widths_is_refused():
    with pytest.raises(UserError, match="has width 3 and the reader reads 4"):
        Alignment(dim=3, encoder_dim=4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"matrix": MAP.T}, r"matrix of an alignment must be \(3, 4\) finite numbers, got shape \(4, 3\)"),
        ({"center": np.ones(4)}, r"center .* got shape \(4,\)"),
        ({"offset": np.full(4, np.nan)}, "offset of an alignment must be"),
        ({"offset": None}, "needs its matrix and offset"),
        ({"spread": 0.0}, "spreads and gain above 0"),
        ({"gain": 0.0}, "spreads and gain above 0"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        alignment(**changes)


def test_directions_are_read_of_vectors_whose_square_float32_cannot_hold():
    vectors = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    np.testing.assert_allclose(unit(vectors * np.float32(1e20)), unit(vectors), atol=1e-6)
    assert np.allclose(np.linalg.norm(Alignment(dim=8, encoder_dim=8)(vectors * np.float32(1e20)), axis=1), 1)
