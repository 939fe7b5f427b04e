"""What answers say, by their words alone: repetition, copying, what is liked, and whether they show the task."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vecspeak.stats import Series

NO_ANSWER = "(no answer)"
"""What an empty answer is encoded as."""
NEARLY_EQUAL = 0.9
"""Cosine of word counts from which on two answers count as one."""
_CHUNK_WORDS = 2_000_000
_FOLDS = 5
"""Parts of the entities that are looked at in turn; with fewer entities than parts nothing is measured."""
_TERMS = 5000
"""Commonest words and pairs of words that the classifier looks at."""
_TIE = 1e-6
_COMPARED_MIB = 64
"""Memory for the distances that are looked at together."""
_BASE = np.uint64(0x9E3779B97F4A7C15)
"""An odd number, so that multiplying by it modulo 2^64 loses nothing."""
_CLAUSE = re.compile(
    r"(?<=[.!?;])\s+|\b(?:but|while|whereas|though|although|and(?= (?:dislike|hate|avoid)))\b", re.IGNORECASE
)
_DISLIKE = re.compile(
    r"\b(?:dislik\w*|hate\w*|avoid\w*|bor(?:ed|ing)\w*|less|not|never|lower|worst|below)\b|n['\u2019]t\b",
    re.I,
)


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
    # Equal answers are repeated without a search; only those that stand alone need their nearest neighbor.
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
    # Each round holds the places where a run of `length` words matches some text, and lengthens those by a word.
    length = 0
    while len(own_at) and len(text_at):
        # Runs are compared as hashes: what is on one side only can match no longer run either, and is dropped.
        in_both = np.intersect1d(own_runs, text_runs)
        own_at, own_runs = _keep(own_at, own_runs, np.isin(own_runs, in_both))
        text_at, text_runs = _keep(text_at, text_runs, np.isin(text_runs, in_both))
        length += 1
        longest[owners[own_at]] = np.maximum(longest[owners[own_at]], length)
        own_at, own_runs = _one_more(own, own_at, own_runs, length)
        text_at, text_runs = _one_more(texts, text_at, text_runs, length)


def _keep(places: np.ndarray, runs: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return places[mask], runs[mask]


def _one_more(
    marks: np.ndarray, places: np.ndarray, runs: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of the runs that begin at these places with one word more, where there is one."""
    added = marks[places + length]  # every text ends in a 0, so that this stays inside
    return _keep(places, runs * _BASE + added, added != 0)


def liked_part(text: str) -> str:
    """The text without its clauses that speak of dislike: what is named there is not said to be liked."""
    return " . ".join(part for part in _CLAUSE.split(text) if part and not _DISLIKE.search(part))


def alike(answers: Sequence[Sequence[str]]) -> np.ndarray:
    """[T, N] 1 where an answer is nearly equal to one about the same entity for another task, as `repeated` has it."""
    return np.stack([repeated(of_one).values for of_one in zip(*answers, strict=True)], axis=1)


def task_accuracy(answers: Sequence[Sequence[str]]) -> np.ndarray | None:
    """[T, N] 1 where the answer to the task is picked out of the T answers about the entity, 1/k where k are tied.

    A classifier of words and pairs of words learns from the answers about other entities how each task is answered.
    For a task, that of the T answers is picked which it finds likeliest to be to that task. Picking an answer for a
    task, and not a task for an answer, makes chance 1/T for every single task: a classifier that always guesses one
    task would be right about all answers to it. Where the T answers are equal, each counts 1/T and no more.

    Entities with the same answers to all tasks are copies, and are learned from or looked at together: what is known
    by heart tells no task. None where fewer than 5 entities have different answers, or where there is no other task.
    """
    texts = [tuple(_plain(text) for text in of_one) for of_one in zip(*answers, strict=True)]
    different = {of_one: number for number, of_one in enumerate(dict.fromkeys(texts))}
    if len(answers) < 2 or len(different) < _FOLDS:
        return None
    # Copies stand in one fold together, else a classifier would have learned the very texts that it is tried on.
    copies = np.array([different[of_one] for of_one in texts])
    return np.stack([_picked(of_one) for of_one in _likelihoods(texts, copies)], axis=1)


def _plain(text: str) -> str:
    return " ".join(words_of(text)) or NO_ANSWER


def _likelihoods(texts: Sequence[tuple[str, ...]], copies: np.ndarray) -> np.ndarray:
    """[N, T, T] how likely each answer [N][T] is to be to each task, learned where `copies` [N] has other numbers."""
    from sklearn.model_selection import GroupKFold

    found = np.zeros((len(texts), len(texts[0]), len(texts[0])))
    if all(len(set(of_one)) == 1 for of_one in texts):
        return found  # nothing to learn: all are tied
    for known, new in GroupKFold(_FOLDS).split(texts, groups=copies):
        found[new] = _learned([texts[row] for row in known], [texts[row] for row in new])
    return found


def _learned(known: Sequence[tuple[str, ...]], new: Sequence[tuple[str, ...]]) -> np.ndarray:
    """[M, T, T] of the new answers [M][T], learned from those that are known."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    count = len(new[0])
    terms = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+", max_features=_TERMS)
    rows = terms.fit_transform([text for of_one in known for text in of_one])
    tasks = np.tile(np.arange(count), len(known))
    model = LogisticRegression(max_iter=200).fit(rows, tasks)
    likely = model.predict_proba(terms.transform([text for of_one in new for text in of_one]))
    return np.asarray(likely).reshape(len(new), count, count)


def _picked(likely: np.ndarray) -> np.ndarray:
    """[T] for each task 1 if its own answer is the likeliest of the T answers, by [answer, task]; a tie is shared."""
    # Along answers, not along tasks: for each task the likeliest of the answers is picked.
    first = likely >= likely.max(0) - _TIE
    return np.asarray(np.diagonal(first) / first.sum(0))
