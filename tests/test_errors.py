"""Errors: the words that messages are made of."""

import pytest

from vecspeak.errors import did_you_mean, listed, nearest_rows, shorten
from vecspeak.stats import Estimate
from vecspeak.storage import digest


def test_a_long_text_is_cut_to_the_length_that_is_asked_for():
    assert shorten("Annie Hall", 10) == "Annie Hall"
    assert shorten("Annie Hall", 9) == "Annie..."
    assert len(shorten("x" * 100, 40)) == 40


def test_a_list_shows_its_first_names_and_that_there_are_more():
    assert listed([]) == ""
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(map(repr, "abcd"), 2) == "'a', 'b', ..."


def test_the_nearest_spelling_comes_first_and_far_ones_are_left_out_by_the_cutoff():
    names = ["Alien", "Heat", "Heathers"]
    assert nearest_rows("heat", names) == [1, 2]
    assert nearest_rows("hate", names, cutoff=0.7) == [1]
    assert did_you_mean("HEATER", names, "else") == "did you mean 'Heathers' or 'Heat'?"
    assert did_you_mean("qqq", names, "else") == "else"


@pytest.mark.parametrize(("form", "shown"), [(".2f", "0.61 [0.60, 0.62]"), ("+.0%", "+61% [+60%, +62%]")])
def test_an_estimate_is_formatted_with_its_interval(form, shown):
    assert f"{Estimate(0.61, 0.6, 0.62):{form}}" == shown


def test_parts_of_a_digest_may_come_one_by_one():
    assert digest("a", b"b", "c") == digest(part for part in ("a", b"b", "c")) == digest("abc")
