"""Expressions: how a point, or a path of points, is written, as a tree of frozen nodes, and its canonical text.

Sums and products are flat (one node for `a + b - c`), so that a long expression makes no deep tree. Trees are equal
when their canonical texts are.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import UnionType
from typing import Literal, TypeVar, get_args

import numpy as np

from vecspeak.points.queries import QueryTree
from vecspeak.spaces.point import number_text, quoted, vector_text

_Result = TypeVar("_Result")

Function = Literal["mid", "slerp", "mean", "toward", "away", "negate", "axis", "pc"]
"""Functions of points."""
CALLS: tuple[Function, ...] = get_args(Function)
FUNCTION_NAMES = (*CALLS, "user", "id", "item", "centroid", "cluster", "random", "between")
RESERVED_NAMES = frozenset(FUNCTION_NAMES) | {"steps", "and", "or", "not"}
"""Words that no concept may bear: the functions there are, and the words of paths and queries."""


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
class ItemName(Expression):
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
    """A function of points."""

    function: Function
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundItems(Expression):
    """The only item that a query finds, or the centroid of all that it finds."""

    function: Literal["item", "centroid"]
    query: QueryTree


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cluster(Expression):
    """The centroid of a region of the space's atlas."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Random(Expression):
    """A point drawn from a normal distribution with the items' mean and covariance."""

    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Person(Expression):
    """Somebody who is not in the table, by what they rated."""

    ratings: tuple[tuple[ItemName, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VectorLiteral(Expression):
    """A vector that a person brings, typed as numbers or in a `.npy` file; within `user(...)` a person's."""

    numbers: tuple[float, ...] = ()
    path: str = ""
    is_user: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Within(Expression):
    """A point of the space of that name."""

    operand: Expression
    space: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Between(Expression):
    """A path, not a point: evenly spaced points from one to another, both ends among them."""

    first: Expression
    second: Expression
    steps: int
    """How many points, 2 or more."""


BARE_SPACE = r"[A-Za-z0-9_][A-Za-z0-9_.]*"
"""Names of spaces that need no quotes after an @; a dash would be a minus."""


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
        case Within(operand=operand):
            return (operand,)
        case Between(first=first, second=second):
            return (first, second)
    return ()


def fold(
    root: Expression,
    combine: Callable[[Expression, list[_Result]], _Result],
    children: Callable[[Expression], tuple[Expression, ...]] = children,
) -> _Result:
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
        case Negative(operand=operand):
            return "-" + _grouped(operand, below[0], Sum | Product | Negative)
        case Sum():
            return _joined(node, below, " ", Sum)
        case Product():
            return _joined(node, below, "", Sum | Product)
        case Call(function=function):
            return f"{function}({', '.join(below)})"
        case Within(operand=operand, space=space):
            name = space if re.fullmatch(BARE_SPACE, space) else quoted(space)
            return f"{_grouped(operand, below[0], Sum | Product | Negative | Within)}@{name}"
        case Between(steps=steps):
            return f"between({', '.join(below)}) steps {steps}"
    return _leaf(node)


def _leaf(node: Expression) -> str:
    match node:
        case Number(value=value):
            return number_text(value)
        case ItemName(name=name, by_id=by_id):
            return id_call(name) if by_id else quoted(name)
        case User(user_id=user_id):
            return f"user({user_id if re.fullmatch('[0-9]+', user_id) else quoted(user_id)})"
        case ConceptName(name=name):
            return name
        case FoundItems(function=function, query=query):
            return f"{function}({query})"
        case Cluster(number=number):
            return f"cluster({number})"
        case Random(seed=seed):
            return f"random({seed})"
        case Person(ratings=ratings):
            given = (f"{item}: {number_text(value)}" for item, value in ratings)
            return f"user({{{', '.join(given)}}})"
        case VectorLiteral(numbers=numbers, path=path, is_user=is_user):
            text = f"vector({quoted(path)})" if path else vector_text(np.array(numbers))
            return f"user({text})" if is_user else text
    raise TypeError(f"not an expression: {node!r}")


def _grouped(node: Expression, text: str, kinds: type[Expression] | UnionType) -> str:
    return f"({text})" if isinstance(node, kinds) else text


def _joined(node: Sum | Product, below: list[str], gap: str, grouped: type[Expression] | UnionType) -> str:
    text = _grouped(node.first, below[0], grouped)
    for part, operand in zip(node.rest, below[1:], strict=True):
        text += gap + part.operator + gap + _grouped(part.operand, operand, grouped)
    return text
