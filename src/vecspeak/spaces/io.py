"""A space to and from one Parquet file of ours, with its users in a second file beside it.

A saved space is one Parquet table: `id`, `label`, `vector` (a fixed-size list), then the metadata columns.
The schema's metadata holds, under the key `vecspeak`, JSON with the format's version, the space's name,
encoder and digest. The users of a behavioral space lie beside it (`movies.parquet`, `movies.users.parquet`), and
their header holds the digest of the items, and the settings of the factorization that made them, under `factors`.

`save_pair` swaps both as one; the users wait under the digest of the items that they belong to
(`vecspeak.storage.replace_pair`).
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.errors import UserError, check_path
from vecspeak.spaces.header import FORMAT_VERSION, HEADER_KEY
from vecspeak.spaces.space import Space
from vecspeak.storage import finish_pair, lock, replace_file, replace_pair, second_of_pair
from vecspeak.tables.columns import is_list
from vecspeak.tables.files import read_table


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorSettings:
    """What the equations of one more person need beside the items' vectors; checked when it is made."""

    alpha: float
    """Confidence that each step of rating above a person's own mean adds."""
    regularization: float
    """Added to the diagonal of the equations as it is, however many ratings there are."""
    lowest: float
    """Smallest rating that was given: alpha means something on this scale alone."""
    highest: float
    """Largest rating that was given."""

    def __post_init__(self) -> None:
        for what, number in (("alpha", self.alpha), ("regularization", self.regularization)):
            if not (math.isfinite(number) and number >= 0):
                raise UserError(
                    f"{what} must be 0 or more, and {number} was given", "give a finite number from 0"
                )
        if not (math.isfinite(self.lowest) and math.isfinite(self.highest) and self.lowest <= self.highest):
            raise UserError(
                f"ratings cannot go from {self.lowest:g} to {self.highest:g}", "give the smaller number first"
            )

    def confidences(self, ratings: np.ndarray, means: np.ndarray | float) -> np.ndarray:
        """[R] float64 from ratings [R] and the means [R] of those who gave them: 1 + alpha * max(rating - mean, 0)."""
        above: np.ndarray = np.maximum(np.asarray(ratings, dtype=np.float64) - means, 0)
        return 1.0 + self.alpha * above

    def to_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "FactorSettings":
        """What `to_dict` gave. Raises ValueError for anything else."""
        names = tuple(cls.__dataclass_fields__)
        if not isinstance(values, Mapping) or any(
            type(values.get(name)) not in (int, float) for name in names
        ):
            raise ValueError(f"settings of factors are four numbers ({', '.join(names)})")
        try:
            return cls(**{name: float(values[name]) for name in names})
        except UserError as error:
            raise ValueError(error.message) from error


_GROUP_BYTES = 32 << 20
"""Bytes of vectors in a group of rows: what a reader's thread holds at a time."""


def save_space(space: Space, path: str | Path, dtype: Literal["float32", "float16"] = "float32") -> None:
    """Write a space to one Parquet file, whole or not at all.

    float16 halves the file and rounds the vectors; the digest in the file is that of the rounded ones, which
    is what loading gives back. Raises UserError when vectors do not fit float16 or the file cannot be
    written.
    """
    with replace_file(check_path("path", path)) as temporary:
        _write_table(_rounded(space) if dtype == "float16" else space, temporary, dtype, extra={})


def users_path(path: str | Path) -> Path:
    """Where the users of the space saved at this path lie: `movies.parquet` -> `movies.users.parquet`.

    They lie beside the file itself: a symbolic link is followed, but for users of an older vecspeak beside the link.
    """
    beside = Path(os.path.realpath(path)).with_suffix(".users.parquet")
    beside_link = Path(path).with_suffix(".users.parquet")
    return beside_link if not beside.exists() and beside_link.is_file() else beside


