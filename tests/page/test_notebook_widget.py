"""The widget in a real JupyterLab and a real marimo, driven in a browser; `make test-page` runs these."""

import json
import os
import subprocess
import sys
import time

import httpx
import nbformat
import pytest

from vecspeak import VecSpeak
from vecspeak.http_guard import listen

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("PAGE_SHOTS", "")
OPENED = """from vecspeak import VecSpeak

vs = VecSpeak.load("movies.bundle")
"""
CELLS = [
    OPENED + 'widget = vs.widget("SPACE")\nwidget.color_by("regions")\nwidget',
    "widget.selected()",
    "widget.point",
    "widget.answer",
    'widget.color_by("column", "genres")\nwidget.selection = vs.spaces["SPACE"].ids[10:25]',
    'widget.selection = ["nobody"]',
]
_COLORED = """() => {
  const canvas = document.querySelector(".vecspeak").shadowRoot.querySelector("canvas.points");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4)
    if (Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 70) found++;
  return found;
}"""
"""Pixels of a strong colour: what is not selected fades."""


_IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"


def free_port():
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    listener.close()
    return port


def named(bundle):
    """The space that has regions."""
    return next(name for name, one in VecSpeak.load(bundle).bundle.entries.items() if one.clusters)


def started(command, address, folder, **settings):
    """A process of a server, once it answers; its own folders are all that it writes to."""
    places = {f"JUPYTER_{one}_DIR": str(folder / one) for one in ("CONFIG", "DATA", "RUNTIME")}
    places |= {
        "IPYTHONDIR": str(folder / "ipython"),
        "XDG_CONFIG_HOME": str(folder),
        "XDG_CACHE_HOME": str(folder),
    }
    log = (folder / "log").open("w")
    running = subprocess.Popen(
        command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, env=os.environ | places | settings
    )
    end = time.monotonic() + 120
    while time.monotonic() < end and running.poll() is None:
        try:
            if httpx.get(address).status_code == 200:
                return running
        except httpx.TransportError:
            time.sleep(0.3)
    running.kill()
    raise AssertionError((folder / "log").read_text())


@pytest.fixture(scope="module")
def lab(tmp_path_factory, movies_bundle):
    """The address of a notebook in JupyterLab whose cells use the widget."""
    pytest.importorskip("jupyterlab")
    folder, port = tmp_path_factory.mktemp("lab"), free_port()
    (folder / "movies.bundle").symlink_to(movies_bundle)
    cells = [nbformat.v4.new_code_cell(one.replace("SPACE", named(movies_bundle))) for one in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "widget.ipynb")
    quiet = folder / "settings" / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)
    (quiet / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False})
    )
    root = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--ip=127.0.0.1",
    ]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    running = started(command, f"{root}/api/status", folder, JUPYTERLAB_SETTINGS_DIR=str(folder / "settings"))
    yield f"{root}/doc/tree/widget.ipynb"
    running.terminate()
    running.wait(30)


@pytest.fixture
def opened(browser):
    """Opens an address; after the test nothing was asked of another server, and nothing failed on the page."""
    contexts, foreign, errors = [], [], []

    def go(address, **options):
        context = browser.new_context(**({"viewport": {"width": 1250, "height": 1150}} | options))
        contexts.append(context)
        page = context.new_page()
        own = tuple(f"{scheme}://{address.split('/')[2]}" for scheme in ("http", "ws"))
        page.on(
            "request",
            lambda one: None if one.url.startswith((*own, "data:", "blob:")) else foreign.append(one.url),
        )
        page.on("pageerror", lambda one: errors.append(str(one)))
        page.goto(address)
        return page

    yield go
    for one in contexts:
        one.close()
    assert foreign == [] and errors == []


