"""Evaluation: from an expression to a point of a space, or to the points of a path.

An expression is linear in what it names, so its value is a table of weights: how much of which source (an item, a
user, a concept, a centroid, ...). The vector is summed once at the end, in float64. That keeps the laws exact
(`a + 0*c` is the item a, and so is `mid(a, a)`) and tells which items a point was made from. Even a spherical mean is
such a sum, with weights that its two vectors give.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from vecspeak.errors import UserError, did_you_mean, nearest_rows
from vecspeak.points.concept import Concept
from vecspeak.points.expressions import (
    Between,
    Call,
    Cluster,
    ConceptName,
    Expression,
    FoundItems,
    ItemName,
    Negative,
    Number,
    Part,
    Person,
    Product,
    Random,
    Sum,
    User,
    VectorLiteral,
    Within,
    children,
    fold,
)
from vecspeak.points.lookup import find_item, find_user, named
from vecspeak.points.parser import EXAMPLE, located, parse
from vecspeak.points.queries import QueryTree, rows_where
from vecspeak.points.raw import raw_point, read_vector
from vecspeak.spaces.axes import axis
from vecspeak.spaces.point import Form, Point, PointKind, quoted
from vecspeak.spaces.space import Space

if TYPE_CHECKING:
    from vecspeak.points.foldin import FoldIn
    from vecspeak.spaces.clusters import Clusters


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


FEW_RATINGS = 10
"""Below which a fifth or more of what is told as liked is not, by the person's other ratings (few_ratings.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointSource:
    """One thing with a vector of its own; equal sources have one vector."""

    kind: Literal[
        "item", "user", "concept", "axis", "centroid", "cluster", "random", "person", "center", "vector"
    ]
    name: str = ""
    """The id of an item or user, the name of a concept, `pc(3)`, a query, the number of a region, a seed."""
    rows: tuple[int, ...] = ()
    """Of a centroid, the items it is of."""
    ratings: tuple[tuple[str, float], ...] = ()
    """Of a person, ids of items and what was given, by id."""
    raw: Point | None = field(default=None, compare=False)
    """Of a vector that a person brought, its point."""

    @property
    def items(self) -> tuple[str, ...]:
        """Ids of the items that were named for it: itself, or what a person rated."""
        if self.kind == "item":
            return (self.name,)
        return tuple(item for item, _ in self.ratings)

    @property
    def note(self) -> str:
        """What to know of a person whose ratings say less than they seem to; empty for all others."""
        if self.raw is not None:
            return " ".join(self.raw.notes)
        if not self.ratings:
            return ""
        if len({rating for _, rating in self.ratings}) > 1:
            is_few = len(self.ratings) < FEW_RATINGS
            said = f"{len(self.ratings)} ratings tell little of a person: give {FEW_RATINGS} or more"
            return said if is_few else ""
        which = "one rating says" if len(self.ratings) == 1 else "equal ratings say"
        return f"{which} what somebody chose, and not how they liked it: higher or lower changes nothing"

    @property
    def is_direction(self) -> bool:
        """Whether it moves points and is none itself."""
        return self.kind in ("concept", "axis")

    @property
    def is_person(self) -> bool:
        """Whether it lies among users."""
        return self.kind in ("user", "person") or (self.raw is not None and self.raw.kind == "user")


Leaf = ItemName | User | ConceptName | FoundItems | Cluster | Random | Person | VectorLiteral


def source_of(node: Leaf, scope: Scope) -> PointSource:
    """What a leaf of an expression means; UserError at its place where it means nothing."""
    try:
        return _found(node, scope)
    except UserError as error:
        if error.message.startswith("at character"):
            raise
        raise located(node.start, error.message, error.hint, code=error.code) from error


