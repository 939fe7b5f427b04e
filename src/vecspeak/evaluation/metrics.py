"""Measures: every way in which an answer is scored, and the scores of one system's answers, entity by entity.

Semantic consistency is the paper's (section 5): cosine between the encoder's vector of an answer and of the truth.
Knows texts, vectors and losses. Knows no model. Shape letters: N entities, P pool, T width.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vecspeak.encoders.text import Encoder
from vecspeak.evaluation.behavior import attribute_accuracy, behavioral_consistency, variance_explained
from vecspeak.evaluation.cases import Cases, Ranking, TaskCases, liked_part
from vecspeak.evaluation.report import ALIKE, OVER_SWAP, TASK_ACCURACY, Measure
from vecspeak.model.alignment import unit
from vecspeak.stats import Estimate, Series

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


NO_ANSWER = "(no answer)"
"""What an empty answer is encoded as."""
LOSS = Measure(
    key="loss",
    name="loss",
    what="How unlikely the true text is to the model, in nats a token, after what the system is given.",
    better="lower",
)
GAP = Measure(
    key="gap",
    name="swap gap",
    what="Loss with another entity's vector minus loss with the right one, in nats a token: 0 means that the "
    "vector is not read.",
    better="higher",
)

OVER_MEAN = Measure(
    key="gap_mean",
    name="gain over the mean",
    what="Loss with the mean vector minus loss with the right one, in nats a token: what this vector tells beyond "
    "what is true of most. A wrong vector can mislead, which widens the swap gap; the mean cannot.",
    better="higher",
)


def _own(among: int) -> tuple[Measure, ...]:
    return (
        Measure(
            key="sc",
            name="SC",
            what="Semantic consistency: cosine of the answer and the true text, by the reader's own encoder.",
            better="higher",
        ),
        Measure(
            key="fve",
            name="variance explained",
            what="Share of the variance of the true texts' vectors that the answers' vectors explain, against "
            "predicting the mean; below 0 where answers lie farther from the truth than the mean does.",
            better="higher",
        ),
        *_found("", f"by the reader's own encoder, among {among:,} texts"),
    )


def _found(ending: str, how: str) -> tuple[Measure, ...]:
    right = f"The right entity is searched with the answer {how}"
    return (
        Measure(key=f"r1{ending}", name="R@1", what=f"{right}: share found first.", better="higher"),
        Measure(
            key=f"r10{ending}", name="R@10", what=f"{right}: share among the first ten.", better="higher"
        ),
        Measure(key=f"mrr{ending}", name="MRR", what=f"{right}: mean of one over its rank.", better="higher"),
        Measure(
            key=f"rank{ending}",
            name="median rank",
            what=f"{right}: its median rank; 1 is best.",
            better="lower",
            statistic="median",
        ),
    )


def _second(name: str, count: int) -> tuple[Measure, ...]:
    found = _found("_2", f"by {name}, among the {count:,} evaluated")
    return (
        Measure(
            key="sc_2",
            name="SC, 2nd encoder",
            what=f"Semantic consistency by {name}, which had no part in making any vector or answer.",
            better="higher",
        ),
        *(dataclasses.replace(measure, name=f"{measure.name}, 2nd encoder") for measure in found),
    )


_BEHAVIOR = Measure(
    key="bc",
    name="BC",
    what="Behavioral consistency: Spearman correlation over users of the liking that the answer predicts, by a "
    "ridge map fitted on training items, with the liking that the vector predicts.",
    better="higher",
)
_ATTRIBUTES = (
    Measure(
        key="precision",
        name="attribute precision",
        what="Of the genres, tags and decades that the answers name, the share that is true.",
        better="higher",
    ),
    Measure(
        key="recall",
        name="attribute recall",
        what="Of those that are true, the share that the answers name.",
        better="higher",
    ),
)
REPEATED = Measure(
    key="repeated",
    name="repeated",
    what="Share of the answers that are nearly equal to another entity's: 1 means one answer for all.",
    better="lower",
)
_COPIED = Measure(
    key="copied",
    name="copied",
    what="Longest run of words that the answer shares with any training text, on average.",
    better="",
)


def measures_of(cases: Cases, second: Encoder | None) -> tuple[Measure, ...]:
    """What is measured on these cases, in the order of the table."""
    among = 0 if cases.pool is None else len(cases.pool)
    own = _own(among) if cases.pool is not None else _own(among)[:1]
    return (
        LOSS,
        GAP,
        OVER_MEAN,
        *own,
        *(_second(second.name, len(cases.ids)) if second else ())[: None if cases.pool is not None else 1],
        *((_BEHAVIOR,) if cases.behavior else ()),
        *(_ATTRIBUTES if cases.attributes else ()),
        REPEATED,
        *((_COPIED,) if cases.training_texts else ()),
    )


def ranks(queries: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """[N] rank of pool row i for query i; a tie counts against the right one."""
    found = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), 512):
        rows = np.arange(start, min(start + 512, len(queries)))
        scores = queries[rows] @ pool.T
        right = np.take_along_axis(scores, rows[:, None], axis=1)
        found[rows] = (scores >= right).sum(1)
    return found


def _retrieval(answers: np.ndarray, pool: np.ndarray, ending: str) -> dict[str, Series]:
    found = ranks(answers, pool)
    return {
        f"r1{ending}": Series((found <= 1).astype(float)),
        f"r10{ending}": Series((found <= 10).astype(float)),
        f"mrr{ending}": Series(1 / found),
        f"rank{ending}": Series(found.astype(float)),
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scorer:
    """Scores any system's answers to the same cases."""

    cases: Cases
    encoder: Encoder
    second: Encoder | None
    second_truth: np.ndarray | None
    """[N, T2] the second encoder's unit vectors of the truths."""

    @classmethod
    def of(cls, cases: Cases, encoder: Encoder, second: Encoder | None) -> "Scorer":
        """A scorer; the truths are encoded by the second encoder once."""
        truth = second.encode(cases.texts, progress=True) if second else None
        return cls(cases=cases, encoder=encoder, second=second, second_truth=truth)

    def score(self, answers: Sequence[str]) -> dict[str, Series]:
        """One Series a measure of the answers to the cases, in their order."""
        texts = [text.strip() or NO_ANSWER for text in answers]
        vectors = self.encoder.encode(texts)
        found = self._by_vectors(vectors)
        if self.second is not None and self.second_truth is not None:
            again = self.second.encode(texts, progress=True)
            found["sc_2"] = Series((again * self.second_truth).sum(1))
            if self.cases.pool is not None:
                found |= _retrieval(again, self.second_truth, "_2")
        return found | self._by_wording(answers)

    def _by_vectors(self, vectors: np.ndarray) -> dict[str, Series]:
        cases = self.cases
        found = {"sc": Series((vectors * cases.truth).sum(1))}
        if cases.pool is not None:
            found["fve"] = variance_explained(vectors, cases.truth, cases.mean_truth)
            found |= _retrieval(vectors, cases.pool, "")
        if cases.behavior is not None:
            behavior = cases.behavior
            found["bc"] = Series(
                behavioral_consistency(behavior.predictor, vectors, behavior.vectors, behavior.others)
            )
        return found

    def score_truth(self) -> dict[str, Series]:
        """The true texts as if they were answers: what is the highest that can be had, and what repeats by itself."""
        found = self._by_vectors(self.cases.truth)
        ceiling = {"bc": found["bc"]} if "bc" in found else {}
        return ceiling | self._by_wording(self.cases.targets)

    def _by_wording(self, answers: Sequence[str]) -> dict[str, Series]:
        found = {"repeated": repeated(answers)}
        if self.cases.training_texts:
            found["copied"] = copied(answers, self.cases.training_texts)
        if self.cases.attributes is not None:
            found |= attribute_accuracy(self.cases.attributes, answers)
        return found


