"""Two spaces of the same items: what was planted is found, what was merely turned is not, and a canary notices."""

import json

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from vecspeak import VecSpeak
from vecspeak.cli import main
from vecspeak.errors import UserError
from vecspeak.explore.migration import _differences, _excess, _placements, compare
from vecspeak.model.alignment import unit
from vecspeak.spaces import Space
from vecspeak.spaces.io import save_space

ITEMS, DIM = 600, 24
KINDS = ("boats", "tents", "lamps", "knives")
COLOURS = ("red", "blue")
rng = np.random.default_rng(0)
OF_KIND = np.arange(ITEMS) % len(KINDS)
OF_COLOUR = rng.integers(0, 2, ITEMS)
FILLERS = rng.integers(0, 20, (ITEMS, 3))
TEXTS = [
    f"{KINDS[kind]} {COLOURS[colour]} {' '.join(f'filler{chr(97 + one)}' for one in some)}"
    for kind, colour, some in zip(OF_KIND, OF_COLOUR, FILLERS, strict=True)
]


def made(name, *, seed=1, merged=False, colourless=False, dim=DIM, noise=0.3):
    """Vectors as sums of what the texts say; of another seed they are another encoder's of the same meaning."""
    meaning = np.random.default_rng(7)
    kinds, colours, fillers = (meaning.normal(size=(count, DIM)) for count in (len(KINDS), 2, 20))
    of_kind = np.where(merged & (OF_KIND == 3), 2, OF_KIND) if merged else OF_KIND
    vectors = 2 * kinds[of_kind] + 0.5 * fillers[FILLERS].sum(1)
    if not colourless:
        vectors = vectors + 1.5 * colours[OF_COLOUR]
    draw = np.random.default_rng(seed)
    vectors = vectors + noise * draw.normal(size=vectors.shape)
    vectors = vectors @ draw.normal(size=(DIM, dim)) / np.sqrt(DIM)
    return Space.from_arrays(
        unit(vectors).astype(np.float32),
        ids=[f"i{row}" for row in range(ITEMS)],
        labels=[f"Item {row}" for row in range(ITEMS)],
        texts=TEXTS,
        name=name,
    )


def turned(space, name="turned"):
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(space.dim, space.dim)))
    columns = {"ids": space.ids, "labels": space.labels, "texts": TEXTS, "name": name}
    return Space.from_arrays((space.vectors @ turn).astype(np.float32), **columns)


@pytest.fixture(scope="module")
def old():
    return made("old")


def test_of_a_space_that_was_merely_turned_nothing_is_lost(old):
    found = compare(old, turned(old))
    assert found.recall.value > 0.999 and found.new_from_old.explained.value > 0.999
    assert found.num_moved == 0 and not found.better and not found.worse
    assert not found.new_from_old.separated and not found.old_from_new.separated
    assert found.regions and min(one.recall.value for one in found.regions) > 0.99


def test_a_word_that_the_new_encoder_does_not_read_is_told_worse(old):
    found = compare(old, made("new", colourless=True))
    assert {"red", "blue"} <= {one.term for one in found.worse}
    assert {"red", "blue"}.isdisjoint(one.term for one in found.better)
    colour = next(one for one in found.worse if one.term == "red")
    assert colour.old > 0.9 and abs(colour.new - 0.5) < 0.15 and colour.difference.high < 0
    assert {"red", "blue"} & {word.term for axis in found.old_from_new.separated for word in axis.high.words}
    other = compare(made("new", colourless=True), old)
    assert {"red", "blue"} <= {one.term for one in other.better}


def test_two_kinds_that_the_new_encoder_merges_are_named(old):
    found = compare(old, made("new", merged=True))
    assert {"lamps", "knives"} <= {one.term for one in found.worse}
    assert {"boats", "tents"}.isdisjoint(one.term for one in found.worse)
    kept = found.old_from_new.explained.value, compare(old, made("new")).old_from_new.explained.value
    assert kept[0] < kept[1] - 0.05


def test_items_that_changed_places_are_named_and_hardly_another(old):
    vectors = made("new", noise=0.05).vectors.copy()
    steady = made("old", noise=0.05)
    draw = np.random.default_rng(5)
    movers = draw.permutation(ITEMS)[:12]
    vectors[movers] = vectors[np.roll(movers, 1)]
    columns = {"ids": steady.ids, "labels": steady.labels, "texts": TEXTS}
    found = compare(steady, Space.from_arrays(vectors, name="new", **columns), count=30)
    moved = {int(one.id[1:]) for one in found.moved}
    assert len(moved & set(movers.tolist())) >= 8 and len(moved - set(movers.tolist())) <= 2


def uneven(name="old"):
    """Items of which some are unlike all others, in directions of very different spread."""
    draw = np.random.default_rng(11)
    vectors = draw.standard_t(3, size=(ITEMS, 120)) * np.arange(1, 121) ** -0.5 + draw.normal(size=120)
    return Space.from_arrays(vectors.astype(np.float32), ids=[f"i{row}" for row in range(ITEMS)], name=name)


def noisy(space, noise, moved=()):
    """The space turned, with noise; some items in each other's place."""
    draw = np.random.default_rng(12)
    vectors = unit(space.vectors.astype(np.float64))
    places = np.array(moved, int)
    vectors[places] = vectors[np.roll(places, 1)]
    turn, _ = np.linalg.qr(draw.normal(size=(space.dim, space.dim)))
    spread = noise * (vectors - vectors.mean(0)).std()
    made = vectors @ turn + spread * draw.normal(size=vectors.shape)
    return Space.from_arrays(made.astype(np.float32), ids=list(space.ids), name="new")


