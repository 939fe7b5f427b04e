"""Evaluation: from an expression to a point of a space.

An expression is linear in what it names, so its value is a table of weights: how much of which item, user and
concept. The vector is summed once at the end, in float64. That keeps the laws exact (`a + 0*c` is the item a,
and so is `mid(a, a)`) and tells which items a point was made from. Knows nothing of fitting or readers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from vecspeak.errors import UserError
from vecspeak.points.concepts import Concept
from vecspeak.points.expressions import (
    Call,
    ConceptName,
    Expression,
    Item,
    Negative,
    Number,
    Part,
    Product,
    Sum,
    User,
    fold,
    quoted,
)
from vecspeak.points.grammar import EXAMPLE, located, parse
from vecspeak.points.lookup import find_item, find_user, nearest_rows
from vecspeak.points.point import Point, PointKind
from vecspeak.spaces.space import Space

if TYPE_CHECKING:
    from vecspeak.points.folding import FoldIn
    from vecspeak.spaces.clusters import Clusters

_NEGLIGIBLE = 1e-12
"""Weights and lengths below this share of the largest are rounding errors of what cancels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scope:
    """What the names in an expression can mean; UserError when widths differ."""

    space: Space
    """The items."""
    users: Space | None = None
    """Users who lie in the same vector space as the items; None when there are none."""
    concepts: Mapping[str, Concept] = field(default_factory=dict)
    """Concepts by the name that expressions call them."""
    clusters: "Clusters | None" = None
    """The regions of an atlas of the space; None where there is none."""
    fold_in: "FoldIn | None" = None
    """How a person who is not among the users gets a vector; None where that is not known."""

    def __post_init__(self) -> None:
        if self.users is not None and self.users.dim != self.space.dim:
            raise UserError(
                f"users have width {self.users.dim}, items of {self.space.name} have {self.space.dim}; "
                "they must lie in one space",
                "give the users made together with the items",
            )
        for name, concept in self.concepts.items():
            if concept.direction.size != self.space.dim:
                raise UserError(
                    f"the concept {name} has width {concept.direction.size}, "
                    f"{self.space.name} has width {self.space.dim}",
                    f"fit {name} on {self.space.name}",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One thing with a vector of its own, named in an expression."""

    kind: Literal["item", "user", "concept"]
    name: str
    """The id of an item or user, the name of a concept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mix:
    """A weighted sum of sources: a point, or only a direction where no item and no user takes part."""

    weights: dict[_Source, float]
    is_point: bool


_Value = float | _Mix


def evaluate(expression: Expression | str, scope: Scope) -> Point:
    """The point that an expression names; UserError with the character's number where it names none."""
    tree = parse(expression) if isinstance(expression, str) else expression
    value = fold(tree, lambda node, below: _value(node, below, scope))
    if not isinstance(value, _Mix):
        raise located(tree.start, "this is a number, not a point", EXAMPLE)
    if not value.is_point:
        raise located(tree.start, "this is a direction, not a point; add it to an item or a user", EXAMPLE)
    return _point(tree, _without_cancelled(value.weights), scope)


def _value(node: Expression, below: list[_Value], scope: Scope) -> _Value:
    """What the node comes to, given what its children came to."""
    match node:
        case Number(value=value):
            return value
        case Item() | User() | ConceptName():
            return _Mix(weights={_source(node, scope): 1.0}, is_point=not isinstance(node, ConceptName))
        case Negative():
            return _scaled(below[0], -1.0)
        case Sum(rest=rest) | Product(rest=rest):
            join = _added if isinstance(node, Sum) else _multiplied
            total = below[0]
            for part, operand in zip(rest, below[1:], strict=True):
                total = join(total, operand, part)
            return total
        case Call():
            return _called(node, below)
    raise TypeError(f"not an expression: {node!r}")


def _source(node: Item | User | ConceptName, scope: Scope) -> _Source:
    try:
        match node:
            case Item(name=name, by_id=by_id):
                return _Source(kind="item", name=scope.space.ids[find_item(scope.space, name, by_id=by_id)])
            case User(user_id=user_id):
                find_user(scope.users, user_id)
                return _Source(kind="user", name=user_id)
    except UserError as error:
        raise located(node.start, error.message, error.hint) from error
    if node.name not in scope.concepts:
        raise _no_concept(node, scope)
    return _Source(kind="concept", name=node.name)


def _no_concept(node: ConceptName, scope: Scope) -> UserError:
    names = list(scope.concepts)
    near = [names[row] for row in nearest_rows(node.name, names)] or names[:5]
    known = f"concepts there are: {', '.join(near)}" if near else "no concepts are fitted"
    message = f"there is no concept {node.name}; {known}"
    try:
        row = find_item(scope.space, node.name)
    except UserError:
        return located(
            node.start, message, f"fit it with vecspeak concept fit, or quote a label: {quoted(node.name)}"
        )
    return located(node.start, message, f"labels go in quotes: type {quoted(scope.space.labels[row])}")


def _added(left: _Value, right: _Value, part: Part) -> _Value:
    sign = 1.0 if part.operator == "+" else -1.0
    if isinstance(left, _Mix) and isinstance(right, _Mix):
        weights = dict(left.weights)
        for source, weight in right.weights.items():
            weights[source] = weights.get(source, 0.0) + sign * weight
        return _Mix(weights=weights, is_point=left.is_point or right.is_point)
    if isinstance(left, _Mix) or isinstance(right, _Mix):
        message = f"{part.operator} joins {_named(left)} and {_named(right)}; a number can only be a factor"
        raise located(part.start, message, 'multiply to weigh, as in "Heat" + 0.8*funny')
    return left + sign * right


def _multiplied(left: _Value, right: _Value, part: Part) -> _Value:
    if part.operator == "/":
        return _divided(left, right, part)
    if isinstance(left, _Mix) and isinstance(right, _Mix):
        message = f"* joins {_named(left)} and {_named(right)}; one side must be a number"
        raise located(part.start, message, "use + or -, or mid(a, b) for the point between two")
    return _scaled(left, right) if not isinstance(right, _Mix) else _scaled(right, left)


def _divided(left: _Value, right: _Value, part: Part) -> _Value:
    if isinstance(right, _Mix):
        message = f"/ divides by {_named(right)}; only a number may stand after /"
        raise located(part.start, message, 'type a number, as in "Heat"/2')
    if right == 0:
        raise located(part.start, "division by zero; the number after / must not be 0", 'type "Heat"/2')
    if isinstance(left, _Mix):
        return _Mix(
            weights={source: weight / right for source, weight in left.weights.items()},
            is_point=left.is_point,
        )
    return left / right


def _scaled(value: _Value, factor: _Value) -> _Value:
    assert not isinstance(factor, _Mix)
    if isinstance(value, _Mix):
        weights = {source: factor * weight for source, weight in value.weights.items()}
        return _Mix(weights=weights, is_point=value.is_point)
    return factor * value


def _named(value: _Value) -> str:
    if isinstance(value, _Mix):
        return "a point" if value.is_point else "a concept"
    return "a number"


def _called(node: Call, values: list[_Value]) -> _Mix:
    num_points = 2 if node.function == "mid" else len(values)
    points: list[_Mix] = []
    for argument, value in zip(node.arguments[:num_points], values, strict=False):
        if not isinstance(value, _Mix) or not value.is_point:
            raise located(
                argument.start, f"{node.function} takes points, but this is {_named(value)}", EXAMPLE
            )
        points.append(value)
    if node.function == "mean":
        return _mixed(points, [1.0 / num_points] * num_points)
    amount = _amount(node.arguments[2], values[2]) if len(values) == 3 else 0.5
    return _mixed(points, [1.0 - amount, amount])


def _amount(argument: Expression, value: _Value) -> float:
    """The t of mid(a, b, t): 0 gives a, 1 gives b; outside lies no point between them."""
    if isinstance(value, _Mix):
        raise located(
            argument.start, f"the third argument of mid is a number, but this is {_named(value)}", EXAMPLE
        )
    if not 0.0 <= value <= 1.0:
        message = f"mid takes a number from 0 (the first point) to 1 (the second), got {value:g}"
        raise located(argument.start, message, "to go beyond a point add a difference: a + 1.5*(b - a)")
    return value


def _mixed(points: list[_Mix], shares: list[float]) -> _Mix:
    weights: dict[_Source, float] = {}
    for point, share in zip(points, shares, strict=True):
        for source, weight in point.weights.items():
            weights[source] = weights.get(source, 0.0) + share * weight
    return _Mix(weights=weights, is_point=True)


def _without_cancelled(weights: dict[_Source, float]) -> dict[_Source, float]:
    """The weights without those that are only rounding errors; too large ones stay, to be refused later."""
    largest = max(map(abs, weights.values()))
    if not math.isfinite(largest):
        return weights
    return {source: weight for source, weight in weights.items() if abs(weight) > _NEGLIGIBLE * largest}


def _point(tree: Expression, weights: dict[_Source, float], scope: Scope) -> Point:
    exact = _exact(weights)
    if exact is not None:
        vector = _vector(exact, scope)
    else:
        vector = _sum(tree, weights, scope)
    return Point(
        space=scope.space.name,
        vector=vector,
        expression=str(tree),
        item_id=exact.name if exact is not None and exact.kind == "item" else None,
        kind=_kind(weights, exact),
        parents=tuple(source.name for source in weights if source.kind == "item"),
    )


def _exact(weights: dict[_Source, float]) -> _Source | None:
    """The only source, where it is an item or user taken once."""
    if len(weights) != 1:
        return None
    (source, weight), *_ = weights.items()
    return source if source.kind != "concept" and math.isclose(weight, 1.0, rel_tol=_NEGLIGIBLE) else None


def _kind(weights: dict[_Source, float], exact: _Source | None) -> PointKind:
    kinds = {source.kind for source in weights} - {"concept"}
    if kinds == {"user"}:
        return "user"
    return "item" if exact is not None else "made"


def _sum(tree: Expression, weights: dict[_Source, float], scope: Scope) -> np.ndarray:
    """[D] float32; UserError when it overflows, vanishes, or no item and no user is left in it."""
    if all(source.kind == "concept" for source in weights):
        raise located(
            tree.start, "nothing is left of the items and users in this, so it is no point", EXAMPLE
        )
    total = np.zeros(scope.space.dim)
    longest = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for source, weight in weights.items():
            term = weight * _vector(source, scope).astype(np.float64)
            total += term
            longest = max(longest, float(np.linalg.norm(term)))
        vector = total.astype(np.float32)
    if not np.isfinite(vector).all():
        raise located(tree.start, "this point lies too far out to be computed", "use smaller numbers")
    if float(np.linalg.norm(total)) <= _NEGLIGIBLE * longest or not vector.any():
        raise located(tree.start, "this is the zero vector, which has no direction", "add an item to it")
    return vector


def _vector(source: _Source, scope: Scope) -> np.ndarray:
    """[D]; a concept's is one standard deviation long."""
    if source.kind == "concept":
        concept = scope.concepts[source.name]
        return concept.scale * concept.direction.astype(np.float64)
    table = scope.users if source.kind == "user" else scope.space
    assert table is not None
    return table.vectors[table.index_of(source.name)]