def loss_series(sums: np.ndarray, tokens: np.ndarray) -> Series:
    """Nats a token: one value an entity, weighted by its tokens."""
    return Series(sums / tokens, tokens)


def swap_gap(right: Series, swapped: Series) -> Series:
    """Nats a token more with the wrong vector, over the same tokens."""
    return Series(swapped.values - right.values, right.weights)


def estimates_of(found: Mapping[str, Series], measures: Sequence[Measure]) -> dict[str, Estimate]:
    """The estimate of every measure that a system has."""
    made = {m.key: found[m.key].estimate(m.statistic) for m in measures if m.key in found}
    return {key: value for key, value in made.items() if value is not None}


_FIRST = 10
"""Nearest items of an answer among which the items asked about are looked for."""
_TIE = 1e-6
"""Cosines that differ by less are a tie, which counts against the right one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskScorer:
    """Scores any system's answers to the same cases."""

    cases: TaskCases
    encoder: Encoder
    second: Encoder | None

    def score(self, answers: Sequence[str]) -> dict[str, Series]:
        """One Series a measure, for the cases in order."""
        cases = self.cases
        texts = [text.strip() or NO_ANSWER for text in answers]
        vectors = self.encoder.encode(texts)
        found: dict[str, Series] = {}
        if "sc" in cases.scores:
            found |= _consistency(vectors, cases.read, "")
            if self.second is not None and all(cases.told):
                found |= _consistency(self.second.encode(texts, progress=True), self._truths(), "_2")
        if "bc" in cases.scores and cases.ranking is not None:
            found |= _behavior(cases, cases.ranking, vectors)
        found |= retrieval(cases, vectors)
        if "attributes" in cases.scores and cases.attributes is not None:
            found |= attribute_accuracy(cases.attributes, [liked_part(text) for text in answers])
        return {**found, "repeated": repeated(answers)}

    def _truths(self) -> np.ndarray:
        """[N, S, T2] the second encoder's vectors of the true texts; their mean for a point between two items."""
        assert self.second is not None
        flat = [text for texts in self.cases.told for text in texts]
        vectors = self.second.encode(flat, progress=True).reshape(len(self.cases.ids), -1, self.second.dim)
        return unit(vectors.mean(1, keepdims=True)) if self.cases.is_between else vectors


