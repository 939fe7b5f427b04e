"""Tokens: the rows of a run kept on disk as one array, so that a run that goes on does not tokenise again.

One `tokens-KEY.npy` of int32, opened memory-mapped. The key is a digest of all that the rows depend on: the examples,
the tokenizer, the chat format, the soft tokens of a vector and the longest answer; what has changed is never
found under it. The file is whole or not there. Knows nothing of batches or models' weights.
"""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import overload

import numpy as np

from vecspeak.files import replace_file
from vecspeak.model import Reader
from vecspeak.training.batches import Row, make_rows
from vecspeak.training.data import Example

_FORMAT = 1
_FIELDS = 3
"""Numbers of a row in the head of the file: its tokens, those of its prompt, its vectors."""


@dataclass(frozen=True, slots=True, eq=False)
class RowTable(Sequence[Row]):
    """Rows that are read from the file when asked for."""

    head_N3: np.ndarray
    """[N, 3] tokens, tokens of the prompt and vectors of each row."""
    ids: np.ndarray
    """Token ids of all rows, one after another."""
    vectors: np.ndarray
    """Numbers of the vectors of all rows, one after another."""
    starts_N2: np.ndarray
    """[N, 2] where a row's ids and vectors begin."""

    def __len__(self) -> int:
        return len(self.head_N3)

    @property
    def num_tokens(self) -> np.ndarray:
        """[N] tokens of each row."""
        return self.head_N3[:, 0].astype(np.int64)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        num_ids, num_prompt, num_vectors = self.head_N3[index].tolist()
        id_start, vector_start = self.starts_N2[index].tolist()
        return Row(
            ids=self.ids[id_start : id_start + num_ids],
            num_prompt=num_prompt,
            rows=tuple(self.vectors[vector_start : vector_start + num_vectors].tolist()),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Reordered(Sequence[Row]):
    """Rows of several tables, laid one after another, in an order of their own; a row may come more than once."""

    tables: Sequence[Sequence[Row]]
    order: np.ndarray
    """[M] numbers of rows, counted through all tables."""

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = int(self.order[index])
        for table in self.tables:
            if number < len(table):
                return table[number]
            number -= len(table)
        raise IndexError(index)


def rows_key(examples: Sequence[Example], reader: Reader, max_answer: int) -> str:
    """Digest of everything that the rows of these examples depend on."""
    digest = hashlib.sha256()
    settings = [_FORMAT, asdict(reader.chat), reader.adapter.config.num_soft_tokens, max_answer]
    for part in (json.dumps(settings, sort_keys=True), reader.tokenizer.backend_tokenizer.to_str()):
        digest.update(part.encode() + b"\0")
    for example in examples:
        digest.update(json.dumps([example.question, example.rows, example.target]).encode() + b"\0")
    return digest.hexdigest()[:16]


def _write(rows: Sequence[Row], path: Path) -> None:
    head = [(len(row.ids), row.num_prompt, len(row.rows)) for row in rows]
    parts = [[len(rows)], *head, *(row.ids for row in rows), *(row.rows for row in rows)]
    with replace_file(path) as beside, beside.open("wb") as file:
        np.save(file, np.concatenate([np.asarray(part, dtype=np.int32) for part in parts]))


def open_rows(path: Path) -> RowTable:
    """The rows of a file that `cached_rows` wrote. Raises ValueError when its numbers do not add up."""
    flat = np.load(path, mmap_mode="r", allow_pickle=False)
    num_rows = int(flat[0])
    head_N3 = np.array(flat[1 : 1 + num_rows * _FIELDS]).reshape(num_rows, _FIELDS)
    lengths_N2 = head_N3[:, [0, 2]].astype(np.int64)
    ids = flat[1 + num_rows * _FIELDS :]
    if (head_N3 < 0).any() or int(lengths_N2.sum()) != len(ids):
        raise ValueError(f"{path} holds {len(ids)} numbers, its rows have {int(lengths_N2.sum())}")
    return RowTable(
        head_N3=head_N3,
        ids=ids,
        vectors=ids[int(lengths_N2[:, 0].sum()) :],
        starts_N2=np.cumsum(lengths_N2, axis=0) - lengths_N2,
    )


def cached_rows(examples: Sequence[Example], reader: Reader, folder: Path, max_answer: int = 128) -> RowTable:
    """Rows of all examples, in order, from the folder's file where these very rows are there already."""
    path = folder / f"tokens-{rows_key(examples, reader, max_answer)}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError, IndexError):  # not there, or damaged
        return open_rows(path)
    _write(make_rows(examples, reader, max_answer), path)
    return open_rows(path)
