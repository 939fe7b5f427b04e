"""Every public name has an example in its docstring, and every example of the API's page runs."""

import doctest
import importlib.util
from pathlib import Path

import pytest

import vecspeak

ROOT = Path(__file__).parents[1]
NAMES = [name for name in vecspeak.__all__ if name != "__version__"]
spec = importlib.util.spec_from_file_location("api_docs", ROOT / "scripts" / "api_docs.py")
api_docs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(api_docs)
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_an_example(name):
    assert ">>> " in getattr(vecspeak, name).__doc__


@pytest.fixture(scope="module")
def names():
    """What the lines at the head of the page define."""
    made = {}
    for line in api_docs.SETUP.strip().splitlines():
        exec(line.removeprefix(">>> "), made)
    return made


@pytest.mark.model
@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_a_public_name_run(name, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    found = doctest.DocTestFinder().find(getattr(vecspeak, name), name, globs=names)
    failures = []
    runner = doctest.DocTestRunner(optionflags=_FLAGS, verbose=False)
    for test in found:
        runner.run(test, out=failures.append)
    assert not failures, "".join(failures)
