"""The search for a map without pairs: many starts from signatures, few climbed on, more and more axes.

Shape letters: N and M vectors of the two sides, D and T numbers in each, K axes, F numbers in a signature.
"""

from dataclasses import dataclass, replace

import numpy as np

from vecspeak.model.alignment import unit
from vecspeak.model.unpaired.matching import Sides, closeness, improved, matched, orthogonal
from vecspeak.model.unpaired.signatures import signatures

AXES = (20, 40, 80)
"""Principal axes of both sides: the search is among the first, and the map is carried on to more."""
_SHARPNESS = {20: (6.0, 10.0), 40: (10.0, 20.0), 80: (15.0, 25.0)}
_SOFTER = {20: (5.0, 8.0), 40: (6.0, 12.0), 80: (8.0, 15.0)}
"""How sharply soft matches tell near from far, by the number of axes: in the search, and once the map is known."""
_ROUNDS = ((20, 6), (6, 12), (2, 25))
"""How many starts are climbed on, and by how many draws; the rest are left behind by their closeness."""
_LADDER_DRAWS, _KNOWN_DRAWS = 15, 40
_DRAWN, _MOST_DRAWN = 800, 1_500
_SIGNED = 2_500
"""Vectors of each side that signatures are worked out of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """A side's mean and principal axes."""

    mean: np.ndarray
    """[D] of the vectors at length 1."""
    axes: np.ndarray
    """[D, K] principal first."""

    @classmethod
    def of(cls, vectors: np.ndarray) -> "Axes":
        """The principal axes of [N, D] vectors, brought to length 1 first."""
        directions = unit(vectors.astype(np.float64))
        mean = directions.mean(0)
        deviations = directions - mean
        _, axes = np.linalg.eigh(deviations.T @ deviations)
        return cls(mean=mean, axes=axes[:, ::-1][:, : AXES[-1]])

    def deviations(self, vectors: np.ndarray) -> np.ndarray:
        """[N, D] of vectors at length 1."""
        found: np.ndarray = unit(vectors.astype(np.float64)) - self.mean
        return found

    def along(self, vectors: np.ndarray, count: int) -> np.ndarray:
        """[N, K] float32 of length 1: the first axes' part."""
        return unit(self.deviations(vectors) @ self.axes[:, :count]).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A map that a search found."""

    source: Axes
    target: Axes
    turn: np.ndarray
    """[K, K] from the source's axes to the target's, orthogonal."""

    def matrix(self) -> np.ndarray:
        """[D, T] from deviations to deviations."""
        count = len(self.turn)
        found: np.ndarray = self.source.axes[:, :count] @ self.turn @ self.target.axes[:, :count].T
        return found

    def mapped(self, vectors: np.ndarray) -> np.ndarray:
        """[N, T] directions of the deviations from the target's mean."""
        found: np.ndarray = unit(self.source.deviations(vectors) @ self.matrix())
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Clouds:
    """What a map is searched between."""

    source: np.ndarray
    """[N, D] vectors of the space."""
    target: np.ndarray
    """[M, T] vectors of the pile."""
    pairs: tuple[np.ndarray, np.ndarray] | None = None
    """[P, D] and [P, T] vectors of the same items."""

    def sides(self, source: Axes, target: Axes, count: int) -> Sides:
        """Both along so many axes."""
        pairs = self.pairs and (source.along(self.pairs[0], count), target.along(self.pairs[1], count))
        return Sides(
            source=source.along(self.source, count),
            target=target.along(self.target, count),
            pairs=pairs or None,
        )


def search(clouds: Clouds, seed: int = 0) -> Found:
    """The map of the highest closeness among many starts."""
    rng = np.random.default_rng(seed)
    source, target = Axes.of(clouds.source), Axes.of(clouds.target)
    count = min(AXES[0], source.axes.shape[1], target.axes.shape[1])
    sides = clouds.sides(source, target, count)
    judged = sides.drawn(_DRAWN, np.random.default_rng([seed, 1]))
    turns = _starts(clouds, sides, source, target, rng)
    for retained, draws in _ROUNDS:
        turns = sorted(turns, key=lambda turn: -closeness(judged, turn))[:retained]
        turns = [climbed(sides, turn, draws, rng) for turn in turns]
    best = max(turns, key=lambda turn: closeness(judged, turn))
    return carried_on(clouds, Found(source=source, target=target, turn=best), rng)