def _found(node: Leaf, scope: Scope) -> PointSource:
    space = scope.space
    match node:
        case ItemName():
            return PointSource(kind="item", name=_id_of(node, space))
        case User(user_id=user_id):
            find_user(scope.users, user_id)
            return PointSource(kind="user", name=user_id)
        case FoundItems(function=function, query=query):
            rows = _rows_of(space, query)
            if function == "item":
                return PointSource(kind="item", name=space.ids[_only(space, query, rows)])
            return PointSource(kind="centroid", name=str(query), rows=tuple(rows.tolist()))
        case Cluster(number=number):
            _check_region(scope, number)
            return PointSource(kind="cluster", name=str(number))
        case Random(seed=seed):
            return PointSource(kind="random", name=str(seed))
        case Person():
            return PointSource(kind="person", ratings=_ratings(node, scope))
        case VectorLiteral(numbers=numbers, path=path, is_user=is_user):
            vector = read_vector(path) if path else np.array(numbers)
            text = f"vector({quoted(path)})" if path else ""
            raw = raw_point(
                scope.space, scope.users, vector, kind="user" if is_user else None, expression=text
            )
            return PointSource(kind="vector", name=f"{raw.kind} {raw.vector.tobytes().hex()}", raw=raw)
    if node.name not in scope.concepts:
        raise _no_concept(node, scope)
    return PointSource(kind="concept", name=node.name)


def vector_of(source: PointSource, scope: Scope) -> np.ndarray:
    """[D]; a concept's is one standard deviation long."""
    space = scope.space
    match source.kind:
        case "concept":
            concept = scope.concepts[source.name]
            return concept.scale * concept.direction.astype(np.float64)
        case "axis":
            kind, _, number = source.name.rstrip(")").partition("(")
            direction, deviation = axis(space, kind, int(number))
            return deviation * direction
        case "centroid":
            return space.vectors[list(source.rows)].mean(0, dtype=np.float64)
        case "cluster":
            assert scope.clusters is not None
            return scope.clusters.centroids[int(source.name)]
        case "center":
            return space.vectors.mean(0, dtype=np.float64)
        case "random":
            return random_point(space, int(source.name))
        case "person":
            assert scope.fold_in is not None
            return scope.fold_in.vector(space, dict(source.ratings))
        case "vector":
            assert source.raw is not None
            return source.raw.vector
        case "user":
            assert scope.users is not None
            return scope.users.vectors[scope.users.index_of(source.name)]
    return space.vectors[space.index_of(source.name)]


def random_point(space: Space, seed: int) -> np.ndarray:
    """[D] float64 drawn from a normal distribution with the items' mean and covariance, which is never formed.

    Items weighted by independent normal numbers have that covariance.
    """
    weights = np.random.default_rng(seed).standard_normal(space.num_items)
    center = space.vectors.mean(0, dtype=np.float64)
    drawn = weights @ space.vectors - weights.sum() * center
    return np.asarray(center + drawn / np.sqrt(max(space.num_items - 1, 1)))


def _id_of(node: ItemName, space: Space) -> str:
    return space.ids[find_item(space, node.name, by_id=node.by_id)]


def _rows_of(space: Space, query: QueryTree) -> np.ndarray:
    rows = rows_where(space, query)
    if not len(rows):
        raise UserError(
            f"no item of {space.name} has {query}",
            "try ~ for a part of a text, or fewer conditions",
            code="unknown_item",
        )
    return rows


def _only(space: Space, query: QueryTree, rows: np.ndarray) -> int:
    if len(rows) == 1:
        return int(rows[0])
    message = f"{len(rows):,} items of {space.name} have {query}: {named(space, rows.tolist())}"
    raise UserError(
        message, f"add a condition, or type centroid({query}) for their mean", code="several_items"
    )


def _check_region(scope: Scope, number: int) -> None:
    if scope.clusters is None:
        raise UserError(
            f"{scope.space.name} has no regions yet, so there is no cluster({number})",
            f"make them with `VecSpeak.atlas(space='{scope.space.name}')`",
        )
    if number >= scope.clusters.num_regions:
        last = scope.clusters.num_regions - 1
        raise UserError(
            f"{scope.space.name} has the regions 0 to {last}, got {number}", f"type cluster({last})"
        )


