"""Fitting: a space becomes one that the reader reads, in seconds, by alignment to the reader's encoder.

Knows spaces, texts, splits and the closed-form map. Trains nothing and loads no language model.
"""

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np

from vecspeak.alignment import Alignment
from vecspeak.bundles import SpaceEntry
from vecspeak.embedders.semantic import Encodes
from vecspeak.errors import UserError
from vecspeak.points import Concept, concept_from_metadata
from vecspeak.spaces import Space
from vecspeak.tasks.corpus import split_of
from vecspeak.training.align import fit_alignment, held_out_report

SPLIT_COLUMN = "split"
"""A metadata column of this name with the value `held_out` decides the split."""


def choose_held_out(space: Space, *, share: float, seed: int) -> frozenset[str]:
    """Ids that nothing is fitted on: those that the space itself marks, else a share by hash of the label.

    By label, so that two items of one name are on one side. Raises UserError for a share outside 0 to 0.9.
    """
    if not 0 <= share <= 0.9:
        raise UserError(f"--holdout may be 0 to 0.9, got {share}", "use --holdout 0.1")
    if SPLIT_COLUMN in space.metadata.column_names:
        marks = space.metadata.column(SPLIT_COLUMN).to_pylist()
        return frozenset(i for i, mark in zip(space.ids, marks, strict=True) if mark == "held_out")
    pairs = zip(space.ids, space.labels, strict=True)
    return frozenset(i for i, label in pairs if split_of(label.casefold(), seed, share) == "held_out")


def fit_space(
    space: Space,
    *,
    texts: Sequence[str | None],
    encoder: Encodes,
    users: Space | None = None,
    held_out: Collection[str] = (),
    progress: bool = False,
) -> SpaceEntry:
    """Map a space to the reader's encoder with the texts of the items that are not held out.

    `texts[i]` is None or blank where item i has none. A space made by that very encoder is read as it is.
    Raises UserError when the counts differ or too few items have texts.
    """
    if space.encoder == encoder.name and space.dim == encoder.dim:
        alignment = Alignment(dim=space.dim, encoder_dim=encoder.dim)
        report = {"kind": "identity", "encoder": encoder.name, "items": space.num_items}
    else:
        alignment, report = _fit_map(space, texts, encoder, users, frozenset(held_out), progress)
    return SpaceEntry(
        space=space,
        users=users,
        alignment=alignment,
        held_out=frozenset(held_out),
        report=report,
        concepts={},
    )


def _fit_map(
    space: Space,
    texts: Sequence[str | None],
    encoder: Encodes,
    users: Space | None,
    held_out: frozenset[str],
    progress: bool,
) -> tuple[Alignment, dict[str, object]]:
    if len(texts) != space.num_items:
        raise UserError(f"{len(texts)} texts for {space.num_items} items", "give one text an item")
    rows = [row for row, text in enumerate(texts) if text and text.strip()]
    if not rows:
        raise UserError(
            f"no item of {space.name!r} has a text; a space of unknown origin needs texts to be mapped",
            "name their column with --text",
        )
    targets = encoder.encode([str(texts[row]) for row in rows], progress=progress)
    vectors = space.vectors[rows]
    is_out = np.array([space.ids[row] in held_out for row in rows])
    fit = fit_alignment(vectors[~is_out], targets[~is_out], None if users is None else users.vectors)
    mean = targets[~is_out].mean(0)
    scores = held_out_report(fit, vectors[is_out], targets[is_out], mean)
    report = {"kind": "ridge", "encoder": encoder.name, **fit.report, "held_out": scores}
    return fit.alignment, report


def fit_entry_concept(entry: SpaceEntry, name: str, column: str, value: str, *, seed: int = 0) -> Concept:
    """A concept from a metadata value, fitted on the items that are not held out.

    Raises UserError for an unknown column or value, and when fewer than 5 items have it or lack it.
    """
    kept = [row for row, item in enumerate(entry.space.ids) if item not in entry.held_out]
    concept = concept_from_metadata(entry.space.take(kept), name, column, value, seed=seed)
    return dataclasses.replace(concept, space_digest=entry.space.digest)
