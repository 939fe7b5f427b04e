"""Agreement against a published table, a case worked by hand, and the laws of the coefficient."""

import numpy as np
import pytest

from vecspeak.raters.agreement import krippendorff_alpha

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve units.
PUBLISHED = {
    "a": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    "b": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    "c": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    "d": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
}


def by_item(rows):
    return {
        rater: {f"u{i}": value for i, value in enumerate(row) if value is not None}
        for rater, row in rows.items()
    }


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815)])
def test_the_published_example(level, alpha):
    assert krippendorff_alpha(by_item(PUBLISHED), level) == pytest.approx(alpha, abs=5e-4)


def test_a_case_worked_by_hand():
    # Units (A, A) and (A, B): coincidences AA 2, AB 1, BA 1, so n_A = 3, n_B = 1, n = 4.
    # Observed disagreement 2/4; expected 2 * 3 * 1 / (4 * 3) = 1/2; alpha = 1 - 1 = 0.
    assert krippendorff_alpha(by_item({"a": ["A", "A"], "b": ["A", "B"]}), "nominal") == pytest.approx(0)


def test_perfect_agreement_is_one_and_opposition_is_below_zero():
    assert krippendorff_alpha(by_item({"a": [1, 2, 5], "b": [1, 2, 5]})) == 1
    assert krippendorff_alpha(by_item({"a": [1, 5, 1, 5], "b": [5, 1, 5, 1]})) < 0


def test_chance_is_about_zero():
    drawn = np.random.default_rng(0).integers(1, 6, size=(2, 4000)).tolist()
    assert krippendorff_alpha(by_item({"a": drawn[0], "b": drawn[1]})) == pytest.approx(0, abs=0.05)


def test_ordinal_counts_the_order_alone_and_forgives_near_misses():
    near, far = {"a": [1, 2, 3, 5], "b": [2, 2, 3, 5]}, {"a": [1, 2, 3, 5], "b": [5, 2, 3, 5]}
    assert krippendorff_alpha(by_item(near)) > krippendorff_alpha(by_item(far))
    stretched = {rater: [value**3 for value in row] for rater, row in near.items()}
    assert krippendorff_alpha(by_item(stretched)) == krippendorff_alpha(by_item(near))


def test_items_of_one_rater_change_nothing():
    more = {**by_item(PUBLISHED), "a": {**by_item(PUBLISHED)["a"], "alone": 9}}
    assert krippendorff_alpha(more) == krippendorff_alpha(by_item(PUBLISHED))


@pytest.mark.parametrize(
    "ratings",
    [
        {},
        {"a": {"u": 1, "v": 2}},
        {"a": {"u": 1}, "b": {"v": 2}},
        {"a": {"u": 3, "v": 3}, "b": {"u": 3, "v": 3}},
    ],
)
def test_where_alpha_is_not_defined_there_is_none(ratings):
    assert krippendorff_alpha(ratings) is None


def test_words_have_no_order():
    with pytest.raises(ValueError, match="nominal"):
        krippendorff_alpha({"a": {"u": "A"}, "b": {"u": "B"}}, "ordinal")
