"""Concept: a named direction of a space, what it takes to trust it, and its JSON file."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from vecspeak.display import bar, bullets, element, table
from vecspeak.errors import UserError, nearest_rows
from vecspeak.points.judgements import Pairs
from vecspeak.points.parser import check_concept_name
from vecspeak.points.queries import cells_of, is_numeric, key
from vecspeak.spaces.point import Arithmetic, Direction
from vecspeak.spaces.space import Space
from vecspeak.storage import read_json, write_json

FORMAT_VERSION = 2
"""Version of the file; a reader refuses newer ones. Version 1 had no chance, no stability and an AUC only."""

Measure = Literal["AUC", "pair accuracy", ""]
"""What a score is of; empty where nothing could be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How often the right one of two is put higher, on items that the direction was not fitted on; 0.5 is a coin's.

    Of examples that is the area under the ROC curve, of pairs the share of pairs in the right order.
    """

    value: float
    low: float
    """Lower end of the 95% interval: bootstrap over items."""
    high: float
    """Upper end of it."""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1 or not 0 <= self.value <= 1:
            raise UserError(
                f"the score is {self.value:g} ({self.low:g} to {self.high:g}); all three must lie between 0 and 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """The same score of the same fit where there is nothing to find: labels, or items, shuffled."""

    mean: float
    high: float
    """95th percentile of the draws."""
    draws: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """Cosine between the direction and those fitted again to bootstrap samples of the items."""

    mean: float
    low: float
    """5th percentile of the refits."""
    refits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Variance:
    """How much of the items' variance lies along the direction, beside random directions."""

    share: float
    random: float
    """Mean share of random directions: one in the number of dimensions."""
    random_high: float
    """95th percentile of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Concept(Arithmetic):
    """A direction that stands for something items have more or less of; checked when it is made."""

    name: str
    """The word that expressions call it by."""
    space: str
    """Name of the space it was fitted on."""
    space_digest: str
    """Digest of that space: in another the direction means nothing."""
    direction: np.ndarray
    """[D] float32, unit norm, read-only; points towards having it."""
    scale: float
    """Standard deviation of the items' projections on the direction: what amount 1 moves by."""
    method: str
    """How the direction was fitted."""
    source: str = ""
    """What counted as having it, such as "genres = Horror"."""
    positives: int = 0
    """Items that had it; 0 for pairs and texts."""
    negatives: int = 0
    """Items that did not."""
    pairs: int = 0
    """Judgements "this has more of it than that"; 0 for examples and texts."""
    items: int = 0
    """Different items in the pairs."""
    raters: int = 0
    """People who gave them; 0 where that is not known."""
    measure: Measure = ""
    score: Score | None = None
    """None where nothing says which items have it."""
    chance: Chance | None = None
    """None without a score, and in files of older versions."""
    stability: Stability | None = None
    """None where nothing was fitted, and in files of older versions."""
    variance: Variance | None = None
    """None in files of older versions."""
    overlap: Mapping[str, float] = field(default_factory=dict)
    """Cosine with every other concept of the space when it was saved, by name."""

    def __post_init__(self) -> None:
        check_concept_name(self.name)
        direction = np.array(self.direction, dtype=np.float32)
        norm = float(np.linalg.norm(direction.astype(np.float64)))
        if direction.ndim != 1 or not math.isclose(norm, 1.0, abs_tol=1e-3):
            raise UserError(
                f"the direction of {self.name} has shape {direction.shape} and length {norm:g}; "
                "it must be one vector of length 1",
                "fit the concept again",
            )
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise UserError(
                f"the scale of {self.name} is {self.scale:g}; it must be above 0", "fit the concept again"
            )
        direction.setflags(write=False)
        object.__setattr__(self, "direction", direction)

    def __repr__(self) -> str:
        score = f", {self.measure} {self.score.value:.3f}" if self.score else ""
        return f"Concept({self.name!r} in {self.space}{score}, {self.source or self.method})"

    def _repr_html_(self) -> Markup:
        """What it was fitted from, and its score beside that of shuffled labels and a coin's; shown by notebooks."""
        rows = []
        if self.score:
            score = f"{self.score.value:.3f} [{self.score.low:.3f}, {self.score.high:.3f}]"
            rows.append([f"{self.measure} on items that it was not fitted on", bar(self.score.value, score)])
        if self.chance:
            shuffled = f"{self.chance.mean:.3f}, 95% below {self.chance.high:.3f}"
            rows.append(["with shuffled labels", bar(self.chance.mean, shuffled)])
        if self.stability:
            rows.append(["cosine with refits", bar(self.stability.mean, f"{self.stability.mean:.3f}")])
        if self.variance:
            beside = f"{self.variance.share:.2%} ({self.variance.random:.2%} of a random direction)"
            rows.append(["share of the variance", bar(self.variance.share, beside)])
        head = element("p", element("strong", self.name), f" in {self.space}, {self.source or self.method}")
        return element("div", head, table([], rows), bullets((self.caution,) if self.caution else ()))

    def as_term(self) -> Direction:
        """One standard deviation along it, for sums: `space["Heat"] + 2 * funny`."""
        step = self.scale * self.direction.astype(np.float64)
        return Direction(space=self.space, vector=step, expression=self.name, concepts=(self.name,))

    @property
    def beats_chance(self) -> bool | None:
        """Whether the score's low end is above the 95th percentile of chance; None where one is not known.

        That is stricter than either alone, on purpose: whoever fits sixty concepts would otherwise keep two or three
        that mean nothing.
        """
        if self.score is None or self.chance is None:
            return None
        return self.score.low > self.chance.high

    @property
    def caution(self) -> str:
        """One line on why not to trust it, for whoever uses it; empty when there is no reason."""
        if self.score is None:
            return f"{self.name} comes from a text alone: no item was checked against it"
        if self.chance is None:
            return f"{self.name} was fitted by an older version: chance was not measured"
        if not self.beats_chance:
            return (
                f"{self.name} does not beat chance: {self.measure} {self.score.value:.3f} ({self.score.low:.3f} to "
                f"{self.score.high:.3f}), shuffled {self.chance.high:.3f}"
            )
        return ""

    @property
    def is_trusted(self) -> bool:
        """Whether there is nothing to be cautious of."""
        return not self.caution

    def facts(self) -> dict[str, Any]:
        """Everything but the direction, as JSON takes it."""
        values = {name: getattr(self, name) for name in (*_KINDS, *_NUMBERS)}
        values = {name: _plain(value) for name, value in values.items() if name != "direction"}
        return values | {"beats_chance": self.beats_chance, "caution": self.caution}


