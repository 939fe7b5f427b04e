"""Facts: what is known of the items beside their vectors, as numbers that can be counted for any set of them.

Values of metadata columns and words of texts become sparse tables of items against features; columns of numbers stay
as they are. Made once a space. Knows columns and texts. Knows no vectors and no statistics.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecspeak.points.queries import is_listed, is_numeric
from vecspeak.spaces import Space
from vecspeak.spaces.formats import TEXT_COLUMN
from vecspeak.spaces.splits import SPLIT_COLUMN

FEWEST = 5
"""Items that must have a value or a word for it to be counted: with fewer nothing can be shown."""
_LETTERS = 5000
"""Of a text that are read."""
_WORD = r"[^\W\d_]{3,}"
"""Three letters or more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Which item has which feature."""

    columns: tuple[str, ...]
    """F columns that the features are of."""
    names: tuple[str, ...]
    """F values or words."""
    matrix: Any
    """[N, F] sparse, 1 where the item has the feature."""

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """[F] int64: how many of these items have each feature."""
        return np.asarray(self.matrix[rows].sum(axis=0)).ravel().astype(np.int64)

    def without(self, columns: Collection[str]) -> "Table":
        """The table without the features of some columns."""
        kept = [place for place, column in enumerate(self.columns) if column not in columns]
        return Table(
            columns=tuple(self.columns[place] for place in kept),
            names=tuple(self.names[place] for place in kept),
            matrix=self.matrix[:, kept],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """The facts of a space."""

    values: Table
    """Of columns of text, of yes and no, and of lists of them."""
    words: Table
    """Of the texts, each word once a text."""
    numbers: dict[str, np.ndarray]
    """[N] float64 by column; NaN where nothing is known."""

    @classmethod
    def of(cls, space: Space) -> "Facts":
        """Count what at least 5 items have; the texts, and the mark of what is held out, are no values."""
        columns = {
            name: space.metadata.column(name)
            for name in space.metadata.column_names
            if name not in (TEXT_COLUMN, SPLIT_COLUMN)
        }
        return cls(
            values=_values(columns, space.num_items),
            words=_words(space),
            numbers={name: _numbers(column) for name, column in columns.items() if _is_number(column.type)},
        )

    def without(self, columns: Collection[str]) -> "Facts":
        """The facts without those of some columns."""
        if not columns:
            return self
        return Facts(
            values=self.values.without(columns),
            words=self.words.without(columns),
            numbers={name: column for name, column in self.numbers.items() if name not in columns},
        )


def _is_number(kind: pa.DataType) -> bool:
    return is_numeric(kind) and not is_listed(kind) and not pa.types.is_dictionary(kind)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _values(columns: dict[str, pa.ChunkedArray], num_items: int) -> Table:
    from scipy.sparse import csr_matrix, hstack

    owners: list[str] = []
    names: list[str] = []
    parts = [csr_matrix((num_items, 0), dtype=np.int32)]
    for column, cells in columns.items():
        found = _pairs(cells)
        if found is None:
            continue
        rows, codes, values = found
        table = csr_matrix((np.ones(len(rows), dtype=np.int32), (rows, codes)), (num_items, len(values)))
        table.data[:] = 1  # a list that names a value twice has it once
        held = np.asarray(table.sum(axis=0)).ravel()
        kept = np.flatnonzero((held >= FEWEST) & (held < num_items))
        parts.append(table[:, kept])
        names += [values[code] for code in kept]
        owners += [column] * len(kept)
    return Table(columns=tuple(owners), names=tuple(names), matrix=hstack(parts, format="csr"))


def _pairs(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
    """Rows, codes of their values, and the values; None for a column that holds no plain values."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    rows = np.arange(len(array))
    if is_listed(array.type):
        rows = np.asarray(pc.list_parent_indices(array))
        array = array.flatten()
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    kind = array.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind)):
        return None
    texts = pc.utf8_trim_whitespace(array.cast(pa.string()))
    known = np.asarray(pc.fill_null(pc.not_equal(texts, ""), False))
    coded = texts.filter(pa.array(known)).dictionary_encode()
    return rows[known], np.asarray(coded.indices), coded.dictionary.to_pylist()


def _words(space: Space) -> Table:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    none = Table(columns=(), names=(), matrix=csr_matrix((space.num_items, 0), dtype=np.int32))
    if TEXT_COLUMN not in space.metadata.column_names:
        return none
    texts = [(text or "")[:_LETTERS] for text in space.metadata.column(TEXT_COLUMN).to_pylist()]
    vectorizer = CountVectorizer(
        binary=True, min_df=FEWEST, token_pattern=_WORD, stop_words="english", dtype=np.int32
    )
    try:
        matrix = vectorizer.fit_transform(texts)
    except ValueError:  # no word is in five texts
        return none
    names = tuple(map(str, vectorizer.get_feature_names_out()))
    return Table(columns=(TEXT_COLUMN,) * len(names), names=names, matrix=matrix.tocsr())
