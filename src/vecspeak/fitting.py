"""Fitting: a space becomes one that the reader reads, in seconds, by alignment to the reader's encoder.

Knows spaces, texts, splits and the closed-form map. Trains nothing and loads no language model.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vecspeak.alignment import Alignment
from vecspeak.bundles import SpaceEntry
from vecspeak.embedders.semantic import Encodes
from vecspeak.errors import UserError
from vecspeak.points.folding import FoldIn
from vecspeak.spaces import Space
from vecspeak.spaces.formats import TEXT_COLUMN, other_columns
from vecspeak.spaces.splits import Splits, check_splits
from vecspeak.training.align import MIN_ITEMS, Fit, fit_alignment, held_out_report


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
            f"its texts are in {TEXT_COLUMN!r}: leave --text out" if has_texts else "correct --text",
        )
    if column == TEXT_COLUMN:
        return space
    return replace(space, metadata=other_columns(space.metadata, used=(), text=column, source=space.name))


def fit_space(
    space: Space,
    *,
    texts: Sequence[str | None],
    encoder: Encodes,
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
    encoder: Encodes,
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
            "name their column with --text",
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
    kept = np.flatnonzero(~is_out)
    try:
        return fit_alignment(vectors, targets, None if users is None else users.vectors, chosen=kept)
    except UserError as error:
        if len(kept) == len(is_out) or len(kept) >= MIN_ITEMS:
            raise
        raise UserError(
            f"of {len(is_out):,} items with a text {len(is_out) - len(kept):,} are held out, "
            f"which leaves {len(kept):,}: too few to map a space",
            "hold out fewer items, or give texts for more",
        ) from error
