"""Alignment: a closed-form map from a space into the vectors that a reader reads, and how it is fitted and scored.

Ridge regression on sums over rows: no gradient steps, no GPU. Sizes: M rows there are, N of them used, B in a
block, D numbers in a vector, T in a text's vector, R directions that the rows span, P penalties.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from vecspeak.errors import UserError

Kind = Literal["item", "user", "made"]
_ARRAYS = ("center", "user_center", "matrix", "offset")
BLOCK_BYTES = 32 << 20
"""Size of a block of rows in float64; a few of them are in memory at a time."""
LOO_ROWS = 30_000
"""Most rows whose leave-one-out errors are worked out."""
_PENALTIES = tuple((10.0 ** np.arange(-1, 6.5, 0.5)).tolist())
MIN_ITEMS = 20
"""With fewer texts there is no map."""
_MAX_GAIN = 3.0
"""Above it a map that predicts almost nothing would be turned into confident noise."""
_LEAST_SPREAD, _MAX_SHOWN_GAIN = 0.5, 15.0
"""Where it leaves vectors that are shown to say something a smaller share of the texts' spread, the next cap holds.

Of 96 movies by views (a share of 0.24) the full gain of 12.5 makes answers nearer to their own text than to others' by
0.023 [0.008, 0.040] by the second encoder; of 100 by ratings (0.60) twice the gain makes no difference.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """`unit(gain * ((v - center) / spread) @ matrix + offset)`; the identity when there is no matrix."""

    dim: int
    """Width of the space (D)."""
    encoder_dim: int
    """Width of the vectors that the reader reads (T)."""
    unit: bool = False
    """Whether vectors are normalized first."""
    center: np.ndarray | None = None
    """[D] mean of the items it was fitted on."""
    spread: float = 1.0
    """Their one standard deviation."""
    user_center: np.ndarray | None = None
    """[D] mean of the users, which differs from the items': users are matched to items by it."""
    user_spread: float = 1.0
    """The users' one standard deviation."""
    matrix: np.ndarray | None = None
    """[D, T] float32 ridge weights; None for a space that the reader reads as it is."""
    offset: np.ndarray | None = None
    """[T] mean of the texts' vectors."""
    gain: float = 1.0
    """How much farther from the mean text a mapped vector is put than ridge, which is cautious, predicts."""

    def __post_init__(self) -> None:
        if self.matrix is None and self.dim != self.encoder_dim:
            raise UserError(
                f"the space has width {self.dim} and the reader reads {self.encoder_dim}; it needs a map",
                "map the space first: `VecSpeak.fit(...)`",
            )
        widths = {"center": (self.dim,), "user_center": (self.dim,), "offset": (self.encoder_dim,)}
        shapes: dict[str, tuple[int, ...]] = {**widths, "matrix": (self.dim, self.encoder_dim)}
        for name, array in self.arrays().items():
            if array.shape != shapes[name] or not np.isfinite(array).all():
                raise UserError(
                    f"{name} of an alignment must be {shapes[name]} finite numbers, got shape {array.shape}",
                    "fit the space again",
                )
        if (self.matrix is None) != (self.offset is None) or not (
            min(self.spread, self.user_spread, self.gain) > 0
        ):
            raise UserError(
                "an alignment needs its matrix and offset, and spreads and gain above 0",
                "fit the space again",
            )

    @property
    def is_identity(self) -> bool:
        """Whether the space is read as it is."""
        return self.matrix is None

    def __call__(self, vectors: np.ndarray, kind: Kind = "item") -> np.ndarray:
        """[N, D] vectors to [N, T] unit vectors. Raises UserError for another width."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise UserError(
                f"the space has vectors of {self.dim} numbers, got shape {vectors.shape}",
                "give a vector of that space",
            )
        if self.matrix is None or self.offset is None:
            return unit(vectors).astype(np.float32)
        deviations = self.standardize(vectors, kind) @ self.matrix
        return unit(self.gain * deviations + self.offset).astype(np.float32)

    def standardize(self, vectors: np.ndarray, kind: Kind = "item") -> np.ndarray:
        """Centred and scaled by the items' statistics, or by the users' for a user."""
        vectors = unit(vectors) if self.unit else vectors
        if kind == "user" and self.user_center is not None:
            return (vectors - self.user_center) / self.user_spread
        return (vectors - (0 if self.center is None else self.center)) / self.spread

    def arrays(self) -> dict[str, np.ndarray]:
        """The part that is saved as tensors."""
        named = {name: getattr(self, name) for name in _ARRAYS}
        return {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in named.items() if a is not None}

    def numbers(self) -> dict[str, Any]:
        """The part that is saved as JSON."""
        names = ("dim", "encoder_dim", "unit", "spread", "user_spread", "gain")
        return {name: getattr(self, name) for name in names}


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, also where float32 cannot hold the square of a length."""
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not np.isfinite(lengths).all():
        vectors = vectors / np.abs(vectors).max(axis=-1, keepdims=True)
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Pairs of an input and a target, or some of them, read by blocks: never copied as a whole."""

    inputs: np.ndarray
    """[M, D]"""
    targets: np.ndarray
    """[M, T]"""
    selected_rows: np.ndarray | None = None
    """[N] rows to take; None for all."""
    prepare: Callable[[np.ndarray], np.ndarray] = np.asarray
    """Applied to a block of inputs first; row by row, so that blocks do not matter."""

    def __len__(self) -> int:
        return len(self.inputs) if self.selected_rows is None else len(self.selected_rows)

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """[B, D] and [B, T] float64, in order."""
        step = max(1, BLOCK_BYTES // (8 * (self.inputs.shape[1] + self.targets.shape[1])))
        for start in range(0, len(self), step):
            part = slice(start, start + step)
            rows = part if self.selected_rows is None else self.selected_rows[part]
            inputs = self.prepare(self.inputs[rows])
            yield inputs.astype(np.float64), self.targets[rows].astype(np.float64)

    def sample(self, most: int) -> "Rows":
        """All of them, or the same `most` every time."""
        if len(self) <= most:
            return self
        drawn = np.sort(np.random.default_rng(0).choice(len(self), most, replace=False))
        selected = drawn if self.selected_rows is None else self.selected_rows[drawn]
        return Rows(inputs=self.inputs, targets=self.targets, selected_rows=selected, prepare=self.prepare)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sums:
    """Sums over N rows of deviations from the means, all float64; inputs are divided by their spread."""

    count: int
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
    def from_rows(cls, rows: Rows) -> "Sums":
        """Two passes over the rows: means first, then products of deviations."""
        center, offset = np.zeros(rows.inputs.shape[1]), np.zeros(rows.targets.shape[1])
        for inputs, targets in rows.blocks():
            center += inputs.sum(0)
            offset += targets.sum(0)
        center /= len(rows)
        offset /= len(rows)
        # Products of deviations, not of raw values: the textbook E[xy] - E[x]E[y] cancels where means are far from 0.
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


class Ridge:
    """The maps of all penalties from the same rows."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.sums = Sums.from_rows(rows)

    @cached_property
    def _directions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Eigenvalues [R], eigenvectors [D, R] of the gram, and [R, T] the cross products along them."""
        # Fewer rows than numbers in a vector span only N directions: an SVD of the rows finds those alone, and
        # spares the eigenvalues of the gram that are 0 but for rounding.
        if self.sums.count < len(self.sums.center):
            inputs = np.concatenate([block for block, _ in self._standard_blocks(self.rows)])
            _, roots, transposed = np.linalg.svd(inputs, full_matrices=False)
            values, vectors = roots**2, transposed.T
        else:
            values, vectors = np.linalg.eigh(self.sums.gram)
        return np.maximum(values, 0), vectors, vectors.T @ self.sums.cross

    def weights(self, penalty: float) -> np.ndarray:
        """[D, T] float64: (gram + penalty I)^-1 cross, for any penalty by the one decomposition."""
        values, vectors, cross = self._directions
        return vectors @ (cross / (values + penalty)[:, None])

    def uncertainty(self, inputs: np.ndarray, penalty: float) -> np.ndarray:
        """[N] how much of the noise's variance in the rows the prediction of other [N, D] inputs has."""
        values, vectors, _ = self._directions
        along = (inputs - self.sums.center) / self.sums.spread @ vectors
        return np.asarray(along**2 @ (values / (values + penalty) ** 2))

    def leave_one_out(self, penalties: np.ndarray) -> np.ndarray:
        """[P] mean squared error of rows by the map of all other rows, for each penalty."""
        values, vectors, cross = self._directions
        sample = self.rows.sample(LOO_ROWS)
        shrunk = 1.0 / (values[:, None] + penalties)  # [R, P]
        totals = np.zeros(len(penalties))
        for inputs, targets in self._standard_blocks(sample):
            along = inputs @ vectors
            # The error without row i is its residual / (1 - h_i), h_i the row's leverage on its own prediction:
            # 1/N through the mean, and the quadratic form through the weights. No map is fitted again.
            others = 1.0 - 1.0 / self.sums.count - (along**2) @ shrunk  # [B, P]
            for index, shrink in enumerate(shrunk.T):
                errors = targets - (along * shrink) @ cross
                totals[index] += (np.einsum("bt,bt->b", errors, errors) / others[:, index] ** 2).sum()
        return totals / (len(sample) * len(self.sums.offset))

    def _standard_blocks(self, rows: Rows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of deviations from the means, inputs divided by their spread."""
        for inputs, targets in rows.blocks():
            yield (inputs - self.sums.center) / self.sums.spread, targets - self.sums.offset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A fitted map and how well it does on items that it was not fitted on."""

    alignment: Alignment
    report: dict[str, Any]
    """Penalty, whether vectors are brought to length 1 first, and how many items it was fitted on."""
    full_gain: float
    """Gain at which mapped vectors would spread as widely as the texts do, however little they say."""

    def bolder(self) -> "Fit":
        """The fit for vectors that were shown to say something: with a larger gain where the cap holds it down."""
        if self.alignment.gain >= _LEAST_SPREAD * self.full_gain:
            return self
        gain = min(self.full_gain, _MAX_SHOWN_GAIN)
        alignment = replace(self.alignment, gain=gain)
        return replace(self, alignment=alignment, report={**self.report, "gain": gain})


def fit_alignment(
    vectors: np.ndarray,
    targets: np.ndarray,
    users: np.ndarray | None = None,
    *,
    selected_rows: np.ndarray | None = None,
) -> Fit:
    """Ridge from [M, D] vectors to [M, T] text vectors, on all of them or on the `selected_rows` [N] rows.

    The penalty, and whether vectors are first brought to length 1, are chosen by leave-one-out error. Rows are read
    by blocks and never copied as a whole. Raises UserError when fewer than 20 items have texts.
    """
    rows = Rows(inputs=vectors, targets=targets, selected_rows=selected_rows)
    if len(rows) < MIN_ITEMS:
        raise UserError(
            f"only {len(rows)} items have a text; at least {MIN_ITEMS} are needed to map a space",
            "give texts for more items with `text`, or let a pile of other texts help: `unpaired`",
        )
    ridges = [Ridge(rows), Ridge(replace(rows, prepare=unit))]
    errors = np.array([ridge.leave_one_out(np.array(_PENALTIES)) for ridge in ridges])  # [2, P]
    best, at = divmod(int(errors.argmin()), len(_PENALTIES))  # the first of equals leaves vectors as they are
    use_unit, penalty, ridge = bool(best), _PENALTIES[at], ridges[best]
    sums, weights = ridge.sums, ridge.weights(penalty)
    # Ridge shrinks predictions towards the mean text, where the reader was never trained: it answers better, and
    # says more, when mapped vectors spread around that mean as widely as real texts do.
    predicted = float(np.vdot(weights, sums.gram @ weights))
    full_gain = float(np.sqrt(sums.square / max(predicted, 1e-12)))
    gain = float(np.clip(full_gain, 1.0, _MAX_GAIN))
    user_center, user_spread = None, 1.0
    if users is not None:
        prepare = unit if use_unit else np.asarray
        user_sums = Sums.from_rows(Rows(inputs=users, targets=users[:, :0], prepare=prepare))
        user_center, user_spread = user_sums.center.astype(np.float32), user_sums.spread
    alignment = Alignment(
        dim=vectors.shape[1],
        encoder_dim=targets.shape[1],
        unit=use_unit,
        center=sums.center.astype(np.float32),
        spread=sums.spread,
        user_center=user_center,
        user_spread=user_spread,
        matrix=weights.astype(np.float32),
        offset=sums.offset.astype(np.float32),
        gain=gain,
    )
    report = {"penalty": penalty, "unit": use_unit, "gain": gain, "items": len(rows)}
    return Fit(alignment=alignment, report=report, full_gain=full_gain)
