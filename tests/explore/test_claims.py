"""Claims: a text holds of the vector that it was made from and of few others; what is not read is named."""

import json

import numpy as np
import pytest

from vecspeak.errors import UserError
from vecspeak.explore.claims import CheckedClause, _lower
from vecspeak.report.result import HasPage


@pytest.mark.parametrize(
    ("probability", "nearer_than", "unread", "verdict"),
    [
        (0.9, 95, (), "holds"),
        (0.9, 60, (), "fits others too"),
        (0.9, 95, ("Bob",), "not read"),
        (0.4, 95, ("Bob",), "possible"),
        (0.4, 60, (), "not supported"),
    ],
)
def test_a_clause_holds_that_is_likely_and_near_and_read(probability, nearer_than, unread, verdict):
    one = CheckedClause(text="It is.", probability=probability, nearer_than=nearer_than, unread=unread)
    assert one.verdict == verdict and verdict in str(one)


def test_a_clause_with_a_word_less_likely_than_of_any_text_is_possible_at_most():
    one = CheckedClause(text="It is.", probability=0.9, nearer_than=95, unread=(), least_lift=0.9)
    assert one.verdict == "possible"


@pytest.mark.parametrize(
    "said",
    [
        "{} lacks it", "{} fail", "{} seldom", "{} without it", "instead of {}", "{}-free", "unlike {}",
        "do n\u00f3t {}", "do no\u0301t {}", "anything but {}", "seven {}", "{} in the nineteen-sixties", "\u00bd {}",
        "twentieth {}", "{} by kubrick", "{} of bill", "do n\u200bot {}",
    ],
)  # fmt: skip
def test_words_for_numbers_denials_and_what_has_no_term_are_not_read(reader, texts, said):
    (clause,) = reader.check_claims(said.format(texts[3]), "Thing 3").clauses
    assert clause.unread and clause.verdict != "holds"


def test_a_word_of_another_item_lowers_the_least_lift(reader, texts):
    own, other = (set(texts[row].split()) for row in (1, 40))
    (word,) = sorted(other - own)[:1]
    (true,) = reader.check_claims(texts[1], "Thing 1").clauses
    (false,) = reader.check_claims(f"{texts[1]} {word}", "Thing 1").clauses
    assert not false.unread and false.least_lift < 1 <= true.least_lift and false.verdict != "holds"


def test_percents_count_those_below_and_half_of_the_equal_ones():
    others = np.array([[0.1, 0.5], [0.2, 0.5], [0.3, 0.9], [0.9, 0.1]])
    assert _lower(np.array([0.25, 0.5]), others).tolist() == [50.0, 50.0]
    assert _lower(np.array([1.0]), np.empty((0, 1))).tolist() == [0.0]


def test_an_items_own_text_fits_it_and_few_others(reader, texts):
    own = [reader.check_claims(texts[row], f"Thing {row}") for row in range(12)]
    other = [reader.check_claims(texts[row + 40], f"Thing {row}") for row in range(12)]
    assert all(one.fits_better_than >= 90 for one in own)
    assert np.mean([one.fits_better_than for one in other]) < 75
    assert all(one.num_others == 119 for one in own)
    assert not own[1].warnings and own[1].clauses[0].verdict == "holds"
    assert sum(not one.warnings for one in other) <= 2


def test_names_numbers_and_negations_are_named_and_an_items_own_label_is_not(reader, texts):
    said = f"Zorro has {texts[3]}. {texts[3]} for 3 Thing years. It was never {texts[3]}."
    found = reader.check_claims(said, "Thing 3")
    assert [one.unread for one in found.clauses] == [("Zorro",), ("3", "years"), ("never",)]
    assert not any(one.verdict == "holds" for one in found.clauses)


def test_a_word_that_is_read_is_none_where_a_capital_makes_a_name_of_it(reader, texts):
    said = f"Ghost: {texts[3]}. A man named Ghost, {texts[3]}."
    found = reader.check_claims(said, "Thing 3")
    assert [one.unread for one in found.clauses] == [(), ("man", "Ghost"), ()]


def test_a_point_outside_the_data_is_said_to_be(reader, texts):
    found = reader.check_claims(texts[3], '-"Thing 3"')
    assert found.is_outside and any("outside the data" in one for one in found.warnings)


def test_an_array_is_as_good_as_its_item_and_the_others_are_the_same_for_one_seed(reader, texts):
    found = reader.check_claims(texts[3], reader.space.vectors[3], others=40, seed=1)
    assert found.num_others == 40
    again = reader.check_claims(texts[3], reader.space.vectors[3], others=40, seed=1)
    assert found.to_dict() == again.to_dict()


def test_it_shows_itself(reader, texts):
    found = reader.check_claims(f"{texts[3]}, <b>and a dog\x1b[2J runs home.", "Thing 3")
    assert isinstance(found, HasPage) and "<b>and" not in found._repr_html_() and "\x1b" not in str(found)
    assert json.loads(json.dumps(found.to_dict()))["clauses"][0]["verdict"] == found.clauses[0].verdict
    assert len(found.to_pandas()) == len(found.clauses)
    assert "\x1b" not in repr(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "0 clauses"), ("  ", "0 clauses"), ("a" * 5000, "5,000 characters"), (3, "is a text")],
)
def test_what_is_no_claim_is_refused(reader, text, words):
    with pytest.raises(UserError, match=words):
        reader.check_claims(text, "Thing 3")
    with pytest.raises(UserError, match="`others`"):
        reader.check_claims("A dog.", "Thing 3", others=0)
