"""Choosing: the next token of each row from its logits. In NumPy, for engines without torch.

Knows the sampling and a random stream for each row, so that what a row draws depends on its own number and the seed
alone, never on its neighbours. Knows no model.
Shape letters: S rows, V vocabulary, K candidates.
"""

import numpy as np

from vecspeak.engines.base import TOP_K, TOP_P, Sampling

_BLOCK = 64


def likeliest(logits_SV: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and token ids [S, K] of the largest logits of each row, the largest first; K is at most `count`.

    Looks first for the blocks of 64 tokens that the largest lie in: sorting a whole vocabulary is 10 times as slow.
    """
    num_rows, size = logits_SV.shape
    count = min(count, size)
    whole = size // _BLOCK * _BLOCK
    blocks_SBN = logits_SV[:, :whole].reshape(num_rows, -1, _BLOCK)
    if blocks_SBN.shape[1] > count:
        best_SK = np.argpartition(blocks_SBN.max(-1), -count, axis=1)[:, -count:]
        ids_SC = (best_SK[:, :, None] * _BLOCK + np.arange(_BLOCK)).reshape(num_rows, -1)
        rest = np.broadcast_to(np.arange(whole, size), (num_rows, size - whole))
        ids_SC = np.concatenate([ids_SC, rest], axis=1)
    else:
        ids_SC = np.broadcast_to(np.arange(size), logits_SV.shape)
    values_SC = np.take_along_axis(logits_SV, ids_SC, axis=1)
    order_SK = np.argsort(-values_SC, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(values_SC, order_SK, axis=1), np.take_along_axis(ids_SC, order_SK, axis=1)


class Chooser:
    """Takes the likeliest token of each row, or draws one at the sampling's temperature."""

    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling
        self._streams: dict[int, np.random.Generator] = {}

    def __call__(self, logits_SV: np.ndarray, rows: list[int]) -> np.ndarray:
        """[S] token ids for the rows of these numbers."""
        if self.sampling.temperature == 0:
            return logits_SV.argmax(-1)
        values_SK, ids_SK = likeliest(logits_SV, TOP_K)
        weights_SK = np.exp((values_SK - values_SK[:, :1]).astype(np.float64) / self.sampling.temperature)
        shares_SK = weights_SK / weights_SK.sum(-1, keepdims=True)
        before_SK = shares_SK.cumsum(-1) - shares_SK
        shares_SK = np.where(before_SK < TOP_P, shares_SK, 0)
        drawn_S = np.array([self._stream(row).random() for row in rows]) * shares_SK.sum(-1)
        picked_S = (shares_SK.cumsum(-1) <= drawn_S[:, None]).sum(-1)
        picked_S = np.minimum(picked_S, (shares_SK > 0).sum(-1) - 1)
        return np.take_along_axis(ids_SK, picked_S[:, None], axis=1)[:, 0]

    def _stream(self, row: int) -> np.random.Generator:
        if row not in self._streams:
            self._streams[row] = np.random.default_rng([self.sampling.seed, row])
        return self._streams[row]
