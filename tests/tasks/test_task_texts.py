"""Texts: sentences, openings and keywords, worked by hand."""

import math

import pytest

from vecspeak.tasks.task_set import Keywords, content_words, join_words, opening, split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Jones meets Mrs. Smith. They talk.", ["Dr. Jones meets Mrs. Smith.", "They talk."]),
        ("J. R. Ewing drills. Oil!", ["J. R. Ewing drills.", "Oil!"]),
        ("It costs 3.50 a day. Not more.", ["It costs 3.50 a day.", "Not more."]),
        ("no capital. so no split", ["no capital. so no split"]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text, sentences):
    assert split_sentences(text) == sentences


def test_an_opening_is_whole_sentences_that_fit():
    text = "One two. Three four. Five six."
    assert opening(text, 20) == "One two. Three four."
    assert opening(text, 19) == "One two."
    assert opening(text, 100) == text


def test_an_opening_whose_first_sentence_is_too_long_is_cut_at_a_word():
    assert opening("A very long sentence without an end", 15) == "A very long ..."


def test_content_words_are_lower_case_without_stop_words_and_possessives():
    assert content_words("The Captain's dog and an OX find gold; the film says so") == [
        "captain",
        "dog",
        "gold",
    ]


@pytest.mark.parametrize(
    ("words", "joined"), [((), ""), (("a",), "a"), (("a", "b"), "a and b"), (("a", "b", "c"), "a, b and c")]
)
def test_words_are_joined_as_in_prose(words, joined):
    assert join_words(words) == joined


def test_weights_are_inverse_document_frequencies():
    keywords = Keywords.fit(["shark island", "shark boat", "shark shark"], min_count=1)
    assert keywords.weights["shark"] == math.log(4 / 4)
    assert keywords.weights["boat"] == math.log(4 / 2)


def test_words_in_too_few_texts_have_no_weight():
    assert set(Keywords.fit(["shark boat", "shark island"], min_count=2).weights) == {"shark"}


def test_keywords_are_the_heaviest_in_the_order_of_the_text():
    keywords = Keywords({"shark": 3.0, "boat": 2.0, "island": 1.0})
    assert keywords.of("An island, a boat, a shark, a bank.", 2) == ("boat", "shark")


def test_a_word_that_comes_often_counts_by_the_root_of_its_count():
    # island: sqrt(4) * 1.1 = 2.2 beats boat: 2.0; twice it would be 1.56 and lose.
    keywords = Keywords({"boat": 2.0, "island": 1.1})
    assert keywords.of("island island island island boat", 1) == ("island",)
    assert keywords.of("island island boat", 1) == ("boat",)
