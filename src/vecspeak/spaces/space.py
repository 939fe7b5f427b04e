"""Space: a table of vectors with ids, labels and metadata, that has a name and a digest.

Knows what makes a space valid, what identifies its content and how long its vectors are. Knows nothing of files,
of distances, or of how the vectors came to be.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError, did_you_mean

RESERVED_COLUMNS = ("id", "label", "vector")
"""Columns of a saved space that metadata may not be named after."""
_PLAIN, _BLOCK = (1e-30, 1e30), 4096
"""Squared lengths between which float32 neither overflows nor loses digits, and rows looked at closely at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Space:
    """A named table of N vectors of width D, checked when it is made and never changed afterwards.

    Raises UserError for an empty table, wrong widths or lengths, NaN, infinities, zero vectors and duplicate
    ids. The vectors are copied unless they come read-only.
    """

    name: str
    """What the space is called, such as "movies"."""
    ids: tuple[str, ...]
    """N unique identifiers."""
    labels: tuple[str, ...]
    """N names for people; not necessarily unique."""
    vectors: np.ndarray
    """[N, D] float32, C-contiguous, read-only."""
    metadata: pa.Table = field(default_factory=lambda: pa.table({}))
    """N rows of other columns, such as texts or genres; may have no columns."""
    encoder: str | None = None
    """Name of the text encoder that made the vectors; None when unknown."""
    _digest: str | None = field(default=None, init=False, repr=False)
    """The digest once it has been asked for."""
    _rows: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    """Row of every id."""
    _lengths: np.ndarray = field(default_factory=lambda: np.empty(0), init=False, repr=False)
    """[N] float32, which the check of the values gives for nothing."""

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "ids", tuple(self.ids))
        set_field(self, "labels", tuple(self.labels))
        if not self.name:
            raise UserError(
                "a space needs a name, and an empty one was given", "give it a name such as 'movies'"
            )
        set_field(self, "vectors", _readonly_float32(self.vectors))
        _check_texts("ids", self.ids, self.num_items)
        _check_texts("labels", self.labels, self.num_items)
        self._rows.update(zip(self.ids, range(self.num_items), strict=True))
        if len(self._rows) < self.num_items:
            raise _repeated(self.ids)
        set_field(self, "_lengths", _checked_lengths(self.vectors, self.ids))
        _check_metadata(self.metadata, self.num_items)

    def __len__(self) -> int:
        return self.num_items

    @property
    def num_items(self) -> int:
        """Number of items (N)."""
        return int(self.vectors.shape[0])

    @property
    def dim(self) -> int:
        """Width of a vector (D)."""
        return int(self.vectors.shape[1])

    @property
    def lengths(self) -> np.ndarray:
        """[N] float32 lengths of the vectors, read-only; infinite where float32 cannot hold one."""
        return self._lengths

    @property
    def digest(self) -> str:
        """SHA-256 in hex over name, ids, labels, vectors and metadata; computed once, when first asked for.

        Metadata counts by column names and values, not by Arrow's types, chunks or buffers, so that a file
        format that stores the same values differently does not change the digest.
        """
        if self._digest is None:
            object.__setattr__(self, "_digest", _digest_of(self))
        assert self._digest is not None
        return self._digest

    def has(self, item_id: str) -> bool:
        """Whether an item has this id, without looking through all."""
        return item_id in self._rows

    def index_of(self, item_id: str) -> int:
        """Row of the item with this id; raises UserError with the nearest spellings when there is none."""
        row = self._rows.get(item_id)
        if row is None:
            hint = did_you_mean(item_id, self.ids, f"ids look like {self.ids[0]!r}")
            raise UserError(f"no item of the space {self.name!r} has the id {item_id!r}", hint)
        return row

    def take(self, indices: Sequence[int] | np.ndarray) -> "Space":
        """A space of the same name with only these rows, in this order; a mask of N booleans works too.

        Raises UserError when no row, or the same row twice, is asked for.
        """
        rows = np.arange(self.num_items)[np.asarray(indices)] if len(indices) else np.empty(0, dtype=np.int64)
        vectors = self.vectors[rows]
        vectors.flags.writeable = False
        return Space(
            name=self.name,
            ids=tuple(self.ids[row] for row in rows),
            labels=tuple(self.labels[row] for row in rows),
            vectors=vectors,
            metadata=self.metadata.take(pa.array(rows)) if self.metadata.num_columns else self.metadata,
            encoder=self.encoder,
        )


