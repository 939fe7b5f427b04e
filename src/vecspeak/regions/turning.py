"""Turning: two spaces of one origin, the map that turns the later one onto the earlier, and how well it fits.

Orthogonal Procrustes (Schönemann 1966) on the unit vectors of the shared items, centred. Each item is judged by a map
that was fitted on other items, so a map that fits by heart is seen through; where no turn at all fits better, as of two
tables by one encoder, the vectors are compared as they are. Knows vectors and ids. Knows no regions and no noise.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from vecspeak.errors import UserError
from vecspeak.evaluation.intervals import Estimate, estimate
from vecspeak.spaces import Space
from vecspeak.spaces.neighbours import unit_rows

FEWEST = 20
"""Shared items that an alignment needs."""
EXACT = 1e-5
"""Residuals below this are rounding errors."""
BLOCK = 65_536
"""Items that are mapped at a time."""
MOST_FITTED, MOST_JUDGED = 20_000, 2000
"""Items that a map is fitted on, and that intervals and neighbours are of."""
_TRIMMED = 0.8
"""Share of the items that the second fit is on: those that the first leaves nearest, so that movers do not turn it."""
_ANCHOR = 1e-3
"""Length of the axes that are paired with themselves: directions that the items do not tell stay as they are."""
_UNRELATED = 0.95
"""Of the misfit of items paired at random: above it the two spaces are not shown to be related."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How well the later space is the earlier one, turned or as it is; all on items that no map was fitted on."""

    is_turned: bool
    """Whether the vectors are compared after a turn: where they fit no worse as they are, they stay so."""
    unexplained: Estimate
    """Share of the earlier vectors' variance that the later ones, turned or not, miss."""
    turned: float
    """The same with the turn: 0 is a mere turn."""
    unturned: float
    """The same without a turn: what the two share as they are."""
    shuffled: float
    """The same with a map fitted on items paired at random: what no relation looks like, about 1 or more."""
    scale: float
    """By which the centred later vectors are multiplied; below 1 where they are noisy copies."""
    lengths: float
    """Median length of a shared item's vector, later over earlier: directions are compared without it."""

    @property
    def is_unrelated(self) -> bool:
        """Whether nothing shows that the two are one space: items paired at random fit about as well."""
        return self.unexplained.high >= _UNRELATED * self.shuffled


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Two spaces of one width at length 1, and the rows [S] of the shared items in both."""

    before: Space
    after: Space
    rows_before: np.ndarray
    rows_after: np.ndarray
    lengths: float
    widths: tuple[int, int]

    @classmethod
    def of(cls, before: Space, after: Space) -> "Pair":
        """By the ids that both have. Raises UserError where they share fewer than 20."""
        shared = [item for item in before.ids if after.has(item)]
        if len(shared) < FEWEST:
            raise UserError(
                f"{before.name!r} and {after.name!r} share {len(shared)} ids, and an alignment needs {FEWEST}",
                "give two dates of one space, under the same ids",
            )
        rows = [np.array([space.index_of(item) for item in shared]) for space in (before, after)]
        width = max(before.dim, after.dim)
        ratio = np.median(after.lengths[rows[1]] / before.lengths[rows[0]])
        return cls(
            before=_widened(before, width),
            after=_widened(after, width),
            rows_before=rows[0],
            rows_after=rows[1],
            lengths=float(ratio),
            widths=(before.dim, after.dim),
        )

    def reversed(self) -> "Pair":
        """The same with the dates exchanged."""
        return dataclasses.replace(
            self,
            before=self.after,
            after=self.before,
            rows_before=self.rows_after,
            rows_after=self.rows_before,
        )


def check_spread(pair: Pair) -> None:
    """A space that is one direction has no variance to explain and nothing to turn."""
    for space, rows in ((pair.before, pair.rows_before), (pair.after, pair.rows_after)):
        if np.ptp(space.vectors[rows], axis=0).max() < EXACT:
            raise UserError(
                f"the {len(rows):,} shared items of {space.name!r} all point the same way, so nothing can be compared",
                "see how its vectors were made",
            )


def _widened(space: Space, width: int) -> Space:
    vectors = np.zeros((space.num_items, width), dtype=np.float32)
    for start in range(0, space.num_items, BLOCK):
        vectors[start : start + BLOCK, : space.dim] = unit_rows(space.vectors[start : start + BLOCK])
    vectors.flags.writeable = False
    return dataclasses.replace(space, vectors=vectors)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Turn:
    """`scale * (v - source) @ matrix + target`."""

    source: np.ndarray
    target: np.ndarray
    matrix: np.ndarray
    scale: float

    @classmethod
    def of(cls, source: np.ndarray, target: np.ndarray) -> "Turn":
        """Fit on paired rows [M, D], and where there are enough again without the fifth that fits worst."""
        first = cls._once(source, target)
        if _TRIMMED * len(source) <= source.shape[1]:
            return first  # fewer would no longer tell all directions
        residuals = first.residuals(source, target)
        kept = residuals <= np.quantile(residuals, _TRIMMED)
        return cls._once(source[kept], target[kept])

    @classmethod
    def _once(cls, source: np.ndarray, target: np.ndarray) -> "Turn":
        from scipy.linalg import orthogonal_procrustes

        source, target = source.astype(np.float64), target.astype(np.float64)
        centers = source.mean(0), target.mean(0)
        anchor = _ANCHOR * np.eye(source.shape[1])
        matrix, total = orthogonal_procrustes(
            np.vstack([source - centers[0], anchor]), np.vstack([target - centers[1], anchor])
        )
        size = float(((source - centers[0]) ** 2).sum())
        return cls(
            source=centers[0],
            target=centers[1],
            matrix=matrix,
            scale=float(total) / size if size > 0 else 1.0,
        )

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """[M, D] in the frame of the target."""
        found: np.ndarray = self.scale * (vectors - self.source) @ self.matrix + self.target
        return found

    def residuals(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """[M] distances of the mapped source from the target."""
        blocks = range(0, len(source), BLOCK)
        parts = [
            np.linalg.norm(self(source[start : start + BLOCK]) - target[start : start + BLOCK], axis=1)
            for start in blocks
        ]
        return np.concatenate(parts)

    @property
    def rigid(self) -> "Turn":
        """The turn without its scale, which would draw everything to the middle."""
        return dataclasses.replace(self, scale=1.0)

    @classmethod
    def none(cls, width: int) -> "Turn":
        """What leaves vectors as they are."""
        return cls(source=np.zeros(width), target=np.zeros(width), matrix=np.eye(width), scale=1.0)


def judge_turn(pair: Pair, seed: int) -> tuple[np.ndarray, Fit]:
    """[S] residual of every shared item by the map of the half it is not in, or by none, and how well that fits."""
    target = pair.before.vectors[pair.rows_before]
    source = pair.after.vectors[pair.rows_after]
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(target))
    mixed = source[draw.permutation(len(source))]
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    found = {name: np.empty(len(order)) for name in ("turned", "unturned", "shuffled", "whole")}
    scales = []
    for fitted, judged in (halves, halves[::-1]):
        some = fitted[:MOST_FITTED]
        turn = Turn.of(source[some], target[some])
        chance = Turn.of(mixed[some], target[some])
        scales.append(turn.scale)
        found["turned"][judged] = turn.residuals(source[judged], target[judged])
        found["unturned"][judged] = Turn.none(source.shape[1]).residuals(source[judged], target[judged])
        found["shuffled"][judged] = chance.residuals(mixed[judged], target[judged])
        found["whole"][judged] = np.linalg.norm(target[judged] - turn.target, axis=1)
    squares = {name: values**2 for name, values in found.items()}
    whole = float(squares["whole"].sum()) or 1.0
    missed = {name: float(values.sum()) / whole for name, values in squares.items()}
    is_turned = missed["turned"] < missed["unturned"]
    used = "turned" if is_turned else "unturned"
    some = order[:MOST_JUDGED]
    shares = squares[used][some] / np.maximum(squares["whole"][some], 1e-12)
    return found[used], Fit(
        is_turned=is_turned,
        unexplained=dataclasses.replace(
            estimate(shares, squares["whole"][some], seed=seed), value=missed[used]
        ),
        turned=missed["turned"],
        unturned=missed["unturned"],
        shuffled=missed["shuffled"],
        scale=float(np.mean(scales)),
        lengths=pair.lengths,
    )