def run_cell(page, number):
    """Runs a cell of JupyterLab and gives its output's text once it has one."""
    cell = page.locator(".jp-CodeCell").nth(number)
    prompt = cell.locator(".jp-InputPrompt")
    end = time.monotonic() + 120
    while prompt.inner_text().strip("[]: ") == "":  # a notebook that was just opened loses the first keys
        assert time.monotonic() < end, f"cell {number} does not begin"
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(2000)
    while not prompt.inner_text().strip("[]:").isdigit():
        assert time.monotonic() < end, f"cell {number} does not end: {prompt.inner_text()}"
        page.wait_for_timeout(100)
    output = cell.locator(".jp-Cell-outputArea")
    return output.inner_text() if output.count() else ""


def drawn_around(page, across=0.5, down=0.5, reach=0.16):
    """Draws a square around a place of the map, given in shares of its width and height."""
    page.get_by_role("button", name="Lasso").click()
    box = page.locator(".vecspeak .map").bounding_box()
    x, y = box["x"] + across * box["width"], box["y"] + down * box["height"]
    half = reach * box["height"]
    corners = [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in (*corners[1:], corners[0]):
        page.mouse.move(*corner, steps=4)
    page.mouse.up()


def pick_by_search(page, label):
    page.locator(".vecspeak input[name=search]").fill(label)
    page.keyboard.press("Enter")
    page.wait_for_selector(".vecspeak .distance")


def title(page):
    return page.locator(".vecspeak .side h2").inner_text()


def test_jupyter_draws_selects_and_asks_both_ways(opened, lab):
    page = opened(lab)
    page.wait_for_selector(_IDLE, timeout=90_000)
    run_cell(page, 0)
    page.wait_for_selector(".vecspeak .name:visible", timeout=60_000)
    whole = page.evaluate(_COLORED)
    assert whole > 1000, "regions are coloured"

    # drawn around: Python has a frame of it
    drawn_around(page, **({"across": 0.54, "down": 0.18, "reach": 0.13} if SHOTS else {}))
    page.wait_for_selector(".vecspeak .side h2:has-text('items')")
    count = int(title(page).split()[0].replace(",", ""))
    page.wait_for_timeout(200)
    assert count > 5 and page.evaluate(_COLORED) < whole / 2, "all others fade"
    frame = run_cell(page, 1)
    listed = page.locator(".vecspeak .side .near button").all_inner_texts()
    assert listed[0] in frame and "genres" in frame
    rows = page.locator(".jp-CodeCell").nth(1).locator("table.dataframe tbody tr").count()
    assert rows == count if count <= 10 else f"{count} rows" in frame
    page.get_by_role("button", name="What they share").click()
    page.wait_for_selector(".vecspeak .side h3:has-text('Most typical')", timeout=60_000)
    if SHOTS:
        page.locator(".jp-CodeCell").nth(1).locator(".cm-content").click()
        page.mouse.move(5, 5)
        cells = [page.locator(".jp-CodeCell").nth(n).bounding_box() for n in (0, 1)]
        clip = cells[0] | {"height": cells[1]["y"] + 240 - cells[0]["y"]}
        page.screenshot(path=f"{SHOTS}/notebook.png", clip=clip)
    page.locator(".vecspeak .modes").get_by_role("button", name="Pick").click()

    # picked: Python has the point, and its answer
    pick_by_search(page, listed[0])
    assert title(page) == listed[0] and page.locator(".vecspeak .chip").count() >= 3
    page.get_by_role("button", name="Describe").click()
    page.wait_for_selector(".vecspeak .turn:not(.waiting) .evidence", timeout=120_000)
    answer = page.locator(".vecspeak .answer").first.inner_text()
    assert listed[0] in run_cell(page, 2)
    assert answer[:25] in run_cell(page, 3)
    clause = page.locator(".vecspeak .clause").first
    clause.focus()
    reasons = page.locator(".vecspeak .clause:focus + .reasons")
    assert "Holds with" in reasons.inner_text()
    box, above = reasons.bounding_box(), clause.bounding_box()
    assert abs(box["y"] - above["y"]) < 400 and box["x"] >= 0, "it stands by its clause"
    clause.evaluate("one => one.blur()")

    # what is typed into the widget is no command of the notebook
    cells = page.locator(".jp-CodeCell").count()
    page.locator(".vecspeak .map").focus()
    page.keyboard.type("bxa")
    page.locator(".vecspeak input[name=question]").fill("")
    page.keyboard.type("dd b x a")
    assert page.locator(".jp-CodeCell").count() == cells
    assert page.locator(".vecspeak input[name=question]").input_value() == "dd b x a"

    # selected and coloured by Python: the map shows it; what is wrong is said in one sentence
    run_cell(page, 4)
    page.wait_for_selector(".vecspeak .side h2:has-text('15 items')")
    assert "genres" in page.locator(".vecspeak .legend").inner_text()
    assert "1 of 1 ids in the list are not in" in run_cell(page, 5)
    assert title(page) == "15 items"

    # a word that no vector tells is refused by Python, in a sentence
    page.locator(".vecspeak select[name=color]").select_option("word:")
    page.locator(".vecspeak input[name=word]").fill("qqqq")
    page.keyboard.press("Enter")
    page.wait_for_selector(".vecspeak .note.doubt:has-text('is not read from vectors')")


def test_an_empty_place_of_the_map_is_a_point_in_any_theme(opened, lab, until):
    page = opened(lab)
    page.wait_for_selector(_IDLE, timeout=90_000)
    run_cell(page, 0)
    page.wait_for_selector(".vecspeak .name:visible", timeout=60_000)
    box = page.locator(".vecspeak .map").bounding_box()
    page.mouse.click(box["x"] + 12, box["y"] + 40)
    page.wait_for_selector(".vecspeak .side .distance, .vecspeak .side .doubt")
    assert title(page) == "A place between items"
    assert (
        "No item lies here: the vector is made of the items around"
        in page.locator(".vecspeak .side").inner_text()
    )
    assert "Point(" in run_cell(page, 2)
    # another theme of the notebook is the widget's as well
    theme = "document.querySelector('.vecspeak').dataset.theme"
    assert page.evaluate(theme) == "light"
    page.evaluate("document.querySelectorAll('.jp-Notebook *').forEach(one => one.style.background = '#111')")
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    until(page, f"{theme} === 'dark'")


MARIMO = """import marimo

app = marimo.App()


@app.cell
def _():
    {opened}
    import marimo as mo
    return mo, vs


@app.cell
def _(mo, vs):
    widget = mo.ui.anywidget(vs.widget("SPACE"))
    widget
    return (widget,)


@app.cell
def _(mo, widget):
    mo.md(f"selected: {{len(widget.selection)}}; picked: {{widget.point}}")
    return


if __name__ == "__main__":
    app.run()
"""


@pytest.fixture
def marimo_app(tmp_path, movies_bundle):
    pytest.importorskip("marimo")
    (tmp_path / "movies.bundle").symlink_to(movies_bundle)
    said = MARIMO.format(opened=OPENED.strip().replace("\n", "\n    "))
    (tmp_path / "app.py").write_text(said.replace("SPACE", named(movies_bundle)))
    port = free_port()
    command = [sys.executable, "-m", "marimo", "--quiet", "run", "app.py", "--headless", f"--port={port}"]
    command += ["--host=127.0.0.1", "--no-token"]
    running = started(command, f"http://127.0.0.1:{port}/health", tmp_path)
    yield f"http://127.0.0.1:{port}/"
    running.terminate()
    running.wait(30)


def test_marimo_runs_the_cells_that_read_a_selection_again(opened, marimo_app):
    page = opened(marimo_app)
    page.wait_for_selector(".vecspeak .map canvas", timeout=120_000)
    page.wait_for_selector("text=selected: 0; picked: None")
    drawn_around(page, reach=0.2)
    page.wait_for_selector(".vecspeak .side h2:has-text('items')")
    count = int(title(page).split()[0].replace(",", ""))
    page.wait_for_selector(f"text=selected: {count}; picked: None")
    page.locator(".vecspeak .side .near button").first.click()
    page.wait_for_selector("text=selected: 1; picked: Point(")
    page.wait_for_selector(".vecspeak .distance")
    page.get_by_role("button", name="Describe").click()
    page.wait_for_selector(".vecspeak .turn:not(.waiting) .evidence", timeout=120_000)
