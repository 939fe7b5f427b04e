"""Space: a table of vectors with ids, labels and metadata, that has a name and a digest."""

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.bounds import allow_memory
from vecspeak.errors import UserError, check_arguments, did_you_mean, listed, nearest_rows, require, shorten
from vecspeak.foreign import shown
from vecspeak.spaces.header import plain_table, saved_header
from vecspeak.spaces.point import Point, quoted
from vecspeak.spaces.rows import Columns, TableRows, as_list, read_rows, rows_of_table
from vecspeak.storage import digest
from vecspeak.stores.address import is_address
from vecspeak.tables.cells import cell, to_python
from vecspeak.tables.columns import RESERVED_COLUMNS, TEXT_COLUMN, as_ids, check_unique
from vecspeak.tables.convert import (
    all_there,
    as_array,
    as_names,
    as_table,
    is_built_of_objects,
    own,
    own_table,
    own_vectors,
)
from vecspeak.tables.delimited import TextFormat
from vecspeak.tables.files import (
    TABLE_SUFFIXES,
    as_path,
    check_file,
    holds_vectors,
    table_ending,
)
from vecspeak.tables.ledger import Ledger
from vecspeak.tables.mapped import LateVectors, check_whole, take_rows
from vecspeak.tables.names import Names
from vecspeak.tables.parquet import StoredVectors, read_parquet, read_vectors


class ReadingWarning(UserWarning):
    """What reading a table left out, guessed or kept without counting it."""


