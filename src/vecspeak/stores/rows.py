"""Rows of a store as tables: what every reader of a store ends with."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Timer
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError, did_you_mean, listed
from vecspeak.tables.json_rows import table_of
from vecspeak.tables.ledger import Ledger
from vecspeak.tables.spelling import free_name


def table_of_rows(
    ids: Sequence[object],
    vectors: Any,
    payload: Sequence[Mapping[str, Any] | None],
    ledger: Ledger,
    *,
    name: str = "vector",
) -> pa.Table:
    """A table of ids as text, vectors and what else is known of each row.

    `vectors` is [B, D] of numbers, or B vectors of which some may be None. A payload's column called like one of the
    others gets a "_".
    """
    rows = [dict(one or {}) for one in payload]
    known_of = table_of(rows, (), ledger, "the payload", dated=False) if any(rows) else pa.table({})
    columns: dict[str, Any] = {"id": pa.array(map(str, ids), pa.string()), name: as_lists(vectors)}
    for key in known_of.column_names:
        columns[free_name(key, columns)] = known_of.column(key)
    return pa.table(columns)


def table_of_named(
    ids: Sequence[object],
    vectors: Sequence[Mapping[str, Any] | None],
    payload: Sequence[Mapping[str, Any] | None],
    ledger: Ledger,
) -> pa.Table:
    """The same where each row has several vectors by their names, of which each is a column."""
    first, *others = dict.fromkeys(name for one in vectors for name in one or {})
    table = table_of_rows(ids, [(one or {}).get(first) for one in vectors], payload, ledger, name=first)
    for name in others:
        table = table.append_column(name, as_lists([(one or {}).get(name) for one in vectors]))
    return table


def as_lists(vectors: Any) -> pa.Array:
    """Vectors [B, D] as a column of lists of float32."""
    if isinstance(vectors, np.ndarray) and vectors.ndim == 2:
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
        return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]).cast(pa.list_(pa.float32()))
    rows = [None if one is None else np.asarray(one, dtype=np.float32) for one in vectors]
    return pa.array(rows, pa.list_(pa.float32()))


def not_there(kind: str, name: str, there: Iterable[str], where: object) -> UserError:
    """The error for a collection that a store does not have, with those that it has."""
    known = sorted(there)
    hint = did_you_mean(name, known, "name one of these") if known else "it is empty"
    given = f"no {kind} {name!r}" if name else f"no {kind} is named"
    return UserError(f"{where}: {given}; there are {listed(known, 20) or 'none'}", hint)


def quoted(name: str) -> str:
    """A name as SQL writes it, its own marks doubled, so that nothing in it is run.

    >>> quoted("items")
    '"items"'
    """
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


SECONDS = 60.0
"""For the next rows of a file: a view that never gives one would be waited for without end."""


class Watch:
    """Interrupts a query that gives no rows for a minute.

    >>> with Watch(connection.interrupt) as watch:
    ...     rows = cursor.fetchmany(1000)
    """

    def __init__(self, interrupt: Callable[[], object]) -> None:
        self._interrupt, self.has_passed = interrupt, False
        self._timer = Timer(SECONDS, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> "Watch":
        self._timer.start()
        return self

    def __exit__(self, *given: object) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.has_passed = True
        self._interrupt()

    def too_late(self, path: object) -> UserError:
        """The error for a query that was interrupted."""
        return UserError(f"{path} gives no rows within {SECONDS:g} s", "make a table of what the view shows")