def _consistency(vectors: np.ndarray, truth: np.ndarray, ending: str) -> dict[str, Series]:
    """Cosines of answers [N, T] with what is in each slot [N, S, T]: the mean, and of several the smallest too."""
    cosines = np.einsum("nt,nst->ns", vectors, truth)
    found = {f"sc{ending}": Series(cosines.mean(1))}
    return found | ({f"sc_low{ending}": Series(cosines.min(1))} if cosines.shape[1] > 1 else {})


def _behavior(cases: TaskCases, ranking: Ranking, vectors: np.ndarray) -> dict[str, Series]:
    """Rank correlation with what is in each slot, the mean of them; of people also beyond the average person."""

    def consistency(given: Ranking, own: np.ndarray) -> np.ndarray:
        return behavioral_consistency(given.predictor, vectors, own, given.others)

    slots = [consistency(ranking, cases.own[:, slot]) for slot in range(cases.own.shape[1])]
    found = {"bc": Series(np.mean(slots, axis=0))}
    if ranking.average is not None:
        found["bc_own"] = Series(consistency(ranking.beyond_average, cases.own[:, 0] - ranking.average))
    return found


def retrieval(cases: TaskCases, vectors: np.ndarray) -> dict[str, Series]:
    """Where the right one stands when the answer's vector [N, T] is the query, among all items of the space.

    A point between two items stands among all items and itself: an answer that tells of one end alone finds that
    item before it. Of two items: whether either, and whether both, are among the ten nearest. Of people, and of a
    task about one item that does not name retrieval as a score: nothing.
    """
    if not cases.is_searched:
        return {}
    if len(cases.slots) > 1:
        first = np.concatenate([_first(block @ cases.items.T) for block in _blocks(vectors)])
        hits = np.array([[row in near for row in rows] for rows, near in zip(cases.rows, first, strict=True)])
        return {
            "either10": Series(hits.any(1).astype(float)),
            "both10": Series(hits.all(1).astype(float)),
        }
    found = truth_ranks(
        vectors, cases.read[:, 0], cases.items, [rows[0] if rows else None for rows in cases.rows]
    )
    return {
        "r1": Series((found <= 1).astype(float)),
        "r10": Series((found <= 10).astype(float)),
        "mrr": Series(1 / found),
        "rank": Series(found.astype(float)),
    }


