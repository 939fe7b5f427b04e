"""Fitting: what joins a space, its texts and a reader's encoder into an entry of a bundle."""

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.bundles.bundle import Bundle, SpaceEntry
from vecspeak.bundles.lexicons import fit_lexicon_of, lexicon_report
from vecspeak.bundles.manifest import check_name
from vecspeak.bundles.origin import checked_origin
from vecspeak.bundles.piles import pile_vectors
from vecspeak.encoders.text import Encoder, cached_while_making
from vecspeak.errors import UserError, check_number, check_seed, check_whole, shown_value
from vecspeak.model.alignment import MIN_ITEMS, Alignment, Fit, fit_alignment
from vecspeak.model.map_scores import (
    FEW,
    cross_validated_report,
    held_out_report,
    judged_scores,
    says_something,
)
from vecspeak.model.unpaired import fit_unpaired
from vecspeak.points.foldin import FoldIn, users_beside
from vecspeak.spaces import Space
from vecspeak.spaces.space import ReadingWarning
from vecspeak.spaces.splits import Splits, check_splits, choose_splits, union
from vecspeak.stores.address import is_address
from vecspeak.tables.columns import TEXT_COLUMN, as_texts, other_columns
from vecspeak.tables.delimited import TextFormat
from vecspeak.tables.files import as_path, holds_vectors

COUNT_COLUMNS = ("num_ratings", "num_views", "num_interactions")
"""Metadata columns that say how much is known behind a vector; the first that is there is reported by."""


_BLOCK = 4096
"""Rows that are compared at a time."""


