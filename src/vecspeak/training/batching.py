"""Batches: examples as rows of token ids, grouped by length so that little is padding.

Shape letters: B rows, T tokens, S vectors.
"""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch
from torch import Tensor

from vecspeak.errors import UserError
from vecspeak.model.prompt import PLACEHOLDER, PromptTemplate
from vecspeak.model.reader import IGNORED, Reader
from vecspeak.storage import digest, replace_file
from vecspeak.training.dataset import Example

_GROUP = 4096


@dataclass(frozen=True, slots=True, eq=False)
class TokenRow:
    """One example as tokens."""

    ids: np.ndarray
    """[T] int32; PLACEHOLDER where a soft token stands."""
    num_prompt: int
    """Tokens of the prompt: the loss is on what follows."""
    rows: tuple[int, ...]
    """Rows of its vectors, in reading order."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows padded on the right, or packs of several rows each."""

    ids_BT: Tensor
    labels_BT: Tensor
    rows_S: np.ndarray
    """Rows of the vectors of all slots, in reading order."""
    num_tokens: int
    """Tokens of the rows, padding not counted; what packs hold once for all rows counts for each."""
    num_rows: int
    positions_BT: Tensor | None = None
    """Of packs: places that restart in each row."""
    documents_BT: Tensor | None = None
    """Of packs: int32, 0 for what all rows share, then 1, 2, ... row by row; padding has the last number."""


def make_row(example: Example, reader: Reader, max_answer: int) -> TokenRow:
    """Tokens of an example; an answer that is too long is cut, and then does not learn to stop."""
    prompt = reader.build_input_ids(PromptTemplate(example.question).segments)
    answer = reader.answer_ids(example.target)
    ids = np.array(prompt + answer[:max_answer], dtype=np.int32)
    return TokenRow(ids=ids, num_prompt=len(prompt), rows=example.rows)


def make_rows(examples: Sequence[Example], reader: Reader, max_answer: int = 128) -> list[TokenRow]:
    """Rows of all examples, in order."""
    return [make_row(example, reader, max_answer) for example in examples]


def collate(rows: Sequence[TokenRow], pad_id: int) -> Batch:
    """Rows side by side, padded on the right."""
    width = max(len(row.ids) for row in rows)
    ids_BT = torch.full((len(rows), width), pad_id)
    labels_BT = torch.full((len(rows), width), IGNORED)
    for index, row in enumerate(rows):
        ids = torch.from_numpy(row.ids.astype(np.int64))
        ids_BT[index, : len(ids)] = ids
        labels_BT[index, row.num_prompt : len(ids)] = ids[row.num_prompt :]
    return Batch(
        ids_BT=ids_BT,
        labels_BT=labels_BT,
        rows_S=np.array([r for row in rows for r in row.rows], dtype=np.int64),
        num_tokens=sum(len(row.ids) for row in rows),
        num_rows=len(rows),
    )


def _by_length(rows: Sequence[TokenRow], group: np.ndarray, max_tokens: int) -> list[list[int]]:
    """Indices of one group cut into batches of like length, each within `max_tokens` with its padding."""
    # ascending lengths: the row just added is the batch's longest, so (count + 1) * its length is the padded
    # size
    batches: list[list[int]] = []
    current: list[int] = []
    for index in sorted(group.tolist(), key=lambda i: len(rows[i].ids)):
        if current and (len(current) + 1) * len(rows[index].ids) > max_tokens:
            batches.append(current)
            current = []
        current.append(index)
    return [*batches, current]


@dataclass(frozen=True, slots=True, eq=False)
class PaddedPlan:
    """The batches of a run, each of like length and padded to its longest row."""

    steps: list[list[int]]
    """Steps and their rows."""

    def __len__(self) -> int:
        return len(self.steps)

    def rows_of(self, step: int) -> list[int]:
        """Numbers of the rows of one step, in the batch's order."""
        return self.steps[step]

    def batch(self, step: int, rows: Sequence[TokenRow], pad_id: int) -> Batch:
        """The rows of one step."""
        return collate([rows[i] for i in self.steps[step]], pad_id)


