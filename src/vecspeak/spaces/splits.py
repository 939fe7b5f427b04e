"""Splits: which items of a space nothing is fitted on, from an easy test to harder ones.

    holdout   a random share: are items like the known ones read?
    regions   whole clusters: are items read that lie where no known item does?
    cold      items with few ratings: are vectors read that little is known behind?

No item is in two splits: what lies in a region is of `regions`, what is cold of the rest is of `cold`, so that
`holdout` is a plain sample of what the fit has seen. Items of one label, whatever its case, are on one side,
unless the space itself marks what is held out.
"""

from collections.abc import Collection, Mapping

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError, check_whole, did_you_mean
from vecspeak.spaces.clusters import by_direction
from vecspeak.spaces.space import Space
from vecspeak.storage import digest
from vecspeak.tables.cells import to_python
from vecspeak.tables.spelling import folded

Splits = dict[str, frozenset[str]]
"""Ids of the held-out items, by the name of the split."""

HOLDOUT, REGIONS, COLD = "holdout", "regions", "cold"
MET = "met"
"""Split of items that nothing was fitted on here, but that the reader met in its own training: not unseen."""
SPLIT_COLUMN = "split"
"""A metadata column of this name with the value `held_out` decides `holdout`."""

_SMALLEST, _LARGEST = 5, 0.2
"""A cluster of fewer items tells nothing; one that is a larger part of the space leaves too little of it."""


def choose_splits(
    space: Space, *, share: float | Collection[str], seed: int, regions: int = 0, cold: int | None = None
) -> Splits:
    """The splits that are asked for: `holdout` always, `regions` for 1 or more, `cold` for a number of ratings.

    `share` of the items are held out, or those with the ids given instead. Raises UserError as the functions below
    do, for an unknown id, and when no item is left to fit on.
    """
    if isinstance(share, Collection):
        given = [share] if isinstance(share, str) else list(share)
        if not all(isinstance(item, str) for item in given):
            raise UserError(
                "`holdout` is a share or a list of ids, which are texts", f"ids look like {space.ids[0]!r}"
            )
        splits = {HOLDOUT: frozenset(given)}
        check_splits(space, splits)
    else:
        splits = {HOLDOUT: hold_out_share(space, share=share, seed=seed)}
    if regions:
        splits[REGIONS] = hold_out_regions(space, regions=regions, seed=seed)
    if cold is not None:
        splits[COLD] = hold_out_cold(space, at_most=cold, seed=seed) - splits.get(REGIONS, frozenset())
    splits[HOLDOUT] -= splits.get(REGIONS, frozenset()) | splits.get(COLD, frozenset())
    if len(union(splits)) == space.num_items:  # check_splits has known all of them
        counts = ", ".join(f"{name} {len(ids):,}" for name, ids in splits.items())
        raise UserError(
            f"all {space.num_items:,} items of {space.name!r} are held out ({counts}): none is left to fit on",
            f"mark fewer as held_out in the column {SPLIT_COLUMN!r}"
            if len(splits) == 1 and SPLIT_COLUMN in space.metadata.column_names
            else "hold out fewer: lower `holdout`, `holdout_regions` or `holdout_cold`",
        )
    return splits


def union(splits: Mapping[str, Collection[str]]) -> frozenset[str]:
    """Ids of all items that nothing is fitted on."""
    return frozenset(item for ids in splits.values() for item in ids)


def check_splits(space: Space, splits: Mapping[str, Collection[str]]) -> None:
    """Raise UserError when a split names an item that the space lacks, or two splits name the same."""
    seen = set[str]()
    for name, ids in splits.items():
        held = list(ids)
        for item, row in zip(held, space.ids.find(held).tolist(), strict=True):
            if row < 0:
                raise UserError(
                    f"the split {name!r} names {item!r}, which is no item of {space.name!r}",
                    did_you_mean(item, space.ids, f"ids look like {space.ids[0]!r}"),
                )
            if item in seen:
                raise UserError(f"the split {name!r} names {item!r}, which is in another split too")
        seen |= set(ids)


def hold_out_share(space: Space, *, share: float, seed: int) -> frozenset[str]:
    """Ids that the space itself marks as held out, else a share by hash of the label.

    The hash makes an item's side independent of which other items there are. Raises UserError for a share
    outside 0 to 0.9.
    """
    if not 0 <= share <= 0.9:
        raise UserError(f"`holdout` may be 0 to 0.9, got {share}", "use `holdout=0.1`")
    if SPLIT_COLUMN in space.metadata.column_names:
        marks = to_python(space.metadata.column(SPLIT_COLUMN), SPLIT_COLUMN)
        return frozenset(item for item, mark in zip(space.ids, marks, strict=True) if mark == "held_out")
    return _ids_of(space, {key for key in _keys(space) if is_under(key, seed, share)})


