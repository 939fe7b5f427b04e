"""Soft attributes: what a crowd says has more, as much or less of an attribute than a reference.

Reads the form of Balog, Radlinski and Karatzoglou, On Interpretation and Measurement of Soft Attributes for
Recommendation (SIGIR 2021): a CSV with the columns rater_id, reference_title, soft_attribute, less_than, about_as and
more_than, the last three lists as JSON. Knows no spaces, vectors or fits.
"""

import itertools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vecspeak.errors import UserError
from vecspeak.points.expressions import RESERVED_NAMES
from vecspeak.points.pairs import Judgement
from vecspeak.spaces.spelling import did_you_mean
from vecspeak.spaces.tables import as_ids, as_texts, read_table, require_column

_LISTS = ("less_than", "about_as", "more_than")
_NAMES = ("rater_id", "reference_title", "soft_attribute")


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftAttributes:
    """Judgements of a file, by attribute."""

    judgements: dict[str, tuple[Judgement, ...]]
    """In the order in which attributes are spelt."""
    titles: tuple[str, ...]
    """Every title that occurs, in order of appearance."""

    def chosen(self, attributes: Iterable[str]) -> dict[str, tuple[Judgement, ...]]:
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
        titles = json.loads(cell)
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
