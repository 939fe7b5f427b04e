"""Lookup: which item a person means by a label or an id.

Knows labels, ids and spellings; knows nothing of expressions.
"""

from contextlib import suppress
from dataclasses import dataclass

from vecspeak.errors import UserError, nearest_spellings
from vecspeak.spaces.search import Metric, nearest
from vecspeak.spaces.space import Space


def find_item(space: Space, label_or_id: str) -> int:
    """Row of the item with this label or id: an exact label first, then an id, then a label in other case.

    Raises UserError that names the ids when several items carry the label, and the nearest spellings with
    their ids when none does.
    """
    rows = rows_labelled(space, label_or_id)
    if not rows and space.has(label_or_id):
        return space.index_of(label_or_id)
    folded = label_or_id.casefold()
    rows = rows or [row for row, label in enumerate(space.labels) if label.casefold() == folded]
    if not rows:
        raise _missing(space, label_or_id)
    if len(rows) > 1:
        ids = ", ".join(repr(space.ids[row]) for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
        raise UserError(
            f"{len(rows)} items of {space.name!r} have the label {label_or_id!r}", f"use an id: {ids}"
        )
    return rows[0]


def rows_labelled(space: Space, label: str) -> list[int]:
    """Rows of the items with exactly this label, in order; a million labels are looked through in some 20 ms."""
    rows: list[int] = []
    with suppress(ValueError):
        while True:
            rows.append(space.labels.index(label, rows[-1] + 1 if rows else 0))
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class NearItem:
    """One of the items near another."""

    id: str
    """The item's id."""
    label: str
    """The item's label."""
    score: float
    """Cosine or dot product (larger is nearer), or euclidean distance (smaller is nearer)."""


def neighbours_of_item(
    space: Space, label_or_id: str, k: int, *, metric: Metric = "cosine"
) -> list[NearItem]:
    """The k items nearest to an item, nearest first and without itself.

    Raises UserError as `find_item` and `nearest` do.
    """
    row = find_item(space, label_or_id)
    found = nearest(space, space.vectors[row], k, metric=metric, exclude=[[row]])
    return [
        NearItem(id=space.ids[near], label=space.labels[near], score=float(score))
        for near, score in zip(found.indices[0], found.scores[0], strict=True)
    ]


def _missing(space: Space, label_or_id: str) -> UserError:
    near = nearest_spellings(label_or_id, space.labels)
    named = [f"{label!r} (id {space.ids[space.labels.index(label)]!r})" for label in near]
    hint = f"did you mean {' or '.join(named)}?" if named else f"labels look like {space.labels[0]!r}"
    return UserError(f"no item of {space.name!r} has the label or id {label_or_id!r}", hint)
