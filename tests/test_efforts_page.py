"""What README and docs/quality.md say of efforts, words and clauses is what the benchmarks wrote."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCORES = ROOT / "docs" / "scores"
SETS = json.loads((SCORES / "efforts.json").read_text(encoding="utf-8"))["sets"]
SHOWN = {
    "normal": "what `ask` shows",
    "no_words": "the same without words in the question",
    "plain": "the likeliest tokens, without words",
    "other_words": "another movie's words, own vector",
    "other_vector": "own words, another movie's vector",
    "nearest_text": "the nearest known plot, as long as an answer",
}


def said(page):
    return (ROOT / page).read_text(encoding="utf-8")


def cell(one):
    return f"{one[0]:.3f} [{one[1]:.3f}, {one[2]:.3f}]"


def rows():
    """The rows of the README's table: second encoder, true words, loops."""
    found = SETS["movies.semantic"]
    for key, name in SHOWN.items():
        one = found[key]
        words, loops = one["word_precision"], one["loops"][0]
        share = f"{words[0]:.0%} [{words[1]:.0%}, {words[2]:.0%}]"
        yield f"| {name} | {cell(one['sc_2'])} | {share} | {loops:.0%} |"


def test_the_readmes_table_is_what_the_benchmark_wrote():
    assert "\n".join(rows()) in said("README.md")


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    spec = importlib.util.spec_from_file_location("efforts", ROOT / "benchmarks" / "efforts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.table
    for name in ("own_domain", "quality", "words"):
        sys.modules.pop(name, None)


def test_the_pages_tables_are_what_the_benchmark_wrote(table):
    page = said("docs/quality.md")
    for space, found in SETS.items():
        assert table(found) in page, space


def test_what_the_page_says_of_clauses_and_of_yes_or_no_is_in_their_files():
    page = " ".join(said("docs/quality.md").split())
    clauses = json.loads((SCORES / "clauses.json").read_text(encoding="utf-8"))
    for name in ("movies", "diagnoses"):
        by_coverage = {point["coverage"]: point["precision"]["value"] for point in clauses[name]["curve"]}
        shares = " | ".join(f"{by_coverage[one]:.2f}" for one in (1.0, 0.5, 0.25, 0.1))
        assert f"| {name} | {shares} | {clauses[name]['auc']:.2f} |" in page
    found = json.loads((SCORES / "yes-no.json").read_text(encoding="utf-8"))
    right = found["accuracy"]
    halves = {one["coverage"]: one["precision"]["value"] for one in clauses["movies"]["curve"]}
    readme = " ".join(said("README.md").split())
    assert f"most probable {halves[0.5]:.0%} hold in the true plot, of all {halves[1.0]:.0%}" in readme
    assert f"the vector is right in {right['value']:.0%} of the cases" in readme
    assert f"AUC {found['auc']:.2f}, of another movie's vector {found['auc_of_another_vector']:.2f}" in page
    assert f"right in {right['value']:.0%} [{right['low']:.0%}, {right['high']:.0%}]" in page
