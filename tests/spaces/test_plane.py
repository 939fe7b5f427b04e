"""Maps: who is near stays near, new vectors go among their neighbors, and places are read back as vectors."""

import csv

import numpy as np
import pyarrow.parquet as pq
import pytest

from vecspeak import Space, UserError
from vecspeak.spaces.clusters import cluster_space
from vecspeak.spaces.plane import MOST_FITTED, SpaceMap, make_map
from vecspeak.spaces.plane_scores import map_scores
from vecspeak.spaces.search import nearest


def clouds(seed=0, count=40, dim=8, groups=4):
    """Groups of vectors that point the same way."""
    draw = np.random.default_rng(seed)
    middles = draw.normal(size=(groups, dim))
    vectors = np.repeat(middles, count, axis=0) + 0.15 * draw.normal(size=(groups * count, dim))
    return Space.from_arrays(vectors.astype(np.float32), name="clouds")


@pytest.fixture(scope="module")
def found():
    return make_map(clouds())


def test_the_same_seed_gives_the_same_map_and_the_radius_is_one(found):
    assert np.array_equal(make_map(clouds()).coordinates, found.coordinates)
    assert not np.array_equal(make_map(clouds(), seed=1).coordinates, found.coordinates)
    assert found.method == "tsne"
    assert np.allclose(found.coordinates.mean(0), 0, atol=1e-5)
    assert (found.coordinates**2).sum(1).mean() == pytest.approx(1, abs=1e-4)


def test_a_group_of_the_space_is_a_group_on_the_plane(found):
    groups = np.repeat(np.arange(4), 40)
    near = np.linalg.norm(found.coordinates[:, None] - found.coordinates[None], axis=-1).argsort(1)[:, 1:6]
    assert (groups[near] == groups[:, None]).mean() > 0.95


def test_an_item_is_placed_where_it_is_also_where_it_is_longer(found):
    assert np.array_equal(found.place(found.space.vectors[:20]), found.coordinates[:20])
    assert np.array_equal(found.place(3 * found.space.vectors[7]), found.coordinates[7:8])


def test_a_new_vector_goes_among_the_items_near_it(found):
    draw = np.random.default_rng(1)
    new = found.space.vectors[::8] + 0.02 * draw.normal(size=(20, 8)).astype(np.float32)
    near = nearest(found.space, new, 10).indices
    places = found.place(new)
    to_near = np.linalg.norm(places - np.median(found.coordinates[near], axis=1), axis=1)
    to_any = np.linalg.norm(places - found.coordinates[draw.permutation(160)[:20]], axis=1)
    assert np.median(to_near) < np.median(to_any) / 4


def test_between_two_groups_a_vector_goes_to_one_of_them_and_not_into_the_gap():
    xy = np.repeat([[-1.0, -1.0], [1.0, 1.0]], [26, 14], axis=0) + np.linspace(0, 0.01, 40)[:, None]
    vectors = np.eye(40, dtype=np.float32) + 5
    made = SpaceMap(space=Space.from_arrays(vectors, name="two"), coordinates=xy, method="pca", seed=0)
    near_both = np.full(40, 5.0)
    near_both[[*range(6), *range(26, 30)]] += 0.1  # six of its ten nearest are in the one, four in the other
    place = made.place(near_both)[0]
    assert np.linalg.norm(place - [-1, -1]) < 0.05


def test_a_place_on_an_item_gives_the_item_and_one_beside_it_a_blend(found):
    (on,) = found.unplace(found.coordinates[5])
    assert on.rows == (5,) and on.weights == (1.0,) and on.factors == pytest.approx((1.0,))
    assert np.allclose(on.vector, found.space.vectors[5], rtol=1e-4, atol=1e-5)
    next_to_it = np.argsort(np.linalg.norm(found.coordinates - found.coordinates[5], axis=1))[1]
    between = (found.coordinates[5] + found.coordinates[next_to_it]) / 2
    (blend,) = found.unplace(between)
    assert sum(blend.weights) == pytest.approx(1) and max(blend.weights) < 0.99
    assert blend.ids == tuple(found.space.ids[row] for row in blend.rows)
    np.testing.assert_allclose(blend.vector, blend.factors @ found.space.vectors[list(blend.rows)], rtol=1e-4)
    assert 0 <= blend.percentile <= 100 and not blend.note


def test_what_is_read_back_at_a_vectors_place_is_near_the_vector(found):
    draw = np.random.default_rng(2)
    new = found.space.vectors[::5] + 0.02 * draw.normal(size=(32, 8)).astype(np.float32)
    read = np.stack([one.vector for one in found.unplace(found.place(new))])
    cosines = (read * new).sum(1) / np.linalg.norm(read, axis=1) / np.linalg.norm(new, axis=1)
    assert np.median(cosines) > 0.95


def test_nothing_jumps_on_a_way_over_the_map(found):
    way = np.linspace(found.coordinates[0], found.coordinates[3], 400)
    read = np.stack([one.vector for one in found.unplace(way)])
    steps = np.linalg.norm(np.diff(read, axis=0), axis=1)
    assert steps.max() < 0.25 * np.ptp(found.space.vectors, axis=0).max()


