"""Checks of the rater: what is planted, and when a rater is called untrusted."""

import dataclasses

import pytest

from local_rater import evaluated_set, texts_in
from vecspeak.raters.agreement import Rating
from vecspeak.raters.planted import BROKEN, RIGHT, WRONG, check_rater, opening, plant


def planted(count=12, **more):
    entities = evaluated_set(count).entities
    return entities, plant(entities, entities, like="reader", seed=0, **more)


def asked(items):
    return [(item, question) for item in items for question in item.questions]


def ratings(items, **said):
    """The values by question and kind: `fits_right=5`; of a pair whether the right text wins."""
    found = []
    for item, question in asked(items):
        if question.is_pair:
            right, wrong = ("A", "B") if item.systems[0] == RIGHT else ("B", "A")
            value = question.value_of({"right": right, "wrong": wrong, "tie": "tie"}.get(said["pair"]))
        else:
            value = said[f"{question.key}_{item.systems[0]}"]
        found.append(Rating(item=item, question=question, value=value))
    return found


GOOD = {"fits_right": 5, "fits_wrong": 1, "fluent_right": 5, "fluent_broken": 1, "pair": "right"}


def test_planted_texts_are_what_they_are_called():
    entities, items = planted()
    truths = {entity.id: entity.truth for entity in entities}
    seen = set()
    for item, question in asked(items):
        shown, own = texts_in(item.prompt(question)), truths[item.entity.id]
        text = shown.get("TEXT A") or shown["DESCRIPTION"]
        seen.add((question.key, item.systems[0]))
        assert item.planted
        assert shown.get("TRUE TEXT", own) == own
        if item.systems[0] == RIGHT:
            assert own.startswith(text)
        elif item.systems[0] == WRONG:
            assert not own.startswith(text)
            assert any(truth.startswith(text) for truth in truths.values())
        else:
            assert sorted(text.split()) == sorted(opening(own, len(text.split())).split())
            assert not own.startswith(text)
    assert seen == {
        ("fits", RIGHT),
        ("fits", WRONG),
        ("fluent", RIGHT),
        ("fluent", BROKEN),
        ("better", RIGHT),
        ("better", WRONG),
    }


def test_planted_texts_are_about_as_long_as_the_answers():
    long = evaluated_set(12).entities
    short = [
        dataclasses.replace(e, answers={"reader": "one two three four five six seven eight nine"})
        for e in long
    ]
    for entities in (long, short):
        for item, question in asked(plant(entities, entities, like="reader", seed=0)):
            text = texts_in(item.prompt(question)).get("DESCRIPTION", "")
            answer = item.entity.answers["reader"]
            assert len(text.split()) <= len(answer.split())


def test_at_most_forty_entities_are_planted_and_no_text_is_wrong_for_itself():
    _, items = planted(60)
    assert len({item.entity.id for item in items}) == 40
    entities = evaluated_set(12).entities
    alike = [dataclasses.replace(entity, truth="The same text for all.") for entity in entities]
    assert plant(alike, alike, like="reader", seed=0) == []


def test_an_opening_ends_with_a_sentence_where_one_is_near():
    text = "One two three four five. Six seven eight nine ten eleven."
    assert opening(text, 6) == "One two three four five."
    assert opening(text, 9) == "One two three four five. Six seven eight nine"
    assert opening(text, 99) == text


def test_a_rater_that_tells_them_apart_is_trusted():
    found = check_rater(ratings(planted()[1], **GOOD), unanswered=0, seed=0)
    assert found["trusted"] is True
    assert found["reasons"] == []
    assert "do not use" not in found["verdict"]
    assert found["planted"] == 12
    assert found["right_minus_wrong"]["value"] == 4
    assert found["right"]["fits"] == {"value": 5, "low": 5, "high": 5, "count": 12}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"fits_wrong": 5}, "cannot tell a right answer from a wrong one (5.0 against 5.0 of 5)"),
        ({"fits_right": 1, "fits_wrong": 5}, "cannot tell a right answer from a wrong one"),
        ({"fluent_broken": 5}, "cannot tell fluent English from shuffled words"),
        ({"pair": "tie"}, "prefers the true text to another entity's in 0% of planted pairs only"),
        ({"pair": "wrong"}, "prefers the true text to another entity's in 0% of planted pairs only"),
        ({"fits_right": None}, "could be checked on 0 planted entities only"),
        ({"pair": ""}, "could be checked on 0 planted entities only"),
    ],
)
def test_each_failing_check_says_so(said, reason):
    found = check_rater(ratings(planted()[1], **GOOD | said), unanswered=0, seed=0)
    assert found["trusted"] is False
    assert len(found["reasons"]) == 1
    assert reason in found["reasons"][0]
    assert found["verdict"].endswith(": do not use its ratings.")


def test_a_difference_below_one_point_is_not_enough():
    items = planted()[1]
    given = ratings(items, **GOOD | {"fits_right": 3, "fits_wrong": 3})
    rights = [
        i
        for i, rating in enumerate(given)
        if rating.item.systems[0] == RIGHT and rating.question.key == "fits"
    ]
    for i in rights[:-1]:
        given[i] = dataclasses.replace(given[i], value=4)
    found = check_rater(given, unanswered=0, seed=0)
    assert found["right_minus_wrong"]["value"] == pytest.approx(11 / 12)
    assert found["right_minus_wrong"]["low"] > 0
    assert found["trusted"] is False


def test_four_won_pairs_of_five_are_enough_and_fewer_are_not():
    items = planted(20)[1]
    won = ratings(items, **GOOD)
    lost = {f"t{i}": i < 4 for i in range(20)}  # 16 of 20 are won
    for share, trusted in ((lost, True), ({**lost, "t4": True}, False)):
        given = [
            dataclasses.replace(r, value="tie") if r.question.is_pair and share[r.item.entity.id] else r
            for r in won
        ]
        assert check_rater(given, unanswered=0, seed=0)["trusted"] is trusted


def test_few_planted_items_and_many_unanswered_questions_are_reasons():
    few = check_rater(ratings(planted(9)[1], **GOOD), unanswered=0, seed=0)
    assert few["reasons"] == ["The rater could be checked on 9 planted entities only; it takes 10"]
    silent = check_rater(ratings(planted()[1], **GOOD), unanswered=0.25, seed=0)
    assert silent["reasons"] == ["The rater gave no usable reply to 25% of the questions"]
    assert check_rater(ratings(planted()[1], **GOOD), unanswered=0.1, seed=0)["trusted"] is True
    nothing = check_rater([], unanswered=0, seed=0)
    assert nothing["trusted"] is False
    assert nothing["planted"] == 0
