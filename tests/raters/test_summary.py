"""Summary: cases worked by hand, and the laws of pairs."""

import pytest

from vecspeak.evaluation.report import Entity
from vecspeak.raters.agreement import Rating, by_entity, difference_of, mean_of, outcomes, pair_of
from vecspeak.raters.items import BETTER, FITS, Item
from vecspeak.raters.llm import rating_rows


def rating(entity, question, systems, value, **more):
    about = Entity(id=entity, label="", truth="", nearest=(), answers={}, values={}, weights={})
    item = Item(entity=about, questions=(question,), systems=systems, texts=("",) * len(systems), **more)
    return Rating(item=item, question=question, value=value)


def scale(entity, of, value, planted=False):
    return rating(entity, FITS, (of,), value, planted=planted)


def pair(entity, of, against, value):
    return rating(entity, BETTER, (of, against), BETTER.value_of(value))


def test_ratings_by_entity_leave_out_what_was_not_answered():
    ratings = [scale("a", "x", 4), scale("b", "x", None), scale("a", "y", 1)]
    assert by_entity(ratings, "x", FITS) == {"a": 4.0}


def test_the_text_that_wins_is_the_same_in_both_orders():
    ratings = [pair("a", "x", "y", "A"), pair("a", "y", "x", "B"), pair("a", "x", "z", "B")]
    assert outcomes(ratings, "x", "y") == {"a": ["win", "win"]}
    assert outcomes(ratings, "y", "x") == {"a": ["loss", "loss"]}
    assert outcomes(ratings, "x", "z") == {"a": ["loss"]}


def test_shares_of_a_pair_worked_by_hand():
    found = pair_of({"a": ["win", "win"], "b": ["win", "loss"], "c": ["tie", "tie"], "d": ["loss"]}, seed=0)
    shares = [found[key]["value"] for key in ("win", "tie", "loss")]
    assert shares == pytest.approx([1.5 / 4, 1 / 4, 1.5 / 4])
    assert found["flips"] == pytest.approx(1 / 3)  # b alone, of the three judged in both orders
    assert found["count"] == 4


def test_a_rater_that_always_takes_the_first_is_even_and_flips_always():
    ratings = [pair(f"e{i}", *sides, "A") for i in range(5) for sides in (("x", "y"), ("y", "x"))]
    found = pair_of(outcomes(ratings, "x", "y"), seed=0)
    assert (found["win"]["value"], found["loss"]["value"], found["flips"]) == (0.5, 0.5, 1.0)


def test_of_nothing_there_is_no_estimate():
    assert mean_of({}, seed=0) is None
    assert pair_of({}, seed=0) is None
    assert difference_of({"a": 1.0}, {"b": 2.0}, seed=0) is None
    assert pair_of({"a": ["win"]}, seed=0)["flips"] is None


def test_a_mean_lies_in_its_interval():
    found = mean_of({f"e{i}": float(1 + i % 5) for i in range(50)}, seed=0)
    assert found["value"] == 3.0
    assert 2.4 < found["low"] < 3.0 < found["high"] < 3.6
    assert found["count"] == 50


def test_a_difference_is_paired_by_entity():
    first = {f"e{i}": float(1 + i % 5) for i in range(50)}
    second = {entity: value - 1 for entity, value in first.items()}
    found = difference_of({**first, "alone": 9.0}, second, seed=0)
    assert found == {
        "value": pytest.approx(1),
        "low": pytest.approx(1),
        "high": pytest.approx(1),
        "count": 50,
    }


def test_rows_are_plain_and_planted_ones_are_kept_apart():
    ratings = [
        scale("a", "x", 4),
        scale("a", "right", 5, planted=True),
        scale("b", "x", None),
        pair("a", "y", "x", "B"),
    ]
    assert rating_rows(ratings, planted=False) == [
        {"entity": "a", "system": "x", "question": "fits", "value": 4},
        {"entity": "a", "system": "y", "question": "better", "value": "loss", "against": "x"},
    ]
    assert rating_rows(ratings, planted=True) == [
        {"entity": "a", "system": "right", "question": "fits", "value": 5}
    ]
