"""Names: what each region of a space is called, short, of its own, and true of its members more than of others'.

A name is made of up to three terms: values of columns and words of the texts that a test found more frequent inside.
An item is held to fit a name by how many of its terms it has. Terms are added one after the other, each time the one
with which the name ranks members highest above the items of the other regions, every region counting alike, and above
those of its siblings, the regions of the same group one level up. A value that nearly all members share and most
others lack is in it in any case. So a name says what its region is and what it is
not. In a space whose items have neither texts nor columns, the words are those that its lexicon reads from the middle.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.bundles.lexicons import as_items, texts_of
from vecspeak.explore.contrast import (
    FEWEST,
    Contrast,
    Facts,
    FeatureContrast,
    FeatureTable,
    MedianDifference,
    contrast,
)
from vecspeak.lexicon.terms import distinct, empty_vocabulary, fit_vocabulary
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters
from vecspeak.spaces.search import unit_rows
from vecspeak.tables.columns import TEXT_COLUMN
from vecspeak.tasks.task_set import stop_words

MOST_TERMS = 3
"""Terms of a name."""
MIXED = 0.2
"""Share of the members that must have a term of the name; else the name says that the region is mixed."""
_ITEMS = 20_000
"""Items that names are worked out on, where there are more."""
_SOME = 0.04
"""Share of the members that must have a word of the name; of one that is a name of somebody or something, _KNOWN."""
_KNOWN = 0.15
_LIFT = 1.3
"""How many times as frequent it must be inside, at the low end of its interval."""
_GAIN = 0.02
"""Share by which one more term must better the name."""
_STEM = 4
"""Terms with a word that begins alike for so many letters are one term in a name: marry, married, marriage."""
_NO_NAMES = frozenset({"true", "false"})
"""Values that say nothing without their column."""
_APART = 0.2
"""How far from an even chance a number must be to be in a name."""
_PRECISE = 0.25
"""Power of the precision beside the AUC: with 0 names say what many regions have, with 1 what few members have."""
_NEARLY_ALL, _FEW = 0.9, 0.25
"""Share of the members from which on a value that they share, and so many others at most have, must be in the name."""
_IDEOGRAPHS = 0x2E80
"""Where the signs of Unicode begin that are words alone."""
_LONGEST = 60
"""Letters of a term."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What is read from the middles of G regions without a language model."""

    terms: tuple[str, ...]
    """U words and values."""
    probabilities: np.ndarray
    """[G, U] that a term stands in the text of an item there."""
    worth: np.ndarray
    """[G, U] what terms are ordered by; 0 for what is not to be said."""


Read = Callable[[np.ndarray], Reading]
"""From [G, D] middles of regions to what is read from them."""


def reader_of_middles(entry: SpaceEntry) -> Read:
    """What reads the middles of an entry's regions; its lexicon is opened when it is first asked."""

    def read(middles: np.ndarray) -> Reading:
        reader = entry.term_reader
        parts = [
            reader.said(as_items(entry.alignment, one, "made"), entry.alignment(one, "made"))
            for one in (middles[number : number + 1] for number in range(len(middles)))
        ]
        found = np.concatenate(parts)
        worth = np.where(reader.shown, reader.rank(found), 0)
        return Reading(terms=tuple(reader.terms), probabilities=found, worth=worth)

    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionName:
    """A name and how it ranks its own region among all of its level. Shares count each region alike."""

    text: str
    terms: tuple[str, ...] = ()
    """The values and words that it is made of; none where it is that of a number or of a typical item."""
    coverage: float | None = None
    """Share of the members that have at least one of the terms; None where there are none, as below."""
    precision: float | None = None
    """Share of the items with a term that are members, if all regions had as many items."""
    auc: float | None = None
    """How often a member has more of the terms than an item of another region, ties counting half."""
    rank: int | None = None
    """One more than the regions whose items have more of the terms on average: 1 is the best."""
    among: int = 0
    """Regions of the level."""
    is_read: bool = False
    """Whether the terms were read from the region's middle, because its items have no words to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """The names of a space's regions, and of the groups of its coarser levels, the coarsest first."""

    regions: tuple[RegionName, ...]
    levels: tuple[tuple[RegionName, ...], ...]

    def on(self, clusters: Clusters) -> Clusters:
        """The regions under these names."""
        named = [[one.text for one in names] for names in (self.regions, *self.levels)]
        return clusters.named(*named)


