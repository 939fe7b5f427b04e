"""Terms: what counts as a word, a name and a fragment of a name, and in which texts each stands."""

import numpy as np
import pytest

from vecspeak.lexicon.terms import fit_vocabulary, forms_of

STOP = frozenset({"the", "and", "with", "his", "her"})


def vocabulary(texts, **settings):
    return fit_vocabulary(texts, stop_words=STOP, **{"min_count": 1, **settings})


def kinds(fitted):
    return dict(zip(fitted.terms, fitted.kinds, strict=True))


def test_words_lose_case_and_possessives_and_numbers_are_none():
    forms = forms_of("Ann's robots, 42 of them: O’Hara’s half-built 3D")
    assert list(filter(None, forms)) == ["ann", "robots", "of", "them", "o'hara", "half-built", "d"]


def test_a_capital_at_the_start_of_a_sentence_says_nothing():
    fitted = vocabulary(['the robots win. Robots fall! He said: "Robots go to Paris."'] * 3)
    assert kinds(fitted)["robot" if "robot" in fitted.terms else "robots"] == "word"
    assert kinds(fitted)["paris"] == "name"


def test_singular_and_plural_are_one_term_under_the_commoner_form():
    fitted = vocabulary(["a robot"] * 5 + ["two robots"] * 3 + ["a story"] * 3 + ["two stories"] * 4)
    assert fitted.forms["robots"] == "robot" and fitted.forms["story"] == "stories"
    assert fitted.counts[fitted.place["robot"]] == 8
    assert fitted.columns_in("Stories of a robot") == {fitted.place["robot"], fitted.place["stories"]}


def test_a_text_with_both_forms_counts_once():
    fitted = vocabulary(["a robot"] * 5 + ["robots and a robot"] * 3)
    assert fitted.counts[fitted.place["robot"]] == 8


@pytest.mark.parametrize(
    ("term", "kind"), [("paris", "name"), ("los", "fragment"), ("angeles", "fragment"), ("city", "word")]
)
def test_names_and_fragments_of_names_are_told_from_words(term, kind):
    texts = ["they live in Paris with the city"] * 6 + ["they live in Los Angeles with the City"] * 3
    assert kinds(vocabulary(texts))[term] == kind


def test_words_that_keep_together_are_a_term_and_others_are_not():
    rng = np.random.default_rng(0)
    fill = ["stone", "river", "cloud", "tree", "road", "wind", "sand", "fire"]
    texts = [f"{fill[rng.integers(8)]} high school {fill[rng.integers(8)]}" for _ in range(40)]
    texts += [f"{fill[rng.integers(8)]} {fill[rng.integers(8)]}" for _ in range(200)]
    fitted = vocabulary(texts, min_count=5)
    assert "high school" in fitted.place and "stone river" not in fitted.place
    assert fitted.place["high school"] in fitted.columns_in("a High School")
    assert fitted.place["high school"] not in fitted.columns_in("high, school")


def test_rare_terms_and_those_over_the_limit_are_left_out():
    texts = ["stone"] * 9 + ["river"] * 5 + ["cloud"] * 2
    assert vocabulary(texts, min_count=3).terms == ("stone", "river")
    assert vocabulary(texts, max_terms=1).terms == ("stone",)


def test_the_matrix_is_what_the_texts_have():
    fitted = vocabulary(["stone river", "river"])
    found = fitted.matrix(["river and stone", "nothing", "River."]).toarray()
    expected = np.zeros((3, 2), np.float32)
    expected[0], expected[2, fitted.place["river"]] = 1, 1
    np.testing.assert_array_equal(found, expected)


def test_terms_that_are_as_common_are_in_the_order_of_the_alphabet():
    texts = ["zebra apple mango quince", "mango zebra quince apple", "apple quince only"] * 10
    found = fit_vocabulary(texts, stop_words=frozenset(), min_count=5)
    pairs = list(zip((-found.counts).tolist(), found.terms, strict=True))
    assert pairs == sorted(pairs) and len(pairs) > 4
