"""Losses: how unlikely the answers of given rows are, in nats. One place for training's watch and for evaluation.

Knows rows of tokens and the vectors of their slots. Knows nothing of where either came from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from vecspeak.model import Reader
from vecspeak.training.batches import Row, collate

_MAX_TOKENS = 4096


def _batches(rows: Sequence[Row]) -> list[list[int]]:
    """Indices in batches of like length, each within 4,096 tokens with its padding."""
    batches: list[list[int]] = []
    for index in sorted(range(len(rows)), key=lambda i: len(rows[i].ids)):
        if batches and (len(batches[-1]) + 1) * len(rows[index].ids) <= _MAX_TOKENS:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


@torch.no_grad()
def row_losses(
    reader: Reader, rows: Sequence[Row], vectors: Sequence[np.ndarray], *, progress: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Summed loss of each row's answer in nats [N], and the number of its tokens [N].

    `vectors[i]` is [S, D]: what stands in the S slots of row i. `progress` is the bar's text; none where empty.
    """
    sums, counts = np.zeros(len(rows)), np.zeros(len(rows))
    for indices in tqdm(_batches(rows), desc=progress, unit="batch", disable=not progress):
        batch = collate([rows[i] for i in indices], reader.stop_ids[0])
        used = np.concatenate([vectors[i] for i in indices]).astype(np.float32)
        sums_B, counts_B = reader.answer_losses(
            batch.ids_BT.to(reader.device),
            batch.labels_BT.to(reader.device),
            torch.from_numpy(used).to(reader.device),
        )
        sums[indices], counts[indices] = sums_B.cpu().numpy(), counts_B.cpu().numpy()
    return sums, counts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SwapLosses:
    """Summed losses of rows in nats, with their own vector and with another's: what the swap gap is made of."""

    right_N: np.ndarray
    swapped_N: np.ndarray
    tokens_N: np.ndarray
    """Tokens of the answers."""

    @property
    def right(self) -> float:
        """Loss in nats a token with the right vectors."""
        return float(self.right_N.sum() / self.tokens_N.sum())

    @property
    def swapped(self) -> float:
        """The same with others' vectors."""
        return float(self.swapped_N.sum() / self.tokens_N.sum())


def others(vectors_ND: np.ndarray) -> np.ndarray:
    """[N] for each row the nearest one before it, round the end, that has another vector; none is left its own.

    Where all vectors are the same, the row before.
    """
    _, kind_N = np.unique(vectors_ND, axis=0, return_inverse=True)
    count = len(kind_N)
    found = np.roll(np.arange(count), 1)
    for row in range(count):
        for back in range(1, count):
            if kind_N[row - back] != kind_N[row]:
                found[row] = (row - back) % count
                break
    return found


def swapped_losses(
    reader: Reader, rows: Sequence[Row], vectors: np.ndarray, *, progress: str = ""
) -> SwapLosses:
    """Losses of rows with one slot each with the right vectors [N, D], and with those of `others`."""
    right_N, tokens_N = row_losses(reader, rows, list(vectors[:, None]), progress=progress)
    swapped_N, _ = row_losses(reader, rows, list(vectors[others(vectors)][:, None]), progress=progress)
    return SwapLosses(right_N=right_N, swapped_N=swapped_N, tokens_N=tokens_N)
