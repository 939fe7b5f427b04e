"""What a refusal says to whoever calls over HTTP: of a body of the wrong shape, and of the library's errors.

The library's errors name its parameters and functions (`space=NAME`, `VecSpeak.atlas(...)`), which nobody who calls a
server can type.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from vecspeak.errors import UserError, did_you_mean, listed, shorten

_CALL = re.compile(r"`(?:VecSpeak|vecspeak)[\w.]*\.(\w+)\([^`]*\)`")
_GIVEN = re.compile(r"`?(?<![\w.])(\w+)=('[^'`]*'|True|False|[\w.]+)`?")
_BY_HTTP = {
    "ask": "a question",
    "tastes": "`POST /v1/spaces/NAME/tastes`",
}
"""What a function is over HTTP."""
_INSTEAD = {
    "ask_batch": "name one: leave out the steps, or ask about each of the points by itself",
    "atlas": "regions are made where the bundle is: ask whoever runs the server",
    "fit": "the bundle is made elsewhere: ask whoever runs the server",
    "fit_concept": "`GET /v1/spaces/NAME/concepts` lists those there are",
    "task_set": "give one of these as `task`",
}
"""What to do where a function has no route."""
_ELSEWHERE = "this can be mended where the bundle is: ask whoever runs the server"


def for_callers(error: UserError) -> str:
    """The sentence of an error, with a hint that can be followed over HTTP."""
    hint = error.hint
    for name in _CALL.findall(hint):
        if name not in _BY_HTTP:
            hint = _INSTEAD.get(name, _ELSEWHERE)
            break
    hint = _CALL.sub(lambda found: _BY_HTTP[found[1]], hint)
    return str(UserError(_GIVEN.sub(_field, error.message), _GIVEN.sub(_field, hint)))


def _field(found: re.Match[str]) -> str:
    """A parameter with its value as JSON has it; what is no parameter stays."""
    name, value = found[1], found[2]
    if found[0].startswith("`") and value == "EXPRESSION":
        return f'a part {{"type": "embedding", "slot": "{name}", "expression": "..."}}'
    if not found[0].startswith("`") and value not in ("True", "False"):
        return found[0]
    return f'"{name}": {_as_json(value)}'


def _as_json(value: str) -> str:
    if value in ("True", "False"):
        return value.lower()
    if value.startswith("'"):
        return f'"{value[1:-1]}"'
    return value if re.fullmatch(r"[\d.]+", value) else f'"{value}"'


def unknown_name(name: str, allowed: list[str], what: str = "field") -> str:
    """That there is no such field or parameter, with the nearest, or all there are."""
    there = f"there are {listed(allowed, 20)}" if allowed else "there is none"
    return f"there is no {what} {shorten(name)!r}; {did_you_mean(name, allowed, there)}"


_KINDS = {
    "string": 'a text in quotes, such as "Heat"',
    "float": "a number, such as 0.5",
    "int": "a whole number, such as 5",
    "bool": "true or false",
    "list": "a list, such as [0.1, 0.2]",
    "tuple": "a list, such as [0.1, 0.2]",
    "dict": 'an object in braces, such as {"expression": "..."}',
    "model": 'an object in braces, such as {"expression": "..."}',
}
"""What JSON has, by how the type of an error begins."""
_BOUNDS = {
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
    "string_too_long": "a text of at most {max_length} characters",
    "string_too_short": "a text of at least {min_length} characters",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of at least {min_length}",
    "finite_number": "a number that is neither NaN nor infinite",
}
"""What is allowed, by the type of an error, with the names that its context has."""
_WHOLE: Mapping[str, Callable[[str, Mapping[str, Any]], str]] = {
    "missing": lambda place, _: f"{place} is missing: add it",
    "json_invalid": lambda _, error: (
        f"the body is no JSON, from character {error['loc'][-1]} on ({error['ctx']['error']}): "
        "send one object, with names and texts in double quotes"
    ),
    "unknown_field": lambda place, error: f"{place}: {unknown_name(error['ctx']['field'], error['ctx']['allowed'])}",
    "union_tag_invalid": lambda place, error: (
        f'{place} has the type "{_tags(error["ctx"]["tag"])}": '
        + did_you_mean(
            _tags(error["ctx"]["tag"]),
            re.findall(r"\w+", error["ctx"]["expected_tags"]),
            f"write {_tags(error['ctx']['expected_tags'])} as its `type`",
        )
    ),
    "union_tag_not_found": lambda place, _: (
        f"{place} is {'a part' if place[-1].isdigit() else 'a text, or a list of parts'}: "
        '{"type": "text", "text": "..."} or {"type": "embedding", "expression": "..."}'
    ),
    "string_pattern_mismatch": lambda place, _: f"{place} is of other letters than may be: small ones, such as x",
}  # fmt: skip
"""Sentences of their own, by the type of an error."""


def of_invalid(error: Mapping[str, Any]) -> tuple[str, str]:
    """The place and the sentence of one error of pydantic's: what was given, and what is allowed."""
    pieces = [str(one) for one in error["loc"][1:] if not str(one).startswith(TAG)]
    if error["type"] == "json_invalid":
        pieces = []
    if error["type"] == "unknown_field":
        return ".".join([*pieces, error["ctx"]["field"]]), _sentence(".".join(pieces), error)
    return ".".join(pieces), _sentence(".".join(pieces), error)


def _sentence(place: str, error: Mapping[str, Any]) -> str:
    kind, shown = error["type"], place or "the body"
    if kind in _WHOLE:
        return _WHOLE[kind](shown, error)
    if kind in _BOUNDS:
        allowed = _BOUNDS[kind].format(**error.get("ctx", {}))
    elif kind == "literal_error":
        expected = error["ctx"]["expected"]
        names = re.findall(r"'([^']*)'", expected)
        given = error["input"] if isinstance(error["input"], str) else ""
        return f"{shown} is {expected}, got {_given(error)}; {did_you_mean(given, names, 'use one of these')}"
    else:
        allowed = _KINDS.get(kind.partition("_")[0], "")
    if not allowed:
        return f"{shown}: {error['msg']}; /openapi.json says what is allowed"
    return f"{shown} must be {allowed}; got {_given(error)}"


def _given(error: Mapping[str, Any]) -> str:
    value = error.get("input")
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return f'"{shorten(value)}"'
        case dict():
            return "an object"
        case list() | tuple():
            return f"a list of {len(value)}"
    return shorten(str(value))


TAG = "="
"""What the names of a union's kinds begin with, which stand in the place of an error and are no field."""


def _tags(text: str) -> str:
    return text.replace(TAG, "")