def plan_batches(rows: Sequence[TokenRow], max_tokens: int, seed: int) -> list[list[int]]:
    """The order of a run: groups in the rows' order; within each, batches of like length in random order."""
    rng = np.random.default_rng(seed)
    plan: list[list[int]] = []
    for start in range(0, len(rows), _GROUP):
        group = np.arange(start, min(start + _GROUP, len(rows)))
        batches = _by_length(rows, group, max_tokens)
        plan += [batches[i] for i in rng.permutation(len(batches))]
    return plan


_PACKING_GROUP = 16_384
_ROUND_ANSWERS = 512
_ROUND_VECTORS = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedPlan:
    """The packs of a run, and the sizes that every step of it has."""

    steps: list[list[list[int]]]
    """Steps, their packs, the rows of a pack."""
    front_F: np.ndarray
    """Token ids that all rows begin with."""
    num_packs: int
    """Packs of a step; the last step fills up with empty ones."""
    length: int
    """Tokens of a pack (T)."""
    num_vectors: int
    """Most vectors of a step, rounded up."""
    num_answers: int
    """Most answer tokens of a step, rounded up."""

    def __len__(self) -> int:
        return len(self.steps)

    def rows_of(self, step: int) -> list[int]:
        """Numbers of the rows of one step, in the packs' order."""
        return [row for pack in self.steps[step] for row in pack]

    def batch(self, step: int, rows: Sequence[TokenRow], pad_id: int) -> Batch:
        """The packs of one step."""
        packs = [[rows[i] for i in pack] for pack in self.steps[step]]
        return lay_packs(
            packs + [[]] * (self.num_packs - len(packs)), self.front_F, length=self.length, pad_id=pad_id
        )


def common_front(rows: Sequence[TokenRow]) -> np.ndarray:
    """[F] token ids that all rows begin with: before any slot, and before the token that opens an answer."""
    # The longest common prefix, cut before the first soft token (its vector differs from row to row) and
    # before the prompt's last token, whose state predicts the answer and so must be a row's own.
    front = rows[0].ids[: rows[0].num_prompt - 1]
    front = front[: int(np.argmax(front == PLACEHOLDER))] if (front == PLACEHOLDER).any() else front
    for row in rows:
        front = front[: max(row.num_prompt - 1, 0)]
        same = row.ids[: len(front)] == front
        front = front if same.all() else front[: int(np.argmin(same))]
    return np.array(front, dtype=np.int32)


def first_fit(sizes: np.ndarray, capacity: int) -> list[list[int]]:
    """Indices of sizes in bins: each goes, in order, to the first bin that still has room for it."""
    # free[len(bins)] is a bin not yet opened, which takes any size: argmax finds the first that does
    free = np.full(len(sizes), capacity)
    bins: list[list[int]] = []
    for index, size in enumerate(sizes.tolist()):
        selected = int(np.argmax(free[: len(bins) + 1] >= size))
        if selected == len(bins):
            bins.append([])
        bins[selected].append(index)
        free[selected] -= size
    return bins


def _packs(sizes: np.ndarray, capacity: int, seed: int) -> list[list[int]]:
    """All packs: first fit within groups in the rows' order, the packs of a group in random order."""
    rng = np.random.default_rng(seed)
    packs: list[list[int]] = []
    for start in range(0, len(sizes), _PACKING_GROUP):
        bins = first_fit(sizes[start : start + _PACKING_GROUP], capacity)
        packs += [[start + index for index in bins[i]] for i in rng.permutation(len(bins))]
    return packs


