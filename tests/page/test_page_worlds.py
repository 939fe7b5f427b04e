"""The page over other bundles: two spaces of which items moved, a lasso around thousands; the recording of README."""

import importlib.util
import sys
from pathlib import Path

import pytest

from page_driver import explored, shot, spots, until

ROOT = Path(__file__).parents[2]


@pytest.mark.browser
def test_items_that_moved_are_named_and_shown_in_both_spaces(open_page, moved_bundle):
    with explored(moved_bundle) as address:
        page = open_page(at=address)
        page.wait_for_selector("canvas")
        labels = page.evaluate("fetch('/v1/spaces/before/labels').then(r => r.json()).then(r => r.labels)")
        page.select_option("select[name=beside]", "1")
        page.wait_for_selector(".near.moved button", timeout=90_000)
        named = page.locator(".near.moved button").all_inner_texts()
        assert len(named) == 20 and len(set(named) & set(labels[:20])) >= 16
        assert "items lie farther from where a linear map of the first space puts them" in page.inner_text(
            "#panel"
        )
        assert "0% stay" in page.locator(".near.moved .number").first.inner_text()
        shot(page, "moved")
        page.locator(".near.moved button").first.click()
        page.wait_for_selector("#panel .asking")
        assert page.inner_text("#panel h2") == named[0]
        shot(page, "moved-item")


SECOND_MARKS = "document.querySelectorAll('.over')[1].toDataURL()"
IS_ON_MAP = "([x, y]) => document.elementFromPoint(x, y)?.closest('.map') === document.querySelector('.map')"


@pytest.mark.browser
def test_spaces_of_other_ids_lie_side_by_side_each_in_its_colours(open_page, foreign_bundle):
    with explored(foreign_bundle) as address:
        page = open_page(at=address)
        page.wait_for_selector("canvas")
        page.select_option("select[name=beside]", "1")
        page.wait_for_selector("text=so what moved cannot be told")
        assert "40 items of here have one of the same name in there" in page.inner_text("#panel")
        assert page.locator("#panel .doubt").count() == 0
        page.wait_for_selector(".map-host .legend:visible")
        shot(page, "foreign")
        page.locator("#panel .close").click()
        page.wait_for_timeout(500)
        before, everything = page.evaluate(SECOND_MARKS), spots(page)
        alone = [
            row
            for row, (_, x, y) in enumerate(everything)
            if page.evaluate(IS_ON_MAP, [x, y])
            and all(abs(x - u) + abs(y - v) > 20 for n, (_, u, v) in enumerate(everything) if n != row)
        ]
        for row, is_tied in ((alone[-1], False), (alone[0], True)):
            assert (row < 40) == is_tied
            page.mouse.move(*everything[row][1:])
            page.wait_for_timeout(300)
            assert (page.evaluate(SECOND_MARKS) != before) == is_tied
        shot(page, "foreign-item")


@pytest.mark.browser
def test_a_lasso_around_thousands_is_read_from_all_of_them(open_page, large_bundle):
    with explored(large_bundle) as address:
        page = open_page(at=address)
        page.wait_for_selector("canvas")
        until(page, "performance.getEntriesByName('points').length > 0")
        page.wait_for_timeout(1000)
        left = sorted(x for _, x, _ in spots(page))[300]
        page.keyboard.press("l")
        page.mouse.move(left, 60)
        page.mouse.down()
        for corner in ((1290, 60), (1290, 840), (left, 840)):
            page.mouse.move(*corner, steps=3)
        with page.expect_request("**/sets*") as sent:
            page.mouse.up()
        count = len(sent.value.post_data_json["ids"])
        assert 5500 < count < 6000
        page.wait_for_selector("text=Words of its middle", timeout=120_000)
        assert page.inner_text(
            "#panel h2"
        ) == f"{count:,} items" and f"{count:,} items, 9" in page.inner_text("#panel")
        shot(page, "large-lasso")
        for key in ("Escape", "Escape", "m", "0", "-", "l"):
            page.keyboard.press(key)
            page.wait_for_timeout(500)
        page.mouse.move(2, 60)
        page.mouse.down()
        for corner in ((1298, 60), (1298, 840), (2, 840)):
            page.mouse.move(*corner, steps=3)
        page.mouse.up()
        page.wait_for_selector("text=These are all items")


@pytest.fixture
def recording(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    spec = importlib.util.spec_from_file_location("page_recording", ROOT / "scripts" / "page_recording.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "page_recording", module)
    spec.loader.exec_module(module)
    return module


def is_fit_for_the_readme(file):
    from PIL import Image

    with Image.open(file) as moving:
        seconds = 0.0
        for number in range(moving.n_frames):
            moving.seek(number)
            moving.load()
            seconds += moving.info["duration"] / 1000
        return 12 <= seconds <= 20 and moving.n_frames > 40 and file.stat().st_size < 2_000_000


@pytest.mark.browser
def test_every_gesture_is_recorded(open_page, recording, tmp_path):
    width, height = recording.SIZE
    page = open_page(viewport={"width": width, "height": height})
    page.wait_for_selector(".name:visible")
    labels = page.evaluate("fetch('/v1/spaces/movies/labels').then(r => r.json()).then(r => r.labels)")
    recording.record(page, labels[3], labels[40]).write(tmp_path / "made.webp")
    assert is_fit_for_the_readme(tmp_path / "made.webp")


def test_the_recording_of_the_readme_is_short_and_light():
    assert is_fit_for_the_readme(ROOT / "docs" / "explore.webp")
