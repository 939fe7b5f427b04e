"""Measures: every way in which an answer is scored, and the scores of one system's answers, entity by entity.

Semantic consistency is the paper's (section 5): cosine between the encoder's vector of an answer and of the truth.
Knows texts, vectors and losses. Knows no model. Shape letters: N entities, P pool, T width.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.embedders.semantic import Encodes
from vecspeak.evaluation.attributes import attribute_accuracy
from vecspeak.evaluation.behavior import behavioral_consistency, variance_explained
from vecspeak.evaluation.cases import Cases
from vecspeak.evaluation.intervals import Estimate, Series
from vecspeak.evaluation.report import Measure
from vecspeak.evaluation.wording import copied, repeated

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


def measures_of(cases: Cases, second: Encodes | None) -> tuple[Measure, ...]:
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
    encoder: Encodes
    second: Encodes | None
    second_truth: np.ndarray | None
    """[N, T2] the second encoder's unit vectors of the truths."""

    @classmethod
    def of(cls, cases: Cases, encoder: Encodes, second: Encodes | None) -> "Scorer":
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
