"""Pages of single results: whole, escaped, with their figures, and refused for what has none."""

import numpy as np
import pytest

from fakes import WordEncoder
from page_tags import Tags
from vecspeak import Space, UserError, VecSpeak
from vecspeak.bundles.fitting import fit_space
from vecspeak.cli import main
from vecspeak.explore.axes import axes
from vecspeak.explore.compare import diff
from vecspeak.explore.drift import drift
from vecspeak.explore.leaks import leaks
from vecspeak.explore.migration import compare
from vecspeak.explore.why import why
from vecspeak.points import evaluate
from vecspeak.report.result import render_result, save_page
from vecspeak.spaces.io import save_space

BAD = '<img src="x" onerror="alert(1)">'
ITEMS = 120


@pytest.fixture(scope="module")
def spaces():
    """Two spaces of items whose labels hold markup, and whose texts say on which side of an axis they lie."""
    draw = np.random.default_rng(0)
    vectors = draw.standard_normal((ITEMS, 12)).astype(np.float32)
    vectors[:, 0] *= 4
    texts = ["a quick warm fox" if one[0] > 0 else "a slow cold snail" for one in vectors]
    turned = vectors @ np.linalg.qr(draw.standard_normal((12, 12)))[0].astype(np.float32)
    turned[:3] = -turned[:3]
    return tuple(
        Space.from_arrays(
            found,
            ids=[str(number) for number in range(ITEMS)],
            labels=[f"{BAD} {number}" for number in range(ITEMS)],
            texts=texts,
            name=name,
        )
        for name, found in (("old", vectors), ("new", turned))
    )


@pytest.fixture(scope="module")
def results(spaces):
    space = spaces[0]
    entry = fit_space(space, texts=space.metadata.column("text").to_pylist(), encoder=WordEncoder())
    points = [evaluate(f'id("{one}")', entry.scope) for one in ("0", "1")]
    return {
        "why": why(entry, *points),
        "axes": axes(entry, count=3),
        "leaks": leaks(entry),
        "compare": compare(*spaces),
        "diff": diff(entry, *points),
        "drift": drift(*spaces, regions=2),
    }


@pytest.mark.parametrize("name", ["why", "axes", "leaks", "compare", "diff", "drift"])
def test_a_page_closes_its_tags_asks_for_nothing_and_escapes_labels(results, name):
    found = results[name]
    tags = Tags(render_result(found))
    assert not tags.open and not tags.asks and not tags.names & {"script", "img", "link"}
    text = " ".join(tags.words)
    assert found.how_to_read in text and found.heading in text


def test_pages_show_the_figures(results):
    pages = {name: " ".join(Tags(render_result(found)).words) for name, found in results.items()}
    for part in (results["why"].common, results["why"].rest, results["why"].score):
        assert f"{part:+.3f}" in pages["why"]
    assert all(f"{one.score:.2f}" in pages["axes"] for one in results["axes"].axes)
    assert results["compare"].lines[1] in pages["compare"]
    assert results["drift"].moved and all(one.label in pages["drift"] for one in results["drift"].moved)
    assert BAD in pages["drift"]


def test_the_command_writes_the_page_and_says_where(spaces, tmp_path, capsys):
    paths = [tmp_path / f"{space.name}.parquet" for space in spaces]
    for space, path in zip(spaces, paths, strict=True):
        save_space(space, path)
    page = tmp_path / "page.html"
    main(["compare", *map(str, paths), "--page", str(page)])
    assert f"page: {page}" in capsys.readouterr().err and "neighbours kept" in page.read_text()


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_worked_out(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["compare", "none.parquet", "none.parquet", "--page", str(tmp_path)])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert str(tmp_path) in said and "none.parquet" not in said


def test_what_has_no_page_is_refused(results, tmp_path):
    with pytest.raises(UserError, match="no page"):
        save_page("a text", tmp_path / "page.html")
    assert VecSpeak.save_page(results["why"], tmp_path / "why.html").read_text().startswith("<!doctype html>")
