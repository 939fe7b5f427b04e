"""Terms: the words and two-word terms that a lexicon reads, each counted once a text.

A term stands for its forms: "robot" for "robot", "robots" and "robot's". Stop words, numbers and words of one letter
are no terms. A word that is nearly always written with a capital inside sentences is a name ("Paris"), and a name that
nearly always stands next to another name is a fragment ("Los", "Jr"): fragments are counted and measured, but nothing
is written from them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from vecspeak.evidence import TermKind
from vecspeak.tables.spelling import one_form

_PIECE = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\n|[^\s]")
"""A word, or one mark that keeps words apart."""
_POSSESSIVE = re.compile(r"['’]s?$")
_ENDS = frozenset('.!?:;"“”(\n')
"""Marks after which a capital says nothing."""
_NAME_SHARE = 0.8
"""Share of a word's occurrences inside sentences that have a capital, from which on it is a name."""
_FRAGMENT_SHARE = 0.8
"""Share of a name's occurrences that stand next to another name, from which on it is a fragment."""
_COLLOCATION = 0.35
"""Least normalised pointwise mutual information of a two-word term (Bouma 2009): -1 never together, 1 never apart."""

_WHOLE = 0.5
"""Least probability of a two-word term beside that of its word: from there on it is shown in the word's place."""


class _Forms(dict[str, str]):
    """From a piece of a text to its form: lower case without a possessive; empty for a mark."""

    def __missing__(self, piece: str) -> str:
        form = _POSSESSIVE.sub("", piece.casefold()).replace("’", "'") if piece[0].isalpha() else ""
        if len(self) < _MOST_FORMS:
            self[piece] = form
        return form


_MOST_FORMS = 1_000_000
_FORMS = _Forms()


def forms_of(text: str) -> list[str]:
    """The words of a text in order, lower case and without possessives; "" where a mark keeps words apart.

    >>> forms_of("Ann's robots, in New York")
    ['ann', 'robots', '', 'in', 'new', 'york']
    """
    forms = _FORMS
    return [forms[piece] for piece in _PIECE.findall(one_form(text))]


