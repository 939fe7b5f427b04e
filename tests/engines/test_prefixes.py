"""Beginnings are shared where that saves most."""

from itertools import product

import numpy as np
import pytest

from vecspeak.engines.prepared import shared_prefix_lengths


def read(rows, lengths):
    """Tokens that are read when each beginning is read once."""
    begun = {tuple(row[:length]) for row, length in zip(rows, lengths, strict=True)}
    return sum(map(len, begun)) + sum(len(row) - length for row, length in zip(rows, lengths, strict=True))


def test_questions_after_the_same_text_are_one_group_also_where_some_go_on_alike():
    endings = (
        "Describe X.",
        "Write a positive review of X.",
        "Write a negative review of X.",
        "Who likes X?",
    )
    texts = [f"This is known: {number} {'a long story ' * 20}\n\n" for number in range(3)]
    rows = [text + ending for ending in endings for text in texts]
    assert shared_prefix_lengths(rows, shortest=32) == [len(text) for _ in endings for text in texts]


def test_a_long_beginning_of_two_leaves_the_group_of_many():
    rows = ["opening" + letter for letter in "abcd"] + [
        "opening" + "a long one" * 50 + letter for letter in "ef"
    ]
    assert shared_prefix_lengths(rows, shortest=4) == [7] * 4 + [507] * 2


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([], []),
        (["alone"], [0]),
        (["", ""], [0, 0]),
        (["abcd", "abce"], [0, 0]),
        (["abcdef", "abcdeg"], [5, 5]),
        (["abcde"] * 3, [5] * 3),
        (["abcde", "abcdefgh", "xyzuvw"], [5, 5, 0]),
        ([(1, 2, 3, 4, 5, 6), (9,), (1, 2, 3, 4, 5, 7)], [5, 0, 5]),
    ],
)
def test_only_what_several_begin_with_and_is_long_enough_is_shared(rows, wanted):
    assert shared_prefix_lengths(rows, shortest=5) == wanted


def test_rows_that_go_on_from_each_other_without_end_are_grouped_too():
    rows = ["a" * length for length in range(1, 3000)]
    lengths = shared_prefix_lengths(rows, shortest=32)
    assert read(rows, lengths) < 0.5 * sum(map(len, rows))


@pytest.mark.parametrize("seed", range(30))
def test_no_way_of_grouping_small_rows_saves_much_more(seed):
    """Against all ways; the order of the rows changes nothing."""
    rng = np.random.default_rng(seed)
    rows = [tuple(rng.integers(0, 2, size=rng.integers(1, 5)).tolist()) for _ in range(6)]
    lengths = shared_prefix_lengths(rows, shortest=1)
    best = min(read(rows, ways) for ways in product(*(range(len(row) + 1) for row in rows)))
    assert best <= read(rows, lengths) <= 1.15 * best
    assert shared_prefix_lengths(rows[::-1], shortest=1) == lengths[::-1]