def overlaps(concept: Concept, others: Mapping[str, Concept]) -> dict[str, float]:
    """Cosine of a concept's direction with those of all others of its space, by name, the nearest line first."""
    found = {
        name: float(concept.direction.astype(np.float64) @ other.direction)
        for name, other in others.items()
        if name != concept.name
    }
    return dict(sorted(found.items(), key=lambda one: -abs(one[1])))


def save_concept(concept: Concept, path: str | Path) -> None:
    """Write the concept as JSON, whole or not at all."""
    # The shortest decimal that gives the same float32 back keeps the file small and the round trip exact.
    direction = [float(str(number)) for number in concept.direction]
    fields = {name: _plain(getattr(concept, name)) for name in (*_KINDS, *_NUMBERS)}
    write_json(path, {"format_version": FORMAT_VERSION, **fields, "direction": direction})


def load_concept(path: str | Path, space: Space) -> Concept:
    """Read a concept for use in this space; files of version 1 too.

    Raises UserError for a file that is broken, of a newer format, of another width, or fitted on other
    content than the space holds now.
    """
    try:
        read = read_json(path)
    except UserError as error:
        raise UserError(error.message, _REFIT) from error
    concept = _concept(_checked(read, path), path)
    _check_space(concept, path, space)
    return concept


_REFIT = "remove that file, then fit it again with `VecSpeak.fit_concept(...)`"
"""One broken file keeps the whole bundle from opening, so the file has to go before anything can be fitted."""

