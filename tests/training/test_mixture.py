"""Mixture: shares are of tokens, hold at any time, and what there is too little of is told."""

import numpy as np
import pytest

from vecspeak.training.dataset import interleave, levelled, mix


def examples(**tokens):
    """Targets of tasks by their numbers of tokens, task by task, and their tasks' names."""
    names = [name for name, (count, _) in tokens.items() for _ in range(count)]
    sizes = np.array([size for count, size in tokens.values() for _ in range(count)])
    return sizes, names


def shares(mixed, corpus, sizes, names, first=None):
    """Tokens of the corpus and of each task, as parts of all, in the first rows of a run."""
    found = {}
    for number in mixed.order[:first].tolist():
        name = "corpus" if number < len(corpus) else names[number - len(corpus)]
        size = corpus[number] if number < len(corpus) else sizes[number - len(corpus)]
        found[name] = found.get(name, 0) + int(size)
    return {name: count / sum(found.values()) for name, count in found.items()}


@pytest.mark.parametrize("first", [400, 2000, None])
def test_a_task_gets_its_share_of_the_tokens_at_any_time_however_long_its_answers_are(first):
    corpus = np.random.default_rng(0).integers(20, 90, 3000)
    sizes, names = examples(short=(9000, 20), long=(1200, 150), pair=(900, 70))
    mixed = mix(corpus, sizes, names, share=0.6, weights={"pair": 0.5})
    found = shares(mixed, corpus, sizes, names, first)
    wanted = {"corpus": 0.4, "short": 0.24, "long": 0.24, "pair": 0.12}
    assert found == pytest.approx(wanted, abs=0.02)
    assert mixed.short == {}


def test_a_task_without_weight_never_comes_and_a_share_of_one_leaves_the_corpus_out():
    corpus = np.full(50, 30)
    sizes, names = examples(one=(40, 25), other=(40, 25))
    mixed = mix(corpus, sizes, names, share=1.0, weights={"other": 0})
    assert set(mixed.order) == set(range(50, 90))


def test_no_example_comes_twice_and_each_kind_keeps_its_order():
    corpus = np.full(400, 30)
    sizes, names = examples(one=(100, 25), other=(70, 40))
    order = mix(corpus, sizes, names, share=0.5, weights={}).order
    assert len(set(order)) == len(order)
    assert (np.diff(order[order < 400]) == 1).all()
    assert (np.diff(order[(order >= 400) & (order < 500)]) == 1).all()


def test_a_task_with_too_few_targets_gives_all_it_has_and_the_others_its_share():
    corpus = np.full(4000, 50)
    sizes, names = examples(rare=(10, 50), one=(1000, 50), other=(1000, 50))
    mixed = mix(corpus, sizes, names, share=0.6, weights={}, max_tokens=100_000)
    found = shares(mixed, corpus, sizes, names)
    assert found == pytest.approx({"corpus": 0.4, "rare": 0.005, "one": 0.2975, "other": 0.2975}, abs=0.01)
    assert mixed.short == {"rare": pytest.approx(0.025, abs=0.002)}
    at = [place for place, number in enumerate(mixed.order) if 4000 <= number < 4010]
    assert at[0] < 200 and at[-1] > 1800  # spread over the run, not used up at its beginning


def test_a_run_ends_with_the_tokens_allowed_to_a_row():
    corpus = np.full(1000, 30)
    sizes, names = examples(one=(1000, 45))
    mixed = mix(corpus, sizes, names, share=0.6, weights={}, max_tokens=5000)
    total = sum(30 if number < 1000 else 45 for number in mixed.order)
    assert 5000 <= total < 5045


def test_what_is_given_fits_the_limits_and_adds_up():
    given = levelled(np.array([1.0, 1.0, 2.0, 0.0]), np.array([5.0, 100.0, 100.0, 100.0]), 65.0)
    assert given.tolist() == [5.0, 20.0, 40.0, 0.0]
    assert levelled(np.ones(2), np.array([3.0, 4.0]), 100.0).tolist() == [3.0, 4.0]


def test_streams_run_at_their_rates_until_the_time_is_up():
    order = interleave([np.ones(9), np.ones(9)], [1.0, 2.0], until=3)
    assert [tuple(row) for row in order.tolist()].count((1, 0)) == 1
    assert np.bincount(order[:, 0]).tolist() == [3, 6]