def save_pair(items: Space, users: Space, path: str | Path, settings: FactorSettings | None = None) -> None:
    """Write a behavioral space and its users beside it, both or neither, over what is there.

    Raises UserError as `save_space` and `save_users` do.
    """
    _check_users(items, users)
    path = Path(os.path.realpath(check_path("path", path)))  # both stand where a symbolic link leads
    beside = path.with_suffix(".users.parquet")
    with lock(path):
        finish_pair(beside, _saved_digest(path))
        with replace_pair(path, beside, key=items.digest) as (new_items, new_users):
            _write_table(items, new_items, extra={})
            _write_table(users, new_users, extra=_users_header(items.digest, settings))


def _users_of(path: str | Path) -> Path:
    """The file of users that belongs to the items at a path; it may not exist."""
    return second_of_pair(users_path(path), _saved_digest(path))


def _check_users(items: Space, users: Space) -> None:
    if users.dim != items.dim:
        raise UserError(
            f"users have width {users.dim} and items {items.dim}", "take both from the same factorization"
        )


def _users_header(items_digest: str, settings: FactorSettings | None) -> dict[str, Any]:
    factors = {} if settings is None else {"factors": settings.to_dict()}
    return {"items_digest": items_digest, **factors}


def save_users(space: Space, users: Space, path: str | Path, settings: FactorSettings | None = None) -> None:
    """Write the users of a behavioral space beside its file at `path`, which is saved first.

    `settings` are those of the factorization, where they are known. Raises UserError when users and items have
    different widths.
    """
    _check_users(space, users)
    extra = _users_header(_saved_digest(path) or space.digest, settings)
    with replace_file(users_path(path)) as temporary:
        _write_table(users, temporary, extra=extra)


def load_users(path: str | Path) -> Space | None:
    """The users beside the space saved at `path`, or None when there are none.

    Raises UserError when the users belong to another version of the space.
    """
    beside = _users_of(path)
    if not beside.is_file():
        return None
    users = Space.load(beside)
    if _saved_header(beside).get("items_digest") != _saved_header(path).get("digest"):
        raise UserError(
            f"the users in {beside} belong to another version of {path}",
            "run `vecspeak.encoders.factorization.factorize(...)` again, or remove the file of users",
        )
    return users


def read_users(path: str | Path, space: Space) -> Space:
    """Users of one's own for a space: a saved space, or a Parquet or JSONL table of ids and vectors.

    Ids stand in the column "user_id", "user" or "id", vectors in the only column of lists. Raises UserError for
    another width than the items', and where the columns are not clear.
    """
    path = Path(path)
    rows = read_table(path)
    if _saved_header(path):
        users = Space.load(path)
    else:
        lists = [field.name for field in rows.schema if is_list(field.type)]
        ids = [name for name in ("user_id", "user", "id") if name in rows.column_names]
        if len(lists) != 1 or not ids:
            raise UserError(
                f"{path} has no column of ids and one of vectors of users; it has {', '.join(rows.column_names)}",
                "name them user_id and vector",
            )
        columns = rows.select([ids[0], lists[0]])
        users = Space.from_arrow(columns, id=ids[0], vector=lists[0], name=f"{space.name}.users")
    if users.dim != space.dim:
        raise UserError(
            f"users have width {users.dim} and items {space.dim}", "give users made together with the items"
        )
    return users


def load_factor_settings(path: str | Path) -> FactorSettings | None:
    """The settings that the users beside the space at `path` were made with; None where nobody wrote them down.

    Raises UserError where what is written there is no such thing.
    """
    beside = _users_of(path)
    values = _saved_header(beside).get("factors")
    if values is None:
        return None
    try:
        return FactorSettings.from_dict(values)
    except ValueError as error:
        raise UserError(
            f"{beside} is damaged: {error}",
            "run `vecspeak.encoders.factorization.factorize(...)` again, then `VecSpeak.fit(...)`",
        ) from error


