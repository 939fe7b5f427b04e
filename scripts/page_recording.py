"""Write docs/explore.webp: the gestures of the page as a moving picture. Needs playwright and Chromium.

make demo && python scripts/page_recording.py [--bundle demo/movies.bundle] [--out docs/explore.webp]

Search, an item, an answer, the same of another vector, a drag from one item to another, a pull along a concept, and a
lasso.
"""

import argparse
import math
import re
import sys
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page

sys.path.insert(0, str(Path(__file__).parent))
from page_picture import opened_page

RECORDING = Path(__file__).parents[1] / "docs" / "explore.webp"
SIZE = (1080, 660)
_CAPTION = 44
_ARROW = ((0, 0), (0, 19), (5, 15), (8, 22), (11, 21), (8, 14), (14, 14))
_SPOT = """async row => {
  const of = new URLSearchParams(location.hash.slice(1));
  const [x, y, scale] = of.get("view").split(",").map(Number);
  const route = `/v1/spaces/${of.get("space")}/map/coordinates?model=${of.get("model")}`;
  const all = new Float32Array(await (await fetch(route)).arrayBuffer());
  const box = document.querySelector(".map").getBoundingClientRect();
  return [box.x + (all[2 * row] - x) * scale + box.width / 2, box.y + (y - all[2 * row + 1]) * scale + box.height / 2];
}"""
"""Where an item lies on the screen."""
_LABELS = """async () => {
  const of = new URLSearchParams(location.hash.slice(1));
  const route = `/v1/spaces/${of.get("space")}/labels?model=${of.get("model")}`;
  return (await (await fetch(route)).json()).labels;
}"""


@dataclass
class Recorder:
    """Pictures of a page with what is done in words below, and a pointer, which a headless browser does not draw."""

    page: Page
    frames: list[Image.Image] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    """Milliseconds of each."""
    caption: str = ""
    pointer: tuple[float, float] = (SIZE[0] / 2, SIZE[1] / 2)
    is_down: bool = False

    def take(self, seconds: float) -> None:
        """Add what is seen for some seconds; what has not changed is shown for longer."""
        seen = Image.open(BytesIO(self.page.screenshot())).convert("RGB")
        frame = Image.new("RGB", (SIZE[0], SIZE[1] + _CAPTION), "#1d2129")
        frame.paste(seen, (0, 0))
        draw = ImageDraw.Draw(frame)
        draw.text((20, SIZE[1] + 9), self.caption, fill="#ffffff", font=ImageFont.load_default(21))
        at = [(self.pointer[0] + x, self.pointer[1] + y) for x, y in _ARROW]
        draw.polygon(at, fill="#2f4bc4" if self.is_down else "#1d2129", outline="#ffffff", width=1)
        milliseconds = round(1000 * seconds)
        if self.frames and self.frames[-1].tobytes() == frame.tobytes():
            self.durations[-1] += milliseconds
        else:
            self.frames.append(frame)
            self.durations.append(milliseconds)

    def move(self, to: tuple[float, float], steps: int = 5, seconds: float = 0.05) -> None:
        """Move the pointer on a straight line."""
        start = self.pointer
        for step in range(1, steps + 1):
            share = step / steps
            self.pointer = (
                start[0] + share * (to[0] - start[0]),
                start[1] + share * (to[1] - start[1]),
            )
            self.page.mouse.move(*self.pointer)
            self.page.wait_for_timeout(60)
            self.take(seconds)

    def press(self, *, down: bool) -> None:
        """Press the button of the pointer, or let it go."""
        self.is_down = down
        (self.page.mouse.down if down else self.page.mouse.up)()

    def click(self, selector: str) -> None:
        """Go to an element and press it."""
        found = self.page.locator(selector).first
        found.scroll_into_view_if_needed()
        box = found.bounding_box()
        assert box is not None, selector
        self.move((box["x"] + min(box["width"] / 2, 60), box["y"] + box["height"] / 2), 3)
        found.click()

    def until(self, selector: str, *, seconds: float = 0.1, each: int = 250) -> None:
        """Take pictures until an element is there."""
        for _ in range(400):
            if self.page.locator(selector).count():
                return
            self.page.wait_for_timeout(each)
            self.take(seconds)
        raise AssertionError(f"{selector} did not come")

    def write(self, out: Path) -> None:
        """Write a moving picture as WebP."""
        first, *rest = self.frames
        made = BytesIO()
        first.save(
            made,
            "WEBP",
            save_all=True,
            append_images=rest,
            duration=self.durations,
            loop=0,
            quality=52,
            method=6,
            minimize_size=True,
        )
        out.write_bytes(made.getvalue())


def record(page: Page, item: str, other: str) -> Recorder:
    """Every gesture on an opened page, whose labels hold `item` and `other`."""
    made = Recorder(page)
    page.wait_for_url(re.compile("space="))  # the names are drawn before the address says of which space
    labels = page.evaluate(_LABELS)
    rows = [labels.index(one) for one in (item, other)]
    _search(made, item, len(labels))
    _ask(made)
    _walk(made, *rows)
    _pull(made, item)
    _lasso(made, rows[1])
    return made


