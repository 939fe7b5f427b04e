import html
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from vecspeak.demo.maps import HEIGHT, WIDTH, Frame, clouds, marks
from vecspeak.demo.places import Projection, colour_of
from vecspeak.demo.report import render
from vecspeak.demo.results import Chapter, Exhibit, Place


class Tags(HTMLParser):
    """The page's tags, and every attribute by which a browser would ask for something."""

    def __init__(self, page):
        super().__init__()
        self.open, self.asks, self.ids = [], [], []
        self.names = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.names.add(tag)
        self.asks += [values[name] for name in ("src", "href", "xlink:href", "action") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag not in ("meta", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing"


def test_the_page_is_whole_and_asks_for_nothing(page):
    tags = Tags(page)
    assert tags.open == []
    assert tags.asks and all(target.startswith("#") for target in tags.asks)
    assert {target[1:] for target in tags.asks} <= set(tags.ids)
    assert len(set(tags.ids)) == len(tags.ids)
    assert not re.search(r"https?://|@import|url\(", page)
    assert not {"script", "link", "iframe", "img", "object"} & tags.names


def test_labels_and_answers_are_escaped(demo, page):
    assert any("<script>" in exhibit.answer for exhibit in demo.exhibits)
    assert any("<script>" in exhibit.heading for exhibit in demo.exhibits)
    assert "<script" not in page.lower()
    assert html.escape(demo.exhibits[0].answer) in page


def test_every_chapter_and_answer_has_its_place(demo, bundle, page):
    assert page == render(demo, bundle)
    for chapter in demo.chapters:
        assert f'<section class="chapter" id="{chapter.key}">' in page and f'href="#{chapter.key}"' in page
        for number in range(1, len(chapter.exhibits) + 1):
            assert f'id="{chapter.key}-{number}"' in page
    assert page.count('class="evidence"') == len(demo.exhibits)
    assert page.count('class="truth"') == len(demo.exhibits) + 1, (
        "of the movie that the trace starts from, too"
    )
    for plan in (demo.trace.plan, demo.atlas.plan):
        assert f'<section class="chapter" id="{plan.key}">' in page and f'href="#{plan.key}"' in page


def exhibit(heading, x, y, parents=()):
    return Exhibit(
        heading=heading,
        question="q",
        expression="e",
        answer="a",
        facts=(),
        nearest=(),
        percentile=0.0,
        outside=False,
        round_trip=0.0,
        swapped=0.0,
        place=Place(label=heading, x=x, y=y),
        parents=tuple(Place(label=label, x=px, y=py) for label, px, py in parents),
    )


def test_a_parent_that_is_asked_itself_is_marked_once():
    moved = exhibit("moved", 1.0, 1.0, [("still", 0.0, 0.0)])
    chapter = Chapter(
        key="k", title="", intro="", rule="", space="s", exhibits=(exhibit("still", 0.0, 0.0), moved)
    )
    frame = Frame.around(np.array([[-2.0, -2.0], [2.0, 2.0]]), np.zeros((1, 2)))
    drawn = marks(chapter, frame)
    assert [(mark.number, mark.label) for mark in drawn] == [(1, "still"), (2, "moved")]
    assert drawn[1].lines == ((drawn[0].x, drawn[0].y),)
    assert drawn[1].x > drawn[0].x and drawn[1].y < drawn[0].y


def test_a_frame_keeps_the_scale_of_both_directions_and_the_asked_points_inside():
    frame = Frame.around(np.random.default_rng(0).normal(size=(500, 2)), np.array([[9.0, 0.0]]))
    (left, up), (right, down) = frame(0, 1), frame(1, 0)
    assert right - left == pytest.approx(down - up)
    x, y = frame(9.0, 0.0)
    assert 4 < x < WIDTH - 4 and 4 < y < HEIGHT - 4
    assert frame(1e9, -1e9) == (WIDTH - 4, HEIGHT - 4)


def test_items_are_coloured_by_their_most_telling_genre():
    assert colour_of(["Drama", "Horror"]) == "Horror"
    assert colour_of(["Romantic comedy"]) == "Comedy"
    assert colour_of(["Family Drama"]) == "Romance and drama"
    assert colour_of(["Silent film"]) == colour_of([]) == "Other"
    frame = Frame.around(np.array([[0.0, 0.0], [1.0, 1.0]]), np.zeros((1, 2)))
    drawn = clouds(np.zeros((3, 2)), [["Horror"], ["Drama"], ["Slasher horror"]], frame)
    assert [(cloud.colour, cloud.count) for cloud in drawn] == [("Horror", 2), ("Romance and drama", 1)]


def test_the_projection_takes_the_widest_directions():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(400, 5)) * np.array([0.1, 5.0, 0.1, 2.0, 0.1]) + 3
    project = Projection.of(vectors)
    places = project(vectors)
    assert places.mean(0) == pytest.approx([0, 0], abs=1e-9)
    assert places.std(0) == pytest.approx([5, 2], rel=0.15)
    assert project.share > 0.99
