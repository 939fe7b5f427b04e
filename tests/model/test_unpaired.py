"""Maps without pairs: a rotation is found again, halves of one world come together, and chance is refused."""

import numpy as np
import pytest

from unpaired_worlds import rotation, search_little, world
from vecspeak.errors import UserError
from vecspeak.model.alignment import unit
from vecspeak.model.unpaired import fit_unpaired
from vecspeak.model.unpaired.matching import Sides, closeness, improved, orthogonal
from vecspeak.model.unpaired.proof import gaussian, halves, prove, shuffled
from vecspeak.model.unpaired.search import Clouds, search
from vecspeak.model.unpaired.signatures import signatures


@pytest.fixture(autouse=True)
def _few_starts(monkeypatch):
    search_little(monkeypatch)


def centered_cosine(mapped, true, mean):
    return float(np.einsum("nt,nt->n", unit(mapped), unit(unit(true) - mean)).mean())


def test_signatures_do_not_change_with_a_rotation():
    vectors = world(300, 0)
    np.testing.assert_allclose(signatures(vectors @ rotation()), signatures(vectors), atol=0.2)


def test_procrustes_finds_a_rotation_from_pairs():
    vectors, turn = world(200, 0), rotation()
    np.testing.assert_allclose(orthogonal(vectors.T @ (vectors @ turn)), turn, atol=1e-5)


def test_steps_of_soft_matching_bring_a_small_turn_back():
    vectors = unit(world(500, 0)).astype(np.float32)
    sides = Sides(source=vectors, target=vectors[::-1].copy())
    begun = orthogonal(np.eye(24) + 0.1 * np.random.default_rng(0).normal(size=(24, 24)))
    turn = improved(sides, begun, (10.0, 30.0), 10)
    assert np.trace(begun) / 24 < 0.95 < 0.99 < np.trace(turn) / 24
    assert closeness(sides, turn) > closeness(sides, begun)


def test_a_rotation_of_the_pile_itself_is_found_again():
    pile, turn = world(900, 0), rotation()
    found = search(Clouds(source=pile @ turn, target=pile))
    assert centered_cosine(found.mapped(pile @ turn), pile, found.target.mean) > 0.99


def test_disjoint_halves_of_a_world_are_aligned_and_the_proof_holds():
    space, pile, turn = world(1000, 1), world(1000, 2), rotation()
    proof, found = prove(Clouds(source=space @ turn, target=pile))
    assert proof.holds and proof.agreement > 0.2 + max(proof.shuffled, proof.gaussian)
    assert centered_cosine(found.mapped(space @ turn), space, found.target.mean) > 0.8


@pytest.mark.parametrize("make", [gaussian, shuffled])
def test_a_space_without_the_shape_of_the_pile_is_refused_with_its_figures(make):
    with pytest.raises(UserError, match=r"agree by -?0\.\d") as raised:
        fit_unpaired(make(world(1000, 1) @ rotation(), 5), world(1000, 2))
    assert "at least 20 items a text" in raised.value.hint


def test_known_pairs_decide_where_the_shape_says_nothing():
    """A Gaussian pile has no shape to hold on to; thirty pairs say where it belongs."""
    rng, turn = np.random.default_rng(0), rotation(8)
    pile, space = rng.normal(size=(2, 700, 8))
    pairs = (space[:30] @ turn, space[:30])
    mapped = [
        search(Clouds(source=space @ turn, target=pile, pairs=given)).mapped(space @ turn)
        for given in (None, pairs)
    ]
    without, with_pairs = (centered_cosine(one, space, unit(pile).mean(0)) for one in mapped)
    assert with_pairs > 0.9 > without + 0.2


def test_halves_are_apart_and_share_the_pairs():
    space, pile = world(601, 1), world(500, 2)
    one, other = halves(Clouds(source=space, target=pile, pairs=(space[:3], pile[:3])), 0)
    assert len(one.source) + len(other.source) == 601
    assert not {tuple(row) for row in one.source} & {tuple(row) for row in other.source}
    assert one.pairs is other.pairs


def test_too_few_vectors_are_refused():
    with pytest.raises(UserError, match="at least 500"):
        fit_unpaired(world(120, 1), world(900, 2))


def test_the_alignment_maps_as_the_search_does_and_spreads_as_the_pile():
    space, pile, turn = world(1000, 1), world(1000, 2), rotation()
    alignment, report = fit_unpaired(space @ turn, pile)
    mapped = alignment((space @ turn).astype(np.float32))
    assert np.einsum("nt,nt->n", mapped, unit(space)).mean() > 0.8
    assert report["pairs"] == 0 and "without a text" in report["without_pairs"]
