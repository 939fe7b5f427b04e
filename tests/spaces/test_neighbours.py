import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from vecspeak.errors import UserError
from vecspeak.spaces import Space, search
from vecspeak.spaces.search import DataDistance, nearest, sample_size, unit_rows


def space_of(vectors):
    names = tuple(str(row) for row in range(len(vectors)))
    return Space(name="test", ids=names, labels=names, vectors=np.asarray(vectors))


def random_space(num_items, dim=8, seed=0):
    return space_of(np.random.default_rng(seed).normal(size=(num_items, dim)))


SQUARE = space_of([[1, 0], [0, 2], [-3, 0], [4, 4]])


@pytest.mark.parametrize(
    ("metric", "indices", "scores"),
    [
        ("cosine", [0, 3, 1, 2], [1, 0.5**0.5, 0, -1]),
        ("dot", [3, 0, 1, 2], [8, 2, 0, -6]),
        ("euclidean", [0, 1, 3, 2], [1, 8**0.5, 20**0.5, 5]),
    ],
)
def test_neighbours_of_a_hand_worked_case(metric, indices, scores):
    found = nearest(SQUARE, np.array([2.0, 0.0]), 4, metric=metric)
    assert found.indices.tolist() == [indices]
    np.testing.assert_allclose(found.scores, [scores], atol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@settings(max_examples=20, deadline=None)
@given(block_rows=st.integers(1, 60), k=st.integers(1, 60))
def test_neighbours_in_blocks_equal_neighbours_at_once(metric, block_rows, k):
    space, queries = random_space(50), np.random.default_rng(1).normal(size=(7, 8))
    at_once = nearest(space, queries, k, metric=metric)
    in_blocks = nearest(space, queries, k, metric=metric, block_rows=block_rows)
    np.testing.assert_array_equal(in_blocks.indices, at_once.indices)
    np.testing.assert_allclose(in_blocks.scores, at_once.scores, atol=1e-5)


def plainly(space, queries, k, metric):
    """The best by all scores in float64, rounded as a person reads them, equal ones in the order of rows."""
    items, wide = space.vectors.astype(np.float64), np.asarray(queries, dtype=np.float64)
    if metric == "euclidean":
        scores = np.linalg.norm(wide[:, None] - items, axis=2)
    else:
        scores = wide @ items.T
        if metric == "cosine":
            scores /= np.linalg.norm(wide, axis=1)[:, None] * np.linalg.norm(items, axis=1)
    scores = scores.astype(np.float32)
    return np.argsort(scores if metric == "euclidean" else -scores, axis=1, kind="stable")[:, :k], scores


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99),
    num_items=st.integers(1, 200),
    num_queries=st.integers(1, 12),
    k=st.integers(1, 30),
    block_rows=st.integers(1, 70),
)
def test_many_equal_items_come_in_the_order_of_rows_whatever_the_blocks(
    metric, seed, num_items, num_queries, k, block_rows
):
    """Vectors of few different numbers, so that ties are the rule; powers of 2 keep every score exact."""
    rng = np.random.default_rng(seed)
    table = np.array(
        [[1, 0, 0, 0], [2, 0, 0, 0], [1, 1, 1, 1], [0, 4, 0, 0], [-2, -2, 2, 2]], dtype=np.float32
    )
    space, queries = space_of(table[rng.integers(0, 5, num_items)]), table[rng.integers(0, 5, num_queries)]
    found = nearest(space, queries, k, metric=metric, block_rows=block_rows)
    np.testing.assert_array_equal(found.indices, plainly(space, queries, k, metric)[0])