def _ratings(node: Person, scope: Scope) -> tuple[tuple[str, float], ...]:
    if scope.fold_in is None:
        what = "it has no users" if scope.users is None else "how its users were made is not known"
        raise UserError(
            f"nobody can be folded into {scope.space.name}: {what}",
            "make the space with `vecspeak.encoders.factorization.factorize(...)`, then `VecSpeak.fit(...)`",
        )
    found: dict[str, float] = {}
    for item, rating in node.ratings:
        try:
            item_id = _id_of(item, scope.space)
        except UserError as error:
            raise located(item.start, error.message, error.hint, code=error.code) from error
        if item_id in found:
            raise located(item.start, f"{item} is rated twice", "keep one rating of each item")
        found[item_id] = rating
    return tuple(sorted(found.items()))


def person_ratings(expression: str, scope: Scope) -> dict[str, float]:
    """Ratings by ids of items of an expression that is one person given by them; empty for any other."""
    try:
        tree = parse(expression)
        return dict(_ratings(tree, scope)) if isinstance(tree, Person) else {}
    except UserError:
        return {}


def _no_concept(node: ConceptName, scope: Scope) -> UserError:
    names = list(scope.concepts)
    near = [names[row] for row in nearest_rows(node.name, names)] or names[:5]
    known = f"concepts there are: {', '.join(near)}" if near else "no concepts are fitted"
    message = f"there is no concept {node.name}; {known}"
    try:
        row = find_item(scope.space, node.name)
    except UserError:
        return located(
            node.start,
            message,
            f"fit it with `VecSpeak.fit_concept(...)`, or quote a label: {quoted(node.name)}",
            code="unknown_concept",
        )
    hint = f"labels go in quotes: type {quoted(scope.space.labels[row])}"
    return located(node.start, message, hint, code="unknown_concept")


__all__ = ["Scope", "evaluate", "evaluate_path"]

