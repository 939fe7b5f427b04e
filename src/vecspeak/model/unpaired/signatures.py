"""Signatures: numbers of each vector that no rotation of its space changes, such as how dense it is around it.

Two encoders that read like texts agree on which texts are common and which lie apart, though their axes have nothing to
do with each other: of openings of plots the ranks correlate by 0.6 to 0.8 between all-mpnet-base-v2 and
all-MiniLM-L6-v2. So signatures say, before any map is known, which vectors of one space may be like which of the other.
Shape letters: N vectors, D numbers in each, F numbers in a signature.
"""

import numpy as np
from scipy.special import ndtri

from vecspeak.model.alignment import unit

_SHARES = (0.002, 0.01, 0.05, 0.2)
"""Of the nearest vectors whose mean cosine is taken."""
_AROUND = (8, 0.01, 0.05)
"""Nearest vectors whose signatures are averaged: a number of them, then shares."""


def signatures(vectors: np.ndarray) -> np.ndarray:
    """[N, F] float32, each column normal by rank: length, densities at several widths, and the mean ones around.

    `vectors` [N, D] are deviations from a mean. Takes N x N cosines: a few thousand vectors are enough.
    """
    directions = unit(vectors).astype(np.float32)
    cosines = directions @ directions.T
    np.fill_diagonal(cosines, -1)
    order = np.argsort(-cosines, axis=1)[:, :-1]
    own = _normal(_densities(vectors, np.take_along_axis(cosines, order, axis=1)))
    # The neighborhood's signatures: the second step of what colors the vertices of a graph apart.
    count = len(vectors)
    widths = [_AROUND[0], *(int(share * count) + 1 for share in _AROUND[1:])]
    around = [_mean_around(own, order[:, : int(width)]) for width in widths]
    return np.concatenate([own, _normal(np.concatenate(around, axis=1))], axis=1)


def _densities(vectors: np.ndarray, nearest_first: np.ndarray) -> np.ndarray:
    """[N, 10] length, mean cosines with the nearest, and mean, spread and skewness of all [N, N - 1] cosines."""
    count = len(vectors)
    mean, spread = nearest_first.mean(1), nearest_first.std(1)
    skewness = ((nearest_first - mean[:, None]) ** 3).mean(1) / spread**3
    shares = [nearest_first[:, : max(2, int(share * count))].mean(1) for share in _SHARES]
    farthest = nearest_first[:, -max(1, int(0.05 * count)) :].mean(1)
    lengths = np.linalg.norm(vectors, axis=1)
    return np.stack([lengths, nearest_first[:, 0], *shares, spread, skewness, -farthest, mean], axis=1)


def _mean_around(own: np.ndarray, near: np.ndarray) -> np.ndarray:
    total = np.zeros_like(own)
    for column in near.T:
        total += own[column]
    return total / near.shape[1]


def _normal(columns: np.ndarray) -> np.ndarray:
    """The columns' ranks as quantiles of a normal distribution, so that two spaces can be compared."""
    ranks = columns.argsort(0).argsort(0)
    found: np.ndarray = ndtri((ranks + 0.5) / len(columns)).astype(np.float32)
    return found