def test_far_from_all_items_a_place_says_so(found):
    near, far = found.unplace([found.coordinates[0], [50.0, 50.0]])
    assert not near.note and "nothing is near" in far.note and far.gap > near.gap
    assert np.isfinite(far.vector).all() and far.vector.any()


def test_a_person_goes_where_the_largest_products_are(found):
    person = found.space.vectors[10:11] * 5
    items = nearest(found.space, person, 10, metric="dot").indices[0]
    place = found.place(person, kind="user")[0]
    assert np.linalg.norm(found.coordinates[items] - place, axis=1).min() < 0.3


@pytest.mark.parametrize("count", [1, 2, 5, 89])
def test_few_items_have_a_map_too(count):
    space = Space.from_arrays(np.random.default_rng(0).normal(size=(count, 4)), name="few")
    made = make_map(space)
    assert made.method == "pca" and np.isfinite(made.coordinates).all()
    assert np.allclose(made.place(space.vectors), made.coordinates)
    (one,) = made.unplace(made.coordinates[0])
    assert one.rows[0] == 0 and np.allclose(one.vector, space.vectors[0], rtol=1e-3, atol=1e-4)
    assert map_scores(made) is None or count >= 60


@pytest.mark.parametrize("count", [3, 120])
def test_items_in_one_place_have_a_map(count):
    space = Space.from_arrays(np.tile(np.array([1.0, 2.0, 3.0], np.float32), (count, 1)), name="same")
    made = make_map(space)
    assert not made.coordinates.any() and not made.place(space.vectors[0]).any()
    (here,), (there,) = made.unplace([0.0, 0.0]), made.unplace([1.0, 0.0])
    assert np.allclose(here.vector, [1, 2, 3]) and not here.note and there.note


def test_copies_of_an_item_are_placed_where_one_of_them_is():
    vectors = np.concatenate([clouds().vectors, clouds().vectors[:30]])
    made = make_map(Space.from_arrays(vectors, name="copies"))
    assert np.isfinite(made.coordinates).all()
    assert np.array_equal(made.place(vectors[160:]), made.coordinates[:30])


def test_vectors_of_one_number_lie_on_a_line():
    made = make_map(Space.from_arrays(np.linspace(1, 2, 100)[:, None], name="line"))
    assert made.method == "pca" and not made.coordinates[:, 1].any()


def test_opposite_items_do_not_cancel_out():
    space = Space.from_arrays(np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32), name="opposite")
    made = make_map(space)
    (one,) = made.unplace([0.0, 0.0])
    assert np.linalg.norm(one.vector) == pytest.approx(1)


@pytest.mark.parametrize("vectors", [np.full(8, np.nan), np.zeros(8), np.ones(7)])
def test_what_is_no_vector_of_the_space_is_refused(found, vectors):
    with pytest.raises(UserError):
        found.place(vectors)


@pytest.mark.parametrize("xy", [[np.nan, 0], [1, 2, 3], "here", [1e9, 0], [[1], [2]]])
def test_what_is_no_place_is_refused(found, xy):
    with pytest.raises(UserError, match="place"):
        found.unplace(xy)


def test_more_items_than_are_laid_out_are_placed_beside_these(monkeypatch):
    assert MOST_FITTED == 200_000
    monkeypatch.setattr("vecspeak.spaces.plane.MOST_FITTED", 120)
    made = make_map(clouds())
    scores = map_scores(made)
    assert scores.kept.among_50.low > 2 * scores.random.among_50.high


def test_scores_stand_beside_chance_and_another_seed(found):
    scores = map_scores(found, again=True)
    assert scores.kept.among_10.low > scores.random.among_10.high
    assert scores.read_back.low > scores.read_back_random.high
    assert scores.stability.displacement.value > 0 and 0 < scores.stability.kept.among_50.value <= 1
    assert len(scores.lines) == 6


def test_a_shuffled_map_keeps_no_more_than_chance(found):
    shuffled = np.random.default_rng(3).permutation(found.coordinates)
    scores = map_scores(SpaceMap(space=found.space, coordinates=shuffled, method="tsne", seed=0))
    assert scores.kept.among_10.low <= scores.random.among_10.high


def test_tables_have_a_row_an_item(found, tmp_path):
    clusters = cluster_space(found.space, "kmeans", k=3)
    assert found.write(tmp_path / "map.parquet", clusters) == 160
    table = pq.read_table(tmp_path / "map.parquet")
    assert table.column_names == ["id", "label", "x", "y", "region"]
    assert np.array_equal(table["x"].to_numpy(), found.coordinates[:, 0])
    found.write(tmp_path / "map.csv")
    with (tmp_path / "map.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 160 and float(rows[3]["y"]) == pytest.approx(float(found.coordinates[3, 1]), abs=1e-6)
    with pytest.raises(UserError, match="neither"):
        found.write(tmp_path / "map.png")
