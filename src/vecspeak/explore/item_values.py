"""One value for every item of a space, to colour a map by: of a column, a concept, a word or the regions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from vecspeak.bundles import SpaceEntry
from vecspeak.errors import UserError, did_you_mean
from vecspeak.evidence import term_name
from vecspeak.explore.regions import atlas_of
from vecspeak.points import Concept
from vecspeak.points.queries import coded_values
from vecspeak.spaces.splits import SPLIT_COLUMN
from vecspeak.tables.columns import TEXT_COLUMN

Source = Literal["column", "concept", "word", "regions"]
NO_SHADE = 255
"""Shade of an item without a value."""
_MOST_VALUES = 11
"""Values of a column that have a colour of their own, the commonest."""
_BLOCK = 2048


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ItemValues:
    """A value for each of N items."""

    source: Source
    name: str
    values: np.ndarray
    """[N] float32: a number, standard deviations of a concept, a probability, or a place in `names`; NaN for none."""
    names: tuple[str, ...] = ()
    """Of values that are no numbers."""

    @property
    def range(self) -> tuple[float, float]:
        """The smallest value and the largest; zeros where no item has one."""
        known = self.values[np.isfinite(self.values)]
        return (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)

    @property
    def shades(self) -> np.ndarray:
        """[N] uint8: place in `names`; of a word 0 for 0% to 254 for 100%; else 254 times the share of items with less.

        255 where there is no value.
        """
        found = np.full(len(self.values), NO_SHADE, np.uint8)
        known = np.isfinite(self.values)
        values = self.values[known]
        if self.names:
            found[known] = values.astype(np.uint8)
        elif self.source == "word":
            found[known] = np.rint(254 * values)
        elif len(values):
            ordered = np.sort(values)
            below = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right") - 1
            found[known] = np.rint(254 * below / max(2 * (len(values) - 1), 1))
        return found


def value_columns(entry: SpaceEntry) -> list[str]:
    """Columns of metadata that can be shown: numbers, and plain values that some items share."""
    found = []
    for field in entry.space.metadata.schema:
        if field.name in (TEXT_COLUMN, SPLIT_COLUMN):
            continue
        if _is_number(field.type):
            found.append(field.name)
        elif (coded := coded_values(entry.space.metadata.column(field.name))) is not None:
            _, codes, values = coded
            if len(values) and len(codes) >= 2 * len(values):
                found.append(field.name)
    return found


def of_column(entry: SpaceEntry, name: str) -> ItemValues:
    """The values of a column; of several values in a cell the commonest of the space's that has a colour.

    Raises UserError for a column that is not there, or holds neither numbers nor plain values.
    """
    columns = entry.space.metadata.column_names
    if name not in columns:
        raise UserError(
            f"{entry.space.name} has no column {name!r}", did_you_mean(name, columns, "choose another")
        )
    column = entry.space.metadata.column(name)
    if _is_number(column.type):
        # Not safe: beyond 2^53 whole numbers are rounded, by less than a shade.
        numbers = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float32)
        return ItemValues(source="column", name=name, values=numbers)
    coded = coded_values(column)
    if coded is None:
        raise UserError(f"column {name!r} holds neither numbers nor plain values", "choose another column")
    rows, codes, values = coded
    commonest = np.argsort(-np.bincount(codes, minlength=len(values)), kind="stable")[:_MOST_VALUES]
    found = np.full(entry.space.num_items, np.nan, np.float32)
    found[rows] = len(commonest)  # "other" where none of the commonest is written over it
    for place in range(len(commonest) - 1, -1, -1):
        found[rows[codes == commonest[place]]] = place
    names = [values[code] for code in commonest.tolist()]
    return ItemValues(
        source="column",
        name=name,
        values=found,
        names=(*names, *(["other"] if len(values) > len(names) else [])),
    )


def of_concept(entry: SpaceEntry, concept: Concept) -> ItemValues:
    """How far each item lies along a concept, in standard deviations of the items."""
    amounts = entry.space.vectors @ concept.direction.astype(np.float32)
    values = ((amounts - amounts.mean()) / concept.scale).astype(np.float32)
    return ItemValues(source="concept", name=concept.name, values=values)


def of_regions(entry: SpaceEntry) -> ItemValues:
    """The region of each item, or its group on the finest level of which each group has a colour of its own.

    Raises UserError where no atlas made any.
    """
    clusters = atlas_of(entry)
    levels = [(level.names, level.labels(clusters.labels)) for level in clusters.levels]
    levels.append((tuple(map(clusters.name, range(clusters.num_regions))), clusters.labels))
    fitting = [one for one in levels if one[1].max() < _MOST_VALUES]
    names, numbers = fitting[-1] if fitting else levels[0]
    values = np.where(numbers < 0, np.nan, numbers % NO_SHADE).astype(np.float32)
    named = tuple(names[:NO_SHADE]) or tuple(f"group {n}" for n in range(int(numbers.max()) + 1))
    return ItemValues(source="regions", name="regions", values=values, names=named)


def of_word(entry: SpaceEntry, word: str) -> ItemValues:
    """The probability that each item's vector gives a word or a value. Raises UserError for one that is not read."""
    reader = entry.term_reader
    column = reader.place_of(word)
    if column is None:
        hint = did_you_mean(word, reader.terms, "take another word")
        raise UserError(f"{word!r} is not read from vectors of {entry.space.name}", hint)
    parts: Sequence[np.ndarray] = [
        reader.of_term(column, block, entry.alignment(block, "item"))
        for start in range(0, entry.space.num_items, _BLOCK)
        for block in [entry.space.vectors[start : start + _BLOCK]]
    ]
    name = term_name(reader.terms[column], reader.columns[column])
    return ItemValues(source="word", name=name, values=np.concatenate(parts))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
