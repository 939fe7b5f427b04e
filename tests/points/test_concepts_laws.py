"""Concepts: laws of the fits, and that nothing to find is not found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecspeak.points import fit_concept
from vecspeak.points.calibration import FOLDED, chance, score, stability
from vecspeak.points.estimators import EXAMPLE_METHODS, Comparisons, ConceptExamples, Standardizer
from vecspeak.spaces import Space

METHODS = st.sampled_from(EXAMPLE_METHODS)
SEEDS = st.integers(0, 10_000)
few = settings(max_examples=12, deadline=None)


def direction(vectors, has, method):
    frame = Standardizer.from_vectors(vectors, np.arange(len(vectors)), method)
    return frame.direction(
        ConceptExamples(features=frame.features(vectors), has=has, method=method).weights()
    )


def drawn(seed, count=60, dim=6):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, dim)) * rng.uniform(0.5, 3.0, dim)
    return vectors, vectors @ rng.normal(size=dim) + rng.normal(size=count) > 0.3


def compared(seed, count=40, dim=6, pairs=200):
    """Items and pairs that a planted direction, and some noise, put in order."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, dim)).astype(np.float32)
    first, second = rng.integers(count, size=(2, pairs))
    kept = first != second
    first, second = first[kept], second[kept]
    planted = np.eye(dim)[0]
    is_more = (features[first] - features[second]) @ planted + 0.3 * rng.normal(size=first.size) > 0
    return Comparisons(
        features=features,
        more=np.where(is_more, first, second),
        less=np.where(is_more, second, first),
        counts=np.ones(first.size),
    )


@few
@given(SEEDS, METHODS)
def test_swapping_the_sides_turns_the_direction_round(seed, method):
    vectors, has = drawn(seed)
    assert np.allclose(direction(vectors, has, method), -direction(vectors, ~has, method), atol=2e-2)


@few
@given(SEEDS, METHODS, st.floats(-20, 20))
def test_shifting_all_vectors_changes_nothing(seed, method, shift):
    vectors, has = drawn(seed)
    moved = vectors + shift * np.arange(vectors.shape[1])
    assert np.allclose(direction(vectors, has, method), direction(moved, has, method), atol=2e-2)


@few
@given(SEEDS, METHODS, st.floats(0.01, 100))
def test_a_larger_unit_of_all_vectors_changes_nothing(seed, method, factor):
    vectors, has = drawn(seed)
    assert np.allclose(direction(vectors, has, method), direction(factor * vectors, has, method), atol=2e-2)


@few
@given(SEEDS)
def test_turning_every_pair_round_turns_the_direction_round(seed):
    pairs = compared(seed)
    turned = Comparisons(features=pairs.features, more=pairs.less, less=pairs.more, counts=pairs.counts)
    assert np.allclose(pairs.weights(), -turned.weights(), atol=1e-3)


@few
@given(SEEDS)
def test_shifting_all_items_changes_no_pair(seed):
    pairs = compared(seed)
    moved = Comparisons(features=pairs.features + 2, more=pairs.more, less=pairs.less, counts=pairs.counts)
    assert np.allclose(pairs.weights(), moved.weights(), atol=1e-3)


@pytest.mark.parametrize("method", EXAMPLE_METHODS)
def test_a_planted_direction_is_found_by_every_method(method):
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(300, 10)).astype(np.float32)
    names = tuple(map(str, range(300)))
    space = Space(name="s", ids=names, labels=names, vectors=vectors)
    concept = fit_concept(space, "planted", vectors[:, 4] > 0.5, method=method)
    assert concept.direction[4] > 0.9 and concept.method == method
    assert concept.beats_chance and concept.is_trusted and concept.caution == ""
    assert concept.stability.mean > 0.9 >= concept.stability.low - 0.1
    assert abs(concept.chance.mean - 0.5) < 0.1 < concept.score.value - concept.chance.high


def test_a_planted_order_is_found_from_pairs():
    pairs = compared(0)
    weights = pairs.weights()
    assert weights[0] / np.linalg.norm(weights) > 0.8
    assert score(pairs.outcomes(0), 0).low > chance(pairs, 0).high


def test_shuffled_labels_beat_chance_at_most_now_and_then():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 10)).astype(np.float32)
    found = []
    for seed in range(12):
        examples = ConceptExamples(features=features, has=rng.permutation(np.arange(80) < 25), method="mean")
        found.append(score(examples.outcomes(seed), seed, stretch=FOLDED).low > chance(examples, seed).high)
    assert sum(found) <= 1


def test_shuffled_items_do_not_beat_chance():
    rng = np.random.default_rng(0)
    for seed in range(2):
        pairs = compared(seed, count=25, pairs=80).shuffled(rng)
        beside = chance(pairs, seed)
        assert score(pairs.outcomes(seed), seed).low <= beside.high
        assert abs(beside.mean - 0.5) < 0.1


def test_few_items_of_many_dimensions_give_the_direction_that_all_dimensions_give():
    rng = np.random.default_rng(0)
    vectors, has = rng.normal(size=(200, 50)), np.arange(30) < 12
    used = np.arange(30)
    short = Standardizer.from_vectors(vectors, used, "logistic")
    whole = Standardizer(center=short.center, scales=short.scales, basis=None)
    assert short.features(vectors[used]).shape == (30, 30)
    found = [
        frame.direction(ConceptExamples(features=frame.features(vectors[used]), has=has).weights())
        for frame in (short, whole)
    ]
    assert found[0] @ found[1] > 0.9999


def test_a_pair_is_tested_only_where_neither_item_was_fitted_on(monkeypatch):
    pairs = compared(1)
    fitted = []
    real = Comparisons._ranked
    monkeypatch.setattr(
        Comparisons, "_ranked", lambda self, counts: fitted.append(counts) or real(self, counts)
    )
    pairs.outcomes(0)
    for counts in fitted:
        seen = set(pairs.more[counts > 0]) | set(pairs.less[counts > 0])
        unseen = set(range(40)) - seen
        assert len(unseen) >= 40 // 5
        crossing = [(m in seen) != (n in seen) for m, n in zip(pairs.more, pairs.less, strict=True)]
        assert not (counts > 0)[crossing].any()


def test_what_a_few_items_fix_is_less_stable_than_what_many_do():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 20))
    has = vectors[:, 0] + rng.normal(size=400) > 0
    found = []
    for count in (20, 400):
        frame = Standardizer.from_vectors(vectors, np.arange(count), "logistic")
        examples = ConceptExamples(features=frame.features(vectors[:count]), has=has[:count])
        found.append(stability(examples, frame, frame.direction(examples.weights()), 0))
    assert found[0].mean < found[1].mean and found[0].low <= found[0].mean
