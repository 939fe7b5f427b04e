"""A hint names a call that exists as it is written: of the public names, or by its whole dotted path."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import vecspeak
from vecspeak.points.expressions import FUNCTION_NAMES

_ROOT = Path(vecspeak.__file__).parent
_CALL = re.compile(r"`([A-Za-z_][\w.]*)\(((?:[^`()]|\([^`()]*\))*)")
"""A call in backticks, and its arguments."""


def calls_of(path):
    """The calls that the texts of a file name; docstrings are not said to anybody."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        text = "".join(getattr(part, "value", "") if isinstance(part, ast.Constant) else "X" for part in parts
                       if not isinstance(part, ast.Constant) or isinstance(part.value, str))  # fmt: skip
        for found in _CALL.finditer(text if id(node) not in said else ""):
            yield node.lineno, found[1], found[2]


def meant(name):
    """What a dotted name is. Raises AttributeError or ImportError where it is nothing."""
    head, *rest = name.split(".")
    if head == "vecspeak":
        module = ".".join(name.split(".")[:-1])
        return getattr(import_module(module), rest[-1])
    found = getattr(vecspeak, head) if head in vecspeak.__all__ else None
    for one in rest:
        found = getattr(found, one)
    if found is None:
        raise AttributeError(f"{head} is no public name")
    return found


@pytest.mark.parametrize("path", sorted(_ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(_ROOT)))
def test_a_hint_names_a_call_that_exists(path):
    for line, name, arguments in calls_of(path):
        if name in FUNCTION_NAMES:  # of expressions
            continue
        try:
            parameters = inspect.signature(meant(name)).parameters
        except (AttributeError, ImportError) as error:
            pytest.fail(f"line {line}: `{name}(...)`: {error}")
        takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        names = set(re.findall(r"(\w+)=", arguments))
        assert takes_all or names <= set(parameters), f"line {line}: `{name}` takes no {arguments}"
        assert "BUNDLE" not in arguments, f"line {line}: `{name}` is a method of an opened bundle"


def test_a_call_that_does_not_exist_is_found():
    assert callable(meant("VecSpeak.fit")) and callable(meant("vecspeak.demo.run.run_demo"))
    for name in ("run_demo", "VecSpeak.fitt", "vecspeak.demo.run.demo", "vecspeak.nowhere.run"):
        with pytest.raises((AttributeError, ImportError)):
            meant(name)
