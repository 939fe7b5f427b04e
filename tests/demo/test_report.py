import dataclasses
import html
import re

from page_tags import Tags
from vecspeak.demo.chapters import ATLAS, TRACE
from vecspeak.demo.page import COLORS, color_of, render, transcript


def test_the_page_is_whole_and_asks_for_nothing(page):
    tags = Tags(page)
    assert tags.open == []
    assert tags.asks and all(target.startswith("#") for target in tags.asks)
    assert {target[1:] for target in tags.asks} <= set(tags.ids)
    assert len(set(tags.ids)) == len(tags.ids)
    assert not re.search(r"https?://|@import|url\(", page)
    assert not {"script", "link", "iframe", "img", "object"} & tags.names


def test_labels_and_answers_are_escaped(demo, page):
    assert any("<script>" in exhibit.answer.text for exhibit in demo.exhibits)
    assert any("<script>" in exhibit.subject.heading for exhibit in demo.exhibits)
    assert "<script" not in page.lower()
    assert html.escape(demo.exhibits[0].answer.clauses[0].text) in page


def test_hostile_headings_and_answers_are_shown_and_not_obeyed(demo, bundle):
    evil = "<script>alert(1)</script>\x1b[2J\u202eevil\u2066\x9b31m"
    chapter = demo.chapters[0]
    first = chapter.exhibits[0]
    subject = dataclasses.replace(first.subject, heading=evil)
    answer = dataclasses.replace(first.answer, text=evil, clauses=())
    exhibit = dataclasses.replace(first, subject=subject, answer=answer)
    chapter = dataclasses.replace(chapter, exhibits=(exhibit, *chapter.exhibits[1:]))
    hostile = dataclasses.replace(demo, chapters=(chapter, *demo.chapters[1:]))
    page = render(hostile, bundle)
    assert Tags(page).open == [] and "<script" not in page.lower()
    for text in (page, transcript(hostile, 80)):
        assert not re.search("[\x1b\x9b\u202e\u2066]", text) and r"\x1b[2J\u202eevil\u2066\x9b31m" in text


def test_every_chapter_and_answer_has_its_place(demo, bundle, page):
    assert page == render(demo, bundle)
    for chapter in demo.chapters:
        assert (
            f'<section class="chapter" id="{chapter.plan.key}">' in page
            and f'href="#{chapter.plan.key}"' in page
        )
        for number in range(1, len(chapter.exhibits) + 1):
            assert f'id="{chapter.plan.key}-{number}"' in page
    assert page.count('class="evidence"') == len(demo.exhibits)
    assert page.count('class="truth"') == len(demo.exhibits) + 1, (
        "of the movie that the trace starts from, too"
    )
    for plan in (TRACE, ATLAS):
        assert f'<section class="chapter" id="{plan.key}">' in page and f'href="#{plan.key}"' in page


def test_a_parent_that_is_asked_itself_is_marked_once(demo, page):
    chapter = demo.chapters[2]
    (picture,) = re.findall(
        rf'<section class="chapter" id="{chapter.plan.key}">.*?<svg(.*?)</svg>', page, re.DOTALL
    )
    labels = [html.unescape(label) for label in re.findall(r'class="name"><text[^>]*>([^<]*)', picture)]
    assert len(labels) == picture.count('class="digit"') == len(chapter.exhibits) == 6
    assert picture.count('class="ring"') == 0 and picture.count('class="tie"') == 4
    assert labels[1:3] == ["towards horror", "towards comedy"]
    between = demo.chapters[1].plan.key
    (picture,) = re.findall(rf'<section class="chapter" id="{between}">.*?<svg(.*?)</svg>', page, re.DOTALL)
    assert picture.count('class="ring"') == picture.count('class="tie"') == 4
    assert picture.count('class="digit"') == 2


def test_items_are_colored_by_their_most_telling_genre(page):
    def name(*genres):
        return COLORS[color_of(genres)][0]

    assert name("Drama", "Horror") == "Horror"
    assert name("Romantic comedy") == "Comedy"
    assert name("Family Drama") == "Romance and drama"
    assert name("Silent film") == name() == "Other"
    (items,) = re.findall(r'<g id="items-movies.semantic">(.*?)</g></g>', page, re.DOTALL)
    counts = {
        kind: dots.count("M") for kind, dots in re.findall(r'class="dots (k\d)"><path d="([^"]*)"', items)
    }
    assert {COLORS[int(kind[1])][0]: count for kind, count in counts.items()} == {
        "Horror": 40,
        "Comedy": 40,
        "Action": 40,
        "Romance and drama": 40,
    }
