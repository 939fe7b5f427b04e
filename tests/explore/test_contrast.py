"""Contrast: planted over-representation is found, and nothing where membership means nothing."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

import region_worlds
from region_worlds import GROUPS, NUM
from vecspeak.errors import UserError
from vecspeak.explore.contrast import Facts, contrast


@pytest.fixture(scope="module")
def facts():
    return Facts.from_space(region_worlds.space())


def group(number):
    return np.flatnonzero(number == GROUPS)


@pytest.mark.parametrize(
    ("number", "genre", "words"),
    [(0, "Horror", {"ghost", "blood"}), (1, "Comedy", {"joke", "laugh"}), (3, "Romance", {"love", "kiss"})],
)
def test_what_was_planted_is_found_with_its_share_and_interval(facts, number, genre, words):
    found = contrast(facts, group(number))
    first = found.values[0]
    assert (first.column, first.name) == ("genres", genre)
    assert first.inside > 0.7 > 0.2 > first.outside
    assert 1 < first.lift.low < first.lift.value < first.lift.high and first.q < 1e-6
    assert {one.name for one in found.words[:2]} == words
    assert (found.num_inside, found.num_outside) == (len(group(number)), NUM - len(group(number)))


def test_a_random_set_is_not_apart_from_a_chosen_group_by_what_that_group_lacks(facts):
    plain, beyond = [], []
    for seed in range(20):
        drawn = np.random.default_rng(seed).choice(NUM, 40, replace=False)
        lacking = np.setdiff1d(group(2), drawn)
        plain.append(not contrast(facts, drawn, lacking).is_empty)
        beyond.append(not contrast(facts, drawn, lacking, beyond_all=True).is_empty)
    assert sum(plain) > 15 and sum(beyond) <= 2


def test_what_is_apart_from_a_chosen_group_and_from_all_is_found(facts):
    horror = contrast(facts, group(0), group(1), beyond_all=True)
    assert horror.values[0].name == "Horror" and horror.words
    late = contrast(facts, group(3), group(0), beyond_all=True)
    assert [one.column for one in late.numbers] == ["year"]


def test_numbers_are_compared_by_their_middles(facts):
    found = contrast(facts, group(3))
    assert [one.column for one in found.numbers] == ["year"]
    assert found.numbers[0].above > 0.95
    assert found.numbers[0].inside.low > found.numbers[0].outside.high


def test_what_all_have_a_coin_and_the_held_out_mark_tell_nothing(facts):
    found = contrast(facts, group(0))
    assert not {"coin", "split"} & {one.column for one in found.values}
    assert "Feature" not in {one.name for one in found.values}


def shuffled(seed):
    """The same items, their metadata dealt out anew."""
    space = region_worlds.space()
    order = np.random.default_rng(seed).permutation(NUM)
    return dataclasses.replace(space, metadata=space.metadata.take(pa.array(order)))


def test_shuffled_metadata_give_false_findings_no_more_often_than_the_level_says():
    found = [
        contrast(Facts.from_space(shuffled(seed)), group(number)) for seed in range(15) for number in range(4)
    ]
    false = sum(not one.is_empty for one in found)
    assert false <= 8, "5% of 60 are 3; more than 8 has a chance below one in a hundred"


def test_rare_words_of_random_sets_are_no_findings():
    """Zipf's words: most are rare, where a normal approximation sees too much."""
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdefgh"), 6)) for _ in range(400)]
    odds = 1 / np.arange(1, 401)
    texts = [" ".join(draw.choice(words, draw.integers(10, 80), p=odds / odds.sum())) for _ in range(400)]
    ids = tuple(map(str, range(400)))
    space = region_worlds.Space(
        name="zipf", ids=ids, labels=ids, vectors=np.ones((400, 2)), metadata=pa.table({"text": texts})
    )
    facts = Facts.from_space(space)
    sizes = [(number % 8 + 1) * 12 for number in range(60)]
    found = [contrast(facts, np.sort(draw.choice(400, size, replace=False))) for size in sizes]
    assert sum(bool(one.words) for one in found) <= 8


def test_two_sets_are_held_against_each_other_alone(facts):
    found = contrast(facts, group(0), group(1))
    assert found.num_outside == len(group(1))
    assert found.values[0].name == "Horror"
    assert "Comedy" in {one.name for one in contrast(facts, group(1), group(0)).values}


@pytest.mark.parametrize(("inside", "outside"), [([], None), (range(NUM), None), ([1, 2], [2, 3]), ([1], [])])
def test_sets_that_cannot_be_compared_are_refused(facts, inside, outside):
    rows = None if outside is None else np.array(list(outside), dtype=int)
    with pytest.raises(UserError, match="no item in common"):
        contrast(facts, np.array(list(inside), dtype=int), rows)


def test_columns_of_every_kind_and_empty_cells_are_read():
    ids = tuple(map(str, range(40)))
    half = [row < 20 for row in range(40)]
    metadata = pa.table(
        {
            "plain": ["a" if one else None for one in half],
            "coded": pa.array(["x" if one else "y" for one in half]).dictionary_encode(),
            "listed": pa.array([["p", "p", " "] if one else None for one in half]),
            "yes": pa.array([one or None for one in half], type=pa.bool_()),
            "rated": pa.array([5.0 + row if one else float("nan") for row, one in enumerate(half)]),
            "whole": pa.array([row if row % 2 else None for row in range(40)]),
            "made": pa.array([{"k": 1}] * 40),
        }
    )
    space = region_worlds.Space(
        name="kinds", ids=ids, labels=ids, vectors=np.ones((40, 2)), metadata=metadata
    )
    found = contrast(Facts.from_space(space), np.arange(20))
    named = {(one.column, one.name): (one.inside, one.outside) for one in found.values}
    assert named == {
        ("plain", "a"): (1, 0),
        ("coded", "x"): (1, 0),
        ("listed", "p"): (1, 0),
        ("yes", "true"): (1, 0),
    }
    assert [one.column for one in found.numbers] == ["whole"]
    assert found.words == ()


def test_a_space_without_metadata_has_nothing_to_share():
    ids = tuple(map(str, range(10)))
    bare = region_worlds.Space(name="bare", ids=ids, labels=ids, vectors=np.eye(10))
    assert contrast(Facts.from_space(bare), np.arange(4)).is_empty