def climbed(
    sides: Sides, turn: np.ndarray, draws: int, rng: np.random.Generator, *, is_known: bool = False
) -> np.ndarray:
    """The map after steps on samples that are drawn anew: what fits one sample by chance does not hold the next."""
    axes = min((axes for axes in AXES if axes >= len(turn)), default=AXES[-1])
    sharpness, drawn = (_SOFTER[axes], _MOST_DRAWN) if is_known else (_SHARPNESS[axes], _DRAWN)
    for _ in range(draws):
        turn = improved(sides.drawn(drawn, rng), turn, sharpness, 2)
    return turn


def carried_on(clouds: Clouds, found: Found, rng: np.random.Generator, *, is_known: bool = False) -> Found:
    """The map with more and more axes; what it says of the first ones begins the next.

    A map that is known to be right is improved with larger samples, longer; a pair then counts like a soft match, as
    a hundred that weigh more would draw the map to themselves.
    """
    draws = _KNOWN_DRAWS if is_known else _LADDER_DRAWS
    most = min(found.source.axes.shape[1], found.target.axes.shape[1])
    for count in sorted({min(axes, most) for axes in AXES}):
        source, target = found.source.axes[:, :count], found.target.axes[:, :count]
        turn = orthogonal(source.T @ found.matrix() @ target)
        sides = clouds.sides(found.source, found.target, count)
        if is_known:
            sides = replace(sides, pair_weight=1.0)
        found = Found(
            source=found.source, target=found.target, turn=climbed(sides, turn, draws, rng, is_known=is_known)
        )
    return found


def _starts(
    clouds: Clouds, sides: Sides, source: Axes, target: Axes, rng: np.random.Generator
) -> list[np.ndarray]:
    """[K, K] maps, each by soft matches of other parts of the signatures, improved a little."""
    rows = rng.permutation(len(clouds.source))[:_SIGNED], rng.permutation(len(clouds.target))[:_SIGNED]
    ones = signatures(source.deviations(clouds.source[rows[0]]))
    others = signatures(target.deviations(clouds.target[rows[1]]))
    found = []
    for _ in range(_ROUNDS[0][0]):
        some = [rng.permutation(len(one))[:_DRAWN] for one in rows]
        part = Sides(
            source=sides.source[rows[0][some[0]]], target=sides.target[rows[1][some[1]]], pairs=sides.pairs
        )
        hints = _hints(ones, others, some, rng)
        turn = orthogonal(matched(part, np.exp(hints - hints.max(axis=1, keepdims=True))))
        turn = improved(part, turn, (3.0, 8.0), 4, hints)
        found.append(improved(part, turn, (10.0, 15.0), 3, hints / 3))
    return found


def _hints(
    ones: np.ndarray, others: np.ndarray, some: list[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """[N, M] log likelihoods of belonging together, by some of the signatures' principal parts, drawn by chance."""
    columns = np.sort(rng.permutation(ones.shape[1])[: rng.integers(6, ones.shape[1] + 1)])
    both = np.concatenate([ones[:, columns], others[:, columns]])
    values, axes = np.linalg.eigh(np.cov(both.T))
    retained = int(rng.choice([5, 10, 20, 40]))
    values, axes = values[::-1][:retained], axes[:, ::-1][:, :retained]
    power, strength = rng.choice([0.5, 1.0]), rng.choice([0.5, 1.0, 2.0, 3.0])
    scales = np.maximum(values, 1e-6) ** (-power / 2)
    one, other = (
        side[rows][:, columns] @ (axes * scales) for side, rows in zip((ones, others), some, strict=True)
    )
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    found: np.ndarray = (-strength / 2 * squares / (values * scales**2).mean()).astype(np.float32)
    return found
