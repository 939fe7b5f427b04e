"""Atlas: planted regions get names of their own, words that fit, a page and tables that hold all of them."""

import csv
import dataclasses
import json
import re
import warnings

import numpy as np
import pytest

import region_worlds
from fakes import WORDS, NearestEngine
from region_worlds import ENCODER, GENRES
from vecspeak.errors import UserError
from vecspeak.explore import Region, cluster_region, where_region
from vecspeak.explore.atlas import COLUMNS, make_atlas, to_json, write_tables
from vecspeak.explore.compare import diff
from vecspeak.explore.regions import describe
from vecspeak.report.html import render_atlas
from vecspeak.report.maps import region_colors
from vecspeak.spaces import Space


@pytest.fixture(scope="module")
def made():
    """An atlas with its regions, put into words."""
    return make_atlas(
        region_worlds.entry(atlas=False), method="kmeans", regions=4, reader=region_worlds.reader
    )


def test_every_planted_region_is_named_after_what_its_members_share(made):
    atlas, clusters = made
    assert [one.num_items for one in atlas.regions] == list(region_worlds.SIZES)
    for number, one in enumerate(atlas.regions):
        assert one.shared.values[0].name == GENRES[number] and one.named.rank == 1
        assert len({word for word in WORDS[2 * number : 2 * number + 2] if word in one.title}) >= 1
    assert clusters.names == tuple(one.title for one in atlas.regions)
    assert len(set(clusters.names)) == 4


def test_what_is_said_of_a_region_fits_it_best(made):
    atlas, _ = made
    assert atlas.found_back == (4, 4)
    for number, one in enumerate(atlas.regions):
        assert one.reading.rank == 1 and one.reading.among == 4
        assert one.reading.trust.is_clear and one.flags == ()
        assert set(WORDS[2 * number : 2 * number + 2]) & set(one.reading.text.split())


def test_an_answer_to_anything_is_flagged_and_ranks_low():
    class Same(NearestEngine):
        def stream(self, prompt, sampling):
            yield "ghost blood"

    entry = region_worlds.entry(atlas=False)
    same = Same(region_worlds.texts(), ENCODER)
    atlas, _ = make_atlas(
        entry, method="kmeans", regions=4, reader=lambda cut: region_worlds.reader(cut, engine=same)
    )
    assert atlas.found_back == (1, 4)
    assert all("the answer fits another region better" in one.flags for one in atlas.regions[1:])


def test_the_page_holds_every_region_and_asks_for_nothing(made):
    atlas, clusters = made
    page = render_atlas(atlas, region_worlds.space(), clusters)
    for one in atlas.regions:
        assert f'id="region-{one.number}"' in page
        assert page.count(one.title) >= 3
        assert one.reading.text in page
        assert all(near.label in page for near in (*one.geometry.typical, *one.geometry.edge))
    assert "<script" not in page and "http" not in page.split("</style>", 1)[1]
    assert page.count('class="dots r') == 4


def test_names_and_answers_are_escaped(made):
    atlas, clusters = made
    evil = dataclasses.replace(atlas.regions[0], title="<b>&</b>")
    page = render_atlas(
        dataclasses.replace(atlas, regions=(evil, *atlas.regions[1:])),
        region_worlds.space(),
        clusters.named(["<i>", "b", "c", "d"]),
    )
    assert "<b>&</b>" not in page and "&lt;b&gt;" in page and "<i>" not in page.replace('<i style="', "")


def test_the_tables_hold_every_region(made, tmp_path):
    atlas, _ = made
    table, whole = write_tables(atlas, tmp_path)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == (*COLUMNS, "run")
    assert [row["name"] for row in rows] == [one.title for one in atlas.regions]
    assert [row["answer"] for row in rows] == [one.reading.text for one in atlas.regions]
    kept = json.loads(whole.read_text())
    assert [one["num_items"] for one in kept["regions"]] == list(region_worlds.SIZES)
    assert all("flags" in one for one in kept["regions"])


