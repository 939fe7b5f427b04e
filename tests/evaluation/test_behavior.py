from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from vecspeak.evaluation import behavior
from vecspeak.evaluation.behavior import (
    Predictor,
    behavioral_consistency,
    fit_predictor,
    variance_explained,
)

SAME = Predictor(weights=np.eye(3), offset=np.zeros(3), penalty=1.0)
"""Predicts that the behavioural vector is the text vector."""


def table(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_a_linear_law_between_texts_and_behaviour_is_found_with_its_offset():
    texts, law = table(80, 5), table(5, 3, seed=1)
    predictor = fit_predictor(texts, texts @ law + 7)
    unseen = table(10, 5, seed=2)
    assert predictor.predict(unseen) == pytest.approx(unseen @ law + 7, abs=0.02)


def test_where_texts_say_nothing_nearly_the_mean_is_predicted():
    vectors = table(200, 3, seed=1) + np.array([5.0, 0, -5])
    predictor = fit_predictor(table(200, 40), vectors)
    assert predictor.penalty > 200
    assert predictor.predict(table(4, 40, seed=2)) == pytest.approx(np.tile(vectors.mean(0), (4, 1)), abs=0.5)


def test_the_penalty_is_the_one_with_the_least_leave_one_out_error():
    texts, vectors = table(15, 4), table(15, 2, seed=1) + table(15, 4)[:, :2]
    scale = 15 * texts.var(axis=0).mean()

    def error(penalty):
        left = np.arange(15)
        fits = [Ridge(alpha=penalty).fit(texts[left != row], vectors[left != row]) for row in left]
        return sum(((fit.predict(texts[[row]]) - vectors[row]) ** 2).sum() for row, fit in enumerate(fits))

    best = min(scale * np.logspace(-4, 4, 17), key=error)
    predictor = fit_predictor(texts, vectors)
    assert predictor.penalty == pytest.approx(best)
    assert predictor.predict(texts) == pytest.approx(Ridge(alpha=best).fit(texts, vectors).predict(texts))


def test_the_scale_of_the_text_vectors_does_not_matter():
    texts, vectors = table(30, 4), table(30, 2, seed=1)
    once, larger = fit_predictor(texts, vectors), fit_predictor(100 * texts, vectors)
    assert larger.predict(100 * texts) == pytest.approx(once.predict(texts))


def test_one_training_entity_is_too_few():
    with pytest.raises(ValueError, match="2 training entities"):
        fit_predictor(np.ones((1, 3)), np.ones((1, 2)))


def test_the_worked_case():
    # Users score the true vector 3, 2, 1 and the prediction 2, 3, 1: rank differences 1, 1, 0 give 1 - 6*2/(3*8).
    users = np.eye(3)
    found = behavioral_consistency(SAME, np.array([[2.0, 3, 1]]), np.array([[3.0, 2, 1]]), users)
    assert found == pytest.approx([0.5])


def test_each_row_is_what_scipy_says_of_it():
    predictor = Predictor(weights=table(6, 4), offset=table(4, seed=1), penalty=1.0)
    answers, vectors = table(9, 6, seed=2), table(9, 4, seed=3)
    users = np.round(table(50, 4, seed=4))  # whole numbers, so that scores tie
    vectors[:5] = np.round(vectors[:5])
    found = behavioral_consistency(predictor, answers, vectors, users)
    scores = predictor.predict(answers) @ users.T, vectors @ users.T
    assert found == pytest.approx([spearmanr(a, b).statistic for a, b in zip(*scores, strict=True)])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100))
def test_a_vector_ranks_like_itself_however_long_and_the_reverse_of_its_opposite(seed, scale):
    vectors, users = table(4, 3, seed=seed), table(20, 3, seed=seed + 1)
    assert behavioral_consistency(SAME, scale * vectors, vectors, users) == pytest.approx(np.ones(4))
    assert behavioral_consistency(SAME, -scale * vectors, vectors, users) == pytest.approx(-np.ones(4))


