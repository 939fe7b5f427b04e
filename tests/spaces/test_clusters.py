"""Clusters: planted regions are found, numbered by size, the same under a seed, and never a caricature."""

import numpy as np
import pytest

from vecspeak.errors import UserError
from vecspeak.spaces import Space, clusters
from vecspeak.spaces.clusters import Clusters, cluster_space, default_regions

SIZES = (60, 40, 25)


def a_space(vectors, name="planted"):
    ids = tuple(f"i{row}" for row in range(len(vectors)))
    return Space(name=name, ids=ids, labels=ids, vectors=vectors.astype(np.float32))


def planted(noise=0.05, seed=0, dim=8):
    """Three directions of unequal many items, in mixed order; and which direction each item has."""
    draw = np.random.default_rng(seed)
    truth = draw.permutation(np.repeat(np.arange(3), SIZES))
    lengths = draw.uniform(0.2, 5.0, len(truth))[:, None]
    return a_space((np.eye(dim)[truth] + noise * draw.normal(size=(len(truth), dim))) * lengths), truth


@pytest.mark.parametrize("method", ["kmeans", "hdbscan", "auto"])
def test_planted_regions_are_found_whatever_the_lengths(method):
    space, truth = planted()
    found = cluster_space(space, method, k=3 if method == "kmeans" else None)
    assert found.num_regions == 3
    assert found.sizes.sum() >= 0.9 * len(truth)
    for region in range(3):
        assert len(set(truth[found.rows_of(region)])) == 1


def test_regions_are_numbered_by_size_and_the_same_every_time():
    space, truth = planted()
    found = cluster_space(space, "kmeans", k=3)
    assert tuple(found.sizes) == SIZES
    assert np.array_equal(found.labels, truth)
    assert np.array_equal(found.labels, cluster_space(space, "kmeans", k=3).labels)


def test_a_centroid_is_the_mean_of_the_items():
    space, _ = planted()
    found = cluster_space(space, "kmeans", k=3)
    for region in range(3):
        mean = space.vectors[found.rows_of(region)].astype(np.float64).mean(0)
        assert np.allclose(found.centroid(region), mean, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([0] * 90 + [1] * 5 + [2] * 5, "90% of the items into one region"),
        ([0] * 5 + [1] * 5 + [-1] * 90, "90% of the items without a region"),
        ([0] * 50 + [1] * 50, "finds 2 regions"),
        ([0] * 45 + [1] * 20 + [2] * 8 + [-1] * 27, "45% of the items into one region and leaves 27%"),
        ([-1] * 100, "without a region"),
    ],
)
def test_auto_takes_kmeans_where_hdbscan_gives_a_caricature_and_says_why(monkeypatch, labels, reason):
    monkeypatch.setattr(clusters, "_by_density", lambda space, seed: np.array(labels))
    found = cluster_space(a_space(np.random.default_rng(0).normal(size=(100, 6))))
    assert found.method == "kmeans" and reason in found.note
    assert (found.labels >= 0).all() and found.sizes.max() <= 50


def test_a_cloud_without_regions_falls_back_by_itself():
    found = cluster_space(a_space(np.random.default_rng(0).normal(size=(300, 20))))
    assert found.method == "kmeans" and found.num_regions == default_regions(300) == 12


def test_many_items_join_the_regions_of_a_sample(monkeypatch):
    space, _ = planted()
    whole = cluster_space(space, "hdbscan").labels
    monkeypatch.setattr(clusters, "_DENSITY_SAMPLE", 80)
    monkeypatch.setattr(clusters, "_BLOCK", 32)
    sampled = cluster_space(space, "hdbscan")
    both = (whole >= 0) & (sampled.labels >= 0)
    assert both.mean() > 0.8 and np.array_equal(whole[both], sampled.labels[both])


def test_fewer_places_than_regions_leave_no_empty_region():
    vectors = np.repeat(np.eye(4), 5, axis=0)
    found = cluster_space(a_space(vectors), "kmeans", k=9)
    assert found.num_regions == 4 and found.sizes.tolist() == [5, 5, 5, 5]


@pytest.mark.parametrize(("count", "wanted"), [(1, 1), (2, 2), (50, 5), (5000, 40), (10**6, 40)])
def test_the_default_number_of_regions(count, wanted):
    assert default_regions(count) == wanted


@pytest.mark.parametrize("count", [1, 2, 5])
def test_tiny_spaces_have_regions_too(count):
    found = cluster_space(a_space(np.random.default_rng(0).normal(size=(count, 3))))
    assert found.sizes.sum() == count


@pytest.mark.parametrize(
    ("method", "k", "message"),
    [
        ("kmeans", 0, "`n_regions` is a whole number of 1 or more, got 0"),
        ("kmeans", 126, "cannot be cut into 126 regions"),
        ("hdbscan", 4, "finds how many regions"),
        ("ward", None, "choose one of auto, kmeans, hdbscan"),
    ],
)
def test_what_cannot_be_is_refused(method, k, message):
    with pytest.raises(UserError, match=message):
        cluster_space(planted()[0], method, k=k)


def test_hdbscan_that_finds_nothing_says_what_to_use():
    with pytest.raises(UserError, match="`method='kmeans'`"):
        cluster_space(a_space(np.random.default_rng(0).normal(size=(40, 15))), "hdbscan")


def test_a_region_that_is_not_there_is_named_with_those_that_are():
    found = cluster_space(planted()[0], "kmeans", k=3)
    for ask in (found.rows_of, found.centroid, found.name):
        with pytest.raises(UserError, match="there is no region 3; the atlas has 3"):
            ask(3)
    assert found.name(1) == "" and found.named(["a", "b", "c"]).name(1) == "b"


@pytest.mark.parametrize(
    "change",
    [{"labels": [0, 2]}, {"labels": [0, -2, 1]}, {"centroids": np.ones((0, 2))}, {"names": ("one",)}],
)
def test_what_no_regions_can_be_is_refused(change):
    good = {"labels": [0, 1, -1], "centroids": np.ones((2, 2)), "names": ()}
    Clusters(**good, method="kmeans", seed=0, space_digest="")
    with pytest.raises(ValueError):
        Clusters(**{**good, **change}, method="kmeans", seed=0, space_digest="")