_KINDS: dict[str, Any] = {
    "name": str,
    "space": str,
    "space_digest": str,
    "scale": (int, float),
    "method": str,
    "source": str,
    "positives": int,
    "negatives": int,
    "pairs": int,
    "items": int,
    "raters": int,
    "measure": str,
    "overlap": dict,
    "direction": list,
}
"""What each field of the file must be."""

_NUMBERS: dict[str, Any] = {"score": Score, "chance": Chance, "stability": Stability, "variance": Variance}
"""Fields of the file that are null, or the numbers of one of these."""


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return dict(value) if isinstance(value, Mapping) else value


def _is(value: Any, kind: Any) -> bool:
    """Of that type; no bool for a number, nor NaN or an infinity, which JSON cannot hold."""
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    return not isinstance(value, float) or math.isfinite(value)


def _checked(content: Any, path: str | Path) -> dict[str, Any]:
    """The content of a file of any known version, as this version would write it."""
    version: Any = content.get("format_version") if isinstance(content, dict) else None
    if not _is(version, int) or version < 1:
        raise UserError(f"{path} is no concept file: it has no format_version", _REFIT)
    if version > FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {version}; this vecspeak reads up to {FORMAT_VERSION}",
            "pip install --upgrade vecspeak",
        )
    values: dict[str, Any] = _migrated(content) if version == 1 else content
    for name, kind in _KINDS.items():
        if not _is(values.get(name), kind):
            raise _wrong(path, name)
    if values["measure"] not in get_args(Measure):
        raise _wrong(path, "measure")
    if not all(_is(cosine, (int, float)) for cosine in values["overlap"].values()):
        raise _wrong(path, "overlap")
    return values


def _wrong(path: str | Path, name: str) -> UserError:
    return UserError(f"{path} is no concept file: {name} is missing or of the wrong type", _REFIT)


def _migrated(content: dict[str, Any]) -> dict[str, Any]:
    score = {"value": content.get("auc"), "low": content.get("auc_low"), "high": content.get("auc_high")}
    absent = {"pairs": 0, "items": 0, "raters": 0, "overlap": {}}
    return {**content, **absent, "measure": "AUC", "score": score}


def _concept(content: dict[str, Any], path: str | Path) -> Concept:
    if not all(type(number) in (int, float) for number in content["direction"]):
        raise UserError(f"{path} is no concept file: direction holds something else than numbers", _REFIT)
    try:
        numbers = {name: _numbers(content.get(name), kind, name, path) for name, kind in _NUMBERS.items()}
        return Concept(**{name: content[name] for name in _KINDS}, **numbers)
    except (UserError, OverflowError) as error:
        if isinstance(error, UserError) and error.hint == _REFIT:
            raise
        message = error.message if isinstance(error, UserError) else error
        raise UserError(f"{path} is broken: {message}", _REFIT) from error


def _numbers(values: Any, kind: Any, name: str, path: str | Path) -> Any:
    if values is None:
        return None
    names = [one.name for one in dataclasses.fields(kind)]
    if not isinstance(values, dict) or not all(_is(values.get(one), (int, float)) for one in names):
        raise _wrong(path, name)
    return kind(**{one: values[one] for one in names})


def _check_space(concept: Concept, path: str | Path, space: Space) -> None:
    refit = f"{_REFIT} on {space.name}" + (f" from {concept.source}" if concept.source else "")
    if concept.direction.size != space.dim:
        raise UserError(
            f"{path} has width {concept.direction.size}; {space.name} needs {space.dim}",
            refit,
        )
    if concept.space_digest != space.digest:
        raise UserError(
            f"{path} was fitted on other content of {concept.space} (digest {concept.space_digest[:12]}) "
            f"than {space.name} holds now (digest {space.digest[:12]})",
            refit,
        )


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
    def of(cls, vectors: np.ndarray, used: np.ndarray, method: Method) -> "Standardizer":
        """Standardised by all of the vectors [N, D]; `used` are rows that are fitted on.

        The difference of means is taken as it is: its direction should be the way from one mean to the other.
        """
        center = vectors.mean(0, dtype=np.float64)
        scales = np.ones_like(center) if method == "mean" else _scales(vectors)
        basis = None
        if used.size < vectors.shape[1]:
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
    """What a direction is fitted to, in the coordinates of a frame."""

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
                inside = (fold[self.more] == out).astype(int) + (fold[self.less] == out)
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