_NEGLIGIBLE = 1e-12
"""Weights and lengths below this share of the largest are rounding errors of what cancels."""
_LONGEST = 1e9
"""How many times as long, or as short, as the usual item a point may be: beyond, readers would see zeros in float32."""
_OPPOSITE = 1e-6
"""Sine of an angle from which two directions count as one line: what lies between is not defined, or is no arc."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mix:
    """A weighted sum of sources of one space: a point, or only a direction where nothing but concepts takes part."""

    weights: dict[PointSource, float]
    is_point: bool
    scope: Scope


_Value = float | _Mix


def evaluate(expression: Expression | str, scope: Scope, others: Mapping[str, Scope] | None = None) -> Point:
    """The point that an expression names; UserError with the character's number where it names none.

    `others` are the spaces, by name, that `@name` may lead to. A path is no point and is refused.
    """
    tree = parse(expression) if isinstance(expression, str) else expression
    if isinstance(tree, Between):
        middle = Call(function="mid", arguments=(tree.first, tree.second))
        hint = f"`VecSpeak.ask(...)` takes a path; a point of it is {middle}"
        raise located(tree.start, f"this is a path of {tree.steps} points, not a point", hint)
    mix = _mix(tree, scope, others or {})
    return _point(tree, _without_cancelled(mix.weights), mix.scope)


def evaluate_path(
    expression: Expression | str, scope: Scope, others: Mapping[str, Scope] | None = None
) -> tuple[Point, ...]:
    """The points of a path, the ends first and last; of anything else its one point. Raises as `evaluate` does."""
    tree = parse(expression) if isinstance(expression, str) else expression
    if not isinstance(tree, Between):
        return (evaluate(tree, scope, others),)
    ends = (tree.first, tree.second)
    shares = (Number(value=round(step / (tree.steps - 1), 6)) for step in range(tree.steps))
    calls = [Call(function="mid", arguments=(*ends, share), start=tree.start) for share in shares]
    return tuple(evaluate(one, scope, others) for one in (tree.first, *calls[1:-1], tree.second))


def _mix(tree: Expression, scope: Scope, others: Mapping[str, Scope]) -> _Mix:
    value = _worked_out(tree, scope, others)
    if not isinstance(value, _Mix):
        raise located(tree.start, "this is a number, not a point", EXAMPLE)
    if not value.is_point:
        what = f"{tree.name} is a concept" if isinstance(tree, ConceptName) else "this is a direction"
        factor = "2*" if isinstance(tree, ConceptName) else ""
        example = f"as in {quoted(value.scope.space.labels[0])} + {factor}{tree}"
        raise located(tree.start, f"{what}, not a point; add it to an item or a user", example)
    return value


def _worked_out(tree: Expression, scope: Scope, others: Mapping[str, Scope]) -> _Value:
    return fold(
        tree,
        lambda node, below: _value(node, below, scope, others),
        # What stands before an @ means other things than the rest: it is worked out by itself.
        lambda node: () if isinstance(node, Within) else children(node),
    )


def _value(node: Expression, below: list[_Value], scope: Scope, others: Mapping[str, Scope]) -> _Value:
    """What the node comes to, given what its children came to."""
    match node:
        case Number(value=value):
            return value
        case Negative():
            return _scaled(below[0], -1.0)
        case Sum(rest=rest) | Product(rest=rest):
            join = _added if isinstance(node, Sum) else _multiplied
            total = below[0]
            for part, operand in zip(rest, below[1:], strict=True):
                total = join(total, operand, part)
            return total
        case Call(function="axis" | "pc"):
            return _axis(scope, node, below)
        case Call():
            return _CALLS[node.function](node, below)
        case Within():
            return _within(node, scope, others)
        case Between():
            raise located(node.start, "this is a path, not a point", EXAMPLE)
    assert isinstance(node, Leaf), f"not an expression: {node!r}"
    source = source_of(node, scope)
    return _Mix(weights={source: 1.0}, is_point=not source.is_direction, scope=scope)


def _within(node: Within, scope: Scope, others: Mapping[str, Scope]) -> _Mix:
    spaces = {**others, scope.space.name: scope}
    if node.space not in spaces:
        hint = did_you_mean(node.space, spaces, f"spaces there are: {', '.join(spaces)}")
        raise located(node.start, f"there is no space {node.space}", hint, code="unknown_space")
    inside = spaces[node.space]
    value = _worked_out(node.operand, inside, spaces)
    if not isinstance(value, _Mix):
        raise located(node.start, "this is a number, which lies in no space", EXAMPLE)
    if value.scope is not inside:
        message = f"this lies in {value.scope.space.name}, so it cannot be taken from {node.space}"
        raise located(node.start, message, "name one space")
    return value


def _added(left: _Value, right: _Value, part: Part) -> _Value:
    sign = 1.0 if part.operator == "+" else -1.0
    if isinstance(left, _Mix) and isinstance(right, _Mix):
        _check_one_space(left, right, part.start)
        return _joined([left, right], [1.0, sign], is_point=left.is_point or right.is_point)
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
        weights = {source: weight / right for source, weight in left.weights.items()}
        return _Mix(weights=weights, is_point=left.is_point, scope=left.scope)
    return left / right


def _scaled(value: _Value, factor: _Value) -> _Value:
    assert not isinstance(factor, _Mix)
    if isinstance(value, _Mix):
        weights = {source: factor * weight for source, weight in value.weights.items()}
        return _Mix(weights=weights, is_point=value.is_point, scope=value.scope)
    return factor * value


def _named(value: _Value) -> str:
    if isinstance(value, _Mix):
        return "a point" if value.is_point else "a concept"
    return "a number"


def _check_one_space(left: _Mix, right: _Mix, start: int) -> None:
    """Numbers of two spaces mean different things, even where they are as many."""
    if left.scope is not right.scope:
        names = f"{left.scope.space.name} and {right.scope.space.name}"
        raise located(
            start,
            f"this would mix points of two spaces, {names}, whose numbers mean different things",
            "ask about both in one question instead: `x='\"Heat\"'` and `y='\"Heat\"@OTHER'`",
        )


def _joined(mixes: list[_Mix], shares: list[float], *, is_point: bool = True) -> _Mix:
    weights: dict[PointSource, float] = {}
    for mix, share in zip(mixes, shares, strict=True):
        for source, weight in mix.weights.items():
            weights[source] = weights.get(source, 0.0) + share * weight
    return _Mix(weights=weights, is_point=is_point, scope=mixes[0].scope)


def _points(node: Call, values: list[_Value], count: int) -> list[_Mix]:
    """The first `count` arguments, which must be points of one space."""
    points: list[_Mix] = []
    for argument, value in zip(node.arguments[:count], values, strict=False):
        if not isinstance(value, _Mix) or not value.is_point:
            raise located(
                argument.start, f"{node.function} takes points, but this is {_named(value)}", EXAMPLE
            )
        _check_one_space(points[0] if points else value, value, argument.start)
        points.append(value)
    return points


def _mean(node: Call, values: list[_Value]) -> _Mix:
    points = _points(node, values, len(values))
    return _joined(points, [1.0 / len(points)] * len(points))


def _mid(node: Call, values: list[_Value]) -> _Mix:
    points, share = _points(node, values, 2), _share(node, values)
    return _joined(points, [1.0 - share, share])


def _slerp(node: Call, values: list[_Value]) -> _Mix:
    """Along the arc between two directions (Shoemake 1985), while the length goes evenly from one to the other."""
    points, share = _points(node, values, 2), _share(node, values)
    first, second = (_total(one.weights, one.scope) for one in points)
    lengths = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    if not (min(lengths) > 0 and math.isfinite(max(lengths))):
        raise located(node.start, "slerp takes points with a direction, and one of these has none", EXAMPLE)
    cosine = float(np.clip(first @ second / (lengths[0] * lengths[1]), -1.0, 1.0))
    angle = math.acos(cosine)
    if math.sin(angle) <= _OPPOSITE and cosine < 0:
        message = "these two point in opposite ways, so there is no one arc between them"
        raise located(node.start, message, "use mid(a, b), or go by way of a third point")
    length = (1.0 - share) * lengths[0] + share * lengths[1]
    if math.sin(angle) <= _OPPOSITE:
        return _joined(points, [1.0 - share, share])
    parts = math.sin((1.0 - share) * angle), math.sin(share * angle)
    weights = [length * part / (math.sin(angle) * own) for part, own in zip(parts, lengths, strict=True)]
    return _joined(points, weights)


def _moved(sign: float) -> Callable[[Call, list[_Value]], _Mix]:
    def moved(node: Call, values: list[_Value]) -> _Mix:
        (point,) = _points(node, values, 1)
        direction, start = values[1], node.arguments[1].start
        if not isinstance(direction, _Mix) or direction.is_point:
            message = f"{node.function} goes along a concept, but this is {_named(direction)}"
            raise located(start, message, "for a way to another point use mid(a, b, t)")
        _check_one_space(point, direction, start)
        amount = _number(node, values, "an amount in standard deviations") if len(values) == 3 else 1.0
        return _joined([point, direction], [1.0, sign * amount])

    return moved


def _negated(node: Call, values: list[_Value]) -> _Mix:
    """As far on the other side of the items' mean: twice the mean minus the point."""
    (point,) = _points(node, values, 1)
    center = _Mix(weights={PointSource(kind="center"): 1.0}, is_point=True, scope=point.scope)
    return _joined([center, point], [2.0, -1.0])