@pytest.mark.parametrize("noise", [0, 0.1, 0.3])
def test_an_item_unlike_the_others_is_no_mover(noise):
    old = uneven()
    assert compare(old, old).num_moved == 0
    assert compare(old, noisy(old, noise)).num_moved <= 1


@pytest.mark.parametrize("noise", [0, 0.1, 0.3])
def test_movers_do_not_draw_others_with_them(noise):
    old, moved = uneven(), range(0, ITEMS, 30)
    found = compare(old, noisy(old, noise, moved), count=300)
    right = {f"i{row}" for row in moved}
    assert len({one.id for one in found.moved} & right) >= 19
    assert len({one.id for one in found.moved} - right) <= 2


def test_placements_are_shares_below_and_above():
    inside, outside = _placements(
        np.array([3.0, 1.0, 2.0, 1.0, 5.0]), np.array([True, True, False, False, False])
    )
    assert inside.tolist() == [
        pytest.approx(2 / 3),
        pytest.approx(0.5 / 3),
    ]  # above 2 and 1; an equal counts half
    assert outside.tolist() == [0.5, 0.75, 0.0]
    assert inside.mean() == pytest.approx(outside.mean())  # both are the AUC


def test_standard_errors_count_that_maps_are_fitted_on_few(old):
    """Of spaces that differ by noise alone as many words differ as may by chance, though maps differ by their fit."""
    has = csr_matrix(np.random.default_rng(0).random((ITEMS, 60)) < 0.1, dtype=np.float32)  # labels of chance
    vectors = [old.vectors, made("new", seed=2, noise=1.0).vectors]
    aucs, spreads = _differences(vectors, has)
    wide = spreads * _excess(vectors, has)
    assert 1 <= (wide / spreads).min() < 3
    assert (np.abs(aucs[1] - aucs[0]) > 1.96 * wide).mean() <= 0.15
    assert _excess(vectors, has[:, :5]) == 1.3  # of five words nothing can be said


def test_an_encoder_of_other_things_is_told_from_one_of_the_same(old):
    other = Space.from_arrays(
        np.random.default_rng(9).normal(size=(ITEMS, 16)).astype(np.float32),
        ids=old.ids,
        labels=old.labels,
        texts=TEXTS,
        name="noise",
    )
    found = compare(old, other)
    assert found.recall.low < 3 * found.recall_by_chance and found.new_from_old.explained.value < 0.05
    assert abs(found.new_from_old.explained.value - found.new_from_old.shuffled) < 0.05
    assert compare(old, made("new", seed=2, dim=40)).recall.low > 10 * found.recall_by_chance


def test_too_few_items_in_both_are_refused(old):
    with pytest.raises(UserError, match="share 49 ids, and a comparison needs 50"):
        compare(old, old.take(np.arange(49)))


@pytest.fixture
def files(old, tmp_path):
    paths = {}
    for name, space in (("old", old), ("turned", turned(old)), ("new", made("new", seed=2, dim=40))):
        paths[name] = tmp_path / f"{name}.parquet"
        save_space(space, paths[name])
    return paths


def ended(*arguments):
    try:
        main([str(one) for one in arguments])
    except SystemExit as error:
        return error.code
    return 0


def test_the_command_fails_under_a_figure(files, capsys):
    assert ended("compare", files["old"], files["turned"], "--fail-under", "recall@10=0.9") == 0
    assert ended("compare", files["old"], files["new"], "--fail-under", "recall@10=0.9") == 1
    assert "FAILED: recall@10 is" in capsys.readouterr().out
    assert ended("compare", files["old"], files["new"], "--fail-under", "recall=9") == 2
    assert ended("compare", files["old"], files["new"], "--fail-under", "recall@5=0.9") == 2


def test_a_canary_notices_another_encoder(files, tmp_path, capsys):
    path = tmp_path / "canary.json"
    assert ended("compare", files["old"], files["old"], "--canary", path) == 0 and path.is_file()
    capsys.readouterr()
    assert ended("compare", files["old"], files["old"], "--canary", path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["canary"]["is_same"]
    assert ended("compare", files["old"], files["turned"], "--canary", path) == 1
    assert "ANOTHER ENCODER" in capsys.readouterr().out
    assert not VecSpeak.canary(files["new"], path).is_same  # of another width


def test_the_command_opens_each_space_once(files, tmp_path, monkeypatch):
    opened, load = [], Space.load
    monkeypatch.setattr(Space, "load", lambda path: opened.append(path) or load(path))
    for _ in range(2):  # written, then checked
        assert ended("compare", files["old"], files["turned"], "--canary", tmp_path / "canary.json") == 0
        assert opened == [files["old"], files["turned"]]
        opened.clear()


def test_a_file_that_is_no_canary_is_refused_and_kept(files, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text('{"mine": 1}')
    with pytest.raises(UserError, match="is no canary"):
        VecSpeak.canary(files["old"], path)
    assert path.read_text() == '{"mine": 1}'


def test_items_that_did_not_move_are_named_apart_and_a_space_beside_itself_names_none(old):
    same = compare(old, old)
    assert same.num_moved == 0 and same.unmoved == ()
    assert same.lines[-1] == "0 items moved beyond the noise"
