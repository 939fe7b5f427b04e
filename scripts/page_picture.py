"""Write docs/explore.png: the page of the demo's movies, one of them asked about. Needs playwright and Chromium.

make demo && python scripts/page_picture.py [--bundle demo/movies.bundle] [--item "Smiley Gets a Gun"]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PICTURE = Path(__file__).parents[1] / "docs" / "explore.png"
_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
]


@contextmanager
def opened_page(bundle: str, size: tuple[int, int]) -> Iterator[Page]:
    """The page of a bundle, served and opened in a window of a size."""
    command = [sys.executable, "-m", "vecspeak", "explore", bundle, "--port", "0", "--no-open"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = next(re.search(r"http://\S+?/", line)[0] for line in running.stdout if "http://127" in line)
        with sync_playwright() as opened:
            chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
            browser = opened.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
            page = browser.new_page(viewport={"width": size[0], "height": size[1]})
            page.set_default_timeout(180_000)  # the models are loaded meanwhile
            page.goto(address)
            page.wait_for_selector("canvas")
            yield page
    finally:
        running.terminate()
        running.wait(30)


def asked(page: Page, item: str) -> None:
    """Find an item, ask for its description, wait for the evidence."""
    page.keyboard.press("/")
    page.keyboard.type(item)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Describe it.").click()
    page.wait_for_selector(".turn:not(.waiting) .evidence")
    page.mouse.move(5, 5)
    page.wait_for_timeout(500)


def main() -> None:
    """Serve the bundle, drive the page, write its picture in 256 colours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default="demo/movies.bundle")
    parser.add_argument("--item", default="Smiley Gets a Gun")
    given = parser.parse_args()
    with opened_page(given.bundle, (1440, 960)) as page:
        asked(page, given.item)
        seen = Image.open(BytesIO(page.screenshot())).convert("RGB")
    seen.quantize(256).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