PRETRAINED = Path(__file__).parents[1] / "assets" / "movies.parquet"
"""The space that the package brings."""
_PLAIN, _BLOCK = (1e-30, 1e30), 4096
"""Squared lengths between which float32 neither overflows nor loses digits, and rows looked at closely at a time."""
_JSON_ROWS = 1 << 14
"""Rows whose JSON is made at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Space:
    """A named table of N vectors of width D, checked when it is made and never changed afterwards.

    Raises UserError for an empty table, wrong widths or lengths, NaN, infinities, zero vectors and duplicate
    ids. Vectors and metadata are copied, once, unless they come from another space or from a file. Half a gigabyte of
    vectors or more stays in its file; of Parquet it is converted, and checked, when it is first used.

    >>> space = Space.from_arrays(np.eye(3), labels=["red", "green", "blue"], name="colors")
    >>> len(space), space.dim, space["green"].vector.tolist()
    (3, 3, [0.0, 1.0, 0.0])
    >>> space.to_pandas().columns.tolist()
    ['id', 'label', 'vector']
    """

    name: str
    """What the space is called, such as "movies"."""
    ids: Names
    """N unique identifiers, as a sequence that is equal to the tuple of them; any sequence of texts is taken."""
    labels: Names
    """N names for people; not necessarily unique."""
    vectors: np.ndarray
    """[N, D] float32, C-contiguous, read-only."""
    metadata: pa.Table = field(default_factory=lambda: pa.table({}))
    """N rows of other columns, such as texts or genres; may have no columns."""
    encoder: str | None = None
    """Name of the text encoder that made the vectors; None when unknown."""
    id_column: str = "id"
    """Column of the table that the ids were read from: in a row of that table it names the item."""
    notes: tuple[str, ...] = ()
    """What reading left out or guessed, a line each; nothing of it is saved."""
    _digest: str | None = field(default=None, init=False, repr=False)
    """The digest once it has been asked for."""
    _lengths: np.ndarray = field(default_factory=lambda: np.empty(0), init=False, repr=False)
    """[N] float32, which the check of the values gives for nothing."""
    _late: LateVectors | None = field(default=None, init=False, repr=False)
    """What makes the vectors when they are first used; None where they are there from the start."""

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        ids = _as_names("ids", self.ids)
        labels = ids if self.labels is self.ids else _as_names("labels", self.labels)
        set_field(self, "ids", ids)
        set_field(self, "labels", ids if labels == ids else labels)
        if not isinstance(self.name, str) or not self.name:
            raise UserError(
                f"a space needs a name, and {self.name or 'an empty one'} was given",
                "give it a name such as 'movies'",
            )
        if isinstance(self.vectors, LateVectors):
            set_field(self, "_late", self.vectors)
            object.__delattr__(self, "vectors")  # an empty slot, which __getattr__ fills
            object.__delattr__(self, "_lengths")
        else:
            set_field(self, "vectors", own_vectors(self.vectors))
        set_field(self, "metadata", own_table(self.metadata))
        _check_count("ids", self.ids, self.num_items)
        _check_count("labels", self.labels, self.num_items)
        if self.ids.repeated():
            check_unique(self.ids)
        if self._late is None:
            set_field(self, "_lengths", _checked_lengths(self.vectors, self.ids))
        _check_metadata(self.metadata, self.num_items)

    def __getattr__(self, name: str) -> Any:
        """The vectors that are made when they are first used, and their lengths: Python asks here for an empty slot."""
        if name not in ("vectors", "_lengths") or self._late is None:
            raise AttributeError(f"'Space' object has no attribute {name!r}")
        vectors = own_vectors(self._late.array())
        object.__setattr__(self, "_lengths", _checked_lengths(vectors, self.ids))
        object.__setattr__(self, "vectors", vectors)
        return getattr(self, name)

    # --- where spaces come from ---

    @classmethod
    def from_arrays(
        cls,
        vectors: Any,
        *,
        ids: Sequence[Any] | None = None,
        labels: Sequence[str] | None = None,
        texts: Sequence[str | None] | None = None,
        metadata: Any = None,
        name: str = "space",
        encoder: str | None = None,
    ) -> "Space":
        """A space from vectors [N, D] (NumPy, torch, lists) and what is known of each row.

        Ids are "0" to "N-1" and labels the ids where they are not given; both are texts or whole numbers. `texts` has
        None where an item has none; `metadata` is a dictionary of columns, a frame or an Arrow table. Raises UserError
        for what does not fit.

        >>> space = Space.from_arrays(np.eye(3), labels=["red", "green", "blue"], name="colors")
        >>> space["red"].vector.tolist()
        [1.0, 0.0, 0.0]
        """
        array = as_array(vectors)
        number = len(array) if array.ndim else 0
        names = (
            Names.numbered(number)
            if ids is None
            else Names.of(all_there(as_names(ids, "ids", number), "ids"), "ids")
        )
        shown = None if labels is None else as_names(labels, "labels", number)
        table = pa.table({}) if metadata is None else as_table(metadata)
        _check_metadata(table, number)
        if texts is not None:
            if TEXT_COLUMN in table.column_names:
                raise UserError(
                    f"texts are given, and metadata has a column {TEXT_COLUMN!r} too", "give one of both"
                )
            column = pa.array(as_names(texts, "texts", number), type=pa.string())
            table = pa.table({TEXT_COLUMN: column, **{one: table.column(one) for one in table.column_names}})
        return cls(
            name=name,
            ids=names,
            labels=names
            if shown is None
            else Names.of(own_id if one is None else one for own_id, one in zip(names, shown, strict=True)),
            vectors=array,
            metadata=table,
            encoder=encoder,
        )

    @classmethod
    def from_pretrained(cls, name: str = "movies") -> "Space":
        """The space that the package brings: 5,000 movies as vectors of their plots by all-MiniLM-L6-v2.

        It has titles, genres and which movies the shipped reader was not trained on (`split` is "held_out"); no plots.
        Raises UserError for another name.

        >>> space = Space.from_pretrained()
        >>> space
        Space('movies.semantic', 5,000 items, [384])
        """
        if name != "movies":
            raise UserError(
                f"the package brings no space {name!r}", "use 'movies', or load(path) for your own"
            )
        return cls.load(PRETRAINED)

    @classmethod
    def from_arrow(
        cls,
        table: Any,
        *,
        id: str | None = None,
        label: str | None = None,
        vector: str | Sequence[str] | None = None,
        text: str | None = None,
        name: str = "space",
        encoder: str | None = None,
        strict: bool = False,
        unpack_bits: bool = False,
    ) -> "Space":
        """A space from an Arrow table, or what becomes one: a pandas or polars frame, a dictionary of columns.

        `id`, `label`, `vector` and `text` name columns. `vector` is one of lists of numbers, or of text such as
        "[0.1, 0.2]"; or a list of D columns of numbers, or their pattern, such as "d*". A missing label becomes the id,
        the texts the metadata column "text", and all other columns metadata. Rows without a usable vector are left out
        and told in `notes`, with a warning; `strict` refuses them. `unpack_bits` reads a byte as eight bits. Raises
        UserError for what does not fit.
        """
        rows = as_table(table)
        if id is None or vector is None:
            raise plain_table(rows.schema, "this")
        vector = as_list(vector)
        if not rows.num_rows:
            raise UserError("the table holds no rows", "give a table with one row or more")
        # columns of a frame may be called by numbers, which Arrow writes as text
        columns = Columns(
            id=str(id),
            label=str(id if label is None else label),
            vector=vector,
            text=None if text is None else str(text),
        )
        ledger = Ledger(strict=strict)
        found = rows_of_table(rows, columns, name, unpack_bits=unpack_bits, ledger=ledger)
        if is_built_of_objects(table, vector) and isinstance(found.vectors, np.ndarray):
            own(found.vectors)
        return cls._from_rows(found, name, encoder, ledger)

    @classmethod
    def from_pandas(cls, frame: Any, **columns: Any) -> "Space":
        """A space from a pandas frame; arguments as for `from_arrow`."""
        check_arguments(cls.from_arrow, columns)
        return cls.from_arrow(frame, **columns)

    @classmethod
    def from_polars(cls, frame: Any, **columns: Any) -> "Space":
        """A space from a polars frame; arguments as for `from_arrow`."""
        check_arguments(cls.from_arrow, columns)
        return cls.from_arrow(frame, **columns)

    @classmethod
    def from_parquet(cls, path: str | Path, **columns: Any) -> "Space":
        """A space from a Parquet table, arguments as for `read`; without any, from one that `vecspeak space` saved."""
        check_arguments(cls.read, columns)
        named = {key for key in columns if key not in ("name", "encoder")}
        return cls.read(path, **columns) if named else cls._renamed(cls.load(path), **columns)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        id: str | None = None,
        label: str | None = None,
        vector: str | Sequence[str] | None = None,
        text: str | None = None,
        name: str | None = None,
        table: str | Path | None = None,
        encoder: str | None = None,
        strict: bool = False,
        unpack_bits: bool = False,
        sep: str | None = None,
        encoding: str | None = None,
        header: bool = True,
        columns: Sequence[str] = (),
        memory: str | int | None = None,
    ) -> "Space":
        """A space from a table (CSV, JSON, Parquet, Arrow, RecBole, a folder of parts) or a file of vectors with one.

        `path` may also be the address of a collection in a store, such as "qdrant:///data/shop/items"; docs/stores.md.

        In a table, `vector` names the column of vectors, or D columns of numbers by a list or a pattern. For a file of
        vectors (`.npy`, `.npz`, `.safetensors`, `.pt`), row i of the table belongs to vector i; the table is the one of
        the same stem (`table` names another) and `vector` names the array where there are several. Word vectors
        (word2vec, GloVe) need none: each is called by its word. A missing label becomes the id. The text column
        becomes the metadata column "text" (missing texts stay missing); the other columns become metadata under
        their names, with "_" added where a name is taken. The space is called `name`, or else after the file.

        Of a CSV, `sep` and `encoding` are found where they are not given; without a `header`, `columns` names the
        columns. Rows without a usable vector are left out and told in `notes`, with a warning; `strict` refuses them.
        `unpack_bits` reads a byte as eight bits. A file that takes more `memory` than is allowed, such as "16GB", is
        refused before it is read; docs/your-data.md says what is allowed by default. Raises UserError for whatever does
        not fit.
        """
        source = str(path) if is_address(path) else as_path(path)
        form = TextFormat(sep=sep, encoding=encoding, header=header, columns=tuple(columns))
        ledger = Ledger(strict=strict)
        named = Columns(
            id=id, label=label or id, vector=vector if vector is None else as_list(vector), text=text
        )
        with allow_memory(memory):
            found = read_rows(source, named, table=table, form=form, unpack_bits=unpack_bits, ledger=ledger)
        if isinstance(found.vectors, np.ndarray):
            own(found.vectors)
        return cls._from_rows(found, name or found.name, encoder, ledger)

    @classmethod
    def load(cls, path: str | Path) -> "Space":
        """A space from a file that `vecspeak space` wrote.

        Raises UserError for a missing, broken, changed or plain Parquet file and for a newer format.
        """
        path = as_path(path)
        check_file(path)
        try:
            schema = pq.read_schema(path)
            header = saved_header(schema, path)
            table = read_parquet(path, [name for name in schema.names if name != "vector"])
            stored = StoredVectors.of([path], "vector")
            vectors: Any = None if stored else read_vectors(path, "vector", table.num_rows)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if holds_vectors(path):
                raise UserError(
                    f"{path} holds vectors, and is no saved space",
                    "say what they belong to: table=FILE, id=COLUMN, label=COLUMN",
                ) from error
            if table_ending(path) in TABLE_SUFFIXES and path.suffix not in (".parquet", ".pq"):
                raise UserError(
                    f"{path} is a plain table, not a saved space",
                    "say which columns are which: id=COLUMN, label=COLUMN, vector=COLUMN",
                ) from error
            raise UserError(
                f"{path} is not a whole Parquet file", "restore it, or make the space again"
            ) from error
        content: dict[str, Any] = {
            "name": header["name"],
            "ids": as_ids(table.column("id"), "id"),
            "labels": as_ids(table.column("label"), "label"),
            "metadata": own(table.drop_columns(["id", "label"]).replace_schema_metadata(None)),
        }

        def check(vectors: np.ndarray) -> None:
            if digest_of(**content, vectors=vectors) != header["digest"]:
                raise UserError(
                    f"{path} was changed after it was saved: its digest does not match",
                    "make the space again",
                )

        space = cls(
            **content,
            vectors=_saved_vectors(stored, check) if stored else vectors,
            encoder=header["encoder"],
            id_column=str(header.get("id_column", "id")),
        )
        if stored is None:
            check(space.vectors)
        object.__setattr__(space, "_digest", header["digest"])
        return space

    @classmethod
    def _from_rows(cls, rows: TableRows, name: str, encoder: str | None, ledger: Ledger) -> "Space":
        """What the ledger tells stands in `notes`, and is warned of."""
        space = cls(
            name=name,
            ids=rows.ids,
            labels=rows.labels,
            vectors=rows.vectors,
            metadata=rows.metadata,
            encoder=encoder,
            id_column=rows.id_column,
            notes=tuple(ledger.lines),
        )
        if space.notes:
            warnings.warn(shown("; ".join(space.notes)), ReadingWarning, stacklevel=3)
        return space

    def _renamed(self, *, name: str | None = None, encoder: str | None = None) -> "Space":
        if not name and not encoder:
            return self
        return self.changed(name=name or self.name, encoder=encoder or self.encoder)

    def changed(self, **fields: Any) -> "Space":
        """The same space with other values in these fields; vectors that nobody has used yet stay so."""
        vectors: Any = self._late or self.vectors
        return replace(self, vectors=vectors, **fields)

    # --- items ---

    def __len__(self) -> int:
        return self.num_items

    def __repr__(self) -> str:
        return f"Space({self.name!r}, {self.num_items:,} items, [{self.dim}])"

    def __getitem__(self, item: str | int) -> Point:
        """The point of an item by its label, its id, or its row number.

        Raises UserError with the nearest spellings, or with the ids where several items bear the label.
        """
        if isinstance(item, bool) or not isinstance(item, int | np.integer):
            return self._point(self.find(item))  # type: ignore[arg-type]  # which refuses what is no text
        if not -self.num_items <= item < self.num_items:
            raise UserError(
                f"{self.name!r} has the rows 0 to {self.num_items - 1}, got {item}", "name one of these"
            )
        return self._point(range(self.num_items)[item])

    def __iter__(self) -> Iterator[Point]:
        return (self._point(row) for row in range(self.num_items))

    def find(self, label_or_id: str) -> int:
        """Row of the item with this label or id: an exact label first, then an id, then either in other case.

        Raises UserError that names the ids when several items bear the label, and the nearest spellings with
        their ids when none does.
        """
        if not isinstance(label_or_id, str):
            hint = f"space[{self.labels[0]!r}], space[0]; take([...]) for several, point(...) for a vector"
            raise UserError(f"an item is called by its label, its id or its row, got {label_or_id!r}", hint)
        rows = self.rows_labelled(label_or_id)
        if not rows and self.has(label_or_id):
            return self.index_of(label_or_id)
        rows = rows or self.labels.rows_folded(label_or_id) or self.ids.rows_folded(label_or_id)
        if not rows:
            raise self._missing(label_or_id)
        if len(rows) > 1:
            ids = listed((repr(self.ids[row]) for row in rows), 5)
            raise UserError(
                f"{len(rows)} items of {self.name!r} have the label {label_or_id!r}", f"use an id: {ids}"
            )
        return rows[0]

    def rows_labelled(self, label: str) -> list[int]:
        """Rows of the items with exactly this label, in order."""
        return self.labels.rows_of(label)

    def text_of(self, item_id: str) -> str | None:
        """The item's own text; None where it has none."""
        if TEXT_COLUMN not in self.metadata.column_names:
            return None
        text = cell(self.metadata.column(TEXT_COLUMN), self.index_of(item_id), TEXT_COLUMN)
        return None if text is None else str(text)

    def to_pandas(self) -> Any:
        """A frame of id, label, vector and the metadata. Raises UserError where pandas is not installed."""
        columns = {"id": self.ids, "label": self.labels, "vector": list(self.vectors)}
        others = {name: to_python(self.metadata.column(name), name) for name in self.metadata.column_names}
        return require("pandas", "notebook").DataFrame({**columns, **others})

    def _rows_taken(self, indices: Any) -> np.ndarray:
        """[M] int64, ascending only where they are asked for so."""
        if isinstance(indices, slice):
            return np.arange(self.num_items)[indices]
        wanted = as_array(indices)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iub"):
            raise UserError(
                f"rows are whole numbers, got {shorten(repr(indices))}", "space.find(LABEL) is an item's row"
            )
        with suppress(IndexError):
            return np.arange(self.num_items)[wanted if wanted.size else wanted.astype(np.int64)]
        if wanted.dtype.kind == "b":
            raise UserError(
                f"a mask of {len(wanted)} is given for {self.num_items} items", "give one for each"
            )
        outside = wanted[(wanted < -self.num_items) | (wanted >= self.num_items)][0]
        raise UserError(
            f"{self.name!r} has the rows 0 to {self.num_items - 1}, got {outside}", "name one of these"
        )

    def _point(self, row: int) -> Point:
        check_whole(self.vectors)
        label = self.labels[row]
        is_unique = self.labels is self.ids or self.labels.count(label) == 1
        return Point(
            space=self.name,
            vector=self.vectors[row],
            expression=quoted(label) if is_unique else f"id({quoted(self.ids[row])})",
            item_id=self.ids[row],
            kind="item",
            parents=(self.ids[row],),
        )

    def _missing(self, label_or_id: str) -> UserError:
        near = nearest_rows(label_or_id, self.labels, count=3, cutoff=0.5)
        named = [f"{self.labels[row]!r} (id {self.ids[row]!r})" for row in near]
        hint = f"did you mean {' or '.join(named)}?" if named else f"labels look like {self.labels[0]!r}"
        return UserError(f"no item of {self.name!r} has the label or id {label_or_id!r}", hint)

    @property
    def num_items(self) -> int:
        """Number of items (N)."""
        return int(self._shape[0])

    @property
    def dim(self) -> int:
        """Width of a vector (D)."""
        return int(self._shape[1])

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.vectors.shape if self._late is None else self._late.shape

    @property
    def has_late_vectors(self) -> bool:
        """Whether its vectors are made when they are first used."""
        return self._late is not None

    @property
    def lengths(self) -> np.ndarray:
        """[N] float32 lengths of the vectors, read-only; infinite where float32 cannot hold one."""
        return self._lengths

    @property
    def digest(self) -> str:
        """SHA-256 in hex over name, ids, labels, vectors and metadata; computed once, when first asked for.

        That of a large saved space is the one in its file, which is compared when the vectors are converted.
        Metadata counts by column names and values, not by Arrow's types, chunks or buffers, so that a file
        format that stores the same values differently does not change the digest.
        """
        if self._digest is None:
            made = digest_of(
                name=self.name, ids=self.ids, labels=self.labels, metadata=self.metadata, vectors=self.vectors
            )
            object.__setattr__(self, "_digest", made)
        assert self._digest is not None
        return self._digest

    def has(self, item_id: str) -> bool:
        """Whether an item has this id."""
        return item_id in self.ids

    def index_of(self, item_id: str) -> int:
        """Row of the item with this id; raises UserError with the nearest spellings when there is none."""
        rows = self.ids.rows_of(item_id) if isinstance(item_id, str) else []
        if not rows:
            hint = did_you_mean(str(item_id), self.ids, f"ids look like {self.ids[0]!r}")
            raise UserError(f"no item of the space {self.name!r} has the id {item_id!r}", hint)
        return rows[0]

    def take(self, indices: Sequence[int] | np.ndarray | slice) -> "Space":
        """A space of the same name with only these rows, in this order; a mask of N booleans or a slice works too.

        Raises UserError for a row that is not there, or twice, for no row and for a mask of another length.
        """
        rows = self._rows_taken(indices)
        return Space(
            name=self.name,
            ids=(ids := self.ids.take(rows)),
            labels=ids if self.labels is self.ids else self.labels.take(rows),
            vectors=take_rows(self.vectors, rows),
            metadata=self.metadata.take(pa.array(rows)) if self.metadata.num_columns else self.metadata,
            encoder=self.encoder,
            id_column=self.id_column,
        )


