import numpy as np
import pytest

from fakes import NearestEngine
from vecspeak.asking import Asker
from vecspeak.errors import UserError
from vecspeak.fitting import fit_entry_concept, fit_space
from vecspeak.spaces.splits import choose_splits


def never():
    raise AssertionError("nothing should be loaded for a question that cannot be asked")


@pytest.fixture
def entry(space, texts, encoder):
    splits = choose_splits(space, share=0.2, seed=0)
    return fit_space(space, texts=texts, encoder=encoder, splits=splits)


@pytest.fixture
def asker(entry, texts, encoder):
    return Asker(entry, lambda: NearestEngine(texts, encoder), lambda: encoder)


def test_an_answer_about_an_item_comes_from_its_vector(asker, texts):
    answer = asker.answer(asker.prepare("Describe {x}.", {"x": '"Thing 3"'}))
    assert sorted(set(answer.text.split())) == sorted(set(texts[3].split()))


def test_pieces_are_streamed_as_they_come(asker):
    pieces = []
    answer = asker.answer(asker.prepare("Describe {x}.", {"x": '"Thing 3"'}), on_text=pieces.append)
    assert len(pieces) > 1
    assert "".join(pieces) == answer.text


def test_the_round_trip_of_a_right_answer_is_above_that_of_other_items(asker):
    questions = [asker.prepare("Describe {x}.", {"x": f'"Thing {i}"'}) for i in range(20)]
    found = [answer.trust[0] for answer in asker.answer_all(questions)]
    assert np.mean([trust.round_trip for trust in found]) > np.mean([trust.swapped for trust in found]) + 0.2


def test_what_a_point_was_made_from_is_not_among_its_nearest(asker):
    answer = asker.answer(asker.prepare("Describe {x}.", {"x": 'mid("Thing 3", "Thing 4")'}))
    labels = [near.label for near in answer.trust[0].nearest]
    assert len(labels) == 5
    assert not {"Thing 3", "Thing 4"} & set(labels)


def test_an_item_lies_in_the_data_and_a_far_point_does_not(asker):
    near = asker.answer(asker.prepare("Describe {x}.", {"x": '"Thing 3"'})).trust[0]
    far = asker.answer(asker.prepare("Describe {x}.", {"x": '"Thing 3" - 3*"Thing 4"'})).trust[0]
    assert near.percentile < 90 < far.percentile


def test_a_concept_moves_the_answer_towards_its_items(entry, texts, encoder):
    scary = fit_entry_concept(entry, "scary", "scary", "true")
    entry.concepts["scary"] = scary
    asker = Asker(entry, lambda: NearestEngine(texts, encoder), lambda: encoder)
    calm = [i for i, text in enumerate(texts) if "ghost" not in text][:20]
    moved = [asker.prepare("Describe {x}.", {"x": f'"Thing {i}" + 3*scary'}) for i in calm]
    assert sum("ghost" in answer.text for answer in asker.answer_all(moved)) >= 15


def test_two_slots_each_have_their_evidence(asker):
    asked = asker.prepare("Compare {x} with {y}.", {"x": '"Thing 1"', "y": '"Thing 2"'})
    assert [trust.slot for trust in asker.answer(asked).trust] == ["x", "y"]


def test_a_question_without_a_slot_gets_the_point_after_it(asker):
    prompt = asker.prepare("Describe this:", {"x": '"Thing 1"'}).prompt
    assert isinstance(prompt[0], str) and not isinstance(prompt[1], str)


@pytest.mark.parametrize(
    ("question", "at", "message"),
    [
        ("Describe {x}.", {}, r"slot \{x\} that nothing fills; add --at x="),
        ("Describe {x}.", {"x": '"Thing 1"', "y": '"Thing 2"'}, "names a slot that the question"),
        ("", {"x": '"Thing 1"'}, "the question is empty"),
        ("Describe {x.", {"x": '"Thing 1"'}, "a brace that is no slot"),
        ("Describe {x}.", {"x": '"Thing 1'}, "character"),
        ("Describe {x}.", {"x": '"Thing 999"'}, "Thing 99"),
        ("Describe {x}.", {"x": "funny"}, "funny"),
    ],
)
def test_a_mistake_is_told_before_anything_is_loaded(entry, question, at, message):
    with pytest.raises(UserError, match=message):
        Asker(entry, never, never).prepare(question, at)
