"""What somebody does on the page of `vecspeak explore`, by Playwright."""

import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx

SHOTS = os.environ.get("PAGE_SHOTS", "")
"""Folder of screenshots to look at; empty for none."""
AXE = Path(__file__).parents[1] / "web" / "node_modules" / "axe-core" / "axe.min.js"
_SPOTS = """async () => {
  const of = new URLSearchParams(location.hash.slice(1));
  const [x, y, scale] = of.get("view").split(",").map(Number);
  const route = `/v1/spaces/${of.get("space")}`, model = `?model=${of.get("model")}`;
  const all = new Float32Array(await (await fetch(route + "/map/coordinates" + model)).arrayBuffer());
  const {labels} = await (await fetch(route + "/labels" + model)).json();
  const box = document.querySelector(".map").getBoundingClientRect();
  return labels.map((label, row) => [
    label, box.x + (all[2 * row] - x) * scale + box.width / 2, box.y + (y - all[2 * row + 1]) * scale + box.height / 2,
  ]);
}"""


@contextlib.contextmanager
def explored(bundle, key=""):
    """The address of a running `vecspeak explore`."""
    command = [sys.executable, "-m", "vecspeak", "explore", str(bundle), "--port", "0", "--no-open"]
    command += ["--key-env", "PAGE_KEY"] if key else []
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PAGE_KEY": key})
    try:
        said = [running.stdout.readline() for _ in range(3)]
        found = re.search(r"http://127\.0\.0\.1:\d+/", said[2])[0]
        while httpx.get(f"{found}ready").status_code != 200:
            time.sleep(0.2)
        yield found
    finally:
        running.terminate()
        running.communicate(timeout=30)


_IS_FREE = "([x, y]) => !document.elementFromPoint(x, y).closest('button')"


def shot(page, name):
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png")


def until(page, expression, given=None, seconds=60):
    """Waits until an expression holds; the page's policy lets no text be run in it, so it is asked from here."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression, given):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


def first_label(page):
    return page.evaluate("fetch('/v1/spaces/movies/labels').then(r => r.json()).then(r => r.labels[3])")


def pick_by_search(page, label):
    page.keyboard.press("/")
    page.keyboard.type(label)
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel .asking")


def asked(page, name="Describe it."):
    page.get_by_role("button", name=name).click()
    page.wait_for_selector(".turn:not(.waiting) .evidence", timeout=60_000)


def spots(page):
    """Label, x and y on the screen of every item."""
    page.wait_for_timeout(300)  # the address, which holds the view, follows it
    return page.evaluate(_SPOTS)


def two_items(page):
    """Two items and where they lie on the screen, apart from each other, from the edges and from all others."""
    size, found = page.viewport_size, []
    everything = spots(page)
    top, bottom = page.locator(".top").bounding_box()["height"] + 30, size["height"] - 90
    for row, (label, x, y) in enumerate(everything):
        is_inside = 30 < x < size["width"] - 70 and top < y < bottom
        is_alone = all(
            abs(x - u) + abs(y - v) > 4 for other, (_, u, v) in enumerate(everything) if other != row
        )
        is_apart = all(abs(x - u) + abs(y - v) > 120 for _, (u, v) in found)
        if is_inside and is_alone and is_apart and page.evaluate(_IS_FREE, [x, y]):
            found.append((label, (x, y)))
        if len(found) == 2:
            return found
    raise AssertionError("no two items on the map")


def serious_faults(page):
    """What axe finds to be serious or critical: the rule and where."""
    if not page.evaluate("Boolean(window.axe)"):
        page.add_script_tag(content=AXE.read_text())
    faults = page.evaluate("axe.run().then(found => found.violations)")
    return [
        (one["id"], [node["html"][:120] for node in one["nodes"]][:3])
        for one in faults
        if one["impact"] in ("serious", "critical")
    ]
