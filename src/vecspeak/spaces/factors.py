"""Factors: how the users of a factorization follow from their ratings; the numbers that travel with them.

Knows the settings of an alternating least squares, and how a rating becomes a confidence. Knows no vectors.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vecspeak.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorSettings:
    """What the equations of one more person need beside the items' vectors; checked when it is made."""

    alpha: float
    """Confidence that each step of rating above a person's own mean adds."""
    regularization: float
    """Added to the diagonal of the equations as it is, however many ratings there are."""
    lowest: float
    """Smallest rating that was given: alpha means something on this scale alone."""
    highest: float
    """Largest rating that was given."""

    def __post_init__(self) -> None:
        for what, number in (("alpha", self.alpha), ("regularization", self.regularization)):
            if not (math.isfinite(number) and number >= 0):
                raise UserError(
                    f"{what} must be 0 or more, and {number} was given", "give a finite number from 0"
                )
        if not (math.isfinite(self.lowest) and math.isfinite(self.highest) and self.lowest <= self.highest):
            raise UserError(
                f"ratings cannot go from {self.lowest:g} to {self.highest:g}", "give the smaller number first"
            )

    def confidences(self, ratings: np.ndarray, means: np.ndarray | float) -> np.ndarray:
        """[R] float64 from ratings [R] and the means [R] of those who gave them: 1 + alpha * max(rating - mean, 0)."""
        above: np.ndarray = np.maximum(np.asarray(ratings, dtype=np.float64) - means, 0)
        return 1.0 + self.alpha * above

    def to_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "FactorSettings":
        """What `to_dict` gave. Raises ValueError for anything else."""
        names = tuple(cls.__dataclass_fields__)
        if not isinstance(values, Mapping) or any(
            type(values.get(name)) not in (int, float) for name in names
        ):
            raise ValueError(f"settings of factors are four numbers ({', '.join(names)})")
        try:
            return cls(**{name: float(values[name]) for name in names})
        except UserError as error:
            raise ValueError(error.message) from error