SHUFFLES = 20
"""Fits to shuffled labels, and refits to bootstrap samples."""

MOST_ITEMS = 10_000
"""Above so many items all of this is measured on a sample: fewer items are more cautious, never less."""

_NUM_RESAMPLES = 1000
_RANDOM_DIRECTIONS = 200
FOLDED = math.sqrt(1 + NUM_FOLDS / (NUM_FOLDS - 1))
"""How much wider the interval of examples is than resampling held-out scores makes it.

Folds share training items, so their scores vary together, which resampling does not see (the variance of
Nadeau and Bengio 2003). On shuffled labels the plain interval covered 0.5 in 82 to 87% of runs, this one in
92 to 95%. Pairs need none of it: resampling the items that pairs share is wide enough, and covered 0.5 in 150 of 160
runs on shuffled items.
"""


def score(outcomes: Outcomes, seed: int, *, stretch: float = 1.0) -> Score:
    """The score with its 95% interval: items are drawn again and again, and the spread is stretched."""
    drawn = outcomes.drawn(np.random.default_rng(seed), _NUM_RESAMPLES)
    value = outcomes.value
    low, high = value + stretch * (np.percentile(drawn, [2.5, 97.5]) - value)
    low, high = min(float(low), value), max(float(high), value)
    return Score(value=value, low=max(low, 0.0), high=min(high, 1.0))


def chance(evidence: Estimator, seed: int) -> Chance:
    """The same fit with the same cross-validation where there is nothing to find, twenty times."""
    rng = np.random.default_rng(seed)
    scores = [evidence.shuffled(rng).outcomes(seed).value for _ in range(SHUFFLES)]
    return chance_of(np.array(scores))


def chance_of(scores: np.ndarray) -> Chance:
    """From [S] scores of fits to nothing."""
    return Chance(mean=float(scores.mean()), high=float(np.percentile(scores, 95)), draws=len(scores))


def stability(evidence: Estimator, frame: Standardizer, direction: np.ndarray, seed: int) -> Stability:
    """Cosine of a direction [D] with twenty refits to bootstrap samples of the items."""
    rng = np.random.default_rng(seed)
    cosines = np.array([_cosine(evidence.resampled(rng), frame, direction) for _ in range(SHUFFLES)])
    return Stability(mean=float(cosines.mean()), low=float(np.percentile(cosines, 5)), refits=SHUFFLES)


def _cosine(evidence: Estimator, frame: Standardizer, direction: np.ndarray) -> float:
    try:
        return float(frame.direction(evidence.weights()) @ direction)
    except UserError:  # what was drawn says nothing, which is as unstable as can be
        return 0.0


def variance(vectors: np.ndarray, direction: np.ndarray, seed: int) -> Variance:
    """How much of the variance of vectors [N, D] lies along a direction [D], beside random directions."""
    rng = np.random.default_rng(seed)
    if len(vectors) > MOST_ITEMS:
        vectors = vectors[np.sort(rng.choice(len(vectors), MOST_ITEMS, replace=False))]
    total = float(vectors.var(0, dtype=np.float64).sum())
    others = rng.standard_normal((vectors.shape[1], _RANDOM_DIRECTIONS))
    others /= np.linalg.norm(others, axis=0)
    shares = (vectors @ np.column_stack([direction, others])).var(0) / max(total, 1e-300)
    return Variance(
        share=float(shares[0]),
        random=float(shares[1:].mean()),
        random_high=float(np.percentile(shares[1:], 95)),
    )


__all__ = [
    "Concept",
    "concept_from_direction",
    "concept_from_metadata",
    "concept_from_pairs",
    "fit_concept",
    "load_concept",
    "metadata_mask",
    "overlaps",
    "save_concept",
]

