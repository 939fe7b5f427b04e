"""Mislabels: values of columns that an item's own vector and its neighbours speak against.

A ridge regression from vectors to values says of each item how much it looks like one that has a value, each item by
the fit of all others. Among the items that have the value, the great majority gives the spread; an item whose own value
lies below it at a false discovery rate of 5% is held improbable, and is called mislabelled where its nearest items
agree: hardly one of them has the value, and more of them have another. Values that vectors do not tell, which is asked
with the values shuffled, are not judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecspeak.explore.contrast import LEVEL, FeatureTable, discovery_rates
from vecspeak.explore.neighbourhoods import Neighbourhoods
from vecspeak.lexicon.readout import fit_ridge
from vecspeak.stats import auc

FEWEST = 20
"""Items that must have a value, and lack it."""
_READ = 0.7
"""AUC of a value below which vectors do not tell it, so that nothing is said of it."""
_MAD = 0.37
"""How many of its values a spread by medians is worth, beside a standard deviation."""
_BLOCK = 512
_GROUP = 3
"""Mislabels of one value that are a group of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mislabel:
    """An item with a value that is improbable."""

    row: int
    column: str
    value: str
    instead: str
    """The value of the column that is most over-represented among its neighbours."""
    depth: float
    """How far below what is usual of items with the value, in standard deviations."""
    share: float
    """Part of its neighbours that have the value."""
    share_instead: float

    @property
    def sureness(self) -> tuple[float, float]:
        """How surely the value is wrong: what more of its neighbours have the other value, then the depth."""
        return self.share_instead - self.share, self.depth


@dataclass(frozen=True, slots=True, kw_only=True)
class Mislabels:
    """The mislabelled items of a space."""

    found: tuple[Mislabel, ...]
    """Worst first."""
    num_pairs: int
    """Pairs of an item and a value of its own that were judged."""
    num_values: int
    """Values that were judged."""
    unread: int
    """Values that vectors do not tell, and of which nothing is said."""
    of_shuffled: float
    """Share of values given to an item without it that would be found."""


def by_value(found: Sequence[Mislabel]) -> list[list[Mislabel]]:
    """Mislabels by column and value, and a column's rarer ones together; larger groups and the surest items first."""
    groups: dict[tuple[str, str], list[Mislabel]] = {}
    for one in sorted(found, key=lambda one: (*(-part for part in one.sureness), one.row)):
        groups.setdefault((one.column, one.value), []).append(one)
    rare: dict[str, list[Mislabel]] = {}
    for column, value in [pair for pair, some in groups.items() if len(some) < _GROUP]:
        rare.setdefault(column, []).extend(groups.pop((column, value)))
    together = [sorted(some, key=lambda one: one.sureness, reverse=True) for some in rare.values()]
    return sorted([*groups.values(), *together], key=lambda some: (-len(some), -some[0].depth))


def mislabels(known: Neighbourhoods, values: FeatureTable, rows: np.ndarray, seed: int) -> Mislabels:
    """Find improbable values; `values` are those of all items, of which the rows [R] are judged."""
    table = values.matrix[rows].tocsc()
    counts = np.asarray(table.sum(0)).ravel()
    enough = np.flatnonzero((counts >= FEWEST) & (len(rows) - counts >= FEWEST))
    if not len(enough):
        return Mislabels(found=(), num_pairs=0, num_values=0, unread=0, of_shuffled=0.0)
    has = table[:, enough].tocsr()
    has.data = np.ones_like(has.data, np.float32)
    vectors = known.space.vectors[rows]
    fit = fit_ridge(vectors, has)
    scores = np.concatenate([
        fit.left_out(vectors, has, np.arange(start, min(start + _BLOCK, len(rows))))
        for start in range(0, len(rows), _BLOCK)
    ])  # fmt: skip
    votes = _votes(known, values, rows, enough)
    columns = np.array([values.columns[place] for place in enough])
    draw = np.random.default_rng(seed)
    judged = [_judged(scores[:, one], has[:, one], draw) for one in range(len(enough))]
    usable = [one for one, found in enumerate(judged) if found is not None]
    return _found(rows, usable, judged, votes, columns, [values.names[place] for place in enough])


