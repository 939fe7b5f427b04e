"""Words: docs/glossary.md is what the package calls things, and no class name stands for two things."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src" / "vecspeak").rglob("*.py"))
_, _, _RETIRED = (ROOT / "docs" / "glossary.md").read_text().partition("## Retired names")
RETIRED = set(re.findall(r"^\| `(\w+)` \|", _RETIRED, re.MULTILINE))
IN_FILES = set(re.findall(r"`(\w+)`", _RETIRED.partition("Keys of files")[2].partition("\n\n")[0]))


def words_of(name):
    """The words of a name: `KeptAnswers` gives kept and answers."""
    return {word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def names_in(source):
    """Every name that a module defines or uses."""
    for node in ast.walk(ast.parse(source)):
        found = (getattr(node, kind, "") for kind in ("id", "arg", "attr", "name"))
        yield from (name for name in found if isinstance(name, str))


def retired_in(source):
    return {name for name in names_in(source) if RETIRED & words_of(name)} - IN_FILES


def test_the_glossary_retires_names_and_lists_the_keys_of_files():
    assert len(RETIRED) >= 10 and IN_FILES


def test_a_retired_name_is_found():
    assert retired_in("def f(chosen_rows):\n    KeptAnswers.get(chosen_rows)") == {
        "chosen_rows",
        "KeptAnswers",
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_no_identifier_uses_a_retired_name(path):
    assert retired_in(path.read_text()) == set()


def test_no_two_classes_share_a_name():
    places = defaultdict(list)
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path.name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
