"""The registry of scorers: every metric of answers, entity by entity, and how each is described.

Semantic consistency is the paper's (section 5): cosine between the encoder's vector of an answer and of the truth.
Shape letters: N cases, S slots, P pool, T encoder width. docs/adding-a-scorer.md says how to add a scorer.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vecspeak.encoders.text import Encoder
from vecspeak.evaluation.behavior import attribute_accuracy, behavioral_consistency, variance_explained
from vecspeak.evaluation.cases import CaseSet, Ranking, liked_part
from vecspeak.evaluation.report import ALIKE, OVER_SWAP, READER, SHUFFLED, TASK_ACCURACY, TRUTH, Measure
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


def _keep(places: np.ndarray, runs: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return places[mask], runs[mask]


def _one_more(
    marks: np.ndarray, places: np.ndarray, runs: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of the runs that begin at these places with one word more, where there is one."""
    added = marks[places + length]  # every text ends in a 0, so that this stays inside
    return _keep(places, runs * _BASE + added, added != 0)


NO_ANSWER = "(no answer)"
"""What an empty answer is encoded as."""


class ScoringContext:
    """What is known of one case set when it is scored: everyone's answers, the losses, and two encoders."""

    def __init__(
        self,
        cases: CaseSet,
        encoder: Encoder,
        second: Encoder | None = None,
        *,
        texts: Mapping[str, Sequence[str]] | None = None,
        losses: Mapping[str, Series] | None = None,
        tasks: "SamePoints | None" = None,
    ) -> None:
        self.cases, self.encoder, self.second = cases, encoder, second
        self.texts, self.losses = texts or {}, losses or {}
        self.tasks = tasks or SamePoints([])
        self._answers: dict[str, SystemAnswers] = {}

    def answers(self, system: str) -> "SystemAnswers":
        """One system's answers; the same object every time, so that nothing is encoded twice."""
        if system not in self._answers:
            self._answers[system] = SystemAnswers(self, system, self.texts[system])
        return self._answers[system]

    @cached_property
    def second_truth(self) -> np.ndarray:
        """[N, S, T2] the second encoder's vectors of the truths; their mean for a point between two items."""
        assert self.second is not None
        flat = [text for texts in self.cases.truths for text in texts]
        vectors = self.second.encode(flat, progress=True).reshape(len(self.cases), -1, self.second.dim)
        return unit(vectors.mean(1, keepdims=True)) if self.cases.is_between else vectors

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What the scorers of these cases measure, in the order of the table."""
        return tuple(m for name in self.cases.scorers for m in SCORERS[name].measures(self))


class SystemAnswers:
    """One system's answers to a case set, with what several scorers need of them computed once."""

    def __init__(self, context: ScoringContext, system: str, texts: Sequence[str]) -> None:
        self.context, self.system, self.texts = context, system, texts
        self._scores: dict[str, Mapping[str, Series]] = {}

    @cached_property
    def vectors(self) -> np.ndarray:
        """[N, T] unit vectors of the answers; of the truth as an answer, those of the whole truth."""
        if self.system == TRUTH and self.context.cases.truth is not None:
            return self.context.cases.truth
        return self.context.encoder.encode([text.strip() or NO_ANSWER for text in self.texts])

    @cached_property
    def second_vectors(self) -> np.ndarray:
        """[N, T2] the second encoder's vectors of the answers."""
        assert self.context.second is not None
        return self.context.second.encode([text.strip() or NO_ANSWER for text in self.texts], progress=True)

    def score(self, scorer: str) -> Mapping[str, Series]:
        """What one scorer gives; computed once."""
        if scorer not in self._scores:
            self._scores[scorer] = SCORERS[scorer].score(self, self.context.cases)
        return self._scores[scorer]

    def scores(self) -> dict[str, Series]:
        """What all scorers of the case set give, by metric."""
        return {key: one for name in self.context.cases.scorers for key, one in self.score(name).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A named way of scoring answers.

    `score(answers, cases)` gives one Series a metric, for the entities in order; a metric that cannot be measured of
    these answers is left out. `measures(context)` describes the metrics that the case set can have.
    """

    score: Callable[[SystemAnswers, CaseSet], Mapping[str, Series]]
    measures: Callable[[ScoringContext], Sequence[Measure]]


SCORERS: dict[str, Scorer] = {}


def register(
    name: str, measures: Callable[[ScoringContext], Sequence[Measure]]
) -> Callable[[Callable[[SystemAnswers, CaseSet], Mapping[str, Series]]], Scorer]:
    """Decorate a scoring function to add it to the registry. Raises ValueError for a name that is taken."""

    def add(score: Callable[[SystemAnswers, CaseSet], Mapping[str, Series]]) -> Scorer:
        if name in SCORERS:
            raise ValueError(f"there is a scorer {name!r} already")
        SCORERS[name] = Scorer(score=score, measures=measures)
        return SCORERS[name]

    return add


def score_texts(
    cases: CaseSet, texts: Sequence[str], encoder: Encoder, second: Encoder | None = None
) -> dict[str, Series]:
    """Score any texts as answers to the cases, with no model and no baselines."""
    return ScoringContext(cases, encoder, second, texts={"texts": texts}).answers("texts").scores()


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


# --- losses ---

_LOSS = (
    Measure(
        key="loss",
        name="loss",
        what="How unlikely the true text is to the model, in nats a token, after what the system is given.",
        better="lower",
    ),
    Measure(
        key="gap",
        name="swap gap",
        what="Loss with another entity's vector minus loss with the right one, in nats a token: 0 means that the "
        "vector is not read.",
        better="higher",
    ),
    Measure(
        key="gap_mean",
        name="gain over the mean",
        what="Loss with the mean vector minus loss with the right one, in nats a token: what this vector tells beyond "
        "what is true of most. A wrong vector can mislead, which widens the swap gap; the mean cannot.",
        better="higher",
    ),
)


@register("loss", lambda context: _LOSS)
def _losses(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    known = answers.context.losses
    if answers.system not in known:
        return {}
    found = {"loss": known[answers.system]}
    if answers.system == READER:
        found["gap"] = swap_gap(known[READER], known[SHUFFLED])
        found["gap_mean"] = swap_gap(known[READER], known["mean"])
    return found


# --- consistency ---


def _consistency_measures(context: ScoringContext, ending: str = "") -> list[Measure]:
    cases, name = context.cases, f"SC{', 2nd encoder' if ending else ''}"
    if cases.truth is not None:
        by = "the reader's own encoder"
        if ending and context.second is not None:
            by = f"{context.second.name}, which had no part in making any vector or answer"
        what = f"cosine of the answer and the true text, by {by}."
        return [Measure(key=f"sc{ending}", name=name, what=f"Semantic consistency: {what}", better="higher")]
    against = "what was read, by the reader's own encoder"
    if ending and context.second is not None:
        truth = "the mean of both ends' texts" if cases.is_between else "the true text"
        against = f"{truth}, by {context.second.name}, which made nothing"
    two = len(cases.slots) > 1
    mean = f"Semantic consistency: cosine of the answer and {against}{'; the mean of both' if two else ''}."
    low = f"The smaller of the cosines of the answer and each of the two: {against}."
    found = [Measure(key=f"sc{ending}", name=name, what=mean, better="higher")]
    if two:
        name = name.replace("SC", "SC, smaller")
        found.append(Measure(key=f"sc_low{ending}", name=name, what=low, better="higher"))
    return found


@register("consistency", _consistency_measures)
def _consistency(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    if answers.system == TRUTH:
        return {}
    if cases.truth is not None:
        return {"sc": Series((answers.vectors * cases.truth).sum(1))}
    return _cosines(answers.vectors, cases.inputs, "")


def _cosines(vectors: np.ndarray, truth: np.ndarray, ending: str) -> dict[str, Series]:
    """Cosines of answers [N, T] with what is in each slot [N, S, T]: the mean, and of several the smallest too."""
    cosines = np.einsum("nt,nst->ns", vectors, truth)
    found = {f"sc{ending}": Series(cosines.mean(1))}
    return found | ({f"sc_low{ending}": Series(cosines.min(1))} if cosines.shape[1] > 1 else {})


def _has_second(context: ScoringContext) -> bool:
    return context.second is not None and all(context.cases.truths)


@register(
    "second_consistency",
    lambda context: _consistency_measures(context, "_2") if _has_second(context) else [],
)
def _second_consistency(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    if answers.system == TRUTH or not _has_second(answers.context):
        return {}
    vectors, truth = answers.second_vectors, answers.context.second_truth
    if cases.truth is not None:
        return {"sc_2": Series((vectors * truth[:, 0]).sum(1))}
    return _cosines(vectors, truth, "_2")


def _over_shuffled_measures(context: ScoringContext) -> list[Measure]:
    name = "SC" if "consistency" in context.cases.scorers else "BC"
    what = f"{name} of the reader minus {name} of the answer that it gave to another entity, paired by entity: where "
    return [
        Measure(
            key=OVER_SWAP,
            name=f"{name} over another's",
            what=f"{what}the interval includes 0, nothing shows that the answer depends on the vector.",
            better="higher",
        )
    ]


@register("over_shuffled", _over_shuffled_measures)
def _over_shuffled(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    """The reader minus another entity's answer, entity by entity, by the first measure of the task."""
    scorer, key = ("consistency", "sc") if "consistency" in cases.scorers else ("behavior", "bc")
    if answers.system != READER or SHUFFLED not in answers.context.texts:
        return {}
    own, other = answers.score(scorer), answers.context.answers(SHUFFLED).score(scorer)
    return {OVER_SWAP: Series(own[key].values - other[key].values)} if key in own else {}


_VARIANCE = Measure(
    key="fve",
    name="variance explained",
    what="Share of the variance of the true texts' vectors that the answers' vectors explain, against "
    "predicting the mean; below 0 where answers lie farther from the truth than the mean does.",
    better="higher",
)


@register("variance", lambda context: [_VARIANCE] if context.cases.pool is not None else [])
def _variance(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    if cases.pool is None or cases.truth is None or cases.mean_truth is None or answers.system == TRUTH:
        return {}
    return {"fve": variance_explained(answers.vectors, cases.truth, cases.mean_truth)}


# --- retrieval ---


def _rank_measures(right: str, ending: str = "") -> list[Measure]:
    name = ", 2nd encoder" if ending else ""
    shown = (
        ("R@1", "share found first"),
        ("R@10", "share among the first ten"),
        ("MRR", "mean of one over its rank"),
    )
    found = [
        Measure(key=f"{key}{ending}", name=f"{title}{name}", what=f"{right}: {what}.", better="higher")
        for key, (title, what) in zip(("r1", "r10", "mrr"), shown, strict=True)
    ]
    median = f"{right}: its median rank; 1 is best."
    rank = Measure(
        key=f"rank{ending}", name=f"median rank{name}", what=median, better="lower", statistic="median"
    )
    return [*found, rank]


def _rank_series(ranks: np.ndarray, ending: str = "") -> dict[str, Series]:
    return {
        f"r1{ending}": Series((ranks <= 1).astype(float)),
        f"r10{ending}": Series((ranks <= 10).astype(float)),
        f"mrr{ending}": Series(1 / ranks),
        f"rank{ending}": Series(ranks.astype(float)),
    }


def _text_retrieval_measures(context: ScoringContext) -> list[Measure]:
    if context.cases.pool is None:
        return []
    how = f"by the reader's own encoder, among {context.cases.among:,} texts"
    return _rank_measures(f"The right entity is searched with the answer {how}")


@register("text_retrieval", _text_retrieval_measures)
def _text_retrieval(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    if cases.pool is None or answers.system == TRUTH:
        return {}
    return _rank_series(ranks(answers.vectors, cases.pool))


def _second_retrieval_measures(context: ScoringContext) -> list[Measure]:
    if context.cases.pool is None or context.second is None:
        return []
    how = f"by {context.second.name}, among the {len(context.cases):,} evaluated"
    return _rank_measures(f"The right entity is searched with the answer {how}", "_2")


@register("second_retrieval", _second_retrieval_measures)
def _second_retrieval(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    if cases.pool is None or answers.context.second is None or answers.system == TRUTH:
        return {}
    return _rank_series(ranks(answers.second_vectors, answers.context.second_truth[:, 0]), "_2")


def ranks(queries: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """[N] rank of pool row i for query i; a tie counts against the right one."""
    found = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), 512):
        rows = np.arange(start, min(start + 512, len(queries)))
        scores = queries[rows] @ pool.T
        right = np.take_along_axis(scores, rows[:, None], axis=1)
        found[rows] = (scores >= right).sum(1)
    return found


_FIRST = 10
"""Nearest items of an answer among which the items asked about are looked for."""
_TIE = 1e-6
"""Cosines that differ by less are a tie, which counts against the right one."""


def _item_retrieval_measures(context: ScoringContext) -> list[Measure]:
    cases = context.cases
    among = f"among all {cases.among - cases.is_between:,} items of the space, by the reader's own encoder"
    if len(cases.slots) > 1:
        said = "Share of answers whose ten nearest items include"
        return [
            Measure(
                key="either10", name="either in 10", what=f"{said} one of the two, {among}.", better="higher"
            ),
            Measure(key="both10", name="both in 10", what=f"{said} both, {among}.", better="higher"),
        ]
    right = "The point" if cases.is_between else "The right item"
    return _rank_measures(
        f"{right} is searched with the answer {among}{' and itself' if cases.is_between else ''}"
    )


@register("item_retrieval", _item_retrieval_measures)
def _item_retrieval(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    return retrieval(cases, answers.vectors)


def retrieval(cases: CaseSet, vectors: np.ndarray) -> dict[str, Series]:
    """Where the right one stands when the answer's vector [N, T] is the query, among all items of the space.

    A point between two items stands among all items and itself: an answer that tells of one end alone finds that
    item before it. Of two items: whether either, and whether both, are among the ten nearest.
    """
    assert cases.items is not None
    if len(cases.slots) > 1:
        first = np.concatenate([_first(block @ cases.items.T) for block in _blocks(vectors)])
        hits = np.array([[row in near for row in rows] for rows, near in zip(cases.rows, first, strict=True)])
        return {
            "either10": Series(hits.any(1).astype(float)),
            "both10": Series(hits.all(1).astype(float)),
        }
    own = [rows[0] if rows else None for rows in cases.rows]
    return _rank_series(truth_ranks(vectors, cases.inputs[:, 0], cases.items, own))


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


# --- behavior ---


def _behavior_measures(context: ScoringContext) -> list[Measure]:
    cases = context.cases
    if cases.ranking is None:
        return []
    who = "items, of the liking" if cases.of_people else "users, of the liking"
    what = f"Behavioral consistency: Spearman correlation over {who} that the answer predicts with the liking that the "
    two = ", the mean of both" if len(cases.slots) > 1 else ""
    what += f"vector predicts{two}. What is popular is popular in every prediction, so its floor is not 0."
    beyond = "The same after the average person's liking is taken from both: what sets this person apart."
    found = [Measure(key="bc", name="BC", what=what, better="higher")]
    if cases.of_people:
        found.append(Measure(key="bc_own", name="BC, beyond the average", what=beyond, better="higher"))
    return found


@register("behavior", _behavior_measures)
def _behavior(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    """Rank correlation with what is in each slot, the mean of them; of people also beyond the average person."""
    if cases.ranking is None or cases.own is None:
        return {}

    def consistency(ranking: Ranking, own: np.ndarray) -> np.ndarray:
        return behavioral_consistency(ranking.predictor, answers.vectors, own, ranking.others)

    slots = [consistency(cases.ranking, cases.own[:, slot]) for slot in range(cases.own.shape[1])]
    found = {"bc": Series(np.mean(slots, axis=0))}
    if cases.ranking.average is not None:
        beyond = cases.own[:, 0] - cases.ranking.average
        found["bc_own"] = Series(consistency(cases.ranking.beyond_average, beyond))
    return found


# --- wording ---


def _attribute_measures(context: ScoringContext) -> list[Measure]:
    if context.cases.attributes is None:
        return []
    names = ("attribute precision", "attribute recall")
    shown = (
        "Of the genres, tags and decades that the answers name, the share that is true.",
        "Of those that are true, the share that the answers name.",
    )
    if context.cases.of_people:
        names = ("liked kinds, precision", "liked kinds, recall")
        shown = (
            "Of the kinds that the answer says are liked, the share that the person rates over their own average.",
            "Of the kinds that the person rates over their own average, the share that the answer says are liked.",
        )
    keys = ("precision", "recall")
    return [
        Measure(key=key, name=name, what=what, better="higher")
        for key, name, what in zip(keys, names, shown, strict=True)
    ]


@register("attributes", _attribute_measures)
def _attributes(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    if cases.attributes is None:
        return {}
    # What a profile says is disliked is not said to be liked.
    texts = [liked_part(text) for text in answers.texts] if cases.of_people else answers.texts
    return attribute_accuracy(cases.attributes, texts)


_REPEATED = Measure(
    key="repeated",
    name="repeated",
    what="Share of the answers that are nearly equal to another entity's: 1 means one answer for all.",
    better="lower",
)


@register("repeated", lambda context: [_REPEATED])
def _repeated(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    return {"repeated": repeated(answers.texts)}


_COPIED = Measure(
    key="copied",
    name="copied",
    what="Longest run of words that the answer shares with any training text, on average.",
    better="",
)


@register("copied", lambda context: [_COPIED] if context.cases.training_texts else [])
def _copied(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    return {"copied": copied(answers.texts, cases.training_texts)} if cases.training_texts else {}


# --- whether answers show the task ---

_FOLDS = 5
"""Parts of the entities that are looked at in turn; with fewer entities than parts nothing is measured."""
_TERMS = 5000
"""Commonest words and pairs of words that the classifier looks at."""
_NOT_OWN = ("swapped",)
"""Systems whose answers are the reader's, given to other entities: of them this says nothing new."""


class SamePoints:
    """The answers of all systems to T tasks about the same points, for metrics that compare tasks."""

    def __init__(self, texts: Sequence[Mapping[str, Sequence[str]]], place: int = 0) -> None:
        self.texts, self.place = texts, place
        self._found: dict[str, dict[str, np.ndarray]] = {}

    def at(self, place: int) -> "SamePoints":
        """The same answers, seen from the task at that place; what is measured is shared."""
        one = SamePoints(self.texts, place)
        one._found = self._found
        return one

    @property
    def num_tasks(self) -> int:
        """How many tasks were asked about the points, this one included."""
        return max(len(self.texts), 1)

    def series(self, system: str, measure: str) -> dict[str, Series]:
        """The measure of this task's answers; empty where there is no other task to compare with."""
        if len(self.texts) < 2 or system in _NOT_OWN or not all(system in one for one in self.texts):
            return {}
        if system not in self._found:
            answers = [one[system] for one in self.texts]
            apart = task_accuracy(answers)
            self._found[system] = {ALIKE: alike(answers)} | ({} if apart is None else {TASK_ACCURACY: apart})
        found = self._found[system].get(measure)
        return {} if found is None else {measure: Series(found[self.place])}


def _if_compared(
    measure: str, describe: Callable[[int], Measure]
) -> Callable[[ScoringContext], list[Measure]]:
    """The description, where any system could be measured so."""

    def measures(context: ScoringContext) -> list[Measure]:
        compared = any(context.tasks.series(system, measure) for system in context.texts)
        return [describe(context.tasks.num_tasks)] if compared else []

    return measures


def _alike_measure(num_tasks: int) -> Measure:
    return Measure(
        key=ALIKE,
        name="alike",
        what="Share of the answers that are nearly equal to the same system's answer about the same entity for another "
        f"of the {num_tasks} tasks about these points: 1 means that what is asked makes no difference.",
        better="lower",
    )


def _task_accuracy_measure(num_tasks: int) -> Measure:
    return Measure(
        key=TASK_ACCURACY,
        name="told apart",
        what=f"Whether answers show the task: the share of entities of whose {num_tasks} answers, one for each task "
        "about these points, the one to this task is picked by a classifier of words that learned from answers about "
        f"other entities. Chance is {1 / num_tasks:.3f}.",
        better="higher",
    )


@register("alike", _if_compared(ALIKE, _alike_measure))
def _alike(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    return answers.context.tasks.series(answers.system, ALIKE)


@register("task_accuracy", _if_compared(TASK_ACCURACY, _task_accuracy_measure))
def _task_accuracy(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    return answers.context.tasks.series(answers.system, TASK_ACCURACY)


def same_points(
    case_sets: Sequence[CaseSet], texts: Sequence[Mapping[str, Sequence[str]]]
) -> list[SamePoints]:
    """For each case set the answers to all tasks that ask one space about the same entities."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, one in enumerate(case_sets):
        groups.setdefault((one.name.partition(" / ")[0], *one.ids), []).append(place)
    found = [SamePoints([])] * len(case_sets)
    for places in groups.values():
        together = SamePoints([texts[place] for place in places])
        for row, place in enumerate(places):
            found[place] = together.at(row)
    return found


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
