"""Drawing tokens from logits, and what an answer has already said against them, with NumPy alone."""

from collections.abc import Sequence

import numpy as np

from vecspeak.engines.base import TOP_K, TOP_P, Sampling

_BLOCK = 64
_NATS_ROWS = 8
"""Rows whose logits are copied at once for their nats: 1.5 MB of a vocabulary of 49,152."""


class Repetitions:
    """The tokens of one answer so far, and what they do to the logits of its next."""

    def __init__(self, sampling: Sampling) -> None:
        self._penalty = sampling.repetition_penalty
        self._size = sampling.no_repeat_ngram_size
        self._ids: list[int] = []
        self._following: dict[tuple[int, ...], list[int]] = {}
        """What has come after each run of one token less than an n-gram has."""

    def add(self, token: int) -> None:
        """Note the next token of the answer."""
        if self._size and len(self._ids) >= self._size - 1:
            self._following.setdefault(self._run(), []).append(token)
        self._ids.append(token)

    def penalize(self, logits_V: np.ndarray) -> None:
        """Change the logits in place."""
        if (
            self._penalty != 1 and self._ids
        ):  # a token that comes twice is written twice, with the same number
            seen = logits_V[self._ids]
            logits_V[self._ids] = np.where(seen < 0, seen * self._penalty, seen / self._penalty)
        if self._size and (banned := self._following.get(self._run())):
            logits_V[banned] = -np.inf

    def _run(self) -> tuple[int, ...]:
        """The last tokens, one less than an n-gram has."""
        return tuple(self._ids[len(self._ids) - self._size + 1 :])


def likeliest(logits_SV: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and token ids [S, K] of the largest logits of each row, the largest first; K is at most `count`.

    Looks first for the blocks of 64 tokens that the largest lie in, and in these for what is at least the K-th largest:
    sorting a whole vocabulary is 100 times as slow.
    """
    num_rows, size = logits_SV.shape
    count = min(count, size)
    whole = size // _BLOCK * _BLOCK
    # The k largest numbers lie in the k blocks with the largest maxima: only those blocks, and the rest
    # behind the last whole one, are sorted.
    blocks_SBN = logits_SV[:, :whole].reshape(num_rows, -1, _BLOCK)
    if blocks_SBN.shape[1] > count:
        best_SK = np.argpartition(blocks_SBN.max(-1), -count, axis=1)[:, -count:]
        ids_SC = (best_SK[:, :, None] * _BLOCK + np.arange(_BLOCK)).reshape(num_rows, -1)
        rest = np.broadcast_to(np.arange(whole, size), (num_rows, size - whole))
        ids_SC = np.concatenate([ids_SC, rest], axis=1)
    else:
        ids_SC = np.broadcast_to(np.arange(size), logits_SV.shape)
    values_SC = np.take_along_axis(logits_SV, ids_SC, axis=1)
    least_S1 = np.partition(values_SC, -count, axis=1)[:, [-count]]
    rows, places = np.nonzero(values_SC >= least_S1)  # `count` of each row, and more where the last are equal
    order = np.lexsort(
        (-values_SC[rows, places], rows)
    )  # by row, then by value; equal ones stay in their order
    order_SK = order[np.searchsorted(rows, np.arange(num_rows))[:, None] + np.arange(count)]
    places_SK = places[order_SK]
    return np.take_along_axis(values_SC, places_SK, axis=1), np.take_along_axis(ids_SC, places_SK, axis=1)


def drawn_tokens(logits_SV: np.ndarray, temperature: float, randoms: Sequence[float]) -> np.ndarray:
    """[S] a token for each row, from its 50 likeliest and of these the ones that make up 95%; greedy at 0."""
    if temperature == 0:
        return logits_SV.argmax(-1)
    values_SK, ids_SK = likeliest(logits_SV, TOP_K)
    weights_SK = np.exp((values_SK - values_SK[:, :1]).astype(np.float64) / temperature)
    shares_SK = weights_SK / weights_SK.sum(-1, keepdims=True)
    # top-p: a token stays while those before it hold less than TOP_P; then the draw picks by cumulated shares
    before_SK = shares_SK.cumsum(-1) - shares_SK
    shares_SK = np.where(before_SK < TOP_P, shares_SK, 0)
    drawn_S = np.asarray(randoms) * shares_SK.sum(-1)
    picked_S = (shares_SK.cumsum(-1) <= drawn_S[:, None]).sum(-1)
    picked_S = np.minimum(picked_S, (shares_SK > 0).sum(-1) - 1)
    return np.take_along_axis(ids_SK, picked_S[:, None], axis=1)[:, 0]


def nats_of(logits_SV: np.ndarray, tokens_S: np.ndarray) -> np.ndarray:
    """[S] minus the log-likelihood of each row's token."""
    found_S = np.empty(len(logits_SV))
    for start in range(0, len(logits_SV), _NATS_ROWS):  # a copy of all rows would be hundreds of megabytes
        some_SV, tokens = logits_SV[start : start + _NATS_ROWS], tokens_S[start : start + _NATS_ROWS]
        top_S = some_SV.max(-1)
        norms_S = top_S + np.log(np.exp(some_SV - top_S[:, None]).sum(-1, dtype=np.float64))
        taken_S = np.take_along_axis(some_SV, tokens[:, None], axis=1)[:, 0]
        found_S[start : start + _NATS_ROWS] = norms_S - taken_S
    return found_S
