"""What a writer says about what it was sent is taken out, and a plot about evidence is not."""

import pytest

from vecspeak.writers.cleaning import about_the_point


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("The evidence supports that X is a thriller, set in Rome.", "It is a thriller, set in Rome."),
        (
            "Based on the evidence provided, the most likely description of the movie X is that it is a drama.",
            "It is a drama.",
        ),
        ("Evidence: The father returns home.", "The father returns home."),
        ("X is a comedy. The evidence does not provide details about the plot.", "It is a comedy."),
        ('The word "island" appears with a probability of 0.99, "sea" with 0.76.', ""),
        ("The movie X is a horror film, as evidenced by the presence of words like father.", ""),
        (
            "A detective finds evidence of a murder. She hides the evidence.",
            "A detective finds evidence of a murder. She hides the evidence.",
        ),
        ("The movie X is about bees, and X ends well.", "The movie is about bees, and it ends well."),
        ("The film is based on the novel by King.", "The film is based on the novel by King."),
        ("As evidenced by the reviews, fans love it.", "As evidenced by the reviews, fans love it."),
        (
            "The drafts of a script lead a writer to murder.",
            "The drafts of a script lead a writer to murder.",
        ),
        (
            "A probability professor meets Malcolm X and the X-Men.",
            "A probability professor meets Malcolm X and the X-Men.",
        ),
    ],
)
def test_a_text_is_about_the_point(said, left):
    assert about_the_point(said, ("x",)) == left


def test_two_points_keep_their_names():
    assert about_the_point("X is older than Y.", ("x", "y")) == "X is older than Y."


def test_a_slot_that_is_a_word_is_left_alone():
    assert about_the_point("I think a bee is A bee.", ("a",)) == "I think a bee is A bee."