def _write_table(saved: Space, path: Path, dtype: str = "float32", *, extra: dict[str, Any]) -> None:
    header = {
        "format_version": FORMAT_VERSION,
        "name": saved.name,
        "encoder": saved.encoder,
        "digest": saved.digest,
        **({} if saved.id_column == "id" else {"id_column": saved.id_column}),
        **extra,
    }
    numbers = pa.array(saved.vectors.astype(dtype, copy=False).ravel())
    columns = {
        "id": saved.ids.array,
        "label": saved.labels.array,
        "vector": pa.FixedSizeListArray.from_arrays(numbers, saved.dim),
    }
    columns.update({name: saved.metadata.column(name) for name in saved.metadata.column_names})
    table = pa.table(columns).replace_schema_metadata({HEADER_KEY: json.dumps(header).encode()})
    try:
        _write_parquet(table, path, rows_a_group=max(1, _GROUP_BYTES // (4 * saved.dim)))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise UserError(f"Parquet cannot hold this metadata: {error}", "drop that column") from error


def _write_parquet(table: pa.Table, path: Path, *, rows_a_group: int) -> None:
    """Vectors as they are, for numbers like these hardly get smaller and take long; the rest compressed."""
    leaves = _leaves(table.schema)
    others = [name for name in leaves if not name.startswith("vector.")]
    pq.write_table(
        table,
        path,
        compression={name: "zstd" if name in others else "none" for name in leaves},
        use_dictionary=others,
        row_group_size=rows_a_group,
        write_page_checksum=True,
    )


def _leaves(schema: pa.Schema) -> list[str]:
    """The columns as Parquet names them: `vector.list.element` for the numbers of `vector`."""
    written = pa.BufferOutputStream()
    with pq.ParquetWriter(written, schema) as writer:
        writer.write_table(schema.empty_table())
    columns = pq.ParquetFile(pa.BufferReader(written.getvalue())).schema
    return [columns.column(index).path for index in range(len(columns))]


def _rounded(space: Space) -> Space:
    with np.errstate(over="ignore"):
        vectors = space.vectors.astype(np.float16).astype(np.float32)
    if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
        raise UserError("some vectors are too large or too small for float16", "save them as float32")
    return replace(space, vectors=vectors)


def _saved_header(path: str | Path) -> dict[str, Any]:
    """What a saved space says of itself, unchecked, without reading its vectors; empty when it is not one."""
    try:
        header = json.loads(pq.read_schema(path).metadata[HEADER_KEY])
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        return {}
    return header if isinstance(header, dict) else {}


def _saved_digest(path: str | Path) -> str:
    """The digest that a saved space gives of itself; empty where there is none."""
    return str(_saved_header(path).get("digest", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceSummary:
    """A space in a few facts; every field can be written as JSON."""

    name: str
    """What the space is called."""
    num_items: int
    """Number of items."""
    dim: int
    """Width of a vector."""
    encoder: str | None
    """Name of the text encoder that made the vectors; None when unknown."""
    digest: str
    """SHA-256 of the content."""
    norms: tuple[float, float, float]
    """Smallest, middle and largest length of a vector."""
    columns: tuple[str, ...]
    """Metadata columns."""
    num_users: int | None
    """Number of users beside a behavioral space; None where there are none."""


def summarize(space: Space, users: Space | None = None) -> SpaceSummary:
    """The facts of a space, and how many users lie beside it."""
    norms = space.lengths
    return SpaceSummary(
        name=space.name,
        num_items=space.num_items,
        dim=space.dim,
        encoder=space.encoder,
        digest=space.digest,
        norms=(float(norms.min()), float(np.median(norms)), float(norms.max())),
        columns=tuple(space.metadata.column_names),
        num_users=None if users is None else users.num_items,
    )


def summarize_file(path: str | Path) -> SpaceSummary:
    """The facts of the space saved at this path; raises UserError as `Space.load` does."""
    return summarize(Space.load(path), load_users(path))
