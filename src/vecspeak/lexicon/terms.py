"""Terms: the words and two-word terms that a lexicon reads, each counted once a text.

A term stands for its forms: "robot" for "robot", "robots" and "robot's". Stop words, numbers and words of one letter
are no terms. A word that is nearly always written with a capital inside sentences is a name ("Paris"), and a name that
nearly always stands next to another name is a fragment ("Los", "Jr"): fragments are counted and measured, but nothing
is written from them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

TermKind = Literal["word", "name", "fragment"]
_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_POSSESSIVE = re.compile(r"['’]s?$")
_SENTENCE_END = re.compile(r"[.!?:;\"“”(\n]\s*$")
_NAME_SHARE = 0.8
"""Share of a word's occurrences inside sentences that have a capital, from which on it is a name."""
_FRAGMENT_SHARE = 0.8
"""Share of a name's occurrences that stand next to another name, from which on it is a fragment."""
_COLLOCATION = 0.35
"""Least normalised pointwise mutual information of a two-word term (Bouma 2009): -1 never together, 1 never apart."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text."""

    form: str
    """Lower case, without a possessive."""
    is_capital: bool
    starts: bool
    """Whether it stands at the start of a sentence, where a capital says nothing."""
    follows: bool
    """Whether only a space is between it and the token before it."""


def tokens_of(text: str) -> Iterator[Token]:
    """The words of a text in order.

    >>> [token.form for token in tokens_of("Ann's robots, in New York")]
    ['ann', 'robots', 'in', 'new', 'york']
    """
    end, is_first = -1, True
    for match in _TOKEN.finditer(text):
        between = text[end : match.start()] if end >= 0 else ""
        starts = is_first or bool(_SENTENCE_END.search(between))
        form = _POSSESSIVE.sub("", match.group().casefold()).replace("’", "'")
        yield Token(form, match.group()[0].isupper(), starts, between == " ")
        end, is_first = match.end(), False


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
        found, before = set(), ""
        for token in tokens_of(text):
            term = self.forms.get(token.form, token.form)
            if token.follows and (column := self.place.get(f"{before} {term}")) is not None:
                found.add(column)
            if (column := self.place.get(term)) is not None:
                found.add(column)
            before = term
        return found

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


def fit_vocabulary(
    texts: Sequence[str], *, stop_words: frozenset[str], max_terms: int = 30_000, min_count: int = 20
) -> Vocabulary:
    """The words and two-word terms of the texts, those of `min_count` texts or more, the commonest `max_terms`."""
    words, capitals, inside, paired, total = Counter[str](), Counter[str](), Counter[str](), Counter[str](), 0
    pairs: Counter[tuple[str, str]] = Counter()
    for text in texts:
        tokens = list(tokens_of(text))
        words.update({token.form for token in tokens if _is_word(token.form, stop_words)})
        for before, token in zip([None, *tokens], tokens, strict=False):
            total += 1
            if token.starts:
                continue
            inside[token.form] += 1
            capitals[token.form] += token.is_capital
            if before is not None and token.follows and token.is_capital and before.is_capital:
                paired[token.form] += 1
                paired[before.form] += not before.starts
        pairs.update(
            {
                (before.form, token.form)
                for before, token in zip(tokens, tokens[1:], strict=False)
                if token.follows and words[before.form] and words[token.form]
            }
        )
    forms = _plurals(words)
    counts: Counter[str] = Counter()
    for form, count in words.items():
        counts[forms.get(form, form)] += count  # a text with both forms counts twice here; recounted below
    common = {term for term, count in counts.items() if count >= min_count}
    collocations = _collocations(pairs, counts, forms, common, len(texts), min_count)
    kinds = {term: _kind(term, capitals, inside, paired) for term in common}
    for first, second in collocations:
        both = kinds[first] != "word" and kinds[second] != "word"
        kinds[f"{first} {second}"] = "name" if both else "word"
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


def _is_word(form: str, stop_words: frozenset[str]) -> bool:
    return len(form) > 2 and form not in stop_words


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


def _kind(term: str, capitals: Counter[str], inside: Counter[str], paired: Counter[str]) -> TermKind:
    if not inside[term] or capitals[term] < _NAME_SHARE * inside[term]:
        return "word"
    return "fragment" if paired[term] >= _FRAGMENT_SHARE * capitals[term] else "name"


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