def _as_names(what: str, given: Any) -> Names:
    """Ids or labels in Arrow's memory. Raises UserError for what is no text."""
    if isinstance(given, Names):
        return given
    texts = tuple(given)
    if not set(map(type, texts)) <= {str}:  # a million are checked in the time of a loop over 50,000
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise UserError(
                    f"{what} must be text, but row {row} is {text!r}", f"turn the {what} into strings"
                )
    return Names.of(texts, what)


def _check_count(what: str, texts: Names, num_items: int) -> None:
    if len(texts) != num_items:
        raise UserError(f"there are {len(texts)} {what} for {num_items} vectors", "give one for each vector")


def _saved_vectors(stored: StoredVectors, check: Callable[[np.ndarray], None]) -> Any:
    """The large vectors of a saved space, now or late; `check` raises where they are not those that were saved."""
    done = stored.converted()
    if done is not None and not done.left_out:
        return done.vectors

    def make() -> np.ndarray:
        made = stored.convert()
        check(made.vectors)
        return made.vectors

    return LateVectors(stored.shape, make)


def _checked_lengths(vectors: np.ndarray, ids: Sequence[str]) -> np.ndarray:
    """[N] float32, read-only; UserError for NaN, infinities and vectors of zeros.

    One pass over the numbers: only rows whose sum of squares is odd in float32 are looked at closely.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("nd,nd->n", vectors, vectors)
        odd = np.flatnonzero(~((squares > _PLAIN[0]) & (squares < _PLAIN[1])))
        lengths = np.sqrt(squares)
        for start in range(0, len(odd), _BLOCK):
            rows = odd[start : start + _BLOCK]
            lengths[rows] = np.linalg.norm(vectors[rows].astype(np.float64), axis=1)
    _check_values(vectors, odd, ids)
    lengths.flags.writeable = False
    return lengths


def _check_values(vectors: np.ndarray, odd: np.ndarray, ids: Sequence[str]) -> None:
    """Look at the odd rows, a block at a time."""
    blocks = [odd[start : start + _BLOCK] for start in range(0, len(odd), _BLOCK)]
    again = "drop these items or make their vectors again"
    unknown = "an item of which nothing is known lies nowhere: drop these items or make their vectors again"
    for what, is_bad, hint in (
        ("NaN or infinite numbers", lambda part: ~np.isfinite(part).all(axis=1), again),
        ("only zeros", lambda part: ~part.any(axis=1), unknown),
    ):
        bad = [row for rows in blocks for row in rows[is_bad(vectors[rows])].tolist()]
        if bad:
            named, which = listed(repr(ids[row]) for row in bad), listed(bad)
            raise UserError(
                f"{len(bad):,} of {len(ids):,} vectors hold {what}: ids {named} (rows {which})", hint
            )


def _check_metadata(metadata: pa.Table, num_items: int) -> None:
    if metadata.num_columns and metadata.num_rows != num_items:
        raise UserError(
            f"metadata has {metadata.num_rows} rows for {num_items} vectors", "give one row a vector"
        )
    repeated = [name for name, count in Counter(metadata.column_names).items() if count > 1]
    reserved = [name for name in metadata.column_names if name in RESERVED_COLUMNS]
    if repeated:
        raise UserError(
            f"metadata has several columns named {listed(map(repr, repeated))}", "rename all but one of them"
        )
    if reserved:
        raise UserError(f"metadata may not have columns named {listed(map(repr, reserved))}", "rename them")


def digest_of(*, name: str, ids: Names, labels: Names, metadata: pa.Table, vectors: np.ndarray) -> str:
    """The digest of a space of this content, in blocks."""

    def parts() -> Iterator[str]:
        yield json.dumps(name) + "\n"
        yield from _listed(ids.array, "id")
        yield from _listed(labels.array, "label")
        yield json.dumps(list(vectors.shape)) + "\n"
        for column in sorted(metadata.column_names):
            yield json.dumps(column) + "\n"
            yield from _listed(metadata.column(column), column)

    return digest(parts(), np.ascontiguousarray(vectors, dtype="<f4"))


def _listed(values: pa.Array | pa.ChunkedArray, name: str) -> Iterator[str]:
    """The JSON of a column, piece by piece: that of a whole one takes more memory than the column."""
    yield "["
    for start in range(0, len(values), _JSON_ROWS):
        found = to_python(values.slice(start, _JSON_ROWS), name, first_row=start)
        part = json.dumps(found, default=_as_text)
        yield (", " if start else "") + part[1:-1]
    yield "]\n"


def _as_text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
