"""Quoting: how a text stands inside an expression. Knows letters only."""

import re
from collections.abc import Callable

ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t", "r": "\r"}
"""What a letter after a backslash stands for inside quotes."""


def unescaped(text: str, unknown: Callable[[re.Match[str]], str]) -> str:
    """What stands between quotes, read; `unknown` says what a backslash before any other letter stands for."""

    def read(found: re.Match[str]) -> str:
        return ESCAPES[found[1]] if found[1] in ESCAPES else unknown(found)

    return re.sub(r"\\(.)", read, text, flags=re.DOTALL)


def quoted(text: str) -> str:
    """The text in double quotes, on one line, as an expression takes it."""
    letters = {value: f"\\{letter}" for letter, value in ESCAPES.items() if value != "'"}
    return '"' + "".join(letters.get(character, character) for character in text) + '"'
