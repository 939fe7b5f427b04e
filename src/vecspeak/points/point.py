"""Point: one vector of a space and where it came from. Knows nothing of expressions, concepts or readers."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vecspeak.errors import UserError

PointKind = Literal["item", "user", "made"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """One place in a space that a reader can be asked about; it need not be an item."""

    space: str
    """Name of the space it lies in; for a user, the items' space, where users lie too."""
    vector: np.ndarray
    """[D] float32, read-only."""
    expression: str
    """How the point is written, in canonical form."""
    item_id: str | None
    """Set when the point is exactly one real item."""
    kind: PointKind
    """Whether it is one real item, lies among users (made of users and concepts only), or was made."""
    parents: tuple[str, ...]
    """Ids of the items it was made from, or that a person in it rated, in order of appearance: to show or leave out."""
    concepts: tuple[str, ...] = ()
    """Names of the concepts that moved it, in order of appearance."""
    notes: tuple[str, ...] = ()
    """What is to be known of it before anything is believed, in plain words."""

    def __post_init__(self) -> None:
        vector = np.array(self.vector, dtype=np.float32)
        if vector.ndim != 1 or vector.size == 0:
            raise UserError(f"a point needs one vector of shape [D], got shape {vector.shape}")
        if not np.isfinite(vector).all():
            raise UserError(
                f"the vector of {self.expression} holds NaN or infinite numbers; only finite ones are allowed"
            )
        vector.setflags(write=False)
        object.__setattr__(self, "vector", vector)
