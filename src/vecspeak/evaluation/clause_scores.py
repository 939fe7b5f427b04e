"""Scores of weighed clauses: whether what the vector supports is what the true text says.

A clause holds when at least half of its content words stand in the item's true text. A clause without content words
claims nothing and is not judged. The stricter second judge is an encoder that had no part in the answer: to it a
clause holds when a sentence of the true text is nearer to it than the nearest sentence of 95% of the other items.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from vecspeak.encoders.text import Encoder
from vecspeak.evidence import Answer, Clause
from vecspeak.lexicon.joint import TermReader
from vecspeak.lexicon.terms import Vocabulary
from vecspeak.stats import Estimate, Series, auc
from vecspeak.tasks.task_set import split_sentences

COVERAGES = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Shares of the clauses, the most probable first, of which the precision is told."""
_HOLDS = 0.5
_OTHERS = 0.95
_BINS = 10


class JudgedClause(msgspec.Struct, frozen=True, kw_only=True):
    """A clause of an answer, and whether it holds."""

    entity: int
    text: str
    probability: float | None
    holds: bool
    """By the words of the true text."""
    holds_by_second: bool | None = None
    """By the second encoder; None without one."""


class CoveragePoint(msgspec.Struct, frozen=True, kw_only=True):
    """The most probable clauses, down to some share of all."""

    coverage: float
    precision: Estimate
    precision_by_second: Estimate | None


class ClauseScores(msgspec.Struct, frozen=True, kw_only=True):
    """How well the probabilities of clauses tell what holds."""

    num_answers: int
    num_clauses: int
    """Those with content words."""
    curve: list[CoveragePoint]
    auc: float | None
    """Chance that a clause that holds is held more probable than one that does not; None where all do, or none."""
    calibration_error: float
    """Mean distance of the probability and the share that holds, over tenths of the clauses."""


def judge_clauses(
    answers: Sequence[Answer],
    truths: Sequence[str],
    vocabulary: Vocabulary | TermReader,
    second: Encoder | None = None,
) -> list[tuple[Clause, JudgedClause]]:
    """The clauses of the answers that can be judged by the true texts, each with its verdict."""
    found: list[tuple[Clause, JudgedClause]] = []
    for entity, (answer, truth) in enumerate(zip(answers, truths, strict=True)):
        true = vocabulary.columns_in(truth)
        for clause in answer.clauses:
            if said := vocabulary.columns_in(clause.text):
                holds = len(said & true) / len(said) >= _HOLDS
                judged = JudgedClause(
                    entity=entity, text=clause.text, probability=clause.probability, holds=holds
                )
                found.append((clause, judged))
    if second is None or not found:
        return found
    verdicts = _by_second([one for _, one in found], truths, second)
    return [
        (clause, msgspec.structs.replace(judged, holds_by_second=bool(holds)))
        for (clause, judged), holds in zip(found, verdicts, strict=True)
    ]


def _by_second(clauses: Sequence[JudgedClause], truths: Sequence[str], second: Encoder) -> np.ndarray:
    """[C] whether the true text of its own item has a nearer sentence than 95% of the others have."""
    sentences = [split_sentences(truth) or [truth] for truth in truths]
    owner = np.repeat(np.arange(len(truths)), [len(some) for some in sentences])
    flat = second.encode([one for some in sentences for one in some])
    cosines = second.encode([one.text for one in clauses]) @ flat.T
    # [C, N] the nearest sentence of every item.
    best = np.stack([cosines[:, owner == entity].max(1) for entity in range(len(truths))], axis=1)
    own = best[np.arange(len(clauses)), [one.entity for one in clauses]]
    return (best < own[:, None]).sum(1) / max(len(truths) - 1, 1) >= _OTHERS


def score_clauses(judged: Sequence[JudgedClause], num_answers: int) -> ClauseScores:
    """Precision by coverage, AUC and calibration; intervals are over entities, whose clauses stay together."""
    shares = np.array([one.probability for one in judged], float)
    holds = np.array([one.holds for one in judged], bool)
    second = (
        None
        if any(one.holds_by_second is None for one in judged)
        else np.array([o.holds_by_second for o in judged])
    )
    entities = np.array([one.entity for one in judged])
    order = np.argsort(-shares, kind="stable")
    curve = []
    for coverage in COVERAGES:
        top = order[: max(1, round(coverage * len(order)))]
        by_second = None if second is None else _precision(second[top], entities[top])
        curve.append(
            CoveragePoint(
                coverage=coverage,
                precision=_precision(holds[top], entities[top]),
                precision_by_second=by_second,
            )
        )
    tenths = [part for part in np.array_split(order, _BINS) if len(part)]
    error = sum(len(part) * abs(shares[part].mean() - holds[part].mean()) for part in tenths) / len(judged)
    return ClauseScores(
        num_answers=num_answers, num_clauses=len(judged), curve=curve, auc=auc(shares, holds),
        calibration_error=float(error),
    )  # fmt: skip


def _precision(holds: np.ndarray, entities: np.ndarray) -> Estimate:
    """The share of clauses that hold; the bootstrap draws entities."""
    known, place = np.unique(entities, return_inverse=True)
    counts = np.bincount(place, minlength=len(known)).astype(float)
    sums = np.bincount(place, holds, minlength=len(known))
    found = Series(sums / counts, counts).estimate("mean")
    assert found is not None
    return found
