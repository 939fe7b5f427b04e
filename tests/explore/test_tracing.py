"""Tracing: amounts, ways, where they leave the data, and what strict refuses; answers by a true tiny engine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NearestEngine, WordEncoder
from vecspeak.asking import Asker, percentiles
from vecspeak.bundles import SpaceEntry
from vecspeak.errors import UserError
from vecspeak.explore.trace import random_directions, trace
from vecspeak.model.alignment import Alignment
from vecspeak.points import Concept
from vecspeak.points.point import MOST_STEPS, amounts_of, crossings, selected_amounts
from vecspeak.spaces import Space

DIM = WordEncoder.dim
ALONG = np.eye(DIM, dtype=np.float32)[3]
TEXTS = ["ghost ghost", "joke laugh", "space alien"]


class Counting(NearestEngine):
    """Remembers every prompt."""

    def __init__(self):
        super().__init__(TEXTS, WordEncoder())
        self.asked = []

    def answers(self, prompts, sampling):
        self.asked += prompts
        yield from super().answers(prompts, sampling)


class InOrder:
    """Judges the answers 1, 3, 5, ... in the order in which they come."""

    name = "in order"

    def scores(self, texts):
        return 1.0 + 2.0 * np.arange(len(texts))


@pytest.fixture
def entry():
    """400 items around one place, spread by 0.1 in every direction; the concept's step is 0.1 long."""
    rng = np.random.default_rng(0)
    space = Space(
        name="blob",
        ids=tuple(f"b{row}" for row in range(400)),
        labels=tuple(f"Blob {row}" for row in range(400)),
        vectors=(np.eye(DIM)[0] + 0.1 * rng.normal(size=(400, DIM))).astype(np.float32),
    )
    concept = Concept(
        name="third", space="blob", space_digest=space.digest, direction=ALONG, scale=0.1, method="given"
    )
    return SpaceEntry(
        space=space,
        users=None,
        alignment=Alignment(dim=DIM, encoder_dim=DIM),
        splits={},
        report={},
        concepts={"third": concept},
    )


@pytest.fixture
def engine():
    return Counting()


@pytest.fixture
def asker(entry, engine):
    return Asker(entry, lambda: engine, WordEncoder)


def never():
    raise AssertionError("nothing should be loaded for a trace that cannot be made")


# --- amounts ---


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("-3..3", (-3, -2, -1, 0, 1, 2, 3)),
        ("-12..12 by 12", (-12, 0, 12)),
        ("0..1 by 0.4", (0, 0.4, 0.8)),
        ("8, 0,4,4", (0, 4, 8)),
        ("-0", (0,)),
    ],
)
def test_amounts_are_read_as_they_are_written(text, amounts):
    assert amounts_of(text) == amounts


def test_auto_leaves_the_amounts_to_the_data():
    assert amounts_of(" Auto ") is None


@pytest.mark.parametrize(
    ("low", "high", "amounts"),
    [
        (-99, 99, (-12, -8, -4, 0, 4, 8, 12)),
        (-7, 2, (-6, -4, -2, 0, 0.6, 1.2, 1.8)),
        (-1.3, 0.3, (-1.2, -0.8, -0.4, 0, 0.4, 0.8, 1.2)),
    ],
)
def test_chosen_amounts_reach_as_far_as_each_side_stays_inside(low, high, amounts):
    assert selected_amounts(lambda a: (a < low) | (a > high), is_item=True) == amounts


def test_every_crossing_is_found_outward_and_a_start_outside_crosses_at_0():
    def is_outside(amounts):
        return (np.abs(amounts) > 1.7) & (np.abs(amounts) < 3.9) | (np.abs(amounts) > 8.05)

    for end in (12, -12):
        found = crossings(is_outside, end, is_item=True)
        assert np.abs(found) == pytest.approx([1.7, 3.9, 8.05], abs=0.1)
        assert all(np.sign(found) == np.sign(end))
    assert crossings(is_outside, 1, is_item=True) == ()
    starts = crossings(lambda amounts: amounts < 0.8, 2, is_item=False)
    assert starts[0] == 0 and starts[1:] == (pytest.approx(0.8, abs=0.1),)
    assert crossings(lambda amounts: amounts < 0.8, 2, is_item=True)[0] > 0


