"""Start: a closed-form beginning for an adapter, so that training does not begin from noise.

The language model already reads the embeddings of words. So each soft token starts as the ridge prediction,
from the vector, of the mean embedding of one stretch of the text's words (rare words count more), spread as
widely around the mean token as token embeddings are. Knows vectors and token ids, not the training loop.
Shape letters: B texts, N vector width, K soft tokens, E model width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from vecspeak.adapter import Adapter


def _token_weights(rows: Sequence[Sequence[int]], vocabulary: int) -> Tensor:
    counts = torch.zeros(vocabulary)
    for row in rows:
        counts[torch.tensor(sorted(set(row)))] += 1
    return torch.log((1 + len(rows)) / (1 + counts))


def stretch_means(rows: Sequence[Sequence[int]], table_VE: Tensor, num_stretches: int) -> Tensor:
    """[B, K, E] weighted mean token embeddings of K equal stretches of each row of token ids."""
    weights_V = _token_weights(rows, len(table_VE))
    means = torch.zeros(len(rows), num_stretches, table_VE.shape[1])
    for index, row in enumerate(rows):
        ids = torch.tensor(row)
        bounds = torch.linspace(0, len(row), num_stretches + 1).round().long().tolist()
        for k in range(num_stretches):
            low = min(bounds[k], len(row) - 1)
            part = ids[low : max(bounds[k + 1], low + 1)]
            weight = weights_V[part].clamp_min(1e-3)
            means[index, k] = (weight[:, None] * table_VE[part]).sum(0) / weight.sum()
    return means


def ridge_start(
    adapter: Adapter,
    vectors_BN: Tensor,
    rows: Sequence[Sequence[int]],
    table_VE: Tensor,
    penalty: float = 0.01,
) -> None:
    """Set the adapter to the ridge map from vectors to stretches of their texts' token embeddings.

    `penalty` is relative to the mean eigenvalue of the vectors' covariance; rows must not be empty.
    """
    inputs_BN = adapter.standardise(vectors_BN)
    targets_BKE = stretch_means(rows, table_VE, adapter.config.num_soft_tokens)
    offset_KE = targets_BKE.mean(0)
    centred = (targets_BKE - offset_KE).flatten(1)
    gram_NN = inputs_BN.T @ inputs_BN
    gram_NN += penalty * gram_NN.diagonal().mean() * torch.eye(len(gram_NN))
    flat_map = torch.linalg.solve(gram_NN, inputs_BN.T @ centred)
    map_NKE = flat_map.unflatten(1, offset_KE.shape)
    predicted_BKE = torch.einsum("bn,nke->bke", inputs_BN, map_NKE)
    wanted = (table_VE - table_VE.mean(0)).norm(dim=-1).mean()
    adapter.start_linear(map_NKE * wanted / predicted_BKE.norm(dim=-1).mean(), offset_KE)
