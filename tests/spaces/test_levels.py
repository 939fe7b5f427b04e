"""Levels: regions joined into groups that nest, and items without a region put to the nearest, with their distance."""

import tracemalloc

import numpy as np
import pytest

from vecspeak.spaces import Space
from vecspeak.spaces.assignment import assign
from vecspeak.spaces.clusters import Clusters
from vecspeak.spaces.levels import Level, joined_levels, level_sizes


def directions(groups=4, per=3, seed=0):
    """Centroids in tight bundles of three, far from each other."""
    draw = np.random.default_rng(seed)
    return np.repeat(np.eye(groups), per, axis=0) + 0.1 * draw.normal(size=(groups * per, groups))


def test_centroids_of_one_bundle_are_one_group():
    first, *_ = joined_levels(directions(), np.ones(12, dtype=int))
    assert level_sizes(12) == (3, 6)
    of_four = joined_levels(directions(4, 4), np.ones(16, dtype=int))[0]
    assert of_four.num_groups == 4
    assert all(len(set(of_four.parents[start : start + 4])) == 1 for start in range(0, 16, 4))
    assert first.num_groups == 3


@pytest.mark.parametrize("count", [6, 12, 30, 40, 200])
def test_every_group_lies_in_one_group_of_the_level_above(count):
    levels = joined_levels(np.random.default_rng(0).normal(size=(count, 8)), np.arange(1, count + 1))
    assert [one.num_groups for one in levels] == list(level_sizes(count))
    for above, below in zip(levels, levels[1:], strict=False):
        for group in range(below.num_groups):
            assert len(set(above.parents[below.parents == group])) == 1


def test_groups_are_numbered_by_their_items():
    sizes = np.array([1, 1, 1, 50, 50, 50, 9, 9, 9, 2, 2, 2, 2, 2, 2, 2])
    level = joined_levels(directions(4, 4)[: len(sizes)], sizes)[0]
    items = np.bincount(level.parents, sizes)
    assert (np.diff(items) <= 0).all()


def test_few_regions_and_regions_in_one_place_have_no_levels():
    assert joined_levels(directions(2, 2), np.ones(4, dtype=int)) == ()
    assert joined_levels(np.ones((12, 3)), np.ones(12, dtype=int)) == ()


@pytest.mark.parametrize(
    ("parents", "names"),
    [
        ([0, 2], ()),
        ([[0, 1]], ()),
        ([], ()),
        ([-1, 0], ()),
        ([0, 1], ("a",)),
        ([0, 10**9], ()),
        ([2**32, 1], ()),
        ([0.0, 1.4], ()),
        ([0, 1], ("", " ")),
    ],
)
def test_what_is_no_level_is_refused(parents, names):
    with pytest.raises(ValueError, match="level|group|names"):
        Level(parents=np.array(parents), names=names)


def test_a_level_with_a_huge_number_asks_for_no_memory():
    tracemalloc.start()
    with pytest.raises(ValueError, match="every number from 0 to 1"):
        Level(parents=np.array([0, 10**9]))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_levels_of_clusters_must_fit_and_nest():
    made = {
        "labels": np.arange(4),
        "centroids": np.eye(4),
        "method": "kmeans",
        "seed": 0,
        "space_digest": "",
    }
    outer, crossing = Level(parents=np.array([0, 0, 1, 1])), Level(parents=np.array([0, 1, 1, 2]))
    with pytest.raises(ValueError, match="two groups"):
        Clusters(**made, levels=(outer, crossing))
    with pytest.raises(ValueError, match="level of 3 regions"):
        Clusters(**made, levels=(Level(parents=np.array([0, 0, 1])),))
    named = Clusters(**made, levels=(outer,)).named("wxyz", "ab")
    assert named.names == tuple("wxyz") and named.levels[0].names == ("a", "b")
    assert named.named("efgh").levels[0].names == ("a", "b")


def with_outliers(seed=0):
    """Three dense regions, and twelve items in between."""
    draw = np.random.default_rng(seed)
    truth = np.repeat(np.arange(3), 50)
    between = np.array([[1, 1, 0.2], [0.2, 1, 1], [1, 0.2, 1.1], [0.9, 1, 0.1]])[np.arange(12) % 4]
    vectors = np.vstack([3 * np.eye(3)[truth] + 0.05 * draw.normal(size=(150, 3)), between])
    vectors += 0.01 * draw.normal(size=vectors.shape)
    ids = tuple(f"i{row}" for row in range(len(vectors)))
    return Space(name="s", ids=ids, labels=ids, vectors=vectors.astype(np.float32))


def dense_regions(space):
    """The three regions, and the others in none."""
    return Clusters(
        labels=np.append(np.repeat(np.arange(3), 50), [-1] * 12),
        centroids=np.stack([space.vectors[50 * number : 50 * number + 50].mean(0) for number in range(3)]),
        method="hdbscan",
        seed=0,
        space_digest=space.digest,
    )


def test_outliers_are_assigned_to_the_nearest_region_farther_out_than_its_members():
    space = with_outliers()
    clusters = dense_regions(space)
    found = assign(space, clusters)
    outside = clusters.labels < 0
    assert found.num_assigned == outside.sum() == 12
    assert np.array_equal(found.is_member, ~outside)
    assert np.array_equal(found.regions[~outside], clusters.labels[~outside])
    assert (found.percentiles[150:] == 100).all(), "beyond every member"
    units = space.vectors / np.linalg.norm(space.vectors, axis=1, keepdims=True)
    centers = clusters.centroids / np.linalg.norm(clusters.centroids, axis=1, keepdims=True)
    similar = units @ centers.T
    assert np.array_equal(found.regions[outside], similar[outside].argmax(1))
    np.testing.assert_allclose(found.distances, 1 - similar[np.arange(162), found.regions], atol=1e-5)
    for region in range(clusters.num_regions):
        own = found.percentiles[clusters.rows_of(region)]
        assert own.min() == 0 and 90 < own.max() < 100