def _search(made: Recorder, item: str, count: int) -> None:
    made.caption = f"{count:,} vectors as a map. Search …"
    made.take(0.9)
    made.click("input[name=search]")
    for start in range(0, min(len(item), 9), 3):
        made.page.keyboard.type(item[start : start + 3])
        made.take(0.15)
    made.page.wait_for_selector(".found li")
    made.take(0.5)
    made.page.keyboard.press("Enter")
    made.page.wait_for_selector("#panel .asking")
    made.page.wait_for_timeout(500)
    made.caption = "… and read what one vector holds: words with their probabilities"
    made.take(1.4)


def _ask(made: Recorder) -> None:
    made.caption = "Ask in plain language: the answer comes from the vector, weak clauses are pale"
    made.click(".asking .buttons button")
    made.until(".turn:not(.waiting) .evidence")
    made.move((560, SIZE[1] - 40), 2)
    made.take(1.4)
    box = made.page.locator(".clause.weak, .clause.faint, .clause").first.bounding_box()
    assert box is not None
    made.move((box["x"] + 20, box["y"] + 12), 2)
    made.take(1.0)
    made.caption = "Prove it: the same question of another vector"
    made.click(".turn .tools button")
    made.until(".proof:not(.waiting) .evidence")
    made.page.locator(".proof h3").scroll_into_view_if_needed()
    made.page.locator(".proof .below").evaluate("one => one.scrollIntoView({block: 'end'})")
    made.take(1.8)


def _choose_mode(made: Recorder, place: int, caption: str) -> None:
    """Leave what is open, and click one of the modes."""
    made.page.keyboard.press("Escape")
    made.page.keyboard.press("Escape")
    made.page.wait_for_timeout(700)
    made.caption = caption
    made.click(f".modes button:nth-child({place})")


def _walk(made: Recorder, start: int, end: int) -> None:
    page = made.page
    _choose_mode(made, 2, "Drag from A to B: what lies between")
    page.keyboard.press("0")
    page.wait_for_timeout(900)
    first, second = (page.evaluate(_SPOT, row) for row in (start, end))
    made.move(tuple(first), 3)
    made.press(down=True)
    made.move(tuple(second), 7)
    made.press(down=False)
    page.wait_for_selector(".steps > li >> nth=6")
    made.move((320, SIZE[1] - 60), 2)
    page.wait_for_timeout(800)
    made.take(1.5)


def _pull(made: Recorder, item: str) -> None:
    page = made.page
    page.keyboard.press("/")
    page.keyboard.type(item)
    page.keyboard.press("Enter")
    page.wait_for_selector("input[name=amount]")
    page.evaluate("document.querySelector('#panel .page').scrollTop = 0")
    made.caption = "Pull a vector along a concept: words and answer follow"
    box = page.locator("input[name=amount]").bounding_box()
    assert box is not None
    left, y = box["x"] + 8, box["y"] + box["height"] / 2
    made.move((left + (box["width"] - 16) / 2, y), 3)
    made.press(down=True)
    for step in range(1, 5):  # of eight to the right of the middle
        made.move((left + (box["width"] - 16) * (4 + step) / 8, y), 1, 0.35)
        page.wait_for_timeout(350)
    made.press(down=False)
    made.until(".turn.waiting")
    made.until(".turn:not(.waiting) .evidence")
    page.locator(".pull").scroll_into_view_if_needed()
    made.take(1.8)


def _lasso(made: Recorder, row: int) -> None:
    page = made.page
    _choose_mode(made, 4, "Draw around items: what they share beyond chance")
    page.keyboard.press("m")
    page.keyboard.press("0")
    page.wait_for_timeout(900)
    x, y = page.evaluate(_SPOT, row)
    corners = [
        (x + 95 * math.cos(turn), y + 95 * math.sin(turn))
        for turn in (2 * math.pi * step / 12 for step in range(13))
    ]
    made.move(corners[0], 3)
    made.press(down=True)
    for corner in corners[1:]:
        made.move(corner, 1)
    made.press(down=False)
    page.wait_for_selector("text=Words of its middle")
    made.move((x, y + 160), 2)
    made.take(1.9)


def main() -> None:
    """Record the demo's bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="demo/movies.bundle")
    parser.add_argument("--item", default="Smiley Gets a Gun")
    parser.add_argument("--other", default="Murappennu")
    parser.add_argument("--out", type=Path, default=RECORDING)
    given = parser.parse_args()
    with opened_page(given.bundle, SIZE) as page:
        page.wait_for_selector(".name:visible")
        page.wait_for_timeout(1500)
        record(page, given.item, given.other).write(given.out)


if __name__ == "__main__":
    main()
