"""The proof without labels: two searches that share nothing find one map, it fills the pile's place, chance does not.

Space and pile are halved, and a map is searched for with each half. Two maps that have neither a vector nor a text
in common can only agree on what both halves hold; where a search fails it ends somewhere else each time, so that it is
seen, and tried again. Clouds of another shape may be laid into each other in one best way too: so the mapped vectors of
the half that a map did not see must lie as densely among the pile's as either lies among its own. The searches are
repeated with two spaces that cannot be aligned: the space's coordinates along its principal axes, each shuffled by
itself, and Gaussian vectors of its covariance. No pair takes part, except those that are given to all searches.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from vecspeak.model.alignment import unit
from vecspeak.model.unpaired.matching import Sides, closeness
from vecspeak.model.unpaired.search import AXES, Axes, Clouds, Found, carried_on, search

LEAST_AGREEMENT, LEAST_LIKENESS, LEAST_LEAD = 0.45, 0.8, 0.1
"""What is wanted of a space, and how much its agreement must exceed that of made spaces.

Of seventeen spaces they were set on (`experiments/LOG.md`), maps that were right agree by 0.54 and more and are alike
by 0.87 and more; others agree by 0.37 and less, or are alike by 0.77 and less.
"""
ATTEMPTS = 3
"""Searches with each half at most, until two agree."""
_JUDGED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How far the maps of two halves agree, of a space and of what chance makes of it.

    An agreement is the mean cosine of what two maps make of a vector, along the pile's first 20 axes: 1 for the same
    map. Of several attempts it is that of the two maps that agree best.
    """

    agreement: float
    likeness: float
    """The density of mapped vectors among the pile's and the other way round, over that of each among its own, as a
    geometric mean: 1 where both clouds are one. Of vectors and texts that the map did not see."""
    attempts: int
    """Searches with each half."""
    shuffled: float | None = None
    """Of the space with its coordinates shuffled; None where the space's own settles it."""
    gaussian: float | None = None
    """Of Gaussian vectors of its covariance."""

    @property
    def holds(self) -> bool:
        """Whether the maps agree, more than those of made spaces, and the mapped vectors fill the pile's place."""
        if self.agreement < LEAST_AGREEMENT or self.likeness < LEAST_LIKENESS:
            return False
        made = [one for one in (self.shuffled, self.gaussian) if one is not None]
        return all(self.agreement - one >= LEAST_LEAD for one in made)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """The figures in a clause."""
        named = (("shuffled vectors", self.shuffled), ("random vectors", self.gaussian))
        chance = ", ".join(f"{what} {one:.2f}" for what, one in named if one is not None)
        beside = chance or f"at least {LEAST_AGREEMENT} is wanted"
        return (
            f"maps of two halves that share nothing agree by {self.agreement:.2f} ({beside}), and the mapped vectors "
            f"lie like the texts by {self.likeness:.2f} (at least {LEAST_LIKENESS} is wanted)"
        )


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
    proof = replace(proof, shuffled=made[0], gaussian=made[1])
    return proof, carried_on(clouds, found, np.random.default_rng([seed, 5]), is_known=True)


def agreed(clouds: Clouds, seed: int, *, attempts: int = ATTEMPTS) -> tuple[Proof, Found]:
    """Searches with both halves until two agree or the attempts are used up; one map of the two that agree best."""
    parts, axes = halves(clouds, seed), Axes.of(clouds.target).axes[:, : AXES[0]]
    found: tuple[list[Found], list[Found]] = ([], [])
    for attempt in range(attempts):
        for half, part in enumerate(parts):
            found[half].append(search(part, 100 * seed + 10 * attempt + half))
        agreement, one, other = _nearest(clouds.source, axes, found)
        if agreement >= LEAST_AGREEMENT:
            break
    likenesses = [likeness(one, parts[1], parts[0]), likeness(other, parts[0], parts[1])]
    return Proof(agreement=agreement, likeness=float(np.mean(likenesses)), attempts=len(found[0])), one


def _nearest(
    vectors: np.ndarray, axes: np.ndarray, found: tuple[list[Found], list[Found]]
) -> tuple[float, Found, Found]:
    """The two maps, one of each half, whose [N, D] mapped vectors agree best along the axes, and by how much."""
    ones, others = ([unit(one.mapped(vectors) @ axes) for one in side] for side in found)
    cosines = np.array([[np.einsum("nk,nk->n", one, other).mean() for other in others] for one in ones])
    number, with_number = np.unravel_index(int(cosines.argmax()), cosines.shape)
    return float(cosines.max()), found[0][number], found[1][with_number]


def likeness(found: Found, unseen: Clouds, seen: Clouds) -> float:
    """How like two clouds are the mapped vectors of the half that a map did not see and the texts of that half."""
    count = min(AXES[0], len(found.turn))
    axes = found.target.axes[:, :count]
    mapped, also_mapped = (unit(found.mapped(part.source) @ axes) for part in (unseen, seen))
    texts, also_texts = (found.target.along(part.target, count) for part in (unseen, seen))
    among = [_density(mapped, texts), _density(mapped, also_mapped), _density(texts, also_texts)]
    return float(np.exp(among[0] - (among[1] + among[2]) / 2))


def _density(ones: np.ndarray, others: np.ndarray) -> float:
    """Mean log density of a sample of [N, K] directions among [M, K] others, and the other way round."""
    rng = np.random.default_rng(0)
    sides = Sides(source=ones.astype(np.float32), target=others.astype(np.float32)).drawn(_JUDGED, rng)
    return closeness(sides, np.eye(ones.shape[1], dtype=np.float32))


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
