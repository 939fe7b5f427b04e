"""The tidy table of an evaluation: one row a set, task, system, entity and metric, with value and weight.

Summaries and comparisons are group-bys of it:

>>> table = rows("movies / summary", "reader", ["a", "b"], {"sc": Series(np.array([0.5, 0.7]))})
>>> table.column_names
['set', 'task', 'system', 'entity', 'metric', 'value', 'weight']
>>> series_of(table)["movies / summary", "reader", "sc"].estimate().value
0.6
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from vecspeak.stats import Series
from vecspeak.tables.cells import to_python

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("set", "task", "system", "entity", "metric")),
        ("value", pa.float64()),
        ("weight", pa.float64()),
    ]
)
"""`task` is empty for a plain question; `weight` is null where every entity counts the same."""


def rows(name: str, system: str, ids: Sequence[str], series: Mapping[str, Series]) -> pa.Table:
    """One system's scores of the entities of a set, by metric."""
    space, _, task = name.partition(" / ")
    count = len(ids)
    return concat(
        pa.table(
            [
                *(pa.repeat(pa.scalar(text, pa.string()), count) for text in (name, task, system)),
                pa.array(ids, pa.string()),
                pa.repeat(pa.scalar(metric, pa.string()), count),
                pa.array(one.values, pa.float64()),
                pa.nulls(count, pa.float64()) if one.weights is None else pa.array(one.weights, pa.float64()),
            ],
            schema=SCHEMA,
        )
        for metric, one in series.items()
    )


def concat(tables: Iterable[pa.Table]) -> pa.Table:
    """The rows of all tables, in order."""
    return pa.concat_tables([SCHEMA.empty_table(), *tables])


def series_of(table: pa.Table) -> dict[tuple[str, str, str], Series]:
    """One Series for each set, system and metric, in the order of the table."""
    keys = ["set", "system", "metric"]
    # One thread keeps the rows of a group in their order.
    grouped = table.group_by(keys, use_threads=False).aggregate([("value", "list"), ("weight", "list")])
    columns = [to_python(grouped[name], name) for name in keys]
    found = {}
    for name, system, metric, values, weights in zip(
        *columns, grouped["value_list"], grouped["weight_list"], strict=True
    ):
        counts = None if weights.values.null_count else np.array(weights.values, dtype=float)
        found[name, system, metric] = Series(np.array(values.values, dtype=float), counts)
    return found
