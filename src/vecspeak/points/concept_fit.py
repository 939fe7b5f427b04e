"""Fitting: concepts from examples, from a metadata column, from pairs, and from a direction such as a text's."""

from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError, nearest_rows
from vecspeak.points.calibration import (
    FOLDED,
    MOST_ITEMS,
    SHUFFLES,
    chance,
    chance_of,
    score,
    stability,
    variance,
)
from vecspeak.points.concept import Concept
from vecspeak.points.estimators import (
    EXAMPLE_METHODS,
    Comparisons,
    ConceptExamples,
    Method,
    PairWins,
    Standardizer,
    first_of_equals,
    shares_won,
    threads_for,
)
from vecspeak.points.judgements import Pairs
from vecspeak.points.parser import check_concept_name
from vecspeak.points.queries import cells_of, is_numeric, key
from vecspeak.spaces.space import Space

MIN_EXAMPLES = 5
"""Fewest items with, and without, a concept that one can be fitted from: one for each fold."""
MIN_PAIR_ITEMS = 10
"""Fewest different items in pairs: two for each fold."""
MIN_TESTED = 10
"""Fewest different pairs that must be left to test on, both of their items unseen."""

_LEAST_SPREAD = 1e-7
"""Of the items along a direction, over their usual length: below are rounding errors of float32."""

_LISTED_AT_MOST = 10
"""How many allowed values an error names."""


def fit_concept(
    space: Space,
    name: str,
    positive: np.ndarray,
    *,
    negative: np.ndarray | None = None,
    method: Method = "logistic",
    seed: int = 0,
    source: str = "",
) -> Concept:
    """Fit the direction from items that have a concept (True in the mask [N]) to items that do not.

    Without a mask of the negative ones all other items are. Raises UserError for a bad name or method, a mask that
    does not fit the space, an item that is both, fewer than 5 items, or 5 different vectors, on either side, and
    vectors that do not differ between the two.
    """
    check_concept_name(name)
    if method not in EXAMPLE_METHODS:
        raise UserError(
            f"there is no method {method!r} for examples; there is {', '.join(EXAMPLE_METHODS)}",
            "use method='logistic'",
        )
    has, used = _checked_masks(space, name, positive, negative)
    standardizer = Standardizer.from_vectors(space.vectors, used, method)
    features = standardizer.features(space.vectors if used.size == len(space) else space.vectors[used])
    estimator = ConceptExamples(features=features, has=has, method=method)
    with threads_for(features):
        direction = _direction(standardizer, estimator, name)
    sample = _sampled(_different(estimator, space.vectors[used], name), seed)
    with threads_for(sample.features):
        measured = {
            "score": score(sample.outcomes(seed), seed, stretch=FOLDED),
            "chance": chance(sample, seed),
            "stability": stability(sample, standardizer, direction, seed),
        }
    return _as_concept(
        space,
        name,
        direction,
        method=method,
        source=source,
        seed=seed,
        positives=int(has.sum()),
        negatives=int((~has).sum()),
        measure="AUC",
        **measured,
    )


def _as_concept(
    space: Space,
    name: str,
    direction: np.ndarray,
    *,
    method: str,
    source: str,
    seed: int,
    **measured: Any,
) -> Concept:
    scale = float(np.std(space.vectors @ direction))
    if scale <= _LEAST_SPREAD * float(np.median(space.lengths)):
        raise UserError(
            f"the items of {space.name} do not vary along {name}, so there is nothing to count amounts in",
            "choose other examples, or another text",
        )
    return Concept(
        name=name,
        space=space.name,
        space_digest=space.digest,
        direction=direction.astype(np.float32),
        scale=scale,
        method=method,
        source=source,
        variance=variance(space.vectors, direction, seed),
        **measured,
    )


