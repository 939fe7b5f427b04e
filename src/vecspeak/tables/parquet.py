"""Parquet: whole tables, and columns of vectors group by group, which may be larger than memory."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.console import progress_bar
from vecspeak.errors import UserError
from vecspeak.storage import digest
from vecspeak.tables.cells import check_utf8
from vecspeak.tables.columns import as_vectors, is_list, is_text, select_vectors, vector_columns, widths_of
from vecspeak.tables.convert import own, unusable
from vecspeak.tables.footers import check_parquet
from vecspeak.tables.mapped import Converted, Put, Rows, convert, find_converted, is_large

_READERS = 2
"""Threads that read groups of rows: more hold more groups in memory."""
_BLOCK_BYTES = 8 << 20
_REASONS = ("no vector", "a vector of another width", "a vector with NaN")
_FIRST = 64
"""Rows that are read to see how wide vectors are."""


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read exactly this Parquet file, or some columns, checking page checksums where it has them.

    Raises UserError where they take more memory than is allowed, and for text that is no UTF-8.
    """
    check_parquet(path, columns)
    table = pq.ParquetFile(path, page_checksum_verification=True).read(columns)
    check_utf8(table, path)  # Parquet's readers believe it
    return table


def read_vectors(path: Path, name: str, num_rows: int) -> np.ndarray:
    """[N, D] float32 of a column of a Parquet file, one group of rows after the other on two threads.

    Beside the result only two groups are in memory. Page checksums are checked where the file has them. Raises
    UserError as `as_vectors` does and where they take more memory than is allowed, and what Arrow raises for a broken
    file.
    """
    check_parquet(path, [name])
    with pq.ParquetFile(path) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    ends = np.cumsum(sizes).tolist()

    def read(group: int) -> np.ndarray:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return as_vectors(file.read_row_group(group, columns=[name], use_threads=False).column(0), name)

    first = read(0)
    if len(sizes) == 1:
        return own(first)
    vectors = np.empty((num_rows, first.shape[1]), dtype=np.float32)

    def put(group: int) -> None:
        part = read(group)
        if part.shape[1] != first.shape[1]:
            raise UserError(f"vectors in column {name!r} have different widths", "keep one width")
        vectors[ends[group] - len(part) : ends[group]] = part

    with ThreadPoolExecutor(_READERS) as pool:
        list(pool.map(put, range(len(sizes))))
    return own(vectors)