@given(
    st.lists(st.floats(0.2, 11.8), unique=True, max_size=6).map(sorted),
    st.lists(st.integers(1, 12), max_size=4),
)
def test_the_side_of_an_amount_asked_for_is_what_the_crossings_before_it_say(edges, steps):
    """Also where the stays between are shorter than the grid, of which nothing else is known."""

    def is_outside(amounts):
        return np.searchsorted(edges, amounts) % 2 == 1

    found = crossings(is_outside, 12, is_item=True, also=steps)
    for step in [one for one in steps if all(abs(one - edge) > 0.11 for edge in found)]:
        assert bool(is_outside(np.array([step]))[0]) == (sum(edge < step for edge in found) % 2 == 1)


@pytest.mark.parametrize(
    "text", ["", "a", "1..", "3..-3", "0..1 by 0", "0..1 by -1", "nan", "0..inf", "inf..inf", "2000", "0..99"]
)
def test_amounts_that_are_none_are_refused(text):
    with pytest.raises(UserError):
        amounts_of(text)


@given(st.text(alphabet="0123456789.,- bye+inaf", max_size=20))
def test_any_text_gives_ascending_amounts_or_a_message(text):
    try:
        found = amounts_of(text)
    except UserError:
        return
    assert 1 <= len(found) <= MOST_STEPS and list(found) == sorted(set(found))


# --- the way ---


def test_each_step_is_the_point_that_its_expression_names(asker, entry):
    found = trace(asker, '"Blob 7"', "third", [-2, 0, 1.5])
    assert [step.amount for step in found.path.steps] == [-2, 0, 1.5]
    assert [step.expression for step in found.path.steps] == [
        '"Blob 7" - 2*third',
        '"Blob 7"',
        '"Blob 7" + 1.5*third',
    ]
    vectors = np.array([asker.point(step.expression).vector for step in found.path.steps])
    start = entry.space.vectors[7]
    np.testing.assert_allclose(vectors, start + np.outer([-2, 0, 1.5], 0.1 * ALONG), atol=1e-6)
    expected = entry.distance().percentile(vectors, exclude=[7])
    np.testing.assert_allclose([step.percentile for step in found.path.steps], expected)


def test_the_starting_item_is_not_among_the_nearest(asker):
    found = trace(asker, '"Blob 7"', "third", [0, 1])
    assert all("Blob 7" not in [near.label for near in step.nearest] for step in found.path.steps)


def test_where_the_way_leaves_the_data_is_found_to_a_tenth(asker, entry):
    found = trace(asker, '"Blob 7"', "third", [-20, 20])
    start = asker.point('"Blob 7"')
    fine = np.arange(0, 20, 0.01)
    for sign, edge in ((1, found.leaves_above), (-1, found.leaves_below)):
        far = percentiles(entry, start, start.vector + np.outer(sign * fine, 0.1 * ALONG))
        first = fine[np.flatnonzero(far > 99)[0]]
        assert first - 0.02 <= sign * edge <= first + 0.12
    assert found.path.steps[-1].is_outside


def test_a_way_that_stays_in_the_data_leaves_nowhere(asker):
    found = trace(asker, '"Blob 7"', "third", [0, 0.5])
    assert found.leaves_above is None and found.leaves_below is None
    assert not any(step.is_outside for step in found.path.steps)


def test_without_amounts_seven_are_chosen_inside_the_data_and_said(asker):
    found = trace(asker, '"Blob 7"', "third", reverse=True)
    amounts = [step.amount for step in found.path.steps]
    assert len(amounts) == 7 and amounts[3] == 0 and not any(step.is_outside for step in found.path.steps)
    assert found.leaves_below < amounts[0] < 0 < amounts[-1] < found.leaves_above
    assert found.notes[0].startswith(f"amounts chosen: {amounts[0]:g}, ")
    assert found.controls == () and "reverse was not asked about" in found.notes[1]


def test_a_way_that_comes_back_says_where(asker, entry):
    """From one side of the cloud through it: outside, inside, outside again."""
    found = trace(asker, '"Blob 7" - 30*third', "third", [0, 15, 30, 60])
    assert [step.is_outside for step in found.path.steps] == [
        sum(edge <= step.amount for edge in found.crossings_above) % 2 == 1 for step in found.path.steps
    ]
    assert len(found.crossings_above) == 3 and found.crossings_above[0] == found.leaves_above == 0
    assert found.looked_at == (0, 60) and found.crossings_below == ()


