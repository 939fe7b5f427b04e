"""Settings: whether the values of a recipe are of their kind and in their range.

Knows plain values as TOML gives them. Knows nothing of what they set.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from vecspeak.errors import UserError


def within(name: str, value: float, low: float, high: float) -> None:
    """Raise UserError for a number out of its range."""
    if not low <= value <= high:
        raise UserError(f"{name} must be between {low} and {high}, got {value}", "correct the recipe")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_KINDS: Mapping[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("a text on one line", lambda value: isinstance(value, str) and "\n" not in value),
    int: ("a whole number", lambda value: _is_number(value) and isinstance(value, int)),
    float: ("a number", _is_number),
    tuple[str, ...]: (
        "a list of texts",
        lambda value: isinstance(value, tuple) and all(isinstance(one, str) for one in value),
    ),
}


def check_kind(name: str, value: Any, kind: Any) -> None:
    """Raise UserError where a setting is of another kind than its field; other kinds are checked by their owners."""
    said, fits = _KINDS.get(kind, ("", lambda value: True))
    if not fits(value):
        shown = list(value) if isinstance(value, tuple) else value  # as it stands in the file
        raise UserError(f"{name} must be {said}, got {shown!r}", "correct the recipe")


def names(name: str, values: Any, allowed: Collection[str]) -> None:
    """Raise UserError for what is no list of allowed names."""
    if not isinstance(values, tuple):
        raise UserError(
            f"{name} must be a list of names, got {values!r}", f'write {name.split(".")[1]} = ["..."]'
        )
    for value in values:
        if value not in allowed:
            raise UserError(f"{name} has {value!r}; allowed are {', '.join(allowed)}", "correct the recipe")


def numbers(name: str, values: Any, whole: bool) -> None:
    """Raise UserError for what is no table of numbers of at least 0."""
    if not isinstance(values, Mapping):
        raise UserError(f"the recipe's {name} must be a table, got {values!r}", f"write [{name}]")
    for key, value in values.items():
        kinds = (int,) if whole else (int, float)
        if not _is_number(value) or not isinstance(value, kinds) or value < 0:
            number = "a whole number" if whole else "a number"
            raise UserError(
                f"{name}.{key} must be {number} of at least 0, got {value!r}", "correct the recipe"
            )
