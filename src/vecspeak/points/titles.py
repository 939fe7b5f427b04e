"""Titles: the same film in two catalogues, whatever they do with articles, other titles and years.

Knows spellings of titles and a space's labels and years; knows nothing of concepts.

"Matrix, The (1999)", "The Matrix" and "The Matrix (a.k.a. Matrix) (1999)" are one title.
"""

import re
import unicodedata
from dataclasses import dataclass

from vecspeak.points.pairs import Find
from vecspeak.spaces.space import Space

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
    chosen = same or fitting
    return chosen[0][0] if len(chosen) == 1 else None


def _years(space: Space) -> list[int | None]:
    names = [name for name in space.metadata.column_names if name.casefold() == "year"]
    if not names:
        return [None] * len(space)
    values = space.metadata.column(names[0]).to_pylist()
    return [_year(value) for value in values]


def _year(value: object) -> int | None:
    try:
        year = int(float(str(value)))
    except (ValueError, OverflowError):
        return None
    return year if 1000 <= year <= 9999 else None