def name_regions(
    space: Space, clusters: Clusters, *, facts: Facts | None = None, read: Read | None = None
) -> Naming:
    """Name every region and every group. `read` gives words for a space that has neither texts nor columns.

    No two regions of a level have the same name, and a group that is a single region has that region's. More than
    20,000 items are counted on a sample.
    """
    facts = Facts.from_space(space) if facts is None else facts
    rows = _sampled(clusters.labels)
    table = _Table.from_facts(space, facts, rows)
    labels, typical = clusters.labels[rows], _typical(space, clusters)
    every = np.arange(clusters.num_regions)
    above = np.zeros_like(every)  # above the coarsest level all regions are one group
    levels: list[tuple[RegionName, ...]] = []
    known: dict[bytes, RegionName] = {}
    for parents in (*(level.parents for level in clusters.levels), every):
        firsts = [int(np.flatnonzero(parents == group)[0]) for group in range(parents.max() + 1)]
        level = _Level(
            table=table,
            labels=parents[labels],
            above=above[firsts],
            typical=[typical[number] for number in firsts],  # that of the largest region
            reading=None if read is None or table.has_words else read(_middles(clusters, parents)),
        )
        names: list[RegionName] = []
        for group in range(len(firsts)):
            members = (parents == group).tobytes()
            if members in known:
                names.append(level.again(group, known[members]))
            else:
                names.append(level.name(group, {one.text for one in known.values()}))
            known[members] = names[-1]
        levels.append(tuple(names))
        above = parents
    return Naming(regions=levels[-1], levels=tuple(levels[:-1]))


def _sampled(labels: np.ndarray) -> np.ndarray:
    """Rows of items that are in a region, 20,000 at most; of every region some."""
    rows = np.flatnonzero(labels >= 0)
    if len(rows) <= _ITEMS:
        return rows
    drawn = np.random.default_rng(0).choice(rows, _ITEMS, replace=False)
    few = np.flatnonzero(np.bincount(labels[drawn], minlength=labels.max() + 1) < FEWEST)
    return np.union1d(drawn, rows[np.isin(labels[rows], few)])


def _typical(space: Space, clusters: Clusters) -> list[str]:
    """The label of the item nearest to each region's centroid."""
    found = []
    for number, center in enumerate(clusters.centroids):
        rows = clusters.rows_of(number)
        near = unit_rows(space.vectors[rows]) @ unit_rows(center.astype(np.float64))
        found.append(space.labels[int(rows[near.argmax()])])
    return found


def _middles(clusters: Clusters, parents: np.ndarray) -> np.ndarray:
    """[G, D] mean vectors of groups of regions."""
    sums = np.zeros((parents.max() + 1, clusters.centroids.shape[1]))
    np.add.at(sums, parents, clusters.centroids * clusters.sizes[:, None])
    return (sums / np.bincount(parents, clusters.sizes)[:, None]).astype(np.float32)


# --- what is counted ---