MIN_EXAMPLES = 5
"""Fewest items with, and without, a concept that one can be fitted from: one for each fold."""
MIN_PAIR_ITEMS = 10
"""Fewest different items in pairs: two for each fold."""
MIN_TESTED = 10
"""Fewest different pairs that must be left to test on, both of their items unseen."""

_LEAST_SPREAD = 1e-7
"""Of the items along a direction, over their usual length: below are rounding errors of float32."""

_LISTED_AT_MOST = 10
"""How many allowed values an error names."""


def fit_concept(
    space: Space,
    name: str,
    positive: np.ndarray,
    *,
    negative: np.ndarray | None = None,
    method: Method = "logistic",
    seed: int = 0,
    source: str = "",
) -> Concept:
    """Fit the direction from items that have a concept (True in the mask [N]) to items that do not.

    Without a mask of the negative ones all other items are. Raises UserError for a bad name or method, a mask that
    does not fit the space, an item that is both, fewer than 5 items, or 5 different vectors, on either side, and
    vectors that do not differ between the two.
    """
    check_concept_name(name)
    if method not in EXAMPLE_METHODS:
        raise UserError(
            f"there is no method {method!r} for examples; there is {', '.join(EXAMPLE_METHODS)}",
            "use method='logistic'",
        )
    has, used = _checked_masks(space, name, positive, negative)
    frame = Standardizer.of(space.vectors, used, method)
    features = frame.features(space.vectors if used.size == len(space) else space.vectors[used])
    evidence = ConceptExamples(features=features, has=has, method=method)
    with threads_for(features):
        direction = _direction(frame, evidence, name)
    sample = _sampled(_different(evidence, space.vectors[used], name), seed)
    with threads_for(sample.features):
        measured = {
            "score": score(sample.outcomes(seed), seed, stretch=FOLDED),
            "chance": chance(sample, seed),
            "stability": stability(sample, frame, direction, seed),
        }
    return _as_concept(
        space,
        name,
        direction,
        method=method,
        source=source,
        seed=seed,
        positives=int(has.sum()),
        negatives=int((~has).sum()),
        measure="AUC",
        **measured,
    )


def _as_concept(
    space: Space,
    name: str,
    direction: np.ndarray,
    *,
    method: str,
    source: str,
    seed: int,
    **measured: Any,
) -> Concept:
    scale = float(np.std(space.vectors @ direction))
    if scale <= _LEAST_SPREAD * float(np.median(space.lengths)):
        raise UserError(
            f"the items of {space.name} do not vary along {name}, so there is nothing to count amounts in",
            "choose other examples, or another text",
        )
    return Concept(
        name=name,
        space=space.name,
        space_digest=space.digest,
        direction=direction.astype(np.float32),
        scale=scale,
        method=method,
        source=source,
        variance=variance(space.vectors, direction, seed),
        **measured,
    )


