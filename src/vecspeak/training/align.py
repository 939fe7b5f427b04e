"""Align: fit the map from a new space into the reader's vectors by ridge regression.

No gradient steps, no GPU.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.encoders.text import Encoder
from vecspeak.errors import UserError
from vecspeak.model.alignment import Alignment, unit
from vecspeak.points.foldin import FoldIn
from vecspeak.spaces import Space
from vecspeak.spaces.splits import Splits, check_splits
from vecspeak.spaces.tables import TEXT_COLUMN, as_texts, other_columns

BLOCK_BYTES = 32 << 20
"""Size of a block of rows in float64; a few of them are in memory at a time."""
LOO_ROWS = 30_000
"""Most rows whose leave-one-out errors are worked out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Pairs of an input and a target, or some of them, read by blocks."""

    inputs: np.ndarray
    """[M, D]"""
    targets: np.ndarray
    """[M, T]"""
    selected_rows: np.ndarray | None = None
    """[N] rows to take; None for all."""
    prepare: Callable[[np.ndarray], np.ndarray] = np.asarray
    """What is done to a block of inputs first: row by row, so that blocks do not matter."""

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
    """Sums over N rows of what deviates from the means, all float64; inputs are divided by their spread."""

    count: int
    """N."""
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
    def of(cls, rows: Rows) -> "Sums":
        """Two passes over the rows: means first, then products of deviations, which do not cancel."""
        center, offset = _means(rows)
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


def _means(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    inputs_sum, targets_sum = np.zeros(rows.inputs.shape[1]), np.zeros(rows.targets.shape[1])
    for inputs, targets in rows.blocks():
        inputs_sum += inputs.sum(0)
        targets_sum += targets.sum(0)
    return inputs_sum / len(rows), targets_sum / len(rows)


class Ridge:
    """The maps of all penalties from the same rows."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.sums = Sums.of(rows)

    @cached_property
    def _directions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Eigenvalues [R], eigenvectors [D, R] of the gram, and [R, T] the cross products along them.

        Fewer rows than numbers in a vector span only their own number of directions: those are found from the rows.
        """
        if self.sums.count < len(self.sums.center):
            inputs = np.concatenate([block for block, _ in self._standard_blocks(self.rows)])
            _, roots, transposed = np.linalg.svd(inputs, full_matrices=False)
            values, vectors = roots**2, transposed.T
        else:
            values, vectors = np.linalg.eigh(self.sums.gram)
        return np.maximum(values, 0), vectors, vectors.T @ self.sums.cross

    def weights(self, penalty: float) -> np.ndarray:
        """[D, T] float64."""
        values, vectors, cross = self._directions
        return vectors @ (cross / (values + penalty)[:, None])

    def leave_one_out(self, penalties: np.ndarray) -> np.ndarray:
        """[P] mean squared error of rows by the map of all other rows, for each penalty."""
        values, vectors, cross = self._directions
        sample = self.rows.sample(LOO_ROWS)
        shrunk = 1.0 / (values[:, None] + penalties)
        totals = np.zeros(len(penalties))
        for inputs, targets in self._standard_blocks(sample):
            along = inputs @ vectors
            others = 1.0 - 1.0 / self.sums.count - (along**2) @ shrunk
            for index, shrink in enumerate(shrunk.T):
                errors = targets - (along * shrink) @ cross
                totals[index] += (np.einsum("bt,bt->b", errors, errors) / others[:, index] ** 2).sum()
        return totals / (len(sample) * len(self.sums.offset))

    def _standard_blocks(self, rows: Rows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of deviations from the means, inputs divided by their spread."""
        for inputs, targets in rows.blocks():
            yield (inputs - self.sums.center) / self.sums.spread, targets - self.sums.offset


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
            "give texts for more items with `text`",
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


def with_texts(space: Space, column: str | None) -> Space:
    """The space with that column as its texts, so that all that reads the bundle later finds them.

    Texts are always called "text" in a space; another column of that name becomes "text_". As it is where no column
    is named. Raises UserError where there is no such column.
    """
    if not column:
        return space
    names = space.metadata.column_names
    if column not in names:
        there = f"it has {', '.join(names)}" if names else "it has none but id, label and vector"
        has_texts = TEXT_COLUMN in names
        raise UserError(
            f"the space {space.name!r} has no column {column!r}; {there}",
            f"its texts are in {TEXT_COLUMN!r}: leave `text` out" if has_texts else "correct `text`",
        )
    if column == TEXT_COLUMN:
        return space
    return replace(space, metadata=other_columns(space.metadata, used=(), text=column, source=space.name))


