"""Sources: what has a vector of its own in a space, such as an item, a user, a concept or the centroid of a query.

Knows how each is found by what a person wrote, and its vector. Knows nothing of sums, nor of the grammar.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from vecspeak.errors import UserError
from vecspeak.points.concept import Concept
from vecspeak.points.expressions import (
    Chosen,
    Cluster,
    ConceptName,
    Item,
    Person,
    Random,
    User,
    id_call,
)
from vecspeak.points.grammar import located
from vecspeak.points.lookup import find_item, find_user, nearest_rows
from vecspeak.points.queries import Query, rows_where
from vecspeak.points.quoting import quoted
from vecspeak.spaces.space import Space

if TYPE_CHECKING:
    from vecspeak.points.folding import FoldIn
    from vecspeak.spaces.clusters import Clusters

NAMED_AT_MOST = 5


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
class Source:
    """One thing with a vector of its own; equal sources have one vector."""

    kind: Literal["item", "user", "concept", "centroid", "cluster", "random", "person", "center"]
    name: str = ""
    """The id of an item or user, the name of a concept, a query, the number of a region, a seed."""
    rows: tuple[int, ...] = ()
    """Of a centroid, the items it is of."""
    ratings: tuple[tuple[str, float], ...] = ()
    """Of a person, ids of items and what was given, by id."""

    @property
    def items(self) -> tuple[str, ...]:
        """Ids of the items that were named for it: itself, or what a person rated."""
        if self.kind == "item":
            return (self.name,)
        return tuple(item for item, _ in self.ratings)

    @property
    def note(self) -> str:
        """What to know of a person whose ratings say less than they seem to; empty for all others."""
        if not self.ratings or len({rating for _, rating in self.ratings}) > 1:
            return ""
        which = "one rating says" if len(self.ratings) == 1 else "equal ratings say"
        return f"{which} what somebody chose, and not how they liked it: higher or lower changes nothing"

    @property
    def is_person(self) -> bool:
        """Whether it lies among users."""
        return self.kind in ("user", "person")


Leaf = Item | User | ConceptName | Chosen | Cluster | Random | Person


def source_of(node: Leaf, scope: Scope) -> Source:
    """What a leaf of an expression means; UserError at its place where it means nothing."""
    try:
        return _found(node, scope)
    except UserError as error:
        if error.message.startswith("at character"):
            raise
        raise located(node.start, error.message, error.hint) from error


def _found(node: Leaf, scope: Scope) -> Source:
    space = scope.space
    match node:
        case Item():
            return Source(kind="item", name=_id_of(node, space))
        case User(user_id=user_id):
            find_user(scope.users, user_id)
            return Source(kind="user", name=user_id)
        case Chosen(function=function, query=query):
            rows = _rows_of(space, query)
            if function == "item":
                return Source(kind="item", name=space.ids[_only(space, query, rows)])
            return Source(kind="centroid", name=str(query), rows=tuple(rows.tolist()))
        case Cluster(number=number):
            _check_region(scope, number)
            return Source(kind="cluster", name=str(number))
        case Random(seed=seed):
            return Source(kind="random", name=str(seed))
        case Person():
            return Source(kind="person", ratings=_ratings(node, scope))
    if node.name not in scope.concepts:
        raise _no_concept(node, scope)
    return Source(kind="concept", name=node.name)


def vector_of(source: Source, scope: Scope) -> np.ndarray:
    """[D]; a concept's is one standard deviation long."""
    space = scope.space
    match source.kind:
        case "concept":
            concept = scope.concepts[source.name]
            return concept.scale * concept.direction.astype(np.float64)
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


def _id_of(node: Item, space: Space) -> str:
    return space.ids[find_item(space, node.name, by_id=node.by_id)]


def _rows_of(space: Space, query: Query) -> np.ndarray:
    rows = rows_where(space, query)
    if not len(rows):
        raise UserError(
            f"no item of {space.name} has {query}", "try ~ for a part of a text, or fewer conditions"
        )
    return rows


def _only(space: Space, query: Query, rows: np.ndarray) -> int:
    if len(rows) == 1:
        return int(rows[0])
    named = ", ".join(
        f"{quoted(space.labels[row][:40])} {id_call(space.ids[row])}" for row in rows[:NAMED_AT_MOST]
    )
    more = f" and {len(rows) - NAMED_AT_MOST:,} more" if len(rows) > NAMED_AT_MOST else ""
    message = f"{len(rows):,} items of {space.name} have {query}: {named}{more}"
    raise UserError(message, f"add a condition, or type centroid({query}) for their mean")


def _check_region(scope: Scope, number: int) -> None:
    if scope.clusters is None:
        raise UserError(
            f"{scope.space.name} has no regions yet, so there is no cluster({number})",
            "make them with vecspeak atlas BUNDLE",
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
            "make the space with vecspeak space factorize, then vecspeak fit",
        )
    found: dict[str, float] = {}
    for item, rating in node.ratings:
        try:
            item_id = _id_of(item, scope.space)
        except UserError as error:
            raise located(item.start, error.message, error.hint) from error
        if item_id in found:
            raise located(item.start, f"{item} is rated twice", "keep one rating of each item")
        found[item_id] = rating
    return tuple(sorted(found.items()))


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
