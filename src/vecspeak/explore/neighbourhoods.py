"""Neighbourhoods: how near each item's nearest are, beside what is usual in its space, in both directions.

Items with one vector count once here. A lone item is farther from its ten nearest than the spread of all items'
logarithms of that distance explains, and also farther than its neighbours are from theirs, so that a sparse part of a
space is not taken for lone items. A near pair is nearer than the space's own near pairs explain: where nothing is
copied, the share of items whose nearest lies within d falls like d^m towards 0, with m the dimension of the data, and
m is read from where most items are.
"""

from dataclasses import dataclass

import numpy as np

from vecspeak.explore.contrast import LEVEL, discovery_rates
from vecspeak.spaces import Space
from vecspeak.spaces.search import nearest

_MOST, _RUN = 20_000, 1000
"""Items that are looked at in a space of more than half as many again, and consecutive rows of them."""
_BLOCK = 4096
NEAREST = 10
EQUAL, _ROUNDING = 1.5e-3, 2e-7
"""Distances within which cosines in float32, and the numbers of two vectors of length 1, cannot tell them apart."""
_CLOSE = 1e-2
"""Distance below which it is measured by the difference of the vectors, for a cosine is too coarse there."""
_QUANTILES = (0.25, 0.5)
"""Where the dimension is read: fewer than the first may be copies. Nearer ones give more, and their tail is longer."""
_LEAST_SPREAD = 1e-3
"""Of logarithms: what differs less is rounding."""
_BY_ITSELF = 0.5
"""Pairs within rounding that a space may have by its own density."""
_LENGTH_SIDE = (0.25, 0.1)
"""Shares of the shorter, and of the longer, that the fall of each side of the lengths is read from."""
_SAME_LENGTHS = 0.9
"""Share of vectors of one length from which on another length is odd whatever the spread."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbourhoods:
    """The nearest items of items, those with the very same vector left out."""

    space: Space
    first: np.ndarray
    """[N] int64 row of the first item with the same vector."""
    asked: np.ndarray
    """[Q] int64 rows that neighbours are known of, ascending, first ones."""
    near: np.ndarray
    """[Q, k] int64 rows of the nearest first ones."""
    distances: np.ndarray
    """[Q, k] float64 distances of the vectors at length 1, 0 to 2."""

    @property
    def is_one_vector(self) -> bool:
        """Whether all items have the same, so that none has a neighbour."""
        return not self.near.shape[1]

    def places(self) -> np.ndarray:
        """[N] place of each item in `asked`; -1 for those not asked."""
        place = np.full(len(self.first), -1)
        place[self.asked] = np.arange(len(self.asked))
        return place[self.first]


def looked_at(num_items: int, seed: int) -> np.ndarray:
    """Rows that are looked at, ascending: all, or of more than 30,000 some 20,000, in runs of 1,000 rows on end."""
    if num_items <= _MOST * 3 // 2:
        return np.arange(num_items)
    runs = np.random.default_rng(seed).permutation(num_items // _RUN)[: _MOST // _RUN]
    return np.concatenate([np.arange(run * _RUN, (run + 1) * _RUN) for run in np.sort(runs)])


def neighbourhoods(space: Space, rows: np.ndarray) -> Neighbourhoods:
    """Look up the ten nearest of some rows, among all items."""
    numbers: dict[bytes, int] = {}
    first = np.array([numbers.setdefault(vector.tobytes(), row) for row, vector in enumerate(space.vectors)])
    distinct = np.unique(first)
    asked = np.unique(first[rows])
    # with none repeated the space serves as it is
    among = space if len(distinct) == len(space) else space.take(distinct)
    count = min(NEAREST, len(distinct) - 1)
    if not count:
        near, scores = np.empty((len(asked), 0), np.int64), np.empty((len(asked), 0))
    else:
        exclude = [[row] for row in np.searchsorted(distinct, asked).tolist()]
        found = nearest(among, space.vectors[asked], count, exclude=exclude)
        near, scores = distinct[found.indices], found.scores
    distances = np.sqrt(2 - 2 * np.clip(scores.astype(np.float64), -1, 1))
    ones, places = np.nonzero(distances < _CLOSE)
    for start in range(0, len(ones), _BLOCK):
        some = ones[start : start + _BLOCK], places[start : start + _BLOCK]
        pairs = (space.vectors[rows].astype(np.float64) for rows in (asked[some[0]], near[some]))
        first_ones, others = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in pairs)
        distances[some] = np.linalg.norm(first_ones - others, axis=1)
    return Neighbourhoods(space=space, first=first, asked=asked, near=near, distances=distances)


# --- far from all ---


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoneItems:
    """Items far from all others."""

    rows: np.ndarray
    """[L] int64 rows, the farthest first; of items with one vector each."""
    distances: np.ndarray
    """[L] mean distance to the ten nearest."""
    times: np.ndarray
    """[L] times that of its neighbours, the usual ratio being 1."""
    usual: float
    """Median mean distance of all."""
    farthest: float
    """Largest of all."""
    limit: float
    """Distance from which on a single item would be found, were its neighbours as usual."""
    of_random: float
    """Share of random directions, put into the space as items, that would be found."""
    unvisited: float
    """Share of items that are among the ten nearest of none, as is usual where vectors are long."""


def lone_items(known: Neighbourhoods, seed: int) -> LoneItems:
    """Find the items that are far from all others."""
    logs = _logs(known.distances)
    place = known.places()
    scale = _Scale.of(logs)
    local = _locally(logs, logs, place[known.near])
    local_scale = _Scale.of(local)
    depths = np.minimum(scale.depths(logs), local_scale.depths(local))
    rates = discovery_rates(_above(depths))
    found = np.flatnonzero(rates < LEVEL)
    found = found[np.argsort(-logs[found], kind="stable")]
    rows = np.concatenate([np.flatnonzero(known.first == known.asked[one]) for one in found] or [found])
    of_row = place[rows].astype(int)
    # random directions, as if each were an item
    space = known.space
    made = np.random.default_rng(seed).standard_normal((50, space.dim)).astype(np.float32)
    near = nearest(space, made, known.near.shape[1])
    theirs = _logs(np.sqrt(2 - 2 * np.clip(near.scores.astype(np.float64), -1, 1)))
    least = depths[found].min() if len(found) else _single(len(logs))
    planted = np.minimum(
        scale.depths(theirs), local_scale.depths(_locally(theirs, logs, place[near.indices]))
    )
    visited = np.unique(known.near)
    return LoneItems(
        rows=rows.astype(np.int64),
        distances=np.exp(logs[of_row]),
        times=np.exp(local[of_row] - local_scale.middle),
        usual=float(np.exp(scale.middle)),
        farthest=float(np.exp(logs.max())),
        limit=float(np.exp(scale.middle + least * scale.spread)),
        of_random=float((planted >= least).mean()),
        unvisited=float(1 - np.isin(known.asked, visited).mean()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """The middle and the spread of a bulk, which a few odd values do not shift."""

    middle: float
    spread: float

    @classmethod
    def of(cls, values: np.ndarray) -> "_Scale":
        middle = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(values - middle)))
        return cls(middle=middle, spread=max(spread, _LEAST_SPREAD))

    def depths(self, values: np.ndarray) -> np.ndarray:
        return (values - self.middle) / self.spread


def _logs(distances: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.maximum(distances.mean(1), EQUAL / 10)))


def _locally(logs: np.ndarray, known: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Each item's logarithm less the mean of those of its neighbours, of which those not asked (-1) do not count."""
    counted = near >= 0
    total = np.where(counted, known[near], 0).sum(1)
    usual = np.where(counted.any(1), total / np.maximum(counted.sum(1), 1), np.median(known))
    return np.asarray(logs - usual)


