"""Pairs: judgements "this has more of it than that", by name and by row, and lists of names.

Knows files and how names become rows. Knows no vectors and no fits.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vecspeak.errors import UserError
from vecspeak.points.quoting import unescaped
from vecspeak.spaces.space import Space
from vecspeak.spaces.tables import as_ids, check_file, read_table, require_column

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)+)"')
"""A whole text in double quotes, in which a double quote is written with a backslash."""

Find = Callable[[str], int | None]
"""Row of the item that a name means; None where it means none, or several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one person said of two items."""

    more: str
    """Name of the item that has more of it."""
    less: str
    rater: str = ""
    """Empty where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """Different ordered pairs of rows of a space, and how often each was said."""

    more: np.ndarray
    """[P] int64"""
    less: np.ndarray
    """[P] int64"""
    counts: np.ndarray
    """[P] float64"""
    raters: int = 0
    """Different people whose judgements are in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of names."""

    found: dict[str, int]
    """Rows by name."""
    unknown: tuple[str, ...]
    """Names that mean no item, or several, in the order they came."""


def names_to_rows(names: Sequence[str], find: Find) -> Finding:
    """The row of each different name."""
    rows = {name: find(name) for name in dict.fromkeys(names)}
    return Finding(
        found={name: row for name, row in rows.items() if row is not None},
        unknown=tuple(name for name, row in rows.items() if row is None),
    )


def finder(space: Space) -> Find:
    """By an exact label, else an exact id, else a label in other case; for many names, without an error for each."""
    exact = _unique(space.labels)
    folded = _unique([label.casefold() for label in space.labels])

    def find(name: str) -> int | None:
        if name in exact:
            return exact[name]
        return space.index_of(name) if space.has(name) else folded.get(name.casefold())

    return find


def _unique(labels: Sequence[str]) -> dict[str, int | None]:
    rows: dict[str, int | None] = {}
    for row, label in enumerate(labels):
        rows[label] = None if label in rows else row
    return rows


def pairs_of(judgements: Sequence[Judgement], rows: dict[str, int]) -> Pairs:
    """The judgements whose items both have a row; an item against itself says nothing.

    Raises UserError where none is left.
    """
    known = [one for one in judgements if one.more in rows and one.less in rows]
    ordered = [(rows[one.more], rows[one.less]) for one in known]
    kept = [(pair, one.rater) for pair, one in zip(ordered, known, strict=True) if pair[0] != pair[1]]
    if not kept:
        raise UserError(
            f"none of the {len(judgements):,} pairs is of two items of the space", "check their names"
        )
    unique, counts = np.unique(np.array([pair for pair, _ in kept]), axis=0, return_counts=True)
    return Pairs(
        more=unique[:, 0],
        less=unique[:, 1],
        counts=counts.astype(np.float64),
        raters=len({rater for _, rater in kept if rater}),
    )


def read_names(path: str | Path) -> tuple[str, ...]:
    """Labels or ids from a text file, one a line; empty lines do not count.

    Raises UserError for a missing, unreadable or empty file.
    """
    path = Path(path)
    check_file(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path} as text ({error})", "give a UTF-8 text file") from error
    names = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise UserError(f"{path} holds no names", "write one label or id a line")
    return names


def unquoted(name: str) -> str:
    """A name as it is meant where it is written as in an expression, `"Heat"`; others as they are."""
    found = _QUOTED.fullmatch(name)
    return unescaped(found[1], lambda part: part[0]) if found else name


def read_pairs(path: str | Path) -> tuple[Judgement, ...]:
    """Judgements from a table with the columns more, less and perhaps rater: labels or ids.

    Raises UserError for a missing or broken file, an unknown ending, missing columns and empty cells.
    """
    columns = ("more", "less", "rater")
    table = read_table(path, text_columns=columns)
    more, less = (as_ids(require_column(table, name, path), name) for name in columns[:2])
    raters = as_ids(table.column("rater"), "rater") if "rater" in table.column_names else [""] * len(more)
    for row, pair in enumerate(zip(more, less, strict=True)):
        if not all(name.strip() for name in pair):
            raise UserError(f"row {row + 1} of {path} names one item only", "give both, or remove the row")
    given = zip(more, less, raters, strict=True)
    return tuple(Judgement(more=high, less=low, rater=rater) for high, low, rater in given)
