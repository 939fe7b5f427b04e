"""Pairs: judgements "this has more of it than that", by name and by row, and lists of names."""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.bounds import parse_json, read_data
from vecspeak.errors import UserError, did_you_mean, shown_value
from vecspeak.points.expressions import RESERVED_NAMES
from vecspeak.points.queries import unescaped
from vecspeak.spaces.space import Space
from vecspeak.tables.cells import to_python
from vecspeak.tables.columns import as_ids, as_texts, require_column
from vecspeak.tables.convert import all_there, as_names, as_table
from vecspeak.tables.files import check_file, read_table
from vecspeak.tables.spelling import folded

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
    alike = _unique([folded(label) for label in space.labels])

    def find(name: str) -> int | None:
        if name in exact:
            return exact[name]
        return space.index_of(name) if space.has(name) else alike.get(folded(name))

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
    retained = [(pair, one.rater) for pair, one in zip(ordered, known, strict=True) if pair[0] != pair[1]]
    if not retained:
        raise UserError(
            f"none of the {len(judgements):,} pairs is of two items of the space", "check their names"
        )
    unique, counts = np.unique(np.array([pair for pair, _ in retained]), axis=0, return_counts=True)
    return Pairs(
        more=unique[:, 0],
        less=unique[:, 1],
        counts=counts.astype(np.float64),
        raters=len({rater for _, rater in retained if rater}),
    )


def read_names(path: str | Path) -> tuple[str, ...]:
    """Labels or ids from a text file, one a line; empty lines do not count.

    Raises UserError for a missing, unreadable or empty file.
    """
    path = Path(path)
    check_file(path)
    try:
        lines = read_data(path).decode("utf-8-sig").splitlines()
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


_COLUMNS = ("more", "less", "rater")
_EXAMPLE = 'give [("Alien", "Annie Hall"), ...], a frame with the columns more and less, or a file of these'


def read_pairs(path: str | Path) -> tuple[Judgement, ...]:
    """Judgements from a table with the columns more, less and perhaps rater: labels or ids.

    Raises UserError for a missing or broken file, an unknown ending, missing columns and empty cells.
    """
    return _judged(read_table(path, text_columns=_COLUMNS), path)


def given_pairs(pairs: Any) -> tuple[Judgement, ...]:
    """Judgements from a frame or table with the columns of `read_pairs`, or from rows (more, less) or with a rater.

    Raises UserError for what is none of these.
    """
    if hasattr(pairs, "columns") or hasattr(pairs, "column_names") or isinstance(pairs, Mapping):
        return _judged(as_table(pairs), "`pairs`")
    if isinstance(pairs, str | bytes) or not isinstance(pairs, Iterable):
        raise UserError(f"`pairs` are rows of two labels or ids, got {shown_value(pairs)}", _EXAMPLE)
    made = []
    for row, pair in enumerate(pairs):
        is_row = isinstance(pair, Sequence | np.ndarray) and not isinstance(pair, str | bytes)
        if not is_row or len(pair) not in (2, 3):
            raise UserError(f"row {row} of `pairs` is no (more, less) or (more, less, rater)", _EXAMPLE)
        more, less, *rater = all_there(as_names(pair, f"row {row} of `pairs`", len(pair)), "`pairs`")
        made.append(Judgement(more=more, less=less, rater=rater[0] if rater else ""))
    return tuple(made)


def _judged(table: pa.Table, path: str | Path) -> tuple[Judgement, ...]:
    more, less = (as_ids(require_column(table, name, path), name) for name in _COLUMNS[:2])
    raters = as_ids(table.column("rater"), "rater") if "rater" in table.column_names else [""] * len(more)
    for row, pair in enumerate(zip(more, less, strict=True)):
        if not all(name.strip() for name in pair):
            raise UserError(f"row {row + 1} of {path} names one item only", "give both, or remove the row")
    given = zip(more, less, raters, strict=True)
    return tuple(Judgement(more=high, less=low, rater=rater) for high, low, rater in given)


