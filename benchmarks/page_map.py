"""Frames a second of the page's map in headless Chromium without a GPU, beside regl-scatterplot, in one run.

Moved by a few pixels a frame, then brought nearer and farther, each way of drawing in turn, three times; of each
the middle. Needs web/node_modules (npm ci), chromium and playwright. Writes docs/scores/page_map.json.
"""

import argparse
import functools
import http.server
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from places import out_file

ROOT = Path(__file__).parents[1]
_ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
"""As on a machine without a GPU: pages are put together by the processor, and so is WebGL."""


def _measured(address: str, count: int, seconds: float, size: tuple[int, int]) -> dict[str, dict[str, float]]:
    from playwright.sync_api import sync_playwright

    found: dict[str, list[dict[str, float]]] = {"ours": [], "regl": []}
    with sync_playwright() as opened:
        browser = opened.chromium.launch(executable_path=shutil.which("chromium"), args=_ARGUMENTS)
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.goto(address)
        page.wait_for_function("window.ours && window.regl")
        for _ in range(3):
            for name, rows in found.items():
                rows.append(page.evaluate(f"window.{name}({count}, {seconds})"))
        browser.close()
    return {
        name: {
            key: round(statistics.median(row[key] for row in rows), 1)
            for key in rows[0]
            if rows[0][key] is not None
        }
        for name, rows in found.items()
    }


def table(result: dict[str, Any]) -> str:
    """The figures of both, as Markdown."""
    rows = {"this page, on a canvas": result["ours"], "regl-scatterplot 1.16, on WebGL": result["regl"]}
    width, height = result["size"]
    lines = [
        f"| {result['points']:,} points, {width} x {height} | moved: frames a second | zoomed | first picture, ms |",
        "|---|---|---|---|",
    ]
    for name, one in rows.items():
        lines.append(
            f"| {name} | {one['frames_per_second']:.0f} | {one['zoomed_frames_per_second']:.0f} "
            f"| {one['first_draw_ms']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Build the page, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--size", type=int, nargs=2, default=(1280, 800))
    parser.add_argument("--out", type=out_file, default=ROOT / "docs" / "scores" / "page_map.json")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        command = ["npx", "vite", "build", "--config", "vite.bench.config.js", "--outDir", folder]
        subprocess.run(command, cwd=ROOT / "web", check=True, stdout=subprocess.DEVNULL)
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_address[1]}/"
            found = _measured(address, given.points, given.seconds, tuple(given.size))
            server.shutdown()
    machine = {"cores": os.cpu_count(), "load_before": round(load, 1)}
    result = {"points": given.points, "size": list(given.size), **machine, **found}
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))  # noqa: T201


if __name__ == "__main__":
    main()
