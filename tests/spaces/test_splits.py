"""Splits: what is held out is whole, is drawn the same every time, and lets no name through."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from vecspeak.errors import UserError
from vecspeak.spaces import Space, clusters
from vecspeak.spaces.splits import (
    check_splits,
    choose_splits,
    hold_out_cold,
    hold_out_regions,
    hold_out_share,
    union,
)
from vecspeak.tasks.corpus import split_of

NUM_BALLS, BALL = 25, 12


@pytest.fixture
def balls():
    """300 items: item i lies in ball i % 25; the balls' directions are axes, far from each other."""
    rng = np.random.default_rng(0)
    rows = np.arange(NUM_BALLS * BALL)
    vectors = np.eye(NUM_BALLS)[rows % NUM_BALLS] + 0.05 * rng.normal(size=(len(rows), NUM_BALLS))
    return Space(
        name="balls",
        ids=tuple(f"b{row}" for row in rows),
        labels=tuple(f"Ball {row}" for row in rows),
        vectors=vectors.astype(np.float32) * (1 + rows[:, None] % 7),
        metadata=pa.table({"num_ratings": rows % 40}),
    )


def ball_of(item):
    return int(item[1:]) % NUM_BALLS


def with_columns(space, **columns):
    return dataclasses.replace(space, metadata=pa.table(columns))


def test_a_share_is_drawn_by_the_hash_that_splits_a_corpus(balls):
    expected = {i for i, name in zip(balls.ids, balls.labels, strict=True) if is_out(name.casefold())}
    assert hold_out_share(balls, share=0.3, seed=4) == expected
    assert 0.2 < len(expected) / 300 < 0.4


def is_out(key):
    return split_of(key, 4, 0.3) == "held_out"


def test_which_other_items_there_are_does_not_change_the_share(balls):
    part = balls.take(range(0, 300, 3))
    assert hold_out_share(part, share=0.3, seed=0) == hold_out_share(balls, share=0.3, seed=0) & set(part.ids)


def test_a_split_column_decides_the_share(balls):
    marked = with_columns(balls, split=["held_out" if row == 7 else "train" for row in range(300)])
    assert hold_out_share(marked, share=0.5, seed=0) == {"b7"}


@pytest.mark.parametrize("regions", [1, 2, 5])
def test_regions_are_whole_clusters(balls, regions):
    found = hold_out_regions(balls, regions=regions, of=NUM_BALLS, seed=0)
    assert len(found) == regions * BALL
    assert len({ball_of(item) for item in found}) == regions


def test_length_does_not_make_a_region(balls):
    longer = dataclasses.replace(balls, vectors=balls.vectors * np.linspace(1, 900, 300)[:, None])
    wanted = hold_out_regions(balls, regions=3, of=NUM_BALLS, seed=0)
    assert hold_out_regions(longer, regions=3, of=NUM_BALLS, seed=0) == wanted


def test_regions_are_drawn_by_the_seed_and_more_of_them_keep_the_first(balls):
    drawn = {seed: hold_out_regions(balls, regions=1, seed=seed) for seed in range(5)}
    assert drawn[0] == hold_out_regions(balls, regions=1, seed=0)
    assert len(set(drawn.values())) > 1
    assert drawn[0] < hold_out_regions(balls, regions=3, seed=0)


def test_regions_of_a_large_space_are_found_on_a_sample_and_are_whole_all_the_same(balls, monkeypatch):
    monkeypatch.setattr(clusters, "_SAMPLE", 200)
    monkeypatch.setattr(clusters, "_BLOCK", 64)
    found = hold_out_regions(balls, regions=3, of=NUM_BALLS, seed=0)
    assert len(found) == 3 * BALL and len({ball_of(item) for item in found}) == 3


def test_tiny_and_huge_clusters_are_not_drawn():
    sizes = [4, 60, 10, 10, 10]
    rows = np.repeat(np.arange(5), sizes)
    vectors = np.eye(5, dtype=np.float32)[rows] + 0.01 * np.random.default_rng(0).random((94, 5))
    ids = tuple(f"{ball}-{row}" for row, ball in enumerate(rows))
    space = Space(name="uneven", ids=ids, labels=ids, vectors=vectors)
    for seed in range(6):
        found = hold_out_regions(space, regions=3, of=5, seed=seed)
        assert {item.partition("-")[0] for item in found} == {"2", "3", "4"} and len(found) == 30
    with pytest.raises(UserError, match="4 regions cannot be left out: of 5, 3 have at least 5 items"):
        hold_out_regions(space, regions=4, of=5, seed=0)


def test_equal_vectors_have_no_regions_to_leave_out():
    ids = tuple(map(str, range(50)))
    space = Space(name="same", ids=ids, labels=ids, vectors=np.ones((50, 3), dtype=np.float32))
    with pytest.raises(UserError, match="of 20, 0 have .*; leave `holdout_regions` out"):
        hold_out_regions(space, regions=1, seed=0)


def test_a_name_in_a_region_is_held_out_wherever_it_lies(balls):
    inside = hold_out_regions(balls, regions=1, of=NUM_BALLS, seed=0)
    stranger = next(item for item in balls.ids if item not in inside)
    labels = list(balls.labels)
    labels[balls.index_of(stranger)] = balls.labels[balls.index_of(min(inside))].upper()
    named = dataclasses.replace(balls, labels=tuple(labels))
    assert hold_out_regions(named, regions=1, of=NUM_BALLS, seed=0) == inside | {stranger}


