"""Targets: what of the items an attacker of their vectors could want, and which columns are looked at.

Of items every column is measured, but for those that are called like attributes of persons or hold them, such as
`gender`; of people none. These are measured where a person names them, and listed otherwise.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from vecspeak.explore.contrast import Facts
from vecspeak.explore.leaks.strings import KINDS, NAMES, WORDS, name_parts, strings_in
from vecspeak.spaces import Space
from vecspeak.spaces.splits import SPLIT_COLUMN
from vecspeak.tables.cells import to_python
from vecspeak.tables.columns import TEXT_COLUMN
from vecspeak.tasks.privacy import is_personal_column, names_attribute

Measure = Literal["guesses", "class", "auc", "rank"]
FEWEST = 5
"""Items on each side that must have a term."""
_GUESSES = {WORDS: 10, NAMES: 3}
"""Terms that an attacker may guess of an item; one of other kinds."""
_MOST = {WORDS: 2000, NAMES: 1000}
"""Terms that a map is fitted to; 500 of other kinds."""

_LOOKED_AT = 200
"""Values of a column that are looked at for attributes of persons."""


COLUMN_KINDS = ("column", "attribute")
"""Kinds of what stands in a column and not in the texts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeakTarget:
    """One kind of data of N items."""

    kind: str
    """`words`, ..., `column` or `attribute`."""
    name: str
    """The column's; of strings in texts what of them: empty for which, `any` for whether there is one."""
    measure: Measure
    terms: tuple[str, ...]
    """V strings or values; of numbers their column."""
    matrix: Any
    """[N, V] sparse float32, 1 where an item has a term; of numbers [N, 1] dense, NaN where nothing is known."""
    known: np.ndarray
    """[N] whether something is known of the item."""
    guesses: int = 1
    most: int = 500
    """Terms that a map is fitted to, the commonest."""

    @property
    def title(self) -> str:
        """Such as `names`, `whether there are dates`, `column genres`."""
        if self.name == ANY:
            return f"whether there are {self.kind}"
        return f"{self.kind} {self.name}".strip()


ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMeasured:
    """What was not looked at, and why."""

    name: str
    reason: str


def text_targets(space: Space) -> tuple[list[LeakTarget], list[NotMeasured]]:
    """What stands in the texts."""
    if TEXT_COLUMN not in space.metadata.column_names:
        return [], [NotMeasured(name="texts", reason="the items have none")]
    texts = to_python(space.metadata.column(TEXT_COLUMN), TEXT_COLUMN)
    found = [strings_in(text or "") for text in texts]
    for one, names in zip(found, _with_parts([one[NAMES] for one in found]), strict=True):
        one[NAMES] = names
    known = np.array([bool(text and text.strip()) for text in texts])
    targets, missing = [], []
    for kind in KINDS:
        terms, matrix = _counted([one[kind] for one in found])
        counts = np.diff(matrix.indptr)
        having = int((counts > 0).sum())
        if having < 2 * FEWEST:
            few = f"{having} texts have one" if having else "no text has one"
            missing.append(NotMeasured(name=kind, reason=few))
            continue
        made = partial(LeakTarget, kind=kind, guesses=_GUESSES.get(kind, 1), most=_MOST.get(kind, 500))
        targets.append(made(name="", measure="guesses", terms=terms, matrix=matrix, known=counts > 0))
        if kind != WORDS and known.sum() - having >= 2 * FEWEST:
            whether = _sparse((counts > 0)[:, None])
            targets.append(made(name=ANY, measure="auc", terms=(ANY,), matrix=whether, known=known))
    return targets, missing


def _with_parts(found: Sequence[Collection[str]]) -> list[set[str]]:
    """Names of each item with those of their parts that five items have, such as "Sato" of "Karin Sato".

    A whole name that fewer have stands for its parts, where one of them is counted: it can be read only by these.
    """
    every = [set(names).union(*map(name_parts, names)) for names in found]
    counts = Counter(name for names in every for name in names)
    common = {name for name, count in counts.items() if count >= FEWEST}
    return [
        (names & common) | {one for one in whole if one not in common and not name_parts(one) & common}
        for names, whole in zip(every, found, strict=True)
    ]


