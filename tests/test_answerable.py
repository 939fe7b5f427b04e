"""Questions that are answered without a language model."""

import pytest

from vecspeak.answerable import direct_answer
from vecspeak.evidence import ReadTerm

READ = {
    "robot": ReadTerm(term="robot", probability=0.83, rate=0.02),
    "war": ReadTerm(term="war", probability=0.3, rate=0.05),
    "love": ReadTerm(term="love", probability=0.1, rate=0.12),
    "space ship": ReadTerm(term="space ship", probability=0.7, rate=0.01),
    "space": ReadTerm(term="space", probability=0.4, rate=0.05),
}


def terms_of(text):
    return [term for word, term in READ.items() if word in text]


@pytest.mark.parametrize(
    ("question", "probability", "text"),
    [
        ("Is {x} about robots?", 0.83, "Yes: robot 0.83 (any text 0.02)."),
        ("does it have a war in it?", 0.3, "Perhaps: war 0.30 (any text 0.05)."),
        ("Is {x} about love?", 0.1, "Probably not: love 0.10 (any text 0.12)."),
        (
            "Is there a robot in love in {x}?",
            0.1,
            "Probably not: robot 0.83 (any text 0.02), love 0.10 (any text 0.12).",
        ),
        ("Does a space ship land?", 0.7, "Yes: space ship 0.70 (any text 0.01)."),
    ],
)
def test_yes_or_no_is_the_probability_of_the_questions_words(question, probability, text):
    found = direct_answer(question, terms_of)
    assert (found.probability, found.text) == (probability, text)


def test_a_question_of_which_no_word_can_be_read_is_said_to_be_one():
    found = direct_answer("Is {x} waterproof?", terms_of)
    assert found.probability is None and "do not say" in found.text


@pytest.mark.parametrize(
    "question",
    [
        "What is its title?",
        "What is the name of {x}?",
        "When was {x} made?",
        "Who directed {x}?",
        "How much does {x} cost?",
    ],
)
def test_what_no_vector_says_is_not_made_up(question):
    assert "do not say" in direct_answer(question, terms_of).text


@pytest.mark.parametrize(
    "question",
    [
        "Describe {x}.",
        "What is {x} about?",
        "Who would like {x}?",
        "Write a review of {x}.",
        "Which genre is {x}?",
    ],
)
def test_other_questions_go_to_the_reader(question):
    assert direct_answer(question, terms_of) is None