@pytest.mark.parametrize(
    ("regions", "message"),
    [(0, "may be 1 to 19, got 0"), (-1, "got -1"), (20, "may be 1 to 19, got 20")],
)
def test_impossible_numbers_of_regions_are_refused(balls, regions, message):
    with pytest.raises(UserError, match=message):
        hold_out_regions(balls, regions=regions, seed=0)


def test_a_small_space_has_no_regions(balls):
    with pytest.raises(UserError, match="19 items cannot be cut into 20 regions"):
        hold_out_regions(balls.take(range(19)), regions=1, seed=0)


def test_half_of_the_cold_items_are_held_out(balls):
    cold = {f"b{row}" for row in range(300) if row % 40 <= 9}
    found = hold_out_cold(balls, at_most=9, seed=0)
    assert found < cold and 0.3 < len(found) / len(cold) < 0.7
    assert hold_out_cold(balls, at_most=9, share=1.0, seed=0) == cold
    assert hold_out_cold(balls, at_most=9, share=0.0, seed=0) == set()
    assert hold_out_cold(balls, at_most=9, seed=1) != found == hold_out_cold(balls, at_most=9, seed=0)


def test_an_unknown_number_and_a_name_with_more_ratings_are_not_cold(balls):
    counts = [1, 1, 1, None, 9, *[9] * 295]
    labels = ("A", "a", "B", "C", "A", *balls.labels[5:])
    space = dataclasses.replace(balls, labels=labels, metadata=pa.table({"votes": counts}))
    assert hold_out_cold(space, column="votes", at_most=3, share=1.0, seed=0) == {"b2"}


@pytest.mark.parametrize(
    ("columns", "arguments", "message"),
    [
        ({"votes": [1] * 300}, {"at_most": 3}, "has no column 'num_ratings' .* it has votes"),
        ({}, {"at_most": 3}, "has no column 'num_ratings' .* it has no columns"),
        ({"num_ratings": ["1"] * 300, "x": [1] * 300}, {"at_most": 3}, "holds string.*num_ratings, x"),
        ({"num_ratings": [5] * 300}, {"at_most": 3}, "no item .* of at most 3; the fewest are 5"),
        ({"num_ratings": pa.nulls(300, pa.int64())}, {"at_most": 3}, "of at most 3; no number is known"),
        (
            {"num_ratings": [5] * 300},
            {"at_most": -1},
            "`holdout_cold` is a whole number of 0 or more, got -1",
        ),
        ({"num_ratings": [5] * 300}, {"at_most": 9, "share": 1.5}, "may be 0 to 1, got 1.5"),
    ],
)
def test_cold_items_that_cannot_be_told_are_refused(balls, columns, arguments, message):
    with pytest.raises(UserError, match=message):
        hold_out_cold(with_columns(balls, **columns), **arguments, seed=0)


def test_only_what_is_asked_for_is_chosen(balls):
    assert set(choose_splits(balls, share=0.1, seed=0)) == {"holdout"}
    assert set(choose_splits(balls, share=0.1, seed=0, regions=1)) == {"holdout", "regions"}
    assert set(choose_splits(balls, share=0.1, seed=0, cold=0)) == {"holdout", "cold"}


def test_ids_are_held_out_as_they_are_given(balls):
    assert choose_splits(balls, share=np.array(["b3", "b5"]), seed=0) == {"holdout": {"b3", "b5"}}
    assert choose_splits(balls, share="b3", seed=0) == {"holdout": {"b3"}}
    with pytest.raises(UserError, match="names 'b300', which is no item of 'balls'"):
        choose_splits(balls, share=["b300"], seed=0)
    with pytest.raises(UserError, match="none is left to fit on"):
        choose_splits(balls, share=balls.ids, seed=0)


@pytest.mark.parametrize("seed", range(4))
def test_an_item_is_in_the_hardest_split_that_takes_it(balls, seed):
    found = choose_splits(balls, share=0.4, seed=seed, regions=3, cold=9)
    regions = hold_out_regions(balls, regions=3, seed=seed)
    cold, share = hold_out_cold(balls, at_most=9, seed=seed), hold_out_share(balls, share=0.4, seed=seed)
    assert found["regions"] == regions
    assert found["cold"] == cold - regions
    assert found["holdout"] == share - regions - cold
    assert union(found) == regions | cold | share
    check_splits(balls, found)


def test_cold_items_are_drawn_apart_from_the_plain_share(balls):
    found = choose_splits(balls, share=0.5, seed=0, cold=19)
    cold = {f"b{row}" for row in range(300) if row % 40 <= 19}
    assert found["holdout"] & cold and cold - union(found)


def test_one_name_is_on_one_side(balls):
    twins = dataclasses.replace(balls, labels=tuple(f"Twin {row // 2}" for row in range(300)))
    out = union(choose_splits(twins, share=0.3, seed=0, regions=2, cold=20))
    assert out
    assert all((f"b{row}" in out) == (f"b{row + 1}" in out) for row in range(0, 300, 2))


def test_a_share_outside_its_range_is_refused(balls):
    with pytest.raises(UserError, match="`holdout` may be 0 to 0.9, got 1.5"):
        choose_splits(balls, share=1.5, seed=0)


def test_nothing_left_to_fit_on_is_told_with_its_cause(balls):
    marked = with_columns(balls, split=["held_out"] * 300, num_ratings=[1] * 300)
    with pytest.raises(UserError, match=r"all 300 items of 'balls' are held out .*in the column 'split'"):
        choose_splits(marked, share=0.1, seed=0)
    with pytest.raises(UserError, match=r"held out \(holdout \d+, cold \d+\): .* hold out fewer"):
        choose_splits(marked, share=0.1, seed=0, cold=3)
