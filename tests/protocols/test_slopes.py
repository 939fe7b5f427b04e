"""Slopes along concepts: hand-worked numbers, intervals that cover, flags, and a world whose reader truly reads."""

import dataclasses

import numpy as np
import pytest

from point_worlds import ENCODER, HELD_OUT, MASKS, TEXTS, Deaf, Reading, concept, entry, models
from vecspeak.errors import UserError
from vecspeak.evaluation.evaluate import EvaluationConfig, score, scoring_contexts
from vecspeak.evaluation.table import concat
from vecspeak.protocols.slopes import (
    BLIND,
    FLAT,
    NOT_REVERSED,
    NOT_SPECIFIC,
    SPILLS,
    WRONG_WAY,
    Attribute,
    SideEffects,
    SlopeConfig,
    attribute_slopes,
    means,
    retention,
    side_effects,
    slope_cases,
    slope_flags,
    slope_series,
    slopes_of,
)
from vecspeak.protocols.text_judges import train_judges
from vecspeak.stats import Estimate

AMOUNTS = np.array([0.0, 6.0, 12.0])


def planted(slope, noise=0.0, *, items=40, seed=0):
    """[N, 3] scores of items that differ, on which the amounts have one effect."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(items, 1)) + slope * AMOUNTS + noise * rng.normal(size=(items, 3))


def judged(concept_slope, reverse, random, noise=0.0, search=0.2):
    """The slopes of every way, as `slopes_of` takes them."""
    return {
        "concept": slope_series(AMOUNTS, planted(concept_slope, noise, seed=1)),
        "reverse": slope_series(AMOUNTS, planted(reverse, noise, seed=2)),
        "random": [
            slope_series(AMOUNTS, planted(slope, noise, seed=3 + i)) for i, slope in enumerate(random)
        ],
        "search": slope_series(AMOUNTS, planted(search, noise, seed=9)),
    }


def test_a_slope_is_least_squares_within_each_item():
    """0, 3, 3 at 0, 6, 12: 36 / 72 * ... by hand (-6*0 + 0*3 + 6*3) / 72 = 0.25; what the item is does not count."""
    scores = np.array([[0.0, 3, 3], [100, 103, 103], [5, 5, 5]])
    np.testing.assert_allclose(slope_series(AMOUNTS, scores).values, [0.25, 0.25, 0])


def test_planted_slopes_are_recovered_exactly_and_so_are_their_differences():
    found = slopes_of("judge", **judged(0.3, -0.25, [0.01, -0.04, 0.0]))
    assert found.concept.value == pytest.approx(0.3) and found.concept.low == pytest.approx(0.3)
    assert found.reverse.value == pytest.approx(-0.25)
    assert found.random.value == pytest.approx(-0.01)
    assert found.strongest.value == pytest.approx(0.04), "the strongest way is signed so that it rises"
    assert found.over_random.value == pytest.approx(0.31)
    assert found.over_strongest.value == pytest.approx(0.26)
    assert found.over_search.value == pytest.approx(0.1)
    assert [one.value for one in found.draws] == pytest.approx([0.01, -0.04, 0.0])


def test_intervals_cover_what_was_planted():
    covered = 0
    for seed in range(400):
        one = slope_series(AMOUNTS, planted(0.1, 1.0, seed=seed)).estimate()
        covered += one.low <= 0.1 <= one.high
    assert covered >= 0.9 * 400


def test_noise_alone_is_flat():
    found = slopes_of("judge", **judged(0.0, 0.0, [0.0, 0.0], noise=1.0))
    assert found.concept.low < 0 < found.concept.high and found.random.low < 0 < found.random.high
    flags = slope_flags(found, Estimate(0.8, 0.7, 0.9), drift())
    assert flags == (FLAT, NOT_REVERSED, NOT_SPECIFIC)
    assert [line.partition(":")[0] for line in means(flags)] == [FLAT, NOT_REVERSED, NOT_SPECIFIC]


def drift(**others):
    return SideEffects(
        kept=Estimate(0.5, 0.4, 0.6),
        kept_random=Estimate(0.6, 0.5, 0.7),
        others={name: Estimate(value, value, value) for name, value in others.items()},
    )


@pytest.mark.parametrize(
    ("slopes", "auc", "others", "flags"),
    [
        ((0.3, -0.3, [0.01]), 0.7, {"joke": 0.1}, ()),
        ((-0.3, 0.3, [0.01]), 0.7, {}, (WRONG_WAY, NOT_REVERSED, NOT_SPECIFIC)),
        ((0.3, -0.3, [-0.4]), 0.7, {}, (NOT_SPECIFIC,)),
        ((0.3, -0.3, [0.01]), 0.45, {"joke": -0.5}, (BLIND, SPILLS)),
    ],
)
def test_flags_say_what_is_wrong(slopes, auc, others, flags):
    found = slopes_of("judge", **judged(*slopes, noise=0.1))
    assert slope_flags(found, Estimate(0.9, auc, 0.95), drift(**others)) == flags


def test_what_is_kept_is_the_cosine_with_the_attribute_taken_out():
    """One answer changes along the attribute alone and keeps all; the other turns to what was not in it."""
    first = np.array([[[1, 0, 0], [0.6, 0, 0.8]], [[1, 0, 0], [0, 1, 0]]], dtype=float)
    kept = retention(first, np.array([0, 0, 2.0]))
    found = side_effects(kept, [kept], {})
    assert found.kept.value == pytest.approx(0.5) and found.kept_random.value == pytest.approx(0.5)


# --- a reader that truly reads ---


@pytest.fixture(scope="module")
def judges():
    return train_judges(TEXTS, MASKS, HELD_OUT)


def attributes(world, sign=1.0):
    return [
        Attribute(concept=concept(world.space, word, sign), phrase=word, neutral="train")
        for word in ("ghost", "joke")
    ]


SETTINGS = SlopeConfig(items=20, amounts=(0, 4, 8), random=2, isotropic=1)


@pytest.fixture(scope="module")
def measured(judges):
    world = entry()
    return attribute_slopes(models(), world, attributes(world), judges, SETTINGS)


def test_a_reader_that_reads_follows_the_concept_and_its_reverse_by_both_judges(measured):
    assert [one.name for one in measured] == ["ghost", "joke"]
    for one in measured:
        for found in (one.by_classifier, one.by_encoder):
            assert found.concept.low > 0 > found.reverse.high
            assert found.over_random.low > 0
            assert found.random.value < found.concept.value / 4
        assert one.items == 20 and one.auc.value > 0.9 and one.flags == ()
        assert len(one.by_classifier.draws) == 3 and 0 <= one.outside <= 1


def test_slopes_are_means_of_the_tidy_table(judges, measured):
    """Every way of a concept is a case set, and every item a row of it."""
    world = entry()
    ways = slope_cases(world, attributes(world)[0], judges, ENCODER, SETTINGS)
    assert [way.name for way in ways[:3]] == [
        "along ghost / concept", "along ghost / reverse", "along ghost / random 1"
    ]  # fmt: skip
    table = concat(map(score, scoring_contexts(models(), ways, EvaluationConfig()))).to_pandas()
    slopes = table[(table["metric"] == "slope ghost") & (table["system"] == "reader")].groupby("task")[
        "value"
    ]
    assert set(slopes.count()) == {20}
    assert slopes.mean()["concept"] == pytest.approx(measured[0].by_classifier.concept.value)
    assert slopes.mean()["reverse"] == pytest.approx(measured[0].by_classifier.reverse.value)


def test_the_other_way_round_it_is_the_wrong_way(judges):
    world = entry()
    found = attribute_slopes(models(), world, attributes(world, -1.0), judges, SETTINGS)
    assert all(WRONG_WAY in one.flags and NOT_REVERSED in one.flags for one in found)


def test_a_reader_that_is_deaf_is_flat_and_search_is_not(judges):
    world = entry()
    (found, _) = attribute_slopes(models(Deaf()), world, attributes(world), judges, SETTINGS)
    assert found.by_classifier.concept == Estimate(0, 0, 0) and FLAT in found.flags
    assert found.by_classifier.search.low > 0 and found.by_classifier.over_search.high < 0
    assert found.drift.kept.value == pytest.approx(1)


def test_the_start_is_asked_once_and_its_own_text_is_not_what_search_shows(judges):
    asked = []

    class Asked(Reading):
        def answers(self, prompts, sampling):
            asked.extend(prompts)
            yield from super().answers(prompts, sampling)

    world = entry()
    attribute_slopes(
        models(Asked()), world, attributes(world), judges, dataclasses.replace(SETTINGS, items=5)
    )
    assert len(asked) == 5 * (1 + 2 * 5 * 2)


@pytest.mark.parametrize("changes", [{"amounts": (1, 2)}, {"amounts": (0,)}, {"random": 0, "isotropic": 0}])
def test_settings_that_cannot_be_measured_are_refused(changes):
    with pytest.raises(UserError):
        SlopeConfig(**changes)
