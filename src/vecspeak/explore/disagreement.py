"""Disagreement: items whose text does not belong to their vector, by a closed-form map that has not seen the item.

A text's words (TF-IDF, reduced to 300 numbers by a singular value decomposition) are mapped to vectors by ridge
regression, each item by the map of all others. How well a text fits a vector is the cosine of the two deviations from
the mean, by Fisher's transform and in standard deviations of what 300 other texts have with the same vector. Own
texts fit so much better that the fits of the great majority, less what the length and the clearness of the text
explain, give the spread of right rows; a row disagrees where it lies beyond that spread at a false discovery rate of
5%, and its text fits no better than the best tenth of other items' texts.

Rows that were shifted are looked for first: a run of consecutive rows of which the text some rows away fits better,
longer than any that texts at random make in the same rows, and than the table's order explains. No single row is found
where hardly one of shuffled texts would be.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from vecspeak.explore.contrast import LEVEL, discovery_rates
from vecspeak.explore.oddities import LEAST_POWER
from vecspeak.spaces.search import unit_rows

FEWEST = 200
"""Items with words that the map needs."""
_WIDTH, _OTHERS = 300, 300
"""Numbers that a text is reduced to, and other texts that its fit is held against."""
_PENALTIES = 10.0 ** np.arange(-3, 3.0)
_BEST = 0.9
"""Share of other texts that a disagreeing text may beat at most."""
_FITS = 2.0
"""Depth up to which a text fits a vector as well as is usual."""
_SHIFTS = (-1, 1, -2, 2, -3, 3)
_SHORTEST, _LEAD = 3, 1.0
"""Rows of a run at least, and by how much the shifted text must fit better."""
_CHANCE = 0.01
"""Chance of any run in rows that are in order."""
_TOO_OFTEN = 0.5
"""Share of texts at random that fit better than the own by the lead, from which on runs say nothing."""
_MOST_OFTEN = 0.9
"""The same of the text some rows away, as far as it counts: half of a table may be shifted."""
_SIDE = (0.25, 0.1)
"""Shares of the low side that a spread is read from."""
_HIGHEST = 0.999
_BLOCK = 2048


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextFits:
    """How well the texts of M items fit vectors."""

    vectors: np.ndarray
    """[M, D] float32 deviations of the vectors from their mean, at length 1."""
    predicted: np.ndarray
    """[M, D] float32 deviations that the texts predict, each by the map of the other items, at length 1."""
    covariates: np.ndarray
    """[M, 3] 1, the logarithm of the number of words, and that of the predicted deviation's length."""
    middle: np.ndarray
    """[M] mean of Fisher's transform of each vector's cosines with other items' texts."""
    spread: np.ndarray
    """[M] standard deviation of these."""
    others: np.ndarray
    """[M, O] float32 fits of other items' texts, NaN for the own."""
    explained: float
    """Share of the vectors' variance that texts explain, each by the map of the others."""

    def of(self, rows: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """[R] fits of some texts to the vectors of some rows."""
        fits = _fits(np.einsum("rd,rd->r", self.vectors[rows], self.predicted[texts]))
        return np.asarray((fits - self.middle[rows]) / self.spread[rows])

    @property
    def own(self) -> np.ndarray:
        """[M] fits of each item's own text."""
        rows = np.arange(len(self.vectors))
        return self.of(rows, rows)

    def beaten(self, fits: np.ndarray) -> np.ndarray:
        """[M] share of other texts that fit each vector worse than this."""
        worse = self.others < fits[:, None]
        return worse.sum(1) / (~np.isnan(self.others)).sum(1)


def fit_texts(vectors: np.ndarray, words: Any, seed: int) -> TextFits:
    """Map texts to vectors: [M, D] vectors and [M, V] sparse counts of which words each text has, at least one."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

    weights = TfidfTransformer().fit_transform(words.astype(np.float32))
    width = min(_WIDTH, weights.shape[1] - 1, len(vectors) // 3)
    inputs = TruncatedSVD(width, n_iter=3, random_state=seed).fit_transform(weights).astype(np.float64)
    inputs -= inputs.mean(0)
    targets = unit_rows(vectors).astype(np.float64)
    targets -= targets.mean(0)
    predicted, explained = _left_out(inputs, targets)
    lengths = np.linalg.norm(predicted, axis=1)
    sizes = np.asarray(words.sum(1)).ravel()
    ours = _directions(targets)
    theirs = _directions(predicted)
    draw = np.random.default_rng(seed)
    some = draw.permutation(len(vectors))[:_OTHERS]
    found = _fits(ours @ theirs[some].T)
    found[some, np.arange(len(some))] = np.nan  # the own text is no other
    middle, spread = np.nanmean(found, axis=1), np.maximum(np.nanstd(found, axis=1), 1e-6)
    covariates = np.stack([np.ones(len(vectors)), np.log(sizes), np.log(np.maximum(lengths, 1e-6))], axis=1)
    return TextFits(
        vectors=ours,
        predicted=theirs,
        covariates=covariates,
        middle=middle,
        spread=spread,
        others=(found - middle[:, None]) / spread[:, None],
        explained=explained,
    )


def _fits(cosines: np.ndarray) -> np.ndarray:
    """Fisher's transform of cosines: their spread is then the same whether they are high or low."""
    return np.asarray(np.arctanh(np.clip(cosines, -_HIGHEST, _HIGHEST)))


def _directions(deviations: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(deviations, axis=1, keepdims=True)
    return np.asarray(deviations / np.maximum(lengths, 1e-12), np.float32)


def _left_out(inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, float]:
    """[M, D] predictions, each by the ridge of all other rows, and the share of the variance that they explain."""
    values, directions = np.linalg.eigh(inputs.T @ inputs)
    along = inputs @ directions
    cross = along.T @ targets
    total = float((targets**2).sum(1).mean())

    def predicted(rows: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
        shrunk = 1 / (np.maximum(values, 0) + penalty * values.mean())
        share = np.minimum((along[rows] ** 2) @ shrunk + 1 / len(inputs), 0.999)[:, None]
        found = (along[rows] @ (shrunk[:, None] * cross) - share * targets[rows]) / (1 - share)
        return found, float(((targets[rows] - found) ** 2).sum(1).mean()) / total

    some = np.linspace(0, len(inputs) - 1, min(len(inputs), _BLOCK)).astype(int)
    best = min(_PENALTIES.tolist(), key=lambda penalty: predicted(some, penalty)[1])
    found, missed = predicted(np.arange(len(inputs)), best)
    return found, 1 - missed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Disagreements:
    """Which of M rows disagree, in places of the rows that were looked at."""

    found: np.ndarray
    """[F] int64, worst first; those of runs are not among them."""
    suspects: np.ndarray
    """[M] int64 all rows, the least fitting first: what an exact check looks at."""
    partners: np.ndarray
    """[F] int64: the found row with which a row's text was exchanged; -1 where it was with none."""
    runs: tuple[tuple[np.ndarray, int], ...]
    """Rows of each run of shifted rows, and by how many rows the text that fits stands farther down."""
    depths: np.ndarray
    """[M] how far below what is usual of such texts each fit lies, in standard deviations."""
    of_shuffled: float
    """Share of shuffled texts that would be found."""
    usual: np.ndarray
    """[M] fit that is usual of each text with its own vector."""
    spread: float
    """Standard deviation of own fits around it."""


def disagreements(fits: TextFits, positions: np.ndarray, seed: int) -> Disagreements:
    """Find the rows that disagree; `positions` [M] are where they stand in the table, ascending."""
    own = fits.own
    runs = _runs(fits, own, positions, seed)
    in_run = np.zeros(len(own), bool)
    for rows, _ in runs:
        in_run[rows] = True
    expected, sigma = _usual(fits.covariates[~in_run], own[~in_run])
    usual = fits.covariates @ expected
    depths = (usual - own) / sigma
    beaten = fits.beaten(own)
    rates = np.ones(len(own))
    rates[~in_run] = discovery_rates(_chances(depths[~in_run]))
    is_found = (rates < LEVEL) & (beaten <= _BEST)
    found = np.flatnonzero(is_found)
    found = found[np.argsort(-depths[found], kind="stable")]
    # what would be found had each item another's text, by the same expectation and the same limit
    limit = depths[is_found].min() if is_found.any() else _limit(int((~in_run).sum()))
    draw = np.random.default_rng(seed)
    shuffled = draw.permutation(len(own))
    theirs = fits.of(np.arange(len(own)), shuffled)
    of_shuffled = (usual[shuffled] - theirs) / sigma
    power = float(((of_shuffled >= limit) & (fits.beaten(theirs) <= _BEST)).mean())
    if power < LEAST_POWER:
        # what hardly shows another item's text shows no odd one; a run is more than one, and has draws of its own
        found = found[:0]
    return Disagreements(
        found=found,
        suspects=np.argsort(-np.where(in_run, -np.inf, depths), kind="stable"),
        partners=exchanged(fits, usual, sigma, found),
        usual=usual,
        spread=sigma,
        runs=runs,
        depths=depths,
        of_shuffled=power,
    )


def _usual(covariates: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, float]:
    """[3] weights of the covariates in what is usual, and the standard deviation of what is left, both of the bulk."""
    used = np.ones(len(own), bool)
    for _ in range(3):  # rows that disagree pull the line down, so it is drawn again without those far below
        weights = np.linalg.lstsq(covariates[used], own[used], rcond=None)[0]
        left = own - covariates @ weights
        sigma = usual_spread(left)
        used = left > -3 * sigma
    weights = weights + np.array([np.median(own - covariates @ weights), 0, 0])
    return weights, sigma


def usual_spread(values: np.ndarray) -> float:
    """The standard deviation of the low side of a bulk, of which less than a twentieth is wrong and lies below it.

    By the distance of the first quarter and of the first tenth from the middle, in those of normal values: where the
    tenth lies farther out than the quarter says, so will the rest of what is right.
    """
    from scipy.special import ndtri

    middle = float(np.median(values))
    spreads = [(middle - float(np.quantile(values, share))) / -float(ndtri(share)) for share in _SIDE]
    return max(*spreads, 1e-6)


def _chances(depths: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr

    return np.asarray(ndtr(-depths))


def _limit(count: int) -> float:
    """Depth from which on a single row of so many would be found."""
    from scipy.special import ndtri

    return float(-ndtri(LEVEL / count))


def exchanged(fits: TextFits, usual: np.ndarray, spread: float, found: np.ndarray) -> np.ndarray:
    """[F] the found row with which each found row's text was exchanged; -1 where it was with none.

    Of the found rows' texts each one's fits the other's vector best, and as well as is usual of such a text.
    """
    made = np.full(len(found), -1)
    if len(found) < 2:
        return made
    crossed = _fits(fits.vectors[found] @ fits.predicted[found].T)
    crossed = (crossed - fits.middle[found][:, None]) / fits.spread[found][:, None]
    depths = (usual[found][None] - crossed) / spread  # [F, F] vector by text
    np.fill_diagonal(depths, np.inf)
    best = depths.argmin(1)
    each = np.arange(len(found))
    is_pair = (best[best] == each) & (depths[each, best] <= _FITS) & (depths[best, each] <= _FITS)
    made[is_pair] = found[best[is_pair]]
    return made


# --- shifted rows ---


def _runs(
    fits: TextFits, own: np.ndarray, positions: np.ndarray, seed: int
) -> tuple[tuple[np.ndarray, int], ...]:
    """Runs of consecutive rows whose vectors fit the text some rows away better than their own."""
    draw = np.random.default_rng(seed)
    everyone = np.arange(len(own))
    # texts at random lead too, and where they mostly do nothing is told: runs must be longer than theirs
    leading = np.nan_to_num(fits.others, nan=-np.inf) > own[:, None] + _LEAD
    rate = max(float(leading.mean()), 1 / len(own))
    if rate >= _TOO_OFTEN:
        return ()
    drawn = (
        leading[everyone, draw.integers(leading.shape[1], size=len(own))]
        for _ in range(round(len(_SHIFTS) / _CHANCE))
    )
    by_draws = max(max(map(len, _stretches(positions, leads)), default=0) for leads in drawn)
    leads_of = {shift: _leads(fits, own, positions, shift) for shift in _SHIFTS}
    taken = np.zeros(len(own), bool)
    found = []
    for shift in _SHIFTS:
        # where rows are sorted a text near by fits about as well, on either side
        here = max(rate, float(leads_of[shift].mean()), float(leads_of[-shift].mean()))
        least = max(_SHORTEST, by_draws + 1, _explained_by(min(here, _MOST_OFTEN), len(own)))
        for rows in _stretches(positions, leads_of[shift] & ~taken):
            if len(rows) >= least:
                taken[rows] = True
                found.append((rows, shift))
    return tuple(sorted(found, key=lambda one: int(one[0][0])))


def _leads(fits: TextFits, own: np.ndarray, positions: np.ndarray, shift: int) -> np.ndarray:
    """[M] whether the text so many rows farther down fits each vector better than the own."""
    place_of = np.full(positions.max() + 1, -1)
    place_of[positions] = np.arange(len(own))
    there = positions + shift
    is_inside = (there >= 0) & (there < len(place_of))
    others = np.where(is_inside, place_of[np.clip(there, 0, len(place_of) - 1)], -1)
    leads, known = np.zeros(len(own), bool), np.flatnonzero(others >= 0)
    leads[known] = fits.of(known, others[known]) > own[known] + _LEAD
    return leads


def _explained_by(rate: float, num_rows: int) -> int:
    """Rows of a run that a rate of leads makes in a table of so many with that chance, or rather less.

    A run goes on where one of the next two rows leads.
    """
    chance = np.log(_CHANCE / (len(_SHIFTS) * num_rows)) - np.log(rate)
    return 1 + int(np.ceil(chance / np.log(rate * (2 - rate))))


def _stretches(positions: np.ndarray, leads: np.ndarray) -> list[np.ndarray]:
    """Places of those that lead, cut where two or more rows between them do not."""
    places = np.flatnonzero(leads)
    if not len(places):
        return []
    cuts = np.flatnonzero(np.diff(positions[places]) > 2) + 1
    return np.split(places, cuts)
