"""Prompts: slots, their order, and what a person may get wrong."""

import numpy as np
import pytest

from vecspeak.errors import UserError
from vecspeak.model.prompt import PromptTemplate, Vector, check_question, vectors_of, with_default_slots

ONE, TWO = np.array([1.0]), np.array([2.0])


def test_slots_come_in_order_of_appearance_and_may_repeat():
    assert PromptTemplate("{y} or {x}, or {y}?").slots == ("y", "x", "y")


def test_pieces_are_the_text_cut_at_its_slots_without_empty_strings():
    assert PromptTemplate("{x}{y} and more").segments == (None, None, " and more")
    assert PromptTemplate("Compare {x} with {y}.").segments == ("Compare ", None, " with ", None, ".")
    assert PromptTemplate("no slot").segments == ("no slot",)


def test_each_slot_gets_its_own_vector_wherever_it_stands():
    prompt = PromptTemplate("{y} or {x}, or {y}?").fill({"x": ONE, "y": TWO})
    assert [values.tolist() for values in vectors_of(prompt)] == [[2.0], [1.0], [2.0]]
    assert [part for part in prompt if not isinstance(part, Vector)] == [" or ", ", or ", "?"]


def test_a_slot_without_a_vector_is_named():
    with pytest.raises(UserError, match=r"slot \{y\} that nothing fills; add `y="):
        PromptTemplate("{x} {y}").fill({"x": ONE})


def test_a_vector_without_a_slot_is_named():
    with pytest.raises(UserError, match=r"`z=...` names a slot .* does not have"):
        PromptTemplate("{x}").fill({"x": ONE, "z": TWO})


@pytest.mark.parametrize("text", ["Describe {x", "Describe x}", "Describe {}", "{1x}", "{x y}"])
def test_a_brace_that_is_no_slot_is_refused(text):
    with pytest.raises(UserError, match="brace that is no slot"):
        check_question(text)


def test_a_blank_question_is_refused():
    with pytest.raises(UserError, match="the question is empty"):
        check_question(" \n")


def test_a_question_without_a_slot_gets_the_vectors_after_it():
    template = with_default_slots(check_question("What do they share?"), ["x", "y"])
    assert template.text == "What do they share? {x} {y}"


def test_a_question_with_a_slot_is_left_as_it_is():
    assert with_default_slots(PromptTemplate("Is {x} old?"), ["x", "y"]).text == "Is {x} old?"


def test_a_question_with_half_a_letter_is_refused():
    with pytest.raises(UserError, match="UTF-8"):
        check_question("a\udc80 {x}")
