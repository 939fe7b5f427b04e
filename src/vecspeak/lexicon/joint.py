"""Joint estimate: what a fitted space, its encoder's lexicon and its nearest texts say of a term, as one probability.

Three sources give a number each for a term t and a vector v: the space's own read-out (z of ridge from the space's
vectors), the encoder's lexicon (z of the vector that the alignment maps v to), and the share of the 10 nearest known
items that have the term (log odds of that share over the base rate). A logistic regression joins them with the base
rate, which says how much each is worth for rare and for common terms:

    logit p = (1, logit b, is own) . w  +  (z own, z encoder, nearest) . (u + u' logit b)

Each z enters as arcsinh z: a term that is far above its rate is not much surer than one that is above it. The weights
are fitted on half of the held-out items, and the other half judges; where few are held out, on known items, each of
which is left out of what is said of it, in closed form.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from vecspeak.errors import UserError
from vecspeak.evidence import ReadTerm, TermKind, Words, term_name
from vecspeak.lexicon.lexicon import Lexicon
from vecspeak.lexicon.readout import LIFT, TRACE, Readout, logit, unit_rows
from vecspeak.lexicon.scores import LexiconScores
from vecspeak.lexicon.terms import Vocabulary, best_columns, distinct, forms_of
from vecspeak.stats import fit_logistic, sigmoid

NEIGHBORS = 10
"""Nearest known items whose terms count."""
PRIOR = 2.0
"""Weight of the base rate beside the neighbors, in neighbors."""
SAME = 1 - 1e-6
"""Cosine from which on an item is the point itself, whose own terms would answer for it."""
DIRECT, ENCODER, NEAREST = "direct", "encoder", "nearest"
SOURCES = (DIRECT, ENCODER, NEAREST)
WORDS, VALUES = "words", "values"
_RETAINED = 2 * 64
"""Probabilities that are retained: two of each of 64 points, of what stands in its text and of what holds."""
_FEWEST_TERMS = 8
"""Terms of a text, by the mean, below which texts are tags or names, which leave out most of what holds."""
RARE = 1e-4
"""Least base rate in the ranking: of what nearly no text has, being likelier is not worth more."""

_FOREIGN = -1.0
"""Shift of log odds from which down a term is not said: the texts have it less than a third as often as others do."""
_RAISED = 1.2
"""Times by which a vector raises the odds of a term that is said of it, at the least."""


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownItems:
    """The items of a space whose texts and values are known, as many as are looked at."""

    vectors: np.ndarray
    """[N, D] unit vectors."""
    texts: Sequence[str]
    """N texts; empty where there are none."""
    value_rows: Sequence[Sequence[int]]
    """Which of the lexicon's values each item has; empty where there are none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SpaceLexicon:
    """What was fitted on a space: its own terms and values, their read-out, and how the sources are joined."""

    vocabulary: Vocabulary
    """Of its texts; empty where there are none."""
    values: tuple[tuple[str, str], ...] = ()
    """Column and value of each value that is a term."""
    readout: Readout | None
    """Of the vocabulary's terms, then the values; None where there are too few items."""
    rates: np.ndarray
    """[V] share of the known items that have each of these."""
    rare: Mapping[str, int] = field(default_factory=dict)
    """How many known texts have a term of the encoder's lexicon that is none of the vocabulary."""
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    """[9] by "words" and "values": of 1, logit b, is own, then each source and it times logit b."""
    origin: str = ""
    scores: LexiconScores | None = None

    @property
    def num_own(self) -> int:
        """Terms and values that are read from the space itself."""
        return len(self.vocabulary) + len(self.values)


