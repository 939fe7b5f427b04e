"""Text judges: a classifier that never saw the text it scores, and an encoder with a phrase."""

import dataclasses

import numpy as np
import pytest

from point_worlds import ENCODER, HELD_OUT, MASKS, TEXTS, concept, entry
from vecspeak.errors import UserError
from vecspeak.protocols.text_judges import PhraseJudge, auc_of, judge_of_source, train_judges


@pytest.fixture(scope="module")
def judges():
    return train_judges(TEXTS, MASKS, HELD_OUT)


def test_a_classifier_tells_held_out_texts_with_a_word_from_those_without(judges):
    assert judges.names == ("ghost", "joke", "love")
    assert all(auc.value > 0.95 and auc.low > 0.9 for auc in judges.auc.values())
    more, less = judges.judge("ghost").scores(["ghost ghost train", "joke horse train"])
    assert more > less + 1


def test_scores_are_standard_deviations_of_real_texts(judges):
    np.testing.assert_allclose(judges.own.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(judges.own.std(0), 1)


def test_real_texts_are_scored_by_classifiers_that_did_not_see_them():
    """Of labels drawn at random nothing can be known: texts that were trained on would look known all the same."""
    mask = np.random.default_rng(0).random(len(TEXTS)) < 0.5
    judges = train_judges(TEXTS, {"noise": mask}, HELD_OUT)
    seen = judges.scores([text for text, out in zip(TEXTS, HELD_OUT, strict=True) if not out])[:, 0]
    assert auc_of(seen, mask[~HELD_OUT]).value > 0.75
    assert abs(auc_of(judges.own[~HELD_OUT, 0], mask[~HELD_OUT]).value - 0.5) < 0.12
    assert judges.auc["noise"].low < 0.5 < judges.auc["noise"].high


def test_a_threshold_lets_a_tenth_of_the_texts_without_it_through(judges):
    for column, mask in enumerate(MASKS.values()):
        without = judges.own[~HELD_OUT & ~mask, column]
        assert (without > judges.thresholds[column]).mean() == pytest.approx(0.1, abs=0.02)


def test_an_attribute_of_too_few_texts_is_refused():
    mask = np.zeros(len(TEXTS), dtype=bool)
    mask[:6] = True
    with pytest.raises(UserError, match="too few for a classifier"):
        train_judges(TEXTS, {"rare": mask}, HELD_OUT)


def test_a_curve_is_worked_out_by_hand():
    """Of 2 x 2 pairs of a text with and one without it, three are in the right order and one is a tie."""
    assert auc_of(np.array([3.0, 1, 2, 1]), np.array([True, True, False, False])).value == 0.625


def test_a_phrase_is_judged_against_a_neutral_one():
    judge = PhraseJudge(encoder=ENCODER, phrase="ghost", neutral="horse")
    scores = judge.scores(["ghost", "horse", "train", ""])
    assert scores[0] > 0.9 and scores[1] < -0.9 and abs(scores[2]) < 0.1
    among = PhraseJudge.among(ENCODER, "ghost", "horse", ENCODER.encode(TEXTS))
    np.testing.assert_allclose(among.scores(TEXTS).std(), 1, rtol=1e-4)


def test_a_concept_from_a_metadata_value_has_a_classifier_and_others_have_none():
    world = entry()
    found = judge_of_source(world, world.concepts["ghost"])
    assert found is not None and found.scores(["ghost"])[0] > found.scores(["joke"])[0]
    for source in ("", '"funny" in FILE', "words = zebra", "colour = red"):
        changed = dataclasses.replace(concept(world.space, "ghost"), source=source)
        assert judge_of_source(world, changed) is None
