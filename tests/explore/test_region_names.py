"""Names: each region has its own, true of its members, and the same however rows are ordered."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

import region_worlds
from fakes import WORDS
from region_worlds import GENRES
from vecspeak.explore.contrast import FeatureContrast
from vecspeak.explore.names import Naming, Reading, RegionName, _written, name_regions
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters, cluster_space
from vecspeak.spaces.levels import Level
from vecspeak.stats import Estimate

KINDS = (
    *("goat", "cattle", "chicken", "turkey"),
    *("river", "lake", "harbour", "swamp"),
    *("motor", "wheel", "piston", "turbine"),
    *("violin", "drum", "flute", "organ"),
)
"""Sixteen regions, of which four at a time are alike."""
GROUPS = ("farm", "water", "machine", "music")


def nested(per=24, seed=0):
    """Sixteen regions of 24 items in four groups: a text has a word of its group, one of its region, two of any."""
    draw = np.random.default_rng(seed)
    fine = np.repeat(np.arange(16), per)
    texts = [
        f"{GROUPS[one // 4]}, {KINDS[one]}, {', '.join(draw.choice(['red', 'blue', 'tall', 'small', 'round'], 2))}"
        for one in fine.tolist()
    ]
    vectors = np.hstack([3 * np.eye(4)[fine // 4], np.eye(16)[fine]]) + 0.05 * draw.normal(
        size=(len(fine), 20)
    )
    ids = tuple(f"i{row}" for row in range(len(fine)))
    return Space(
        name="nested",
        ids=ids,
        labels=ids,
        vectors=vectors.astype(np.float32),
        metadata=pa.table({"text": texts}),
    )


def texts_of(names: Naming) -> list[list[str]]:
    return [[one.text for one in level] for level in (*names.levels, names.regions)]


@pytest.fixture(scope="module")
def found():
    space = nested()
    clusters = cluster_space(space, "kmeans", k=16)
    return space, clusters, name_regions(space, clusters)


def test_regions_are_named_by_what_sets_them_apart_and_groups_by_what_they_share(found):
    _, clusters, names = found
    assert [one.num_groups for one in clusters.levels] == [4, 8]
    assert sorted(one.text for one in names.levels[0]) == sorted(GROUPS)
    assert sorted(one.text for one in names.regions) == sorted(KINDS)
    for one in names.regions:
        assert (one.coverage, one.precision, one.rank, one.among) == (1.0, pytest.approx(1.0), 1, 16)
        assert one.auc == pytest.approx(1.0)


def test_members_of_a_group_are_those_of_its_regions(found):
    _, clusters, names = found
    named = names.on(clusters)
    for level in named.levels:
        groups = level.labels(named.labels)
        for region in range(named.num_regions):
            assert set(groups[named.rows_of(region)]) == {level.parents[region]}
            assert level.name(region) == level.names[level.parents[region]]
    assert named.names == tuple(one.text for one in names.regions)


def test_the_order_of_rows_changes_nothing(found):
    space, clusters, names = found
    order = np.random.default_rng(3).permutation(space.num_items)
    turned = dataclasses.replace(clusters, labels=clusters.labels[order])
    assert texts_of(name_regions(space.take(order), turned)) == texts_of(names)


def test_words_that_stand_together_are_one_term():
    atlas_space = region_worlds.space()
    clusters = cluster_space(atlas_space, "kmeans", k=4)
    names = name_regions(atlas_space, clusters).regions
    for number, one in enumerate(names):
        first, second = WORDS[2 * number : 2 * number + 2]
        assert one.text in (f"{first} {second}", f"{GENRES[number]}: {first} {second}"), (
            "one term of two words"
        )
        assert one.coverage > 0.9 and one.rank == 1 and one.precision > 0.4


def written(*terms, proper=()):
    return _written(
        [
            FeatureContrast(
                column=column, name=name, inside=0.5, outside=0.1, lift=Estimate(5.0, 3.0, 8.0), q=0.0
            )
            for column, name in terms
        ],
        frozenset(proper),
    )


def test_names_are_written_values_first_and_proper_ones_with_a_capital():
    assert written(("text", "horse"), ("genres", "Western"), ("text", "texas"), proper=["texas"]) == (
        "Western: horse, Texas"
    )
    assert written(("text", "new york"), proper=["new york"]) == "New York"
    assert written(("genres", "Horror"), ("year", "old")) == "Horror, old"


def clusters_of(labels, dim=3, levels=()):
    labels = np.asarray(labels)
    centroids = np.random.default_rng(1).normal(size=(labels.max() + 1, dim))
    return Clusters(
        labels=labels, centroids=centroids, method="kmeans", seed=0, space_digest="", levels=levels
    )


def a_space(count, metadata=None, labels=None):
    ids = tuple(f"i{row}" for row in range(count))
    return Space(
        name="s",
        ids=ids,
        labels=labels or ids,
        vectors=np.random.default_rng(0).normal(size=(count, 3)).astype(np.float32),
        **({} if metadata is None else {"metadata": metadata}),
    )


LEVELS = (Level(parents=np.array([0, 0, 0, 1, 1, 1])), Level(parents=np.array([0, 0, 1, 2, 2, 3])))


@pytest.mark.parametrize("kind", ["alike", "none", "empty", "one label", "stop words", "flags"])
def test_names_are_unique_where_nothing_sets_regions_apart(kind):
    """All texts alike, no texts at all, texts of nothing but stop words, and one label for all."""
    count = 120
    columns = {
        "alike": {"text": ["the same words for every item"] * count},
        "empty": {"text": [""] * count},
        "stop words": {"text": ["and the of it"] * count},
        "flags": {"seen": [row % 2 == 0 for row in range(count)]},
    }.get(kind)
    labels = ("Heat",) * count if kind == "one label" else None
    space = a_space(count, None if columns is None else pa.table(columns), labels)
    names = name_regions(space, clusters_of(np.arange(count) % 6, levels=LEVELS))
    fine = [one.text for one in names.regions]
    assert len(set(fine)) == 6 and all(text.startswith("around ") for text in fine)
    members = {b"": ""}
    for level, of_level in zip(LEVELS, names.levels, strict=True):
        for group, one in enumerate(of_level):
            members[(level.parents == group).tobytes()] = one.text
    for number, one in enumerate(names.regions):
        members[(np.arange(6) == number).tobytes()] = one.text
    assert len(set(members.values())) == len(members), "other members, another name, on whatever level"


def test_regions_of_numbers_are_named_by_their_middle_then_by_a_typical_item():
    labels = np.repeat(np.arange(3), 40)
    years = (1950 + 20 * labels + np.tile(np.arange(40) % 5, 3)).tolist()
    names = name_regions(a_space(120, pa.table({"year": pa.array(years)})), clusters_of(labels)).regions
    assert [one.text for one in names] == [
        "year about 1952",
        "around " + names[1].text[7:],
        "year about 1992",
    ]
    assert all(one.coverage is None and one.terms == () for one in names)


def test_a_space_without_words_is_named_by_what_is_read_from_its_middles():
    def read(middles):
        probabilities = np.full((len(middles), 4), 0.1)
        probabilities[np.arange(len(middles)), np.arange(len(middles))] = 0.9
        return Reading(
            terms=("wool", "linen", "silk", "the"),
            probabilities=probabilities,
            worth=probabilities * [1, 1, 1, 0],
        )

    names = name_regions(a_space(90), clusters_of(np.repeat(np.arange(3), 30)), read=read).regions
    assert [one.text for one in names] == ["wool", "linen", "silk"] and all(one.is_read for one in names)


def test_a_name_that_few_members_fit_says_so():
    """Each region has a word of its own that a sixth of its members have."""
    labels = np.repeat(np.arange(2), 120)
    words = (("apple", "pear"), ("stone", "sand"))
    texts = [
        f"thing {words[label][0] if row % 6 == 0 else 'rest'}" for row, label in enumerate(labels.tolist())
    ]
    names = name_regions(a_space(240, pa.table({"text": texts})), clusters_of(labels)).regions
    assert [one.text for one in names] == ["mixed: apple", "mixed: stone"]
    assert [one.coverage for one in names] == [pytest.approx(1 / 6)] * 2


def test_one_region_is_everything():
    assert name_regions(a_space(30), clusters_of(np.zeros(30, dtype=int))).regions == (
        RegionName(text="everything"),
    )


def test_a_value_that_nearly_all_members_share_and_others_lack_is_in_the_name():
    """A region whose word ranks best has its column's value too, which another region shares."""
    draw = np.random.default_rng(0)
    fine = np.repeat(np.arange(6), 30)
    products = ["bike", "bike", "tent", "shoe", "chair", "lamp"]
    words = ["credited", "saddle", "zipper", "laces", "armrest", "bulb"]
    space = Space.from_arrays(
        (4 * np.eye(6)[fine] + 0.1 * draw.normal(size=(180, 6))).astype(np.float32),
        texts=[f"the {words[one]} again" for one in fine],
        metadata={"product": [products[one] for one in fine], "letter": list("abcdef" * 30)},
        name="shop",
    )
    names = name_regions(space, cluster_space(space, "kmeans", k=6)).regions
    ours = {one.text for one in names if "bike" in one.terms}
    assert ours == {"bike: credited", "bike: saddle"}


def test_a_single_letter_is_no_name():
    fine = np.repeat(np.arange(4), 30)
    vectors = 4 * np.eye(4)[fine] + 0.1 * np.random.default_rng(0).normal(size=(120, 4))
    space = Space.from_arrays(
        vectors.astype(np.float32),
        metadata={"c": [("e", "cc", "犬", "7")[one] for one in fine]},
        name="letters",
    )
    names = name_regions(space, cluster_space(space, "kmeans", k=4)).regions
    assert {one.text for one in names if one.terms} == {"cc", "犬"}
    assert sum(one.text.startswith("around ") for one in names) == 2