def test_answers_that_are_kept_are_not_asked_again(tmp_path):
    class Counted(NearestEngine):
        asked = 0

        def generate(self, prompts, sampling):
            Counted.asked += len(prompts)
            return super().generate(prompts, sampling)

    for _ in range(2):
        entry = region_worlds.entry(atlas=False)
        engine = Counted(region_worlds.texts(), ENCODER)
        make_atlas(
            entry,
            method="kmeans",
            regions=4,
            reader=lambda cut, engine=engine: region_worlds.reader(cut, tmp_path / "answers.sqlite", engine),
        )
    assert Counted.asked == 4 * 8, "eight rows of each region, once"


def test_without_a_reader_nothing_is_said():
    atlas, _ = make_atlas(region_worlds.entry(atlas=False), method="kmeans", regions=4)
    assert atlas.found_back is None and all(one.reading is None for one in atlas.regions)
    assert all(one.shared.values for one in atlas.regions)


def test_items_without_a_region_are_counted_and_drawn(made):
    atlas, clusters = made
    labels = clusters.labels.copy()
    labels[:7] = -1
    page = render_atlas(atlas, region_worlds.space(), dataclasses.replace(clusters, labels=labels))
    drawn = dict(re.findall(r'class="dots (\w+)"><title>[^<]*</title>(?:<a [^>]*>)?<path d="([^"]*)"', page))
    assert list(drawn) == ["none", "r0", "r1", "r2", "r3"]
    assert drawn["none"].count("M") == 7


def test_one_region_is_no_atlas():
    with pytest.raises(UserError, match="one region"):
        make_atlas(region_worlds.entry(atlas=False), method="kmeans", regions=1)


def test_items_of_one_direction_are_told_so_and_not_to_try_what_was_tried():
    flat = region_worlds.space()
    flat = dataclasses.replace(flat, vectors=np.ones_like(flat.vectors))
    with pytest.raises(UserError, match="for its 180 items all point the same way") as caught:
        make_atlas(region_worlds.entry(atlas=False, space=flat))
    assert "n_regions" not in str(caught.value)


def test_every_region_has_a_color_of_its_own():
    for theme in zip(*region_colors(40), strict=True):
        assert len(set(theme)) == 40
        assert all(len(color) == 7 for color in theme)


# --- one region, and two ---


def test_a_region_is_described_against_all_and_against_its_surroundings():
    entry = region_worlds.entry()
    one = describe(entry, cluster_region(entry, 0), reader=region_worlds.reader(entry))
    assert one.share == pytest.approx(60 / 180)
    assert one.shared.values[0].name == one.apart.values[0].name == "Horror"
    assert one.apart.num_outside in region_worlds.SIZES[1:]
    assert one.reading.rank == 1 and one.reading.question == "Describe {x}."
    assert len(one.difference.trust) == 2 and one.difference.told_apart is None
    assert json.loads(json.dumps(to_json(one)))["reading"]["rank"] == 1


def test_what_a_query_asked_for_is_no_finding():
    """Years and genres of the planted regions differ; the columns that a query names are in neither contrast."""
    entry = region_worlds.entry()
    plain = describe(entry, cluster_region(entry, 3))
    assert "year" in {one.column for one in plain.shared.numbers} and plain.left_out == ()
    asked = where_region(entry.space, 'genres = "Romance" and (not genres = "Horror" or year > 1990)')
    found = describe(entry, asked)
    assert found.left_out == ("genres", "year")
    assert found.shared.numbers == found.shared.values == found.apart.numbers == found.apart.values == ()
    assert {"love", "kiss"} <= {one.name for one in found.shared.words}
    of_words = describe(entry, where_region(entry.space, 'text ~ "kiss"'))
    assert of_words.shared.words == () and of_words.shared.values[0].name == "Romance"


def test_a_set_of_items_is_held_against_the_regions_and_itself():
    entry = region_worlds.entry()
    some = Region(name="some", rows=np.flatnonzero(region_worlds.GROUPS == 2)[:10])
    assert describe(entry, some, reader=region_worlds.reader(entry)).reading.among == 5
    bare = region_worlds.entry(atlas=False)
    reading = describe(bare, some, reader=region_worlds.reader(bare)).reading
    assert reading.rank is None and reading.among == 0


