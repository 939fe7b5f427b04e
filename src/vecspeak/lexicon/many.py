"""Words of very many vectors: the terms that `TermReader.words` names, without working out every probability.

A probability takes two arcsinh and a logistic function a term, and only some thirty terms of a vector are ever looked
at. So each term first gets a bound of its rank, for which products of matrices are enough:

    log(p / b^0.25)  <=  L - log b^0.25,    L = base + w arcsinh z + w' arcsinh z' + nearest

with the line a + c max(z, -2) in the place of arcsinh z, which lies above it everywhere. Of the terms with the best
bounds the ranks are worked out; the thirtieth of these is a threshold, and a term whose bound lies below it is none of
the thirty. Of the others, some hundred terms a vector, everything is worked out as `TermReader` does.

Sizes: N vectors, B of them in a block, D numbers in each, C terms that may be said, K known items.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vecspeak.lexicon.joint import NEIGHBORS, PRIOR, RARE, SAME, WORDS, TermReader
from vecspeak.lexicon.readout import LIFT, Readout, logit, unit_rows
from vecspeak.lexicon.terms import distinct
from vecspeak.stats import sigmoid

_BLOCK = 128
"""Rows whose bounds are in memory at a time: they fit a processor's cache."""
_GROUPS = 32
"""Columns of which only the greatest bound counts for the first threshold."""
_MARGIN = 1e-3
"""Nats by which a bound may come out too low in float32."""
_LEAST = 2.0
"""Where the line meets arcsinh below 0; what lies lower is bounded as if it lay there."""
_NEVER = -1e30


class MapOfSpace(Protocol):
    """What maps vectors of a space to those that the encoder's lexicon reads: an alignment."""

    @property
    def gain(self) -> float:
        """What the product with the matrix is multiplied by."""
        ...

    @property
    def matrix(self) -> np.ndarray | None:
        """[D, T]; None where vectors are read as they are."""
        ...

    @property
    def offset(self) -> np.ndarray | None:
        """[T] that is added."""
        ...

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """[N, D] to [N, T] of length 1."""
        ...

    def standardize(self, vectors: np.ndarray) -> np.ndarray:
        """[N, D] as the matrix takes them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BestTerms:
    """The terms of N vectors, best first, those of one vector after those of another."""

    counts: np.ndarray
    """[N] int64 terms of each."""
    columns: np.ndarray
    """[sum of counts] int64 columns of the reader's terms."""
    probabilities: np.ndarray
    """[sum of counts] float32."""


class ManyWords:
    """Reads the best terms of many vectors of one space; `best` may be called by several threads."""

    def __init__(self, reader: TermReader, alignment: MapOfSpace, limit: int = 10) -> None:
        """`alignment` is that of the space."""
        self.limit, self.terms, self.term_columns = limit, reader.terms, tuple(reader.columns)
        self._alignment, self._raised = alignment, reader.raised
        # Where the encoder made the vectors of tags itself, two estimates compete: `TermReader` does that.
        has_two = reader.has_tags and alignment.matrix is None
        self._bounds = None if has_two or not reader.shown.any() else _Bounds(reader, alignment, limit)
        self._reader = reader if self._bounds is None else None

    def best(self, vectors: np.ndarray) -> BestTerms:
        """The terms of [N, D] vectors of items that are finite and not all 0. Raises UserError for another width."""
        parts = [
            self._best(np.ascontiguousarray(vectors[start : start + _BLOCK], np.float32))
            for start in range(0, len(vectors), _BLOCK)
        ]
        return BestTerms(
            counts=np.array([len(one) for part in parts for one, _ in part], np.int64),
            columns=np.array([column for part in parts for one, _ in part for column in one], np.int64),
            probabilities=np.array([p for part in parts for _, some in part for p in some], np.float32),
        )

    def _best(self, block: np.ndarray) -> list[tuple[list[int], list[float]]]:
        """The columns and probabilities of each row."""
        if self._bounds is None:
            assert self._reader is not None
            found = self._reader.best(block, self._alignment(block), self.limit)
            return [(columns, probabilities[columns].tolist()) for columns, probabilities in found]
        said = []
        for columns, probabilities in self._bounds.best(block):
            by_column = dict(zip(columns, probabilities, strict=True))
            first = self._raised(distinct(self.terms, columns, by_column, self.limit), by_column)
            said.append((first, [by_column[column] for column in first]))
        return said


