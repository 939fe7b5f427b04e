"""Estimators: how a direction is fitted to examples or to pairs, and tested on items that it was not fitted on."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from vecspeak.errors import UserError

Method = Literal["logistic", "ridge", "mean", "rank"]
EXAMPLE_METHODS: tuple[Method, ...] = ("logistic", "ridge", "mean")
"""What can be fitted to examples: two regressions, and the difference of two means."""

PENALTY = 0.01
"""Inverse strength (sklearn's C) of the penalty on the weights of standardized features."""
PAIR_PENALTY = 0.001
"""The same for differences of two items, of which a few items make many.

Of the penalties from 0.0001 to 0.03 the best on the crowd's 60 attributes in a space of ratings: held-out pair accuracy
0.704 on average, 0.692 with the other.
"""
_BLOCK = 4096
"""Rows that are standardized at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standardizer:
    """Coordinates in which a penalty means the same in every space, and the way back."""

    center: np.ndarray
    """[D] float64"""
    scales: np.ndarray
    """[D] float64, above 0."""
    basis: np.ndarray | None
    """[D, R] orthonormal where fewer items than dimensions take part: the penalised weights lie in their span."""

    @classmethod
    def from_vectors(cls, vectors: np.ndarray, used: np.ndarray, method: Method) -> "Standardizer":
        """Standardised by all of the vectors [N, D]; `used` are rows that are fitted on.

        The difference of means is taken as it is: its direction should be the way from one mean to the other.
        """
        center = vectors.mean(0, dtype=np.float64)
        scales = np.ones_like(center) if method == "mean" else _scales(vectors)
        basis = None
        if used.size < vectors.shape[1]:
            # L2-penalised weights are a combination of the rows they are fitted on: in an orthonormal basis of those
            # (R = rows) the problem has the same solution and R coordinates instead of D.
            basis = np.linalg.qr(((vectors[used] - center) / scales).T)[0]
        return cls(center=center, scales=scales, basis=basis)

    def features(self, vectors: np.ndarray) -> np.ndarray:
        """[M, D] vectors to [M, R] float32."""
        found = np.empty(
            (len(vectors), self.center.size if self.basis is None else self.basis.shape[1]), dtype=np.float32
        )
        for start in range(0, len(vectors), _BLOCK):  # what is between is in float64, and never as large
            block = (vectors[start : start + _BLOCK] - self.center) / self.scales
            found[start : start + _BLOCK] = block if self.basis is None else block @ self.basis
        return found

    def direction(self, weights: np.ndarray) -> np.ndarray:
        """[D] float64 unit vector of the raw space: the projection on it orders items as the weights do.

        Raises UserError where there is none.
        """
        # w . (v - center) / scales = (w / scales) . v - constant: dividing once more leads back to raw vectors
        raw = (weights if self.basis is None else self.basis @ weights) / self.scales
        norm = float(np.linalg.norm(raw))
        if not (math.isfinite(norm) and norm > 1e-12):
            raise UserError(
                "the vectors of items with it do not differ from those without; there is no direction",
                "choose other examples",
            )
        return np.asarray(raw / norm)


def _scales(vectors: np.ndarray) -> np.ndarray:
    """[D] standard deviation of each dimension, a tenth of their median at least.

    Without that floor a dimension that hardly varies (encoders have some) would take the whole direction.
    """
    deviations = vectors.std(0, dtype=np.float64)
    return np.maximum(deviations, max(0.1 * float(np.median(deviations)), 1e-12))


def first_of_equals(vectors: np.ndarray) -> np.ndarray:
    """[N] int64: for each row of vectors [N, D] the first row that is the same to the last bit; mostly itself."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(vector.tobytes(), row) for row, vector in enumerate(vectors)])


_SMALL = 2 * 10**7
"""Numbers in the features up to which one thread fits faster than several, which wait for each other."""


@contextmanager
def threads_for(features: np.ndarray) -> Iterator[None]:
    """As many threads as fits are fastest with: on one, 4,500 x 384 took a tenth of the processor time of two."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if features.size <= _SMALL else None):
        yield


class Estimator(Protocol):
    """What a direction is fitted to, in the coordinates of a standardizer."""

    def weights(self) -> np.ndarray:
        """[R] float64 weights."""
        ...

    def outcomes(self, seed: int) -> "Outcomes":
        """How the same fit does on items that it did not see."""
        ...

    def shuffled(self, rng: np.random.Generator) -> "Estimator":
        """The same with nothing to find."""
        ...

    def resampled(self, rng: np.random.Generator) -> "Estimator":
        """A bootstrap sample of the items."""
        ...


class Outcomes(Protocol):
    """What came of a cross-validation."""

    @property
    def value(self) -> float:
        """The score."""
        ...

    def drawn(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """[count] scores of bootstrap samples of the items."""
        ...


NUM_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConceptExamples:
    """Items that have it and items that do not."""

    features: np.ndarray
    """[M, R] float32"""
    has: np.ndarray
    """[M] bool"""
    method: Method = "logistic"

    def weights(self) -> np.ndarray:
        """By the method."""
        return _separated(self.features, self.has, self.method)

    def outcomes(self, seed: int) -> "PairWins":
        """Stratified 5-fold cross-validation.

        Items are compared within their fold: scores of two folds come from two fits, and comparing them with each other
        would put an unrelated concept below 0.5.
        """
        from sklearn.model_selection import StratifiedKFold

        folds = StratifiedKFold(NUM_FOLDS, shuffle=True, random_state=seed)
        won = np.empty(self.has.size)
        for train, test in folds.split(self.features, self.has):
            weights = _separated(self.features[train], self.has[train], self.method)
            won[test] = shares_won(self.features[test] @ weights, self.has[test])
        return PairWins(won=won, has=self.has)

    def shuffled(self, rng: np.random.Generator) -> "ConceptExamples":
        """Labels in another order."""
        return ConceptExamples(features=self.features, has=rng.permutation(self.has), method=self.method)

    def resampled(self, rng: np.random.Generator) -> "ConceptExamples":
        """As many of either side, drawn with replacement."""
        sides = (np.flatnonzero(self.has), np.flatnonzero(~self.has))
        drawn = np.concatenate([rng.choice(side, side.size) for side in sides])
        return ConceptExamples(features=self.features[drawn], has=self.has[drawn], method=self.method)


def _separated(features: np.ndarray, has: np.ndarray, method: Method) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression, RidgeClassifier

    if method == "mean":
        return np.asarray(features[has].mean(0, dtype=np.float64) - features[~has].mean(0, dtype=np.float64))
    if method == "ridge":
        # A logistic loss curves at most a quarter as much as a square: so its penalty is as strong as the other's.
        model = RidgeClassifier(alpha=4 / PENALTY, class_weight="balanced", solver="lsqr")
    else:
        model = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=1000)
    return np.asarray(model.fit(features, has).coef_, dtype=np.float64).ravel()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairWins:
    """How often each item was on the right side of those of the other side."""

    won: np.ndarray
    """[M] from 0 to 1."""
    has: np.ndarray
    """[M] bool"""

    @property
    def value(self) -> float:
        """The area under the ROC curve."""
        return float(self.won[self.has].mean())

    def drawn(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Both sides are drawn again."""
        # The AUC is a mean over either side; resampling both moves it by the two sides' moves, added up.
        positive, negative = self.won[self.has], self.won[~self.has]
        drawn = np.empty(count)
        for draw in range(count):
            moved = rng.choice(negative, negative.size).mean() - negative.mean()
            drawn[draw] = rng.choice(positive, positive.size).mean() + moved
        return drawn


def shares_won(scores: np.ndarray, has: np.ndarray) -> np.ndarray:
    """How often each item is on the right side of those of the other side, from 0 to 1: [M].

    For an item that has it, the share of items without it that score lower (ties count half); for one
    without it, the share of items with it that score higher. The mean over either side is the AUC.
    """
    won = np.empty(scores.size)
    for side, sign in ((has, 1.0), (~has, -1.0)):
        others = np.sort(sign * scores[~side])
        own = sign * scores[side]
        won[side] = (np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")) / (
            2 * others.size
        )
    return won


_REPEATS = 4
"""Partitions of the items into folds: of one only a fifth of the pairs have both items in one fold."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparisons:
    """Pairs of items of which one has more of it than the other."""

    features: np.ndarray
    """[I, R] float32 of the items that occur."""
    more: np.ndarray
    """[P] rows of the items that have more of it."""
    less: np.ndarray
    """[P] rows of the others."""
    counts: np.ndarray
    """[P] float: how often it was said."""

    def weights(self) -> np.ndarray:
        """Logistic loss of the differences, without an intercept."""
        return self._ranked(self.counts)

    def _ranked(self, counts: np.ndarray) -> np.ndarray:
        from sklearn.linear_model import LogisticRegression

        retained = np.flatnonzero(counts)
        # The loss does not change when a pair and its label are turned round, and a classifier wants two classes.
        sign = np.where(np.arange(retained.size) % 2, -1.0, 1.0).astype(np.float32)
        differences = self.features[self.more[retained]] - self.features[self.less[retained]]
        model = LogisticRegression(C=PAIR_PENALTY, fit_intercept=False, max_iter=1000)
        model.fit(sign[:, None] * differences, sign > 0, counts[retained])
        return np.asarray(model.coef_[0], dtype=np.float64)

    def outcomes(self, seed: int) -> "RankOrders":
        """Cross-validation by item: four times, items are cut into five folds.

        A pair is tested where both of its items lie in the fold that is left out, and fitted on where neither does, so
        nothing about a tested item is known. Pairs across folds take no part.
        """
        right, tested = np.zeros(self.more.size), np.zeros(self.more.size)
        rng = np.random.default_rng(seed)
        for _ in range(_REPEATS):
            fold = rng.permutation(len(self.features)) % NUM_FOLDS
            for out in range(NUM_FOLDS):
                inside = (fold[self.more] == out).astype(int) + (
                    fold[self.less] == out
                )  # items of a pair in the fold
                test = inside == 2
                counts = np.where(inside == 0, self.counts, 0.0)
                if not test.any() or np.count_nonzero(counts) < 2:
                    continue
                scores = self.features @ self._ranked(counts)
                ahead = scores[self.more[test]] - scores[self.less[test]]
                right[test] += (np.sign(ahead) + 1) / 2
                tested[test] += 1
        retained = tested > 0
        return RankOrders(
            right=right[retained] / tested[retained],
            counts=self.counts[retained],
            more=self.more[retained],
            less=self.less[retained],
            num_items=len(self.features),
        )

    def shuffled(self, rng: np.random.Generator) -> "Comparisons":
        """Every item's vector becomes another item's: the pairs stay as entangled as they are."""
        return self._with(self.counts, rng.permutation(len(self.features)))

    def resampled(self, rng: np.random.Generator) -> "Comparisons":
        """Items drawn with replacement; a pair counts as often as its items were drawn together."""
        for _ in range(100):
            drawn = np.bincount(rng.integers(len(self.features), size=len(self.features)))
            drawn = np.pad(drawn, (0, len(self.features) - drawn.size))
            counts = self.counts * drawn[self.more] * drawn[self.less]
            if np.count_nonzero(counts) > 1:
                return self._with(counts, np.arange(len(self.features)))
        return self

    def _with(self, counts: np.ndarray, order: np.ndarray) -> "Comparisons":
        return Comparisons(features=self.features[order], more=self.more, less=self.less, counts=counts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankOrders:
    """Which of the tested pairs were put in the right order."""

    right: np.ndarray
    """[P] from 0 to 1: the share of the partitions in which it was."""
    counts: np.ndarray
    """[P] float"""
    more: np.ndarray
    """[P] rows of items"""
    less: np.ndarray
    """[P]"""
    num_items: int

    @property
    def value(self) -> float:
        """Share of the judgements in the right order."""
        return float(np.average(self.right, weights=self.counts))

    def drawn(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Items are drawn again, and a pair counts as often as its items were drawn together.

        A pair belongs to two items, so resampling pairs would take pairs of one item for independent.
        """
        drawn = rng.multinomial(self.num_items, np.full(self.num_items, 1 / self.num_items), count)
        scores = np.full(count, np.nan)
        for draw, times in enumerate(drawn):
            weights = self.counts * times[self.more] * times[self.less]
            if weights.any():
                scores[draw] = np.average(self.right, weights=weights)
        return scores[np.isfinite(scores)]
