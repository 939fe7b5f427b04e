"""Behaviour: whether an answer ranks users as its vector does, and how much of the truth its text vector explains.

Shape letters: M training entities, N entities, U others (users for items, items for users),
D width of the behavioural space, T width of text vectors.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import pyarrow as pa

from vecspeak.spaces import Space
from vecspeak.stats import Series
from vecspeak.tables.cells import to_python

MOST_OTHERS = 5000
"""More users or items than these are sampled from: the ranks of so many say enough."""
_BLOCK_SCORES = 2_000_000
_ROUNDING = 1e-9
"""A truth that lies nearer to the mean than this share of its squared length lies on it, but for float32's rounding."""
_PENALTIES = np.logspace(-4, 4, 17)
"""Multiples of the number of training entities times the mean variance of a number of the text vectors."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictor:
    """Behavioural vectors predicted from text vectors, by ridge regression."""

    weights: np.ndarray
    """[T, D]."""
    offset: np.ndarray
    """[D] what is predicted for the zero vector."""
    penalty: float
    """The penalty that predicted best."""

    def predict(self, text_vectors: np.ndarray) -> np.ndarray:
        """[N, T] text vectors to [N, D] behavioural vectors."""
        return text_vectors @ self.weights + self.offset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """The users or items that an answer and a vector both rank, for behavioral consistency."""

    predictor: Predictor
    """From the encoder's vectors of answers to the space."""
    others: np.ndarray
    """[U, D] users that an item's vector ranks, or items that a person's vector ranks."""
    average: np.ndarray | None = None
    """[D] the average person, where persons are asked about."""

    @property
    def beyond_average(self) -> "Ranking":
        """The same with the average person taken from what is predicted; `average` must be there."""
        assert self.average is not None
        return replace(self, predictor=replace(self.predictor, offset=self.predictor.offset - self.average))


def fit_predictor(text_vectors: np.ndarray, vectors: np.ndarray) -> Predictor:
    """Ridge from text vectors [M, T] to behavioural vectors [M, D], both of training entities only.

    The mean is not penalised. One penalty for all D numbers is chosen by leave-one-out error among 17, which
    grow with the text vectors' variance, so that their scale does not matter. Raises ValueError for fewer than
    two entities.
    """
    from sklearn.linear_model import RidgeCV

    if len(text_vectors) < 2:
        raise ValueError(f"a predictor needs 2 training entities or more, got {len(text_vectors)}")
    given, wanted = text_vectors.astype(np.float64), vectors.astype(np.float64)
    # Penalties in units of the features' variance: the choice does not depend on how long the vectors are.
    scale = len(given) * given.var(axis=0).mean()
    ridge = RidgeCV(alphas=_PENALTIES * (scale or 1.0)).fit(given, wanted)
    return Predictor(
        weights=ridge.coef_.reshape(wanted.shape[1], -1).T,
        offset=np.asarray(ridge.intercept_, dtype=np.float64).reshape(-1),
        penalty=float(ridge.alpha_),
    )


