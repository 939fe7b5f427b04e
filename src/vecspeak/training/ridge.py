"""Ridge: a linear map from sums of products, with the penalty of the least leave-one-out error.

What a map needs of N rows are sums over them, so rows are read by blocks and memory grows with widths, not with N.
The sums are in float64: adding up a million products in float32 loses what a small penalty rests on. From one
eigendecomposition of the inputs' products come all penalties' weights, and each row's leave-one-out error in closed
form: its residual by 1 - h, where h is its leverage, the intercept's 1/N included.

Above `LOO_ROWS` rows the leave-one-out errors of a fixed sample decide. Each of them is still exact, of the map of
all rows but one, and a mean of so many squares has a standard error far below what penalties of a half power of ten
differ by. The weights are always of all rows.

Departs from scikit-learn's RidgeCV, whose result it gives on data that fit in memory (a test says so), in nothing
else. Knows numbers only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

BLOCK_BYTES = 32 << 20
"""Size of a block of rows in float64; a few of them are in memory at a time."""
LOO_ROWS = 30_000
"""Most rows whose leave-one-out errors are worked out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Pairs of an input and a target, or some of them, read by blocks."""

    inputs: np.ndarray
    """[M, D]"""
    targets: np.ndarray
    """[M, T]"""
    chosen: np.ndarray | None = None
    """[N] rows to take; None for all."""
    prepare: Callable[[np.ndarray], np.ndarray] = np.asarray
    """What is done to a block of inputs first: row by row, so that blocks do not matter."""

    def __len__(self) -> int:
        return len(self.inputs) if self.chosen is None else len(self.chosen)

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """[B, D] and [B, T] float64, in order."""
        step = max(1, BLOCK_BYTES // (8 * (self.inputs.shape[1] + self.targets.shape[1])))
        for start in range(0, len(self), step):
            part = slice(start, start + step)
            rows = part if self.chosen is None else self.chosen[part]
            inputs = self.prepare(self.inputs[rows])
            yield inputs.astype(np.float64), self.targets[rows].astype(np.float64)

    def sample(self, most: int) -> "Rows":
        """All of them, or the same `most` every time."""
        if len(self) <= most:
            return self
        drawn = np.sort(np.random.default_rng(0).choice(len(self), most, replace=False))
        chosen = drawn if self.chosen is None else self.chosen[drawn]
        return Rows(inputs=self.inputs, targets=self.targets, chosen=chosen, prepare=self.prepare)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sums:
    """Sums over N rows of what deviates from the means, all float64; inputs are divided by their spread."""

    count: int
    """N."""
    center: np.ndarray
    """[D] mean of the inputs."""
    offset: np.ndarray
    """[T] mean of the targets."""
    spread: float
    """One standard deviation of all the inputs' deviations."""
    gram: np.ndarray
    """[D, D] inputs by inputs."""
    cross: np.ndarray
    """[D, T] inputs by targets."""
    square: float
    """Sum of the targets' squared deviations."""

    @classmethod
    def of(cls, rows: Rows) -> "Sums":
        """Two passes over the rows: means first, then products of deviations, which do not cancel."""
        center, offset = _means(rows)
        gram = np.zeros((len(center), len(center)))
        cross = np.zeros((len(center), len(offset)))
        square = 0.0
        for inputs, targets in rows.blocks():
            inputs -= center
            targets -= offset
            gram += inputs.T @ inputs
            cross += inputs.T @ targets
            square += float(np.vdot(targets, targets))
        spread = max(float(np.sqrt(np.trace(gram) / (len(rows) * len(center)))), 1e-12)
        return cls(
            count=len(rows),
            center=center,
            offset=offset,
            spread=spread,
            gram=gram / spread**2,
            cross=cross / spread,
            square=square,
        )


def _means(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    inputs_sum, targets_sum = np.zeros(rows.inputs.shape[1]), np.zeros(rows.targets.shape[1])
    for inputs, targets in rows.blocks():
        inputs_sum += inputs.sum(0)
        targets_sum += targets.sum(0)
    return inputs_sum / len(rows), targets_sum / len(rows)


class Ridge:
    """The maps of all penalties from the same rows."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.sums = Sums.of(rows)

    @cached_property
    def _directions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Eigenvalues [R], eigenvectors [D, R] of the gram, and [R, T] the cross products along them.

        Fewer rows than numbers in a vector span only their own number of directions: those are found from the rows.
        """
        if self.sums.count < len(self.sums.center):
            inputs = np.concatenate([block for block, _ in self._standard_blocks(self.rows)])
            _, roots, transposed = np.linalg.svd(inputs, full_matrices=False)
            values, vectors = roots**2, transposed.T
        else:
            values, vectors = np.linalg.eigh(self.sums.gram)
        return np.maximum(values, 0), vectors, vectors.T @ self.sums.cross

    def weights(self, penalty: float) -> np.ndarray:
        """[D, T] float64."""
        values, vectors, cross = self._directions
        return vectors @ (cross / (values + penalty)[:, None])

    def leave_one_out(self, penalties: np.ndarray) -> np.ndarray:
        """[P] mean squared error of rows by the map of all other rows, for each penalty."""
        values, vectors, cross = self._directions
        sample = self.rows.sample(LOO_ROWS)
        shrunk = 1.0 / (values[:, None] + penalties)
        totals = np.zeros(len(penalties))
        for inputs, targets in self._standard_blocks(sample):
            along = inputs @ vectors
            others = 1.0 - 1.0 / self.sums.count - (along**2) @ shrunk
            for index, shrink in enumerate(shrunk.T):
                errors = targets - (along * shrink) @ cross
                totals[index] += (np.einsum("bt,bt->b", errors, errors) / others[:, index] ** 2).sum()
        return totals / (len(sample) * len(self.sums.offset))

    def _standard_blocks(self, rows: Rows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of deviations from the means, inputs divided by their spread."""
        for inputs, targets in rows.blocks():
            yield (inputs - self.sums.center) / self.sums.spread, targets - self.sums.offset
