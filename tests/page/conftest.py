"""A real bundle of 600 movies behind `vecspeak explore`, and a browser that looks at it."""

import os
import re
import shutil
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest

from vecspeak import Space, VecSpeak
from vecspeak.bundles.bundle import shipped_space
from vecspeak.points.foldin import FoldIn
from vecspeak.spaces.io import FactorSettings

CHROMIUM = os.environ.get("CHROMIUM", "") or shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
]


def _movies():
    """600 movies, their vectors by MiniLM; a text names a movie's kinds, for the package has no plots of them."""
    whole = Space.load(shipped_space())
    rows = np.arange(600)
    genres = [whole.metadata.column("genres")[int(row)].as_py() for row in rows]
    return {
        "vectors": whole.vectors[rows],
        "ids": [whole.ids[row] for row in rows],
        "labels": [whole.labels[row] for row in rows],
        "texts": [
            f"{whole.labels[row]} is a {', '.join(kinds)} movie."
            for row, kinds in zip(rows, genres, strict=True)
        ],
        "metadata": {"genres": genres, "year": [1950 + row % 70 for row in range(600)]},
    }


@pytest.fixture(scope="session")
def movies_bundle(tmp_path_factory):
    """Made in a minute; PAGE_BUNDLE names one that was made before."""
    if ready := os.environ.get("PAGE_BUNDLE"):
        return ready
    given = _movies()
    vs = VecSpeak.from_pretrained()
    vs.fit(Space.from_arrays(name="movies", **given))
    draw = np.random.default_rng(0)
    narrow = given["vectors"] @ draw.standard_normal((384, 96)).astype(np.float32)
    people = np.stack([narrow[draw.choice(600, 8)].mean(0) for _ in range(60)])
    vs.fit(
        Space.from_arrays(name="narrow", **(given | {"vectors": narrow})),
        users=Space.from_arrays(people, ids=[f"p{n}" for n in range(60)], name="narrow.users"),
        fold_in=FoldIn(settings=FactorSettings(alpha=10.0, regularization=0.05, lowest=1.0, highest=5.0)),
    )
    vs.concept("comedy", where="genres = Comedy", space="movies")
    folder = tmp_path_factory.mktemp("page") / "movies.bundle"
    vs.atlas(n_regions=12, reader=False, space="movies")
    vs.map("movies"), vs.map("narrow")
    vs.save(folder)
    return folder


@pytest.fixture(scope="session")
def address(movies_bundle):
    """Of a running `vecspeak explore`."""
    yield from _explored(movies_bundle)


@pytest.fixture
def locked_address(movies_bundle):
    """Of one that asks for the key "sesame"."""
    yield from _explored(movies_bundle, key="sesame")


def _explored(bundle, key=""):
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


def until(page, expression, given=None, seconds=60):
    """Waits until an expression holds; the page's policy lets no text be run in it, so it is asked from here."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression, given):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    assert CHROMIUM, "no chromium is here; set CHROMIUM to one"
    with playwright.sync_playwright() as opened:
        found = opened.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture(name="until")
def until_it_holds():
    return until


@pytest.fixture
def open_page(browser, address):
    """Opens the page at an address's hash; after the test nothing was asked of another server, and nothing failed."""
    opened, foreign, errors = [], [], []

    def go(hash_="", at=address, **options):
        context = browser.new_context(**({"viewport": {"width": 1300, "height": 850}} | options))
        opened.append(context)
        page = context.new_page()
        page.on(
            "request",
            lambda one: None if one.url.startswith((at, "data:", "blob:")) else foreign.append(one.url),
        )
        page.on("pageerror", lambda one: errors.append(str(one)))
        page.goto(at + hash_)
        return page

    yield go
    for one in opened:
        one.close()
    assert foreign == [] and errors == []


@pytest.fixture
def page(open_page):
    found = open_page()
    found.wait_for_selector(".name:visible")
    until(found, "document.querySelector('select[name=color]').value.startsWith('regions')")
    return found