def behavioral_consistency(
    predictor: Predictor,
    answer_vectors: np.ndarray,
    vectors: np.ndarray,
    others: np.ndarray,
    *,
    seed: int = 0,
) -> np.ndarray:
    """[N] Spearman rank correlation, over the others [U, D], of two scores by inner product.

    One is of the behavioural vector that is predicted from an answer's text vector [N, T], the other of the
    entity's true vector [N, D]: 1 where both rank all others alike, -1 where in reverse, and 0 where either gives
    all the same score. Above 5,000 others, 5,000 are drawn by the seed.
    """
    if len(others) > MOST_OTHERS:
        others = others[np.random.default_rng(seed).choice(len(others), MOST_OTHERS, replace=False)]
    users = others.astype(np.float64).T
    predicted = predictor.predict(answer_vectors.astype(np.float64))
    found = np.zeros(len(vectors))
    step = max(1, _BLOCK_SCORES // max(1, users.shape[1]))
    for start in range(0, len(vectors), step):
        block = slice(start, start + step)
        found[block] = _spearman(predicted[block] @ users, vectors[block].astype(np.float64) @ users)
    return found


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[N] rank correlation of each row [N, U] with its fellow; equal scores share their mean rank."""
    one, other = _unit_ranks(first), _unit_ranks(second)
    return np.clip((one * other).sum(axis=1), -1, 1)


def _unit_ranks(scores: np.ndarray) -> np.ndarray:
    """[N, U] ranks of each row about their mean, at length 1; zeros where all scores of a row are equal."""
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=1) - (scores.shape[1] + 1) / 2
    spread = np.ptp(scores, axis=1) > 1e-12 * np.abs(scores).max(axis=1)  # less is rounding
    return np.where(spread[:, None], ranks, 0) / np.maximum(
        np.linalg.norm(ranks, axis=1, keepdims=True), 1e-12
    )


def variance_explained(answer_vectors: np.ndarray, truth: np.ndarray, mean: np.ndarray) -> Series:
    """Fraction of variance explained: how much nearer answers [N, T] are to the truth [N, T] than `mean` [T] is.

    1 - sum |answer - truth|^2 / sum |mean - truth|^2, both sums over all entities. An entity's own fraction
    weighs as much as its truth lies from the mean, so that the weighted mean is that of all. 1 is perfect, and 0
    is as good as the mean. It is negative where answers are farther from the truth than the mean is; for unit
    vectors whose mean is short that is below a cosine of about one half, since |answer - truth|^2 is then
    2 - 2 cos against a variance of nearly 1. So a fair answer by its cosine can score under 0. Where all truths are
    one text there is no variance to explain, and nothing counts.
    """
    wrong = ((answer_vectors.astype(np.float64) - truth) ** 2).sum(axis=1)
    varies = ((truth.astype(np.float64) - mean) ** 2).sum(axis=1)
    varies = np.where(varies > _ROUNDING * (truth.astype(np.float64) ** 2).sum(axis=1), varies, 0)
    return Series(np.where(varies > 0, 1 - wrong / np.where(varies > 0, varies, 1), 0), varies)


MOST_NAMES = 500
"""Only so many of the commonest names are looked for."""
_LEAST_SHARE, _LEAST_ITEMS = 0.01, 5

_SYNONYMS = (
    ("animation", "animated"),
    ("biography", "biographical", "biopic"),
    ("comedy drama", "dramedy"),
    ("crime", "crime fiction"),
    ("film noir", "noir"),
    ("romance", "romantic", "love story"),
    ("romantic comedy", "rom com", "romcom"),
    ("science fiction", "sci fi", "scifi"),
    ("world war ii", "world war 2", "world war two", "second world war", "wwii", "ww2"),
)
"""Names of one thing each, as `_plain` writes them, in the singular."""
_SAME = {form: group for group in _SYNONYMS for form in group}

_NOT_PLURALS = {"arms", "goods", "news"}
"""Words whose last letter is not a plural's: without it they would be other words."""

_SPOKEN = ("twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties")
_AGE = rf"(?:my|your|his|her|our|their)(?: (?:early|mid|late))? (?:\d0'?s|{'|'.join(_SPOKEN)})"
"""A person's age reads like a decade ("in his late thirties"). It is matched first, and names nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attributes:
    """The names that are looked for, and which of them are true of each entity."""

    names: tuple[str, ...]
    """The vocabulary, commonest first, each as the metadata writes it most often."""
    truth: tuple[frozenset[str], ...]
    """[N] the names that are true of each entity."""
    pattern: re.Pattern[str]
    """One group for each way of writing a name, the longer first; for text as `_plain` makes it."""
    written: tuple[str, ...]
    """For each group of the pattern the name that it writes."""

    def named(self, text: str) -> frozenset[str]:
        """Which names the text names.

        Whole words, in any case and number; hyphens, slashes and spaces are alike. No words count twice: where
        several names fit at one place the longest is taken ("romantic comedy" is no comedy). A decade is named
        as "1990s", "90s", "nineties" or by one of its years.
        """
        found = (match.lastindex for match in self.pattern.finditer(_plain(text)))
        return frozenset(self.written[group - 1] for group in found if group)


def attributes_of(space: Space, rows: Sequence[int]) -> Attributes | None:
    """The attributes of these rows by the space's metadata; None where it has nothing of the kind.

    Every column of lists of texts gives its values, and a column of whole numbers named "year" its decades.
    Values that differ only in how they are written are one. A name that fewer than 1% or fewer than 5 of the
    space's items have is left out: so rare a one cannot be scored.
    """
    values = list(_values(space))
    had = [frozenset(filter(None, map(_key, of_one))) for of_one in values]
    items = Counter(key for keys in had for key in keys)
    least = max(_LEAST_ITEMS, _LEAST_SHARE * len(space))
    common = sorted((key for key in items if items[key] >= least), key=lambda key: (-items[key], key))
    if not common:
        return None
    names = _spellings(common[:MOST_NAMES], values)
    spelled = _longest_first(names)
    return Attributes(
        names=tuple(names.values()),
        truth=tuple(frozenset(names[key] for key in had[row] if key in names) for row in rows),
        pattern=_pattern(tuple(spelled)),
        written=tuple(names[key] for key in spelled.values()),
    )


def attribute_accuracy(attributes: Attributes, answers: Sequence[str]) -> dict[str, Series]:
    """Precision and recall of the names in each answer, for the entities in order.

    An entity's precision weighs as much as names are in its answer, and its recall as much as names are true of
    it, so that the weighted means are the micro averages. Raises ValueError unless there is one answer an entity.
    """
    if len(answers) != len(attributes.truth):
        raise ValueError(f"{len(answers)} answers for {len(attributes.truth)} entities")
    named = [attributes.named(answer) for answer in answers]
    right = np.array([len(n & t) for n, t in zip(named, attributes.truth, strict=True)], dtype=float)
    return {
        "precision": _share(right, np.array([len(names) for names in named], dtype=float)),
        "recall": _share(right, np.array([len(names) for names in attributes.truth], dtype=float)),
    }


def _share(right: np.ndarray, of: np.ndarray) -> Series:
    """Share [N] weighted by what it is a share of; 0 with no weight where that is nothing."""
    return Series(right / np.maximum(of, 1), of)


def _values(space: Space) -> Iterator[list[str]]:
    """For each item all values that its metadata gives it."""
    columns = [_texts(space.metadata.column(name), name) for name in space.metadata.column_names]
    for row in range(len(space)):
        yield [value for column in columns if column is not None for value in column[row]]


def _texts(column: pa.ChunkedArray, name: str) -> list[list[str]] | None:
    """For each item the values of one column; None for a column of another kind."""
    kind = column.type
    if _is_list(kind) and (pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)):
        return [[value for value in values or () if value] for values in to_python(column, name)]
    if pa.types.is_integer(kind) and name.casefold() == "year":
        return [
            [f"{year // 10}0s"] if year and 1000 <= year <= 2999 else [] for year in to_python(column, name)
        ]
    return None


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _spellings(keys: Sequence[str], values: Iterable[Sequence[str]]) -> dict[str, str]:
    """Every key with the value that it has most often; of equally common ones the first in the alphabet."""
    written = Counter(value for of_one in values for value in of_one)
    best: dict[str, str] = {}
    for value in sorted(written, key=lambda value: (-written[value], value)):
        best.setdefault(_key(value), value)
    return {key: best[key] for key in keys}


def _longest_first(keys: Iterable[str]) -> dict[str, str]:
    """The key of every spelling, by first letter and then by falling length."""
    spelled = {spelling: key for key in keys for spelling in _spelled(key)}
    return dict(sorted(spelled.items(), key=lambda pair: (pair[0][0], -len(pair[0]), pair[0])))


def _plain(text: str) -> str:
    """Small letters, one kind of apostrophe, "&" as a word, and one space for hyphens, slashes and spaces."""
    text = text.casefold().replace("\u2019", "'").replace("&", " and ")
    return re.sub(r"[\s_/\u2010-\u2015-]+", " ", text).strip()


def _key(value: str) -> str:
    """What values that are one thing have in common: "Comedy film" and "comedies" give "comedy"."""
    plain = _plain(re.sub(r"[\[(].*?[\])]", "", value))
    plain = re.sub(r" (films?|movies?)$", "", plain)
    if re.fullmatch(r"[12]\d\d0'?s", plain):
        return plain.replace("'", "")
    before, space, last = plain.rpartition(" ")
    key = before + space + _singular(last)
    return _SAME.get(key, (key,))[0]


def _singular(word: str) -> str:
    if stem := _stem_of_y(word):
        return stem + "y"
    keeps = len(word) < 4 or word in _NOT_PLURALS or word.endswith(("ss", "us", "is", "'s"))
    return word if keeps else word.removesuffix("s")


def _stem_of_y(word: str) -> str:
    """The stem of a word such as comedy, comedies or zombie; empty for any other."""
    match = re.fullmatch(r"(\w+[^\Waeiou])(?:y|ies?)", word)
    return match[1] if match else ""


def _spelled(key: str) -> tuple[str, ...]:
    """Every way in which a key is written in plain text, in the singular."""
    if re.fullmatch("19[2-9]0s", key):
        return key, key[2:], _SPOKEN[int(key[2]) - 2]
    return _SAME.get(key, (key,))


def _any_number(spelling: str) -> str:
    """A spelling as a pattern that takes its plural too, and for a decade its years."""
    if re.fullmatch(r"([12]\d)?\d0s", spelling):
        return rf"{spelling[:3]}(?:0'?s|\d)" if len(spelling) == 5 else f"{spelling[:2]}'?s"
    if spelling in _SPOKEN:
        return spelling
    before, space, last = spelling.rpartition(" ")
    if stem := _stem_of_y(last):
        ending = re.escape(stem) + "(?:y|ies?)"
    elif last.endswith("'s"):
        ending = re.escape(last.removesuffix("'s")) + "'?s"
    else:
        ending = re.escape(last) + "(?:e?s)?"
    return re.escape(before) + space + ending


def _pattern(spellings: Sequence[str]) -> re.Pattern[str]:
    """One group a spelling, in their order; ages stand first, in no group.

    Spellings of one first letter stand together behind a look at that letter: ten times as fast with 500 names.
    """
    by_letter = [
        f"(?={re.escape(letter)})(?:{'|'.join(f'({_any_number(spelling)})' for spelling in same)})"
        for letter, same in groupby(spellings, lambda spelling: spelling[0])
    ]
    return re.compile(rf"(?<!\w)(?:{'|'.join([_AGE, *by_letter])})(?!\w)")
