"""Scores of a lexicon on texts that it was not fitted on, beside what needs no vector and what needs no lexicon.

Precision at k is the share of the k terms ranked first that stand in the text, a mean over texts. The baselines are the
terms that most texts have, the terms of the texts whose vectors are nearest, and the lexicon itself with the vector of
another text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from vecspeak.lexicon.readout import LIFT, Readout
from vecspeak.stats import Estimate, auc, estimate

DEPTHS = (5, 10, 20)
"""How many terms are looked at."""
LEXICON, FREQUENT, NEAREST, SHUFFLED = "lexicon", "most frequent", "nearest", "shuffled vectors"
_NEAREST = 5
_EDGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Bins of the calibration. Terms below 5% are nearly all of them and nearly all absent: they would hide the others."""
_ENOUGH = 10
"""Held-out texts that must have a term before anything is said about how well it is read."""
_READ_ABOVE = 0.6
"""AUC from which on a term counts as read."""


class CalibrationBin(msgspec.Struct, frozen=True, kw_only=True):
    """Pairs of text and term whose probabilities are alike."""

    probability: float
    """Mean probability that the lexicon gave."""
    share: float
    """Share of the pairs where the text has the term."""
    count: int


class LexiconScores(msgspec.Struct, frozen=True, kw_only=True):
    """How well V terms are read on N held-out texts."""

    num_texts: int
    num_terms: int
    precision: dict[str, dict[str, Estimate]]
    """By system, then by depth."""
    calibration: list[CalibrationBin]
    calibration_error: float
    """Mean distance of probability and share over the pairs from 5% on (expected calibration error)."""
    median_auc: float | None
    """Over the terms that 10 held-out texts or more have; None where there is none."""
    num_judged: int
    """How many terms that are."""
    unread: list[str]
    """Terms among them that are not read: AUC below 0.6."""


def score_lexicon(
    readout: Readout, terms: Sequence[str], vectors: np.ndarray, has: Any,
    known_vectors: np.ndarray, known_has: Any, *, seed: int = 0,
) -> LexiconScores:  # fmt: skip
    """Scores on [N, D] held-out vectors and their [N, V] sparse terms; the known texts give the nearest ones."""
    truth = np.asarray(has.todense()) > 0
    probabilities = readout.probabilities(vectors)
    near = _nearest(readout, vectors, known_vectors, known_has)
    rank = probabilities / readout.rates**LIFT
    return score_systems(terms, probabilities, rank, truth, readout.rates, {NEAREST: near}, seed=seed)


def score_systems(
    terms: Sequence[str], probabilities: np.ndarray, rank: np.ndarray, truth: np.ndarray, rates: np.ndarray,
    systems: Mapping[str, np.ndarray], *, seed: int = 0,
) -> LexiconScores:  # fmt: skip
    """Scores of [N, V] probabilities and of their ranking, beside [N, V] scores of other systems and the baselines."""
    found = {
        LEXICON: rank,
        SHUFFLED: np.roll(rank, 1, axis=0),
        FREQUENT: np.broadcast_to(rates, truth.shape),
        **systems,
    }
    precision = {
        name: {str(depth): estimate(precision_at(scores, truth, depth), seed=seed) for depth in DEPTHS}
        for name, scores in found.items()
    }
    bins = list(_bins(probabilities, truth))
    pairs = sum(one.count for one in bins)
    error = sum(abs(one.probability - one.share) * one.count for one in bins) / pairs if pairs else 0.0
    counts = truth.sum(0)
    judged = np.flatnonzero((counts >= _ENOUGH) & (counts < len(truth)))
    aucs = {
        terms[column]: one
        for column in judged.tolist()
        if (one := auc(probabilities[:, column], truth[:, column])) is not None
    }
    return LexiconScores(
        num_texts=len(truth),
        num_terms=len(terms),
        precision=precision,
        calibration=bins,
        calibration_error=error,
        median_auc=float(np.median(list(aucs.values()))) if aucs else None,
        num_judged=len(judged),
        unread=sorted(term for term, auc in aucs.items() if auc < _READ_ABOVE),
    )


def precision_at(scores: np.ndarray, truth: np.ndarray, depth: int) -> np.ndarray:
    """[N] share of the `depth` columns of highest score that are true.

    >>> precision_at(np.array([[0.9, 0.2, 0.5]]), np.array([[True, True, False]]), 2)
    array([0.5])
    """
    depth = min(depth, scores.shape[1])
    if scores.shape[1] > 20 * depth:  # the first ones alone are sorted
        some = np.sort(np.argpartition(-scores, 4 * depth, axis=1)[:, : 4 * depth], axis=1)
        within = np.argsort(-np.take_along_axis(scores, some, 1), axis=1, kind="stable")[:, :depth]
        return np.take_along_axis(truth, np.take_along_axis(some, within, 1), 1).mean(1)
    top = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    return np.take_along_axis(truth, top, 1).mean(1)


def _nearest(readout: Readout, vectors: np.ndarray, known: np.ndarray, known_has: Any) -> np.ndarray:
    """[N, V] how many of the 5 nearest known texts have the term; of equals the commoner first."""
    unit = [
        part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in (vectors, known)
    ]
    top = np.argsort(-(unit[0] @ unit[1].T), axis=1, kind="stable")[:, :_NEAREST]
    return np.stack([np.asarray(known_has[rows].sum(0)).ravel() for rows in top]) + 0.5 * readout.rates


def _bins(probabilities: np.ndarray, truth: np.ndarray) -> list[CalibrationBin]:
    place = np.digitize(probabilities, _EDGES[:-1])
    found = []
    for number in range(1, len(_EDGES)):
        inside = place == number
        if inside.any():
            mean, share = float(probabilities[inside].mean()), float(truth[inside].mean())
            found.append(CalibrationBin(probability=mean, share=share, count=int(inside.sum())))
    return found
