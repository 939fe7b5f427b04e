"""Choosing tokens in NumPy: the same rule as in torch, a stream of its own for each row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecspeak.engines import Sampling
from vecspeak.engines.base import TOP_K
from vecspeak.engines.drawing import likeliest
from vecspeak.engines.openvino import Sampler


@given(st.integers(1, 700), st.integers(1, 60), st.integers(0, 99))
def test_the_likeliest_are_those_of_a_full_sort(size, count, seed):
    logits = np.random.default_rng(seed).normal(size=(3, size)).astype(np.float32)
    values, ids = likeliest(logits, count)
    assert np.array_equal(values, -np.sort(-logits, axis=1)[:, :count])
    assert np.array_equal(np.take_along_axis(logits, ids, axis=1), values)


def test_of_tokens_that_are_as_likely_the_first_are_taken():
    logits = np.random.default_rng(0).integers(0, 9, size=(4, 60)).astype(np.float32)
    for count in (1, 7, 50, 99):
        _, ids = likeliest(logits, count)
        assert np.array_equal(ids, np.argsort(-logits, axis=1, kind="stable")[:, :count])


def test_greedy_takes_the_likeliest():
    logits = np.random.default_rng(0).normal(size=(4, 100))
    assert Sampler(Sampling())(logits, [0, 1, 2, 3]).tolist() == logits.argmax(1).tolist()


def test_a_drawn_token_is_among_those_that_make_up_the_nucleus():
    logits = np.tile(np.float32([3.0, 2.0, -1.0, -9.0]), (4000, 1))
    drawn = Sampler(Sampling(temperature=1.0))(logits, list(range(4000)))
    share = 1 / (1 + np.exp(-1.0))  # the first two make up 98%, so that the third is cut off
    assert set(drawn.tolist()) == {0, 1}
    assert (drawn == 0).mean() == pytest.approx(share, abs=0.03)


def test_a_drawn_token_is_among_the_likeliest_fifty():
    logits = np.tile(np.linspace(0, 0.01, 200, dtype=np.float32), (3000, 1))
    drawn = Sampler(Sampling(temperature=5.0))(logits, list(range(3000)))
    assert set(drawn.tolist()) <= set(range(200 - TOP_K, 200))
    assert len(set(drawn.tolist())) > 40


def test_what_a_row_draws_does_not_depend_on_its_neighbours():
    logits = np.random.default_rng(1).normal(size=(6, 300)).astype(np.float32)
    sampling = Sampling(temperature=2.0, seed=3)
    together, alone = Sampler(sampling), Sampler(sampling)
    first, second = together(logits, [0, 1, 2, 3, 4, 5]), together(logits[::-1], [5, 4, 3, 2, 1, 0])[::-1]
    assert [alone(logits[4:5], [4])[0] for _ in range(2)] == [first[4], second[4]]
    assert first.tolist() != second.tolist()
    assert Sampler(Sampling(temperature=2.0, seed=4))(logits, [0, 1, 2, 3, 4, 5]).tolist() != first.tolist()
