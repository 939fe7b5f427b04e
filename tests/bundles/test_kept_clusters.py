"""Clusters of a bundle: kept with the space, passed over for another version of it, refused when damaged."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from vecspeak.bundles import load_bundle, save_entry
from vecspeak.bundles.bundle import load_clusters, save_clusters
from vecspeak.errors import UserError
from vecspeak.spaces.clusters import cluster_space
from worlds import bundle, entry, space


def test_regions_stay_with_their_bundle_and_expressions_know_them(tmp_path):
    made = bundle(tmp_path / "b")
    found = cluster_space(space(), "kmeans", k=4).named(["a", "b", "c", "d"])
    save_entry(made, dataclasses.replace(made.entry(), clusters=found))
    kept = load_bundle(tmp_path / "b").entry()
    assert np.array_equal(kept.clusters.labels, found.labels)
    assert np.array_equal(kept.clusters.centroids, found.centroids)
    assert kept.clusters.names == ("a", "b", "c", "d")
    assert (kept.clusters.method, kept.clusters.seed) == ("kmeans", 0)
    assert kept.scope.clusters is kept.clusters


def test_regions_of_another_version_are_passed_over_and_not_written_again(tmp_path):
    made = bundle(tmp_path / "b")
    other = space().take(range(40))
    save_clusters(cluster_space(other), tmp_path / "b" / "spaces" / "pairs")
    opened = load_bundle(tmp_path / "b")
    assert opened.entry().clusters is None
    stale = dataclasses.replace(entry(), clusters=cluster_space(other))
    assert save_entry(made, stale).entry().clusters is None
    assert not (tmp_path / "b" / "spaces" / "pairs" / "clusters.safetensors").exists()


@pytest.mark.parametrize("harm", ["cut", "names", "labels"])
def test_a_damaged_file_says_how_to_make_it_again(tmp_path, harm):
    found = cluster_space(space(), "kmeans", k=4)
    path = tmp_path / "clusters.safetensors"
    save_clusters(found, tmp_path)
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-50])
    elif harm == "names":
        path.write_bytes(path.read_bytes().replace(b"names", b"nomes"))
    else:
        save_clusters(dataclasses.replace(found, labels=found.labels[:40]), tmp_path)
    with pytest.raises(UserError, match=r"`VecSpeak.atlas\(...\)` makes it again"):
        load_clusters(space(), tmp_path)


def test_levels_stay_with_their_names_and_an_older_file_has_none(tmp_path):
    found = cluster_space(space(), "kmeans", k=9)
    assert [level.num_groups for level in found.levels] == [3, 5]
    found = found.named("abcdefghi", "xyz", "mnopq")
    save_clusters(found, tmp_path)
    opened = load_clusters(space(), tmp_path)
    for before, after in zip(found.levels, opened.levels, strict=True):
        assert np.array_equal(before.parents, after.parents) and before.names == after.names
    path = tmp_path / "clusters.safetensors"
    arrays = {"labels": found.labels, "centroids": found.centroids}
    header = {"method": "kmeans", "seed": 0, "digest": space().digest, "note": "", "names": []}
    save_file(arrays, path, metadata={"regions": json.dumps(header)})
    old = load_clusters(space(), tmp_path)
    assert old.levels == () and np.array_equal(old.labels, found.labels)
    save_file(arrays, path, metadata={"regions": json.dumps(header | {"levels": [["x", "y"]]})})
    with pytest.raises(UserError, match="damaged"):
        load_clusters(space(), tmp_path)


@pytest.mark.parametrize(
    ("names", "levels", "message"),
    [
        ("abcdefghi", [[], []], "groups of a level have none"),
        ([""] * 9, [["x"] * 3, ["x"] * 5], "name of the regions is empty"),
        ("abcdefghi", [["x"] * 3, ["x"] * 4], "4 names for 5 groups"),
    ],
)
def test_names_in_a_file_are_as_many_as_what_they_are_of(tmp_path, names, levels, message):
    found = cluster_space(space(), "kmeans", k=9).named("abcdefghi", "xyz", "mnopq")
    save_clusters(found, tmp_path)
    path = tmp_path / "clusters.safetensors"
    with safe_open(path, "np") as file:
        header = json.loads(file.metadata()["regions"])
        arrays = {key: file.get_tensor(key) for key in file.keys()}
    header |= {"names": list(names), "levels": levels}
    save_file(arrays, path, metadata={"regions": json.dumps(header)})
    with pytest.raises(UserError, match=message):
        load_clusters(space(), tmp_path)
