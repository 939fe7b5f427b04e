"""Lexicon: words read from vectors, their probabilities, scores and files, on texts whose words make their vectors."""

import json

import numpy as np
import pytest

from vecspeak.errors import UserError
from vecspeak.lexicon.lexicon import Lexicon, fit_lexicon
from vecspeak.lexicon.readout import calibrated, fit_readout
from vecspeak.lexicon.scores import FREQUENT, LEXICON, SHUFFLED, precision_at
from vecspeak.lexicon.terms import distinct

NAMES = [
    f"{first}{second}"
    for first in ("ba", "ce", "di", "fo", "gu", "ha")
    for second in ("lom", "ner", "rik", "sut")
]
"""Made-up words, each with a direction of its own."""
NOISE = 2.0


def world(count=900, seed=0):
    """Texts of four words each, and vectors that are the sums of their words' directions, with noise."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(1).normal(size=(len(NAMES), 32)).astype(np.float32)
    odds = 1 / np.arange(1, len(NAMES) + 1)
    drawn = [rng.choice(len(NAMES), 4, replace=False, p=odds / odds.sum()) for _ in range(count)]
    vectors = np.stack([directions[words].sum(0) for words in drawn])
    texts = [", ".join(NAMES[word] for word in words) for words in drawn]
    return texts, (vectors + NOISE * rng.normal(size=vectors.shape)).astype(np.float32)


def fitted(vectors=None):
    texts, own = world()
    held_out = np.arange(len(texts)) % 3 == 0
    return fit_lexicon(
        texts, own if vectors is None else vectors, held_out, stop_words=frozenset(), min_count=5
    )


@pytest.fixture(scope="module")
def lexicon():
    return fitted()


def test_the_words_of_a_new_vector_are_read(lexicon):
    texts, vectors = world(50, seed=7)
    found = [{one.term for one in lexicon.words(vector, 4)} for vector in vectors]
    right = np.mean(
        [len(terms & set(text.split(", "))) / 4 for terms, text in zip(found, texts, strict=True)]
    )
    assert right > 0.6


def test_scores_stand_beside_their_baselines(lexicon):
    precision = {name: found["5"] for name, found in lexicon.scores.precision.items()}
    assert precision[LEXICON].low > precision[FREQUENT].high > 0
    assert precision[LEXICON].low > precision[SHUFFLED].high


def test_vectors_that_say_nothing_give_base_rates():
    noise = np.random.default_rng(3).normal(size=(900, 32)).astype(np.float32)
    found = fitted(noise)
    precision = found.scores.precision
    assert precision[LEXICON]["5"].low < precision[FREQUENT]["5"].high
    spread = np.abs(found.readout.probabilities(noise[:100]) - found.readout.rates)
    assert spread.mean() < 0.02


def test_probabilities_are_the_shares_of_what_is_so(lexicon):
    texts, vectors = world(2000, seed=9)
    truth = lexicon.vocabulary.matrix(texts).toarray() > 0
    probabilities = lexicon.readout.probabilities(vectors)
    for low, high in ((0.02, 0.2), (0.2, 0.8), (0.8, 1.0)):
        inside = (probabilities >= low) & (probabilities < high)
        assert inside.sum() > 50 and abs(probabilities[inside].mean() - truth[inside].mean()) < 0.1


def test_the_length_of_a_vector_does_not_count(lexicon):
    _, vectors = world(1, seed=5)
    np.testing.assert_allclose(
        lexicon.readout.probabilities(3 * vectors), lexicon.readout.probabilities(vectors), atol=1e-5
    )


def test_support_is_the_probability_of_each_term_of_a_text(lexicon):
    texts, vectors = world(1, seed=11)
    own = texts[0].split(", ")
    other = next(name for name in NAMES if name not in own)
    found = {one.term: one.probability for one in lexicon.support(f"{own[0]} and {other}", vectors[0])}
    assert set(found) == {own[0], other} and found[own[0]] > 0.4 > found[other]
    assert lexicon.support("nothing of it", vectors[0]) == ()


def test_a_lexicon_comes_back_from_its_files_as_it_was(lexicon, tmp_path):
    lexicon.save(tmp_path / "lexicon")
    again = Lexicon.load(tmp_path / "lexicon")
    _, vectors = world(3, seed=13)
    assert again.words_of_all(vectors) == lexicon.words_of_all(vectors)
    assert again.scores == lexicon.scores and again.vocabulary.terms == lexicon.vocabulary.terms


def test_files_that_do_not_fit_each_other_are_refused(lexicon, tmp_path):
    lexicon.save(tmp_path / "lexicon")
    path = tmp_path / "lexicon" / "lexicon.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"terms": found["terms"][:-1]}))
    with pytest.raises(UserError, match="must be"):
        Lexicon.load(tmp_path / "lexicon")
    path.write_text("{")
    with pytest.raises(UserError, match="no whole lexicon"):
        Lexicon.load(tmp_path / "lexicon")


def test_another_width_is_refused(lexicon):
    with pytest.raises(UserError, match=r"\[N, 32\]"):
        lexicon.words(np.zeros(8, np.float32))


def test_a_calibration_needs_texts(lexicon):
    texts, vectors = world(10)
    with pytest.raises(UserError, match="10 texts are too few"):
        calibrated(lexicon.readout, vectors, lexicon.vocabulary.matrix(texts))


def test_int8_weights_move_a_deviation_by_less_than_a_hundredth():
    texts, vectors = world()
    terms = fitted().vocabulary.matrix(texts)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    away = (unit - unit.mean(0)).astype(np.float64)
    dense = terms.toarray()
    gram = away.T @ away
    readout = fit_readout(vectors, terms, vectors, terms, penalties=[1 / np.linalg.eigvalsh(gram).mean()])
    exact = np.linalg.solve(gram + np.eye(32), away.T @ (dense - dense.mean(0)))
    deviations = away @ exact / np.sqrt(readout.rates * (1 - readout.rates))
    assert np.abs(deviations - readout.deviations(vectors)).max() < 0.02


def test_precision_counts_the_first_terms():
    scores = np.array([[0.9, 0.2, 0.5], [0.1, 0.2, 0.3]])
    truth = np.array([[True, True, False], [False, False, True]])
    assert precision_at(scores, truth, 1).tolist() == [1, 1]
    assert precision_at(scores, truth, 2).tolist() == [0.5, 0.5]


def test_a_two_word_term_stands_for_its_words():
    terms = ("school", "high school", "high", "river")
    assert distinct(terms, [0, 1, 2, 3], np.array([0.9, 0.6, 0.5, 0.4]), 4) == [1, 3]
    assert distinct(terms, [0, 1, 3], np.array([0.9, 0.3, 0.1, 0.2]), 4) == [0, 3]