def _state(paths: Sequence[Path]) -> str:
    """Digest of where the files lie, and of their sizes and times; of nothing where one is gone."""
    try:
        return digest([[str(one.resolve()), one.stat().st_size, one.stat().st_mtime_ns] for one in paths])
    except FileNotFoundError:
        return ""


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """The vectors of one or several Parquet files, which are too large to be read into memory."""

    paths: tuple[Path, ...]
    vector: str | Sequence[str]
    """A column of vectors, or a column a dimension."""
    names: tuple[str, ...]
    """Columns that hold them."""
    shape: tuple[int, int]
    opened: str
    """Digest of the files' sizes and times when they were opened: ids and vectors are of one state of them."""

    @classmethod
    def of(cls, paths: Sequence[Path], vector: str | Sequence[str]) -> "StoredVectors | None":
        """Those of the named column, or of D columns that are named or like a pattern; None where they are small.

        None too for what is no column of vectors, which reading the table tells.
        """
        schema = pq.read_schema(paths[0])
        is_one = isinstance(vector, str) and vector in schema.names
        names = [str(vector)] if is_one else list(vector)
        if isinstance(vector, str) and not is_one:
            names = vector_columns(schema.names, vector)
        num_rows = sum(pq.read_metadata(path).num_rows for path in paths)
        if not names or not num_rows or not set(names) <= set(schema.names):
            return None
        width = _width(paths, names[0], schema) if is_one else len(names)
        if not is_large(num_rows, width):
            return None
        return cls(tuple(paths), vector, tuple(names), (num_rows, width), _state(paths))

    @property
    def key(self) -> str:
        """What the conversion is called: another where a file has another size or time."""
        return digest([self.opened], list(self.names), list(self.shape))[:40]

    def converted(self) -> Converted | None:
        """The vectors as they were converted before; None where they were not."""
        return find_converted(self.key, self.shape)

    def head(self) -> np.ndarray:
        """[B, D] the first vectors."""
        return next((block for path in self.paths for block, _ in self._blocks(path, 0)), np.empty((0, 1)))

    def convert(self) -> Converted:
        """Convert the vectors into the cache, with a bar in a terminal, on two threads and some blocks of memory.

        Raises UserError for columns that are none, and where the cache cannot be written.
        """
        if _state(self.paths) != self.opened:
            raise UserError(
                f"{self.paths[0]} changed after it was opened, so its vectors may be of other items",
                "open it again",
            )
        groups = [
            (path, group, pq.read_metadata(path).row_group(group).num_rows)
            for path in self.paths
            for group in range(pq.read_metadata(path).num_row_groups)
        ]
        starts = accumulate((count for *_, count in groups), initial=0)
        jobs = [(path, group, start) for (path, group, _), start in zip(groups, starts, strict=False)]
        left_out: dict[str, list[int]] = {}

        def write(put: Put) -> Rows:
            with progress_bar(total=self.shape[0], desc="reading vectors", unit="row", shown=None) as bar:

                def one(job: tuple[Path, int, int]) -> None:
                    path, group, row = job
                    for block, bad in self._blocks(path, group):
                        put(row, block)
                        for why, rows in bad.items():
                            left_out.setdefault(why, []).extend(row + place for place in rows)
                        row += len(block)
                        bar.update(len(block))

                with ThreadPoolExecutor(_READERS) as pool:
                    list(pool.map(one, jobs))
            # threads find them in any order; a small table tells them in this one
            return {why: sorted(left_out[why]) for why in sorted(left_out, key=_reason_order)}

        return convert(self.key, self.shape, write)

    def _blocks(self, path: Path, group: int) -> Iterator[tuple[np.ndarray, Rows]]:
        """Blocks [B, D] of a group of rows, and which of them are left out."""
        step = max(1, _BLOCK_BYTES // (4 * self.shape[1]))
        with pq.ParquetFile(path, page_checksum_verification=True, memory_map=True) as file:
            for batch in file.iter_batches(
                batch_size=step, row_groups=[group], columns=list(self.names), use_threads=False
            ):
                table = pa.Table.from_batches([batch])
                found, _ = select_vectors(table, self.vector, path, width=self.shape[1])
                block = found.vectors
                if found.rows is not None:
                    block = np.full((len(batch), self.shape[1]), np.nan, dtype=np.float32)
                    block[found.rows] = found.vectors
                there = np.arange(len(batch)) if found.rows is None else found.rows
                bad = {why: there[rows].tolist() for why, rows in unusable(found.vectors).items()}
                yield block, {**found.left_out, **bad}


def _reason_order(why: str) -> int:
    return next((place for place, begins in enumerate(_REASONS) if why.startswith(begins)), len(_REASONS))


def _width(paths: Sequence[Path], name: str, schema: pa.Schema) -> int:
    """How wide the vectors of a column are, by its type or most of its rows; 0 for what is no column of vectors.

    Of text only the first rows are looked at.
    """
    kind = schema.field(name).type
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size)
    if not is_list(kind) and not is_text(kind):
        return 0
    width = _first_width(paths, name)
    if is_list(kind) and not all(_has_one_width(path, name, width) for path in paths):
        counts = sum((_counted_widths(path, name) for path in paths), Counter[int]())
        width = max(counts, key=lambda one: (counts[one], -one), default=width)
    return width


def _first_width(paths: Sequence[Path], name: str) -> int:
    for path in paths:
        with pq.ParquetFile(path, memory_map=True) as file:
            for batch in file.iter_batches(batch_size=_FIRST, columns=[name]):
                if batch.column(0).null_count < len(batch):
                    found, _ = select_vectors(pa.Table.from_batches([batch]), name, path)
                    return int(found.vectors.shape[1])
    return 0


def _has_one_width(path: Path, name: str, width: int) -> bool:
    """Whether the lists of a column have as many numbers in all as if each were of this width, by the footer."""
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    places = [
        place
        for place in range(metadata.num_columns)
        if metadata.schema.column(place).path.startswith(f"{name}.")
    ]
    return all(one.column(place).num_values == width * one.num_rows for one in groups for place in places)


def _counted_widths(path: Path, name: str) -> Counter[int]:
    """How many lists of a column are of each width, empty ones left out."""
    counts: Counter[int] = Counter()
    with pq.ParquetFile(path, memory_map=True) as file:
        for batch in file.iter_batches(columns=[name]):
            widths, numbers = np.unique(widths_of(pa.chunked_array([batch.column(0)])), return_counts=True)
            counts.update(dict(zip(widths.tolist(), numbers.tolist(), strict=True)))
    del counts[0]
    return counts
