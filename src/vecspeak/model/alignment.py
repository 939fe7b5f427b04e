"""Alignment: a closed-form map from a space into the vectors that a reader reads, and how it is fitted and scored.

Ridge regression on sums over rows: no gradient steps, no GPU. Sizes: M rows there are, N of them used, B in a
block, D numbers in a vector, T in a text's vector, R directions that the rows span, P penalties.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from vecspeak.errors import UserError

Kind = Literal["item", "user", "made"]
_ARRAYS = ("center", "user_center", "matrix", "offset")
BLOCK_BYTES = 32 << 20
"""Size of a block of rows in float64; a few of them are in memory at a time."""
LOO_ROWS = 30_000
"""Most rows whose leave-one-out errors are worked out."""
_PENALTIES = tuple((10.0 ** np.arange(-1, 6.5, 0.5)).tolist())
MIN_ITEMS = 20
"""With fewer texts there is no map."""
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
_MAX_GAIN = 3.0
"""Above it a map that predicts almost nothing would be turned into confident noise."""
_LEAST_SPREAD, _MAX_SHOWN_GAIN = 0.5, 15.0
"""Where it leaves vectors that are shown to say something a smaller share of the texts' spread, the next cap holds.

Of 96 movies by views (a share of 0.24) the full gain of 12.5 makes answers nearer to their own text than to others' by
0.023 [0.008, 0.040] by the second encoder; of 100 by ratings (0.60) twice the gain makes no difference.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """`unit(gain * ((v - center) / spread) @ matrix + offset)`; the identity when there is no matrix."""

    dim: int
    """Width of the space (D)."""
    encoder_dim: int
    """Width of the vectors that the reader reads (T)."""
    unit: bool = False
    """Whether vectors are normalized first."""
    center: np.ndarray | None = None
    """[D] mean of the items it was fitted on."""
    spread: float = 1.0
    """Their one standard deviation."""
    user_center: np.ndarray | None = None
    """[D] mean of the users, which differs from the items': users are matched to items by it."""
    user_spread: float = 1.0
    """The users' one standard deviation."""
    matrix: np.ndarray | None = None
    """[D, T] float32 ridge weights; None for a space that the reader reads as it is."""
    offset: np.ndarray | None = None
    """[T] mean of the texts' vectors."""
    gain: float = 1.0
    """How much farther from the mean text a mapped vector is put than ridge, which is cautious, predicts."""

    def __post_init__(self) -> None:
        if self.matrix is None and self.dim != self.encoder_dim:
            raise UserError(
                f"the space has width {self.dim} and the reader reads {self.encoder_dim}; it needs a map",
                "map the space first: `VecSpeak.fit(...)`",
            )
        widths = {"center": (self.dim,), "user_center": (self.dim,), "offset": (self.encoder_dim,)}
        shapes: dict[str, tuple[int, ...]] = {**widths, "matrix": (self.dim, self.encoder_dim)}
        for name, array in self.arrays().items():
            if array.shape != shapes[name] or not np.isfinite(array).all():
                raise UserError(
                    f"{name} of an alignment must be {shapes[name]} finite numbers, got shape {array.shape}",
                    "fit the space again",
                )
        if (self.matrix is None) != (self.offset is None) or not (
            min(self.spread, self.user_spread, self.gain) > 0
        ):
            raise UserError(
                "an alignment needs its matrix and offset, and spreads and gain above 0",
                "fit the space again",
            )

    @property
    def is_identity(self) -> bool:
        """Whether the space is read as it is."""
        return self.matrix is None

    def __call__(self, vectors: np.ndarray, kind: Kind = "item") -> np.ndarray:
        """[N, D] vectors to [N, T] unit vectors. Raises UserError for another width."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise UserError(
                f"the space has vectors of {self.dim} numbers, got shape {vectors.shape}",
                "give a vector of that space",
            )
        if self.matrix is None or self.offset is None:
            return unit(vectors).astype(np.float32)
        deviations = self.standardize(vectors, kind) @ self.matrix
        return unit(self.gain * deviations + self.offset).astype(np.float32)

    def standardize(self, vectors: np.ndarray, kind: Kind = "item") -> np.ndarray:
        """Centred and scaled by the items' statistics, or by the users' for a user."""
        vectors = unit(vectors) if self.unit else vectors
        if kind == "user" and self.user_center is not None:
            return (vectors - self.user_center) / self.user_spread
        return (vectors - (0 if self.center is None else self.center)) / self.spread

    def arrays(self) -> dict[str, np.ndarray]:
        """The part that is saved as tensors."""
        named = {name: getattr(self, name) for name in _ARRAYS}
        return {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in named.items() if a is not None}

    def numbers(self) -> dict[str, Any]:
        """The part that is saved as JSON."""
        names = ("dim", "encoder_dim", "unit", "spread", "user_spread", "gain")
        return {name: getattr(self, name) for name in names}


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, also where float32 cannot hold the square of a length."""
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not np.isfinite(lengths).all():
        vectors = vectors / np.abs(vectors).max(axis=-1, keepdims=True)
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Pairs of an input and a target, or some of them, read by blocks: never copied as a whole."""

    inputs: np.ndarray
    """[M, D]"""
    targets: np.ndarray
    """[M, T]"""
    selected_rows: np.ndarray | None = None
    """[N] rows to take; None for all."""
    prepare: Callable[[np.ndarray], np.ndarray] = np.asarray
    """Applied to a block of inputs first; row by row, so that blocks do not matter."""

    def __len__(self) -> int:
        return len(self.inputs) if self.selected_rows is None else len(self.selected_rows)

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """[B, D] and [B, T] float64, in order."""
        step = max(1, BLOCK_BYTES // (8 * (self.inputs.shape[1] + self.targets.shape[1])))
        for start in range(0, len(self), step):
            part = slice(start, start + step)
            rows = part if self.selected_rows is None else self.selected_rows[part]
            inputs = self.prepare(self.inputs[rows])
            yield inputs.astype(np.float64), self.targets[rows].astype(np.float64)

    def sample(self, most: int) -> "Rows":
        """All of them, or the same `most` every time."""
        if len(self) <= most:
            return self
        drawn = np.sort(np.random.default_rng(0).choice(len(self), most, replace=False))
        selected = drawn if self.selected_rows is None else self.selected_rows[drawn]
        return Rows(inputs=self.inputs, targets=self.targets, selected_rows=selected, prepare=self.prepare)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sums:
    """Sums over N rows of deviations from the means, all float64; inputs are divided by their spread."""

    count: int
    center: np.ndarray
    """[D] mean of the inputs."""
    offset: np.ndarray
    """[T] mean of the targets."""
    spread: float
    """One standard deviation of all the inputs' deviations."""
    gram: np.ndarray
    """[D, D] inputs by inputs."""
    cross: np.ndarray
    """[D, T] inputs by targets."""
    square: float
    """Sum of the targets' squared deviations."""

    @classmethod
    def from_rows(cls, rows: Rows) -> "Sums":
        """Two passes over the rows: means first, then products of deviations."""
        center, offset = np.zeros(rows.inputs.shape[1]), np.zeros(rows.targets.shape[1])
        for inputs, targets in rows.blocks():
            center += inputs.sum(0)
            offset += targets.sum(0)
        center /= len(rows)
        offset /= len(rows)
        # Products of deviations, not of raw values: the textbook E[xy] - E[x]E[y] cancels where means are far from 0.
        gram = np.zeros((len(center), len(center)))
        cross = np.zeros((len(center), len(offset)))
        square = 0.0
        for inputs, targets in rows.blocks():
            inputs -= center
            targets -= offset
            gram += inputs.T @ inputs
            cross += inputs.T @ targets
            square += float(np.vdot(targets, targets))
        spread = max(float(np.sqrt(np.trace(gram) / (len(rows) * len(center)))), 1e-12)
        return cls(
            count=len(rows),
            center=center,
            offset=offset,
            spread=spread,
            gram=gram / spread**2,
            cross=cross / spread,
            square=square,
        )