@dataclass(frozen=True, kw_only=True, eq=False)
class _Table:
    """Facts of the items that are counted, and which word is whose name."""

    facts: Facts
    proper: frozenset[str]
    """Words that are names, which begin with a capital."""

    def matrix(self, terms: Sequence[FeatureContrast]) -> Any:
        """[M, C] sparse: which item has which of some terms."""
        from scipy.sparse import hstack

        columns = [self._place[one.column, one.name] for one in terms]
        values, words = self.facts.values.matrix, self.facts.words.matrix
        parts = [
            (values[:, [column]] if column < values.shape[1] else words[:, [column - values.shape[1]]])
            for column in columns
        ]
        return hstack(parts, format="csc")

    @property
    def has_words(self) -> bool:
        """Whether the items have words or values that can be counted."""
        return bool(self.facts.words.names or self.facts.values.names)

    @cached_property
    def _place(self) -> dict[tuple[str, str], int]:
        tables = (self.facts.values, self.facts.words)
        names = [pair for one in tables for pair in zip(one.columns, one.names, strict=True)]
        return {name: column for column, name in enumerate(names)}

    @classmethod
    def from_facts(cls, space: Space, facts: Facts, rows: np.ndarray) -> "_Table":
        """Words are those of the lexicon: plurals joined, two-word terms, no stop words and no pieces of names."""
        texts = texts_of(space.take(rows)) if TEXT_COLUMN in space.metadata.column_names else []
        vocabulary = empty_vocabulary()
        if texts:
            vocabulary = fit_vocabulary(texts, stop_words=stop_words(), min_count=FEWEST)
        whole = [column for column, kind in enumerate(vocabulary.kinds) if kind != "fragment"]
        words = FeatureTable(
            columns=(TEXT_COLUMN,) * len(whole),
            names=tuple(vocabulary.terms[column] for column in whole),
            matrix=vocabulary.matrix(texts or [""] * len(rows))[:, whole].astype(np.int32).tocsr(),
        )
        values = FeatureTable(
            columns=facts.values.columns, names=facts.values.names, matrix=facts.values.matrix[rows]
        )
        numbers = {name: column[rows] for name, column in facts.numbers.items()}
        kinds = zip(vocabulary.terms, vocabulary.kinds, strict=True)
        return cls(
            facts=Facts(values=values, words=words, numbers=numbers),
            proper=frozenset(term for term, kind in kinds if kind == "name"),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Level:
    """G groups of items that are named beside each other."""

    table: _Table
    labels: np.ndarray
    """[M] the group of each item that is counted."""
    above: np.ndarray
    """[G] the group of the level above that each is in."""
    typical: Sequence[str]
    """G labels of typical items."""
    reading: Reading | None

    def name(self, group: int, taken: set[str]) -> RegionName:
        """The best name of a group that none has yet."""
        inside = np.flatnonzero(self.labels == group)
        if len(inside) == len(self.labels):
            return RegionName(text="everything")
        found = contrast(self.table.facts, inside)
        options = self._options(group, found, _terms_of(found, self.table.proper))
        return next(option for option in options if option.text not in taken)

    def again(self, group: int, name: RegionName) -> RegionName:
        """The name of a group with the same members on the level above, as it ranks on this one."""
        if name.coverage is None:
            return name
        found = contrast(self.table.facts, np.flatnonzero(self.labels == group))
        terms = {one.name: one for one in reversed(_terms_of(found, self.table.proper))}
        picked = [terms[one] for one in name.terms]
        has = self.table.matrix(picked)
        counts = np.asarray(has[:, :-1].sum(1)).ravel().astype(np.int64)
        return self._fits(group, counts, has[:, [-1]]).named(0, picked, self.table.proper)

    def _options(self, group: int, found: Contrast, terms: list[FeatureContrast]) -> Iterator[RegionName]:
        """Names from the best on, without end."""
        # what is taken is another's: without its best term the next best name is made
        for start in range(min(len(terms), MOST_TERMS) if terms else 0):
            yield self._of_terms(group, terms, start)
        for words in self._read(group):
            yield RegionName(text=", ".join(words), terms=tuple(words), is_read=True, among=len(self.above))
        for one in sorted(found.numbers, key=lambda one: (-abs(one.above - 0.5), one.column)):
            if abs(one.above - 0.5) > _APART:
                yield RegionName(text=_number_name(one))
        label = _cut(self.typical[group])
        yield RegionName(text=f"around {label}")
        number = 2
        while True:
            yield RegionName(text=f"around {label} ({number})")
            number += 1

    def _read(self, group: int) -> Iterator[list[str]]:
        """Words that this middle is read to have more than any other; for spaces whose items have none."""
        if self.reading is None:
            return
        own = self.reading.probabilities.argmax(0) == group
        worth = np.where(own, self.reading.worth[group], 0)
        order = [column for column in np.argsort(-worth, kind="stable")[:40].tolist() if worth[column] > 0]
        words = distinct(self.reading.terms, order, self.reading.probabilities[group], 2 * MOST_TERMS)
        for start in range(0, len(words), MOST_TERMS):
            yield [self.reading.terms[column] for column in words[start : start + MOST_TERMS]]

    def _of_terms(self, group: int, terms: list[FeatureContrast], skipped: int) -> RegionName:
        """Terms added while they better the name, the best first; the `skipped` best do not begin it."""
        has = self.table.matrix(terms)
        counts = np.zeros(len(self.labels), dtype=np.int64)
        picked: list[FeatureContrast] = []
        best, found = 0.0, None
        while len(picked) < MOST_TERMS:
            fits = self._fits(group, counts, has)
            worth = fits.worth()
            worth[[any(_stems(term.name) & _stems(one.name) for one in picked) for term in terms]] = -1
            column = int(np.argsort(-worth, kind="stable")[0 if picked else skipped])
            if picked and worth[column] < (1 + _GAIN) * best:
                break
            best = worth[column]
            picked.append(terms[column])
            counts += has[:, [column]].toarray().ravel()
            found = fits.named(column, picked, self.table.proper)
        assert found is not None, "there is a term"
        return self._with_required(group, terms, picked) or found

    def _with_required(
        self, group: int, terms: list[FeatureContrast], picked: list[FeatureContrast]
    ) -> RegionName | None:
        """The name with the values that it must say and lacks, in the place of its last terms; None where none is."""
        required = _required(terms)
        said = [one for one in picked if one in required]
        said_stems = [_stems(one.name) for one in picked]
        lacking: list[FeatureContrast] = []
        for one in required:
            if one not in said and not any(_stems(one.name) & stems for stems in said_stems):
                lacking.append(one)
                said_stems.append(_stems(one.name))
        if not lacking:
            return None
        others = [one for one in picked if one not in said]
        room = max(MOST_TERMS - len(said) - len(lacking), 0)
        retained = [one for one in picked if one in said or one in others[:room]]
        made = [*retained, *lacking][:MOST_TERMS]
        has = self.table.matrix(made)
        counts = np.asarray(has[:, :-1].sum(1)).ravel().astype(np.int64)
        return self._fits(group, counts, has[:, [-1]]).named(0, made, self.table.proper)

    def _fits(self, group: int, counts: np.ndarray, has: Any) -> "_Fits":
        """How the name ranks the groups with each of [M, C] terms beside those of which items have [M] counts."""
        from scipy.sparse import csr_matrix

        groups, width = len(self.above), MOST_TERMS + 1
        cells = self.labels * width + counts
        picks = csr_matrix(
            (np.ones(len(cells)), (cells, np.arange(len(cells)))), (groups * width, len(cells))
        )
        having = (picks @ has).toarray().reshape(groups, width, -1)
        shares = np.bincount(cells, minlength=groups * width).reshape(groups, width, 1) - having
        shares[:, 1:] += having[:, :-1]
        shares /= np.bincount(self.labels, minlength=groups)[:, None, None]
        others = np.arange(groups) != group
        siblings = others & (self.above == self.above[group])
        return _Fits(
            shares=shares, group=group, others=others, siblings=siblings if siblings.any() else others
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fits:
    """C names of one group."""

    shares: np.ndarray
    """[G, 4, C] share of each group's items that have 0 to 3 of a name's terms."""
    group: int
    others: np.ndarray
    """[G] bool: the other groups, and of these the siblings."""
    siblings: np.ndarray

    def auc(self, among: np.ndarray) -> np.ndarray:
        """[C] how often a member has more terms than an item of these groups, ties counting half."""
        outside = self.shares[among].mean(0)
        below = outside.cumsum(0) - outside
        found: np.ndarray = (self.shares[self.group] * (below + outside / 2)).sum(0)
        return found

    @property
    def coverage(self) -> np.ndarray:
        """[C] share of the members that have a term."""
        found: np.ndarray = 1 - self.shares[self.group, 0]
        return found

    @property
    def precision(self) -> np.ndarray:
        """[C] of the items that have a term the share that is inside, were all groups equally large."""
        found: np.ndarray = self.coverage / np.maximum((1 - self.shares[:, 0]).sum(0), 1e-12)
        return found

    def worth(self) -> np.ndarray:
        """[C] what names are ordered by."""
        auc = (self.auc(self.others) + self.auc(self.siblings)) / 2
        found: np.ndarray = np.maximum(2 * auc - 1, 0) * self.precision**_PRECISE
        return found

    def named(self, column: int, terms: Sequence[FeatureContrast], proper: frozenset[str]) -> RegionName:
        """The name of these terms, of which the last is the column's."""
        means = np.tensordot(self.shares[:, :, column], np.arange(self.shares.shape[1]), axes=(1, 0))
        coverage = float(self.coverage[column])
        text = _written(terms, proper)
        return RegionName(
            text=f"mixed: {text}" if coverage < MIXED else text,
            terms=tuple(one.name for one in terms),
            coverage=coverage,
            precision=float(self.precision[column]),
            auc=float(self.auc(self.others)[column]),
            rank=1 + int((means > means[self.group] + _TIE).sum()),
            among=len(means),
        )


_TIE = 1e-9


def _terms_of(found: Contrast, proper: frozenset[str]) -> list[FeatureContrast]:
    """What was found that may be in a name: no trifles, nothing without its column, no long text."""

    def fits(one: FeatureContrast) -> bool:
        least = _KNOWN if one.column == TEXT_COLUMN and one.name in proper else _SOME
        clear = (
            not _is_letter(one.name.strip())
            and one.name.casefold() not in _NO_NAMES
            and len(one.name) <= _LONGEST
        )
        return bool(clear) and one.inside >= least and one.lift.low >= _LIFT

    return [one for one in (*found.values, *found.words) if fits(one)]


def _is_letter(name: str) -> bool:
    """Whether it is blank or one letter or digit, which says nothing; where a sign is a word (Chinese) it is none."""
    return not name or (len(name) == 1 and ord(name) < _IDEOGRAPHS)


def _required(terms: Sequence[FeatureContrast]) -> list[FeatureContrast]:
    """Values that nearly all members share and few others have, the rarest outside first."""
    found = [
        one
        for one in terms
        if one.column != TEXT_COLUMN and one.inside >= _NEARLY_ALL and one.outside <= _FEW
    ]
    return sorted(found, key=lambda one: one.outside)[:MOST_TERMS]


def _written(terms: Sequence[FeatureContrast], proper: frozenset[str]) -> str:
    """Values first, then words: `Horror: ghost, house`; names begin with a capital."""
    values = [one.name for one in terms if one.column != TEXT_COLUMN]
    words = [
        one.name.title() if one.name in proper else one.name for one in terms if one.column == TEXT_COLUMN
    ]
    return ": ".join(", ".join(part) for part in (values, words) if part)


def _number_name(one: MedianDifference) -> str:
    return f"{one.column} about {one.inside.value:.6g}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"


def _stems(text: str) -> set[str]:
    return {word[:_STEM] for word in re.findall(r"\w+", text.casefold())}
