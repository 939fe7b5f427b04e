"""Answers between two items: measures worked out by hand, and a world whose reader truly reads."""

import numpy as np
import pytest

from point_worlds import HELD_OUT, MASKS, TEXTS, Deaf, entry, models
from vecspeak.errors import UserError
from vecspeak.protocols.interpolation import (
    POINT,
    READER,
    SYSTEMS,
    InterpolationConfig,
    InterpolationPoints,
    interpolations,
    others_of,
    pairs_of,
    scored,
    system_scores,
)
from vecspeak.protocols.text_judges import train_judges

SHARES = (0.25, 0.75)


@pytest.fixture
def ways():
    """Two pairs along the axes; only of the first does each end have an attribute that the other lacks."""
    ends = np.array([[[1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 0, 1]]], dtype=float)
    points = np.array([[[0.8, 0.6, 0], [0.6, 0.8, 0]], [[0.8, 0, 0.6], [0.6, 0, 0.8]]], dtype=float)
    only = np.array([[[True, False], [False, True]], [[True, False], [False, False]]])
    return InterpolationPoints(shares=SHARES, points=points, ends=ends, only=only)


def values(found):
    """Scores of pairs by measure, without those at single shares of the way."""
    return {key: series.values.tolist() for key, series in found.items() if " at " not in key}


def test_the_points_themselves_are_whole_and_follow_t(ways):
    found = values(scored(ways, ways.points))
    assert found["sc"] == pytest.approx([1, 1]) and found["lesser"] == pytest.approx([0.6, 0.6])
    assert found["follows"] == pytest.approx([0.8, 0.8]), "from -0.2 to 0.2 over half of the way"
    assert found["alike"] == pytest.approx([0.96, 0.96])
    assert "both" not in found and "repeated" not in found


def test_answers_are_scored_by_hand(ways):
    """The first pair is answered by its first end twice; the second by its second end, then by something else."""
    vectors = np.array([[[1, 0, 0], [1, 0, 0]], [[0, 0, 1], [0, 1, 0]]], dtype=float)
    shows = np.array([[[True, True], [True, False]], [[True, True], [True, True]]])
    texts = [["a ghost in a house", "a ghost in a house"], ["a train", "nothing else at all"]]
    found = scored(ways, vectors, shows, texts)
    assert values(found) == {
        "sc": pytest.approx([0.7, 0.3]),
        "lesser": pytest.approx([0, 0]),
        "follows": pytest.approx([0, -2]),
        "alike": pytest.approx([1, 0]),
        "both": pytest.approx([0.5, 0]),
        "repeated": pytest.approx([1, 0]),
    }
    assert found["both"].weights.tolist() == [1, 0], "a pair whose ends differ in nothing does not count"


def test_the_reader_is_held_against_each_system_pair_by_pair(ways):
    reader, other = scored(ways, ways.points), scored(ways, np.roll(ways.points, 1, axis=0))
    found = system_scores("swapped", ("name", "what"), other, reader, SHARES)
    assert found.reader_minus["sc"].value == pytest.approx(1 - 0.5 * (0.8 * 0.8 + 0.6 * 0.6))
    assert found.by_share["0.25"]["sc"].value == pytest.approx(0.64)
    assert system_scores(READER, ("name", "what"), reader, reader, SHARES).reader_minus == {}


# --- pairs ---


def test_pairs_are_different_of_held_out_items_and_near_ones_are_nearer():
    world = entry()
    rows = np.flatnonzero(HELD_OUT).tolist()
    found = {kind: pairs_of(world, kind, rows, 25) for kind in ("random", "near")}
    for pairs in found.values():
        assert len({frozenset(pair) for pair in pairs}) == len(pairs) == 25
        assert all(a != b and {a, b} <= set(rows) for a, b in pairs)
    vectors = world.space.vectors
    cosine = {kind: np.mean([vectors[a] @ vectors[b] for a, b in pairs]) for kind, pairs in found.items()}
    assert cosine["near"] > cosine["random"] + 0.1


def test_a_swap_shares_no_item_with_the_pair():
    pairs = [(1, 2), (2, 3), (4, 5), (1, 3), (6, 7)]
    assert all(not set(pairs[place]) & set(pairs[other]) for place, other in enumerate(others_of(pairs)))


# --- a reader that truly reads ---


@pytest.fixture(scope="module")
def judges():
    return train_judges(TEXTS, MASKS, HELD_OUT)


SETTINGS = InterpolationConfig(pairs=20)


@pytest.fixture(scope="module")
def found(judges):
    return interpolations(models(), entry(), judges, MASKS, SETTINGS)


def test_every_system_is_measured_on_both_kinds_of_pairs(found):
    assert [one.kind for one in found] == ["random", "near"]
    for one in found:
        assert [system.key for system in one.systems] == list(SYSTEMS) and one.pairs == 20
        assert one.systems[-1].key == POINT and one.systems[-1].estimates["sc"].value == pytest.approx(1)
    assert found[1].similarity > found[0].similarity


def test_a_reader_that_reads_beats_another_pairs_point_and_follows_t(found):
    systems = {system.key: system for system in found[0].systems}
    reader = systems[READER].estimates
    assert reader["sc"].value > 0.9 and reader["follows"].low > 0.3 and reader["both"].low > 0.2
    minus = systems["swapped"].reader_minus
    assert minus["sc"].low > 0 and minus["lesser"].low > 0 and minus["both"].value > 0.2
    assert abs(systems["swapped"].estimates["follows"].value) < reader["follows"].value / 2
    assert systems["lm_labels"].reader_minus["sc"].low > 0


def test_a_reader_that_is_deaf_repeats_itself_and_follows_nothing(judges):
    one, _ = interpolations(models(Deaf()), entry(), judges, MASKS, SETTINGS)
    reader = one.systems[0].estimates
    assert reader["repeated"].value == 1 and reader["alike"].value == pytest.approx(1)
    swapped = {system.key: system for system in one.systems}["swapped"]
    assert swapped.reader_minus["sc"].value == pytest.approx(0, abs=1e-6)


def test_shares_that_are_none_are_refused():
    with pytest.raises(UserError, match="shares of the way"):
        InterpolationConfig(shares=(0.5,))
