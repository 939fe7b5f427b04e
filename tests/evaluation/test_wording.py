import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from fakes import WORDS
from vecspeak.evaluation import wording
from vecspeak.evaluation.wording import NEARLY_EQUAL, copied, repeated

PLOT = (
    "A young woman leaves her village for the city, where she finds work in a hotel and falls in love with "
    "one of its guests, who turns out to be hiding from the police."
)


def test_answers_of_their_own_do_not_repeat():
    assert (
        repeated([PLOT, "Two brothers rob a bank.", "The history of the steam engine."]).values.tolist()
        == [0] * 3
    )


def test_the_same_answer_twice_repeats_whatever_its_case_and_marks():
    answers = ["Two brothers rob a bank.", PLOT, "two brothers -- rob a BANK"]
    assert repeated(answers).values.tolist() == [1, 0, 1]


def test_one_memorised_answer_is_caught_with_a_word_changed_in_each():
    words = PLOT.split()
    answers = [" ".join([*words[:row], f"other{row}", *words[row + 1 :]]) for row in range(len(words))]
    assert repeated(answers).values.tolist() == [1] * len(words)


@pytest.mark.parametrize(("length", "expected"), [(16, 1.0), (15, 0.0)])
def test_one_word_of_16_may_differ_and_one_of_15_may_not(length, expected):
    # 3 of 2n - 1 terms differ: the cosine is 28/31 = 0.903 and 26/29 = 0.897.
    words = [f"w{row}" for row in range(length)]
    changed = [*words[:5], "another", *words[6:]]
    assert repeated([" ".join(words), " ".join(changed)]).values.tolist() == [expected] * 2


def test_a_single_letter_or_digit_is_a_word():
    assert repeated(["5", "7", "x", "7"]).values.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [([], []), ([""], [0]), (["", PLOT], [0, 0]), (["", " ... ", PLOT], [1, 1, 0]), (["", ""], [1, 1])],
)
def test_answers_without_a_word_are_equal_to_each_other(answers, expected):
    assert repeated(answers).values.tolist() == expected


def test_repeated_is_what_comparing_every_pair_says():
    rng = random.Random(0)
    answers = [" ".join(rng.choices(WORDS[:5], k=rng.randint(0, 9))) for _ in range(80)]
    counts = CountVectorizer(token_pattern=r"\w+", ngram_range=(1, 2)).fit_transform(answers)
    near = cosine_similarity(counts) >= NEARLY_EQUAL - 1e-9
    expected = [
        any(row != other and (near[row, other] or answers[row] == answers[other]) for other in range(80))
        for row in range(80)
    ]
    assert 10 < sum(expected) < 70
    assert repeated(answers).values.tolist() == expected


def test_the_longest_run_is_counted_in_words_whatever_the_case_and_marks():
    texts = ["She leaves the village, alone.", "A man leaves the village; nobody sees it."]
    answers = ["The man LEAVES the village.", "Nobody sees it leaves", "Nothing", ""]
    assert copied(answers, texts).values.tolist() == [4, 3, 0, 0]


def test_a_run_does_not_cross_two_texts_nor_an_unknown_word():
    assert copied(["one two three four"], ["zero one two", "three four five"]).values.tolist() == [2]
    assert copied(["one two three"], ["one two or three"]).values.tolist() == [2]
    assert copied(["one two", "three four"], ["one two three four"]).values.tolist() == [2, 2]


def test_a_whole_answer_is_found_inside_a_text():
    assert copied([PLOT], ["Well, " + PLOT + " The end."]).values.tolist() == [len(re.findall(r"\w+", PLOT))]


def test_nothing_is_copied_from_no_texts():
    assert copied(["one", ""], []).values.tolist() == [0, 0]
    assert copied([], ["one"]).values.tolist() == []


def longest_shared(answer, text):
    """The longest run by trying all of them."""
    first, second = answer.split(), text.split()
    runs = {tuple(second[i:j]) for i in range(len(second)) for j in range(i + 1, len(second) + 1)}
    return max(
        (j - i for i in range(len(first)) for j in range(i + 1, len(first) + 1) if tuple(first[i:j]) in runs),
        default=0,
    )


small_texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=12).map(" ".join), max_size=5)


@settings(deadline=None, max_examples=100)
@given(answers=small_texts, texts=small_texts)
def test_copied_is_what_trying_every_run_says(answers, texts):
    expected = [max((longest_shared(answer, text) for text in texts), default=0) for answer in answers]
    assert copied(answers, texts).values.tolist() == expected


def test_texts_may_be_read_in_parts(monkeypatch):
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=30)) for _ in range(40)]
    answers = [" ".join(rng.choices(WORDS, k=30)) for _ in range(10)]
    whole = copied(answers, texts).values.tolist()
    monkeypatch.setattr(wording, "_CHUNK_WORDS", 100)
    assert copied(answers, iter(texts)).values.tolist() == whole
    assert max(whole) > 2
