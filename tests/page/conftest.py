"""A real bundle of 600 movies behind `vecspeak explore`, and a browser that looks at it."""

import os
import shutil

import numpy as np
import pytest

from page_driver import explored, until
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


def movies(count=600):
    """Movies, their vectors by MiniLM; a text names a movie's kinds, for the package has no plots of them."""
    whole = Space.load(shipped_space())
    rows = np.arange(count)
    genres = [whole.metadata.column("genres")[int(row)].as_py() for row in rows]
    return {
        "encoder": whole.encoder,
        "vectors": whole.vectors[rows],
        "ids": [whole.ids[row] for row in rows],
        "labels": [whole.labels[row] for row in rows],
        "texts": [
            f"{whole.labels[row]} is a {', '.join(kinds)} movie."
            for row, kinds in zip(rows, genres, strict=True)
        ],
        "metadata": {"genres": genres, "year": [1950 + row % 70 for row in range(count)]},
    }


@pytest.fixture(scope="session")
def some_movies():
    return movies


@pytest.fixture(scope="session")
def movies_bundle(tmp_path_factory):
    """Made in a minute; PAGE_BUNDLE names one that was made before."""
    if ready := os.environ.get("PAGE_BUNDLE"):
        return ready
    given = movies()
    vs = VecSpeak.from_pretrained()
    vs.fit(Space.from_arrays(name="movies", **given))
    draw = np.random.default_rng(0)
    narrow = given["vectors"] @ draw.standard_normal((384, 96)).astype(np.float32)
    people = np.stack([narrow[draw.choice(600, 8)].mean(0) for _ in range(60)])
    vs.fit(
        Space.from_arrays(name="narrow", **(given | {"vectors": narrow, "encoder": None})),
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
def moved_bundle(tmp_path_factory):
    """The first 200 movies twice: in the second space each of the first 20 has the vector of one ten places on."""
    given = movies(200)
    moved = given["vectors"].copy()
    moved[:20] = np.roll(moved[:20], 10, axis=0)
    vs = VecSpeak.from_pretrained()
    vs.fit(Space.from_arrays(name="before", **given))
    vs.fit(Space.from_arrays(name="after", **(given | {"vectors": moved})))
    vs.map("before"), vs.map("after")
    folder = tmp_path_factory.mktemp("moved") / "moved.bundle"
    vs.save(folder)
    return folder


@pytest.fixture(scope="session")
def foreign_bundle(tmp_path_factory):
    """The same 200 movies under other ids in the second space, of which the first 40 kept their names."""
    given = movies(200)
    named = [label if row < 40 else f"{label} again" for row, label in enumerate(given["labels"])]
    vs = VecSpeak.from_pretrained()
    vs.fit(Space.from_arrays(name="here", **given))
    vs.fit(
        Space.from_arrays(name="there", **(given | {"ids": [f"x{n}" for n in range(200)], "labels": named}))
    )
    vs.map("here"), vs.map("there")
    folder = tmp_path_factory.mktemp("foreign") / "foreign.bundle"
    vs.save(folder)
    return folder


@pytest.fixture(scope="session")
def large_bundle(tmp_path_factory):
    """6,000 movies: the shipped ones, and a thousand of them again, a little shaken."""
    given, draw = movies(5000), np.random.default_rng(0)
    again = given["vectors"][:1000] + 0.02 * draw.standard_normal((1000, 384)).astype(np.float32)
    whole = {
        "encoder": given["encoder"],
        "vectors": np.concatenate([given["vectors"], again]),
        "ids": given["ids"] + [f"{one} again" for one in given["ids"][:1000]],
        "labels": given["labels"] + given["labels"][:1000],
        "texts": given["texts"] + given["texts"][:1000],
        "metadata": {"genres": given["metadata"]["genres"] + given["metadata"]["genres"][:1000]},
    }
    vs = VecSpeak.from_pretrained()
    vs.fit(Space.from_arrays(name="movies", **whole))
    vs.map("movies")
    folder = tmp_path_factory.mktemp("large") / "large.bundle"
    vs.save(folder)
    return folder


@pytest.fixture(scope="session")
def address(movies_bundle):
    """Of a running `vecspeak explore`."""
    with explored(movies_bundle) as found:
        yield found


@pytest.fixture
def locked_address(movies_bundle):
    """Of one that asks for the key "sesame"."""
    with explored(movies_bundle, key="sesame") as found:
        yield found


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
    """Opens the page at an address's hash; after the test nothing was asked of another server, nothing failed."""
    opened, foreign, errors, dialogs = [], [], [], []

    def go(hash_="", at=address, **options):
        context = browser.new_context(**({"viewport": {"width": 1300, "height": 850}} | options))
        opened.append(context)
        page = context.new_page()
        page.on(
            "request",
            lambda one: None if one.url.startswith((at, "data:", "blob:")) else foreign.append(one.url),
        )
        page.on("pageerror", lambda one: errors.append(str(one)))
        page.on("console", lambda one: errors.append(one.text) if "Content Security" in one.text else None)
        page.on("dialog", lambda one: (dialogs.append(one.message), one.dismiss()))
        page.goto(at + hash_)
        return page

    yield go
    for one in opened:
        one.close()
    assert foreign == [] and errors == [] and dialogs == []


@pytest.fixture
def page(open_page):
    found = open_page()
    found.wait_for_selector(".name:visible")
    until(found, "document.querySelector('select[name=color]').value.startsWith('regions')")
    return found
