"""Align: fit the map from a new space into the reader's vectors by ridge regression.

No gradient steps, no GPU. Knows vectors of items and of their texts. Knows nothing of language models.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecspeak.alignment import Alignment, unit
from vecspeak.errors import UserError
from vecspeak.training.ridge import BLOCK_BYTES, Ridge, Rows, Sums

_PENALTIES = tuple((10.0 ** np.arange(-1, 6.5, 0.5)).tolist())
MIN_ITEMS = 20
"""With fewer texts there is no map."""
_ALMOST_NOTHING, _LITTLE = 40.0, 10.0
"""Median ranks of the right text, in percent of those held out, above which vectors say almost nothing, or little."""
_RANKED, _PAIRS = 1000, 4 * 10**8
"""Fewest items that are ranked where there are so many, and pairs of an item and a text that may be compared."""
_MAX_GAIN = 3.0
"""Above it a map that predicts almost nothing would be turned into confident noise."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A fitted map and how well it does on items that it was not fitted on."""

    alignment: Alignment
    report: dict[str, Any]
    """Penalty, whether vectors are brought to length 1 first, and how many items it was fitted on."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    error: float
    penalty: float
    unit: bool
    ridge: Ridge


def _candidate(rows: Rows, use_unit: bool) -> _Candidate:
    """The best penalty, where vectors are brought to length 1 first and where they are not."""
    ridge = Ridge(dataclasses.replace(rows, prepare=unit) if use_unit else rows)
    errors = ridge.leave_one_out(np.array(_PENALTIES))
    best = int(errors.argmin())
    return _Candidate(float(errors[best]), _PENALTIES[best], use_unit, ridge)


def _gain(sums: Sums, weights: np.ndarray) -> float:
    """What spreads the predictions around their mean as widely as the texts' own vectors are.

    Ridge shrinks towards the mean, where the reader was never trained: it answers better, and says more, when
    mapped vectors lie where real ones do. At least 1, at most 3.
    """
    predicted = float(np.vdot(weights, sums.gram @ weights))
    return float(np.clip(np.sqrt(sums.square / max(predicted, 1e-12)), 1.0, _MAX_GAIN))


def fit_alignment(
    vectors: np.ndarray,
    targets: np.ndarray,
    users: np.ndarray | None = None,
    *,
    chosen: np.ndarray | None = None,
) -> Fit:
    """Ridge from [M, D] vectors to [M, T] text vectors, on all of them or on the `chosen` [N] rows.

    The penalty, and whether vectors are first brought to length 1, are chosen by leave-one-out error. Rows are read
    by blocks and never copied as a whole. Raises UserError when fewer than 20 items have texts.
    """
    rows = Rows(inputs=vectors, targets=targets, chosen=chosen)
    if len(rows) < MIN_ITEMS:
        raise UserError(
            f"only {len(rows)} items have a text; at least {MIN_ITEMS} are needed to map a space",
            "give texts for more items with --text",
        )
    best = min((_candidate(rows, use_unit) for use_unit in (False, True)), key=lambda c: c.error)
    sums, weights = best.ridge.sums, best.ridge.weights(best.penalty)
    gain = _gain(sums, weights)
    user_center, user_spread = None, 1.0
    if users is not None:
        prepare = unit if best.unit else np.asarray
        of_users = Sums.of(Rows(inputs=users, targets=users[:, :0], prepare=prepare))
        user_center, user_spread = of_users.center.astype(np.float32), of_users.spread
    alignment = Alignment(
        dim=vectors.shape[1],
        encoder_dim=targets.shape[1],
        unit=best.unit,
        center=sums.center.astype(np.float32),
        spread=sums.spread,
        user_center=user_center,
        user_spread=user_spread,
        matrix=weights.astype(np.float32),
        offset=sums.offset.astype(np.float32),
        gain=gain,
    )
    report = {"penalty": best.penalty, "unit": best.unit, "gain": gain, "items": len(rows)}
    return Fit(alignment=alignment, report=report)


def held_out_report(fit: Fit, vectors: np.ndarray, targets: np.ndarray, offset: np.ndarray) -> dict[str, Any]:
    """How well the map does on [M, D] vectors and [M, T] text vectors that it was not fitted on.

    Mean cosine with the right text, beside that of always giving `offset` [T], the mean text; and where the
    right text ranks among the M texts: the median in percent, and how often among the ten nearest. This is
    of the plain prediction, without gain: it tells what the vectors carry, not how boldly they are read. Above
    20,000 items a fixed sample of them is ranked, still among all.
    """
    if not len(vectors):
        return {"items": 0}
    mapped = dataclasses.replace(fit.alignment, gain=1.0)(vectors)
    right = np.einsum("mt,mt->m", mapped, targets)
    ranks = _ranks(mapped, targets)
    return {
        "items": len(vectors),
        "cosine": float(right.mean()),
        "cosine_of_mean": float((targets @ unit(offset)).mean()),
        "median_rank_percent": float(np.median(ranks) / max(len(targets) - 1, 1) * 100),
        "recall_at_10": float((ranks < 10).mean()),
    }


def verdict(scores: dict[str, Any]) -> str:
    """What a `held_out_report` comes to, in one plain line.

    A median of M uniform ranks has the standard deviation 50 / sqrt(M + 2) percent: within two of them of 50 the
    texts' order may be chance.
    """
    items, rank = scores["items"], scores.get("median_rank_percent", 50.0)
    if not items:
        return "nothing is held out, so it is not known whether the vectors say anything of the texts"
    if rank > 50 - 1.96 * 50 / (items + 2) ** 0.5:
        return (
            f"NOTHING SHOWS THAT THE VECTORS SAY ANYTHING OF THE TEXTS ({items:,} held-out items): "
            "answers about them would be made up"
        )
    if rank > _ALMOST_NOTHING:
        return "THE VECTORS SAY ALMOST NOTHING OF THE TEXTS: answers about them would be made up"
    if rank > _LITTLE:
        return "the vectors say something of the texts, and not much: expect the kind of item, not the item"
    return "the vectors say much of the texts"


def _ranks(mapped: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """How many of all M texts each of the ranked items puts before its own."""
    rows = np.arange(len(targets))
    ranked = max(_RANKED, _PAIRS // len(rows))
    if len(rows) > ranked:
        rows = np.sort(np.random.default_rng(0).choice(rows, ranked, replace=False))
    step = max(1, BLOCK_BYTES // (4 * len(targets)))
    ranks = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        scores = mapped[part] @ targets.T
        own = scores[np.arange(len(part)), part]
        ranks[start : start + step] = (scores > own[:, None]).sum(1)
    return ranks
