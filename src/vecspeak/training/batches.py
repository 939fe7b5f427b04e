"""Batches: examples as rows of token ids, grouped by length so that little is padding.

Knows ids, labels and vector rows. Knows nothing of models' weights or optimizers.
Shape letters: B rows, T tokens, S vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vecspeak.model import IGNORED, Reader
from vecspeak.prompts import PromptTemplate
from vecspeak.training.data import Example

_GROUP = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One example as tokens."""

    ids: np.ndarray
    """[T] int32; SLOT where a soft token stands."""
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


def make_row(example: Example, reader: Reader, max_answer: int) -> Row:
    """Tokens of an example; an answer that is too long is cut, and then does not learn to stop."""
    prompt = reader.lay_out(PromptTemplate(example.question).pieces)
    answer = reader.tokenizer.encode(example.target + reader.chat.stop, add_special_tokens=False)
    ids = np.array(prompt + answer[:max_answer], dtype=np.int32)
    return Row(ids=ids, num_prompt=len(prompt), rows=example.rows)


def make_rows(examples: Sequence[Example], reader: Reader, max_answer: int = 128) -> list[Row]:
    """Rows of all examples, in order."""
    return [make_row(example, reader, max_answer) for example in examples]


def collate(rows: Sequence[Row], pad_id: int) -> Batch:
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


def _by_length(rows: Sequence[Row], group: np.ndarray, max_tokens: int) -> list[list[int]]:
    """Indices of one group cut into batches of like length, each within `max_tokens` with its padding."""
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

    def batch(self, step: int, rows: Sequence[Row], pad_id: int) -> Batch:
        """The rows of one step."""
        return collate([rows[i] for i in self.steps[step]], pad_id)


def plan_batches(rows: Sequence[Row], max_tokens: int, seed: int) -> list[list[int]]:
    """The order of a run: groups in the rows' order; within each, batches of like length in random order."""
    rng = np.random.default_rng(seed)
    plan: list[list[int]] = []
    for start in range(0, len(rows), _GROUP):
        group = np.arange(start, min(start + _GROUP, len(rows)))
        batches = _by_length(rows, group, max_tokens)
        plan += [batches[i] for i in rng.permutation(len(batches))]
    return plan