def _most(values: np.ndarray, steps: Sequence[Sequence[Sequence[int]]], unit: int) -> int:
    most = max(int(sum(values[pack].sum() for pack in step)) for step in steps)
    return max(-(-most // unit), 1) * unit


def plan_packs(rows: Sequence[TokenRow], max_tokens: int, length: int, seed: int) -> PackedPlan:
    """Packs of `length` tokens, as many a step as `max_tokens` allows (at least one).

    The plan depends on the rows and the seed alone. Raises UserError for a row that no pack holds.
    """
    front = common_front(rows)
    sizes = np.array([len(row.ids) for row in rows]) - len(front)
    capacity = length - len(front) - 1  # one token of every pack is padding: a place for what nothing reads
    if sizes.max() > capacity:
        raise UserError(
            f"a row of {sizes.max() + len(front)} tokens does not fit a pack of {length}",
            "raise speed.pack_length and schedule.tokens_per_step in the recipe",
        )
    packs, count = _packs(sizes, capacity, seed), max(1, max_tokens // length)
    steps = [packs[i : i + count] for i in range(0, len(packs), count)]
    answers = np.array([len(row.ids) - row.num_prompt for row in rows])
    return PackedPlan(
        steps=steps,
        front_F=front,
        num_packs=count,
        length=length,
        num_vectors=_most(np.array([len(row.rows) for row in rows]), steps, _ROUND_VECTORS),
        num_answers=_most(answers, steps, _ROUND_ANSWERS),
    )


def lay_packs(packs: Sequence[Sequence[TokenRow]], front_F: np.ndarray, *, length: int, pad_id: int) -> Batch:
    """Packs side by side: the front once, then what follows it in each row, then padding."""
    shape, num_front = (len(packs), length), len(front_F)
    ids, labels = np.full(shape, pad_id, np.int64), np.full(shape, IGNORED, np.int64)
    positions, documents = np.zeros(shape, np.int64), np.zeros(shape, np.int32)
    ids[:, :num_front], positions[:, :num_front] = front_F, np.arange(num_front)
    for index, pack in enumerate(packs):
        start = num_front
        for number, row in enumerate(pack, start=1):
            part = slice(start, start + len(row.ids) - num_front)
            ids[index, part] = row.ids[num_front:]
            labels[index, part][row.num_prompt - num_front :] = row.ids[row.num_prompt :]
            # as if the row stood alone behind the front: rotary positions go on from it
            positions[index, part] = np.arange(num_front, len(row.ids))
            documents[index, part] = number
            start = part.stop
        documents[index, start:] = len(pack) + 1  # padding is a row of its own, which nobody else sees
    return Batch(
        ids_BT=torch.from_numpy(ids),
        labels_BT=torch.from_numpy(labels),
        rows_S=np.array([r for pack in packs for row in pack for r in row.rows], dtype=np.int64),
        num_tokens=sum(len(row.ids) for pack in packs for row in pack),
        num_rows=sum(map(len, packs)),
        positions_BT=torch.from_numpy(positions),
        documents_BT=torch.from_numpy(documents),
    )


_FORMAT = 2
_FIELDS = 3
"""Numbers of a row in the head of the file: its tokens, those of its prompt, its vectors."""


@dataclass(frozen=True, slots=True, eq=False)
class RowTable(Sequence[TokenRow]):
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
    def __getitem__(self, index: int) -> TokenRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[TokenRow]: ...
    def __getitem__(self, index: int | slice) -> TokenRow | list[TokenRow]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        num_ids, num_prompt, num_vectors = self.head_N3[index].tolist()
        id_start, vector_start = self.starts_N2[index].tolist()
        return TokenRow(
            ids=self.ids[id_start : id_start + num_ids],
            num_prompt=num_prompt,
            rows=tuple(self.vectors[vector_start : vector_start + num_vectors].tolist()),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Reordered(Sequence[TokenRow]):
    """Rows of several tables, laid one after another, in an order of their own; a row may come more than once."""

    tables: Sequence[Sequence[TokenRow]]
    order: np.ndarray
    """[M] numbers of rows, counted through all tables."""

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> TokenRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[TokenRow]: ...
    def __getitem__(self, index: int | slice) -> TokenRow | list[TokenRow]:
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
    settings = [_FORMAT, asdict(reader.chat), reader.adapter.config.num_soft_tokens, max_answer]
    tokenizer = reader.tokenizer.backend_tokenizer.to_str()
    rows = (json.dumps([one.question, one.rows, one.target]) + "\0" for one in examples)
    return digest(settings, "\0", tokenizer, "\0", rows)[:16]


def _write(rows: Sequence[TokenRow], path: Path) -> None:
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
