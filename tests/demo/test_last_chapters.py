"""The trace and the atlas of the demo: what stands in the page is what the components gave."""

import dataclasses
import html
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from vecspeak.asking import Asker, percentiles
from vecspeak.bundles import load_bundle, save_entry
from vecspeak.demo import run
from vecspeak.demo.chapters import ATLAS, PLANS, REGIONS, STEPS, TRACE, Deck
from vecspeak.demo.data import SEMANTIC
from vecspeak.demo.page import atlas_sentences, trace_sentences, transcript, verdict
from vecspeak.demo.results import ClauseCount
from vecspeak.demo.run import silhouette, silhouette_of_cloud, step_vectors
from vecspeak.explore.atlas import make_atlas
from vecspeak.points import evaluate
from vecspeak.spaces.clusters import cluster_space


def squeezed(page):
    """The page's text without tags, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split())


@pytest.fixture
def asker(bundle, shared_world):
    return Asker(bundle.entry(SEMANTIC), lambda: shared_world.engine, lambda: shared_world.encoder)


def test_the_trace_starts_at_the_next_held_out_movie_of_the_draw(demo, bundle, sources):
    entry, deck = bundle.entry(SEMANTIC), Deck(bundle, sources)
    drawn = [subject for plan in PLANS for subject in deck.subjects(plan)]
    assert deck.start_of_trace().expression == demo.trace.trace.start
    start = entry.space.index_of(evaluate(demo.trace.trace.start, entry.scope).item_id)
    assert entry.space.ids[start] in entry.held_out
    assert demo.trace.start.heading not in {subject.heading for subject in drawn}
    assert not re.search("Horror|Comedy", demo.trace.start.facts[0].text)


def test_the_trace_has_every_step_and_its_controls(demo):
    found = demo.trace.trace
    assert [path.kind for path in found.paths] == ["concept", "random", "isotropic"]
    for path in found.paths:
        assert tuple(step.amount for step in path.steps) == STEPS and STEPS[0] == -STEPS[-1]
    assert demo.trace.judge.startswith("classifier of real texts")
    middle = {path.steps[len(STEPS) // 2].text for path in found.paths}
    assert len(middle) == 1, "all ways meet at the movie itself"


def test_controls_are_drawn_where_they_were_asked(demo, bundle):
    entry, found = bundle.entry(SEMANTIC), demo.trace.trace
    start = evaluate(found.start, entry.scope)
    for path, vectors in zip(found.paths, step_vectors(entry, start, found), strict=True):
        told = [step.percentile for step in path.steps]
        assert percentiles(entry, start, vectors.astype(np.float32)) == pytest.approx(told, abs=1e-3)


def test_movies_of_the_genre_are_counted_among_the_nearest(demo, bundle):
    genres = dict(
        zip(
            bundle.entry(SEMANTIC).space.ids,
            bundle.entry(SEMANTIC).space.metadata.column("genres").to_pylist(),
            strict=True,
        )
    )
    for path, row in zip(demo.trace.trace.paths, demo.trace.near, strict=True):
        assert row == tuple(sum("Horror" in genres[near.id] for near in step.nearest) for step in path.steps)
    assert demo.trace.near[0][-1] > demo.trace.near[0][0], "the concept leads to its genre"


def test_the_page_has_the_numbers_of_the_trace(demo, page):
    text, found = squeezed(page), demo.trace
    for path in found.trace.paths:
        for step, near in zip(path.steps, found.near[found.trace.paths.index(path)], strict=True):
            judged = f"{step.judged[found.judge]:+.2f}".replace("-", "−")
            told = f"horror in the answer {judged}; {near} of 5 nearest have the genre Horror; percentile"
            assert f"{told} {step.percentile:.0f}" in text
            assert step.text in text
        assert f"{path.slopes[found.judge]:+.3f}".replace("-", "−") in text
    own, others, _ = found.near
    assert (
        f"{own[0]} and {own[-1]} along horror, {others[0]} and {others[-1]} along a random direction," in text
    )
    for sentence in trace_sentences(found):
        assert sentence in text


def test_what_a_trace_shows_is_decided_by_its_numbers(demo):
    def with_slopes(*slopes):
        paths = [
            dataclasses.replace(path, slopes={demo.trace.judge: slope})
            for path, slope in zip(demo.trace.trace.paths, slopes, strict=True)
        ]
        made = dataclasses.replace(demo.trace.trace, path=paths[0], controls=tuple(paths[1:]))
        return dataclasses.replace(demo.trace, trace=made)

    assert trace_sentences(with_slopes(0.2, -0.1, 0.05))[2].startswith("In the answers it rises")
    for slopes in [(0.2, -0.3, 0.0), (-0.2, 0.0, 0.0), (0.1, 0.0, 0.1)]:
        assert "does not show that the concept is read" in trace_sentences(with_slopes(*slopes))[2]


def test_where_a_trace_leaves_the_data_is_told(demo):
    def edges(below, above):
        trace = dataclasses.replace(demo.trace.trace, leaves_below=below, leaves_above=above)
        return trace_sentences(dataclasses.replace(demo.trace, trace=trace))[3]

    assert "leaves the data at +7.2 standard" in edges(None, 7.25)
    assert "leaves the data at −3 standard" in edges(-3.0, None)
    assert "stays inside the data, from −12 to +12" in edges(None, None)


def test_the_atlas_is_what_the_component_makes(demo, bundle, asker):
    from vecspeak.explore.regions import RegionReader

    made, clusters = make_atlas(
        bundle.entry(SEMANTIC),
        regions=REGIONS,
        reader=lambda entry: RegionReader.from_bundle(
            bundle, Asker(entry, lambda: asker.engine, lambda: asker.encoder)
        ),
    )
    lines = demo.atlas.to_dict()["regions"]
    assert len(lines) == REGIONS == len(made.regions)
    for line, one in zip(lines, made.regions, strict=True):
        assert (line["number"], line["title"], line["items"]) == (one.number, one.title, one.num_items)
        assert (line["text"], line["rank"]) == (one.reading.text, one.reading.rank)
    assert (demo.atlas.found_back, REGIONS) == made.found_back
    share = demo.atlas.found_share
    assert 0 <= share.low < share.value == demo.atlas.found_back / REGIONS and share.value <= share.high <= 1
    assert demo.atlas.drawing.silhouette == pytest.approx(
        silhouette(bundle.entry(SEMANTIC).space.vectors, clusters.labels)
    )


def test_the_page_has_every_region_with_its_numbers(demo, page):
    text = squeezed(page)
    for region in demo.atlas.atlas.regions:
        assert f'id="region-{region.number}"' in page and f'href="#region-{region.number}"' in page
        assert f"{region.number}{region.title}{region.num_items} movies" in text
        assert region.reading.text in text
        evidence = region.reading.trust
        assert f"round trip {evidence.round_trip:.2f} (others {evidence.swapped:.2f})" in text
    for sentence in atlas_sentences(demo.atlas):
        assert sentence in text
    assert verdict(demo) in text


def test_every_picture_is_well_formed_and_holds_its_marks(demo, page):
    pictures = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    named = {picture.get("aria-label", ""): picture for picture in pictures}
    assert len(pictures) == 1 + len(demo.chapters) + 3 + 2
    regions = next(picture for label, picture in named.items() if label.endswith(f"with {REGIONS} regions"))
    titles = [one.text.strip() for one in regions.iter("title")]
    assert titles == [f"{region.number} {region.title}" for region in demo.atlas.atlas.regions]
    assert sum(path.get("d").count("M") for path in regions.iter("path")) == 160
    steps = named[f"Map of {SEMANTIC} with the steps of this chapter"]
    assert [text.text for text in steps.iter("text")] == ["−12", "0", "+12"]
    assert len(stops(steps)) == 2 * len(STEPS), "of the concept and of one random direction"
    for title in ("Horror in the answer", "Horror movies near", "Distance from the data"):
        picture = named[f"{title} along horror and random directions"]
        width, height = map(float, picture.get("viewBox").split()[2:])
        assert len(stops(picture)) == 3 * len(STEPS)
        assert all(0 < x < width and 0 < y < height for x, y in stops(picture))


def stops(picture):
    """Where the dots of the steps lie."""
    paths = [
        path.get("d")
        for one in picture.iter("g")
        if "stop" in one.get("class", "")
        for path in one.iter("path")
    ]
    return [tuple(map(float, dot)) for path in paths for dot in re.findall(r"M(\S+) ([\d.]+)h0", path)]


def test_a_cloud_has_no_groups_and_planted_groups_have():
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(300, 12))
    groups = rng.normal(size=(4, 12)).repeat(75, 0) * 4 + cloud
    space = cluster_labels(groups, 4)
    assert silhouette(groups, space) > 0.25 > silhouette_of_cloud(cloud, 4) > 0
    assert silhouette_of_cloud(groups, 4) < silhouette(groups, space)


def cluster_labels(vectors, count):
    from vecspeak.spaces import Space

    ids = tuple(map(str, range(len(vectors))))
    space = Space(name="s", ids=ids, labels=ids, vectors=vectors.astype(np.float32))
    return cluster_space(space, k=count).labels


def test_what_is_said_of_the_cuts_depends_on_the_silhouette(demo):
    def groups(value):
        drawing = dataclasses.replace(demo.atlas.drawing, silhouette=value)
        return atlas_sentences(dataclasses.replace(demo.atlas, drawing=drawing))[1]

    assert "cuts through a cloud" in groups(0.01)
    assert "cuts through a cloud" not in groups(0.6)


def test_the_regions_are_in_the_bundle_and_can_be_asked_about(demo, bundle):
    entry = bundle.entry(SEMANTIC)
    assert demo.atlas.in_bundle
    assert entry.clusters.names == tuple(region.title for region in demo.atlas.atlas.regions)
    point = evaluate("cluster(7)", entry.scope)
    members = entry.space.vectors[entry.clusters.labels == 7]
    assert point.vector == pytest.approx(members.mean(0), abs=1e-5)


def test_other_regions_in_the_bundle_stay_and_are_told(world):
    world.make()
    folder = world.folder / "out" / "movies.bundle"
    bundle = load_bundle(folder)
    entry = bundle.entry(SEMANTIC)
    save_entry(bundle, dataclasses.replace(entry, clusters=cluster_space(entry.space, k=3)))
    again = world.make()
    assert not again.atlas.in_bundle and "holds other regions" in atlas_sentences(again.atlas)[2]
    assert load_bundle(folder).entry(SEMANTIC).clusters.num_regions == 3


def test_the_drawing_is_made_once_and_again_when_it_is_broken(world, demo, monkeypatch):
    first = world.make()
    kept = world.folder / "out" / "movies.map.json"
    assert any("drawing the map" in line for line in world.lines)
    with monkeypatch.context() as patch:
        patch.setattr(run, "place_items", lambda *_, **__: pytest.fail("drawn again"))
        assert world.make().atlas == first.atlas
    assert not any("drawing the map" in line for line in world.lines)
    for broken in ("{", json.dumps({"key": json.loads(kept.read_text())["key"]})):
        kept.write_text(broken)
        assert world.make().atlas == first.atlas
        assert any("drawing the map" in line for line in world.lines)


def test_each_chapter_tells_what_it_is_doing(demo, shared_world):
    told = "\n".join(shared_world.lines)
    for line in ("going along horror in 7 steps", f"cutting {SEMANTIC} into {REGIONS} regions", "into words"):
        assert line in told


def test_the_last_chapters_are_in_the_transcript_and_in_json(demo):
    text = transcript(demo, 60)
    assert max(map(len, text.splitlines())) <= 60
    assert "6. " + TRACE.title in text and "7. " + ATLAS.title in text
    for region in demo.atlas.atlas.regions:
        assert re.search(rf"^ +{region.number} +{region.num_items} ", text, re.MULTILINE)
    found = json.loads(json.dumps(demo.to_dict()))
    assert "drawing" not in found["atlas"] and len(found["atlas"]["regions"]) == REGIONS
    assert found["trace"]["trace"]["path"]["steps"][0]["amount"] == STEPS[0]


def test_answers_of_the_last_chapters_are_escaped(demo, page):
    assert any("<script>" in region.reading.text for region in demo.atlas.atlas.regions)
    assert all("<script>" in step.text for step in demo.trace.trace.path.steps)
    assert "<script" not in page.lower()


@pytest.mark.parametrize(
    ("counts", "ending"),
    [
        ((7, 14, 10, 19), "docs/quality.md)."),
        ((40, 50, 10, 50), "of the others."),
        ((0, 0, 0, 0), "docs/quality.md)."),
    ],
)
def test_few_clauses_that_do_not_tell_the_two_apart_are_said_to(demo, counts, ending):
    names = ("supported_true", "supported_checked", "others_true", "others_checked")
    clauses = ClauseCount(weighed=120, supported=60, **dict(zip(names, counts, strict=True)))
    said = verdict(dataclasses.replace(demo, clauses=clauses))
    assert said.endswith(ending)
    assert counts[1] != 14 or "7 of 14 (50% [23%, 77%]) of these" in said
