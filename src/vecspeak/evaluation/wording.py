"""Wording: whether answers repeat each other, and whether they are copied from the texts of the training.

Knows words only: runs of letters, digits and underscores, in any case. What stands between them does not count.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vecspeak.evaluation.intervals import Series

NEARLY_EQUAL = 0.9
"""Cosine of word counts from which on two answers count as one."""
_CHUNK_WORDS = 2_000_000
_COMPARED_MIB = 64
"""Memory for the distances that are looked at together."""
_BASE = np.uint64(0x9E3779B97F4A7C15)
"""An odd number, so that multiplying by it modulo 2^64 loses nothing."""


def repeated(answers: Sequence[str]) -> Series:
    """1 where an answer is nearly equal to another entity's answer, else 0. Answers without a word are equal.

    Nearly equal is a cosine of 0.9 or more between the counts of words and of pairs of neighbouring words. One
    word changed in the middle of n takes 3 of their 2n - 1 terms with it: 16 words are nearly equal then, and 15
    are not. In 70 words about five may be changed. Answers that are merely about like things stay far below: of
    5,000 openings of film plots, 70 words each, none reaches 0.7 with any other.

    Rare words do not count for more (no inverse document frequency). Where all answers are copies of one, rare are
    just the few words in which they differ, and with that weight one changed word in 70 would hide it.
    """
    words = [words_of(answer) for answer in answers]
    counts = Counter(map(tuple, words))
    singles = [row for row, of_one in enumerate(words) if counts[tuple(of_one)] == 1]
    different = list(counts)
    near = dict(zip(different, _nearest_similarity(different), strict=True))
    values = np.ones(len(answers))
    values[singles] = [near[tuple(words[row])] >= NEARLY_EQUAL - 1e-9 for row in singles]
    return Series(values)


def words_of(text: str) -> list[str]:
    """The words of a text in order, in lower case."""
    return re.findall(r"\w+", text.casefold())


def _nearest_similarity(texts: Sequence[tuple[str, ...]]) -> np.ndarray:
    """[N] cosine of each list of words to the nearest other one; 0 for an empty one or where there is no other."""
    from sklearn import config_context
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors

    if len(texts) < 2:
        return np.zeros(len(texts))
    vectorizer = TfidfVectorizer(
        preprocessor=tuple, tokenizer=list, token_pattern=None, ngram_range=(1, 2), use_idf=False
    )
    vectors = vectorizer.fit_transform(texts)
    with config_context(working_memory=_COMPARED_MIB):
        neighbours = NearestNeighbors(n_neighbors=1, metric="cosine", algorithm="brute").fit(vectors)
        distances, _ = neighbours.kneighbors()  # of each text among the others: without itself
    return 1 - distances[:, 0]


def copied(answers: Sequence[str], training_texts: Iterable[str]) -> Series:
    """For each answer the longest run of words that it shares with any one training text, in words.

    An answer that was given on a training entity shares what that entity's own text says: leave the text out.
    Runs are compared by 64-bit hashes; of millions of runs, that two different ones are taken for one has a
    chance of about one in a million.
    """
    words = [words_of(answer) for answer in answers]
    known = {word: row for row, word in enumerate(sorted({word for of_one in words for word in of_one}))}
    marks = np.random.default_rng(0).integers(1, 2**64, size=len(known), dtype=np.uint64, endpoint=False)
    own = _joined([[known[word] for word in of_one] for of_one in words], marks)
    owners = np.repeat(np.arange(len(words)), [len(of_one) + 1 for of_one in words])
    longest = np.zeros(len(words), dtype=np.int64)
    for texts in _chunks(training_texts, known):
        _lengthen(longest, own, owners, _joined(texts, marks))
    return Series(longest.astype(float))


def _chunks(texts: Iterable[str], known: dict[str, int]) -> Iterator[list[list[int]]]:
    """The texts as rows of known words, some millions of words at a time; -1 is a word that no answer has."""
    chunk: list[list[int]] = []
    held = 0
    for text in texts:
        chunk.append([known.get(word, -1) for word in words_of(text)])
        held += len(chunk[-1])
        if held >= _CHUNK_WORDS:
            yield chunk
            chunk, held = [], 0
    yield chunk


def _joined(texts: Sequence[Sequence[int]], marks: np.ndarray) -> np.ndarray:
    """[W] the mark of every word, with a 0 after each text and for every unknown word: no run crosses a 0."""
    rows = np.array([row for text in texts for row in (*text, -1)], dtype=np.int64)
    return np.where(rows < 0, np.uint64(0), np.append(marks, np.uint64(0))[rows])


def _lengthen(longest: np.ndarray, own: np.ndarray, owners: np.ndarray, texts: np.ndarray) -> None:
    """Raise `longest` [N] to what these texts share, a word more at a time until no run matches any more.

    Only where a run of n words matches can one of n + 1 begin, so that after a few words little is left.
    """
    own_at, text_at = np.flatnonzero(own), np.flatnonzero(texts)
    own_runs, text_runs = own[own_at], texts[text_at]
    length = 0
    while len(own_at) and len(text_at):
        in_both = np.intersect1d(own_runs, text_runs)
        own_at, own_runs = _keep(own_at, own_runs, np.isin(own_runs, in_both))
        text_at, text_runs = _keep(text_at, text_runs, np.isin(text_runs, in_both))
        length += 1
        longest[owners[own_at]] = np.maximum(longest[owners[own_at]], length)
        own_at, own_runs = _one_more(own, own_at, own_runs, length)
        text_at, text_runs = _one_more(texts, text_at, text_runs, length)


def _keep(places: np.ndarray, runs: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return places[kept], runs[kept]


def _one_more(
    marks: np.ndarray, places: np.ndarray, runs: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of the runs that begin at these places with one word more, where there is one."""
    added = marks[places + length]  # every text ends in a 0, so that this stays inside
    return _keep(places, runs * _BASE + added, added != 0)
