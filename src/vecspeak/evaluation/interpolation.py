"""Interpolation: whether answers about points between two items say what lies between, system by system.

Knows vectors, texts and shares. Knows no model. Shape letters: P pairs, S shares of the way (t), T width, K attributes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.evaluation.intervals import Estimate, Series, difference
from vecspeak.evaluation.report import Measure
from vecspeak.evaluation.slopes import slope_series
from vecspeak.evaluation.wording import repeated

READER = "reader"
POINT = "point"
"""The points' own vectors in the place of answers: what the geometry gives."""

MEASURES = (
    Measure(
        key="sc",
        name="SC",
        what="Cosine of the answer with the point, by the reader's own encoder.",
        better="higher",
    ),
    Measure(
        key="lesser",
        name="lesser end",
        what="Cosine of the answer with whichever end it is farther from: high only where both ends are in it.",
        better="higher",
    ),
    Measure(
        key="both",
        name="both show",
        what="Share of answers that show an attribute which only the first end has, and one which only the second has, "
        "by the classifiers of real texts; counted where each end has one that the other lacks.",
        better="higher",
    ),
    Measure(
        key="follows",
        name="follows t",
        what="How much nearer the second end, and farther from the first, answers come over the whole way: slope on t "
        "of the difference of the two cosines.",
        better="higher",
    ),
    Measure(
        key="alike",
        name="neighbours alike",
        what="Cosine of neighbouring answers along one way.",
        better="",
    ),
    Measure(
        key="repeated",
        name="repeated",
        what="Share of the answers along one way that are nearly equal to another on it.",
        better="lower",
    ),
)
"""In the order of the table."""
BY_SHARE = ("sc", "lesser", "both")
"""What is told for each t too."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ways:
    """P pairs of items and the points between them."""

    shares: tuple[float, ...]
    """The S values of t."""
    points: np.ndarray
    """[P, S, T] unit vectors as they are read."""
    ends: np.ndarray
    """[P, 2, T] unit vectors of both ends as they are read."""
    only: np.ndarray
    """[P, 2, K] bool: which attributes that end has and the other lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemScores:
    """What one system reached, and how far the reader is from it."""

    key: str
    name: str
    what: str
    estimates: Mapping[str, Estimate]
    by_share: Mapping[str, Mapping[str, Estimate]]
    """For each t, as text, the measures that have a value at each."""
    reader_minus: Mapping[str, Estimate]
    """The reader minus this system, paired by pair; empty for the reader itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpolations:
    """One kind of pairs."""

    kind: str
    pairs: int
    shares: tuple[float, ...]
    pairs_with_attributes: int
    """Pairs of which each end has an attribute that the other lacks."""
    similarity: float
    """Mean cosine of the two ends as they are read."""
    systems: tuple[SystemScores, ...]


Found = dict[str, tuple[Series, np.ndarray | None]]
"""By measure one number a pair, and where it has a value at each t those [P, S]."""


def scored(
    ways: Ways,
    vectors: np.ndarray,
    shows: np.ndarray | None = None,
    texts: Sequence[Sequence[str]] | None = None,
) -> Found:
    """Scores of answers: their unit vectors [P, S, T], attributes that they show [P, S, K], and texts [P][S]."""
    to_point = (vectors * ways.points).sum(-1)
    to_ends = np.einsum("pst,pet->pse", vectors, ways.ends)
    lesser = to_ends.min(-1)
    found: Found = {
        "sc": (Series(to_point.mean(1)), to_point),
        "lesser": (Series(lesser.mean(1)), lesser),
        "follows": (slope_series(np.array(ways.shares), to_ends[..., 1] - to_ends[..., 0]), None),
        "alike": (Series((vectors[:, 1:] * vectors[:, :-1]).sum(-1).mean(1)), None),
    }
    if shows is not None:
        each = (shows[:, :, None] & ways.only[:, None]).any(-1).all(-1).astype(float)
        found["both"] = (Series(each.mean(1), ways.only.any(-1).all(-1).astype(float)), each)
    if texts is not None:
        found["repeated"] = (Series(np.array([repeated(of_one).values.mean() for of_one in texts])), None)
    return found


def system_scores(
    key: str, told: tuple[str, str], found: Found, reader: Found, shares: Sequence[float], *, seed: int = 0
) -> SystemScores:
    """Estimates over pairs, and the reader minus this system; `told` are its name and description."""
    estimates, by_share, minus = {}, {f"{share:g}": dict[str, Estimate]() for share in shares}, {}
    for measure in MEASURES:
        if measure.key not in found:
            continue
        series, each = found[measure.key]
        estimate = series.estimate(seed=seed)
        if estimate is None:
            continue
        estimates[measure.key] = estimate
        if measure.key in BY_SHARE and each is not None:
            for column, share in enumerate(shares):
                one = Series(each[:, column], series.weights).estimate(seed=seed)
                assert one is not None
                by_share[f"{share:g}"][measure.key] = one
        if key != READER and (gap := difference(reader[measure.key][0], series, seed=seed)) is not None:
            minus[measure.key] = gap
    return SystemScores(
        key=key, name=told[0], what=told[1], estimates=estimates, by_share=by_share, reader_minus=minus
    )
