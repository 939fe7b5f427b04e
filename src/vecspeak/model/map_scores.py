"""How well a map does on items that it was not fitted on, and what is said of it in words.

Sizes as in alignment.py: M items, D numbers in a vector, T in a text's vector.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from vecspeak.errors import UserError
from vecspeak.model.alignment import BLOCK_BYTES, Fit, Ridge, Rows, unit

_ALMOST_NOTHING, _LITTLE = 40.0, 5.0
"""Median ranks of the right text, in percent of those held out, above which vectors say almost nothing, or little."""
_LITTLE_UNCENTERED = 10.0
"""The same of bundles that were fitted before ranks were centered."""
_CHANCE = 0.01
"""Vectors are shown to say something where no more of the shuffled controls rank the texts as well."""
_SHUFFLES, _SHUFFLED = 999, 1000
"""Shuffled controls, and most held-out items that they are drawn from."""
_COUNT_EDGES = (1, 3, 10, 30, 100)
"""Least numbers of ratings or views of the groups whose ranks are reported."""
_RANKED, _PAIRS = 1000, 4 * 10**8
"""Fewest items that are ranked where there are so many, and pairs of an item and a text that may be compared."""
FEW = 20
"""With fewer held-out items the verdict is of the fitted items too, each predicted by a map that has not seen it."""
_FEWEST_JUDGED = 5
"""With fewer, one shuffled pairing of a hundred ranks the texts as well as the true one whatever the vectors say."""
_FOLDS, _FOLDED = 10, 1000
"""Parts that are left out in turns, and most items that are divided among them."""


def held_out_report(
    fit: Fit, vectors: np.ndarray, targets: np.ndarray, offset: np.ndarray, counts: np.ndarray | None = None
) -> dict[str, Any]:
    """Score the map on [M, D] vectors and [M, T] text vectors that it was not fitted on.

    Mean cosine with the right text, next to that of always giving `offset` [T], the mean text; and the rank of the
    right text among the M texts: its median in percent, and how often it is among the ten nearest. The same with the
    mean text taken off both sides first (`centered_...`): a map of vectors that say little predicts hardly more than
    the mean, whose nearest texts would be the nearest of every item. `p_shuffled` is the share of shuffled pairings
    of the held-out items and texts that rank as well as the true one. Above 20,000 items a fixed sample of them is
    ranked, still among all. `counts` [M], how many ratings or views are behind each vector, adds the ranks of items
    with few and with many (`by_count`).
    """
    if not len(vectors):
        return {"items": 0}
    # Without gain: scores tell what the vectors carry, not how boldly they are read.
    plain = replace(fit.alignment, gain=1.0)
    assert plain.matrix is not None
    return _scores(plain(vectors), plain.standardize(vectors) @ plain.matrix, targets, offset, counts)


def cross_validated_report(
    fit: Fit, vectors: np.ndarray, targets: np.ndarray, counts: np.ndarray | None = None
) -> dict[str, Any]:
    """Score [N, D] vectors that the map was fitted on, each by a map of the same penalty that has not seen it.

    A tenth of them is left out at a time; of more than 1,000 a fixed sample is taken. Returns what `held_out_report`
    does. Ten small fits: few held-out items tell nothing (of four, chance ranks one in 24 pairings as well as any).
    """
    draw = np.random.default_rng(0)
    selected = draw.permutation(len(vectors))[:_FOLDED]
    prepare = unit if fit.alignment.unit else np.asarray
    predicted = np.empty((len(selected), targets.shape[1]), np.float32)
    offsets = np.empty_like(predicted)
    for fold in range(_FOLDS):
        out = np.arange(len(selected)) % _FOLDS == fold
        others = Rows(inputs=vectors, targets=targets, selected_rows=selected[~out], prepare=prepare)
        ridge = Ridge(others)
        inputs = (prepare(vectors[selected[out]]) - ridge.sums.center) / ridge.sums.spread
        predicted[out] = inputs @ ridge.weights(fit.report["penalty"])
        offsets[out] = ridge.sums.offset
    texts = targets[selected]
    of_them = None if counts is None else counts[selected]
    return _scores(unit(predicted + offsets), predicted, texts, texts.mean(0), of_them)


def _scores(
    mapped: np.ndarray,
    deviations: np.ndarray,
    targets: np.ndarray,
    offset: np.ndarray,
    counts: np.ndarray | None,
) -> dict[str, Any]:
    """Scores of [M, T] mapped vectors, and of what they deviate from the mean text by, against [M, T] text vectors."""
    right = np.einsum("mt,mt->m", mapped, targets)
    _, above, _ = _ranks(mapped, targets)
    # The mean is taken off before vectors are brought to length 1: afterwards a part of it would be left.
    deviations = unit(deviations).astype(np.float32)
    centered = unit(targets - offset).astype(np.float32)
    rows, *counted = _ranks(deviations, centered)
    ranks = counted[0] + counted[1] / 2  # of equals half
    most = max(len(targets) - 1, 1)
    report: dict[str, Any] = {
        "items": len(targets),
        "cosine": float(right.mean()),
        "cosine_of_mean": float((targets @ unit(offset)).mean()),
        "median_rank_percent": float(np.median(above) / most * 100),
        "recall_at_10": float((above < 10).mean()),
        "centered_cosine": float(np.einsum("mt,mt->m", deviations, centered).mean()),
        "centered_median_rank_percent": float(np.median(ranks) / most * 100),
        "centered_recall_at_10": float((ranks < 10).mean()),
        "p_shuffled": _share_of_shuffled(deviations, centered),
    }
    if counts is not None:
        report["by_count"] = _by_count(counts[rows], ranks / most * 100)
    return report


def judged_scores(report: dict[str, Any]) -> dict[str, Any]:
    """The scores that the verdict is of: the random split where there is one, else all that is held out.

    Of fewer than 20 held-out items, those of the fitted items, each predicted by a map that has not seen it.
    """
    if "cross_validated" in report:
        found: dict[str, Any] = report["cross_validated"]
        return found
    plain: dict[str, Any] = (report.get("splits") or {}).get("holdout") or report["held_out"]
    return plain if plain["items"] else report["held_out"]


def verdict(scores: dict[str, Any]) -> str:
    """One plain line for a `held_out_report`."""
    items, rank = scores["items"], _rank_of(scores)
    if not items:
        return "nothing is held out, so it is not known whether the vectors say anything of the texts"
    if items < _FEWEST_JUDGED and not _is_shown(scores):
        return (
            f"{items:,} items with a text are too few to tell whether the vectors say anything of the texts"
        )
    if not _is_shown(scores):
        return (
            f"NOTHING SHOWS THAT THE VECTORS SAY ANYTHING OF THE TEXTS ({items:,} items that the map has not seen): "
            "answers about them would be made up"
        )
    if rank > _ALMOST_NOTHING:
        return "THE VECTORS SAY ALMOST NOTHING OF THE TEXTS: answers about them would be made up"
    if rank > (_LITTLE if "p_shuffled" in scores else _LITTLE_UNCENTERED):
        return "the vectors say something of the texts, and not much: expect the kind of item, not the item"
    return "the vectors say much of the texts"


def with_verdict(report: dict[str, Any]) -> dict[str, Any]:
    """A space's report with its verdict. Raises UserError for one that lacks what the verdict is made of."""
    try:
        if report["kind"] == "identity":
            said = f"made by {report['encoder']}, which the reader reads as it is"
        elif report["kind"] == "unpaired" and judged_scores(report)["items"] < _FEWEST_JUDGED:
            said = report["without_pairs"]
        else:
            said = verdict(judged_scores(report))
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"the bundle does not say how the space was mapped: its report lacks {error}",
            "fit the space again with `VecSpeak.fit(...)`",
        ) from error
    return {**report, "verdict": said}