def _above(depths: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr

    return np.asarray(ndtr(-depths))


def _single(count: int) -> float:
    from scipy.special import ndtri

    return float(-ndtri(LEVEL / count))


# --- too near ---


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NearCopies:
    """Sets of items that are nearer to each other than the space's own near pairs explain."""

    sets: tuple[np.ndarray, ...]
    """Rows of each, ascending; the largest set first."""
    are_equal: tuple[bool, ...]
    """Whether float32 can tell none of a set's vectors apart."""
    limit: float
    """Cosine from which on two items count as copies."""
    nearest: float
    """Cosine of the nearest two items that do not; -1 where there are none."""


def near_copies(known: Neighbourhoods) -> NearCopies:
    """Find the sets of near copies: connected components of near pairs."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    num_items = len(known.first)
    floor = _always_equal(known)
    limit = _nearest_limit(known.distances.min(1), floor) if known.distances.shape[1] else EQUAL
    # in one dimension all vectors point one of two ways, and only the very same are one
    ones, places = np.nonzero((known.distances <= limit) & (known.space.dim > 1))
    others, lengths = known.near[ones, places], known.distances[ones, places]
    repeated = np.flatnonzero(known.first != np.arange(num_items))
    links = [
        np.concatenate([known.asked[ones], repeated]),
        np.concatenate([others, known.first[repeated]]),
    ]
    pairs = csr_matrix((np.ones(len(links[0])), (links[0], links[1])), (num_items, num_items))
    _, owner = connected_components(pairs, directed=False)
    apart = np.zeros(num_items)  # by component, the widest of its links
    np.maximum.at(apart, owner[known.asked[ones]], lengths)
    order = np.argsort(owner, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(owner[order])) + 1)
    sets = sorted((one for one in members if len(one) > 1), key=lambda one: (-len(one), one[0]))
    rest = known.distances[known.distances > limit]
    return NearCopies(
        sets=tuple(sets),
        are_equal=tuple(bool(apart[owner[one[0]]] <= max(floor, _ROUNDING)) for one in sets),
        limit=1 - limit**2 / 2,
        nearest=float(1 - rest.min() ** 2 / 2) if len(rest) else -1.0,
    )


def _always_equal(known: Neighbourhoods) -> float:
    """Distance within which two are one vector whatever the others: rounding's, where the space is not so dense itself.

    Of [Q, k] distances the k-th and the middle one say how the number of neighbours grows with the distance, and so how
    many pairs of all the space would have within rounding by itself.
    """
    count = known.distances.shape[1]
    if count < 2:
        return EQUAL
    half, whole = (
        float(np.median(np.sort(known.distances, 1)[:, one])) for one in (count // 2 - 1, count - 1)
    )
    if half <= 0 or whole <= half * (1 + 1e-9):
        return EQUAL if whole > EQUAL else _ROUNDING
    dimension = float(np.log(count / (count // 2)) / np.log(whole / half))
    for distance in (EQUAL, _ROUNDING):
        if len(known.distances) * count * (distance / whole) ** dimension < _BY_ITSELF:
            return distance
    return 0.0


def _nearest_limit(distances: np.ndarray, floor: float) -> float:
    """Distance up to which a nearest item is a copy; `floor` where no pair is nearer than the others tell."""
    share, high = _QUANTILES
    anchor, far = (float(one) for one in np.quantile(distances, _QUANTILES))
    if anchor <= floor or far <= anchor * (1 + 1e-9) or anchor <= _ROUNDING:
        return floor
    dimension = float(np.log(high / share) / np.log(far / anchor))
    chances = np.minimum(share * (np.maximum(distances, _ROUNDING / 10) / anchor) ** dimension, 1)
    found = distances[discovery_rates(chances) < LEVEL]
    single = anchor * (LEVEL / len(distances) / share) ** (1 / dimension)
    return max(floor, float(found.max()) if len(found) else 0.0, float(single))


# --- of another make ---


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OddMakes:
    """Vectors that were made otherwise than the rest."""

    constant: np.ndarray
    """[C] int64 rows whose numbers are all the same."""
    longer: np.ndarray
    """[L] int64 rows that are longer than the others' spread explains, the longest first."""
    shorter: np.ndarray
    usual: float
    """Median length."""
    lengths: np.ndarray
    """[N] of all."""


def _beyond(values: np.ndarray) -> np.ndarray:
    """[N] chance of so low a value, by how the low side of a bulk falls between its first quarter and tenth.

    Each side by itself, for logarithms of lengths have a longer tail below; from there on it is held exponential, which
    is no lighter than that of any density with a concave logarithm.
    """
    share, low = _LENGTH_SIDE
    quarter, tenth = (float(np.quantile(values, one)) for one in _LENGTH_SIDE)
    fall = max((quarter - tenth) / float(np.log(share / low)), _LEAST_SPREAD)
    return np.minimum(share * np.exp((values - quarter) / fall), 1)


def odd_makes(space: Space) -> OddMakes:
    """Find vectors that are constant, and those of an odd length."""
    vectors = space.vectors
    top, bottom = vectors.max(1), vectors.min(1)
    constant = np.flatnonzero((top - bottom <= 1e-6 * np.abs(top)) & (space.dim > 2))
    lengths = space.lengths.astype(np.float64)
    logs = np.log(np.maximum(lengths, 1e-300))
    scale = _Scale.of(logs)
    same = np.abs(logs - scale.middle) <= 1e-2
    if same.mean() >= _SAME_LENGTHS:
        is_odd = ~same
    else:  # lengths differ anyway, so that one is odd only beyond their spread
        is_odd = discovery_rates(np.minimum(2 * np.minimum(_beyond(logs), _beyond(-logs)), 1)) < LEVEL
    longer, shorter = (np.flatnonzero(is_odd & (sign * (logs - scale.middle) > 0)) for sign in (1, -1))
    return OddMakes(
        constant=constant,
        longer=longer[np.argsort(-logs[longer], kind="stable")],
        shorter=shorter[np.argsort(logs[shorter], kind="stable")],
        usual=float(np.exp(scale.middle)),
        lengths=lengths,
    )
