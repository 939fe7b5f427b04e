"""The page on expressions: its examples are expressions, and it leaves out no function."""

import re
from pathlib import Path

import pytest

from vecspeak.points import parse
from vecspeak.points.expressions import FUNCTION_NAMES
from vecspeak.points.parser import parse_query

PAGE = (Path(__file__).parents[2] / "docs" / "expressions.md").read_text()
ROWS = [line.split(" | ")[0].removeprefix("| ") for line in PAGE.splitlines() if line.startswith("| `")]
EXAMPLES = [example for row in ROWS for example in re.findall("`([^`]+)`", row)]
QUERIES = re.findall("^    (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_an_expression(text):
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize("text", QUERIES)
def test_an_example_is_a_query(text):
    assert parse_query(str(parse_query(text))) == parse_query(text)


def test_the_page_leaves_out_no_function():
    assert len(QUERIES) == 2
    assert {
        name for name in FUNCTION_NAMES if not any(f"{name}(" in example for example in EXAMPLES)
    } == set()