def _axis(scope: Scope, node: Call, values: list[_Value]) -> _Mix:
    """A coordinate or a principal component, one standard deviation long."""
    number = values[0]
    if isinstance(number, _Mix) or number != int(number):
        raise located(
            node.arguments[0].start, f"{node.function} takes a whole number", f"type {node.function}(3)"
        )
    source = PointSource(kind="axis", name=f"{node.function}({int(number)})")
    try:
        axis(scope.space, node.function, int(number))
    except UserError as error:
        raise located(node.start, error.message, error.hint, code=error.code) from error
    return _Mix(weights={source: 1.0}, is_point=False, scope=scope)


_CALLS: dict[str, Callable[[Call, list[_Value]], _Mix]] = {
    "mid": _mid,
    "slerp": _slerp,
    "mean": _mean,
    "toward": _moved(1.0),
    "away": _moved(-1.0),
    "negate": _negated,
}


def _number(node: Call, values: list[_Value], what: str) -> float:
    value = values[2]
    if isinstance(value, _Mix):
        message = f"the third argument of {node.function} is {what}, but this is {_named(value)}"
        raise located(node.arguments[2].start, message, EXAMPLE)
    return value


def _share(node: Call, values: list[_Value]) -> float:
    """The t of mid(a, b, t): 0 gives a, 1 gives b; outside lies no point between them."""
    if len(values) == 2:
        return 0.5
    value = _number(node, values, "a number")
    if not 0.0 <= value <= 1.0:
        message = f"{node.function} takes a number from 0 (the first point) to 1 (the second), got {value:g}"
        hint = "to go beyond a point add a difference: a + 1.5*(b - a)"
        raise located(node.arguments[2].start, message, hint)
    return value


