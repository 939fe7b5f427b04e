"""Packing: rows laid end to end in packs of one fixed length, so that hardly a token is padding.

What all rows begin with (the opening of the chat) stands once, at the front of the pack: attention is causal, so
its states are the same for every row. Knows rows and places. Knows nothing of models; who may see whom is for
`attention` to say. Shape letters: B packs, T tokens of a pack, F tokens that all rows begin with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vecspeak.errors import UserError
from vecspeak.injection import SLOT
from vecspeak.model import IGNORED
from vecspeak.training.batches import Batch, Row

_GROUP = 16_384
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

    def batch(self, step: int, rows: Sequence[Row], pad_id: int) -> Batch:
        """The packs of one step."""
        packs = [[rows[i] for i in pack] for pack in self.steps[step]]
        return lay_packs(
            packs + [[]] * (self.num_packs - len(packs)), self.front_F, length=self.length, pad_id=pad_id
        )


def common_front(rows: Sequence[Row]) -> np.ndarray:
    """[F] token ids that all rows begin with: before any slot, and before the token that opens an answer."""
    front = rows[0].ids[: rows[0].num_prompt - 1]
    front = front[: int(np.argmax(front == SLOT))] if (front == SLOT).any() else front
    for row in rows:
        front = front[: max(row.num_prompt - 1, 0)]
        same = row.ids[: len(front)] == front
        front = front if same.all() else front[: int(np.argmin(same))]
    return np.array(front, dtype=np.int32)


def first_fit(sizes: np.ndarray, capacity: int) -> list[list[int]]:
    """Indices of sizes in bins: each goes, in order, to the first bin that still has room for it."""
    free = np.full(len(sizes), capacity)
    bins: list[list[int]] = []
    for index, size in enumerate(sizes.tolist()):
        chosen = int(np.argmax(free[: len(bins) + 1] >= size))
        if chosen == len(bins):
            bins.append([])
        bins[chosen].append(index)
        free[chosen] -= size
    return bins


def _packs(sizes: np.ndarray, capacity: int, seed: int) -> list[list[int]]:
    """All packs: first fit within groups in the rows' order, the packs of a group in random order."""
    rng = np.random.default_rng(seed)
    packs: list[list[int]] = []
    for start in range(0, len(sizes), _GROUP):
        bins = first_fit(sizes[start : start + _GROUP], capacity)
        packs += [[start + index for index in bins[i]] for i in rng.permutation(len(bins))]
    return packs


def _most(values: np.ndarray, steps: Sequence[Sequence[Sequence[int]]], unit: int) -> int:
    most = max(int(sum(values[pack].sum() for pack in step)) for step in steps)
    return max(-(-most // unit), 1) * unit


def plan_packs(rows: Sequence[Row], max_tokens: int, length: int, seed: int) -> PackedPlan:
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


def lay_packs(packs: Sequence[Sequence[Row]], front_F: np.ndarray, *, length: int, pad_id: int) -> Batch:
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
            positions[index, part] = np.arange(num_front, len(row.ids))
            documents[index, part] = number
            start = part.stop
        documents[index, start:] = len(pack) + 1
    return Batch(
        ids_BT=torch.from_numpy(ids),
        labels_BT=torch.from_numpy(labels),
        rows_S=np.array([r for pack in packs for row in pack for r in row.rows], dtype=np.int64),
        num_tokens=sum(len(row.ids) for pack in packs for row in pack),
        num_rows=sum(map(len, packs)),
        positions_BT=torch.from_numpy(positions),
        documents_BT=torch.from_numpy(documents),
    )