def test_a_doubted_judge_is_shown_and_has_no_slope(asker):
    found = trace(
        asker, '"Blob 7"', "third", [0, 2], judges=lambda: [InOrder()], is_doubted=lambda judge: True
    )
    assert found.path.slopes == {} and found.doubted == ("in order",)
    assert [step.judged["in order"] for step in found.path.steps] == [1, 3]


def test_the_reverse_of_amounts_both_ways_alike_is_not_asked_again(asker, engine):
    found = trace(asker, '"Blob 7"', "third", [-2, 0, 2], reverse=True)
    assert found.controls == () and len(engine.asked) == 3
    assert found.notes == ("the reverse was not asked about: the amounts below 0 are the way back already",)


def test_a_slope_is_least_squares_over_the_amounts(asker):
    """Scores 1, 3, 5 at the amounts 0, 2, 4 rise by 1 a standard deviation."""
    found = trace(asker, '"Blob 7"', "third", [0, 2, 4], judges=lambda: [InOrder()])
    assert found.path.slopes == {"in order": pytest.approx(1.0)}
    assert trace(asker, '"Blob 7"', "third", [2], judges=lambda: [InOrder()]).path.slopes == {}


# --- controls ---


def test_controls_go_equally_far_and_keep_their_place_along_the_concept(asker, engine, entry):
    found = trace(asker, '"Blob 7"', "third", [0, 4], controls=2, reverse=True)
    assert [path.kind for path in found.paths] == ["concept", "reverse", *["random"] * 2, *["isotropic"] * 2]
    assert len(engine.asked) == 7, "the start is asked once"
    assert found.paths[1].steps[1].expression == '"Blob 7" - 4*third'


@pytest.mark.parametrize("kind", ["random", "isotropic"])
def test_random_directions_are_unit_orthogonal_to_the_concept_and_the_seeds(entry, kind):
    concept = entry.concepts["third"]
    drawn = random_directions(entry.space, concept, 5, kind=kind, seed=1)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1)
    np.testing.assert_allclose(drawn @ ALONG, 0, atol=1e-9)
    np.testing.assert_array_equal(drawn, random_directions(entry.space, concept, 5, kind=kind, seed=1))
    assert not np.allclose(drawn, random_directions(entry.space, concept, 5, kind=kind, seed=2))


def test_random_directions_follow_the_spread_of_the_items_and_isotropic_ones_do_not(entry):
    vectors = np.array(entry.space.vectors)
    vectors[:, 5] *= 30
    space = Space(name="blob", ids=entry.space.ids, labels=entry.space.labels, vectors=vectors)
    along = {
        kind: np.abs(random_directions(space, entry.concepts["third"], 50, kind=kind, seed=0)[:, 5]).mean()
        for kind in ("random", "isotropic")
    }
    assert along["random"] > 0.9 and along["isotropic"] < 0.4


# --- strict ---


def test_strict_asks_about_nothing_outside_the_data(asker, engine, entry):
    found = trace(asker, '"Blob 7"', "third", range(-20, 21, 2), controls=1, strict=True)
    for path in found.paths:
        assert path.refused and not any(step.is_outside for step in path.steps)
        assert sorted([*(step.amount for step in path.steps), *path.refused]) == list(range(-20, 21, 2))
    assert (
        max(step.amount for step in found.path.steps)
        < found.leaves_above
        <= min(a for a in found.path.refused if a > 0)
    )
    assert len(engine.asked) < 3 * 21


def test_strict_with_nothing_left_is_told_before_anything_is_loaded(entry):
    with pytest.raises(UserError, match="every point asked for lies outside the data"):
        trace(Asker(entry, never, never), '"Blob 7"', "third", [500], strict=True)


def test_a_made_start_outside_the_data_leaves_it_at_0(entry):
    with pytest.raises(UserError, match="outside the data"):
        trace(Asker(entry, never, never), '"Blob 7" + 500*third', "third", [0, 1], strict=True)


# --- mistakes ---


@pytest.mark.parametrize(
    ("expression", "concept", "question", "message"),
    [
        ('"Blob 7"', "thrid", "Describe {x}.", "did you mean 'third'"),
        ('"Blob 7', "third", "Describe {x}.", "character"),
        ('"Blob 7"', "third", "Compare {x} with {y}.", "nothing fills"),
        ("third", "third", "Describe {x}.", "third is a concept, not a point"),
    ],
)
def test_a_mistake_is_told_before_anything_is_loaded(entry, expression, concept, question, message):
    with pytest.raises(UserError, match=message):
        trace(Asker(entry, never, never), expression, concept, [0, 1], question=question, judges=never)
