import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from vecspeak.protocols.hiding import interval_of, order_of, resampled


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=8), st.lists(st.integers(-3, 3), min_size=1, max_size=8)
)
def test_the_auc_is_scikit_learns(liked, disliked):
    scores = np.array([*liked, *disliked], dtype=float)
    found = order_of([f"a{i}" for i in range(len(liked))], [f"b{i}" for i in range(len(disliked))], scores)
    truth = [1] * len(liked) + [0] * len(disliked)
    assert found.auc == pytest.approx(roc_auc_score(truth, scores))


def test_scores_of_zero_are_a_tie():
    assert order_of(["a"], ["b", "c"], np.zeros(3)).auc == 0.5


def random_orders(draws, shift, seed=0):
    rng = np.random.default_rng(seed)
    liked, disliked = [f"a{i}" for i in range(30)], [f"b{i}" for i in range(30)]
    level = {item: rng.normal(shift if item[0] == "a" else 0) for item in (*liked, *disliked)}
    found = []
    for _ in range(draws):
        some, others = rng.permutation(liked)[:10], rng.permutation(disliked)[:10]
        found.append(order_of(some, others, np.array([level[item] for item in (*some, *others)])))
    return found


def test_more_draws_of_the_same_items_do_not_make_an_interval_narrow_without_end():
    few, many = (random_orders(draws, 0.5) for draws in (20, 200))
    widths = [np.ptp(np.nanpercentile(resampled(orders), [2.5, 97.5])) for orders in (few, many)]
    assert widths[1] == pytest.approx(widths[0], rel=0.15)
    one = random_orders(1, 0.5)
    assert np.ptp(np.nanpercentile(resampled(one), [2.5, 97.5])) > 1.2 * widths[0]


def test_the_interval_holds_the_value_and_orders_are_compared_by_the_same_resamples():
    better, same = random_orders(5, 1.5), random_orders(5, 1.5)
    value = np.mean([order.auc for order in better])
    found = interval_of(value, resampled(better))
    assert found.low < value < found.high
    np.testing.assert_array_equal(resampled(better), resampled(same))


def test_chance_is_in_the_interval_of_orders_that_know_nothing():
    inside = 0
    for seed in range(20):
        orders = random_orders(4, 0.0, seed)
        found = interval_of(np.mean([order.auc for order in orders]), resampled(orders))
        inside += found.low <= 0.5 <= found.high
    assert inside >= 16
