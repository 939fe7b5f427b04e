"""Metrics: functions of answers and vectors, each with its interval over entities and its baselines.

Semantic consistency is the paper's (section 5): cosine between the encoder's vector of an answer and of the truth.
Knows arrays only. Shape letters: N entities, P pool, T width.
"""

from dataclasses import dataclass

import numpy as np

from vecspeak.evaluation.intervals import Estimate, estimate, median_estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapGap:
    """Loss in nats a token with the right vector, with another entity's, and the difference, paired by entity."""

    right: Estimate
    swapped: Estimate
    gap: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency:
    """Semantic consistency of the answers, and of the baselines on the same entities."""

    answer: Estimate
    swapped: Estimate
    """The answers held against another entity's text."""
    nearest_text: Estimate
    """The nearest training entity's own text instead of an answer."""
    gain: Estimate
    """Answer minus nearest text, paired by entity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Where the right entity ranks among the pool by the answer; rank 1 is best."""

    among: int
    recall_at_1: Estimate
    recall_at_10: Estimate
    mean_reciprocal_rank: Estimate
    median_rank: Estimate
    nearest_text_recall_at_10: Estimate
    """The same when the nearest training text is searched with instead of the answer."""


def swap_gap(right: np.ndarray, swapped: np.ndarray, tokens: np.ndarray) -> SwapGap:
    """From summed losses [N] in nats and token counts [N]."""
    return SwapGap(
        right=estimate(right / tokens, tokens),
        swapped=estimate(swapped / tokens, tokens),
        gap=estimate((swapped - right) / tokens, tokens),
    )


def consistency(answers: np.ndarray, truth: np.ndarray, nearest_text: np.ndarray) -> Consistency:
    """From unit vectors [N, T] of the answers, of the true texts and of the nearest training texts."""
    own = (answers * truth).sum(1)
    baseline = (nearest_text * truth).sum(1)
    return Consistency(
        answer=estimate(own),
        swapped=estimate((answers * np.roll(truth, 1, axis=0)).sum(1)),
        nearest_text=estimate(baseline),
        gain=estimate(own - baseline),
    )


def ranks(queries: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """[N] rank of pool row i for query i; a tie counts against the right one."""
    scores = queries @ pool.T
    right = scores[np.arange(len(queries)), np.arange(len(queries))]
    return (scores >= right[:, None]).sum(1)


def retrieval(answers: np.ndarray, pool: np.ndarray, nearest_text: np.ndarray) -> Retrieval:
    """From unit vectors; the first N rows of the pool [P, T] are the right ones."""
    found = ranks(answers, pool)
    return Retrieval(
        among=len(pool),
        recall_at_1=estimate((found <= 1).astype(float)),
        recall_at_10=estimate((found <= 10).astype(float)),
        mean_reciprocal_rank=estimate(1 / found),
        median_rank=median_estimate(found),
        nearest_text_recall_at_10=estimate((ranks(nearest_text, pool) <= 10).astype(float)),
    )