def test_a_prediction_that_is_the_same_for_every_user_is_no_agreement():
    vectors, users = table(2, 3), table(20, 3, seed=1)
    assert behavioral_consistency(SAME, np.zeros((2, 3)), vectors, users).tolist() == [0, 0]
    alike = np.tile(users[:1], (7, 1))
    assert behavioral_consistency(SAME, vectors, vectors, alike).tolist() == [0, 0]


def test_scores_that_differ_by_rounding_alone_are_the_same():
    users = np.array(list(permutations([0.1, 0.2, 0.3])))
    assert np.ptp(users @ np.ones(3)) > 0
    assert behavioral_consistency(SAME, np.ones((1, 3)), table(1, 3), users).tolist() == [0]


def test_blocks_change_nothing(monkeypatch):
    answers, vectors, users = table(7, 3), table(7, 3, seed=1), table(11, 3, seed=2)
    whole = behavioral_consistency(SAME, answers, vectors, users)
    monkeypatch.setattr(behavior, "_BLOCK_SCORES", 22)
    assert behavioral_consistency(SAME, answers, vectors, users).tolist() == whole.tolist()


def test_of_very_many_others_a_part_is_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(behavior, "MOST_OTHERS", 50)
    answers, vectors, users = table(3, 3), table(3, 3, seed=1), table(80, 3, seed=2)
    drawn = np.random.default_rng(5).choice(80, 50, replace=False)
    found = behavioral_consistency(SAME, answers, vectors, users, seed=5)
    assert found == pytest.approx(behavioral_consistency(SAME, answers, vectors, users[drawn]))
    assert found.tolist() != behavioral_consistency(SAME, answers, vectors, users, seed=6).tolist()


def test_variance_explained_by_hand():
    # From the mean (0, 0) the truths lie 4 and 1 away, squared; the answers miss them by 1 and 2.
    truth, answers = np.array([[2.0, 0], [0, 1]]), np.array([[1.0, 0], [1, 0]])
    found = variance_explained(answers, truth, np.zeros(2))
    assert found.values.tolist() == [0.75, -1.0]
    assert found.counted.tolist() == [4, 1]
    assert found.estimate().value == pytest.approx(1 - 3 / 5)


def test_variance_explained_is_scikit_learns_where_the_mean_is_the_truths():
    truth = table(40, 6) * np.arange(1, 7)
    answers = truth + table(40, 6, seed=1)
    found = variance_explained(answers, truth, truth.mean(axis=0))
    assert found.estimate().value == pytest.approx(
        r2_score(truth, answers, multioutput="variance_weighted"), abs=1e-12
    )


def test_the_truth_explains_all_and_the_mean_nothing():
    truth, mean = table(5, 3), table(3, seed=1)
    assert variance_explained(truth, truth, mean).estimate().value == 1
    assert variance_explained(np.tile(mean, (5, 1)), truth, mean).estimate().value == 0


@pytest.mark.parametrize("cosine", [0.2, 0.5, 0.8])
def test_for_unit_vectors_about_zero_it_is_two_cosines_less_one(cosine):
    answer = np.array([[cosine, np.sqrt(1 - cosine**2)]])
    found = variance_explained(answer, np.array([[1.0, 0]]), np.zeros(2))
    assert found.estimate().value == pytest.approx(2 * cosine - 1)


def test_a_truth_that_is_the_mean_itself_does_not_count():
    found = variance_explained(np.ones((1, 2)), np.zeros((1, 2)), np.zeros(2))
    assert np.isfinite(found.values).all()
    assert found.estimate() is None


def test_where_all_truths_are_one_text_no_variance_is_made_of_rounding():
    truth = np.tile(np.random.default_rng(0).normal(size=(1, 16)).astype(np.float32), (45, 1))
    mean = np.mean(list(truth), axis=0) + np.float32(1e-7)
    assert variance_explained(-truth, truth, mean).estimate() is None
