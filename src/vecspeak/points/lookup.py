"""Lookup: which item, or which user, an expression means.

Errors name the nearest spellings with their ids. Candidates are first ranked by shared character trigrams,
and only the best are compared letter by letter: a mistyped label among 100,000 is answered within a second.
"""

import heapq
from collections.abc import Sequence
from difflib import SequenceMatcher

from vecspeak.errors import UserError
from vecspeak.points.expressions import id_call
from vecspeak.spaces.point import quoted
from vecspeak.spaces.space import Space
from vecspeak.spaces.splits import SPLIT_COLUMN
from vecspeak.spaces.tables import TEXT_COLUMN

NAMED_AT_MOST = 5
"""How many candidates an error names."""

_COMPARED_AT_MOST = 200
_COMPARED_CHARACTERS = 100
_SHOWN_CHARACTERS = 40
_NO_FACTS = (SPLIT_COLUMN, TEXT_COLUMN)
"""Columns that tell no namesakes apart."""


def find_item(space: Space, name: str, *, by_id: bool = False) -> int:
    """Row of the item: an exact label, else an exact id, else a label in other case; or an exact id only.

    Raises UserError when none matches or several items bear the label.
    """
    if by_id:
        if space.has(name):
            return space.index_of(name)
        raise UserError(
            f"{space.name} has no item with the id {quoted(_short(name))}", _nearest_ids(space, name)
        )
    if rows := space.rows_labelled(name):
        return _only(space, name, rows)
    if space.has(name):
        return space.index_of(name)
    folded = name.casefold()
    rows = [row for row, label in enumerate(space.labels) if label.casefold() == folded]
    if rows:
        return _only(space, name, rows)
    raise UserError(f"{space.name} has no item {quoted(_short(name))}", _nearest_items(space, name))


def find_user(users: Space | None, user_id: str) -> int:
    """Row of the user with this id; UserError when there are no users or none with it."""
    if users is None:
        raise UserError(
            f"user {quoted(_short(user_id))} was asked for, but this space has no users", "name items instead"
        )
    if users.has(user_id):
        return users.index_of(user_id)
    near = nearest_rows(user_id, users.ids) or range(min(NAMED_AT_MOST, len(users)))
    ids = ", ".join(_short(users.ids[row]) for row in near)
    message = f"there is no user {quoted(_short(user_id))} among the {len(users)} of {users.name}"
    raise UserError(message, f"users there are: {ids}")


def nearest_rows(name: str, candidates: Sequence[str]) -> list[int]:
    """Rows of up to five candidates spelt most like the name, the best first; none when nothing resembles it.

    Upper and lower case do not matter; only the first 100 characters count.
    """
    wanted = _padded(name)
    trigrams = {wanted[start : start + 3] for start in range(len(wanted) - 2)}
    scored: list[tuple[float, int]] = []
    for row, candidate in enumerate(candidates):
        padded = _padded(candidate)
        shared = sum(trigram in padded for trigram in trigrams)
        if shared:
            scored.append((shared / (len(padded) + len(wanted)), -row))
    likely = [-row for _, row in heapq.nlargest(_COMPARED_AT_MOST, scored)]
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted.strip())
    ranked: list[tuple[float, int]] = []
    for row in likely:
        matcher.set_seq1(_padded(candidates[row]).strip())
        ranked.append((-matcher.ratio(), row))
    return [row for _, row in sorted(ranked)[:NAMED_AT_MOST]]


def _padded(text: str) -> str:
    """Folded, with blanks at both ends so that the first and last letters have trigrams of their own."""
    return f"  {text[:_COMPARED_CHARACTERS].casefold()}  "


def _only(space: Space, name: str, rows: list[int]) -> int:
    if len(rows) == 1:
        return rows[0]
    named = [_described(space, row) for row in rows[:NAMED_AT_MOST]]
    more = f" and {len(rows) - NAMED_AT_MOST} more" if len(rows) > NAMED_AT_MOST else ""
    message = (
        f"{len(rows)} items of {space.name} are labelled {quoted(_short(name))}: {', '.join(named)}{more}"
    )
    raise UserError(message, f"type {id_call(space.ids[rows[0]])}")


def _nearest_items(space: Space, name: str) -> str:
    near = nearest_rows(name, space.labels)
    if not near:
        return f"no label is spelt like it; an item there is {_described(space, 0)}"
    return f"the nearest spellings: {', '.join([_described(space, row) for row in near])}"


def _nearest_ids(space: Space, name: str) -> str:
    near = nearest_rows(name, space.ids)
    if not near:
        return f"no id is spelt like it; an item there is {_described(space, 0)}"
    return f"the nearest ids: {', '.join([_described(space, row) for row in near])}"


def _described(space: Space, row: int) -> str:
    """Such as "Heat" id("m1") (1995): enough to tell namesakes apart and to type the right one."""
    facts = _facts(space, row)
    return f"{quoted(_short(space.labels[row]))} {id_call(space.ids[row])}" + (f" ({facts})" if facts else "")


def _facts(space: Space, row: int) -> str:
    """The item's year, or what its first two metadata columns hold."""
    names = [name for name in space.metadata.column_names if name not in _NO_FACTS]
    years = [name for name in names if name.casefold() == "year"]
    values = [space.metadata.column(name)[row].as_py() for name in years[:1] or names[:2]]
    shown = [_short(_plain(value)) for value in values if value is not None]
    return ", ".join(text for text in shown if text)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return " | ".join(str(part) for part in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return " ".join(str(value).split())


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
