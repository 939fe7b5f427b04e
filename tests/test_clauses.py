"""Clauses: how a text is split, which signs speak for each part, and the model that makes a probability of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecspeak.clauses import (
    fit_clause_model,
    losses_without,
    nats_by_clause,
    signs_of,
    split_clauses,
)
from vecspeak.errors import UserError
from vecspeak.evidence import ClauseSigns, ReadTerm


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("He dies.", ["He dies."]),
        ("", []),
        ("Dr. Smith runs a bank. He dies.", ["Dr. Smith runs a bank. ", "He dies."]),
        (
            "A man who sells used cars is robbed, and his wife leaves him.",
            ["A man who sells used cars is robbed, ", "and his wife leaves him."],
        ),
        (
            "It tells the story of a girl who wants to become a dancer.",
            ["It tells the story of a girl ", "who wants to become a dancer."],
        ),
        ("Comedy, drama", ["Comedy, drama"]),
    ],
)
def test_a_text_is_split_where_its_statements_end(text, clauses):
    assert split_clauses(text) == clauses


@given(st.text(alphabet="ab ,.;and who\n", max_size=80))
def test_joined_clauses_are_the_text(text):
    assert "".join(split_clauses(text)) == (text if text.strip() else "")


def term(word, probability, rate):
    return ReadTerm(term=word, probability=probability, rate=rate)


def test_the_signs_of_a_clause_are_those_of_its_terms_and_tokens():
    (one, empty) = signs_of(
        [[term("robot", 0.8, 0.1), term("fly", 0.2, 0.2)], []],
        nats_own=[1.0, 2.0],
        nats_mean=[3.5, 2.0],
        agreement=[0.5, None],
        losses=[0.2, 0.0],
    )
    assert (one.lift, one.probability, one.least, one.agreement) == (2.5, 0.5, 0.2, 0.5)
    assert one.log_lift == pytest.approx(np.log(8) / 2)
    assert empty.probability is None and empty.lift == 0


def test_a_token_belongs_to_the_clause_that_it_begins_in():
    clauses, starts = ["A man ", "who runs."], [0, 1, 5, 9, 14]
    assert nats_by_clause(clauses, starts, np.array([1.0, 2, 3, 4, 6])) == [1.5, 13 / 3]
    assert nats_by_clause(["A man.", "x"], [0], np.array([2.0])) == [2.0, None]


def test_a_clause_is_worth_what_the_answer_loses_without_it():
    vectors = {"ab": [1.0, 0.0], "b": [0.6, 0.8], "a": [0.8, 0.6], "x": [0.5, 0.5]}
    encode = lambda texts: np.array([vectors[text] for text in texts])  # noqa: E731
    pair, single, none = losses_without([["a", "b"], ["x"], []], encode, [np.array([1.0, 0])] * 3)
    assert pair == pytest.approx([0.4, 0.2]) and single == [0.5] and none == []


def signs(lift, probability):
    return ClauseSigns(
        lift=lift, probability=probability, log_lift=None, least=None, agreement=None, loss=0.0
    )


def test_a_clause_that_more_speaks_for_is_likelier_to_hold_and_a_missing_sign_says_nothing():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 2))
    holds = values[:, 0] + values[:, 1] + 0.5 * rng.normal(size=400) > 0.5
    model = fit_clause_model([signs(*row) for row in values.tolist()], holds.tolist(), "a test")
    low, high, unknown = model.probabilities([signs(-2, -2), signs(2, 2), signs(2, None)])
    assert low < 0.05 and high > 0.95 and low < unknown < high
    shares = model.probabilities([signs(*row) for row in values.tolist()])
    assert shares.mean() == pytest.approx(holds.mean(), abs=0.02)  # calibrated in the large
    assert model.probabilities([]).shape == (0,)


def test_what_cannot_be_fitted_is_said():
    with pytest.raises(UserError, match="all hold, or none"):
        fit_clause_model([signs(0, 0)], [True], "a test")
