"""Measures against hand-worked cases and the values of kept libraries."""

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score, top_k_accuracy_score
from sklearn.metrics.pairwise import cosine_similarity

import worlds
from vecspeak.evaluation.cases import space_cases
from vecspeak.evaluation.metrics import (
    ScoringContext,
    estimates_of,
    loss_series,
    ranks,
    score_texts,
    swap_gap,
)
from vecspeak.stats import Series

EYE = np.eye(4, dtype=np.float32)


@pytest.fixture(scope="module")
def cases():
    return space_cases(worlds.entry(), worlds.ENCODER)


def score(cases, texts, second=None):
    return score_texts(cases, texts, worlds.ENCODER, second)


def measures_of(cases, second):
    return ScoringContext(cases, worlds.ENCODER, second).measures


def test_the_swap_gap_of_a_model_that_ignores_the_vector_is_zero():
    losses = loss_series(np.array([30.0, 12.0, 8.0]), np.array([10, 4, 2]))
    found = swap_gap(losses, losses).estimate()
    assert found.value == found.low == found.high == 0
    assert losses.estimate().value == pytest.approx(50 / 16)


def test_the_swap_gap_is_nats_a_token_more_with_the_wrong_vector():
    tokens = np.array([5, 10])
    right, wrong = (loss_series(np.array(sums), tokens) for sums in ([10.0, 20.0], [15.0, 30.0]))
    assert swap_gap(right, wrong).estimate().value == pytest.approx(1.0)


def test_the_swap_gap_counts_tokens_not_texts():
    """4 nats over 2 tokens and 9 nats over 18 tokens are 13 nats over 20 tokens."""
    right = loss_series(np.array([0.0, 0.0]), np.array([2, 18]))
    wrong = loss_series(np.array([4.0, 9.0]), np.array([2, 18]))
    assert swap_gap(right, wrong).estimate().value == pytest.approx(13 / 20)


def test_ranks_count_what_is_as_near_or_nearer():
    pool = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    queries = np.array([[1, 0], [1, 0]], dtype=np.float32)  # the second query's right row is row 1
    assert ranks(queries, pool).tolist() == [1, 2]


def test_a_tie_counts_against_the_right_one():
    pool = np.ones((5, 2), dtype=np.float32)
    assert ranks(pool[:1], pool).tolist() == [5]


def test_ranks_are_the_same_in_blocks():
    draw = np.random.default_rng(0)
    pool, queries = draw.normal(size=(1500, 8)), draw.normal(size=(1200, 8))
    plain = [int((pool @ q >= pool[i] @ q - 1e-9).sum()) for i, q in enumerate(queries)]
    assert ranks(queries, pool).tolist() == plain


def test_retrieval_is_what_scikit_learn_finds(cases):
    texts = [*worlds.PAIRS[:4], *("blood joke", "alien", "", "ghost kiss", "train horse")]
    found = score(cases, texts)
    vectors = worlds.ENCODER.encode([text or "(no answer)" for text in texts])
    scores = vectors @ cases.pool.T
    truth, labels = np.arange(len(texts)), np.arange(len(cases.pool))
    for key, k in (("r1", 1), ("r10", 10)):
        wanted = top_k_accuracy_score(truth, scores, k=k, labels=labels)
        assert found[key].estimate().value == pytest.approx(wanted)
    relevant = np.eye(len(cases.pool))[: len(texts)]
    wanted = label_ranking_average_precision_score(relevant, scores)
    assert found["mrr"].estimate().value == pytest.approx(wanted)
    assert found["rank"].estimate("median").value == np.median(1 / found["mrr"].values)


def test_semantic_consistency_is_the_cosine_with_the_truth(cases):
    texts = worlds.PAIRS[10:19]
    wanted = np.diag(cosine_similarity(worlds.ENCODER.encode(texts), worlds.ENCODER.encode(cases.texts)))
    np.testing.assert_allclose(score(cases, texts)["sc"].values, wanted, atol=1e-6)


def test_the_true_texts_are_found_first_and_explain_everything(cases):
    found = score(cases, cases.texts)
    estimates = estimates_of(found, measures_of(cases, None))
    assert {key: round(estimates[key].value, 5) for key in ("sc", "fve", "r1", "r10", "mrr", "rank")} == {
        "sc": 1, "fve": 1, "r1": 1, "r10": 1, "mrr": 1, "rank": 1
    }  # fmt: skip
    assert (estimates["precision"].value, estimates["recall"].value) == (1, 1)


def test_one_answer_for_everything_is_neither_retrieval_nor_distinct(cases):
    found = score(cases, ["ghost blood"] * 9)
    assert found["r1"].values.sum() <= 1
    assert found["repeated"].estimate().value == 1


def test_the_second_encoder_ranks_among_the_evaluated_only():
    cases = space_cases(worlds.entry(), worlds.ENCODER)
    found = score(cases, worlds.PAIRS[:9], worlds.ENCODER)
    assert found["rank"].values.max() > len(cases.ids) >= found["rank_2"].values.max()
    np.testing.assert_allclose(found["sc"].values, found["sc_2"].values, atol=1e-6)
    assert {"sc_2", "r1_2", "rank_2"} <= {measure.key for measure in measures_of(cases, worlds.ENCODER)}


def test_a_series_in_which_nothing_counts_has_no_estimate():
    series = {"precision": Series(np.zeros(3), np.zeros(3))}
    assert estimates_of(series, measures_of(space_cases(worlds.entry(), worlds.ENCODER), None)) == {}
