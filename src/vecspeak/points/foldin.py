"""Folding in: a vector for a person who is not in the table, from what they rated.

One half-step of alternating least squares for implicit feedback (Hu, Koren and Volinsky 2008, equation 4): the items
stay as they are, and the person is what these equations give,

    (Y'Y + Y'(C - I)Y + regularization I) x = Y'C p

where Y are the items' vectors, C the confidences, and p is 1 for what was rated and 0 for the rest. The same equations
give an item from the people who rated it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak.errors import UserError
from vecspeak.points.lookup import find_item
from vecspeak.spaces.io import FactorSettings, load_factor_settings, load_users
from vecspeak.spaces.space import Space

_BLOCK = 16384
"""Rows that are multiplied at a time: float64 without a second table of that size."""
_SCALE_ROUNDING = 1e-6
"""The ends of the scale were read as float32."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldIn:
    """How one more person gets a vector in a space that was factorized."""

    settings: FactorSettings
    """Those of the factorization."""
    _grams: list[tuple[Space, np.ndarray]] = field(default_factory=list, init=False, repr=False)
    """Y'Y of the space that was last asked for, which all of its people share."""

    def vector(self, items: Space, ratings: Mapping[str, float]) -> np.ndarray:
        """[D] float32 of a person who gave these ratings, by ids of items.

        Ratings above the person's own mean say what they like, and the others that they chose it: one rating, or
        equal ones, tell of contact alone. Raises UserError for no ratings, unknown ids, and ratings that are no
        numbers or off the scale of the space.
        """
        found = self._solved(items, ratings, by_item=False)
        if not found.any():
            raise UserError(
                "these ratings cancel each other out, so they give no vector", "give more ratings"
            )
        return found.astype(np.float32)

    def parts(self, items: Space, ratings: Mapping[str, float]) -> np.ndarray:
        """[R, D] float64: what each rated item adds to the vector of the person, in their order; they sum to it.

        Raises UserError as `vector` does.
        """
        return self._solved(items, ratings, by_item=True).T

    def _solved(self, items: Space, ratings: Mapping[str, float], *, by_item: bool) -> np.ndarray:
        """[D] the person's vector, or [D, R] what each rated item adds to it."""
        if not ratings:
            raise UserError("a person who rated nothing has no vector", 'give ratings, as in {"Heat": 5}')
        rows = [find_item(items, item, by_id=True) for item in ratings]
        values = np.array(
            [self._checked(items, row, value) for row, value in zip(rows, ratings.values(), strict=True)]
        )
        # ratings above the person's own mean raise the confidence: a strict and a generous rater count the
        # same
        confidences = self.settings.confidences(values, values.mean())
        return half_step(
            self.gram(items), items.vectors[rows], confidences, self.settings.regularization, by_item=by_item
        )

    def gram(self, items: Space) -> np.ndarray:
        """[D, D] float64 Y'Y, worked out once a space."""
        if not self._grams or self._grams[0][0] is not items:
            self._grams[:] = [(items, gram_of(items.vectors))]
        return self._grams[0][1]

    def _checked(self, items: Space, row: int, value: float) -> float:
        lowest, highest = self.settings.lowest, self.settings.highest
        # the ends were stored as float32: 4.9 may have come back as 4.900000095
        room = _SCALE_ROUNDING * max(abs(lowest), abs(highest))
        if math.isfinite(value) and lowest - room <= value <= highest + room:
            return float(value)
        raise UserError(
            f"ratings of {items.name} go from {lowest:g} to {highest:g}, and {items.labels[row]!r} has {value:g}",
            "give ratings on that scale",
        )


def users_beside(path: Path) -> dict[str, Any]:
    """The users beside a saved space, and how one more would be made where that is known: arguments of `fit`."""
    users = load_users(path) if path.suffix == ".parquet" else None
    settings = load_factor_settings(path) if users is not None else None
    return {"users": users, "fold_in": FoldIn(settings=settings) if settings else None}


def gram_of(vectors: np.ndarray) -> np.ndarray:
    """[D, D] float64: Y'Y of vectors [N, D], summed in float64, a block of rows at a time."""
    # float64 sums of float32 rows, without a float64 copy of the whole table
    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK].astype(np.float64)
        total += block.T @ block
    return total


def half_step(
    gram: np.ndarray,
    vectors: np.ndarray,
    confidences: np.ndarray,
    regularization: float,
    *,
    by_item: bool = False,
) -> np.ndarray:
    """[D] float64: the person of ratings with these confidences [R] of items [R, D]; or the item of those who rated it.

    `gram` [D, D] is Y'Y of all. Where the equations leave it open (no regularization, and fewer items than numbers),
    the shortest vector. `by_item` gives [D, R] instead, the share of each rated item: the equations are linear in them.
    """
    # Y'CY = Y'Y + Y'(C - I)Y, and C - I is 0 for what was not rated: a sum over the R rated rows alone, where
    # Y'Y is shared by all people. lstsq instead of solve: without regularization and with few items the
    # system is singular.
    rated = vectors.astype(np.float64)
    equations = gram + (rated.T * (confidences - 1.0)) @ rated + regularization * np.eye(len(gram))
    wanted = rated.T * confidences if by_item else rated.T @ confidences
    solved: np.ndarray = np.linalg.lstsq(equations, wanted, rcond=None)[0]
    return solved
