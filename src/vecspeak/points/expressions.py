"""Expressions: how a point is written, as a tree of frozen nodes, and its canonical text.

Knows nothing of spaces, of looking anything up, or of parsing. Sums and products are flat (one node for
`a + b - c`), so that a long expression makes no deep tree. Trees are equal when their canonical texts are.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import UnionType
from typing import Literal, TypeVar

_Result = TypeVar("_Result")

FUNCTION_NAMES = ("mid", "mean", "user", "id")
RESERVED_NAMES = frozenset(FUNCTION_NAMES) | {"cluster", "slerp"}
"""Words that no concept may bear: the functions there are, and those that the design has promised."""

ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t", "r": "\r"}
"""What a letter after a backslash stands for inside quotes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expression:
    """A node of the tree; `str()` prints it in canonical form, which parses to an equal tree."""

    start: int = 0
    """Where it begins in the text it was parsed from, counted from 0."""

    def __str__(self) -> str:
        return fold(self, _text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Number(Expression):
    """A finite number that is not negative (a minus sign is a node of its own)."""

    value: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Item(Expression):
    """An item named by its label or id."""

    name: str
    by_id: bool = False
    """True when written id("..."): only an id matches."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class User(Expression):
    """A user named by id."""

    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConceptName(Expression):
    """A concept named by a bare word."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Negative(Expression):
    """Its operand with the sign turned."""

    operand: Expression


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One more operand of a sum or product, with the operator before it."""

    operator: Literal["+", "-", "*", "/"]
    operand: Expression
    start: int = 0
    """Where the operator stands."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sum(Expression):
    """Operands joined by + and -."""

    first: Expression
    rest: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Product(Expression):
    """Operands joined by * and /."""

    first: Expression
    rest: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call(Expression):
    """A function of points: mid or mean."""

    function: Literal["mid", "mean"]
    arguments: tuple[Expression, ...]


def quoted(text: str) -> str:
    """The text in double quotes, on one line, as an expression takes it."""
    letters = {value: f"\\{letter}" for letter, value in ESCAPES.items() if value != "'"}
    return '"' + "".join(letters.get(character, character) for character in text) + '"'


def id_call(item_id: str) -> str:
    """How to write the item with this id so that nothing but the id can match: id("m42")."""
    return f"id({quoted(item_id)})"


def children(node: Expression) -> tuple[Expression, ...]:
    """The expressions that this one is made of, from left to right."""
    match node:
        case Negative(operand=operand):
            return (operand,)
        case Sum(first=first, rest=rest) | Product(first=first, rest=rest):
            return (first, *(part.operand for part in rest))
        case Call(arguments=arguments):
            return arguments
    return ()


def fold(root: Expression, combine: Callable[[Expression, list[_Result]], _Result]) -> _Result:
    """What `combine` makes of the root, given what it made of its children, and so on down to the leaves.

    A loop, not a recursion, so that the deepest tree that the grammar takes exhausts no stack.
    """
    results: list[_Result] = []
    pending = [(root, False)]
    while pending:
        node, has_results = pending.pop()
        below = children(node)
        if has_results or not below:
            first = len(results) - len(below)
            results[first:] = [combine(node, results[first:])]
        else:
            pending.append((node, True))
            pending.extend((child, False) for child in reversed(below))
    return results[0]


def _text(node: Expression, below: list[str]) -> str:
    match node:
        case Number(value=value):
            return repr(value).removesuffix(".0")
        case Item(name=name, by_id=by_id):
            return id_call(name) if by_id else quoted(name)
        case User(user_id=user_id):
            return f"user({user_id if re.fullmatch('[0-9]+', user_id) else quoted(user_id)})"
        case ConceptName(name=name):
            return name
        case Negative(operand=operand):
            return "-" + _grouped(operand, below[0], Sum | Product | Negative)
        case Sum():
            return _joined(node, below, " ", Sum)
        case Product():
            return _joined(node, below, "", Sum | Product)
        case Call(function=function):
            return f"{function}({', '.join(below)})"
    raise TypeError(f"not an expression: {node!r}")


def _grouped(node: Expression, text: str, kinds: type[Expression] | UnionType) -> str:
    return f"({text})" if isinstance(node, kinds) else text


def _joined(node: Sum | Product, below: list[str], gap: str, grouped: type[Expression] | UnionType) -> str:
    text = _grouped(node.first, below[0], grouped)
    for part, operand in zip(node.rest, below[1:], strict=True):
        text += gap + part.operator + gap + _grouped(part.operand, operand, grouped)
    return text
