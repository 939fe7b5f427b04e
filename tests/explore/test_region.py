"""Region: how sets of items are chosen, what lies around them, and what is refused."""

import json

import numpy as np
import pytest

import region_worlds
from region_worlds import GROUPS
from vecspeak.errors import UserError
from vecspeak.explore import Region, cluster_region, ids_region, where_region
from vecspeak.explore.regions import geometry, region_named, surroundings
from vecspeak.points import evaluate


@pytest.fixture(scope="module")
def entry():
    return region_worlds.entry()


def test_a_region_of_the_atlas_is_the_point_that_its_expression_names(entry):
    region = cluster_region(entry, 2)
    assert len(region) == 40 and set(GROUPS[region.rows]) == {2}
    assert np.allclose(
        region.point(entry.space).vector, evaluate("cluster(2)", entry.scope).vector, atol=1e-6
    )


def test_a_query_and_its_centroid_are_one(entry):
    query = 'genres = "Horror" and year < 1960'
    region = where_region(entry.space, query)
    found = evaluate(f"centroid({query})", entry.scope)
    assert np.allclose(region.point(entry.space).vector, found.vector, atol=1e-6)
    assert region.name == f"centroid({query})"


@pytest.mark.parametrize("as_json", [True, False])
def test_ids_come_from_a_file_in_either_form(entry, tmp_path, as_json):
    path = tmp_path / "lasso"
    ids = ["i5", "i3", "i5", "i70"]
    path.write_text(json.dumps(ids) if as_json else "\n".join([*ids, "", " "]))
    assert ids_region(entry.space, path).rows.tolist() == [3, 5, 70]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no ids"),
        ("i1\nnobody\nnothing", "2 of 3 ids in .* 'nobody', 'nothing'; ids look like 'i0'"),
        ('["i1"', "begins like JSON"),
        ('["i1", 2.5]', "more than ids"),
    ],
)
def test_files_that_hold_no_such_ids_are_refused(entry, tmp_path, text, message):
    path = tmp_path / "lasso.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        ids_region(entry.space, path)


def test_a_missing_file_a_missing_atlas_and_an_empty_find_are_told(entry, tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        ids_region(entry.space, tmp_path / "none")
    with pytest.raises(UserError, match=r"no regions yet; make them with `VecSpeak.atlas\("):
        cluster_region(region_worlds.entry(atlas=False), 0)
    with pytest.raises(UserError, match="there is no region 9; the atlas has 4"):
        cluster_region(entry, 9)
    with pytest.raises(UserError, match="no item of 'planted' is found"):
        where_region(entry.space, "year > 3000")


def test_texts_name_regions_or_none(entry, tmp_path):
    (tmp_path / "ids.txt").write_text("i1\ni2")
    assert region_named(entry, " cluster( 3 ) ").number == 3
    assert len(region_named(entry, f"ids: {tmp_path / 'ids.txt'}")) == 2
    assert len(region_named(entry, 'where: genres = "Comedy"')) > 30
    assert region_named(entry, '"Item 3"') is None
    assert region_named(entry, '"where: Item 3"') is None


def test_around_a_region_of_the_atlas_lies_the_region_with_the_nearest_centroid(entry):
    centers = entry.clusters.centroids / np.linalg.norm(entry.clusters.centroids, axis=1)[:, None]
    similar = centers @ centers.T - 2 * np.eye(4)
    for number in range(4):
        assert surroundings(entry, cluster_region(entry, number)).number == similar[number].argmax()


def test_around_any_other_set_lie_the_nearest_items_outside(entry):
    region = Region(name="some", rows=np.flatnonzero(GROUPS == 1)[:20])
    around = surroundings(entry, region)
    assert len(around) == 20 and not set(around.rows) & set(region.rows)
    assert set(GROUPS[around.rows]) == {1}
    most = Region(name="most", rows=np.arange(150))
    assert len(surroundings(entry, most)) == region_worlds.NUM - 150


def test_nothing_lies_around_everything(entry):
    everything = Region(name="all", rows=np.arange(region_worlds.NUM))
    with pytest.raises(UserError, match="nothing is around it"):
        surroundings(entry, everything)


def test_a_planted_group_is_tight_and_a_random_set_is_not(entry):
    tight = geometry(entry, cluster_region(entry, 0))
    assert tight.is_tight and tight.spread.low > tight.random.high
    rows = np.sort(np.random.default_rng(0).choice(region_worlds.NUM, 60, replace=False))
    loose = geometry(entry, Region(name="random", rows=rows))
    assert not loose.is_tight
    assert loose.random.low - 0.02 < loose.spread.value < loose.random.high + 0.02


def test_typical_members_are_nearest_to_the_middle_and_edge_ones_farthest(entry):
    region = cluster_region(entry, 1)
    found = geometry(entry, region)
    scores = [near.similarity for near in (*found.typical, *found.edge[::-1])]
    assert scores == sorted(scores, reverse=True)
    members = {entry.space.ids[row] for row in region.rows}
    assert {near.id for near in (*found.typical, *found.edge)} <= members
    assert not {near.id for near in found.typical} & {near.id for near in found.edge}


def test_one_item_is_a_region_too(entry):
    found = geometry(entry, Region(name="one", rows=np.array([7])))
    assert found.spread.value == pytest.approx(1.0) and found.edge == ()


def test_a_mark_at_the_beginning_of_a_file_of_ids_is_no_part_of_them(entry, tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("i3\ni5\n", encoding="utf-8-sig")
    assert ids_region(entry.space, path).rows.tolist() == [3, 5]
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot read .*ids.txt as text"):
        ids_region(entry.space, path)