def _readonly_float32(given: np.ndarray) -> np.ndarray:
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise UserError(
            "the vectors have different widths", "give every item a vector of one width"
        ) from error
    if array.dtype.kind not in "fiu":
        raise UserError(f"vectors must be numbers, but they are {array.dtype}", "give a float32 array [N, D]")
    if array.ndim != 2:
        raise UserError(
            f"vectors must be a table [N, D], but their shape is {list(array.shape)}", "give 2 dimensions"
        )
    if 0 in array.shape:
        raise UserError(
            f"the space is empty: its vectors have the shape {list(array.shape)}", "give one item or more"
        )
    if array.flags.writeable or array.dtype != np.float32 or not array.flags.c_contiguous:
        with np.errstate(over="ignore"):  # what overflows becomes infinite, which is refused by row later
            array = np.array(array, dtype=np.float32, order="C")
        array.flags.writeable = False
    return array


def _check_texts(what: str, texts: tuple[str, ...], num_items: int) -> None:
    if len(texts) != num_items:
        raise UserError(f"there are {len(texts)} {what} for {num_items} vectors", "give one for each vector")
    if set(map(type, texts)) <= {str}:  # a million are checked in the time of a loop over 50,000
        return
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(
                f"{what} must be text, but row {row} is {text!r}", f"turn the {what} into strings"
            )


def _repeated(ids: tuple[str, ...]) -> UserError:
    twice = [item_id for item_id, count in Counter(ids).items() if count > 1]
    return UserError(
        f"ids must be unique, but {len(twice)} occur more than once: {_some(twice)}",
        "choose another id column or drop the repeated rows",
    )


def _checked_lengths(vectors: np.ndarray, ids: tuple[str, ...]) -> np.ndarray:
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


def _check_values(vectors: np.ndarray, odd: np.ndarray, ids: tuple[str, ...]) -> None:
    """Look at the odd rows, a block at a time."""
    blocks = [odd[start : start + _BLOCK] for start in range(0, len(odd), _BLOCK)]
    for what, is_bad in (
        ("NaN or infinite numbers", lambda part: ~np.isfinite(part).all(axis=1)),
        ("only zeros", lambda part: ~part.any(axis=1)),
    ):
        bad = [ids[row] for rows in blocks for row in rows[is_bad(vectors[rows])]]
        if bad:
            raise UserError(
                f"{len(bad)} of {len(ids)} vectors hold {what}: ids {_some(bad)}",
                "drop these items or make their vectors again",
            )


def _check_metadata(metadata: pa.Table, num_items: int) -> None:
    if metadata.num_columns and metadata.num_rows != num_items:
        raise UserError(
            f"metadata has {metadata.num_rows} rows for {num_items} vectors", "give one row a vector"
        )
    repeated = [name for name, count in Counter(metadata.column_names).items() if count > 1]
    reserved = [name for name in metadata.column_names if name in RESERVED_COLUMNS]
    if repeated:
        raise UserError(f"metadata has several columns named {_some(repeated)}", "rename all but one of them")
    if reserved:
        raise UserError(f"metadata may not have columns named {_some(reserved)}", "rename them")


def _some(names: list[str]) -> str:
    """The first three names, and a sign when there are more."""
    return ", ".join(repr(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")


def _digest_of(space: Space) -> str:
    digest = hashlib.sha256()
    parts: list[object] = [space.name, space.ids, space.labels, [space.num_items, space.dim]]
    for name in sorted(space.metadata.column_names):
        parts += [name, space.metadata.column(name).to_pylist()]
    for part in parts:
        digest.update(json.dumps(part, default=_as_text).encode("utf-8", "surrogatepass") + b"\n")
    digest.update(np.ascontiguousarray(space.vectors, dtype="<f4").data)
    return digest.hexdigest()


def _as_text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
