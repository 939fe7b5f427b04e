"""Soft matching: an orthogonal map between two sets of directions of which nobody says what belongs together.

Expectation: each vector of one side is matched softly with all of the other, more with those that the map brings near
(Sinkhorn's balancing keeps a few from taking all). Maximization: the orthogonal map that fits those matches best,
in closed form (Procrustes). As in point set registration (Myronenko & Song 2010), with cosines.
Shape letters: N and M vectors of the two sides, K numbers in each, P known pairs.
"""

from dataclasses import dataclass

import numpy as np

_BALANCING = 5
"""Rounds of Sinkhorn's balancing."""
PAIR_WEIGHT = 10.0
"""How much more a known pair counts than a soft match, while a map is searched for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Directions of both sides, float32 of length 1, with those of known pairs."""

    source: np.ndarray
    """[N, K]"""
    target: np.ndarray
    """[M, K]"""
    pairs: tuple[np.ndarray, np.ndarray] | None = None
    """[P, K] and [P, K]"""
    pair_weight: float = PAIR_WEIGHT

    def drawn(self, count: int, rng: np.random.Generator) -> "Sides":
        """At most so many of each, drawn anew; the pairs are in every draw."""
        return Sides(
            source=self.source[rng.permutation(len(self.source))[:count]],
            target=self.target[rng.permutation(len(self.target))[:count]],
            pairs=self.pairs,
            pair_weight=self.pair_weight,
        )


def orthogonal(cross: np.ndarray) -> np.ndarray:
    """[K, K] the orthogonal map nearest to a cross product of sources and targets."""
    left, _, right = np.linalg.svd(cross)
    return np.asarray(left @ right, dtype=np.float32)


def matched(sides: Sides, weights: np.ndarray) -> np.ndarray:
    """[K, K] cross product of the sources and their soft matches, by [N, M] positive weights that are balanced."""
    rows: np.ndarray = np.ones(len(sides.source), np.float32)
    columns: np.ndarray = np.ones(len(sides.target), np.float32)
    for _ in range(_BALANCING):
        rows = 1 / np.maximum(weights @ columns, 1e-30)
        columns = 1 / np.maximum(rows @ weights, 1e-30)
    cross = (sides.source * rows[:, None]).T @ (weights @ (columns[:, None] * sides.target))
    if sides.pairs is not None:
        cross = cross + sides.pair_weight * sides.pairs[0].T @ sides.pairs[1]
    found: np.ndarray = cross
    return found


def improved(
    sides: Sides, turn: np.ndarray, sharpness: tuple[float, ...], steps: int, hints: np.ndarray | None = None
) -> np.ndarray:
    """The map after so many steps at each sharpness; `hints` [N, M] are added to the sharpened cosines."""
    for sharp in sharpness:
        for _ in range(steps):
            weights = (sharp * sides.source @ turn) @ sides.target.T
            if hints is not None:
                weights += hints
            weights -= weights.max(axis=1, keepdims=True)
            np.exp(weights, out=weights)
            turn = orthogonal(matched(sides, weights))
    return turn


def closeness(sides: Sides, turn: np.ndarray, sharp: float = 10.0) -> float:
    """How well the mapped sources lie where targets are dense, and the other way round: a mean log density.

    Only clouds of one shape in one place reach what two halves of one cloud do. Known pairs do not count.
    """
    near = np.exp(sharp * ((sides.source @ turn) @ sides.target.T - 1))
    return float(np.log(near.mean(1)).mean() + np.log(near.mean(0)).mean()) / 2
