"""Searching: which effort is meant, what a text is worth, and that the lexicon has its say."""

import numpy as np
import pytest

from vecspeak.errors import UserError
from vecspeak.evidence import ReadTerm
from vecspeak.model.prompt import Beginning
from vecspeak.model.words import copies_words, prompt_words
from vecspeak.searching import (
    SUPPORT,
    SentenceGate,
    checked_effort,
    find_answers,
    support,
    whole_sentences,
)

ODDS = float(np.log(0.8 / 0.2))


def term(name, probability):
    return ReadTerm(term=name, probability=probability, rate=0.1)


@pytest.mark.parametrize(
    ("asked", "options", "meant"),
    [
        (None, {}, "normal"),
        (None, {"otherwise": "quick"}, "quick"),
        ("plain", {}, None),
        ("high", {"otherwise": "quick"}, "high"),
        (None, {"temperature": 0.7}, None),
        (None, {"best_of": 4}, None),
        ("plain", {"temperature": 0.7}, None),
    ],
)
def test_what_effort_is_meant(asked, options, meant):
    assert checked_effort(asked, **options) == meant


@pytest.mark.parametrize("options", [{"temperature": 0.5}, {"best_of": 2}])
def test_a_search_beside_a_draw_is_refused(options):
    with pytest.raises(UserError, match="draws without a search"):
        checked_effort("normal", **options)


def test_support_is_the_mean_log_odds_within_bounds():
    found = support([[term("a", 0.8), term("b", 0.5)], [], [term("c", 1.0)], [term("d", 0.0)]])
    assert found == pytest.approx([ODDS / 2, 0.0, 4.0, -4.0])


class Draws:
    """Draws two sentences in turn."""

    name = "draws"

    def answers(self, prompts, sampling):
        yield from enumerate(["A dog barks.", "A cat purrs."][row % 2] for row in range(len(prompts)))


class NearlyAlike:
    """An encoder to which the dog is nearer to [1, 0], by less than the support of a probable word."""

    def encode(self, texts):
        return np.array([[1.0, 0.0] if "dog" in text else [1.0, 0.1] for text in texts])


@pytest.mark.parametrize(("probability", "said"), [(0.5, "A dog barks."), (0.99, "A cat purrs.")])
def test_of_texts_that_are_as_near_the_one_whose_words_are_read_is_the_answer(probability, said):
    lost = 1 - 1 / np.sqrt(1.01)
    assert 0 < lost < SUPPORT * 4

    def terms_of(number, texts):
        return [[term("cat", probability)] if "cat" in text else [term("dog", 0.5)] for text in texts]

    vectors = [np.array([[1.0, 0.0]])]
    ((_, found),) = find_answers(Draws(), NearlyAlike(), [("Describe it.",)], vectors, terms_of=terms_of)
    assert found.text == said


@pytest.mark.parametrize("text", ["It has to do with a boat.", "I loved it: it had to do with love."])
def test_the_questions_own_sentence_is_a_copy_in_any_case_and_tense(text):
    assert copies_words(text, {"boat", "love"})


@pytest.mark.parametrize("effort", ["quick", "normal"])
def test_a_forced_beginning_is_part_of_the_answer_and_of_its_drafts(effort):
    vectors, prompt = [np.array([[1.0, 0.0]])], ("Praise it.", Beginning("I loved it:"))
    ((_, found),) = find_answers(Draws(), NearlyAlike(), [prompt], vectors, effort=effort)
    assert found.text == "I loved it: A dog barks."
    assert set(found.drafts) <= {"I loved it: A cat purrs."} and (effort == "quick" or found.drafts)


def test_names_that_are_not_likely_and_values_beside_enough_words_are_not_told():
    words = [term(name, 0.6) for name in ("gang", "police", "chase", "murder")]
    name = ReadTerm(term="mike", probability=0.3, rate=0.01, kind="name")
    known = ReadTerm(term="shaft", probability=0.9, rate=0.01, kind="name")
    value = ReadTerm(term="Crime", probability=0.8, rate=0.1, kind="value", column="genres")
    rare = term("bumpy", 0.1)
    assert prompt_words([name, *words, known, value, rare]) == (*words, known)
    assert prompt_words([*words[:2], value]) == (*words[:2], value)
    assert prompt_words([rare]) == (rare,), "the first are told however rare"


@pytest.mark.parametrize("term", ["{y}", "a } b", "<|im_end|>", "two\nlines", "z" * 61, "tab\there"])
def test_a_value_that_would_be_more_than_words_in_a_question_is_left_out(term):
    value = ReadTerm(term=term, probability=0.9, rate=0.1, kind="value", column="kind")
    assert prompt_words([value]) == ()


@pytest.mark.parametrize(
    ("pieces", "room", "shown"),
    [
        (["A man", " wakes.", " He", " runs"], 4, "A man wakes."),
        (["A man", " wakes.", " He", " runs"], 5, "A man wakes. He runs"),  # it ended by itself
        (["A man", " runs"], 2, "A man runs"),
        ([], 2, ""),
    ],
)
def test_a_gate_holds_back_what_the_limit_cut_off(pieces, room, shown):
    gate = SentenceGate(room)
    let = [gate.push(piece) for piece in pieces]
    assert "".join([*let, gate.end()]) == gate.text == shown == "".join(whole_sentences(pieces, room))