def truth_ranks(
    answers: np.ndarray, right: np.ndarray, items: np.ndarray, own: Sequence[int | None]
) -> np.ndarray:
    """[N] rank of the right vector [N, T] for each answer [N, T] among items [P, T], its own row left out of them.

    A tie counts against the right one.
    """
    found = []
    for start, block in zip(range(0, len(answers), 512), _blocks(answers), strict=True):
        rows = slice(start, start + len(block))
        scores = block @ items.T
        for place, row in enumerate(own[rows]):
            if row is not None:
                scores[place, row] = -np.inf
        wanted = (block * right[rows]).sum(1, keepdims=True)
        found.append(1 + (scores >= wanted - _TIE).sum(1))
    return np.concatenate(found)


def _blocks(vectors: np.ndarray) -> list[np.ndarray]:
    return [vectors[start : start + 512] for start in range(0, len(vectors), 512)]


def _first(scores: np.ndarray) -> np.ndarray:
    """[N, 10] the best columns of each row, in no order; all where there are fewer."""
    count = min(_FIRST, scores.shape[1])
    return np.argpartition(-scores, count - 1, axis=1)[:, :count]


# --- what is measured, in words ---


def over_swap(reader: Mapping[str, Series], swapped: Mapping[str, Series]) -> dict[str, Series]:
    """The reader minus another entity's answer, entity by entity, by the first measure of the task."""
    key = "sc" if "sc" in reader else "bc"
    if key not in reader:
        return {}
    return {OVER_SWAP: Series(reader[key].values - swapped[key].values)}


def task_measures(cases: TaskCases, second: Encoder | None) -> tuple[Measure, ...]:
    """What is measured on these cases, in the order of the table."""
    found: list[Measure] = []
    if "sc" in cases.scores:
        found += _sc_measures(cases, "", "what was read, by the reader's own encoder", "")
    found += _over_swap_measure("SC" if "sc" in cases.scores else "BC")
    if "sc" in cases.scores and second is not None and all(cases.told):
        truth = "the mean of both ends' texts" if cases.is_between else "the true text"
        found += _sc_measures(cases, "_2", f"{truth}, by {second.name}, which made nothing", ", 2nd encoder")
    if "bc" in cases.scores and cases.ranking is not None:
        found += _bc_measures(cases)
    found += _found_measures(cases)
    if "attributes" in cases.scores and cases.attributes is not None:
        found += _LIKED
    return (*found, REPEATED)


def _sc_measures(cases: TaskCases, ending: str, against: str, told: str) -> list[Measure]:
    two = len(cases.slots) > 1
    mean = f"Semantic consistency: cosine of the answer and {against}{'; the mean of both' if two else ''}."
    found = [Measure(key=f"sc{ending}", name=f"SC{told}", what=mean, better="higher")]
    low = f"The smaller of the cosines of the answer and each of the two: {against}."
    if two:
        found.append(Measure(key=f"sc_low{ending}", name=f"SC, smaller{told}", what=low, better="higher"))
    return found


def _over_swap_measure(name: str) -> list[Measure]:
    what = f"{name} of the reader minus {name} of the answer that it gave to another entity, paired by entity: where "
    return [
        Measure(
            key=OVER_SWAP,
            name=f"{name} over another's",
            what=f"{what}the interval includes 0, nothing shows that the answer depends on the vector.",
            better="higher",
        )
    ]


def _bc_measures(cases: TaskCases) -> list[Measure]:
    who = "items, of the liking" if cases.of_people else "users, of the liking"
    what = f"Behavioral consistency: Spearman correlation over {who} that the answer predicts with the liking that the "
    found = [
        Measure(
            key="bc",
            name="BC",
            what=f"{what}vector predicts{', the mean of both' if len(cases.slots) > 1 else ''}. What is popular is "
            "popular in every prediction, so its floor is not 0.",
            better="higher",
        )
    ]
    if cases.of_people:
        beyond = "The same after the average person's liking is taken from both: what sets this person apart."
        found.append(Measure(key="bc_own", name="BC, beyond the average", what=beyond, better="higher"))
    return found


