"""Axes: the coordinates and the principal components of a space, as directions with a standard deviation."""

from functools import lru_cache

import numpy as np

from vecspeak.errors import UserError
from vecspeak.spaces.space import Space

_ITEMS = 100_000
"""Items that a covariance is worked out on, evenly spread."""
_BLOCK = 8192
KINDS = {"axis": "coordinates", "pc": "principal components"}


def axis(space: Space, kind: str, number: int) -> tuple[np.ndarray, float]:
    """[D] float64 direction of length 1 of `axis(number)` or `pc(number)`, and the items' standard deviation along it.

    Coordinates count from 0, as in arrays; principal components from 1, the first with most variance. Raises UserError
    for a number that the space does not have, and for an axis along which no item differs.
    """
    first = 1 if kind == "pc" else 0
    last = space.dim - 1 + first
    if not first <= number <= last:
        raise UserError(
            f"the {KINDS[kind]} of {space.name} are {kind}({first}) to {kind}({last:,}), got {number}",
            f"type {kind}({first})",
        )
    if kind == "pc":
        variances, directions = principal_components(space)
        direction, variance = directions[number - 1], float(variances[number - 1])
    else:
        direction = np.eye(1, space.dim, number)[0]
        variance = float(covariance(space)[number, number])
    if not variance > 0:
        raise UserError(f"no item of {space.name} differs along {kind}({number})", "choose another")
    return direction, float(np.sqrt(variance))


@lru_cache(maxsize=2)
def covariance(space: Space) -> np.ndarray:
    """[D, D] float64 of the items, or of 100,000 of them."""
    rows = np.arange(0, space.num_items, max(1, space.num_items // _ITEMS))
    center = np.zeros(space.dim)
    for start in range(0, len(rows), _BLOCK):
        center += space.vectors[rows[start : start + _BLOCK]].sum(0, dtype=np.float64)
    center /= len(rows)
    total = np.zeros((space.dim, space.dim))
    for start in range(0, len(rows), _BLOCK):
        away = space.vectors[rows[start : start + _BLOCK]] - center
        total += away.T @ away
    return total / len(rows)


@lru_cache(maxsize=2)
def principal_components(space: Space) -> tuple[np.ndarray, np.ndarray]:
    """[D] variances, the largest first, and [D, D] directions, a row each; its largest number is positive."""
    values, vectors = np.linalg.eigh(covariance(space))
    variances, directions = np.maximum(values[::-1], 0), vectors.T[::-1]
    largest = directions[np.arange(len(directions)), np.abs(directions).argmax(1)]
    return variances, directions * np.sign(largest)[:, None]