def _checked_masks(
    space: Space, name: str, positive: np.ndarray, negative: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """[M] whether each item that is used has it, and [M] the rows that are used."""
    has = _checked_mask(space, name, positive)
    lacks = ~has if negative is None else _checked_mask(space, name, negative)
    if both := np.flatnonzero(has & lacks).tolist():
        raise UserError(
            f"{space.labels[both[0]]!r} is given as having {name} and as lacking it", "leave it on one side"
        )
    if min(has.sum(), lacks.sum()) < MIN_EXAMPLES:
        raise UserError(
            f"{int(has.sum())} items have {name} and {int(lacks.sum())} do not; "
            f"a concept needs at least {MIN_EXAMPLES} of each",
            "choose a value that more items have and more lack, or name more items",
        )
    used = np.flatnonzero(has | lacks)
    return has[used], used


def _checked_mask(space: Space, name: str, given: np.ndarray) -> np.ndarray:
    mask = np.asarray(given)
    if mask.dtype != np.bool_ or mask.shape != (space.num_items,):
        raise UserError(
            f"the mask of {name} has type {mask.dtype} and shape {mask.shape}; {space.name} needs "
            f"one truth value for each of its {space.num_items} items",
            "give a numpy array of bool",
        )
    return mask


def _direction(standardizer: Standardizer, estimator: ConceptExamples | Comparisons, name: str) -> np.ndarray:
    try:
        return standardizer.direction(estimator.weights())
    except UserError as error:
        raise UserError(f"there is no direction of {name}: {error.message}", error.hint) from error


def _different(estimator: ConceptExamples, vectors: np.ndarray, name: str) -> ConceptExamples:
    """One item of each vector on a side.

    Copies of one item would be fitted on and tested on: labels by chance then came out at an AUC of 0.96, trusted.
    """
    equals = 2 * first_of_equals(vectors) + estimator.has
    retained = np.sort(np.unique(equals, return_index=True)[1])
    has = estimator.has[retained]
    if min(has.sum(), (~has).sum()) < MIN_EXAMPLES:
        raise UserError(
            f"the items with {name} have {int(has.sum())} different vectors, and those without {int((~has).sum())}; "
            f"a concept needs at least {MIN_EXAMPLES} of each, for copies of an item show nothing",
            "choose a value that more items have and more lack, or name more items",
        )
    return ConceptExamples(features=estimator.features[retained], has=has, method=estimator.method)


def _sampled(estimator: ConceptExamples, seed: int) -> ConceptExamples:
    """Enough items to measure on: where there are too many, those of the larger side are left out first."""
    if estimator.has.size <= MOST_ITEMS:
        return estimator
    rng = np.random.default_rng(seed)
    sides = [np.flatnonzero(estimator.has), np.flatnonzero(~estimator.has)]
    smaller = min(side.size for side in sides)
    most = max(MOST_ITEMS // 2, MOST_ITEMS - smaller)
    retained = np.sort(
        np.concatenate([rng.choice(side, min(side.size, most), replace=False) for side in sides])
    )
    return ConceptExamples(
        features=estimator.features[retained], has=estimator.has[retained], method=estimator.method
    )


def concept_from_metadata(
    space: Space,
    name: str,
    column: str,
    value: str | float | bool,
    *,
    method: Method = "logistic",
    seed: int = 0,
) -> Concept:
    """Fit a concept from the items whose metadata column holds the value to all others; see `metadata_mask`."""
    mask = metadata_mask(space, column, value)
    return fit_concept(space, name, mask, method=method, seed=seed, source=f"{column} = {value}")


def metadata_mask(space: Space, column: str, value: str | float | bool) -> np.ndarray:
    """[N] whether an item's metadata column holds the value.

    A list holds it when one of its parts is the value. Upper and lower case do not matter, and a number may
    be given as text. An item with an empty cell counts as not having it. Raises UserError with the
    columns, or the nearest values, that there are.
    """
    if column not in space.metadata.column_names:
        raise UserError(f"{space.name} has no metadata column {column!r}", _columns_hint(space, column))
    found: pa.ChunkedArray = space.metadata.column(column)
    cells = cells_of(found, column)
    wanted = key(value, numeric=is_numeric(found.type))
    mask = np.array(
        [any(key(cell) == wanted for cell in cell_list if cell is not None) for cell_list in cells]
    )
    if not mask.any():
        raise _missing_value(space, column, value, cells)
    return mask


def _columns_hint(space: Space, column: str) -> str:
    names = space.metadata.column_names
    near = nearest_rows(column, names) or range(min(_LISTED_AT_MOST, len(names)))
    return f"columns there are: {', '.join([names[row] for row in near])}" if names else "it has none at all"


def _missing_value(space: Space, column: str, value: object, cells: list[list[object]]) -> UserError:
    counts: dict[str, int] = {}
    for cell_list in cells:
        for text in {str(cell) for cell in cell_list if cell is not None}:
            counts[text] = counts.get(text, 0) + 1
    names = list(counts)
    common = sorted(names, key=lambda text: -counts[text])[:_LISTED_AT_MOST]
    near = [names[row] for row in nearest_rows(str(value), names)]
    shown = common if len(names) <= _LISTED_AT_MOST else near or common
    bullets = ", ".join([f"{text[:40]} ({counts[text]} items)" for text in shown])
    return UserError(
        f"no item of {space.name} has {column} = {value}", f"values there are: {bullets or 'none'}"
    )


def concept_from_pairs(space: Space, name: str, pairs: Pairs, *, seed: int = 0, source: str = "") -> Concept:
    """Fit the direction along which the first item of a pair lies farther than the second.

    Items of one vector are one. Raises UserError for a bad name, fewer than 10 different items, and where fewer than
    10 pairs can be tested on items that took no part in the fit.
    """
    check_concept_name(name)
    items, estimator, standardizer = _comparisons(space, pairs)
    _check_enough(name, len(items), 0 if len(items) < MIN_PAIR_ITEMS else MIN_TESTED)
    with threads_for(estimator.features):
        outcomes = estimator.outcomes(seed)
        _check_enough(name, len(items), outcomes.right.size)
        direction = _direction(standardizer, estimator, name)
        measured = {
            "score": score(outcomes, seed),
            "chance": chance(estimator, seed),
            "stability": stability(estimator, standardizer, direction, seed),
        }
    return _as_concept(
        space,
        name,
        direction,
        method="rank",
        source=source,
        seed=seed,
        pairs=int(estimator.counts.sum()),
        items=len(items),
        raters=pairs.raters,
        measure="pair accuracy",
        **measured,
    )


def _comparisons(space: Space, pairs: Pairs) -> tuple[np.ndarray, Comparisons, Standardizer]:
    """One row for each different vector, so that no copy of a tested item is fitted on; copies tell no order."""
    items, places = np.unique(np.concatenate([pairs.more, pairs.less]), return_inverse=True)
    firsts, merged = np.unique(first_of_equals(space.vectors[items]), return_inverse=True)
    items, places = items[firsts], merged[places].reshape(2, -1)
    ordered, which = np.unique(places[:, places[0] != places[1]], axis=1, return_inverse=True)
    standardizer = Standardizer.from_vectors(space.vectors, items, "rank")
    estimator = Comparisons(
        features=standardizer.features(space.vectors[items]),
        more=ordered[0],
        less=ordered[1],
        counts=np.bincount(which.ravel(), pairs.counts[places[0] != places[1]], minlength=ordered.shape[1]),
    )
    return items, estimator, standardizer


def _check_enough(name: str, items: int, tested: int) -> None:
    if tested < MIN_TESTED:
        raise UserError(
            f"too few pairs for {name}: {items} items, and {tested} pairs to test on items that were not fitted on",
            f"give pairs of more items: {MIN_PAIR_ITEMS} items and {MIN_TESTED} such pairs are the least",
        )


def concept_from_direction(
    space: Space,
    name: str,
    direction: np.ndarray,
    *,
    method: str = "text",
    check: np.ndarray | None = None,
    seed: int = 0,
    source: str = "",
) -> Concept:
    """A concept of a direction [D] that no items were used for, such as a text's.

    There is nothing to hold out. With a mask [N] of the items that should have it, its score is their AUC, and chance
    is that of shuffled masks; without one it stays unchecked. Raises UserError for a bad name, a direction without
    length, and a mask that does not fit or has fewer than 5 items on a side.
    """
    check_concept_name(name)
    norm = float(np.linalg.norm(direction))
    if not (np.isfinite(norm) and norm > 1e-12):
        raise UserError(f"the direction of {name} has the length {norm:g}", "give another text")
    direction = np.asarray(direction, dtype=np.float64) / norm
    if check is None:
        return _as_concept(space, name, direction, method=method, source=source, seed=seed)
    has, _ = _checked_masks(space, name, check, None)
    along = space.vectors @ direction
    rng = np.random.default_rng(seed)
    shuffled = [PairWins(won=shares_won(along, drawn), has=drawn) for drawn in _permutations(has, rng)]
    return _as_concept(
        space,
        name,
        direction,
        method=method,
        source=source,
        seed=seed,
        positives=int(has.sum()),
        negatives=int((~has).sum()),
        measure="AUC",
        score=score(PairWins(won=shares_won(along, has), has=has), seed),
        chance=chance_of(np.array([wins.value for wins in shuffled])),
    )


def _permutations(has: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.permutation(has) for _ in range(SHUFFLES)]
