"""What README and docs/quality.md say of efforts, words, clauses and inversion is what the benchmarks wrote."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def pages(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec = importlib.util.spec_from_file_location("score_pages", ROOT / "scripts" / "score_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in ("efforts", "inversion", "own_domain", "quality", "words"):
        sys.modules.pop(name, None)


def test_every_block_is_as_the_files_have_it(pages):
    for page in pages.PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert "<!-- scores: " in text and pages.filled(text) == text, page


def test_a_number_that_was_changed_by_hand_is_noticed(pages):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = pages.cell(pages.scores("efforts")["sets"]["movies.semantic"]["normal"]["sc_2"])
    assert shown in text and pages.filled(text.replace(shown, "0.999 [0.990, 1.000]")) == text


def test_a_block_of_another_name_is_refused(pages):
    with pytest.raises(KeyError):
        pages.filled("<!-- scores: nothing -->\n\n<!-- end -->")
