"""The same by fingers: one moves, picks and draws, two zoom. Touches come from the browser's own protocol."""

import math

import pytest

from page_driver import shot, spots, two_items, until

pytestmark = pytest.mark.browser


class Fingers:
    """Fingers on the glass of a page."""

    def __init__(self, page):
        self.page, self.protocol = page, page.context.new_cdp_session(page)

    def put(self, kind, *places):
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self.protocol.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        self.page.wait_for_timeout(20)

    def drag(self, *corners, steps=6):
        """One finger from corner to corner."""
        self.put("touchStart", corners[0])
        for start, end in zip(corners, corners[1:], strict=False):
            for step in range(1, steps + 1):
                share = step / steps
                self.put("touchMove", tuple(a + share * (b - a) for a, b in zip(start, end, strict=True)))
        self.put("touchEnd")

    def pinch(self, middle, before, after, steps=8):
        """Two fingers on a level line, from one distance to another."""
        pair = [[(middle[0] - width / 2, middle[1]), (middle[0] + width / 2, middle[1])] for width in
                (before + (after - before) * step / steps for step in range(steps + 1))]  # fmt: skip
        self.put("touchStart", *pair[0])
        for one in pair[1:]:
            self.put("touchMove", *one)
        self.put("touchEnd", pair[-1][0])
        self.put("touchEnd")

    def tap(self, at):
        self.put("touchStart", at)
        self.put("touchEnd")


@pytest.fixture
def page(open_page):
    found = open_page(
        viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True, reduced_motion="reduce"
    )
    found.wait_for_selector(".name:visible")
    until(found, "document.querySelector('select[name=color]').value.startsWith('regions')")
    return found


@pytest.fixture
def fingers(page):
    return Fingers(page)


def view(page):
    page.wait_for_timeout(300)
    text = page.evaluate("new URLSearchParams(location.hash.slice(1)).get('view')")
    return [float(one) for one in text.split(",")]


def test_one_finger_moves_the_map_and_picks_nothing(page, fingers):
    x, y, scale = view(page)
    fingers.drag((200, 500), (120, 440))
    now = view(page)
    assert now[2] == scale and page.locator("#panel:visible").count() == 0
    assert (now[0] - x) * scale == pytest.approx(80, abs=14) and (now[1] - y) * scale == pytest.approx(
        -60, abs=14
    )
    shot(page, "touch-start")


def test_two_fingers_zoom_where_they_are(page, fingers):
    _, _, scale = view(page)
    fingers.pinch((200, 450), 80, 240)
    assert view(page)[2] / scale == pytest.approx(3, rel=0.1) and page.locator("#panel:visible").count() == 0
    shot(page, "touch-zoomed")
    fingers.pinch((200, 450), 240, 80)
    assert view(page)[2] / scale == pytest.approx(1, rel=0.1)


def test_a_tap_picks_an_item_also_beside_it(page, fingers):
    (label, (x, y)), _ = two_items(page)
    fingers.tap((x + 2, y + 1))
    page.wait_for_selector("#panel .asking")
    assert page.inner_text("#panel h2") == label
    shot(page, "touch-item")
    page.get_by_role("button", name="Describe it.").tap()
    page.wait_for_selector(".turn:not(.waiting) .evidence", timeout=60_000)
    page.locator(".clause").first.tap()
    assert page.locator(".clause:focus + .reasons").is_visible()
    shot(page, "touch-reasons")


def test_a_finger_draws_a_lasso_and_a_second_one_gives_it_up(page, fingers):
    page.get_by_role("button", name="Lasso").tap()
    fingers.put("touchStart", (100, 300))
    fingers.put("touchMove", (200, 300))
    fingers.put("touchStart", (200, 300), (300, 500))
    fingers.put("touchMove", (180, 300), (320, 500))
    fingers.put("touchEnd", (180, 300))
    fingers.put("touchEnd")
    assert page.locator("#panel:visible").count() == 0
    round_ = [
        (200 + 110 * math.cos(turn), 430 + 110 * math.sin(turn))
        for turn in (n * math.pi / 6 for n in range(13))
    ]
    fingers.drag(*round_, steps=2)
    page.wait_for_selector("text=Words of its middle", timeout=90_000)
    shot(page, "touch-lasso")


def test_a_finger_drags_from_one_item_to_another(page, fingers):
    (first, at), (second, to) = two_items(page)
    page.get_by_role("button", name="Walk").tap()
    fingers.drag(at, to)
    page.wait_for_selector(".steps > li >> nth=6", timeout=60_000)
    assert page.inner_text("#panel h2") == f"{first} → {second}"
    shot(page, "touch-walk")


def test_a_link_shows_its_point_in_the_part_that_the_sheet_leaves_free(open_page):
    page = open_page("#at=item:m3", viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True)
    page.wait_for_selector("#panel .asking")
    everything = spots(page)
    top = page.locator(".top").bounding_box()
    high, low = top["y"] + top["height"], page.locator("#panel").bounding_box()["y"]
    _, x, y = everything[3]
    assert 10 < x < 390 and high + 10 < y < low - 10
    middle = sorted(y for _, _, y in everything)[len(everything) // 2]
    assert abs(middle - (high + low) / 2) < 60
    shot(page, "touch-link")


def test_what_is_seldom_needed_is_behind_a_button(page):
    assert not page.get_by_role("button", name="Dark or light").is_visible()
    page.get_by_role("button", name="More", exact=True).tap()
    assert page.get_by_role("button", name="Dark or light").is_visible()
    shot(page, "touch-more")
