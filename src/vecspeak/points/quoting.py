"""Quoting: how a text stands inside an expression. Knows letters only."""

ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t", "r": "\r"}
"""What a letter after a backslash stands for inside quotes."""


def quoted(text: str) -> str:
    """The text in double quotes, on one line, as an expression takes it."""
    letters = {value: f"\\{letter}" for letter, value in ESCAPES.items() if value != "'"}
    return '"' + "".join(letters.get(character, character) for character in text) + '"'