def _checked_masks(
    space: Space, name: str, positive: np.ndarray, negative: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """[M] whether each item that is used has it, and [M] the rows that are used."""
    has = _checked_mask(space, name, positive)
    lacks = ~has if negative is None else _checked_mask(space, name, negative)
    if both := np.flatnonzero(has & lacks).tolist():
        raise UserError(
            f"{space.labels[both[0]]!r} is given as having {name} and as lacking it", "leave it on one side"
        )
    if min(has.sum(), lacks.sum()) < MIN_EXAMPLES:
        raise UserError(
            f"{int(has.sum())} items have {name} and {int(lacks.sum())} do not; "
            f"a concept needs at least {MIN_EXAMPLES} of each",
            "choose a value that more items have and more lack, or name more items",
        )
    used = np.flatnonzero(has | lacks)
    return has[used], used


def _checked_mask(space: Space, name: str, given: np.ndarray) -> np.ndarray:
    mask = np.asarray(given)
    if mask.dtype != np.bool_ or mask.shape != (space.num_items,):
        raise UserError(
            f"the mask of {name} has type {mask.dtype} and shape {mask.shape}; {space.name} needs "
            f"one truth value for each of its {space.num_items} items",
            "give a numpy array of bool",
        )
    return mask


def _direction(frame: Standardizer, evidence: ConceptExamples | Comparisons, name: str) -> np.ndarray:
    try:
        return frame.direction(evidence.weights())
    except UserError as error:
        raise UserError(f"there is no direction of {name}: {error.message}", error.hint) from error


def _different(evidence: ConceptExamples, vectors: np.ndarray, name: str) -> ConceptExamples:
    """One item of each vector on a side.

    Copies of one item would be fitted on and tested on: labels by chance then came out at an AUC of 0.96, trusted.
    """
    equals = 2 * first_of_equals(vectors) + evidence.has
    retained = np.sort(np.unique(equals, return_index=True)[1])
    has = evidence.has[retained]
    if min(has.sum(), (~has).sum()) < MIN_EXAMPLES:
        raise UserError(
            f"the items with {name} have {int(has.sum())} different vectors, and those without {int((~has).sum())}; "
            f"a concept needs at least {MIN_EXAMPLES} of each, for copies of an item show nothing",
            "choose a value that more items have and more lack, or name more items",
        )
    return ConceptExamples(features=evidence.features[retained], has=has, method=evidence.method)


def _sampled(evidence: ConceptExamples, seed: int) -> ConceptExamples:
    """Enough items to measure on: where there are too many, those of the larger side are left out first."""
    if evidence.has.size <= MOST_ITEMS:
        return evidence
    rng = np.random.default_rng(seed)
    sides = [np.flatnonzero(evidence.has), np.flatnonzero(~evidence.has)]
    smaller = min(side.size for side in sides)
    most = max(MOST_ITEMS // 2, MOST_ITEMS - smaller)
    retained = np.sort(
        np.concatenate([rng.choice(side, min(side.size, most), replace=False) for side in sides])
    )
    return ConceptExamples(
        features=evidence.features[retained], has=evidence.has[retained], method=evidence.method
    )


def concept_from_metadata(
    space: Space,
    name: str,
    column: str,
    value: str | float | bool,
    *,
    method: Method = "logistic",
    seed: int = 0,
) -> Concept:
    """Fit a concept from the items whose metadata column holds the value to all others; see `metadata_mask`."""
    mask = metadata_mask(space, column, value)
    return fit_concept(space, name, mask, method=method, seed=seed, source=f"{column} = {value}")


def metadata_mask(space: Space, column: str, value: str | float | bool) -> np.ndarray:
    """[N] whether an item's metadata column holds the value.

    A list holds it when one of its parts is the value. Upper and lower case do not matter, and a number may
    be given as text. An item with an empty cell counts as not having it. Raises UserError with the
    columns, or the nearest values, that there are.
    """
    if column not in space.metadata.column_names:
        raise UserError(f"{space.name} has no metadata column {column!r}", _columns_hint(space, column))
    found: pa.ChunkedArray = space.metadata.column(column)
    cells = cells_of(found)
    wanted = key(value, numeric=is_numeric(found.type))
    mask = np.array(
        [any(key(cell) == wanted for cell in cell_list if cell is not None) for cell_list in cells]
    )
    if not mask.any():
        raise _missing_value(space, column, value, cells)
    return mask


def _columns_hint(space: Space, column: str) -> str:
    names = space.metadata.column_names
    near = nearest_rows(column, names) or range(min(_LISTED_AT_MOST, len(names)))
    return f"columns there are: {', '.join([names[row] for row in near])}" if names else "it has none at all"


def _missing_value(space: Space, column: str, value: object, cells: list[list[object]]) -> UserError:
    counts: dict[str, int] = {}
    for cell_list in cells:
        for text in {str(cell) for cell in cell_list if cell is not None}:
            counts[text] = counts.get(text, 0) + 1
    names = list(counts)
    common = sorted(names, key=lambda text: -counts[text])[:_LISTED_AT_MOST]
    near = [names[row] for row in nearest_rows(str(value), names)]
    shown = common if len(names) <= _LISTED_AT_MOST else near or common
    bullets = ", ".join([f"{text[:40]} ({counts[text]} items)" for text in shown])
    return UserError(
        f"no item of {space.name} has {column} = {value}", f"values there are: {bullets or 'none'}"
    )


def concept_from_pairs(space: Space, name: str, pairs: Pairs, *, seed: int = 0, source: str = "") -> Concept:
    """Fit the direction along which the first item of a pair lies farther than the second.

    Items of one vector are one. Raises UserError for a bad name, fewer than 10 different items, and where fewer than
    10 pairs can be tested on items that took no part in the fit.
    """
    check_concept_name(name)
    items, evidence, frame = _comparisons(space, pairs)
    _check_enough(name, len(items), 0 if len(items) < MIN_PAIR_ITEMS else MIN_TESTED)
    with threads_for(evidence.features):
        outcomes = evidence.outcomes(seed)
        _check_enough(name, len(items), outcomes.right.size)
        direction = _direction(frame, evidence, name)
        measured = {
            "score": score(outcomes, seed),
            "chance": chance(evidence, seed),
            "stability": stability(evidence, frame, direction, seed),
        }
    return _as_concept(
        space,
        name,
        direction,
        method="rank",
        source=source,
        seed=seed,
        pairs=int(evidence.counts.sum()),
        items=len(items),
        raters=pairs.raters,
        measure="pair accuracy",
        **measured,
    )


def _comparisons(space: Space, pairs: Pairs) -> tuple[np.ndarray, Comparisons, Standardizer]:
    """One row for each different vector, so that no copy of a tested item is fitted on; copies tell no order."""
    items, places = np.unique(np.concatenate([pairs.more, pairs.less]), return_inverse=True)
    firsts, merged = np.unique(first_of_equals(space.vectors[items]), return_inverse=True)
    items, places = items[firsts], merged[places].reshape(2, -1)
    ordered, which = np.unique(places[:, places[0] != places[1]], axis=1, return_inverse=True)
    frame = Standardizer.of(space.vectors, items, "rank")
    evidence = Comparisons(
        features=frame.features(space.vectors[items]),
        more=ordered[0],
        less=ordered[1],
        counts=np.bincount(which.ravel(), pairs.counts[places[0] != places[1]], minlength=ordered.shape[1]),
    )
    return items, evidence, frame


def _check_enough(name: str, items: int, tested: int) -> None:
    if tested < MIN_TESTED:
        raise UserError(
            f"too few pairs for {name}: {items} items, and {tested} pairs to test on items that were not fitted on",
            f"give pairs of more items: {MIN_PAIR_ITEMS} items and {MIN_TESTED} such pairs are the least",
        )


def concept_from_direction(
    space: Space,
    name: str,
    direction: np.ndarray,
    *,
    method: str = "text",
    check: np.ndarray | None = None,
    seed: int = 0,
    source: str = "",
) -> Concept:
    """A concept of a direction [D] that no items were used for, such as a text's.

    There is nothing to hold out. With a mask [N] of the items that should have it, its score is their AUC, and chance
    is that of shuffled masks; without one it stays unchecked. Raises UserError for a bad name, a direction without
    length, and a mask that does not fit or has fewer than 5 items on a side.
    """
    check_concept_name(name)
    norm = float(np.linalg.norm(direction))
    if not (np.isfinite(norm) and norm > 1e-12):
        raise UserError(f"the direction of {name} has the length {norm:g}", "give another text")
    direction = np.asarray(direction, dtype=np.float64) / norm
    if check is None:
        return _as_concept(space, name, direction, method=method, source=source, seed=seed)
    has, _ = _checked_masks(space, name, check, None)
    along = space.vectors @ direction
    rng = np.random.default_rng(seed)
    shuffled = [PairWins(won=shares_won(along, drawn), has=drawn) for drawn in _permutations(has, rng)]
    return _as_concept(
        space,
        name,
        direction,
        method=method,
        source=source,
        seed=seed,
        positives=int(has.sum()),
        negatives=int((~has).sum()),
        measure="AUC",
        score=score(PairWins(won=shares_won(along, has), has=has), seed),
        chance=chance_of(np.array([wins.value for wins in shuffled])),
    )


def _permutations(has: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.permutation(has) for _ in range(SHUFFLES)]