def _counted(found: Sequence[Collection[str]]) -> tuple[tuple[str, ...], Any]:
    """Terms in their order, and which item [N] has which."""
    from scipy.sparse import csr_matrix

    terms = sorted(set().union(*found))
    numbers = {term: number for number, term in enumerate(terms)}
    columns = [sorted(numbers[term] for term in one) for one in found]
    starts = np.cumsum([0, *map(len, columns)])
    flat = np.array([one for row in columns for one in row], np.int64)
    matrix = csr_matrix((np.ones(len(flat), np.float32), flat, starts), (len(found), len(terms)))
    return tuple(terms), matrix


def _sparse(has: np.ndarray) -> Any:
    from scipy.sparse import csr_matrix

    return csr_matrix(has.astype(np.float32))


def column_targets(
    space: Space, *, attributes: Collection[str], of_people: bool = False
) -> tuple[list[LeakTarget], list[NotMeasured]]:
    """The columns that are measured, and why others are not."""
    table = space.metadata.drop_columns(
        [name for name in (TEXT_COLUMN, SPLIT_COLUMN) if name in space.metadata.column_names]
    )
    facts = Facts.from_space(space.changed(metadata=_with_times_as_numbers(table)))
    targets, missing = [], []
    for name in table.column_names:
        values = [
            value
            for value, column in zip(facts.values.names, facts.values.columns, strict=True)
            if column == name
        ]
        reason = "" if name in attributes else _held_back(name, values, of_people)
        target = None if reason else _column_target(facts, name, values)
        if target is None:
            title = f"people's {name}" if of_people else name
            missing.append(
                NotMeasured(name=title, reason=reason or "neither numbers nor values that enough items share")
            )
        else:
            kind = "attribute" if name in attributes else "column"
            targets.append(LeakTarget(**(target | {"kind": kind})))
    return targets, missing


def _held_back(name: str, values: Sequence[str], of_people: bool) -> str:
    """Why a column is measured only where it is named; empty for others."""
    hint = "measured only where it is named as an attribute"
    if of_people:
        return f"a column of people: {hint}"
    personal = sum(names_attribute(value) for value in values[:_LOOKED_AT])
    if is_personal_column(name) or 2 * personal > min(len(values), _LOOKED_AT) > 0:
        return f"may say something of persons: {hint}"
    return ""


def _column_target(facts: Facts, name: str, values: Sequence[str]) -> dict[str, Any] | None:
    if name in facts.numbers:
        numbers = facts.numbers[name]
        known = np.isfinite(numbers)
        if len(np.unique(numbers[known])) < 2:
            return None
        return {"name": name, "measure": "rank", "terms": (name,), "matrix": numbers[:, None], "known": known}
    if not values:
        return None
    places = [place for place, column in enumerate(facts.values.columns) if column == name]
    matrix = facts.values.matrix[:, places].astype(np.float32).tocsr()
    counts = np.asarray(matrix.sum(1)).ravel()
    is_class = counts.max() <= 1 and len(values) > 1
    return {
        "name": name,
        "measure": "class" if is_class else "auc",
        "terms": tuple(values),
        "matrix": matrix,
        "known": counts > 0 if is_class else np.ones(len(counts), bool),
    }


def _with_times_as_numbers(table: pa.Table) -> pa.Table:
    """Dates and times as seconds, so that they are ordered as numbers are."""
    for place, name in enumerate(table.column_names):
        kind = table.column(name).type
        if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            seconds = table.column(name).cast(pa.timestamp("s"), safe=False).cast(pa.int64())
            table = table.set_column(place, name, seconds)
    return table
