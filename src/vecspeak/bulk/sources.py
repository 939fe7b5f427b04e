"""Sources: rows of vectors with ids, a block at a time and never all in memory; each says which rows it leaves out."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.bulk.filesystems import StoredPath, explained, is_url
from vecspeak.errors import UserError, first_line, listed
from vecspeak.spaces import Space
from vecspeak.spaces.header import HEADER_KEY, saved_header
from vecspeak.storage import digest
from vecspeak.stores.address import is_address
from vecspeak.tables.columns import (
    is_list,
    require_column,
    select_vectors,
    text_column,
    vector_columns,
    vectors_there,
)
from vecspeak.tables.convert import own_vectors, unusable

_BLOCK_BYTES = 8 << 20
_BUFFER = 1 << 20
_PARQUET = (".parquet", ".pq")
_HEADER = 1 << 16
"""Bytes in which the header of a `.npy` file stands."""
_FIRST = 64
"""Rows that are read to see how wide vectors are."""
_SAMPLE = 1 << 20
"""Bytes at a file's beginning, middle and end that tell it from others; fewer of each where there are many files."""
_SAMPLED = 64 * _SAMPLE
"""Bytes of all files at one of these places."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """A file of rows, and what tells it from others without reading it all."""

    place: StoredPath
    size: int
    mtime_ns: int
    sample: str
    """Digest of bytes at its beginning, middle and end."""

    @classmethod
    def of(cls, place: StoredPath, files: int = 1) -> "InputFile":
        """As it is now, as one of so many. Raises UserError where there is none."""
        from pyarrow.fs import FileType

        info = place.info()
        if info.type != FileType.File:
            raise UserError(f"there is no file {place}", "check the path")
        count = min(_SAMPLE, _SAMPLED // files + 1)
        last = max(0, info.size - count)
        with explained(place, "read"), place.files.open_input_file(place.path) as file:
            sample = digest(*(file.read_at(count, start) for start in (0, last // 2, last)))
        return cls(place=place, size=info.size, mtime_ns=info.mtime_ns or 0, sample=sample)

    @property
    def state(self) -> list[Any]:
        """As a manifest has it."""
        return [self.place.address, self.size, self.mtime_ns, self.sample]

    def check(self) -> None:
        """Raise UserError where it is gone, or was written to since."""
        info = self.place.info()
        if (info.size, info.mtime_ns or 0) != (self.size, self.mtime_ns):
            raise UserError(
                f"{self.place} changed while it was read", "leave the rows as they are during a run"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowBlock:
    """Some rows of a source that follow each other, without those that have no usable vector."""

    first: int
    """Number of the first row, left out or not."""
    rows: np.ndarray
    """[M] int64 numbers of the rows, from 0, as the source has them."""
    ids: pa.Array
    """M strings; missing where the source has none."""
    vectors: np.ndarray
    """[M, D] float32."""
    left_out: dict[str, list[int]]
    """Numbers of the rows that are left out, by what is wrong with them."""

    @classmethod
    def usable(
        cls, first: int, ids: pa.Array, vectors: np.ndarray, there: np.ndarray | None = None,
        left_out: dict[str, list[int]] | None = None,
    ) -> "RowBlock":  # fmt: skip
        """All rows from the number `first` on but those with NaN, infinities or zeros alone.

        Where only some rows have a vector at all, `there` [M] are these, and `left_out` the others by their reason.
        """
        places = np.arange(len(vectors)) if there is None else there
        bad = unusable(vectors)
        found = {why: [first + row for row in rows] for why, rows in (left_out or {}).items()}
        for why, rows in bad.items():
            found.setdefault(why, []).extend((first + places[rows]).tolist())
        retained = np.delete(np.arange(len(vectors)), sum(bad.values(), list[int]()))
        places = places[retained]
        ids = ids.take(pa.array(places))
        return cls(first=first, rows=first + places, ids=ids, vectors=vectors[retained], left_out=found)

    @classmethod
    def joined(cls, parts: Sequence["RowBlock"]) -> "RowBlock":
        """Several, one after the other."""
        left_out: dict[str, list[int]] = {}
        for part in parts:
            for why, rows in part.left_out.items():
                left_out.setdefault(why, []).extend(rows)
        return cls(
            first=parts[0].first,
            rows=np.concatenate([part.rows for part in parts]),
            ids=pa.concat_arrays([part.ids for part in parts]),
            vectors=np.concatenate([part.vectors for part in parts]),
            left_out=left_out,
        )

    def take(self, places: np.ndarray) -> "RowBlock":
        """Some of them, by their places here; what is left out is forgotten."""
        return RowBlock(
            first=self.first, rows=self.rows[places], ids=self.ids.take(pa.array(places)),
            vectors=self.vectors[places], left_out={},
        )  # fmt: skip


class Source(Protocol):
    """Where rows come from."""

    @property
    def num_rows(self) -> int:
        """Rows in all, those that are left out too."""
        ...

    @property
    def width(self) -> int:
        """Numbers of a vector (D)."""
        ...

    @property
    def state(self) -> dict[str, Any]:
        """What tells these rows from others without reading them all, as JSON holds it."""
        ...

    def files_of(self, start: int, stop: int) -> Sequence[InputFile]:
        """The files that hold the rows from `start` to before `stop`; none where all rows are in memory."""
        ...

    def blocks(self, start: int, stop: int, size: int) -> Iterator[RowBlock]:
        """The rows from `start` to before `stop` in blocks, none of which goes over a multiple of `size`."""
        ...


def shards_of(source: Source, size: int, numbers: Sequence[int]) -> Iterator[tuple[int, RowBlock]]:
    """The shards of `size` rows with these numbers, ascending; those that follow each other are read in one go."""
    for run in _runs(numbers):
        parts: list[RowBlock] = []
        for block in source.blocks(run[0] * size, min((run[-1] + 1) * size, source.num_rows), size):
            if parts and block.first // size != parts[0].first // size:
                yield parts[0].first // size, RowBlock.joined(parts)
                parts = []
            parts.append(block)
        yield run[-1], RowBlock.joined(parts)


def _runs(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Numbers that follow each other."""
    run: list[int] = []
    for number in numbers:
        if run and number != run[-1] + 1:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _steps(start: int, stop: int, size: int, step: int) -> Iterator[tuple[int, int]]:
    """Parts of a range of at most `step`, none of which goes over a multiple of `size`."""
    while start < stop:
        end = min(stop, start + step, (start // size + 1) * size)
        yield start, end
        start = end


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpaceSource:
    """The items of a space, of a bundle or of any file and store that a space is read from; or the rows of an array."""

    name: str
    digest: str
    ids: pa.Array
    vectors: np.ndarray

    @classmethod
    def of(cls, space: Space) -> "SpaceSource":
        """All items of a space."""
        return cls(name=space.name, digest=space.digest, ids=space.ids.array, vectors=space.vectors)

    @classmethod
    def of_array(cls, vectors: np.ndarray) -> "SpaceSource":
        """The rows of an array [N, D], which have no ids."""
        ids = pa.nulls(len(vectors), pa.string())
        return cls(name="array", digest=digest(vectors, list(vectors.shape)), ids=ids, vectors=vectors)

    @property
    def num_rows(self) -> int:
        """Items of the space."""
        return len(self.vectors)

    @property
    def width(self) -> int:
        """Width of the space."""
        return int(self.vectors.shape[1])

    @property
    def state(self) -> dict[str, Any]:
        """The space's digest."""
        return {"space": self.name, "digest": self.digest, "rows": self.num_rows}

    def files_of(self, start: int, stop: int) -> Sequence[InputFile]:
        """None: they were read."""
        return ()

    def blocks(self, start: int, stop: int, size: int) -> Iterator[RowBlock]:
        """A shard is a block."""
        for first, end in _steps(start, stop, size, size):
            yield RowBlock.usable(first, self.ids[first:end], np.array(self.vectors[first:end]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArrayFile:
    """A `.npy` file of vectors [N, D], read by blocks; its rows have no ids."""

    file: InputFile
    shape: tuple[int, int]
    dtype: str
    offset: int

    @classmethod
    def of(cls, place: StoredPath) -> "ArrayFile":
        """Read the header. Raises UserError for what is no array [N, D] of numbers, one row after the other."""
        found = InputFile.of(place)
        with explained(place, "read"), place.files.open_input_file(place.path) as file:
            head = io.BytesIO(file.read(min(found.size, _HEADER)))
        try:
            version = np.lib.format.read_magic(head)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, is_by_columns, dtype = read(head)
        except (ValueError, EOFError, SyntaxError) as error:
            raise UserError(
                f"{place} is no plain .npy array: {first_line(error)}", "np.save it again"
            ) from error
        if len(shape) != 2 or 0 in shape or is_by_columns or dtype.kind != "f":
            order = ", by columns" if is_by_columns else ""
            raise UserError(
                f"{place} holds {dtype} of shape {list(shape)}{order}",
                "np.save(PATH, np.ascontiguousarray(vectors, np.float32)) of an array [N, D]",
            )
        if found.size < head.tell() + dtype.itemsize * shape[0] * shape[1]:
            raise UserError(f"{place} is shorter than its header says", "copy it again")
        return cls(file=found, shape=shape, dtype=dtype.str, offset=head.tell())

    @property
    def num_rows(self) -> int:
        """Rows of the array."""
        return self.shape[0]

    @property
    def width(self) -> int:
        """Columns of the array."""
        return self.shape[1]

    @property
    def state(self) -> dict[str, Any]:
        """What tells the file from others."""
        return {"files": [self.file.state], "rows": self.num_rows}

    def files_of(self, start: int, stop: int) -> Sequence[InputFile]:
        """The file."""
        return (self.file,)

    def blocks(self, start: int, stop: int, size: int) -> Iterator[RowBlock]:
        """Blocks of 8 MB."""
        row, place = np.dtype(self.dtype).itemsize * self.width, self.file.place
        with explained(place, "read"), place.files.open_input_file(place.path) as file:
            self.file.check()
            for first, end in _steps(start, stop, size, max(1, _BLOCK_BYTES // row)):
                data = file.read_at((end - first) * row, self.offset + first * row)
                if len(data) != (end - first) * row:
                    raise UserError(f"{place} was cut while it was read", "copy it again, and run this again")
                with np.errstate(over="ignore"):  # what overflows becomes infinite, and is left out
                    vectors = np.frombuffer(data, self.dtype).reshape(-1, self.width).astype(np.float32)
                yield RowBlock.usable(first, pa.nulls(end - first, pa.string()), vectors)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParquetFiles:
    """A Parquet file, or all of a folder in the order of their names, read by blocks."""

    files: tuple[InputFile, ...]
    counts: tuple[int, ...]
    """Rows of each file."""
    id: str
    """Column of ids; empty for none."""
    vector: str
    """Column of vectors, or a pattern of columns that are a dimension each."""
    width: int
    encoder: str = ""
    """What the file says made the vectors, where it is a saved space."""

    @classmethod
    def of(cls, places: Sequence[StoredPath], ids: str, vector: str) -> "ParquetFiles":
        """Read the footers. Raises UserError for columns that are not there or not clear, and for another format."""
        files = tuple(InputFile.of(place, len(places)) for place in places)
        counts, schema, encoder = [], None, ""
        for place in places:
            with explained(place, "read"), _opened(place) as file:
                counts.append(file.metadata.num_rows)
                schema = schema or file.schema_arrow
        assert schema is not None
        if HEADER_KEY in (schema.metadata or {}):
            encoder = str(saved_header(schema, Path(places[0].path)).get("encoder") or "")
        lists = [field.name for field in schema if is_list(field.type)]
        found = vector or ("vector" if "vector" in schema.names else lists[0] if len(lists) == 1 else "")
        if not found:
            hint = vectors_there(schema) or "COLUMN"
            raise UserError(
                f"{places[0]} has no column that is clearly one of vectors; its columns are {listed(schema.names, 20)}",
                f"name it: vector={hint}",
            )
        found_id = ids or ("id" if "id" in schema.names else "")
        if found_id:
            require_column(schema.empty_table(), found_id, str(places[0]))
        made = cls(files=files, counts=tuple(counts), id=found_id, vector=found, width=0, encoder=encoder)
        return replace(made, width=made._first_width())

    @property
    def num_rows(self) -> int:
        """Rows of all files."""
        return sum(self.counts)

    @property
    def state(self) -> dict[str, Any]:
        """What tells the files from others, and the columns."""
        columns = {"id": self.id, "vector": self.vector}
        return {"files": [one.state for one in self.files], "rows": self.num_rows, **columns}

    def files_of(self, start: int, stop: int) -> Sequence[InputFile]:
        """Those that have rows of the range, and any without rows beside them."""
        ends = np.cumsum(self.counts)
        return [
            one
            for one, end, count in zip(self.files, ends, self.counts, strict=True)
            if end - count <= stop and end >= start
        ]

    def blocks(self, start: int, stop: int, size: int) -> Iterator[RowBlock]:
        """Blocks of 8 MB of vectors; groups of rows outside the range are not read."""
        first = 0
        for one, count in zip(self.files, self.counts, strict=True):
            if first < stop and first + count > start:
                yield from self._of_file(one, first, start, stop, size)
            first += count

    def _of_file(self, one: InputFile, first: int, start: int, stop: int, size: int) -> Iterator[RowBlock]:
        place = one.place
        with explained(place, "read"), _opened(place) as file:
            one.check()
            names = self._names(file.schema_arrow)
            step = max(1, min(size, _BLOCK_BYTES // (4 * self.width)))
            for group in range(file.num_row_groups):
                end = first + file.metadata.row_group(group).num_rows
                if first < stop and end > start:
                    for batch in file.iter_batches(step, [group], names, use_threads=False):
                        for low, high in _steps(max(first, start), min(first + len(batch), stop), size, step):
                            yield self._rows(place, batch.slice(low - first, high - low), low)
                        first += len(batch)
                        if first >= stop:
                            return
                first = end

    def _names(self, schema: pa.Schema) -> list[str]:
        vectors = [self.vector] if self.vector in schema.names else vector_columns(schema.names, self.vector)
        return [*filter(None, [self.id]), *vectors]

    def _rows(self, place: StoredPath, batch: pa.RecordBatch, first: int) -> RowBlock:
        table = pa.Table.from_batches([batch])
        found, _ = select_vectors(table, self.vector, str(place), width=self.width)
        ids = pa.nulls(len(batch), pa.string())
        if self.id:
            ids = text_column(table.column(self.id), self.id).cast(pa.string()).combine_chunks()
        left_out = {why: list(rows) for why, rows in found.left_out.items()}
        return RowBlock.usable(first, ids, found.vectors, found.rows, left_out)

    def _first_width(self) -> int:
        """The width of the first vectors, which is that of all, or they are left out. Raises UserError for none."""
        for place in (one.place for one in self.files):
            with explained(place, "read"), _opened(place) as file:
                for batch in file.iter_batches(
                    _FIRST, columns=self._names(file.schema_arrow), use_threads=False
                ):
                    found, _ = select_vectors(pa.Table.from_batches([batch]), self.vector, str(place))
                    if len(found.vectors):
                        return int(found.vectors.shape[1])
        raise UserError(f"{self.files[0].place} holds no vectors in {self.vector!r}", "name another column")


@contextlib.contextmanager
def _opened(place: StoredPath) -> Iterator[pq.ParquetFile]:
    """A Parquet file of which only what is asked for is in memory."""
    with place.files.open_input_file(place.path) as file:
        yield pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False, buffer_size=_BUFFER)


def check_no_columns(what: str, ids: str, vector: str) -> None:
    """Raise UserError where a column is named of what has none."""
    for name, column in (("id", ids), ("vector", vector)):
        if column:
            raise UserError(
                f"`{name}` is {column!r}, and {what} has no columns", f"leave `{name}` out, or give a table"
            )


def open_source(given: Any, *, ids: str = "", vector: str = "", filesystem: Any = None) -> Source:
    """The rows of an array, a space or a file: Parquet (or a folder of it) and `.npy` by blocks, others as a space.

    Raises UserError for what cannot be read, and columns that are not there.
    """
    from pyarrow.fs import FileType

    if isinstance(given, Space):
        check_no_columns("a space", ids, vector)
        return SpaceSource.of(given)
    if not isinstance(given, str | PathLike):
        check_no_columns("an array", ids, vector)
        return SpaceSource.of_array(own_vectors(given))
    if is_address(given) and not is_url(given):
        return SpaceSource.of(Space.read(str(given), id=ids or None, vector=vector or None))
    place = StoredPath.of(given, "vectors", filesystem)
    if place.path.lower().endswith(".npy"):
        check_no_columns("a .npy file", ids, vector)
        return ArrayFile.of(place)
    if place.info().type == FileType.Directory:
        inside = [place / one.base_name for one in place.inside() if one.base_name.lower().endswith(_PARQUET)]
        if not inside:
            raise UserError(f"the folder {place} holds no Parquet files", "give a file, or another folder")
        return ParquetFiles.of(inside, ids, vector)
    if place.path.lower().endswith(_PARQUET):
        return ParquetFiles.of([place], ids, vector)
    if not place.is_local:
        raise UserError(f"{place} is neither Parquet nor .npy", "write it as one of these, or copy it here")
    return SpaceSource.of(Space.read(place.path, id=ids or None, vector=vector or None))
