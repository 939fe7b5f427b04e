"""Alignment: a closed-form map from a space into the vectors that a reader reads."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vecspeak.errors import UserError

Kind = Literal["item", "user", "made"]
_ARRAYS = ("center", "user_center", "matrix", "offset")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """`unit(gain * ((v - center) / spread) @ matrix + offset)`; the identity when there is no matrix."""

    dim: int
    """Width of the space (D)."""
    encoder_dim: int
    """Width of the vectors that the reader reads (T)."""
    unit: bool = False
    """Whether vectors are brought to length 1 first."""
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
        """What is saved as tensors."""
        named = {name: getattr(self, name) for name in _ARRAYS}
        return {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in named.items() if a is not None}

    def numbers(self) -> dict[str, Any]:
        """What is saved as JSON."""
        names = ("dim", "encoder_dim", "unit", "spread", "user_spread", "gain")
        return {name: getattr(self, name) for name in names}


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