def caution(report: dict[str, Any]) -> str:
    """What answers about the space must be read with; else empty.

    The verdict where it is that they would be made up, and that the map was found without pairs, with its figures.
    """
    if "held_out" not in report:  # the reader reads the space as it is
        return ""
    scores = judged_scores(report)
    proven = report.get("without_pairs", "")
    untold = scores["items"] < (_FEWEST_JUDGED if proven else 1)
    doubts = [] if untold or says_something(scores) else [verdict(scores)]
    return "; ".join([*doubts, *filter(None, [proven])])


def says_something(scores: dict[str, Any]) -> bool:
    """Whether a `held_out_report` shows that the vectors say more of the texts than almost nothing."""
    return bool(scores["items"]) and _is_shown(scores) and _rank_of(scores) <= _ALMOST_NOTHING


def _rank_of(scores: dict[str, Any]) -> float:
    """The median rank that is judged: the centered one, which bundles of before do not have."""
    found: float = scores.get("centered_median_rank_percent", scores.get("median_rank_percent", 50.0))
    return found


def _is_shown(scores: dict[str, Any]) -> bool:
    """Whether the held-out texts are ranked better than chance would."""
    if "p_shuffled" in scores:
        return bool(scores["p_shuffled"] <= _CHANCE)
    # The median of M uniform ranks has the standard deviation 50 / sqrt(M + 2) percent.
    return bool(_rank_of(scores) <= 50 - 1.96 * 50 / (scores["items"] + 2) ** 0.5)


