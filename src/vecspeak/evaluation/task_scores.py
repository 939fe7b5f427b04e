"""Task scores: how an answer to a task is measured against the vectors that were read, entity by entity.

Semantic consistency is the paper's: cosine of the answer's vector with what was read; of two, the mean of both. Knows
cases, vectors and texts. Knows no model. Shape letters: N cases, S slots, T width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vecspeak.alignment import unit
from vecspeak.embedders.semantic import Encodes
from vecspeak.evaluation.attributes import attribute_accuracy
from vecspeak.evaluation.behavior import behavioral_consistency
from vecspeak.evaluation.intervals import Series
from vecspeak.evaluation.measures import NO_ANSWER, REPEATED
from vecspeak.evaluation.report import OVER_SWAP, Measure
from vecspeak.evaluation.task_cases import TaskCases
from vecspeak.evaluation.task_ground import Ranking, liked_part
from vecspeak.evaluation.wording import repeated

_FIRST = 10
"""Nearest items of an answer among which the items asked about are looked for."""
_TIE = 1e-6
"""Cosines that differ by less are a tie, which counts against the right one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskScorer:
    """Scores any system's answers to the same cases."""

    cases: TaskCases
    encoder: Encodes
    second: Encodes | None

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
    found = ranks(vectors, cases.read[:, 0], cases.items, [rows[0] if rows else None for rows in cases.rows])
    return {
        "r1": Series((found <= 1).astype(float)),
        "r10": Series((found <= 10).astype(float)),
        "mrr": Series(1 / found),
        "rank": Series(found.astype(float)),
    }


def ranks(answers: np.ndarray, right: np.ndarray, items: np.ndarray, own: Sequence[int | None]) -> np.ndarray:
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


def task_measures(cases: TaskCases, second: Encodes | None) -> tuple[Measure, ...]:
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