@dataclass(frozen=True, kw_only=True, eq=False)
class Vocabulary:
    """V terms, in order of how many texts have them."""

    terms: tuple[str, ...]
    kinds: tuple[TermKind, ...]
    counts: np.ndarray
    """[V] int64: texts that have the term."""
    num_texts: int
    forms: Mapping[str, str]
    """From a form to its term, for forms that are not the term itself."""

    def __len__(self) -> int:
        return len(self.terms)

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Column of each term."""
        return {term: column for column, term in enumerate(self.terms)}

    def columns_in(self, text: str) -> set[int]:
        """Columns of the terms that stand in a text, two-word terms and the words in them."""
        forms, place, seconds = self.forms, self.place, self._seconds
        found, before = set(), ""
        for form in forms_of(text):
            term = forms.get(form, form)
            if (column := place.get(term)) is not None:
                found.add(column)
            if term in seconds and before and (column := place.get(f"{before} {term}")) is not None:
                found.add(column)
            before = term
        return found

    @cached_property
    def _seconds(self) -> frozenset[str]:
        """Second words of the two-word terms."""
        return frozenset(term.split(" ")[1] for term in self.terms if " " in term)

    def matrix(self, texts: Iterable[str]) -> Any:
        """[N, V] sparse float32, 1 where the text has the term."""
        from scipy.sparse import csr_matrix  # a lexicon that is only read needs no scipy

        columns: list[int] = []
        starts = [0]
        for text in texts:
            columns += sorted(self.columns_in(text))
            starts.append(len(columns))
        data = np.ones(len(columns), np.float32)
        return csr_matrix((data, columns, starts), shape=(len(starts) - 1, len(self)))


class _Occurrences:
    """What is counted of the words of many texts."""

    def __init__(self, stop_words: frozenset[str]) -> None:
        self.stop_words = stop_words
        self.words: Counter[str] = Counter()
        """Texts that have a word."""
        self.pairs: Counter[tuple[str, str]] = Counter()
        """Texts in which two words stand next to each other."""
        self._inside: Counter[str] = Counter()
        """Occurrences inside sentences; of these those with a capital; and of these those beside another one."""
        self._capitals: Counter[str] = Counter()
        self._paired: Counter[str] = Counter()

    def add(self, text: str) -> None:
        pieces = _PIECE.findall(one_form(text))
        forms = [_FORMS[piece] for piece in pieces]
        terms = {form for form in forms if len(form) > 2 and form not in self.stop_words}
        self.words.update(terms)
        self.pairs.update({pair for pair in pairwise(forms) if pair[0] in terms and pair[1] in terms})
        starts, before = True, ""  # whether a sentence starts here; the word before, where it has a capital
        for piece, form in zip(pieces, forms, strict=True):
            if not form:
                starts, before = starts or piece in _ENDS, ""
                continue
            is_capital = piece[0].isupper()
            if not starts:
                self._inside[form] += 1
            if is_capital and not starts:
                self._capitals[form] += 1
                if before:
                    self._paired[form] += 1
                    self._paired[before] += 1
            before = form if is_capital and not starts else ""
            starts = False

    def kind(self, term: str) -> TermKind:
        """Whether a word is a name, a fragment of names, or just a word."""
        inside, capitals = self._inside[term], self._capitals[term]
        if not inside or capitals < _NAME_SHARE * inside:
            return "word"
        return "fragment" if self._paired[term] >= _FRAGMENT_SHARE * capitals else "name"


def fit_vocabulary(
    texts: Sequence[str], *, stop_words: frozenset[str], max_terms: int = 30_000, min_count: int = 20
) -> Vocabulary:
    """The words and two-word terms of the texts, those of `min_count` texts or more, the commonest `max_terms`."""
    seen = _Occurrences(stop_words)
    for text in texts:
        seen.add(text)
    words, pairs = seen.words, seen.pairs
    forms = _plurals(words)
    counts: Counter[str] = Counter()
    for form, count in words.items():
        counts[forms.get(form, form)] += count  # a text with both forms counts twice here; recounted below
    common = {term for term, count in counts.items() if count >= min_count}
    collocations = _collocations(pairs, counts, forms, common, len(texts), min_count)
    kinds = {term: seen.kind(term) for term in common}
    for first, second in collocations:
        both = kinds[first] != "word" and kinds[second] != "word"
        kinds[f"{first} {second}"] = "name" if both else "word"
    # A set's order is another in every process: sorted, the same texts always give the same lexicon.
    kinds = dict(sorted(kinds.items()))
    candidates = Vocabulary(
        terms=tuple(kinds), kinds=tuple(kinds.values()), counts=np.zeros(len(kinds), np.int64),
        num_texts=len(texts), forms={form: term for form, term in forms.items() if term in common},
    )  # fmt: skip
    found = np.zeros(len(candidates), np.int64)
    for text in texts:
        for column in candidates.columns_in(text):
            found[column] += 1
    order = [column for column in np.argsort(-found, kind="stable")[:max_terms] if found[column] >= min_count]
    terms = [candidates.terms[column] for column in order]
    included = set(terms)
    return Vocabulary(
        terms=tuple(terms),
        kinds=tuple(candidates.kinds[column] for column in order),
        counts=found[order],
        num_texts=len(texts),
        forms={form: term for form, term in candidates.forms.items() if term in included},
    )


def _plurals(words: Counter[str]) -> dict[str, str]:
    """From a form to the commoner one of singular and plural."""
    found = {}
    for form, count in words.items():
        for ending, singular in (("ies", "y"), ("es", ""), ("s", "")):
            other = form.removesuffix(ending) + singular
            if form.endswith(ending) and not form.endswith("ss") and len(other) >= 4 and words[other] >= 3:
                if words[other] >= count:
                    found[form] = other
                else:
                    found[other] = form
                break
    return {form: term for form, term in found.items() if term not in found}


def _collocations(
    pairs: Counter[tuple[str, str]], counts: Counter[str], forms: Mapping[str, str], common: set[str],
    num_texts: int, min_count: int,
) -> list[tuple[str, str]]:  # fmt: skip
    """Pairs of terms that stand next to each other far more often than chance has it."""
    together: Counter[tuple[str, str]] = Counter()
    for (first, second), count in pairs.items():
        first, second = forms.get(first, first), forms.get(second, second)
        if first in common and second in common and first != second:
            together[first, second] += count
    found = []
    for (first, second), count in together.items():
        if count < min_count:
            continue
        mutual = np.log(count * num_texts / (counts[first] * counts[second]))
        if count == num_texts or mutual >= _COLLOCATION * -np.log(count / num_texts):
            found.append((first, second))
    return found


def distinct(
    terms: Sequence[str],
    columns: Sequence[int],
    probabilities: np.ndarray | Mapping[int, float],
    limit: int,
) -> list[int]:
    """The first `limit` columns, best first, no two of which share a word: a two-word term takes its words' place."""
    found, taken = list[int](), set[str]()
    for column in columns:
        words = _words_of(terms[column])
        if words.isdisjoint(taken):
            found.append(column)
            taken |= words
            continue
        rivals = [other for other in found if words & _words_of(terms[other])]
        if len(words) == 2 and all(
            _words_of(terms[other]) < words and probabilities[column] >= _WHOLE * probabilities[other]
            for other in rivals
        ):
            place = found.index(rivals[0])
            found = [other for other in found if other not in rivals]
            found.insert(place, column)
            taken |= words
    return found[:limit]


@lru_cache(maxsize=1 << 17)
def _words_of(term: str) -> frozenset[str]:
    return frozenset(term.casefold().split())


def best_columns(
    rank: np.ndarray, probabilities: np.ndarray, terms: Sequence[str], limit: int
) -> list[list[int]]:
    """For each of [N, V] rows the distinct columns of highest rank, `limit` at most; -1 stands for what is not shown.

    Columns of one rank come in their order.
    """
    # Twice the limit, and some: two-word terms take the places of their words.
    most = min(2 * limit + 10, int((rank >= 0).any(0).sum()))
    if not most:
        return [[] for _ in rank]
    top = np.sort(np.argpartition(-rank, most - 1, axis=1)[:, :most], axis=1)
    found = []
    for row, columns in enumerate(top):
        ordered = columns[np.argsort(-rank[row, columns], kind="stable")]
        found.append(distinct(terms, ordered.tolist(), probabilities[row], limit))
    return found


def empty_vocabulary() -> Vocabulary:
    """Of a space that has no texts."""
    return Vocabulary(terms=(), kinds=(), counts=np.zeros(0, np.int64), num_texts=0, forms={})