@pytest.mark.parametrize("order", [1, -1])
def test_items_that_come_nearer_and_nearer_are_found_as_well_as_others(order):
    angles = np.linspace(0, 3, 4000)[::order]
    space = space_of(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    found = nearest(space, np.array([1.0, 0.0]), 5, block_rows=100).indices[0]
    assert found.tolist() == np.argsort(angles)[:5].tolist()


def test_excluded_rows_in_any_block_are_left_out_for_their_own_query_only():
    space, exclude = random_space(90), [[0, 1, 1, 89], [], [45, 46]]
    queries = np.random.default_rng(3).normal(size=(3, 8))
    found = nearest(space, queries, 87, exclude=exclude, block_rows=16).indices
    for query, (rows, struck) in enumerate(zip(found, exclude, strict=True)):
        full = nearest(space, queries[query], 90).indices[0]
        assert rows.tolist() == [row for row in full.tolist() if row not in struck][:87]


def test_memory_does_not_grow_with_the_queries_times_the_items(monkeypatch):
    """2,000 x 20,000 scores are 160 MB at once; blocks of 0.25 MB stay below ten of them beside the result."""
    monkeypatch.setattr(search, "BLOCK_BYTES", 1 << 18)
    space, queries = random_space(20_000), random_space(2000, seed=1).vectors
    tracemalloc.start()
    try:
        found = nearest(space, queries, 5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    result = found.indices.nbytes + found.scores.nbytes
    assert peak < 10 * search.BLOCK_BYTES + 10 * result


def test_dot_products_that_float32_cannot_hold_are_infinite_and_not_lost():
    space = space_of(np.array([[-1e30, 0], [1, 0], [3e30, 0]]))
    found = nearest(space, np.array([1e20, 0]), 3, metric="dot")
    assert found.indices.tolist() == [[2, 1, 0]] and found.scores[0, 0] == np.inf


def test_more_queries_than_one_block_of_queries_are_all_answered():
    space = random_space(1500)
    np.testing.assert_array_equal(nearest(space, space.vectors, 1).indices.ravel(), np.arange(1500))


def test_an_excluded_row_is_never_named_and_the_others_keep_their_order():
    space = random_space(30)
    full = nearest(space, space.vectors, 30).indices
    without = nearest(space, space.vectors, 29, exclude=[[row] for row in range(30)], block_rows=7).indices
    assert full[:, 0].tolist() == list(range(30))
    np.testing.assert_array_equal(without, full[:, 1:])


def test_fewer_neighbours_come_back_where_the_space_has_fewer():
    assert nearest(SQUARE, SQUARE.vectors, 9).indices.shape == (4, 4)
    assert nearest(SQUARE, SQUARE.vectors[:1], 9, exclude=[[0, 0, 3]]).indices.tolist() == [[1, 2]]


def test_equal_scores_come_in_the_order_of_rows():
    assert nearest(space_of([[1, 0], [2, 0], [3, 0]]), np.array([1.0, 0.0]), 3).indices.tolist() == [
        [0, 1, 2]
    ]


def test_lengths_of_any_size_do_not_spoil_the_cosine():
    space = space_of(np.array([[1e-30, 0], [1e30, 1e30]]))
    found = nearest(space, np.array([1e-35, 0]), 2)
    np.testing.assert_allclose(found.scores, [[1, 0.5**0.5]], atol=1e-6)


def test_distances_between_close_points_far_from_the_origin_are_exact():
    space = space_of([[1000, 1000.25], [1000, 1001]])
    found = nearest(space, np.array([1000.0, 1000.0]), 2, metric="euclidean")
    np.testing.assert_allclose(found.scores, [[0.25, 1.0]], atol=1e-6)


@pytest.mark.parametrize(
    ("vectors", "options", "message"),
    [
        (np.ones((2, 3)), {}, r"shape \[2, 3\] do not fit 'test' of width 2"),
        (np.array([np.nan, 1]), {}, "NaN or infinite"),
        (np.zeros(2), {}, "only zeros has no direction"),
        (np.ones(2), {"metric": "manhattan"}, "unknown metric 'manhattan'; choose one of cosine"),
        (np.ones(2), {"exclude": [[0, 1, 2, 3]]}, "every item of the space is excluded"),
        (np.ones(2), {"k": 0}, "0 neighbours were asked for"),
    ],
    ids=str,
)
def test_a_question_without_an_answer_is_refused(vectors, options, message):
    with pytest.raises(UserError, match=message):
        nearest(SQUARE, vectors, **{"k": 1, **options})


def test_unit_rows_have_length_one_and_the_same_direction():
    np.testing.assert_allclose(unit_rows(np.array([[3.0, 4.0], [-2.0, 0.0]])), [[0.6, 0.8], [-1, 0]])


def test_the_distance_of_a_hand_worked_point():
    """On the axes, and two neighbours: cosines 1 and 0 of the diagonal's neighbours give 1 - sqrt(1/2)."""
    distance = DataDistance.from_space(space_of([[1, 0], [0, 1], [-1, 0]]), num_neighbours=2)
    np.testing.assert_allclose(distance.distance(np.array([1.0, 1.0])), [1 - 0.5**0.5], atol=1e-6)


def test_an_item_is_not_its_own_neighbour():
    """From [1, 0]: [0, 1] at distance 1, [-1, 0] at 2. From [0, 1]: both at 1."""
    distance = DataDistance.from_space(space_of([[1, 0], [0, 1], [-1, 0]]), num_neighbours=2)
    np.testing.assert_allclose(distance.distance(distance.space.vectors), [1.5, 1, 1.5], atol=1e-6)


def test_percentiles_of_the_datas_own_items_are_spread_uniformly():
    space = random_space(400)
    percentiles = np.sort(DataDistance.from_space(space).percentile(space.vectors))
    np.testing.assert_allclose(percentiles, 100 * np.arange(1, 401) / 400, atol=1.0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_distances_of_items_that_were_never_in_the_data_are_spread_as_the_calibration_is(seed):
    """So leave-one-out calibrates for new items, at every percentile; in clumps and with outliers, the hard case."""
    rng = np.random.default_rng(seed)
    clumps = 2 * rng.normal(size=(20, 8))
    spread = rng.uniform(0.2, 2, size=(4000, 1))
    vectors = clumps[rng.integers(20, size=4000)] + spread * rng.normal(size=(4000, 8))
    known, new = DataDistance.from_space(space_of(vectors[:3000])), vectors[3000:]
    assert ks_2samp(known.distance(new), known.reference).pvalue > 0.01
    assert (known.percentile(new) > 99).mean() == pytest.approx(0.01, abs=0.01)
    assert ks_2samp(known.distance(1.5 * new + clumps[0]), known.reference).pvalue < 0.01


def test_what_a_point_was_made_from_does_not_hold_it_near_the_data():
    space = random_space(300)
    distance = DataDistance.from_space(space)
    start, moved = space.vectors[4], space.vectors[4] + np.float32(1e-2)
    own = float(distance.distance(start)[0])
    assert float(distance.distance(start, exclude=[4])[0]) == pytest.approx(own, abs=1e-6)
    assert float(distance.distance(moved, exclude=[4])[0]) == pytest.approx(own, rel=0.05)
    assert float(distance.distance(moved)[0]) < 0.95 * own


def test_percentiles_on_a_sample_are_still_spread_uniformly():
    space = random_space(2000)
    percentiles = np.sort(DataDistance.from_space(space, max_items=500).percentile(space.vectors))
    np.testing.assert_allclose(percentiles, 100 * np.arange(1, 2001) / 2000, atol=6.0)


def test_a_point_far_from_the_data_is_at_100_and_the_centre_of_a_cluster_near_0():
    rng = np.random.default_rng(0)
    vectors = np.eye(16)[0] + 0.05 * rng.normal(size=(300, 16))
    distance = DataDistance.from_space(space_of(vectors))
    assert distance.percentile(-np.eye(16)[0]) == 100
    assert distance.percentile(rng.normal(size=(1, 16))) == 100
    assert distance.percentile(np.eye(16)[0]) < 5


def test_the_same_seed_gives_the_same_sample():
    space = random_space(300)
    first, second = (DataDistance.from_space(space, max_items=50, seed=3).reference for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("num_items", [1, 2, 5])
def test_tiny_spaces_have_percentiles_too(num_items):
    space = random_space(num_items)
    assert (DataDistance.from_space(space).percentile(space.vectors) > 0).all()


@pytest.mark.parametrize(("num_items", "sampled"), [(10, 5000), (200_000, 5000), (10**6, 1000), (10**9, 500)])
def test_a_calibration_looks_at_fewer_items_of_larger_spaces(num_items, sampled):
    assert sample_size(num_items) == sampled
