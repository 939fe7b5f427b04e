"""Drift: a turn is undone exactly, planted movers are named and no others, and what came and went is counted."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import ortho_group

from vecspeak.errors import UserError
from vecspeak.explore.drift import drift
from vecspeak.spaces import Space

DIM, SIZES = 12, (70, 60, 50, 40)


def then(seed=0):
    """220 items in four groups."""
    draw = np.random.default_rng(seed)
    groups = np.repeat(np.arange(4), SIZES)
    vectors = np.eye(DIM)[groups] + 0.25 * draw.normal(size=(len(groups), DIM))
    return a_space(vectors, [f"g{group}-{row}" for row, group in enumerate(groups)])


def a_space(vectors, ids, name="dated"):
    return Space(name=name, ids=tuple(ids), labels=tuple(ids), vectors=vectors.astype(np.float32))


def turned(space, seed=1, noise=0.0, scale=1.0):
    draw = np.random.default_rng(seed)
    turn = ortho_group.rvs(space.dim, random_state=seed)
    moved = space.vectors @ turn + noise * draw.normal(size=space.vectors.shape)
    return dataclasses.replace(space, vectors=(scale * moved).astype(np.float32))


def test_a_turned_space_is_the_same_space():
    found = drift(then(), turned(then(), scale=3.0))
    assert found.fit.unexplained.value < 1e-8
    assert found.fit.unturned > 0.5 and found.fit.shuffled > 0.7
    assert found.fit.scale == pytest.approx(1.0, abs=1e-5)
    assert found.fit.lengths == pytest.approx(3.0, rel=1e-4)
    assert found.neighbours.value == pytest.approx(1.0, abs=0.01)
    assert found.num_moved == 0 and found.moved == ()
    assert {one.change for one in found.regions} == {"same"}
    assert (found.num_shared, found.num_new, found.num_gone) == (220, 0, 0)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_planted_movers_are_named_and_no_others(noise):
    before = then()
    after = turned(before, noise=noise)
    vectors = after.vectors.copy()
    movers = [3, 40, 75, 120, 160, 200]
    for row in movers:
        vectors[row] = vectors[(row + 110) % 220]
    found = drift(before, a_space(vectors, before.ids))
    assert {one.id for one in found.moved} == {before.ids[row] for row in movers}
    assert found.num_moved == len(movers)
    assert all(one.times > 2 and one.kept < 0.3 for one in found.moved)


@pytest.mark.parametrize("count", [1, 3, 12])
def test_where_one_encoder_made_both_few_movers_are_found_and_nothing_is_turned(count):
    draw = np.random.default_rng(2)
    before = a_space(
        draw.normal(size=(90, 64)), [f"i{row}" for row in range(90)]
    )  # too few to tell a turn by
    vectors = before.vectors.copy()
    vectors[:count] = draw.normal(size=(count, 64))
    found = drift(before, a_space(vectors, before.ids))
    assert not found.fit.is_turned and found.fit.turned > found.fit.unexplained.value == found.fit.unturned
    assert {one.id for one in found.moved} == set(before.ids[:count]) and found.note == ""


def test_what_has_nothing_in_common_is_said_to_have_nothing():
    other = a_space(np.random.default_rng(5).normal(size=(220, DIM)), then().ids)
    assert drift(then(), other).note.startswith("NOTHING SHOWS THAT THESE ARE ONE SPACE")
    assert not drift(then(), turned(then(), noise=0.3)).fit.is_unrelated


def test_noise_alone_moves_no_item_and_no_region():
    moved = [drift(then(seed), turned(then(seed), noise=0.15)) for seed in range(4)]
    assert sum(one.num_moved for one in moved) <= 1
    assert all(change.change == "same" for one in moved for change in one.regions)
    assert all(0.02 < one.fit.unexplained.value < 0.6 for one in moved)


def test_the_misfit_of_what_has_nothing_in_common_is_that_of_random_pairs():
    other = a_space(np.random.default_rng(5).normal(size=(220, DIM)), then().ids)
    fit = drift(then(), other).fit
    assert fit.unexplained.value > 0.8
    assert abs(fit.unexplained.value - fit.shuffled) < 0.1


def grown(before, number, seed=3):
    """Forty items more, all in one direction."""
    draw = np.random.default_rng(seed)
    extra = np.eye(DIM)[number] + 0.25 * draw.normal(size=(40, DIM))
    return a_space(np.vstack([before.vectors, extra]), [*before.ids, *(f"n{row}" for row in range(40))])


def test_new_items_make_a_region_grow():
    before = then()
    found = drift(before, turned(grown(before, 3)), regions=4)
    grew = [one for one in found.regions if one.change == "grew"]
    assert len(grew) == 1 and grew[0].before == 40 and 75 <= grew[0].after <= 80
    assert grew[0].difference.low > 0 and grew[0].came >= 35 and grew[0].left == 0
    assert found.num_new == 40 and found.new[0] == "n0"


def test_a_region_where_nothing_was_appears_and_seen_backwards_vanishes():
    before = then()
    after = turned(grown(before, 7))
    found = drift(before, after, regions=5)
    appeared = [one for one in found.regions if one.change == "appeared"]
    assert len(appeared) == 1 and 35 <= appeared[0].after <= 45 and appeared[0].came >= 35
    back = drift(after, before, regions=5)
    vanished = [one for one in back.regions if one.change == "vanished"]
    assert len(vanished) == 1 and vanished[0].before == appeared[0].after and back.num_gone == 40


def test_a_wider_space_is_compared_with_zeros_added_and_says_so():
    before = then()
    wide = np.hstack([before.vectors, np.zeros((220, 4))])
    found = drift(before, turned(a_space(wide, before.ids)))
    assert found.dims == (12, 16) and "zeros were added" in found.note
    assert found.fit.unexplained.value < 1e-8


def test_too_few_items_for_the_directions_are_told():
    draw = np.random.default_rng(0)
    few = a_space(draw.normal(size=(40, 30)), [f"i{row}" for row in range(40)])
    assert "not determined" in drift(few, turned(few)).note


def test_spaces_without_shared_ids_are_refused():
    with pytest.raises(UserError, match="share 5 ids, and an alignment needs 20"):
        drift(then(), a_space(np.eye(25)[:, :DIM] + 0.1, [*then().ids[:5], *(f"x{i}" for i in range(20))]))


@pytest.mark.parametrize("later", [False, True])
def test_a_space_of_one_direction_has_nothing_to_compare(later):
    one = dataclasses.replace(then(), vectors=np.ones_like(then().vectors), name="flat")
    dates = (then(), one) if later else (one, then())
    with pytest.raises(UserError, match="the 220 shared items of 'flat' all point the same way"):
        drift(*dates)


def test_a_turn_and_its_rounding_move_nothing_and_hide_no_mover():
    """Few items in many directions, where residuals are rounding: five that changed places are all that moved."""
    draw = np.random.default_rng(5)
    groups = draw.normal(size=(10, 32))
    made = groups[np.arange(200) % 10] + 0.4 * draw.normal(size=(200, 32))
    turn = ortho_group.rvs(32, random_state=1)
    moved = made.copy()
    moved[[3, 50, 91, 132, 174]] = made[[132, 174, 3, 50, 91]]
    then = Space.from_arrays(made.astype(np.float32), name="then")
    assert drift(then, Space.from_arrays((made @ turn).astype(np.float32), name="now")).num_moved == 0
    for vectors in (moved @ turn, moved):
        found = drift(then, Space.from_arrays(vectors.astype(np.float32), name="now"), count=30)
        assert {one.id for one in found.moved} == {"3", "50", "91", "132", "174"}
