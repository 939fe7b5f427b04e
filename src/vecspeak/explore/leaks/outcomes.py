"""Outcomes: a figure over held-out items with what each item moves it by, so that any two can be compared, paired.

Every figure here is smooth in the items: to first order it is its value plus a sum of one influence an item (Hampel
1974), so that its standard error is the root of the sum of the squared influences, and that of a difference of two
figures of the same items is that of the influences' differences. For an AUC these are DeLong's placements (1988).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vecspeak.stats import Estimate

_Z = 1.96


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """A figure of T items."""

    value: float
    influences: np.ndarray
    """[T] how much each moves it."""
    least: float = 0.0
    """What it cannot be below; above 1 it can never be."""

    @classmethod
    def mean(cls, values: np.ndarray) -> "Outcome":
        """Mean of one number from 0 to 1 an item."""
        middle = float(values.mean()) if len(values) else 0.0
        return cls(value=middle, influences=(values - middle) / max(len(values), 1))

    @classmethod
    def constant(cls, value: float, count: int) -> "Outcome":
        """What is known without looking."""
        return cls(value=value, influences=np.zeros(count))

    @property
    def error(self) -> float:
        """Standard error; where all items agree that of the rule of three."""
        error = float(np.sqrt((self.influences**2).sum()))
        return max(error, 3 / (_Z * len(self.influences)) if self.value in (0.0, 1.0) else 0.0)

    @property
    def estimate(self) -> Estimate:
        """With its 95% interval."""
        away = _Z * self.error
        return Estimate(self.value, max(self.value - away, self.least), min(self.value + away, 1.0))

    def beyond(self, other: "Outcome") -> tuple[Estimate, float]:
        """The paired difference with its interval, and the one-sided chance of such a one if there were none."""
        from scipy.stats import t

        count = len(self.influences)
        error = float(np.sqrt(((self.influences - other.influences) ** 2).sum()))
        error = max(error, 0.5 / count)  # all items may agree
        gap = self.value - other.value
        chance = float(t.sf(gap / error, max(count - 1, 1)))
        return Estimate(gap, gap - _Z * error, gap + _Z * error), chance


def hits(guessed: np.ndarray, has: Any) -> Outcome:
    """Share of the guessed terms [T, G], the surest first, that an item has by the sparse [T, V] `has`.

    An item that has three terms is asked for three: 1 can be reached by all. A guess of -1 is none.
    """
    counts = np.diff(has.indptr)
    wanted = np.minimum(counts, guessed.shape[1])
    rows = np.repeat(np.arange(len(guessed)), guessed.shape[1])
    true = np.asarray(has[rows, np.maximum(guessed, 0).ravel()]).reshape(guessed.shape) > 0
    asked = np.arange(guessed.shape[1]) < wanted[:, None]
    return Outcome.mean((true & asked & (guessed >= 0)).sum(1) / np.maximum(wanted, 1))


def balanced_accuracy(scores: np.ndarray, classes: np.ndarray) -> Outcome:
    """Mean over the classes of the share of their items [T] whose highest score [T, C] is their own."""
    right = (scores.argmax(1) == classes).astype(float)
    numbers = np.unique(classes)
    influences = np.zeros(len(classes))
    shares = []
    for number in numbers:
        inside = classes == number
        share = right[inside].mean()
        influences[inside] = (right[inside] - share) / (inside.sum() * len(numbers))
        shares.append(share)
    return Outcome(value=float(np.mean(shares)), influences=influences)


def mean_auc(scores: np.ndarray, has: np.ndarray) -> tuple[Outcome, np.ndarray]:
    """Mean area under the ROC curve over terms [T, V], and that of each; every term is had by some, lacked by some.

    Its influences are those of every term's AUC, averaged.
    """
    from scipy.stats import rankdata

    aucs = np.empty(has.shape[1])
    influences = np.zeros(len(has))
    for place in range(has.shape[1]):
        positive, column = has[:, place], scores[:, place]
        ranks = rankdata(column)
        many, few = (~positive).sum(), positive.sum()
        below = (ranks[positive] - rankdata(column[positive])) / many
        above = 1 - (ranks[~positive] - rankdata(column[~positive])) / few
        aucs[place] = below.mean()
        influences[positive] += (below - aucs[place]) / few
        influences[~positive] += (above - aucs[place]) / many
    value = float(aucs.mean()) if len(aucs) else 0.5
    return Outcome(value=value, influences=influences / max(len(aucs), 1)), aucs


def aucs_of(scores: np.ndarray, has: np.ndarray) -> np.ndarray:
    """[V] area under the ROC curve of each term; the same figures without the influences, in a tenth of the time."""
    from scipy.stats import rankdata

    few = has.sum(0)
    above = (rankdata(scores, axis=0) * has).sum(0) - few * (few + 1) / 2
    return np.asarray(above / (few * (len(has) - few)))


def auc_chances(aucs: np.ndarray, has: np.ndarray) -> np.ndarray:
    """[V] one-sided chance of such an AUC where scores say nothing (Mann and Whitney)."""
    from scipy.special import ndtr

    few = has.sum(0)
    many = len(has) - few
    return np.asarray(ndtr(-(aucs - 0.5) / np.sqrt((len(has) + 1) / (12.0 * few * many))))


def rank_correlation(scores: np.ndarray, values: np.ndarray) -> Outcome:
    """Spearman's correlation of scores with values [T]; 0 where either is all the same."""
    from scipy.stats import rankdata

    if len(values) < 3 or not np.ptp(scores) or not np.ptp(values):
        return Outcome(value=0.0, influences=np.zeros(max(len(values), 1)), least=-1.0)
    x, y = (_standard(rankdata(one)) for one in (scores, values))
    found = float((x * y).mean())
    return Outcome(value=found, influences=(x * y - found * (x**2 + y**2) / 2) / len(x), least=-1.0)


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()
