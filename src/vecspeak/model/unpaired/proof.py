"""The proof without labels: two searches that share nothing find one map, and chance does not.

Space and pile are halved, and a map is searched for with each half. Two maps that have neither a vector nor a text
in common can only agree on what both halves hold. Where a search fails it ends somewhere else each time, so that it is
seen, and tried again. The same is done with two spaces that cannot be aligned: the space's coordinates along its
principal axes, each shuffled by itself, and Gaussian vectors of its covariance. No pair takes part, except those that
are given to all searches.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vecspeak.model.alignment import unit
from vecspeak.model.unpaired.search import Clouds, Found, carried_on, search

LEAST_AGREEMENT, LEAST_LEAD = 0.4, 0.2
"""What is wanted of a space, and how much it must exceed made spaces."""
ATTEMPTS = 3
"""Searches with each half at most, until two agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How far the maps of two halves agree, of a space and of what chance makes of it.

    An agreement is the mean cosine of what two maps make of a vector, as deviations from the mean text: 1 for the same
    map. Of several attempts it is that of the two maps that agree best.
    """

    agreement: float
    attempts: int
    """Searches with each half."""
    shuffled: float | None = None
    """Of the space with its coordinates shuffled; None where the space's own settles it."""
    gaussian: float | None = None
    """Of Gaussian vectors of its covariance."""

    @property
    def holds(self) -> bool:
        """Whether the maps agree, and those of made spaces by far less."""
        made = [one for one in (self.shuffled, self.gaussian) if one is not None]
        return self.agreement >= LEAST_AGREEMENT and all(self.agreement - one >= LEAST_LEAD for one in made)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """The figures in a clause."""
        named = (("shuffled vectors", self.shuffled), ("random vectors", self.gaussian))
        chance = ", ".join(f"{what} {one:.2f}" for what, one in named if one is not None)
        beside = chance or f"at least {LEAST_AGREEMENT} is wanted"
        return f"maps of two halves that share nothing agree by {self.agreement:.2f} ({beside})"


def prove(clouds: Clouds, seed: int = 0) -> tuple[Proof, Found]:
    """The proof for a space, and the map of all its vectors.

    Made spaces are searched, as often as the space was, only where its own figure does not settle it.
    """
    proof, found = agreed(clouds, seed)
    if not proof.holds:
        return proof, found
    made = [
        agreed(_made(make, clouds, seed), seed, attempts=proof.attempts)[0].agreement
        for make in (shuffled, gaussian)
    ]
    proof = Proof(agreement=proof.agreement, attempts=proof.attempts, shuffled=made[0], gaussian=made[1])
    return proof, carried_on(clouds, found, np.random.default_rng([seed, 5]))


def agreed(clouds: Clouds, seed: int, *, attempts: int = ATTEMPTS) -> tuple[Proof, Found]:
    """Searches with both halves until two agree or the attempts are used up; one map of the two that agree best."""
    found: tuple[list[Found], list[Found]] = ([], [])
    best: tuple[float, Found] | None = None
    for attempt in range(attempts):
        for half, (part, known) in enumerate(zip(halves(clouds, seed), found, strict=True)):
            known.append(search(part, 100 * seed + 10 * attempt + half))
        ones, others = ([one.mapped(clouds.source) for one in side] for side in found)
        means = [(float(np.einsum("nt,nt->n", a, b).mean()), n) for n, a in enumerate(ones) for b in others]
        agreement, number = max(means)
        best = agreement, found[0][number]
        if agreement >= LEAST_AGREEMENT:
            break
    assert best is not None
    return Proof(agreement=best[0], attempts=len(found[0])), best[1]


def halves(clouds: Clouds, seed: int) -> tuple[Clouds, Clouds]:
    """The clouds with one half of both sides, and with the other; known pairs are in both."""
    rng = np.random.default_rng([seed, 2])
    order, other = rng.permutation(len(clouds.source)), rng.permutation(len(clouds.target))
    one, two = (
        Clouds(
            source=clouds.source[np.sort(order[start::2])],
            target=clouds.target[np.sort(other[start::2])],
            pairs=clouds.pairs,
        )
        for start in (0, 1)
    )
    return one, two


def _made(make: Callable[[np.ndarray, int], np.ndarray], clouds: Clouds, seed: int) -> Clouds:
    """The clouds with a made space; where pairs are known, as many of its vectors get the pairs' texts."""
    made = make(clouds.source, seed)
    pairs = None if clouds.pairs is None else (made[: len(clouds.pairs[0])], clouds.pairs[1])
    return Clouds(source=made, target=clouds.target, pairs=pairs)


def shuffled(vectors: np.ndarray, seed: int) -> np.ndarray:
    """[N, D] the vectors with each coordinate along their principal axes shuffled by itself."""
    rng = np.random.default_rng([seed, 3])
    mean, axes = _principal(vectors)
    found: np.ndarray = mean + rng.permuted((unit(vectors) - mean) @ axes, axis=0) @ axes.T
    return found


def gaussian(vectors: np.ndarray, seed: int) -> np.ndarray:
    """[N, D] normal vectors of the same mean and covariance."""
    rng = np.random.default_rng([seed, 4])
    mean, axes = _principal(vectors)
    spread = ((unit(vectors) - mean) @ axes).std(0)
    found: np.ndarray = mean + (rng.normal(size=vectors.shape) * spread) @ axes.T
    return found


def _principal(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = unit(vectors).mean(0)
    deviations = (unit(vectors) - mean).astype(np.float64)
    return mean, np.linalg.eigh(deviations.T @ deviations)[1]
