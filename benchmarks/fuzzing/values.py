"""Odd values, and trees of plain values with a few of their parts changed."""

import copy
import json
import math
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


def weighted(*parts: tuple[int, st.SearchStrategy[T]]) -> st.SearchStrategy[T]:
    """One of the strategies, each as often as its number says (`one_of` counts equal ones once)."""
    drawn = [one for count, one in parts for _ in range(count)]
    return st.integers(0, len(drawn) - 1).flatmap(lambda number: drawn[number])


ODD_TEXTS = (
    "",
    " ",
    "\0",
    "\x1b[2J",
    "\x9b31m",
    "\u202e",
    "\ufeff",
    "é",
    "e\u0301",
    "😀",
    "İ",
    "ß",
    "٣",
    "𝟙",
    "9" * 400,
    "1e400",
    "-0",
    "nan",
    "inf",
    "1e-400",
    "../../etc/passwd",
    "/dev/null",
    "a" * 3000,
    "<|im_end|>",
    "<script>",
    "=1+1",
    "\r\n",
    "\n",
    "{x}",
    "{",
    "}",
    "[" * 200,
    "(" * 120,
    "not " * 120,
    '"',
    "'",
    "\\",
    "%s",
    "None",
    "true",
    "9223372036854775808",
)
"""Texts that programs have fallen over."""
odd_texts = st.sampled_from(ODD_TEXTS)
odd_numbers = st.sampled_from(
    (
        0,
        -1,
        1,
        2**31,
        2**53 + 1,
        2**63,
        -(2**63),
        10**40,
        0.5,
        -0.0,
        1e-320,
        1e308,
        -1e308,
        math.nan,
        math.inf,
    )
)
odd_containers: tuple[Any, ...] = ([], {}, [[]], {"a": 1}, ["x"] * 50, [None], [0, 0], {"": {}})
odd_values = st.one_of(
    st.none(),
    st.booleans(),
    odd_numbers,
    odd_texts,
    st.sampled_from(odd_containers),
    st.integers(2, 400).map(lambda depth: _nested(depth)),
)
words = st.sampled_from(("ghost", "night", "Film 1", "a quiet horse", "Émile", "x", "two words", "0", "m1"))


def _nested(depth: int) -> list[Any]:
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]
    return deep


def alike(value: Any) -> st.SearchStrategy[Any]:
    """Other values of the same kind."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return st.one_of(st.integers(0, 40), st.integers())
    if isinstance(value, float):
        return st.one_of(st.floats(0, 1), st.floats(allow_nan=False, allow_infinity=False))
    return st.one_of(words, st.text(max_size=12)) if isinstance(value, str) else st.just(value)


def places(tree: Any, most: int = 12) -> list[tuple[Any, ...]]:
    """Paths to the parts of a tree, of long lists only the first."""
    found, pending = [], [((), tree)]
    while pending:
        path, node = pending.pop()
        found.append(path)
        inside = (
            node.items()
            if isinstance(node, dict)
            else enumerate(node[:most])
            if isinstance(node, list)
            else ()
        )
        pending += [((*path, key), value) for key, value in inside]
    return found[1:]


@st.composite
def edited(draw: st.DrawFn, tree: Any, most: int = 3, untouched: int = 2) -> Any:
    """The tree with up to `most` changes; of `most` + `untouched` trees so many are as they were."""
    tree = copy.deepcopy(tree)
    edits = draw(st.sampled_from([0] * untouched + list(range(1, most + 1))))
    for _ in range(edits):
        if not (paths := places(tree)):
            return copy.deepcopy(draw(odd_values))
        *above, last = draw(st.sampled_from(paths))
        node = tree
        for step in above:
            node = node[step]
        _change(draw, node, last, tree)
    return tree


def _change(draw: st.DrawFn, node: Any, last: Any, tree: Any) -> None:
    way = draw(st.sampled_from(("alike",) * 6 + ("odd", "delete", "add", "rename", "swap")))
    if way == "alike":
        node[last] = draw(alike(node[last]))
    elif way == "odd":
        node[last] = copy.deepcopy(draw(odd_values))
    elif way == "delete":
        del node[last]
    elif way == "add":
        added = copy.deepcopy(draw(odd_values))  # later edits must not reach what other cases draw
        node.__setitem__(draw(odd_texts), added) if isinstance(node, dict) else node.append(added)
    elif way == "rename" and isinstance(node, dict):
        node[draw(st.one_of(odd_texts, words))] = node.pop(last)
    elif way == "swap":
        other: Any = tree
        for step in draw(st.sampled_from(places(tree))):
            other = other[step]
        node[last] = copy.deepcopy(other)


def as_json(tree: Any) -> bytes:
    """JSON, NaN and halves of surrogates as programs write them."""
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")


def as_toml(tree: dict[str, Any]) -> str:
    """TOML, each key of the top with its value on one line; what TOML cannot say is left out."""
    return "".join(
        f"{json.dumps(str(key))} = {_toml(value)}\n" for key, value in tree.items() if value is not None
    )


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(str(k))} = {_toml(v)}" for k, v in value.items() if v is not None)
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value if one is not None) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower()  # true, 1.0, 1e+308, nan, inf


@st.composite
def spliced(draw: st.DrawFn, text: str, pieces: st.SearchStrategy[str] = odd_texts) -> str:
    """The text with a piece in the place of none or a few of its letters."""
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(pieces) + text[at + draw(st.integers(0, 3)) :]


def nearly(
    texts: st.SearchStrategy[str], pieces: st.SearchStrategy[str] = odd_texts
) -> st.SearchStrategy[str]:
    """Five of six texts as they are drawn, the others with a piece put in."""
    return weighted((5, texts), (1, texts.flatmap(lambda text: spliced(text, pieces))))