def with_texts(space: Space, column: str | None) -> Space:
    """Rename that column to "text", where everything that reads the bundle later finds the texts.

    Another column of that name becomes "text_". Without a column the space is returned unchanged. Raises UserError
    where there is no such column.
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
    return space.changed(metadata=other_columns(space.metadata, used=(), text=column, source=space.name))


def read_space(
    table: str | Path,
    *,
    id: str | None = None,
    label: str | None = None,
    vector: str | None = None,
    text: str | None = None,
    rows: str | Path | None = None,
    name: str | None = None,
    encoder: str | None = None,
    form: TextFormat | None = None,
    strict: bool = False,
    unpack_bits: bool = False,
) -> Space:
    """Open a saved space, or read another table by its columns; see `Space.read`, whose `table` is `rows` here.

    What reading left out or guessed stands in the space's `notes` and is not warned of. Raises UserError for a table
    of which only some columns are named.
    """
    brings_names = is_address(table) or holds_vectors(table)  # word vectors and stores have ids of their own
    if not any([id, label, vector, rows, brings_names]):
        return with_texts(Space.from_parquet(table, name=name, encoder=encoder), text)
    if not (id and label) and not (brings_names and not label):
        raise UserError("a table needs both `id` and `label`", "name their columns, or give a saved space")
    form = form or TextFormat()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReadingWarning)
        return Space.read(
            table,
            id=id,
            label=label,
            vector=vector,
            text=text,
            name=name,
            encoder=encoder,
            table=rows,
            strict=strict,
            unpack_bits=unpack_bits,
            sep=form.sep,
            encoding=form.encoding,
            header=form.header,
            columns=form.columns,
        )


def texts_of(space: Space) -> list[str | None]:
    """One text per item; None where it has none."""
    if TEXT_COLUMN not in space.metadata.column_names:
        return [None] * space.num_items
    return as_texts(space.metadata.column(TEXT_COLUMN), TEXT_COLUMN)


def counts_of(space: Space) -> tuple[str, np.ndarray] | None:
    """The column that counts ratings, views or other interactions, and [N] float64 of it, NaN where one is unknown."""
    for name in COUNT_COLUMNS:
        if name in space.metadata.column_names:
            column = space.metadata.column(name)
            if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
                return name, np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    return None


def fit_into(
    bundle: Bundle,
    space: Space | str | Path,
    open_encoder: Callable[[], Any],
    *,
    users: Space | None = None,
    fold_in: FoldIn | None = None,
    holdout: float | Collection[str] = 0.1,
    holdout_regions: int = 0,
    holdout_cold: int | None = None,
    seed: int = 0,
    unpaired: bool = False,
    pile: Any = None,
    beside: Path | None = None,
    progress: bool = False,
) -> tuple[SpaceEntry, str]:
    """Fit a space, or the file of one, for a bundle; what the bundle has of a space of that name is carried over.

    Arguments are those of `VecSpeak.fit`; the encoder is opened once they are checked, and what it made is cached next
    to the folder `beside` until the fit is done. Returns also a sentence on what a person should know. Raises
    UserError for wrong values, for too few texts and for an unknown id.
    """
    check_seed(seed)
    check_whole("holdout_regions", holdout_regions, 0)
    if pile is not None and not unpaired:
        raise UserError(
            "`pile` is read where a map is made without pairs", "add unpaired=True, or leave `pile` out"
        )
    if isinstance(holdout, Space) or not isinstance(holdout, Collection) or not getattr(holdout, "ndim", 1):
        check_number("holdout", holdout, 0, 1)
    if users is not None and not isinstance(users, Space):
        raise UserError("`users` is a space of people", "make one with Space.from_arrays(vectors, ids=...)")
    if fold_in is not None and not isinstance(fold_in, FoldIn):
        raise UserError(
            f"`fold_in` says how the users were made, got {shown_value(fold_in)}", "leave `fold_in` out"
        )
    people: dict[str, Any] = {"users": users, "fold_in": fold_in}
    if not isinstance(space, Space):
        path = as_path(space)
        people = users_beside(path) if users is None else people
        space = Space.load(path)
    check_name(space.name)
    before = bundle.entries.get(space.name)
    if before and before.users is not None and people["users"] is None:
        if before.space.digest == space.digest:
            people = {"users": before.users, "fold_in": fold_in or before.fold_in}
    splits = choose_splits(space, share=holdout, seed=seed, regions=holdout_regions, cold=holdout_cold)
    texts, opened = texts_of(space), open_encoder()
    space, said = checked_origin(space, texts, opened)
    # encoding takes longest: what a stop leaves next to the bundle, the next fit goes on from
    with cached_while_making(opened, beside) if beside else nullcontext(opened) as encoder:
        texts_apart = pile_vectors(pile, encoder, progress=progress) if unpaired else None
        entry = fit_space(
            space,
            texts=texts,
            encoder=encoder,
            **people,
            splits=splits,
            pile=texts_apart,
            seed=seed,
            progress=progress,
        )
    entry, note = carried_over(entry, before)
    return entry, "; ".join(filter(None, (said, _all_alike(space), note)))


def _all_alike(space: Space) -> str:
    """A sentence where all vectors are one, else empty; two rows that differ end the looking."""
    for start in range(0, space.num_items, _BLOCK):
        if (space.vectors[start : start + _BLOCK] != space.vectors[0]).any():
            return ""
    alike = f"all {space.num_items:,} vectors of {space.name!r} are the same: nothing tells its items apart"
    return alike if space.num_items > 1 else ""


def fit_space(
    space: Space,
    *,
    texts: Sequence[str | None],
    encoder: Encoder,
    users: Space | None = None,
    fold_in: FoldIn | None = None,
    splits: Mapping[str, Collection[str]] | None = None,
    pile: tuple[np.ndarray, str] | None = None,
    seed: int = 0,
    progress: bool = False,
) -> SpaceEntry:
    """Map a space to the reader's encoder by the texts of the items that are in none of the splits.

    With a `pile`, [M, T] vectors of other texts and what they are, the map is found without pairs, or from that pile
    and the few texts that there are.

    `texts[i]` is None or blank where item i has none; `fold_in` makes users like `users`; `splits` are ids by name,
    as `choose_splits` returns them. A space made by that same encoder needs no map. Raises UserError when the
    counts differ, when splits overlap or name unknown items, and when fewer than 20 items with texts are left.
    """
    if users is not None and users.name == space.name:
        # under one name a user's point would pass for an item's
        users = replace(users, name=f"{space.name}.users")
    held_out: Splits = {name: frozenset(ids) for name, ids in (splits or {}).items()}
    check_splits(space, held_out)
    if space.encoder == encoder.name and space.dim == encoder.dim:
        alignment = Alignment(dim=space.dim, encoder_dim=encoder.dim)
        report: dict[str, Any] = {"kind": "identity", "encoder": encoder.name, "items": space.num_items}
        lexicon = fit_lexicon_of(space, alignment, held_out, encoder.name, texts=texts)
    elif pile is not None:
        alignment, report = _fit_unpaired(space, texts, encoder, users, held_out, pile, seed)
        lexicon = fit_lexicon_of(space, alignment, held_out, encoder.name, texts=texts)
    else:
        alignment, report, targets = _fit_map(space, texts, encoder, users, held_out, progress)
        lexicon = fit_lexicon_of(
            space, alignment, held_out, encoder.name, texts=texts, targets=targets, penalty=report["penalty"]
        )
    if lexicon is not None and lexicon.scores is not None:
        report["lexicon"] = lexicon_report(lexicon)
    return SpaceEntry(
        space=space,
        users=users,
        alignment=alignment,
        splits=held_out,
        report=report,
        concepts={},
        fold_in=fold_in,
        lexicon=lexicon,
    )


def carried_over(entry: SpaceEntry, before: SpaceEntry | None) -> tuple[SpaceEntry, str]:
    """A space that was fitted again, with the concepts and regions it had, and a sentence on what a person should know.

    Where its content is another they mean nothing in it: they and its people are dropped, and the sentence counts them.
    """
    if before is None:
        return entry, ""
    if before.space.digest == entry.space.digest:
        seen = before.concepts and entry.held_out - before.held_out
        note = (
            f"the concepts of {entry.space.name!r} were fitted on {len(seen):,} items that are held out now"
        )
        carried = replace(entry, concepts=before.concepts, clusters=before.clusters, maps=before.maps)
        return carried, note if seen else ""
    counts = {
        f"concepts ({', '.join(before.concepts)})": len(before.concepts),
        "regions of its atlas": before.clusters.num_regions if before.clusters else 0,
        "people": before.users.num_items if before.users is not None and entry.users is None else 0,
    }
    lost = [f"{count:,} {what}" for what, count in counts.items() if count]
    note = f"{entry.space.name!r} is fitted again on other content, which drops {', '.join(lost)}"
    return entry, note if lost else ""


def _fit_map(
    space: Space,
    texts: Sequence[str | None],
    encoder: Encoder,
    users: Space | None,
    splits: Splits,
    progress: bool,
) -> tuple[Alignment, dict[str, Any], np.ndarray]:
    if len(texts) != space.num_items:
        raise UserError(f"{len(texts)} texts for {space.num_items} items", "give one text an item")
    rows = [row for row, text in enumerate(texts) if text and text.strip()]
    if not rows:
        raise UserError(
            f"no item of {space.name!r} has a text; a space of unknown origin needs texts to be mapped",
            "name their column with `text`, or match it with other texts: `unpaired`",
        )
    masks = {name: np.array([space.ids[row] in ids for row in rows]) for name, ids in splits.items()}
    is_out = np.any([np.zeros(len(rows), dtype=bool), *masks.values()], axis=0)
    retained = np.flatnonzero(~is_out)
    if len(retained) < min(MIN_ITEMS, len(rows)):
        raise UserError(
            f"of {len(rows):,} items with a text {len(rows) - len(retained):,} are held out, "
            f"which leaves {len(retained):,}: too few to map a space",
            "hold out fewer items, or give texts for more",
        )
    targets = encoder.encode([str(texts[row]) for row in rows], progress=progress)
    vectors = space.vectors if len(rows) == space.num_items else space.vectors[rows]
    fit = fit_alignment(vectors, targets, None if users is None else users.vectors, selected_rows=retained)
    assert fit.alignment.offset is not None
    mean = fit.alignment.offset

    counted = counts_of(space)

    def scores(mask: np.ndarray) -> dict[str, Any]:
        counts = None if counted is None else counted[1][rows][mask]
        return held_out_report(fit, vectors[mask], targets[mask], mean, counts)

    report = {"kind": "ridge", "encoder": encoder.name, **fit.report, "held_out": scores(is_out)}
    if counted is not None:
        report["count_column"] = counted[0]
    if len(masks) > 1:
        report["splits"] = {name: scores(mask) for name, mask in masks.items()}
    if judged_scores(report)["items"] < FEW:
        counts = None if counted is None else counted[1][rows][retained]
        report["cross_validated"] = cross_validated_report(fit, vectors[retained], targets[retained], counts)
    # The scores do not depend on the gain, so that they may decide on it.
    if says_something(judged_scores(report)):
        fit = fit.bolder()
    of_items = np.full((space.num_items, targets.shape[1]), np.nan, np.float32)
    of_items[rows] = targets
    return fit.alignment, report | fit.report, of_items


def _fit_unpaired(
    space: Space,
    texts: Sequence[str | None],
    encoder: Encoder,
    users: Space | None,
    splits: Splits,
    pile: tuple[np.ndarray, str],
    seed: int,
) -> tuple[Alignment, dict[str, Any]]:
    """The map of a space and a pile; texts of items in no split are pairs, those of held-out items judge."""
    rows = np.array([row for row, text in enumerate(texts) if text and text.strip()], np.int64)
    is_out = np.array([space.ids[row] in union(splits) for row in rows], dtype=bool)
    targets = encoder.encode([str(texts[row]) for row in rows]) if len(rows) else pile[0][:0]
    pairs = (space.vectors[rows[~is_out]], targets[~is_out]) if (~is_out).any() else None
    known = np.array([item not in union(splits) for item in space.ids])
    alignment, found = fit_unpaired(
        space.vectors[known], pile[0], pairs=pairs, users=None if users is None else users.vectors, seed=seed
    )
    assert alignment.offset is not None
    fit = Fit(alignment=alignment, report=found, full_gain=alignment.gain)
    scores = held_out_report(fit, space.vectors[rows[is_out]], targets[is_out], alignment.offset)
    report = {
        "kind": "unpaired",
        "encoder": encoder.name,
        **found,
        "pile_name": pile[1],
        "gain": alignment.gain,
    }
    return alignment, report | {"held_out": scores}
