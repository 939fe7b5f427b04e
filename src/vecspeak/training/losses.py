"""Losses: how unlikely the answers of given rows are, in nats. One place for training's watch and for evaluation.

Knows rows of tokens and the vectors of their slots. Knows nothing of where either came from.
"""

from collections.abc import Sequence

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


def swapped_losses(reader: Reader, rows: Sequence[Row], vectors: np.ndarray) -> tuple[float, float]:
    """Loss in nats a token with the right vectors [N, D], and with those of the rows before: the swap gap."""
    found = []
    for given in (vectors, np.roll(vectors, 1, axis=0)):
        sums, counts = row_losses(reader, rows, list(given[:, None]))
        found.append(float(sums.sum() / counts.sum()))
    return found[0], found[1]
