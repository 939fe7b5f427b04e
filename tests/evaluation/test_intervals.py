"""Intervals: the same as scipy's bootstrap, over entities, paired where two are compared."""

import numpy as np
import pytest
from scipy import stats

from vecspeak.stats import Estimate, Series, difference, estimate, median_estimate

RNG = np.random.default_rng(0)
COUNT = 120
SKEWED = RNG.gamma(2.0, 1.5, size=COUNT)
ALIKE = SKEWED + 0.3 + 0.2 * RNG.standard_normal(COUNT)
WEIGHTS = RNG.integers(1, 40, size=COUNT).astype(float)
OTHER_WEIGHTS = RNG.integers(0, 3, size=COUNT).astype(float)


def scipys(data, statistic):
    """Low and high of scipy's percentile bootstrap over the rows of all arrays together."""
    found = stats.bootstrap(
        data, statistic, paired=True, vectorized=False, n_resamples=3000, method="percentile", rng=1
    )
    return found.confidence_interval


def assert_same(ours, value, theirs):
    """Equal value, and ends that two bootstraps of 2,000 and 3,000 draws agree on."""
    width = theirs.high - theirs.low
    assert ours.value == pytest.approx(value, rel=1e-12)
    assert ours.low == pytest.approx(theirs.low, abs=0.08 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.08 * width)


def rate(values, weights):
    return np.sum(values * weights) / np.sum(weights)


def test_the_mean_has_scipys_interval():
    assert_same(Series(SKEWED).estimate(), SKEWED.mean(), scipys((SKEWED,), np.mean))


def test_a_rate_has_scipys_interval_with_values_and_weights_drawn_together():
    assert_same(Series(SKEWED, WEIGHTS).estimate(), rate(SKEWED, WEIGHTS), scipys((SKEWED, WEIGHTS), rate))


def test_the_median_has_scipys_interval():
    many = np.random.default_rng(3).gamma(2.0, 1.5, size=801)  # so that neighbours in rank lie near
    assert_same(Series(many).estimate("median"), np.median(many), scipys((many,), np.median))


def test_a_paired_difference_has_scipys_interval():
    theirs = scipys((ALIKE, SKEWED), lambda one, two: one.mean() - two.mean())
    assert_same(difference(Series(ALIKE), Series(SKEWED)), (ALIKE - SKEWED).mean(), theirs)


def test_a_difference_of_rates_has_scipys_interval_though_each_has_its_own_weights():
    def gap(one, first, two, second):
        return rate(one, first) - rate(two, second)

    data = (ALIKE, OTHER_WEIGHTS, SKEWED, WEIGHTS)
    ours = difference(Series(ALIKE, OTHER_WEIGHTS), Series(SKEWED, WEIGHTS))
    assert_same(ours, gap(*data), scipys(data, gap))


def test_a_difference_of_medians_has_scipys_interval():
    theirs = scipys((ALIKE, SKEWED), lambda one, two: np.median(one) - np.median(two))
    ours = difference(Series(ALIKE), Series(SKEWED), "median")
    assert_same(ours, np.median(ALIKE) - np.median(SKEWED), theirs)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    samples = np.random.default_rng(5).normal(3.0, 2.0, size=(300, 40))
    found = [estimate(sample) for sample in samples]
    assert 0.90 <= np.mean([one.low <= 3.0 <= one.high for one in found]) <= 0.98


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_pairing_takes_out_what_both_have_in_common(statistic):
    paired = difference(Series(ALIKE), Series(SKEWED), statistic)
    mixed = difference(Series(np.random.default_rng(2).permutation(ALIKE)), Series(SKEWED), statistic)
    assert mixed.value == pytest.approx(paired.value)
    assert paired.high - paired.low < 0.5 * (mixed.high - mixed.low)
    assert mixed.low < 0 < paired.low


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_a_series_differs_from_itself_by_nothing_and_from_itself_lifted_by_the_lift(statistic):
    one = Series(SKEWED)
    assert difference(one, one, statistic) == Estimate(0.0, 0.0, 0.0)
    lifted = difference(Series(SKEWED + 0.25), one, statistic)
    assert (lifted.value, lifted.low, lifted.high) == pytest.approx((0.25, 0.25, 0.25))


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_turning_a_difference_turns_its_interval(statistic):
    there = difference(Series(ALIKE, WEIGHTS), Series(SKEWED), statistic)
    back = difference(Series(SKEWED), Series(ALIKE, WEIGHTS), statistic)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_scaling_and_shifting_the_values_scales_and_shifts_the_estimate(statistic):
    plain, moved = (Series(values).estimate(statistic) for values in (SKEWED, 3 * SKEWED - 7))
    expected = (3 * plain.value - 7, 3 * plain.low - 7, 3 * plain.high - 7)
    assert (moved.value, moved.low, moved.high) == pytest.approx(expected)


def test_equal_weights_are_no_weights():
    weighted, plain = Series(SKEWED, np.full(COUNT, 3)).estimate(), Series(SKEWED).estimate()
    assert (weighted.value, weighted.low, weighted.high) == pytest.approx(
        (plain.value, plain.low, plain.high)
    )


def test_the_numbers_depend_on_the_seed_alone():
    one = Series(SKEWED, WEIGHTS)
    assert one.estimate(seed=3) == one.estimate(seed=3)
    assert one.estimate(seed=3).value == one.estimate(seed=4).value
    assert one.estimate(seed=3).low != one.estimate(seed=4).low
    assert median_estimate(SKEWED, seed=3) == median_estimate(SKEWED, seed=3)


def test_worked_by_hand():
    assert estimate(np.array([4.5])) == Estimate(4.5, 4.5, 4.5)
    assert estimate(np.array([0.0, 1.0])) == Estimate(0.5, 0.0, 1.0)
    assert estimate(np.array([1.0, 4.0]), np.array([2, 1])).value == 2.0
    assert median_estimate(np.array([1.0, 2.0, 40.0])) == Estimate(2.0, 1.0, 40.0)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_what_has_no_weight_does_not_count_whatever_stands_there(statistic):
    values, weights = np.where(SKEWED > 3, np.nan, SKEWED), (SKEWED <= 3).astype(float)
    found = Series(values, weights).estimate(statistic)
    same = {"mean": np.mean, "median": np.median}[statistic]
    assert found.value == pytest.approx(same(SKEWED[SKEWED <= 3]))
    assert found.low < found.value < found.high < 3
    lifted = difference(Series(values + 1, weights), Series(values, weights), statistic)
    assert (lifted.value, lifted.low, lifted.high) == pytest.approx((1, 1, 1))


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_where_few_count_a_resample_without_them_is_no_zero(statistic):
    """Of 50 entities one counts: 36% of the resamples do not hold it."""
    weights = np.zeros(50)
    weights[7] = 2.0
    few = Series(np.full(50, 0.8), weights)
    found = few.estimate(statistic)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.8, 0.8))
    gap = difference(few, Series(np.full(50, 0.3)), statistic)
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_nothing_that_counts_has_no_estimate(statistic):
    nothing, one = Series(np.ones(5), np.zeros(5)), Series(np.ones(5))
    assert nothing.estimate(statistic) is None
    assert Series(np.array([])).estimate(statistic) is None
    assert difference(nothing, one, statistic) is None and difference(one, nothing, statistic) is None
    with pytest.raises(ValueError, match="nothing counts"):
        estimate(np.ones(5), np.zeros(5))


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_series_of_other_entities_are_not_paired(statistic):
    with pytest.raises(ValueError, match="5 values cannot be paired with 4"):
        difference(Series(np.ones(5)), Series(np.ones(4)), statistic)