class Ridge:
    """The maps of all penalties from the same rows."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.sums = Sums.from_rows(rows)

    @cached_property
    def _directions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Eigenvalues [R], eigenvectors [D, R] of the gram, and [R, T] the cross products along them."""
        # Fewer rows than numbers in a vector span only N directions: an SVD of the rows finds those alone, and
        # spares the eigenvalues of the gram that are 0 but for rounding.
        if self.sums.count < len(self.sums.center):
            inputs = np.concatenate([block for block, _ in self._standard_blocks(self.rows)])
            _, roots, transposed = np.linalg.svd(inputs, full_matrices=False)
            values, vectors = roots**2, transposed.T
        else:
            values, vectors = np.linalg.eigh(self.sums.gram)
        return np.maximum(values, 0), vectors, vectors.T @ self.sums.cross

    def weights(self, penalty: float) -> np.ndarray:
        """[D, T] float64: (gram + penalty I)^-1 cross, for any penalty by the one decomposition."""
        values, vectors, cross = self._directions
        return vectors @ (cross / (values + penalty)[:, None])

    def leave_one_out(self, penalties: np.ndarray) -> np.ndarray:
        """[P] mean squared error of rows by the map of all other rows, for each penalty."""
        values, vectors, cross = self._directions
        sample = self.rows.sample(LOO_ROWS)
        shrunk = 1.0 / (values[:, None] + penalties)  # [R, P]
        totals = np.zeros(len(penalties))
        for inputs, targets in self._standard_blocks(sample):
            along = inputs @ vectors
            # The error without row i is its residual / (1 - h_i), h_i the row's leverage on its own prediction:
            # 1/N through the mean, and the quadratic form through the weights. No map is fitted again.
            others = 1.0 - 1.0 / self.sums.count - (along**2) @ shrunk  # [B, P]
            for index, shrink in enumerate(shrunk.T):
                errors = targets - (along * shrink) @ cross
                totals[index] += (np.einsum("bt,bt->b", errors, errors) / others[:, index] ** 2).sum()
        return totals / (len(sample) * len(self.sums.offset))

    def _standard_blocks(self, rows: Rows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of deviations from the means, inputs divided by their spread."""
        for inputs, targets in rows.blocks():
            yield (inputs - self.sums.center) / self.sums.spread, targets - self.sums.offset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A fitted map and how well it does on items that it was not fitted on."""

    alignment: Alignment
    report: dict[str, Any]
    """Penalty, whether vectors are brought to length 1 first, and how many items it was fitted on."""
    full_gain: float
    """Gain at which mapped vectors would spread as widely as the texts do, however little they say."""

    def bolder(self) -> "Fit":
        """The fit for vectors that were shown to say something: with a larger gain where the cap holds it down."""
        if self.alignment.gain >= _LEAST_SPREAD * self.full_gain:
            return self
        gain = min(self.full_gain, _MAX_SHOWN_GAIN)
        alignment = replace(self.alignment, gain=gain)
        return replace(self, alignment=alignment, report={**self.report, "gain": gain})


def fit_alignment(
    vectors: np.ndarray,
    targets: np.ndarray,
    users: np.ndarray | None = None,
    *,
    selected_rows: np.ndarray | None = None,
) -> Fit:
    """Ridge from [M, D] vectors to [M, T] text vectors, on all of them or on the `selected_rows` [N] rows.

    The penalty, and whether vectors are first brought to length 1, are chosen by leave-one-out error. Rows are read
    by blocks and never copied as a whole. Raises UserError when fewer than 20 items have texts.
    """
    rows = Rows(inputs=vectors, targets=targets, selected_rows=selected_rows)
    if len(rows) < MIN_ITEMS:
        raise UserError(
            f"only {len(rows)} items have a text; at least {MIN_ITEMS} are needed to map a space",
            "give texts for more items with `text`, or let a pile of other texts help: `unpaired`",
        )
    ridges = [Ridge(rows), Ridge(replace(rows, prepare=unit))]
    errors = np.array([ridge.leave_one_out(np.array(_PENALTIES)) for ridge in ridges])  # [2, P]
    best, at = divmod(int(errors.argmin()), len(_PENALTIES))  # the first of equals leaves vectors as they are
    use_unit, penalty, ridge = bool(best), _PENALTIES[at], ridges[best]
    sums, weights = ridge.sums, ridge.weights(penalty)
    # Ridge shrinks predictions towards the mean text, where the reader was never trained: it answers better, and
    # says more, when mapped vectors spread around that mean as widely as real texts do.
    predicted = float(np.vdot(weights, sums.gram @ weights))
    full_gain = float(np.sqrt(sums.square / max(predicted, 1e-12)))
    gain = float(np.clip(full_gain, 1.0, _MAX_GAIN))
    user_center, user_spread = None, 1.0
    if users is not None:
        prepare = unit if use_unit else np.asarray
        user_sums = Sums.from_rows(Rows(inputs=users, targets=users[:, :0], prepare=prepare))
        user_center, user_spread = user_sums.center.astype(np.float32), user_sums.spread
    alignment = Alignment(
        dim=vectors.shape[1],
        encoder_dim=targets.shape[1],
        unit=use_unit,
        center=sums.center.astype(np.float32),
        spread=sums.spread,
        user_center=user_center,
        user_spread=user_spread,
        matrix=weights.astype(np.float32),
        offset=sums.offset.astype(np.float32),
        gain=gain,
    )
    report = {"penalty": penalty, "unit": use_unit, "gain": gain, "items": len(rows)}
    return Fit(alignment=alignment, report=report, full_gain=full_gain)


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
    mapped = plain(vectors)
    right = np.einsum("mt,mt->m", mapped, targets)
    _, above, _ = _ranks(mapped, targets)
    # The mean is taken off before vectors are brought to length 1: afterwards a part of it would be left.
    assert plain.matrix is not None
    deviations = unit(plain.standardize(vectors) @ plain.matrix).astype(np.float32)
    centered = unit(targets - offset).astype(np.float32)
    rows, *counted = _ranks(deviations, centered)
    ranks = counted[0] + counted[1] / 2  # of equals half
    most = max(len(targets) - 1, 1)
    report: dict[str, Any] = {
        "items": len(vectors),
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
    """The scores that the verdict is of: the random split where there is one, else all that is held out."""
    plain: dict[str, Any] = (report.get("splits") or {}).get("holdout") or report["held_out"]
    return plain if plain["items"] else report["held_out"]


def verdict(scores: dict[str, Any]) -> str:
    """One plain line for a `held_out_report`."""
    items, rank = scores["items"], _rank_of(scores)
    if not items:
        return "nothing is held out, so it is not known whether the vectors say anything of the texts"
    if not _is_shown(scores):
        return (
            f"NOTHING SHOWS THAT THE VECTORS SAY ANYTHING OF THE TEXTS ({items:,} held-out items): "
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
        elif report["kind"] == "unpaired" and not judged_scores(report)["items"]:
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
    doubts = [verdict(scores)] if scores["items"] and not says_something(scores) else []
    return "; ".join([*doubts, *filter(None, [report.get("without_pairs", "")])])


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
