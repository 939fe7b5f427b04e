"""Contrast: what one set of items has more of than another, with intervals and a guard against chance.

Values are tested by the hypergeometric distribution (Fisher's exact test, one side), numbers by Mann and Whitney's
test, words by the log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi and Quinn 2008) and the exact
test together, where a text counts a word once, so that a hero's name in one long text is one. Many things are tested
at once: what counts as found has a false discovery rate (Benjamini and Hochberg 1995) below 5%.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from vecspeak.display import bar, element, table, to_frame
from vecspeak.errors import UserError
from vecspeak.points.queries import coded_values, is_listed, is_numeric
from vecspeak.spaces import Space
from vecspeak.spaces.splits import SPLIT_COLUMN
from vecspeak.stats import Estimate
from vecspeak.tables.cells import to_python
from vecspeak.tables.columns import TEXT_COLUMN
from vecspeak.tables.spelling import one_form

FEWEST = 5
"""Items that must have a value or a word for it to be counted: with fewer nothing can be shown."""
_LETTERS = 5000
"""Of a text that are read."""
_WORD = r"[^\W\d_]{3,}"
"""Three letters or more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureTable:
    """Which item has which feature."""

    columns: tuple[str, ...]
    """F columns that the features are of."""
    names: tuple[str, ...]
    """F values or words."""
    matrix: Any
    """[N, F] sparse, 1 where the item has the feature."""

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """[F] int64: how many of these items have each feature."""
        return np.asarray(self.matrix[rows].sum(axis=0)).ravel().astype(np.int64)

    def without(self, columns: Collection[str]) -> "FeatureTable":
        """The table without the features of some columns."""
        retained = [place for place, column in enumerate(self.columns) if column not in columns]
        return FeatureTable(
            columns=tuple(self.columns[place] for place in retained),
            names=tuple(self.names[place] for place in retained),
            matrix=self.matrix[:, retained],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """The facts of a space."""

    values: FeatureTable
    """Of columns of text, of yes and no, and of lists of them."""
    words: FeatureTable
    """Of the texts, each word once a text."""
    numbers: dict[str, np.ndarray]
    """[N] float64 by column; NaN where nothing is known."""

    @classmethod
    def from_space(cls, space: Space) -> "Facts":
        """Count what at least 5 items have; the texts, and the mark of what is held out, are no values."""
        columns = {
            name: space.metadata.column(name)
            for name in space.metadata.column_names
            if name not in (TEXT_COLUMN, SPLIT_COLUMN)
        }
        return cls(
            values=_values(columns, space.num_items),
            words=_word_facts(space),
            numbers={
                name: _number_facts(column) for name, column in columns.items() if is_number(column.type)
            },
        )

    def without(self, columns: Collection[str]) -> "Facts":
        """The facts without those of some columns."""
        if not columns:
            return self
        return Facts(
            values=self.values.without(columns),
            words=self.words.without(columns),
            numbers={name: column for name, column in self.numbers.items() if name not in columns},
        )


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of that type holds numbers, and no values."""
    return is_numeric(kind) and not is_listed(kind) and not pa.types.is_dictionary(kind)


def _number_facts(column: pa.ChunkedArray) -> np.ndarray:
    values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _values(columns: dict[str, pa.ChunkedArray], num_items: int) -> FeatureTable:
    from scipy.sparse import csr_matrix, hstack

    owners: list[str] = []
    names: list[str] = []
    parts = [csr_matrix((num_items, 0), dtype=np.int32)]
    for column, cells in columns.items():
        found = coded_values(cells)
        if found is None:
            continue
        rows, codes, values = found
        table = csr_matrix((np.ones(len(rows), dtype=np.int32), (rows, codes)), (num_items, len(values)))
        table.data[:] = 1  # a list that names a value twice has it once
        held = np.asarray(table.sum(axis=0)).ravel()
        retained = np.flatnonzero((held >= FEWEST) & (held < num_items))
        parts.append(table[:, retained])
        names += [values[code] for code in retained]
        owners += [column] * len(retained)
    return FeatureTable(columns=tuple(owners), names=tuple(names), matrix=hstack(parts, format="csr"))


def _word_facts(space: Space) -> FeatureTable:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    none = FeatureTable(columns=(), names=(), matrix=csr_matrix((space.num_items, 0), dtype=np.int32))
    if TEXT_COLUMN not in space.metadata.column_names:
        return none
    texts = [
        one_form(text or "")[:_LETTERS] for text in to_python(space.metadata.column(TEXT_COLUMN), TEXT_COLUMN)
    ]
    vectorizer = CountVectorizer(
        binary=True, min_df=FEWEST, token_pattern=_WORD, stop_words="english", dtype=np.int32
    )
    try:
        matrix = vectorizer.fit_transform(texts)
    except ValueError:  # no word is in five texts
        return none
    names = tuple(map(str, vectorizer.get_feature_names_out()))
    return FeatureTable(columns=(TEXT_COLUMN,) * len(names), names=names, matrix=matrix.tocsr())


LEVEL = 0.05
"""False discovery rate below which a difference counts as found."""
_PRIOR_TEXTS = 10
"""The prior of the words weighs as much as so many texts of the usual length."""
_FEWEST_INSIDE = 3
"""Members that must have it for it to be called shared."""
_RETAINED = 40
_HALF = 0.5
"""Of an item: what all other words together count at least, so that a single word has odds too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureContrast:
    """A value or a word that is more frequent inside than outside."""

    column: str
    name: str
    inside: float
    """Share of the members that have it."""
    outside: float
    """Share of the others that have it."""
    lift: Estimate
    """How many times as frequent it is inside, half an item added to each count (Jeffreys' prior)."""
    q: float
    """False discovery rate at which it would just count as found."""

    @property
    def weight(self) -> float:
        """How much it tells of a member: its share times the logarithm of its lift."""
        return self.inside * float(np.log(max(self.lift.value, 1e-9)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MedianDifference:
    """A column of numbers whose middle differs."""

    column: str
    inside: Estimate
    """Median of the members, with the interval by its order statistics."""
    outside: Estimate
    above: float
    """Chance that a member has more than one outside; 0.5 is no difference."""
    q: float
    """False discovery rate at which it would just count as found."""


_SHOWN = 10
"""Values and words that are printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """What was found of one set against another; the most telling first."""

    num_inside: int
    num_outside: int
    values: tuple[FeatureContrast, ...]
    """The 40 most telling."""
    numbers: tuple[MedianDifference, ...]
    words: tuple[FeatureContrast, ...]
    """The 40 most telling."""
    num_found: int
    """Values, words and columns that differ, those that are left out among them."""
    num_tested: int
    """How many were looked at."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not (self.values or self.numbers or self.words)

    @property
    def features(self) -> tuple[FeatureContrast, ...]:
        """Values and words together, the most telling first."""
        return tuple(sorted((*self.values, *self.words), key=lambda one: -one.weight))

    def __str__(self) -> str:
        return ", ".join(one.name for one in self.features[:_SHOWN]) or "nothing"

    def _repr_html_(self) -> Markup:
        """The most telling values and words: how frequent inside, how frequent outside, and how many were tested."""
        rows = (
            [
                one.column,
                one.name,
                bar(one.inside, f"{one.inside:.1%}"),
                bar(one.outside, f"{one.outside:.1%}"),
                f"{one.lift.value:.1f} [{one.lift.low:.1f}, {one.lift.high:.1f}]",
            ]
            for one in self.features[:_SHOWN]
        )
        said = f"{self.num_found:,} of {self.num_tested:,} values, words and columns differ"
        found = table(["column", "over-represented", "inside", "outside", "lift"], rows)
        return element("div", element("small", said), "" if self.is_empty else found)

    def to_dicts(self) -> list[dict[str, Any]]:
        """A row for each value and word: how frequent inside and outside, the lift with its interval, and q."""
        return [
            {
                "column": one.column,
                "name": one.name,
                "inside": one.inside,
                "outside": one.outside,
                "lift": one.lift.value,
                "lift_low": one.lift.low,
                "lift_high": one.lift.high,
                "q": one.q,
            }
            for one in self.features
        ]

    def to_pandas(self) -> Any:
        """The rows of `to_dicts` as a frame. Raises UserError where pandas is not installed."""
        return to_frame(self.to_dicts())


def contrast(
    facts: Facts, inside: np.ndarray, outside: np.ndarray | None = None, *, beyond_all: bool = False
) -> Contrast:
    """What the items of the rows `inside` [M] have more of than those `outside`, by default all others.

    With `beyond_all` only what they also have more of than all others: where those outside were chosen by how near
    they lie, they are not like the rest, and a random set differs from them. Raises UserError where either has none,
    or an item is in both.
    """
    num_items = facts.values.matrix.shape[0]
    is_inside = np.zeros(num_items, dtype=bool)
    is_inside[inside] = True
    others = np.flatnonzero(~is_inside)
    outside = others if outside is None else outside
    if not len(inside) or not len(outside) or is_inside[outside].any():
        raise UserError(
            f"{len(inside):,} items cannot be held against {len(outside):,}: each side needs some of its own",
            "choose two sets that have no item in common",
        )
    values = _Counted.from_table(facts.values, inside, outside)
    words = _Counted.from_table(facts.words, inside, outside)
    also = others if beyond_all else None
    numbers = [_numbers(name, column, inside, outside, also) for name, column in facts.numbers.items()]
    measured = [one for one in numbers if one is not None]
    of_values, of_words = _hypergeometric(values), _words(words)
    if also is not None:
        of_values = np.maximum(of_values, _hypergeometric(values.against(facts.values, also)))
        of_words = np.maximum(of_words, _hypergeometric(words.against(facts.words, also)))
    found = discovery_rates(np.append(of_values, [p for _, p in measured]))
    rates, of_numbers = found[: len(values.rows)], found[len(values.rows) :]
    middles = tuple(
        MedianDifference(**one, q=float(q))
        for (one, _), q in sorted(zip(measured, of_numbers, strict=True), key=lambda pair: pair[1])
        if q < LEVEL
    )
    of_both = [
        _shared(facts.values, values, rates),
        _shared(facts.words, words, discovery_rates(of_words)),
    ]
    return Contrast(
        num_inside=len(inside),
        num_outside=len(outside),
        values=of_both[0][:_RETAINED],
        numbers=middles,
        words=of_both[1][:_RETAINED],
        num_found=len(middles) + sum(map(len, of_both)),
        num_tested=len(values.rows) + len(words.rows) + len(measured),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Counted:
    """How many of two sets have each feature that enough of both together have."""

    rows: np.ndarray
    """[F] columns of the table."""
    inside: np.ndarray
    """[F] int64."""
    outside: np.ndarray
    sizes: tuple[int, int]

    @classmethod
    def from_table(cls, table: FeatureTable, inside: np.ndarray, outside: np.ndarray) -> "_Counted":
        first, second = table.counts(inside), table.counts(outside)
        sizes = (len(inside), len(outside))
        # By the sum alone: what is tested may not depend on how it is divided.
        total = first + second
        rows = np.flatnonzero((total >= FEWEST) & (total < sum(sizes)))
        return cls(rows=rows, inside=first[rows], outside=second[rows], sizes=sizes)

    def against(self, table: FeatureTable, outside: np.ndarray) -> "_Counted":
        """The same features with others outside."""
        return replace(self, outside=table.counts(outside)[self.rows], sizes=(self.sizes[0], len(outside)))

    def only(self, places: np.ndarray) -> "_Counted":
        """Some of the features."""
        return replace(self, rows=self.rows[places], inside=self.inside[places], outside=self.outside[places])


def _hypergeometric(counted: _Counted) -> np.ndarray:
    """[F] chance that so many or more would be inside if membership had nothing to do with it."""
    from scipy.stats import hypergeom

    num_inside, num_outside = counted.sizes
    total = counted.inside + counted.outside
    return np.asarray(hypergeom.sf(counted.inside - 1, num_inside + num_outside, total, num_inside))


def _words(counted: _Counted) -> np.ndarray:
    """[F] the larger of two chances of each word: by its log-odds ratio, and by the number of texts that have it.

    The log-odds ratio alone makes up for longer texts, which have more of all words; of rare words it makes too much,
    which the exact test does not: of 60 random sets of movies it found something in 27, both together in none.
    """
    chances = _log_odds(counted)
    likely = np.flatnonzero(chances < LEVEL)  # the others cannot be found, and the exact test takes its time
    chances[likely] = np.maximum(chances[likely], _hypergeometric(counted.only(likely)))
    return chances


def _log_odds(counted: _Counted) -> np.ndarray:
    """[F] one-sided chance of the z of each word's log-odds ratio."""
    from scipy.stats import norm

    if not len(counted.rows):
        return np.empty(0)
    inside, outside = counted.inside.astype(float), counted.outside.astype(float)
    total = inside + outside
    strength = _PRIOR_TEXTS * total.sum() / sum(counted.sizes)
    prior = strength * total / total.sum()
    sides = [
        np.log(count + prior) - np.log(np.maximum(count.sum() + strength - count - prior, _HALF))
        for count in (inside, outside)
    ]
    z = (sides[0] - sides[1]) / np.sqrt(1 / (inside + prior) + 1 / (outside + prior))
    return np.asarray(norm.sf(z))


def _numbers(
    name: str, column: np.ndarray, inside: np.ndarray, outside: np.ndarray, also: np.ndarray | None
) -> tuple[dict, float] | None:
    """The two medians and the chance of such a difference; None where either side knows too little.

    With `also` the chance of a difference from those too, and on the same side.
    """
    first, second = (part[~np.isnan(part)] for part in (column[inside], column[outside]))
    if min(len(first), len(second)) < FEWEST:
        return None
    above, chance = _above(first, second)
    if also is not None:
        others = column[also]
        beyond, other_chance = _above(first, others[~np.isnan(others)])
        chance = max(chance, other_chance) if (beyond - 0.5) * (above - 0.5) > 0 else 1.0
    made = {"column": name, "inside": _median(first), "outside": _median(second), "above": above}
    return made, chance


def _above(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """The chance that one of the first is larger than one of the second, and that of such a difference by chance."""
    from scipy.stats import mannwhitneyu

    test = mannwhitneyu(first, second, method="asymptotic")
    chance = float(test.pvalue) if np.isfinite(test.pvalue) else 1.0
    return float(test.statistic) / (len(first) * len(second)), chance


def _median(values: np.ndarray) -> Estimate:
    """The median with the 95% interval that the order of the values gives."""
    from scipy.stats import binom

    ordered = np.sort(values)
    low = max(int(binom.ppf(0.025, len(ordered), 0.5)) - 1, 0)
    return Estimate(float(np.median(ordered)), float(ordered[low]), float(ordered[len(ordered) - 1 - low]))


def discovery_rates(chances: np.ndarray) -> np.ndarray:
    """[F] false discovery rates of F tests, by Benjamini and Hochberg."""
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(np.clip(chances, 0, 1))) if len(chances) else chances


def _shared(table: FeatureTable, counted: _Counted, rates: np.ndarray) -> tuple[FeatureContrast, ...]:
    found = np.flatnonzero((rates < LEVEL) & (counted.inside >= _FEWEST_INSIDE))
    made = [_one(table, counted, int(place), float(rates[place])) for place in found]
    return tuple(sorted((one for one in made if one.lift.value > 1), key=lambda one: -one.weight))


def _one(table: FeatureTable, counted: _Counted, place: int, rate: float) -> FeatureContrast:
    feature = counted.rows[place]
    inside, outside = int(counted.inside[place]), int(counted.outside[place])
    num_inside, num_outside = counted.sizes
    return FeatureContrast(
        column=table.columns[feature],
        name=table.names[feature],
        inside=inside / num_inside,
        outside=outside / num_outside,
        lift=_lift(inside, num_inside, outside, num_outside),
        q=rate,
    )


def _lift(inside: int, num_inside: int, outside: int, num_outside: int) -> Estimate:
    """Ratio of the two shares, with the interval of its logarithm (Katz et al. 1978)."""
    first, second = (inside + 0.5) / (num_inside + 1), (outside + 0.5) / (num_outside + 1)
    spread = np.sqrt(1 / (inside + 0.5) - 1 / (num_inside + 1) + 1 / (outside + 0.5) - 1 / (num_outside + 1))
    middle = np.log(first / second)
    low, high = np.exp(middle - 1.96 * spread), np.exp(middle + 1.96 * spread)
    return Estimate(first / second, float(low), float(high))