def hold_out_regions(space: Space, *, regions: int, of: int = 20, seed: int) -> frozenset[str]:
    """Ids of whole clusters: `regions` of the `of` into which k-means cuts the items by direction.

    Drawn among the clusters of at least 5 items and at most a fifth of all; a larger number keeps the ones that
    a smaller one has. An item outside with a label from inside is left out too, so that no name is known.
    Clusters are found on 20,000 items where there are more. Raises UserError for numbers that cannot be.
    """
    if not 1 <= regions < of:
        raise UserError(f"`holdout_regions` may be 1 to {of - 1}, got {regions}", "use `holdout_regions=2`")
    if space.num_items < of:
        raise UserError(
            f"{space.num_items} items cannot be cut into {of} regions",
            "leave `holdout_regions` out, or give more items",
        )
    clusters = by_direction(space.vectors, of, seed)
    sizes = np.bincount(clusters, minlength=of)
    allowed = np.flatnonzero((sizes >= _SMALLEST) & (sizes <= _LARGEST * space.num_items))
    if len(allowed) < regions:
        raise UserError(
            f"{regions} regions cannot be left out: of {of}, {len(allowed)} have at least {_SMALLEST} items "
            f"and at most {_LARGEST:.0%} of all {space.num_items:,}",
            f"use `holdout_regions={len(allowed)}`" if len(allowed) else "leave `holdout_regions` out",
        )
    drawn = np.random.default_rng(seed).permutation(allowed)[:regions]
    keys = _keys(space)
    return _ids_of(space, {keys[row] for row in np.flatnonzero(np.isin(clusters, drawn))})


def hold_out_cold(
    space: Space, *, column: str = "num_ratings", at_most: int, share: float = 0.5, seed: int
) -> frozenset[str]:
    """Ids of a share, by hash of the label, of the items whose `column` says at most that many ratings.

    The rest of them is fitted on. A label of which one item has more ratings, or an unknown number, is not cold.
    Raises UserError for a column that is missing or not of numbers, for impossible numbers, and when no item
    is cold.
    """
    check_whole("holdout_cold", at_most, 0)
    if not 0 <= share <= 1:
        raise UserError(f"the share of cold items held out may be 0 to 1, got {share}", "use 0.5")
    counts = _counts(space, column)
    keys, is_cold = _keys(space), counts <= at_most
    warm = {keys[row] for row in np.flatnonzero(~is_cold)}
    cold = {keys[row] for row in np.flatnonzero(is_cold)} - warm
    if not cold:
        fewest = "no number is known" if np.isnan(counts).all() else f"the fewest are {np.nanmin(counts):g}"
        raise UserError(
            f"no item of {space.name!r} has a {column} of at most {at_most}; {fewest}",
            "give a larger `holdout_cold`",
        )
    # A hash of its own: with that of `holdout`, the cold items of the two would be the same ones.
    return _ids_of(space, {key for key in cold if is_under(f"{COLD}/{key}", seed, share)})


def _keys(space: Space) -> list[str]:
    return [folded(label) for label in space.labels]


def _ids_of(space: Space, keys: Collection[str]) -> frozenset[str]:
    return frozenset(item for item, key in zip(space.ids, _keys(space), strict=True) if key in keys)


def is_under(key: str, seed: int, share: float) -> bool:
    """Whether the hash of seed and key falls under `share`: the one rule that splits spaces and corpora."""
    return int(digest(f"{seed}/{key}")[:16], 16) < share * 2**64  # the first 64 bits as a number in [0, 1)


def _counts(space: Space, column: str) -> np.ndarray:
    """[N] float64; NaN where the cell is empty."""
    names = space.metadata.column_names
    if column not in names:
        raise UserError(
            f"{space.name!r} has no column {column!r} to tell cold items by; it has "
            f"{', '.join(names) or 'no columns'}",
            f"add the column {column!r} or leave `holdout_cold` out",
        )
    values = space.metadata.column(column)
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise UserError(
            f"column {column!r} holds {values.type}, not numbers; the columns are {', '.join(names)}",
            f"make {column!r} a column of numbers or leave `holdout_cold` out",
        )
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
