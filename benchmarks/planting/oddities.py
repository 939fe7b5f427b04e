"""Planted in a space, and looked for by `leaks` and `odd`: a column, copies, exchanged texts, outliers."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pyarrow as pa

from planting.worlds import Row, World, unit_rows, with_vectors
from vecspeak.bundles import SpaceEntry
from vecspeak.spaces import Space
from vecspeak.tables.columns import TEXT_COLUMN

ITEMS = 20
"""Items that are copied, exchanged, or put aside."""
_COPY, _FAR, _CORRELATED = 0.99, 3.0, 0.1
"""Plain thresholds: cosine of a copy, standard deviations of an outlier's distance to the mean, and correlation of a
single number of the vectors with a column."""
COPY_NOISE = 0.05
"""Length of the noise that a copied vector has, of vectors of length 1: a cosine of 0.9988."""


def entry_of(entry: SpaceEntry, space: Space) -> SpaceEntry:
    """The entry with another space in its place: nothing that was fitted on items is taken over for them."""
    return replace(entry, space=space, splits={}, distances={}, clusters=None)


def column(world: World, name: str, seed: int, *, strength: float) -> Row:
    """A random column of yes and no that is in the vectors by so many standard deviations, and one that is not.

    `strength` counts standard deviations of the vectors along a random direction. The first must be found, the second
    must not. The plain way is to correlate single numbers of the vectors with the column.
    """
    from vecspeak.explore.leaks import leaks

    sample, _ = world.halves(name, seed)
    draw = np.random.default_rng([seed, 8])
    vectors = unit_rows(sample.vectors).astype(np.float64)
    given, other = draw.random((2, sample.num_items)) < 0.5
    along = unit_rows(draw.standard_normal((1, sample.dim)))[0]
    spread = float((vectors @ along).std())
    vectors += strength * spread * np.where(given, 0.5, -0.5)[:, None] * along
    texts = sample.metadata.select([TEXT_COLUMN])
    table = texts.append_column("given", _yes(given)).append_column("other", _yes(other))
    space = replace(with_vectors(sample, vectors), metadata=table)
    found = leaks(entry_of(world.entry(name), space), protected=False, seed=seed)
    read = {one.name for one in found.readings if one.is_found and one.kind in ("column", "attribute")}
    correlated = [
        np.abs(np.corrcoef(space.vectors.T, labels)[-1, :-1]).max() > _CORRELATED for labels in (given, other)
    ]
    return {
        "planted": 1,
        "hits": int("given" in read),
        "others": 1,
        "invented": int("other" in read),
        "plain": {"hits": int(correlated[0]), "invented": int(correlated[1])},
    }


def _yes(labels: np.ndarray) -> pa.Array:
    return pa.array(np.where(labels, "yes", "no").tolist(), pa.string())


def odd_items(world: World, name: str, seed: int, *, what: str) -> Row:
    """20 items that were made odd, `what` being copies, texts or outliers: they must be found under that kind.

    Whatever else is found is called invented, though a catalogue has odd items of its own: what is found where
    nothing was planted is in "before", and is taken off.
    """
    from vecspeak.explore.odd import odd

    sample, rest = world.halves(name, seed)
    draw = np.random.default_rng([seed, 9])
    rows = draw.permutation(sample.num_items)[: 2 * ITEMS]
    made = {"copies": _copied, "texts": _exchanged, "outliers": _put_aside}[what](sample, rest, rows, draw)
    before, after = (
        _found_in(odd(entry_of(world.entry(name), space), kinds=[what], seed=seed), what)
        for space in (sample, made)
    )
    planted = set(rows[:ITEMS].tolist())
    counted = set(rows.tolist()) if what == "copies" else planted  # the original of a copy is one too
    return {
        "planted": ITEMS,
        "hits": len(planted & after),
        "others": len(after),
        "invented": len(after - counted - before),
        "before": len(before),
        "plain": _plainly(made, what, planted, counted),
    }


def _found_in(found: object, what: str) -> set[int]:
    groups = found.kind(what).groups  # type: ignore[attr-defined]
    return {one.row for group in groups for one in group.items}


def _copied(space: Space, rest: Space, rows: np.ndarray, draw: np.random.Generator) -> Space:
    """The first 20 rows get the vectors of the others, with a little noise."""
    vectors = unit_rows(space.vectors)
    noise = unit_rows(draw.standard_normal((ITEMS, space.dim)))
    vectors[rows[:ITEMS]] = vectors[rows[ITEMS:]] + COPY_NOISE * noise
    return with_vectors(space, vectors)


def _exchanged(space: Space, rest: Space, rows: np.ndarray, draw: np.random.Generator) -> Space:
    """The texts of the first 20 rows go round."""
    texts = space.metadata.column(TEXT_COLUMN).to_pylist()
    moved = [texts[row] for row in np.roll(rows[:ITEMS], 1)]
    for row, text in zip(rows[:ITEMS].tolist(), moved, strict=True):
        texts[row] = text
    table = space.metadata.drop([TEXT_COLUMN]).append_column(TEXT_COLUMN, pa.array(texts, pa.string()))
    return replace(space, metadata=table)


def _put_aside(space: Space, rest: Space, rows: np.ndarray, draw: np.random.Generator) -> Space:
    """The first 20 rows are random directions: what is no text's vector."""
    vectors = unit_rows(space.vectors)
    vectors[rows[:ITEMS]] = unit_rows(draw.standard_normal((ITEMS, space.dim)))
    return with_vectors(space, vectors)


def _plainly(space: Space, what: str, planted: Collection[int], counted: set[int]) -> Row:
    """What a fixed threshold on one number finds."""
    vectors = unit_rows(space.vectors)
    if what == "copies":
        near = vectors @ vectors.T
        np.fill_diagonal(near, -1)
        named = set(np.flatnonzero(near.max(1) > _COPY).tolist())
    elif what == "outliers":
        away = np.linalg.norm(vectors - vectors.mean(0), axis=1)
        named = set(np.flatnonzero((away - away.mean()) / away.std() > _FAR).tolist())
    else:
        named = set()  # no number of a vector tells what its text says
    return {"hits": len(named & set(planted)), "invented": len(named - counted)}