def _without_cancelled(weights: dict[PointSource, float]) -> dict[PointSource, float]:
    """The weights without those that are only rounding errors; too large ones stay, to be refused later."""
    largest = max(map(abs, weights.values()))
    if not math.isfinite(largest):
        return weights
    return {source: weight for source, weight in weights.items() if abs(weight) > _NEGLIGIBLE * largest}


def _point(tree: Expression, weights: dict[PointSource, float], scope: Scope) -> Point:
    exact = _exact(weights)
    if exact is not None:
        vector = vector_of(exact, scope)
    else:
        vector = _sum(tree, weights, scope)
    return Point(
        space=scope.space.name,
        vector=vector,
        expression=str(tree),
        item_id=exact.name if exact is not None and exact.kind == "item" else None,
        kind=_kind(weights, exact),
        parents=tuple(dict.fromkeys(item for source in weights for item in source.items)),
        concepts=tuple(source.name for source in weights if source.kind == "concept"),
        notes=tuple(dict.fromkeys(filter(None, (source.note for source in weights)))),
        about_person=_names_person(tree) or any(s.raw is not None and s.raw.about_person for s in weights),
        form=form_of(tree),
    )


def _names_person(tree: Expression) -> bool:
    """Whether a person stands anywhere in it, even where weights cancel: what was asked is about them."""
    return fold(
        tree,
        lambda node, below: (
            isinstance(node, User | Person)
            or (isinstance(node, VectorLiteral) and node.is_user)
            or any(below)
        ),
    )


def form_of(tree: Expression) -> Form:
    """Where the expression needs brackets in a larger one."""
    if isinstance(tree, Sum):
        return "sum"
    if isinstance(tree, VectorLiteral) and not tree.is_user:
        return "vector"
    return "product" if isinstance(tree, Product | Negative) else "atom"


def _exact(weights: dict[PointSource, float]) -> PointSource | None:
    """The only source, where it is a point taken once."""
    if len(weights) != 1:
        return None
    (source, weight), *_ = weights.items()
    return source if not source.is_direction and math.isclose(weight, 1.0, rel_tol=_NEGLIGIBLE) else None


def _kind(weights: dict[PointSource, float], exact: PointSource | None) -> PointKind:
    points = [source for source in weights if not source.is_direction]
    if points and all(source.is_person for source in points):
        return "user"
    return "item" if exact is not None and exact.kind == "item" else "made"


def _sum(tree: Expression, weights: dict[PointSource, float], scope: Scope) -> np.ndarray:
    """[D] float32; UserError when it overflows, vanishes, or nothing but concepts is left in it."""
    if all(source.is_direction for source in weights):
        raise located(
            tree.start, "nothing is left of the items and users in this, so it is no point", EXAMPLE
        )
    longest = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.zeros(scope.space.dim)
        for source, weight in weights.items():
            term = weight * vector_of(source, scope).astype(np.float64)
            total += term
            longest = max(longest, float(np.linalg.norm(term)))
        vector = total.astype(np.float32)
        length, usual = float(np.linalg.norm(total)), float(np.median(scope.space.lengths))
    if not np.isfinite(vector).all() or length > _LONGEST * usual:
        raise located(tree.start, "this point lies too far out to be computed", "use smaller numbers")
    if length <= _NEGLIGIBLE * longest or not vector.any():
        raise located(tree.start, "this is the zero vector, which has no direction", "add an item to it")
    if length * _LONGEST < usual:
        raise located(tree.start, "this is so short that its direction is lost", "use larger numbers")
    return vector


def _total(weights: dict[PointSource, float], scope: Scope) -> np.ndarray:
    """[D] float64, whatever comes out."""
    with np.errstate(over="ignore", invalid="ignore"):
        terms = [weight * vector_of(source, scope).astype(np.float64) for source, weight in weights.items()]
        return np.asarray(np.sum(terms, axis=0))