def _found_measures(cases: TaskCases) -> list[Measure]:
    among = f"among all {len(cases.items):,} items of the space, by the reader's own encoder"
    if not cases.is_searched:
        return []
    if len(cases.slots) > 1:
        said = "Share of answers whose ten nearest items include"
        return [
            Measure(
                key="either10", name="either in 10", what=f"{said} one of the two, {among}.", better="higher"
            ),
            Measure(key="both10", name="both in 10", what=f"{said} both, {among}.", better="higher"),
        ]
    right = "The point" if cases.is_between else "The right item"
    right = f"{right} is searched with the answer {among}{' and itself' if cases.is_between else ''}"
    return [
        Measure(key="r1", name="R@1", what=f"{right}: share found first.", better="higher"),
        Measure(key="r10", name="R@10", what=f"{right}: share among the first ten.", better="higher"),
        Measure(key="mrr", name="MRR", what=f"{right}: mean of one over its rank.", better="higher"),
        Measure(
            key="rank",
            name="median rank",
            what=f"{right}: its median rank; 1 is best.",
            better="lower",
            statistic="median",
        ),
    ]


_LIKED = [
    Measure(
        key="precision",
        name="liked kinds, precision",
        what="Of the kinds that the answer says are liked, the share that the person rates over their own average.",
        better="higher",
    ),
    Measure(
        key="recall",
        name="liked kinds, recall",
        what="Of the kinds that the person rates over their own average, the share that the answer says are liked.",
        better="higher",
    ),
]


_FOLDS = 5
"""Parts of the entities that are looked at in turn; with fewer entities than parts nothing is measured."""
_TERMS = 5000
"""Commonest words and pairs of words that the classifier looks at."""
_NOT_OWN = ("swapped",)
"""Systems whose answers are the reader's, given to other entities: of them this says nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Following:
    """What the answers to one task show of it."""

    num_tasks: int = 1
    """How many tasks were asked about the same points (T), this one included."""
    series: Mapping[str, Mapping[str, Series]] = field(default_factory=dict)
    """By system and measure; empty where there is no other task."""

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What some system was measured by, in words."""
        known = (_alike_measure(self.num_tasks), _told_apart_measure(self.num_tasks))
        return tuple(one for one in known if any(one.key in found for found in self.series.values()))


def task_following(
    cases: Sequence[TaskCases], answers: Sequence[Mapping[str, Sequence[str]]]
) -> list[Following]:
    """For each of the cases, with its answers by system: what they show of the task, beside those of the others."""
    found = [Following()] * len(cases)
    for places in _of_the_same_points(cases):
        if len(places) < 2:
            continue
        first = [key for key in answers[places[0]] if key not in _NOT_OWN]
        systems = [key for key in first if all(key in answers[place] for place in places)]
        measured = {key: _measured([answers[place][key] for place in places]) for key in systems}
        for row, place in enumerate(places):
            series = {
                key: {name: Series(values[row]) for name, values in measured[key].items()} for key in systems
            }
            found[place] = Following(num_tasks=len(places), series=series)
    return found


def _of_the_same_points(cases: Sequence[TaskCases]) -> list[list[int]]:
    """Places of the cases that ask one space about the same entities."""
    found: dict[tuple[str, ...], list[int]] = {}
    for place, one in enumerate(cases):
        space = one.name.partition(" / ")[0]
        found.setdefault((space, *one.ids), []).append(place)
    return list(found.values())


def _measured(answers: Sequence[Sequence[str]]) -> dict[str, np.ndarray]:
    """Every measure that can be had of one system's answers [T][N], as [T, N]."""
    apart = task_accuracy(answers)
    return {ALIKE: alike(answers)} | ({} if apart is None else {TASK_ACCURACY: apart})


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
    first = likely >= likely.max(0) - _TIE
    return np.asarray(np.diagonal(first) / first.sum(0))


# --- in words ---


def _alike_measure(num_tasks: int) -> Measure:
    return Measure(
        key=ALIKE,
        name="alike",
        what="Share of the answers that are nearly equal to the same system's answer about the same entity for another "
        f"of the {num_tasks} tasks about these points: 1 means that what is asked makes no difference.",
        better="lower",
    )


def _told_apart_measure(num_tasks: int) -> Measure:
    return Measure(
        key=TASK_ACCURACY,
        name="told apart",
        what=f"Whether answers show the task: the share of entities of whose {num_tasks} answers, one for each task "
        "about these points, the one to this task is picked by a classifier of words that learned from answers about "
        f"other entities. Chance is {1 / num_tasks:.3f}.",
        better="higher",
    )
