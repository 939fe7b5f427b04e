"""Questions that are answered without a language model."""

import pytest

from vecspeak.answerable import direct_answer
from vecspeak.evidence import ReadTerm

READ = {
    "robot": ReadTerm(term="robot", probability=0.83, rate=0.02),
    "war": ReadTerm(term="war", probability=0.3, rate=0.05),
    "love": ReadTerm(term="love", probability=0.1, rate=0.12),
    "work": ReadTerm(term="work", probability=0.01, rate=0.1),
    "sea": ReadTerm(term="sea", probability=0.1, rate=0.07),
    "space ship": ReadTerm(term="space ship", probability=0.7, rate=0.01),
    "lawyer": ReadTerm(term="lawyer", probability=0.01, rate=0.1),
    "hero": ReadTerm(term="hero", probability=0.6, rate=0.05),
    "Poland": ReadTerm(term="poland", probability=0.09, rate=0.004),
    "space": ReadTerm(term="space", probability=0.4, rate=0.05),
}


def terms_of(text):
    return [term for word, term in READ.items() if word in text]


@pytest.mark.parametrize(
    ("question", "probability", "text"),
    [
        ("Is {x} about robots?", 0.83, 'Yes (83%): "robot" 83% (any text 2%).'),
        ("Is there a hero?", 0.6, 'Likely (60%): "hero" 60% (any text 5%).'),
        ("does it have a war in it?", 0.3, 'Perhaps (30%): "war" 30% (any text 5%).'),
        (
            "Is it set in Poland?",
            0.09,
            'Rather not (9%), though likelier than of others: "poland" 9% (any text under 1%). '
            "Other words for the same are not looked for.",
        ),
        ("is it at sea?", 0.1, 'The vector does not tell (10%): "sea" 10% (any text 7%).'),
        ("Is {x} about love?", 0.1, 'The vector does not tell (10%): "love" 10% (any text 12%).'),
        (
            "Is it about lawyers?",
            0.01,
            'Probably not (1%): "lawyer" 1% (any text 10%). Other words for the same are not looked for.',
        ),
        (
            "Is there a robot in love in {x}?",
            0.1,
            'The vector does not tell (10%): "robot" 83% (any text 2%); "love" 10% (any text 12%).',
        ),
        ("Is {x} not about robots?", 0.17, 'Probably not (17%): "robot" 83% (any text 2%).'),
        ("Isn't it about war?", 0.7, 'Likely (70%): "war" 30% (any text 5%).'),
        (
            "Is {x} about love or about robots?",
            0.83,
            'Yes (83%): "love" 10% (any text 12%); "robot" 83% (any text 2%).',
        ),
        ("Does a space ship land?", 0.7, 'Likely (70%): "space ship" 70% (any text 1%).'),
    ],
)
def test_yes_or_no_is_the_calibrated_probability_of_the_questions_words(question, probability, text):
    """By hand: war has odds of 0.3/0.7 = 0.43 where any text has 0.05/0.95 = 0.053: 8 times, and still unlikely."""
    found = direct_answer(question, terms_of)
    assert found.text == text and found.probability == pytest.approx(probability, abs=1e-9)
    assert found.is_clear == ("Perhaps" not in text and "not tell" not in text)


def test_a_word_that_claims_nothing_decides_nothing():
    words = [ReadTerm(term=one, probability=p, rate=0.02) for one, p in (("robot", 0.83), ("work", 0.01))]
    assert direct_answer("Does the robot work well?", lambda text: words).probability == 0.83


def test_words_that_are_read_stand_for_a_pair_that_is_not():
    unread = ReadTerm(term="text editor", probability=0.05, rate=0.03)
    words = [ReadTerm(term=one, probability=0.9, rate=0.05) for one in ("text", "editor")]
    found = direct_answer("Is {x} a text editor?", lambda text: [unread, *words])
    assert found.probability == 0.9 and "text editor" not in found.text


def test_an_opinion_is_not_read_from_a_word():
    good = ReadTerm(term="good", probability=0.3, rate=0.3)
    assert direct_answer("Is {x} good?", lambda text: [good]).probability is None


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
        "What licence has {x}?",
        "Which programming language is {x} in?",
        "How big is {x}?",
        "In which language was {x} shot?",
        "Where was {x} filmed?",
        "Which studio made {x}?",
        "What is the rating of {x} on IMDb?",
        "Which book is {x} based on?",
        "What is the first line of {x}?",
        "Who composed the music of {x}?",
        "Whose idea was {x}?",
        "Did {x} win an Oscar?",
        "Is {x} a remake?",
        "What did critics say of {x}?",
        "Could I watch {x} with my grandmother?",
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
        "Where does {x} take place?",
        "Who should not watch {x}?",
        "Who is {x} for?",
        "What does somebody learn from {x}?",
    ],
)
def test_other_questions_go_to_the_reader(question):
    assert direct_answer(question, terms_of) is None
