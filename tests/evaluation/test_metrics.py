import numpy as np
import pytest

from vecspeak.evaluation.intervals import estimate, median_estimate
from vecspeak.evaluation.metrics import consistency, ranks, retrieval, swap_gap

EYE = np.eye(4, dtype=np.float32)


def test_an_estimate_is_the_mean_and_its_interval_holds_it():
    found = estimate(np.array([1.0, 2.0, 3.0, 6.0]))
    assert found.value == 3.0
    assert 1.0 <= found.low < 3.0 < found.high <= 6.0


def test_a_constant_has_an_interval_of_no_width():
    found = estimate(np.full(10, 0.25))
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


def test_weights_make_a_rate_a_token():
    # 10 nats over 10 tokens and 2 nats over 1 token are 12 nats over 11 tokens.
    assert estimate(np.array([1.0, 2.0]), np.array([10, 1])).value == pytest.approx(12 / 11)


def test_the_interval_of_a_mean_covers_it_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        found = estimate(rng.normal(size=60), seed=trial)
        covered += found.low <= 0 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_median_is_not_moved_by_one_wild_value():
    assert median_estimate(np.array([1.0, 2.0, 3.0, 4.0, 1e9])).value == 3.0


def test_the_swap_gap_of_a_model_that_ignores_the_vector_is_zero():
    losses, tokens = np.array([30.0, 12.0, 8.0]), np.array([10, 4, 2])
    found = swap_gap(losses, losses, tokens)
    assert found.gap.value == found.gap.low == found.gap.high == 0
    assert found.right.value == pytest.approx(50 / 16)


def test_the_swap_gap_is_nats_a_token_more_with_the_wrong_vector():
    found = swap_gap(np.array([10.0, 20.0]), np.array([15.0, 30.0]), np.array([5, 10]))
    assert found.gap.value == pytest.approx(1.0)


def test_consistency_of_perfect_answers_is_one_and_swapped_is_zero():
    found = consistency(EYE, EYE, np.roll(EYE, 1, axis=0))
    assert (found.answer.value, found.swapped.value, found.nearest_text.value) == (1, 0, 0)
    assert found.gain.value == 1


def test_ranks_count_what_is_as_near_or_nearer():
    pool = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    queries = np.array([[1, 0], [1, 0]], dtype=np.float32)  # the second query's right row is row 1
    assert ranks(queries, pool).tolist() == [1, 2]


def test_a_tie_counts_against_the_right_one():
    pool = np.ones((5, 2), dtype=np.float32)
    assert ranks(pool[:1], pool).tolist() == [5]


def test_one_answer_for_everything_is_not_retrieval():
    same = np.tile(EYE[0], (4, 1))
    found = retrieval(same, EYE, EYE)
    assert found.recall_at_1.value == 0.25
    assert found.nearest_text_recall_at_10.value == 1
    assert found.among == 4
