"""Lookup: which item, or which user, an expression means.

Errors name the nearest spellings with their ids.
"""

from collections.abc import Sequence

from vecspeak.errors import UserError, nearest_rows, shorten
from vecspeak.points.expressions import id_call
from vecspeak.spaces.point import quoted
from vecspeak.spaces.space import Space
from vecspeak.spaces.splits import SPLIT_COLUMN
from vecspeak.tables.cells import cell
from vecspeak.tables.columns import TEXT_COLUMN
from vecspeak.tables.spelling import one_form

NAMED_AT_MOST = 5
"""How many candidates an error names."""

UNKNOWN_ITEM, UNKNOWN_USER = "unknown_item", "unknown_user"
"""Codes of errors."""
_NO_FACTS = (SPLIT_COLUMN, TEXT_COLUMN)
"""Columns that tell no namesakes apart."""


def find_item(space: Space, name: str, *, by_id: bool = False) -> int:
    """Row of the item: an exact label, else an exact id, else a label in other case; or an exact id only.

    Raises UserError when none matches or several items bear the label.
    """
    if by_id:
        if space.has(name):
            return space.index_of(name)
        folded_alike = space.ids.rows_folded(name)
        alike = [row for row in folded_alike if one_form(space.ids[row]) == one_form(name)]
        if len(alike) == 1:
            return alike[0]
        raise UserError(
            f"{space.name} has no item with the id {quoted(shorten(name))}",
            _nearest(space, name, space.ids, "id"),
            code=UNKNOWN_ITEM,
        )
    if rows := space.rows_labelled(name):
        return _only(space, name, rows)
    if space.has(name):
        return space.index_of(name)
    if rows := space.labels.rows_folded(name):
        return _only(space, name, rows)
    raise UserError(
        f"{space.name} has no item {quoted(shorten(name))}",
        _nearest(space, name, space.labels, "label"),
        code=UNKNOWN_ITEM,
    )


def find_user(users: Space | None, user_id: str) -> int:
    """Row of the user with this id; UserError when there are no users or none with it."""
    if users is None:
        raise UserError(
            f"user {quoted(shorten(user_id))} was asked for, but this space has no users",
            "name items instead",
            code=UNKNOWN_USER,
        )
    if users.has(user_id):
        return users.index_of(user_id)
    near = nearest_rows(user_id, users.ids) or range(min(NAMED_AT_MOST, len(users)))
    ids = ", ".join(shorten(users.ids[row]) for row in near)
    message = f"there is no user {quoted(shorten(user_id))} among the {len(users)} of {users.name}"
    raise UserError(message, f"users there are: {ids}", code=UNKNOWN_USER)


def _only(space: Space, name: str, rows: list[int]) -> int:
    if len(rows) == 1:
        return rows[0]
    message = f"{len(rows)} items of {space.name} are labelled {quoted(shorten(name))}: {named(space, rows)}"
    raise UserError(message, f"type {id_call(space.ids[rows[0]])}", code="several_items")


def named(space: Space, rows: Sequence[int]) -> str:
    """The first five items in words that tell namesakes apart, and how many more there are."""
    more = f" and {len(rows) - NAMED_AT_MOST:,} more" if len(rows) > NAMED_AT_MOST else ""
    return ", ".join(_described(space, row) for row in rows[:NAMED_AT_MOST]) + more


def _nearest(space: Space, name: str, candidates: Sequence[str], what: str) -> str:
    """A hint: the items whose labels, or ids, are spelt most like the name."""
    near = nearest_rows(name, candidates)
    if not near:
        return f"no {what} is spelt like it; an item there is {_described(space, 0)}"
    return f"the nearest {'spellings' if what == 'label' else 'ids'}: {named(space, near)}"


def _described(space: Space, row: int) -> str:
    """Such as "Heat" id("m1") (1995): enough to tell namesakes apart and to type the right one."""
    facts = _facts(space, row)
    return f"{quoted(shorten(space.labels[row]))} {id_call(space.ids[row])}" + (
        f" ({facts})" if facts else ""
    )


def _facts(space: Space, row: int) -> str:
    """The item's year, or what its first two metadata columns hold."""
    names = [name for name in space.metadata.column_names if name not in _NO_FACTS]
    years = [name for name in names if name.casefold() == "year"]
    values = [cell(space.metadata.column(name), row, name) for name in years[:1] or names[:2]]
    shown = [shorten(_plain(value)) for value in values if value is not None]
    return ", ".join(text for text in shown if text)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return " | ".join(str(part) for part in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return " ".join(str(value).split())
