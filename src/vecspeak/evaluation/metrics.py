"""The registry of scorers: every metric of answers, entity by entity, and how each is described.

Semantic consistency is the paper's (section 5): cosine between the encoder's vector of an answer and of the truth.
Shape letters: N cases, S slots, P pool, T encoder width. docs/adding-a-scorer.md says how to add a scorer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vecspeak.encoders.text import Encoder
from vecspeak.evaluation.baselines import BASELINES
from vecspeak.evaluation.behavior import (
    Ranking,
    attribute_accuracy,
    behavioral_consistency,
    variance_explained,
)
from vecspeak.evaluation.cases import CaseSet
from vecspeak.evaluation.report import ALIKE, OVER_SWAP, READER, SHUFFLED, TASK_ACCURACY, TRUTH, Measure
from vecspeak.evaluation.wording import NO_ANSWER, alike, copied, liked_part, repeated, task_accuracy
from vecspeak.model.alignment import unit
from vecspeak.stats import Estimate, Series
from vecspeak.tasks.prose import has_loop


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
        baseline = BASELINES.get(self.system)
        ready = baseline.vectors(self.context.cases) if baseline and baseline.vectors else None
        if ready is not None:
            return ready
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
    # The same true text, token by token, after the right vector and after a control: the gap is paired by entity, and
    # how hard a text is to predict at all falls out of it.
    found = {"loss": known[answers.system]}
    if answers.system == READER:
        controls = {"gap": SHUFFLED, "gap_mean": "mean"}
        found |= {
            key: swap_gap(known[READER], known[name]) for key, name in controls.items() if name in known
        }
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
            name=f"{name} over shuffled",
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
    # Blocks of queries, since all scores of 5,000 queries and 50,000 texts would take a gigabyte.
    for start in range(0, len(queries), 512):
        rows = np.arange(start, min(start + 512, len(queries)))
        scores = queries[rows] @ pool.T
        # The right text scores at least as high as itself, so that the best rank is 1 and equal texts push it down.
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
    # A point between two items has no row, and is ranked among all items by its own vector.
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
        # The right vector is counted apart: a point between items is no row, and an item as a row would count twice.
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

    # Of several slots each vector ranks the others by itself, and the answer should rank them as both do.
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


_WORDS = (
    Measure(
        key="word_precision",
        name="words, precision",
        what="Of the content words and names of the answers, the share that stands in the true text.",
        better="higher",
    ),
    Measure(
        key="word_recall",
        name="words, recall",
        what="Of the content words and names of the true text, the share that the answers have.",
        better="higher",
    ),
)


@register("word_accuracy", lambda context: _WORDS if context.cases.vocabulary is not None else ())
def _words(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    if cases.vocabulary is None or answers.system == TRUTH:
        return {}
    said = [cases.vocabulary.columns_in(text) for text in answers.texts]
    true = [cases.vocabulary.columns_in(" ".join(texts)) for texts in cases.truths]
    hits = np.array([len(one & other) for one, other in zip(said, true, strict=True)], float)
    # Weighted by the words of each text: the share of all words said, and of all words that are true.
    return {
        key: Series(hits / np.maximum(sizes, 1), sizes)
        for key, sizes in (
            ("word_precision", np.array([len(one) for one in said], float)),
            ("word_recall", np.array([len(one) for one in true], float)),
        )
        if sizes.any()
    }


_LOOPS = Measure(
    key="loops",
    name="loops",
    what="Share of the answers that go in circles: five words in a row come twice, three come three times, or one "
    "comes three times in a row.",
    better="lower",
)


@register("loops", lambda context: [_LOOPS])
def _loops(answers: SystemAnswers, cases: CaseSet) -> dict[str, Series]:
    return {"loops": Series(np.array([has_loop(text) for text in answers.texts], float))}


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
        name="task accuracy",
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
