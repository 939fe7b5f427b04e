import re

import numpy as np
import pytest

from vecspeak.report.maps import SIZE, Frame, Projection, Spot, atlas_map, cloud_map, point_map, region_colors

SQUARE = np.array([[-2.0, -2.0], [2.0, 2.0]])


def pixels(frame, *places):
    _, axes = frame.draw()
    return axes.transData.transform(places)


def test_a_frame_keeps_the_scale_of_both_directions_and_the_asked_points_inside():
    frame = Frame.around(np.random.default_rng(0).normal(size=(500, 2)), np.array([[9.0, 0.0]]))
    (left, up), (right, down) = pixels(frame, (0, 1), (1, 0))
    assert right - left == pytest.approx(up - down)
    ((x, y),) = pixels(frame, (9.0, 0.0))
    width, height = SIZE
    assert 4 < x < width - 4 and 4 < y < height - 4
    assert pixels(frame, *frame.clipped(np.array([[1e9, -1e9]]))) == pytest.approx(np.array([[width - 4, 4]]))


def test_the_projection_takes_the_widest_directions():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 5)) * np.array([0.1, 5.0, 0.1, 2.0, 0.1]) + 3
    project = Projection.from_vectors(vectors)
    places = project(vectors)
    assert places.mean(0) == pytest.approx([0, 0], abs=1e-9)
    assert places.std(0) == pytest.approx([5, 2], rel=0.15)
    assert project.share > 0.99


def test_every_item_of_a_cloud_is_a_dot():
    places = np.random.default_rng(0).normal(size=(700, 2))
    group = cloud_map(Frame.around(places), places, {"k0": np.arange(200), "k1": np.arange(200, 700)}).group(
        "all"
    )
    counts = {
        kind: dots.count("M") for kind, dots in re.findall(r'class="dots (k\d)"><path d="([^"]*)"', group)
    }
    assert counts == {"k1": 500, "k0": 200} and group.startswith('<g id="all">')


def test_points_are_numbered_and_tied_to_what_they_were_made_from():
    spots = [
        Spot(label="still", at=(0.0, 0.0), number=1),
        Spot(label="moved", at=(1.0, 1.0), number=2, ties=((0, 0),)),
    ]
    svg = point_map(Frame.around(SQUARE), spots).svg("map", under="items")
    assert '<use href="#items"' in svg and svg.count('class="tie"') == 1 and 'class="ring"' not in svg
    texts = re.findall(r"<text[^>]*>([^<]*)", svg)
    assert texts == ["1", "2", "still", "moved"]


def boxes(picture):
    return {
        text.get_text(): text.get_window_extent()
        for text in picture.figure.axes[0].texts
        if len(text.get_text()) > 2
    }


def test_labels_that_have_room_cover_nothing_and_stay_inside():
    rng = np.random.default_rng(1)
    centers = rng.uniform(-9, 9, size=(14, 2))
    regions = np.repeat(np.arange(14), 40)
    places = centers[regions] + rng.normal(size=(560, 2))
    picture = atlas_map(places, regions, [f"a name of region {number}" for number in range(14)])
    found = list(boxes(picture).values())
    assert len(found) == 14
    assert not any(one.overlaps(other) for one in found for other in found if one is not other)
    width, height = picture.size
    assert all(box.x0 > 0 and box.y0 > 0 and box.x1 < width and box.y1 < height for box in found)


def test_every_region_has_a_color_of_its_own_and_leads_to_its_card():
    for theme in zip(*region_colors(40), strict=True):
        assert len(set(theme)) == 40
    svg = atlas_map(SQUARE.repeat(2, 0), np.array([0, 0, 1, -1]), ["<b>", "x"]).svg("map")
    assert svg.count('href="#region-0"') == 3 and "<b>" not in svg
    assert svg.count('class="dots r1"') == svg.count('class="dots none"') == 1