def texts_of(space: Space) -> list[str | None]:
    """One text an item; None where it has none."""
    if TEXT_COLUMN not in space.metadata.column_names:
        return [None] * space.num_items
    return as_texts(space.metadata.column(TEXT_COLUMN), TEXT_COLUMN)


def fit_space(
    space: Space,
    *,
    texts: Sequence[str | None],
    encoder: Encoder,
    users: Space | None = None,
    fold_in: FoldIn | None = None,
    splits: Mapping[str, Collection[str]] | None = None,
    progress: bool = False,
) -> SpaceEntry:
    """Map a space to the reader's encoder with the texts of the items that are in none of the splits.

    `texts[i]` is None or blank where item i has none; `fold_in` makes users like `users`; `splits` are ids by name,
    as `choose_splits` gives them. A space made by that very encoder is read as it is. Raises UserError when the
    counts differ, when splits overlap or name what is not there, and when too few items with texts are left to
    fit on.
    """
    held_out: Splits = {name: frozenset(ids) for name, ids in (splits or {}).items()}
    check_splits(space, held_out)
    if space.encoder == encoder.name and space.dim == encoder.dim:
        alignment = Alignment(dim=space.dim, encoder_dim=encoder.dim)
        report = {"kind": "identity", "encoder": encoder.name, "items": space.num_items}
    else:
        alignment, report = _fit_map(space, texts, encoder, users, held_out, progress)
    return SpaceEntry(
        space=space,
        users=users,
        alignment=alignment,
        splits=held_out,
        report=report,
        concepts={},
        fold_in=fold_in,
    )


def _fit_map(
    space: Space,
    texts: Sequence[str | None],
    encoder: Encoder,
    users: Space | None,
    splits: Splits,
    progress: bool,
) -> tuple[Alignment, dict[str, Any]]:
    if len(texts) != space.num_items:
        raise UserError(f"{len(texts)} texts for {space.num_items} items", "give one text an item")
    rows = [row for row, text in enumerate(texts) if text and text.strip()]
    if not rows:
        raise UserError(
            f"no item of {space.name!r} has a text; a space of unknown origin needs texts to be mapped",
            "name their column with `text`",
        )
    masks = {name: np.array([space.ids[row] in ids for row in rows]) for name, ids in splits.items()}
    is_out = np.any([np.zeros(len(rows), dtype=bool), *masks.values()], axis=0)
    targets = encoder.encode([str(texts[row]) for row in rows], progress=progress)
    vectors = space.vectors if len(rows) == space.num_items else space.vectors[rows]
    fit = _fit_on(vectors, targets, users, is_out)
    assert fit.alignment.offset is not None
    mean = fit.alignment.offset

    def scores(mask: np.ndarray) -> dict[str, Any]:
        return held_out_report(fit, vectors[mask], targets[mask], mean)

    report = {"kind": "ridge", "encoder": encoder.name, **fit.report, "held_out": scores(is_out)}
    if len(masks) > 1:
        report["splits"] = {name: scores(mask) for name, mask in masks.items()}
    return fit.alignment, report


def _fit_on(vectors: np.ndarray, targets: np.ndarray, users: Space | None, is_out: np.ndarray) -> Fit:
    """The map, of what is not out; where too few items are left because others are, the error says so."""
    retained = np.flatnonzero(~is_out)
    try:
        return fit_alignment(
            vectors, targets, None if users is None else users.vectors, selected_rows=retained
        )
    except UserError as error:
        if len(retained) == len(is_out) or len(retained) >= MIN_ITEMS:
            raise
        raise UserError(
            f"of {len(is_out):,} items with a text {len(is_out) - len(retained):,} are held out, "
            f"which leaves {len(retained):,}: too few to map a space",
            "hold out fewer items, or give texts for more",
        ) from error