_YEAR = re.compile(r"\s*\((\d{4})\)\s*$")
_BRACKETS = re.compile(r"\(([^()]*)\)")
_ALIAS = re.compile(r"^\s*a\.?k\.?a\.?\s+", re.IGNORECASE)
_ARTICLES = "the|a|an|das|der|die|ein|eine|el|la|las|los|le|les|un|une|il|lo|gli|i|l'"
_TRAILING = re.compile(rf"^(.*),\s+({_ARTICLES})$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """A title as it is compared."""

    key: str
    """Letters and digits, folded, the article in front."""
    others: tuple[str, ...]
    """Keys of the titles in brackets."""
    year: int | None


def read_title(text: str) -> Title:
    """What "Boot, Das (Boat, The) (1981)" says: das boot, or the boat, of 1981."""
    year = _YEAR.search(text)
    named = text[: year.start()] if year else text
    others = tuple(key for inside in _BRACKETS.findall(named) if (key := _key(_ALIAS.sub("", inside))))
    # A title that is nothing but brackets keeps them.
    key = _key(_BRACKETS.sub(" ", named)) or _key(named)
    return Title(key=key, others=others, year=int(year[1]) if year else None)


def _key(title: str) -> str:
    title = " ".join(title.split())
    if moved := _TRAILING.match(title):
        title = f"{moved[2]} {moved[1]}"
    plain = unicodedata.normalize("NFKD", title.replace("&", " and ")).casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter) and letter not in "'’`")
    return " ".join(re.findall(r"\w+", plain))


def title_finder(space: Space) -> Find:
    """Finds items by title: the title itself first, then those in its brackets.

    Years are compared where both sides have one: in brackets after the title, or in a column named year. Where several
    items fit, those whose year is the same come first; if several are left, or none, the title means no item.
    """
    rows: dict[str, list[tuple[int, int | None]]] = {}
    for row, (label, year) in enumerate(zip(space.labels, _years(space), strict=True)):
        title = read_title(label)
        for key in dict.fromkeys((title.key, *title.others)):
            rows.setdefault(key, []).append((row, title.year if year is None else year))

    def find(text: str) -> int | None:
        title = read_title(text)
        for key in (title.key, *title.others):
            row = _only(rows.get(key, []), title.year)
            if row is not None:
                return row
        return None

    return find


def _only(candidates: list[tuple[int, int | None]], year: int | None) -> int | None:
    fitting = [(row, own) for row, own in candidates if None in (own, year) or own == year]
    same = [(row, own) for row, own in fitting if own is not None and own == year]
    selected = same or fitting
    return selected[0][0] if len(selected) == 1 else None


def _years(space: Space) -> list[int | None]:
    names = [name for name in space.metadata.column_names if name.casefold() == "year"]
    if not names:
        return [None] * len(space)
    values = to_python(space.metadata.column(names[0]), names[0])
    return [_year(value) for value in values]


def _year(value: object) -> int | None:
    try:
        year = int(float(str(value)))
    except (ValueError, OverflowError):
        return None
    return year if 1000 <= year <= 9999 else None


_LISTS = ("less_than", "about_as", "more_than")
_NAMES = ("rater_id", "reference_title", "soft_attribute")


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftAttributes:
    """Judgements of a file, by attribute."""

    judgements: dict[str, tuple[Judgement, ...]]
    """In the order in which attributes are spelt."""
    titles: tuple[str, ...]
    """Every title that occurs, in order of appearance."""

    def of_attributes(self, attributes: Iterable[str]) -> dict[str, tuple[Judgement, ...]]:
        """Those of these attributes, or of all where none is named. Raises UserError for an unknown one."""
        wanted = tuple(attributes) or tuple(self.judgements)
        for name in wanted:
            if name not in self.judgements:
                listed = f"attributes there are: {', '.join(list(self.judgements)[:10])}"
                raise UserError(f"no row judges {name!r}", did_you_mean(name, self.judgements, listed))
        return {name: self.judgements[name] for name in wanted}


def read_soft_attributes(path: str | Path) -> SoftAttributes:
    """Read a file of that form.

    A rater put titles into three groups around the reference: those with less of it, those about as much, the
    reference among these, and those with more. Every title of a group has more than every title of the groups before;
    titles of one group say nothing of each other. Raises UserError for another form, with the row.
    """
    table = read_table(path, text_columns=(*_NAMES, *_LISTS))
    named = [as_ids(require_column(table, name, path), name) for name in _NAMES]
    listed = [as_texts(require_column(table, name, path), name) for name in _LISTS]
    found: dict[str, list[Judgement]] = {}
    titles: dict[str, None] = {}
    for row, (rater, reference, attribute, *cells) in enumerate(zip(*named, *listed, strict=True)):
        less, about, more = (_titles(cell, path, row) for cell in cells)
        titles.update(dict.fromkeys((reference, *less, *about, *more)))
        groups = (less, (reference, *about), more)
        pairs = ((low, high) for a, b in itertools.combinations(groups, 2) for low in a for high in b)
        made = [Judgement(more=high, less=low, rater=rater) for low, high in pairs]
        found.setdefault(attribute, []).extend(made)
    judgements = {name: tuple(found[name]) for name in sorted(found)}
    return SoftAttributes(judgements=judgements, titles=tuple(titles))


def _titles(cell: str | None, path: str | Path, row: int) -> tuple[str, ...]:
    if not cell:
        return ()
    try:
        titles = parse_json(cell, path)
    except (ValueError, RecursionError) as error:
        raise _broken(path, row, cell) from error
    if not isinstance(titles, list) or not all(isinstance(title, str) for title in titles):
        raise _broken(path, row, cell)
    return tuple(titles)


def _broken(path: str | Path, row: int, cell: str) -> UserError:
    return UserError(
        f"row {row + 1} of {path} holds {cell[:40]!r} where a list of titles should be",
        'write lists as JSON, such as ["Alien (1979)"]',
    )


def concept_name(attribute: str) -> str:
    """A name that expressions can call it by: "action filled" becomes action_filled."""
    name = "_".join(re.findall("[A-Za-z0-9]+", attribute)).lower() or "attribute"
    return f"{name}_" if name in RESERVED_NAMES else f"_{name}" if name[0].isdigit() else name