def _votes(known: Neighbourhoods, values: FeatureTable, rows: np.ndarray, enough: np.ndarray) -> np.ndarray:
    """[R, V] share of each row's nearest items that have each value."""
    from scipy.sparse import csr_matrix

    near = known.near[known.places()[rows]]
    size = near.shape[1]
    owners = np.repeat(np.arange(len(rows)), size)
    lists = csr_matrix((np.full(near.size, 1 / size), (owners, near.ravel())), (len(rows), len(known.first)))
    held = values.matrix[:, enough].astype(np.float64)
    held.data[:] = 1
    return np.asarray((lists @ held).todense())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judged:
    """One value: who has it, how far below the usual each lies, and the same of some that have it not."""

    holders: np.ndarray
    depths: np.ndarray
    chances: np.ndarray
    base: float
    given: np.ndarray
    """[G] places of items that have it not."""
    of_given: np.ndarray
    """[G] depths of these."""


def _judged(scores: np.ndarray, has: Any, draw: np.random.Generator) -> _Judged | None:
    """None for a value that vectors do not tell."""
    from scipy.stats import t

    truth = np.asarray(has.todense()).ravel() > 0
    area = auc(scores, truth)
    if area is None or area < _READ:
        return None
    holders = np.flatnonzero(truth)
    middle = float(np.median(scores[holders]))
    spread = max(1.4826 * float(np.median(np.abs(scores[holders] - middle))), 1e-6)
    depths = (middle - scores[holders]) / spread
    given = draw.permutation(np.flatnonzero(~truth))[: len(holders)]
    return _Judged(
        holders=holders,
        depths=depths,
        # by Student's distribution: the spread itself is known by few items
        chances=t.sf(depths, _MAD * (len(holders) - 1)),
        base=float(truth.mean()),
        given=given,
        of_given=(middle - scores[given]) / spread,
    )


def _found(
    rows: np.ndarray,
    usable: list[int],
    judged: list[_Judged | None],
    votes: np.ndarray,
    columns: np.ndarray,
    names: list[str],
) -> Mislabels:
    from scipy.stats import t

    parts = [(one, part) for one in usable if (part := judged[one]) is not None]
    if not parts:
        return Mislabels(found=(), num_pairs=0, num_values=0, unread=len(judged), of_shuffled=0.0)
    chances = np.concatenate([part.chances for _, part in parts])
    rates = discovery_rates(chances)
    limit = chances[rates < LEVEL].max() if (rates < LEVEL).any() else LEVEL / len(chances)
    found, of_shuffled = [], []
    bases = np.array([part.base if part is not None else 0.0 for part in judged])
    for one, part in parts:
        same = np.flatnonzero(columns == columns[one])
        agrees = _neighbours_agree(votes, one, same, bases)
        for place, chance, depth in zip(part.holders.tolist(), part.chances, part.depths, strict=True):
            if chance <= limit and agrees[place]:
                other = int(same[(votes[place, same] - bases[same]).argmax()])
                found.append(
                    Mislabel(
                        row=int(rows[place]),
                        column=str(columns[one]),
                        value=names[one],
                        instead=names[other],
                        depth=float(depth),
                        share=float(votes[place, one]),
                        share_instead=float(votes[place, other]),
                    )
                )
        # the depth that this chance is for a value of so many items
        least = t.isf(limit, _MAD * (len(part.holders) - 1))
        of_shuffled.append((part.of_given >= least) & agrees[part.given])
    return Mislabels(
        found=tuple(sorted(found, key=lambda one: (-one.depth, one.row))),
        num_pairs=len(chances),
        num_values=len(parts),
        unread=len(judged) - len(parts),
        of_shuffled=float(np.concatenate(of_shuffled).mean()),
    )


def _neighbours_agree(votes: np.ndarray, one: int, same: np.ndarray, bases: np.ndarray) -> np.ndarray:
    """[R] whether the neighbours hardly have a value, and another of its column more than usual."""
    others = same[same != one]
    if not len(others):
        return votes[:, one] <= min(0.1, bases[one] / 2)
    best = (votes[:, others] - bases[others]).max(1)
    return np.asarray(
        (votes[:, one] <= np.maximum(0.1, bases[one] / 2)) & (best > votes[:, one] - bases[one])
    )