def test_two_regions_are_told_apart_by_what_each_has_more_of():
    entry = region_worlds.entry()
    found = diff(entry, "cluster(0)", "cluster(1)", reader=region_worlds.reader(entry))
    assert found.more_in_first.values[0].name == "Horror"
    assert found.more_in_second.values[0].name == "Comedy"
    assert found.cosine < found.of_random_sets.low
    assert found.num_in_both == 0
    assert {near.label for near in found.first.nearest}.isdisjoint(
        near.label for near in found.second.nearest
    )


def test_what_is_in_both_counts_in_neither():
    entry = region_worlds.entry()
    found = diff(entry, "cluster(0)", 'where: genres = "Horror"')
    both = found.num_in_both
    assert both > 40
    assert found.more_in_first.num_inside == 60 - both
    assert found.more_in_first.num_outside == found.second.num_items - both
    same = diff(entry, "cluster(0)", "cluster(0)")
    assert same.cosine == pytest.approx(1.0) and same.more_in_first is None and same.num_in_both == 60


def test_halves_of_an_answer_are_held_against_their_own_places():
    class Halves(NearestEngine):
        def stream(self, prompt, sampling):
            vectors = [part.values for part in prompt if not isinstance(part, str)]
            texts = [self.texts[int((self.vectors @ vector).argmax())] for vector in vectors]
            yield f"The first: {texts[0]} The second: {texts[1]}"

    entry = region_worlds.entry()
    reader = region_worlds.reader(entry, engine=Halves(region_worlds.texts(), ENCODER))
    compared = diff(entry, "cluster(0)", "cluster(1)", reader=reader).compared
    assert compared.is_distinct and compared.told_apart > 0.3
    same = diff(entry, '"Item 1"', '"Item 1"', reader=reader).compared
    assert same.told_apart == pytest.approx(0.0, abs=1e-6) and not same.is_distinct


def test_points_are_held_apart_without_what_they_were_made_from():
    found = diff(region_worlds.entry(), '"Item 3"', 'mid("Item 3", "Item 150")')
    assert "Item 3" not in {near.label for near in (*found.first.nearest, *found.second.nearest)}
    assert found.more_in_first is None and found.of_random_sets is None
    assert 0 <= found.farther_than <= 100


def test_the_page_shows_one_level_at_a_time():
    """Eight regions: names of the groups stand on the map, and a switch without a script shows those of one level."""
    atlas, clusters = make_atlas(region_worlds.entry(atlas=False), method="kmeans", regions=8)
    assert [len(level) for level in atlas.levels] == [level.num_groups for level in clusters.levels] == [3, 5]
    page = render_atlas(atlas, region_worlds.space(), clusters)
    for depth, level in enumerate(atlas.levels):
        assert page.count(f'class="group-name level-{depth}"') == len(level)
        assert f'id="zoom-{depth}"' in page and f"#zoom-{depth}:checked ~ figure .level-{depth}" in page
        assert all(one.name.text in page for one in level)
    assert sorted(number for one in atlas.levels[0] for number in one.regions) == list(range(8))
    assert sum(one.num_items for one in atlas.levels[1]) == region_worlds.NUM
    assert atlas.regions[3].groups == tuple(level.name(3) for level in clusters.levels)
    assert "<script" not in page


@pytest.mark.parametrize("scale", [5e37, 1e-30])
def test_vectors_of_any_length_have_an_atlas(scale):
    draw = np.random.default_rng(0)
    vectors = (draw.normal(size=(120, 16)) * scale).astype(np.float32)
    plain = dataclasses.replace(
        region_worlds.entry(), space=Space.from_arrays(vectors, name="long"), clusters=None
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atlas, _ = make_atlas(plain, method="kmeans")
    assert all(np.isfinite(one.geometry.random.value) for one in atlas.regions)


def test_how_far_items_without_a_region_lie_is_said_plainly(made):
    atlas = dataclasses.replace(made[0], num_without=125, assigned_percentile=99.8)
    assert atlas.between == (
        "125 items are in no region: each is only said to be nearest to one, and half of them lie farther from its "
        "middle than all of its own items"
    )
    assert "than 87% of its own items" in dataclasses.replace(atlas, assigned_percentile=87.2).between
    assert dataclasses.replace(atlas, num_without=0, assigned_percentile=None).between == ""