class _ReadTerms:
    """One read-out of C terms, scaled so that its products bound what it adds to log odds."""

    def __init__(self, table: np.ndarray, by: np.ndarray, is_linear: np.ndarray) -> None:
        """`table` [R, C] gives z of rows, `by` [C] is what arcsinh z counts, or where it is linear z itself."""
        slope, start = line_above(_LEAST)
        scale = by * np.where(is_linear, 1.0, slope)
        self.table = np.ascontiguousarray(table * scale, np.float32)
        self.start = np.where(is_linear, 0.0, np.abs(by) * start)
        self.floor = np.where(is_linear, -np.inf, -np.abs(scale) * _LEAST).astype(np.float32)
        self._by, self._is_linear = by.astype(np.float32), is_linear
        back = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale != 0)
        self._back = back.astype(np.float32)

    def corrected(self, products: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """What it adds to the log odds of single terms beyond its part of the bound, from their products."""
        curved = self._by[columns] * np.arcsinh(products * self._back[columns])
        exact = np.where(self._is_linear[columns], products, curved)
        return exact - np.maximum(products, self.floor[columns])


def line_above(least: float) -> tuple[float, float]:
    """Slope and start of the line that meets arcsinh at -least and touches it at some c > 0: from -least on above it.

    c is found by halving.

    >>> slope, start = line_above(3.0)
    >>> z = np.linspace(-3, 300, 1000)
    >>> bool((start + slope * z >= np.arcsinh(z) - 1e-6).all())
    True
    """
    low, high = 0.0, least
    for _ in range(60):
        touching = (low + high) / 2
        at_end = np.arcsinh(touching) - (touching + least) / np.sqrt(1 + touching**2)
        low, high = (low, touching) if at_end >= -np.arcsinh(least) else (touching, high)
    slope = 1 / np.sqrt(1 + high**2)
    return float(slope), float(np.arcsinh(high) - slope * high)


class _Nearest:
    """What the nearest known items add to the log odds of C terms, beside what none of them having a term adds."""

    def __init__(self, reader: TermReader, shown: np.ndarray, by: np.ndarray) -> None:
        from scipy.sparse import csr_matrix

        assert reader.known is not None
        self._vectors = reader.known.vectors
        place = np.full(len(reader), -1, np.int64)
        place[shown[by != 0]] = np.flatnonzero(by)
        parts = [place[reader.columns_of(item)] for item in range(len(self._vectors))]
        parts = [part[part >= 0] for part in parts]
        starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        columns = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        self._has = csr_matrix((np.ones(len(columns), np.float32), columns, starts), (len(parts), len(shown)))
        rates = reader.rates[shown]
        # [11, C] by how many of the nearest have the term, as `TermReader.nearest_odds` has it
        shares = (np.arange(NEIGHBORS + 1)[:, None] + PRIOR * rates) / (NEIGHBORS + PRIOR)
        self._odds = by * (logit(np.clip(shares, 1e-7, 0.999)) - logit(rates.astype(np.float64)))
        self.none = self._odds[0]
        self._more = (self._odds - self.none).astype(np.float32)

    def add(self, block: np.ndarray, bounds: np.ndarray) -> None:
        """Add what it adds, beyond `none`, to [B, C] bounds in place."""
        from scipy.sparse import csr_matrix

        near = unit_rows(block) @ self._vectors.T
        near[near > SAME] = -2
        count = min(NEIGHBORS, near.shape[1])
        rows, columns = _above(near, _threshold(near, count))
        cosines = near[rows, columns]
        best = _Ranks(len(block), rows, columns, cosines, cosines).best(count, np.arange(near.shape[1]))
        items = np.array([found for found, _ in best], np.int64)
        selected = csr_matrix(
            (np.ones(items.size, np.float32), items.ravel(), np.arange(0, items.size + 1, count)),
            (len(block), len(self._vectors)),
        )
        counts = selected @ self._has  # [B, C]: how many of the nearest have each term
        rows = np.repeat(np.arange(len(block)), np.diff(counts.indptr))
        bounds[rows, counts.indices] += self._more[counts.data.astype(np.int64), counts.indices]


class _EncoderWay:
    """The way from a vector to what the encoder's lexicon reads, in one step where that takes fewer numbers.

    A mapped vector is y / |y| with y linear in the given one, so a read-out of it is linear in (y / |y|, 1), and what
    it is multiplied by can be multiplied with the map beforehand; |y| comes from the map's gram matrix.
    """

    def __init__(self, readout: Readout, alignment: MapOfSpace) -> None:
        self._alignment = alignment
        basis = np.eye(readout.dim) if readout.basis is None else readout.basis.astype(np.float64)
        matrix, offset = alignment.matrix, alignment.offset
        self._gram, self._into, self._readout = None, None, readout
        if matrix is not None and offset is not None and len(matrix) + 2 < basis.shape[1]:
            rows = np.concatenate([alignment.gain * matrix.astype(np.float64), offset[None]])
            self._gram = rows @ rows.T
            self._into = np.concatenate([rows, -readout.center[None].astype(np.float64)]) @ basis

    def table(self, table: np.ndarray) -> np.ndarray:
        """[R, C] of the read-out as the rows of `read` take it."""
        return table if self._into is None else self._into @ table

    def read(self, block: np.ndarray) -> np.ndarray:
        """[B, R] float32 of [B, D] vectors."""
        if self._gram is None:
            return self._readout.away(self._alignment(block))
        given = self._alignment.standardize(block).astype(np.float64)
        given = np.concatenate([given, np.ones((len(given), 1))], axis=1)
        lengths = np.sqrt(np.maximum(np.einsum("bd,bd->b", given @ self._gram, given), 1e-24))
        found = np.concatenate([given / lengths[:, None], np.ones((len(given), 1))], axis=1)
        return found.astype(np.float32)


class _Bounds:
    """Bounds of the log ranks of the C terms that may be said, and the ranks themselves where these are high."""

    def __init__(self, reader: TermReader, alignment: MapOfSpace, limit: int) -> None:
        self._columns = np.flatnonzero(reader.shown)
        self._most = min(2 * limit + 10, len(self._columns))
        base, by, is_linear = _weights(reader, self._columns)
        self._own = self._encoder = self._near = None
        starts, never = np.zeros(len(base)), np.zeros(len(base))
        own = reader.lexicon.readout if reader.lexicon else None
        if own is not None and by[0].any():
            self._readout, places = own, np.flatnonzero(self._columns < reader.num_own)  # the first of them
            table = reader.own_table[:, self._columns[places]]
            self._own = _ReadTerms(table, by[0, places], np.zeros(len(places), bool))
            starts[places] += self._own.start
        if reader.shipped is not None and by[1].any():
            self._way = _EncoderWay(reader.shipped.readout, alignment)
            self._encoder = _ReadTerms(_encoder_table(reader, self._columns), by[1], is_linear)
            starts += self._encoder.start
            self._encoder.table = np.ascontiguousarray(self._way.table(self._encoder.table), np.float32)
        if reader.known is not None and len(reader.known.vectors) and by[2].any():
            self._near = _Nearest(reader, self._columns, by[2])
            never = self._near.none
        self._log_share = LIFT * np.log(np.maximum(reader.rates[self._columns], RARE)).astype(np.float32)
        self._starts = starts.astype(np.float32)
        self._const = (base - self._log_share + never + starts).astype(np.float32)

    def best(self, block: np.ndarray) -> list[tuple[list[int], list[float]]]:
        """The columns of the highest rank of each of [B, D] vectors, best first, with their probabilities."""
        made = self._products(block)
        # The first threshold: so many columns have a bound of at least this, and their ranks give the second one.
        least = _threshold(made.bounds, self._most)
        ranks = self._ranks(made, *_above(made.bounds, least))
        least = np.minimum(ranks.least(self._most), least) - _MARGIN
        ranks = self._ranks(made, *_above(made.bounds, least))
        return ranks.best(self._most, self._columns)

    def _products(self, block: np.ndarray) -> "_Products":
        bounds = np.empty((len(block), len(self._const)), np.float32)
        bounds[:] = self._const
        own = encoder = None
        if self._encoder is not None:
            encoder = self._way.read(block) @ self._encoder.table
            bounds += np.maximum(encoder, self._encoder.floor)
        if self._own is not None:
            own = self._readout.away(block) @ self._own.table
            bounds[:, : own.shape[1]] += np.maximum(own, self._own.floor)
        if self._near is not None:
            self._near.add(block, bounds)
        return _Products(bounds=bounds, own=own, encoder=encoder)

    def _logits(self, made: "_Products", rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Log odds of single terms, less the logarithm of what ranks are divided by."""
        found = made.bounds[rows, columns] - self._starts[columns]
        if self._encoder is not None and made.encoder is not None:
            found += self._encoder.corrected(made.encoder[rows, columns], columns)
        if self._own is not None and made.own is not None:
            is_own = columns < made.own.shape[1]
            at = rows[is_own], columns[is_own]
            found[is_own] += self._own.corrected(made.own[at], at[1])
        return found

    def _ranks(self, made: "_Products", rows: np.ndarray, columns: np.ndarray) -> "_Ranks":
        share = self._log_share[columns]
        probabilities = sigmoid(self._logits(made, rows, columns) + share)
        return _Ranks(len(made.bounds), rows, columns, probabilities, np.log(probabilities) - share)


@dataclass(slots=True, kw_only=True, eq=False)
class _Products:
    """What the bounds of a block are made of."""

    bounds: np.ndarray
    """[B, C] float32."""
    own: np.ndarray | None
    """[B, O] products of the space's own read-out, of which the terms are the first."""
    encoder: np.ndarray | None
    """[B, C] products of the encoder's lexicon."""


class _Ranks:
    """Ranks of some terms of each of B rows, brought side by side."""

    def __init__(
        self, count: int, rows: np.ndarray, columns: np.ndarray, probabilities: np.ndarray, ranks: np.ndarray
    ) -> None:
        starts = np.searchsorted(rows, np.arange(count + 1))
        place = np.arange(len(rows)) - starts[rows]
        self._ranks = np.full((count, max(int(np.diff(starts).max(initial=0)), 1)), -np.inf, np.float32)
        self._ranks[rows, place] = ranks
        self._starts, self._columns, self._probabilities = starts, columns, probabilities

    def least(self, most: int) -> np.ndarray:
        """[B] the rank of the last of the best."""
        most = min(most, self._ranks.shape[1])
        return np.partition(self._ranks, -most, axis=1)[:, -most]

    def best(self, most: int, names: np.ndarray) -> list[tuple[list[int], list[float]]]:
        """The names of the best columns of each row, with their probabilities; of equal ones the first."""
        order = np.argsort(-self._ranks, axis=1, kind="stable")[:, :most]
        found = []
        for row, places in enumerate(order):
            there = self._starts[row] + places[: self._starts[row + 1] - self._starts[row]]
            found.append((names[self._columns[there]].tolist(), self._probabilities[there].tolist()))
        return found


def _threshold(scores: np.ndarray, count: int) -> np.ndarray:
    """[B] numbers that at least `count` of each row of [B, C] scores are no less than, mostly few more."""
    width = scores.shape[1] // _GROUPS
    if width < count:
        return np.partition(scores, -count, axis=1)[:, -count]
    tops = scores[:, : width * _GROUPS].reshape(len(scores), _GROUPS, width).max(axis=1)
    return np.partition(tops, -count, axis=1)[:, -count]


def _above(scores: np.ndarray, least: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows, ascending, and columns of the scores that are no less than the row's number."""
    return np.divmod(np.flatnonzero(scores >= least[:, None]), scores.shape[1])


def _weights(reader: TermReader, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of C columns: base [C] and weights [3, C] of the sources as `TermReader.join` has them, and where z is linear."""
    count = len(columns)
    base, by, is_linear = np.full(count, _NEVER), np.zeros((3, count)), np.zeros(count, bool)
    odds = logit(reader.rates[columns].astype(np.float64))
    groups = dict(reader.lexicon.weights) if reader.lexicon else {}
    if WORDS not in groups and reader.shipped is not None:  # the encoder's lexicon says them alone
        readout = reader.shipped.readout
        number = _numbers(reader)[columns]
        there = number >= 0
        general = logit(readout.rates[number[there]].astype(np.float64))
        first, by_rate, by_deviation, both = readout.calibration
        base[there] = first + by_rate * general
        by[1, there] = by_deviation + both * general
        is_linear |= there
    for group, weights in groups.items():
        part = np.isin(columns, reader.group(group))
        is_own = columns[part] < reader.num_own
        base[part] = weights[0] + weights[1] * odds[part] + weights[2] * is_own + reader.shifts[columns[part]]
        by[:, part] = [weights[at] + weights[at + 1] * odds[part] for at in (3, 5, 7)]
        is_linear[part] = False
    return base, by, is_linear


def _numbers(reader: TermReader) -> np.ndarray:
    """[U] where each term stands in the encoder's lexicon; -1 for a term that it lacks."""
    number = np.full(len(reader), -1, np.int64)
    number[reader.shipped_place] = np.arange(len(reader.shipped_place))
    return number


def _encoder_table(reader: TermReader, columns: np.ndarray) -> np.ndarray:
    """[R, C] of the encoder's lexicon; zeros for terms that it lacks."""
    assert reader.shipped is not None
    table, number = reader.shipped.readout.table(), _numbers(reader)[columns]
    return np.where(number >= 0, table[:, np.maximum(number, 0)], 0.0)