class TermReader:
    """Reads terms from vectors of one space: U terms, first its own, then its values, then the encoder's."""

    def __init__(
        self, lexicon: SpaceLexicon | None, shipped: Lexicon | None, known: KnownItems | None
    ) -> None:
        self.lexicon, self.shipped, self.known = lexicon, shipped, known
        own = lexicon.vocabulary if lexicon else None
        terms = list(own.terms) if own else []
        kinds: list[TermKind] = list(own.kinds) if own else []
        self.num_words = len(terms)
        values = lexicon.values if lexicon else ()
        terms += [value for _, value in values]
        kinds += ["value"] * len(values)
        self.columns = [""] * self.num_words + [column for column, _ in values]
        self.num_own = len(terms)
        # Where each of the encoder's terms stands here; the space's own form of a word takes it in.
        self.shipped_place = np.zeros(0, np.int64)
        if shipped:
            place, extra = {}, self.num_own
            for number, term in enumerate(shipped.vocabulary.terms):
                at = self._own_place(term)
                if at is None:
                    at, extra = extra, extra + 1
                    terms.append(term)
                    kinds.append(shipped.vocabulary.kinds[number])
                place[number] = at
            self.shipped_place = np.fromiter(place.values(), np.int64, len(place))
        self.terms, self.kinds = tuple(terms), tuple(kinds)
        self.columns += [""] * (len(terms) - self.num_own)
        self.rates = self._rates().astype(np.float32)
        self.shifts = self._shifts().astype(np.float32)
        self._cache: dict[int, np.ndarray] = {}
        self._of_points: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def _own_place(self, term: str) -> int | None:
        own = self.lexicon.vocabulary if self.lexicon else None
        if own is None:
            return None
        return own.place.get(" ".join(own.forms.get(word, word) for word in term.split()))

    def __len__(self) -> int:
        return len(self.terms)

    @cached_property
    def _value_forms(self) -> dict[tuple[str, ...], list[int]]:
        """Columns of the values by the words that they are made of."""
        found: dict[tuple[str, ...], list[int]] = {}
        for column in range(self.num_words, self.num_own):
            form = tuple(filter(None, forms_of(self.terms[column])))
            if form:
                found.setdefault(form, []).append(column)
        return found

    def _rates(self) -> np.ndarray:
        found = np.zeros(len(self.terms))
        if self.lexicon:
            found[: self.num_own] = self.lexicon.rates
        if self.shipped is None:
            return found
        general = self._general
        extra = np.arange(self.num_own, len(self.terms))
        found[extra] = general[extra]
        if self.lexicon and self.lexicon.vocabulary.num_texts:
            # Good and Turing: terms that no text has share the mass of those that one has, by their general rates.
            num_texts, counts = self.lexicon.vocabulary.num_texts, self._rare_counts
            once, unseen = int((counts == 1).sum()), counts == 0
            mass = (once + 0.5) / num_texts * general[extra] / max(general[extra][unseen].sum(), 1e-9)
            found[extra] = np.where(unseen, mass, (counts - 0.5) / num_texts)
        return np.clip(found, 1e-7, 0.999)

    def _shifts(self) -> np.ndarray:
        """[U] what is added to log odds: below 0 for the encoder's terms that belong to other texts than this space's.

        A term of share g in general is expected in g * N of N texts. Where it is in c, fewer than that, its odds go
        down by (c + 1/2) / (g * N + 1/2), as for a term that is told of all texts and rarely said in these ones.
        """
        found = np.zeros(len(self.terms))
        num_texts = self.lexicon.vocabulary.num_texts if self.lexicon else 0
        if self.shipped is not None and num_texts:
            expected = num_texts * self._general[self.num_own :]
            found[self.num_own :] = np.minimum(0, np.log((self._rare_counts + 0.5) / (expected + 0.5)))
        return found

    @cached_property
    def _rare_counts(self) -> np.ndarray:
        """How many known texts have each of the encoder's terms that are none of the space's own."""
        rare = self.lexicon.rare if self.lexicon else {}
        return np.array([rare.get(term, 0) for term in self.terms[self.num_own :]])

    @cached_property
    def _general(self) -> np.ndarray:
        """[U] shares of the texts of the encoder's lexicon that have a term; 0 where it does not know the term."""
        found = np.zeros(len(self.terms))
        if self.shipped is not None:
            np.maximum.at(found, self.shipped_place, self.shipped.readout.rates)
        return found

    # --- sources ---

    def direct(self, vectors: np.ndarray) -> np.ndarray:
        """[N, V] arcsinh z of the space's own read-out."""
        if self.lexicon is None or self.lexicon.readout is None:
            return np.zeros((len(vectors), self.num_own), np.float32)
        readout = self.lexicon.readout
        return np.asarray(np.arcsinh(readout.away(vectors) @ self.own_table), np.float32)

    @cached_property
    def own_table(self) -> np.ndarray:
        """[R, V] what deviations from the center are multiplied by to give z of the space's own read-out."""
        assert self.lexicon is not None and self.lexicon.readout is not None
        return self.lexicon.readout.table()

    def encoder(self, mapped: np.ndarray) -> np.ndarray:
        """[N, U] arcsinh z of the encoder's lexicon of vectors as the reader reads them; 0 for terms it lacks."""
        found = np.zeros((len(mapped), len(self.terms)), np.float32)
        if self.shipped is not None:
            found[:, self.shipped_place] = np.arcsinh(self.shipped.deviations(mapped))
        return found

    def nearest(self, vectors: np.ndarray) -> np.ndarray:
        """[N, U] log odds of the share of the nearest known items that have a term, over its base rate."""
        found = np.zeros((len(vectors), len(self.terms)), np.float32)
        if self.known is None or not len(self.known.vectors):
            return found
        shares = np.zeros_like(found)
        for row, near in enumerate(self.neighbors(vectors)):
            for item in near:
                shares[row, self.columns_of(item)] += 1
        return self.nearest_odds(shares, np.full(len(vectors), NEIGHBORS))

    def nearest_odds(self, counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """The same of [N, U] counts among [N] neighbors."""
        share = (counts + PRIOR * self.rates) / (totals[:, None] + PRIOR)
        return np.asarray(logit(np.clip(share, 1e-7, 0.999)) - logit(self.rates), np.float32)

    def neighbors(self, vectors: np.ndarray) -> list[list[int]]:
        """Rows of the nearest known items of each vector, without the vector itself."""
        assert self.known is not None
        near = unit_rows(vectors) @ self.known.vectors.T
        near[near > SAME] = -2
        count = min(NEIGHBORS, near.shape[1])
        top = np.argpartition(-near, count - 1, axis=1)[:, :count]
        return [row.tolist() for row in top]

    def columns_of(self, item: int) -> np.ndarray:
        """The terms and values that a known item has."""
        assert self.known is not None
        if item not in self._cache:
            text = self.known.texts[item] if self.known.texts else ""
            found = self.columns_in(text)
            if self.known.value_rows:
                found = found | {self.num_words + one for one in self.known.value_rows[item]}
            self._cache[item] = np.fromiter(sorted(found), np.int64, len(found))
        return self._cache[item]

    def columns_in(self, text: str) -> set[int]:
        """The words that stand in a text: not values, which are of columns."""
        found = self.lexicon.vocabulary.columns_in(text) if self.lexicon else set()
        if self.shipped is not None:
            found |= {int(self.shipped_place[one]) for one in self.shipped.vocabulary.columns_in(text)}
        return found

    # --- probabilities ---

    def probabilities(self, vectors: np.ndarray, mapped: np.ndarray) -> np.ndarray:
        """[N, U] float32 probabilities for [N, D] vectors and the [N, T] that the alignment maps them to.

        Those of single points are retained for a while: an answer needs them for its question, its clauses and what
        is shown beside it.
        """
        return self._of_point("stands", vectors, mapped, self._probabilities)

    def _of_point(
        self, what: str, vectors: np.ndarray, mapped: np.ndarray,
        make: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ) -> np.ndarray:  # fmt: skip
        """What `make` makes of the vectors; of a single point it is retained."""
        if len(vectors) != 1:
            return make(vectors, mapped)
        key = what.encode() + vectors.tobytes() + mapped.tobytes()
        found = self._of_points.pop(key, None)
        if found is None:
            found = make(vectors, mapped)
            found.flags.writeable = False
        self._of_points[key] = found
        if len(self._of_points) > _RETAINED:
            self._of_points.popitem(last=False)
        return found

    def _probabilities(self, vectors: np.ndarray, mapped: np.ndarray) -> np.ndarray:
        encoder = self.encoder(mapped)
        weights = self.lexicon.weights if self.lexicon else {}
        if not weights:
            return self._shipped_alone(encoder)
        direct = np.zeros_like(encoder)
        if any(one[3:5].any() for one in weights.values()):
            direct[:, : self.num_own] = self.direct(vectors)
        near = np.zeros_like(encoder)
        if any(one[7:9].any() for one in weights.values()):
            near = self.nearest(vectors)
        return self.join(direct, encoder, near)

    def of_term(self, column: int, vectors: np.ndarray, mapped: np.ndarray) -> np.ndarray:
        """[N] float32: one column of `said`, without working out the others; for all items of a space."""
        number = np.flatnonzero(self.shipped_place == column)[-1:]
        encoder = np.zeros(len(vectors), np.float32)
        if self.shipped is not None and len(number):
            encoder = self.shipped.readout.take(number).deviations(mapped)[:, 0]
        lexicon = self.lexicon
        is_value = self.num_words <= column < self.num_own
        weights = lexicon.weights.get(VALUES if is_value else WORDS) if lexicon else None
        if weights is None:
            if self.shipped is None or not len(number):
                return np.zeros(len(vectors), np.float32)
            return self.shipped.readout.take(number).calibrate(encoder[:, None])[:, 0]
        odds = logit(self.rates[column].astype(np.float64))
        by = [float(weights[at] + weights[at + 1] * odds) for at in (3, 5, 7)]
        logits = (
            weights[0]
            + self.shifts[column]
            + weights[1] * odds
            + weights[2] * (column < self.num_own)
            + np.arcsinh(encoder) * by[1]
        )
        if by[0] and column < self.num_own and lexicon is not None and lexicon.readout is not None:
            logits += np.arcsinh(lexicon.readout.away(vectors) @ self.own_table[:, column]) * by[0]
        if by[2] and self.known is not None and len(self.known.vectors):
            has_it = np.array([column in self.columns_of(one) for one in range(len(self.known.vectors))])
            counts = has_it[np.array(self.neighbors(vectors))].sum(1)
            share = (counts + PRIOR * self.rates[column]) / (NEIGHBORS + PRIOR)
            logits += (logit(np.clip(share, 1e-7, 0.999)) - odds) * by[2]
        found = np.asarray(sigmoid(logits), np.float32)
        if self.shipped is None or column < self.num_own or not self._says_more(vectors, mapped):
            return found
        alone = self.shipped.readout.take(number).calibrate(encoder[:, None])[:, 0]
        return np.asarray(np.maximum(found, alone), np.float32)

    def place_of(self, word: str) -> int | None:
        """The column of a word, a term of several words or a value; None where it is not read.

        A value is named as it is printed, "Drama (genres)", or by itself where no word reads so.
        """
        if (value := self._printed_values.get(word)) is not None:
            return value
        width = len(word.split())
        found = [
            column
            for column in sorted(self.columns_in(word) | self._values_in(word))
            if len(self.terms[column].split()) == width
        ]
        return min(found, key=lambda column: (self.kinds[column] == "value", column), default=None)

    @cached_property
    def _printed_values(self) -> dict[str, int]:
        values = range(self.num_words, self.num_own)
        return {term_name(self.terms[column], self.columns[column]): column for column in values}

    def join(self, direct: np.ndarray, encoder: np.ndarray, near: np.ndarray) -> np.ndarray:
        """[N, U] float32 probabilities of [N, U] numbers of the three sources."""
        assert self.lexicon is not None
        found = np.zeros_like(encoder) if WORDS in self.lexicon.weights else self._shipped_alone(encoder)
        odds = logit(self.rates.astype(np.float64))
        for group, weights in self.lexicon.weights.items():
            part = self.group(group)
            by = [(weights[at] + weights[at + 1] * odds[part]).astype(np.float32) for at in (3, 5, 7)]
            is_own = np.arange(len(self.terms))[part] < self.num_own
            base = (weights[0] + weights[1] * odds[part] + weights[2] * is_own).astype(
                np.float32
            ) + self.shifts[part]
            logits = base + direct[:, part] * by[0] + encoder[:, part] * by[1] + near[:, part] * by[2]
            found[:, part] = sigmoid(logits)
        return found

    def group(self, name: str) -> np.ndarray:
        """The columns of the words or of the values."""
        values = np.arange(self.num_words, self.num_own)
        return values if name == VALUES else np.setdiff1d(np.arange(len(self.terms)), values)

    def _shipped_alone(self, encoder: np.ndarray) -> np.ndarray:
        found = np.zeros_like(encoder)
        if self.shipped is not None:
            place = self.shipped_place
            found[:, place] = self.shipped.readout.calibrate(np.sinh(encoder[:, place]))
        return found

    def evidence(self, vectors: np.ndarray, mapped: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """[N, C] float32: what the read-outs alone, without the nearest items, add to the log odds of some columns."""
        found = np.zeros((len(vectors), len(columns)), np.float32)
        odds = logit(self.rates[columns].astype(np.float64))
        by = np.zeros((2, len(columns)))
        for group, weights in (self.lexicon.weights if self.lexicon else {}).items():
            part = np.isin(columns, self.group(group))
            by[:, part] = [weights[at] + weights[at + 1] * odds[part] for at in (3, 5)]
        by[1, ~by.any(0)] = 1.0  # what no joint estimate weighs is read by the encoder's lexicon alone
        own = np.flatnonzero(columns < self.num_own)
        if len(own) and self.lexicon is not None and self.lexicon.readout is not None:
            z = self.lexicon.readout.away(vectors) @ self.own_table[:, columns[own]]
            found[:, own] += np.arcsinh(z) * by[0, own].astype(np.float32)
        if self.shipped is not None:
            number_of = dict(zip(self.shipped_place.tolist(), range(len(self.shipped_place)), strict=True))
            known = [place for place, column in enumerate(columns.tolist()) if column in number_of]
            numbers = [number_of[int(columns[place])] for place in known]
            if numbers:
                z = self.shipped.readout.take(numbers).deviations(mapped)
                found[:, known] += np.arcsinh(z) * by[1, known].astype(np.float32)
        return found

    # --- what is said ---

    def said(self, vectors: np.ndarray, mapped: np.ndarray) -> np.ndarray:
        """[N, U] probabilities of what holds of the items, which is more than what their texts say if these are tags.

        Where the encoder itself made the vectors, a term that the space's own terms lack is then as likely as the
        encoder's lexicon has it, which was fitted on whole texts. Retained as `probabilities` are.
        """
        return self._of_point("holds", vectors, mapped, self._said)

    def _said(self, vectors: np.ndarray, mapped: np.ndarray) -> np.ndarray:
        found = self.probabilities(vectors, mapped)
        if not self._says_more(vectors, mapped):
            return found
        alone = self._shipped_alone(self.encoder(mapped))
        return np.concatenate([found[:, : self.num_own], np.maximum(found, alone)[:, self.num_own :]], axis=1)

    def _says_more(self, vectors: np.ndarray, mapped: np.ndarray) -> bool:
        """Whether the encoder made the vectors itself, of texts that are tags: the vectors hold more than these."""
        return (
            self.has_tags
            and vectors.shape == mapped.shape
            and bool(np.allclose(unit_rows(vectors), mapped, atol=1e-4))
        )

    @cached_property
    def has_tags(self) -> bool:
        """Whether the space's texts are tags or names, which leave out most of what holds."""
        own = self.lexicon
        return (
            own is not None
            and WORDS in own.weights
            and bool(own.rates[: self.num_words].sum() < _FEWEST_TERMS)
        )

    @cached_property
    def shown(self) -> np.ndarray:
        """[U] bool: what may be said. Not fragments of names, nor terms that are not read or belong to other texts."""
        unread = set(self.lexicon.scores.unread) if self.lexicon and self.lexicon.scores else set()
        if self.shipped and not (self.lexicon and self.lexicon.scores):
            unread |= self.shipped.unread
        return np.array([
            kind != "fragment" and (kind == "value" or term not in unread) and shift > _FOREIGN
            for term, kind, shift in zip(self.terms, self.kinds, self.shifts, strict=True)
        ], bool)  # fmt: skip

    def words(self, vectors: np.ndarray, mapped: np.ndarray, limit: int = 10) -> list[Words]:
        """The terms that say most about each vector, best first: by probability over base rate^0.25.

        Fewer than `limit` where others are no likelier of the vector than of any item.
        """
        if limit < 1:
            raise UserError(f"limit must be at least 1, got {limit}", "give `limit=10`")
        if not self.terms:
            return [Words() for _ in vectors]
        return [
            Words(self.term(column, probabilities[column]) for column in columns)
            for columns, probabilities in self.best(vectors, mapped, limit)
        ]

    def best(
        self, vectors: np.ndarray, mapped: np.ndarray, limit: int
    ) -> Iterator[tuple[list[int], np.ndarray]]:
        """Of each vector the columns of these terms, and [U] the probabilities of all."""
        for start in range(0, len(vectors), 64):
            part = slice(start, start + 64)
            probabilities = self.said(vectors[part], mapped[part])
            rank = np.where(self.shown, self.rank(probabilities), -1)
            best = best_columns(rank, probabilities, self.terms, limit)
            for columns, row in zip(best, probabilities, strict=True):
                yield self.raised(columns, row), row

    def raised(self, columns: Sequence[int], probabilities: np.ndarray | Mapping[int, float]) -> list[int]:
        """Those of the columns whose odds the vector raises; what is as likely of any item tells nothing of this one.

        Probabilities are looked up by column.
        """
        return [one for one in columns if _odds_ratio(probabilities[one], self.rates[one]) >= _RAISED]

    def apart(self, vectors: np.ndarray, mapped: np.ndarray, limit: int = 10) -> tuple[Words, Words]:
        """The terms that are likelier of the first of two vectors than of the second, and the other way round.

        Those whose probabilities lie farthest apart come first, each with that of its own vector.
        """
        if not self.terms:
            return Words(), Words()
        probabilities = np.concatenate([
            self.said(vectors[n : n + 1], mapped[n : n + 1]) for n in (0, 1)
        ])  # fmt: skip
        first = np.where(self.shown, probabilities[0] - probabilities[1], 0)
        found = []
        for own, lead in ((0, first), (1, -first)):
            order = np.argsort(-lead, kind="stable")[: 2 * limit + 10]
            ordered = [column for column in order.tolist() if lead[column] > 0]
            shown = distinct(self.terms, ordered, probabilities[own], limit)
            found.append(Words(self.term(column, probabilities[own, column]) for column in shown))
        return found[0], found[1]

    def rank(self, probabilities: np.ndarray) -> np.ndarray:
        """[N, U] what terms are ordered by."""
        return probabilities / np.maximum(self.rates, RARE) ** LIFT

    def term(self, column: int, probability: float) -> ReadTerm:
        """A term with its probability."""
        return ReadTerm(
            term=self.terms[column],
            probability=float(probability),
            rate=float(self.rates[column]),
            kind=self.kinds[column],
            column=self.columns[column],
        )

    def in_texts(self, texts: Sequence[str], vector: np.ndarray, mapped: np.ndarray) -> list[Words]:
        """The terms that stand in each text, with the probability that the one vector gives each, in no order of worth.

        A value whose words stand in a text is one of them, and of a word and a value that read the same the likelier.
        """
        if not self.terms:
            return [Words() for _ in texts]
        probabilities = self.said(vector[None], mapped[None])[0]
        found = []
        for text in texts:
            best: dict[str, int] = {}
            for column in sorted(self.columns_in(text) | self._values_in(text)):
                name = self.terms[column].casefold()
                if name not in best or probabilities[column] > probabilities[best[name]]:
                    best[name] = column
            found.append(Words(self.term(column, probabilities[column]) for column in best.values()))
        return found

    def _values_in(self, text: str) -> set[int]:
        if not self._value_forms:
            return set()
        forms = forms_of(text)
        longest = max(map(len, self._value_forms))
        spans = (
            tuple(forms[start : start + width])
            for start in range(len(forms))
            for width in range(1, longest + 1)
        )
        return {column for span in spans for column in self._value_forms.get(span, ())}


def _odds_ratio(probability: float, rate: float) -> float:
    """Odds of a probability by those of the base rate; infinite where it is certain."""
    below = rate * (1 - probability)
    return float(probability * (1 - rate) / below) if below > 0 else np.inf


def joined_weights(x: np.ndarray, y: np.ndarray, weights: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """[9] weights of the joint estimate on [N, 9] features, those of the other sources 0."""
    columns = [0, 1, 2] + [
        at for n, name in enumerate(SOURCES) if name in sources for at in (3 + 2 * n, 4 + 2 * n)
    ]
    columns = [column for column in columns if column < 2 or x[:, column].any()]
    found = np.zeros(x.shape[1])
    found[columns] = fit_logistic(x[:, columns], y, weights, penalty=TRACE)
    return found


def log_loss(x: np.ndarray, y: np.ndarray, weights: np.ndarray, found: np.ndarray) -> float:
    """Mean nats of a pair, with its weights."""
    p = np.clip(sigmoid(x @ found), 1e-9, 1 - 1e-9)
    losses = -np.where(y, np.log(p), np.log1p(-p))
    return float(np.average(losses, weights=weights))


def pair_features(
    rates: np.ndarray, num_own: int, columns: np.ndarray, sources: tuple[np.ndarray, np.ndarray, np.ndarray],
    drawn: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """[P, 9] features of the drawn pairs of a row and one of the given columns."""
    rows, places = np.nonzero(drawn)
    column = columns[places]
    odds = logit(rates[column].astype(np.float64))
    parts: list[Any] = [np.ones(len(rows)), odds, (column < num_own).astype(np.float64)]
    for source in sources:
        z = source[rows, column].astype(np.float64)
        parts += [z, z * odds]
    return np.stack(parts, axis=-1)