def _ranks(mapped: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the ranked items, how many of all M texts each puts before its own, and how many level with it."""
    rows = np.arange(len(targets))
    ranked = max(_RANKED, _PAIRS // len(rows))
    if len(rows) > ranked:
        rows = np.sort(np.random.default_rng(0).choice(rows, ranked, replace=False))
    step = max(1, BLOCK_BYTES // (4 * len(targets)))
    above, level = np.empty((2, len(rows)), dtype=np.int64)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        scores = mapped[part] @ targets.T
        own = scores[np.arange(len(part)), part][:, None]
        above[start : start + step] = (scores > own).sum(1)
        level[start : start + step] = (scores == own).sum(1) - 1
    return rows, above, level


def _share_of_shuffled(mapped: np.ndarray, targets: np.ndarray) -> float:
    """Share of random pairings, the true one among them, whose mean rank is at least as good as the true one's.

    By shuffling, and not by the variance of M uniform ranks: vectors that all predict the same few texts make ranks
    depend on each other.
    """
    draw = np.random.default_rng(0)
    if len(targets) > _SHUFFLED:
        rows = np.sort(draw.choice(len(targets), _SHUFFLED, replace=False))
        mapped, targets = mapped[rows], targets[rows]
    scores = -(mapped @ targets.T)
    ordered = np.sort(scores, axis=1)
    # [M, M] the rank of every text for every item: the middle of the places that equals share
    places = np.stack(
        [
            np.searchsorted(line, row, "left") + np.searchsorted(line, row, "right")
            for line, row in zip(ordered, scores, strict=True)
        ]
    )
    items = np.arange(len(targets))
    shuffled = [places[items, draw.permutation(items)].sum() for _ in range(_SHUFFLES)]
    as_good = int((np.array(shuffled) <= np.trace(places)).sum())
    return (1 + as_good) / (1 + _SHUFFLES)


def _by_count(counts: np.ndarray, percents: np.ndarray) -> list[dict[str, Any]]:
    """Median rank in percent of items with few ratings or views and of those with many; unknown counts are left out."""
    found = []
    for least, after in zip((0, *_COUNT_EDGES), (*_COUNT_EDGES, np.inf), strict=True):
        inside = (counts >= least) & (counts < after)
        if inside.any():
            found.append(
                {
                    "least": least,
                    "most": None if after == np.inf else int(after) - 1,
                    "items": int(inside.sum()),
                    "centered_median_rank_percent": float(np.median(percents[inside])),
                }
            )
    return found
