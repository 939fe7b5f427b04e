"""Scores of clauses: which hold, and what the probabilities are worth."""

import numpy as np
import pytest

from vecspeak.evaluation.clause_scores import JudgedClause, judge_clauses, score_clauses
from vecspeak.evidence import Answer, Clause
from vecspeak.lexicon.terms import fit_vocabulary

TRUTHS = ["A robot flies to the moon. Nobody waits there.", "A dog sleeps in a kitchen."]
VOCABULARY = fit_vocabulary(TRUTHS, stop_words=frozenset({"the", "and"}), min_count=1)


def answer(*clauses):
    parts = tuple(Clause(text=text, probability=share) for text, share in clauses)
    return Answer(question="", text="".join(one.text for one in parts), evidence=(), clauses=parts)


class Words:
    """An encoder of single words: a dimension each."""

    name, digest, dim = "words", "", 8
    known = ("robot", "moon", "nobody", "dog", "kitchen", "sleeps", "flies", "waits")

    def encode(self, texts, *, progress=False):
        rows = np.array([[word in text.casefold() for word in self.known] for text in texts], np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def test_a_clause_holds_by_half_of_its_words_and_one_without_words_is_not_judged():
    answers = [
        answer(("A robot sleeps, ", 0.9), ("and so ", 0.1), ("a dog sleeps.", 0.2)),
        answer(("A moon.", 0.3)),
    ]
    judged = [one for _, one in judge_clauses(answers, TRUTHS, VOCABULARY)]
    assert [(one.entity, one.text, one.holds) for one in judged] == [
        (0, "A robot sleeps, ", True),
        (0, "a dog sleeps.", False),
        (1, "A moon.", False),
    ]


def test_the_second_encoder_asks_whether_the_own_text_is_nearer_than_others():
    answers = [answer(("A robot flies. ", 0.9), ("A dog sleeps.", 0.9)), answer(("Kitchen.", 0.5))]
    judged = [one for _, one in judge_clauses(answers, TRUTHS, VOCABULARY, Words())]
    assert [one.holds_by_second for one in judged] == [True, False, True]


def clauses(*pairs):
    return [
        JudgedClause(entity=row // 2, text="", probability=share, holds=holds, holds_by_second=None)
        for row, (share, holds) in enumerate(pairs)
    ]


def test_the_most_probable_clauses_are_told_first():
    found = score_clauses(clauses((0.9, True), (0.1, False), (0.8, True), (0.2, False)), 2)
    at = {point.coverage: point.precision.value for point in found.curve}
    assert (at[0.5], at[1.0], found.auc) == (1.0, 0.5, 1.0)
    assert found.calibration_error == pytest.approx(0.15)
    assert score_clauses(clauses((0.9, True)), 1).auc is None
