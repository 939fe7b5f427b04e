"""Behavioral embedder: item and user vectors from ratings alone, by alternating least squares (implicit ALS).

Ratings are explicit, ALS for implicit feedback wants confidences. A rating counts as

    confidence = 1 + alpha * max(rating - mean rating of this user, 0)

so that everything a user rated says a little (they chose to watch it), what they liked above their own
average says more, and a user who gives only fives says no more than one who gives only threes. alpha weighs
liking against mere contact. Where rows are views or purchases, which nobody rated, a pair's rating is the
number of its rows: what was opened again counts more, and where nothing was, all pairs count alike. Unrated
pairs have confidence 1 for "no preference", as in Hu, Koren and Volinsky (2008).

Needs the extra `behavioral`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.errors import UserError, check_path, did_you_mean, require
from vecspeak.spaces.io import FactorSettings
from vecspeak.spaces.space import Space
from vecspeak.tables.cells import to_python
from vecspeak.tables.columns import as_ids, as_texts, check_unique, other_columns, require_column
from vecspeak.tables.delimited import TextFormat
from vecspeak.tables.files import read_table, table_ending
from vecspeak.tables.ledger import Ledger
from vecspeak.tables.names import Names


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ratings:
    """R ratings that users gave to items; a pair may occur more than once and then counts as its mean.

    Raises UserError when it is empty, when lengths differ, and for ratings that are not finite.
    """

    user_ids: np.ndarray
    """[R] strings."""
    item_ids: np.ndarray
    """[R] strings."""
    values: np.ndarray
    """[R] float32; more is better."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "user_ids", np.asarray(self.user_ids, dtype=object))
        object.__setattr__(self, "item_ids", np.asarray(self.item_ids, dtype=object))
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float32))
        lengths = (len(self.user_ids), len(self.item_ids), len(self.values))
        if len(set(lengths)) > 1:
            raise UserError(
                f"there are {lengths[0]} users, {lengths[1]} items and {lengths[2]} ratings", "give R each"
            )
        if not lengths[0]:
            raise UserError("there are no ratings", "give at least one")
        if not np.isfinite(self.values).all():
            row = int(np.flatnonzero(~np.isfinite(self.values))[0])
            raise UserError(f"rating {row} is missing, NaN or infinite", "drop it")


@dataclass(frozen=True, slots=True, kw_only=True)
class BehavioralSpaces:
    """The two spaces of one factorization: user times item (dot product) is the expected preference."""

    items: Space
    """Items by their factors; metadata: num_ratings, mean_rating."""
    users: Space
    """Users by their factors, in the same width; metadata: num_ratings, mean_rating."""
    dropped_items: int
    """Items left out because they had too few ratings or factors of only zeros."""
    dropped_users: int
    """Users left out because none of their items was left, or for factors of only zeros."""
    zero_items: int
    """Of the items left out, those with factors of only zeros."""
    zero_users: int
    """Of the users left out, those with factors of only zeros."""
    settings: FactorSettings
    """How one more person would be made."""


def read_ratings(
    path: str | Path,
    *,
    user: str,
    item: str,
    rating: str | None = None,
    form: TextFormat | None = None,
    ledger: Ledger | None = None,
) -> Ratings:
    """Read ratings from CSV, TSV, JSONL, Parquet or RecBole's `.inter`, by the names of three columns.

    Without a column of ratings each row counts 1, as views, clicks or purchases do: a pair's rating is then the
    number of its rows. RecBole's headers may be given as `user_id` or `user_id:token`. `form` says how a table of text
    is written, where that is not found. Rows without a user, an item or a rating are left out, as the ledger tells.
    Raises UserError for missing files and columns and for ratings that are not numbers.
    """
    if table_ending(check_path("ratings", path)) == ".inter":
        user, item = user.partition(":")[0], item.partition(":")[0]
        rating = rating and rating.partition(":")[0]
    ledger = ledger if ledger is not None else Ledger()
    named = [name for name in (user, item, rating) if name is not None]
    table = read_table(path, text_columns=(user, item), form=form, ledger=ledger)
    for name in named:
        require_column(table, name, path)
    table = _whole_rows(table, named, ledger)
    users, items = table.column(user), table.column(item)
    if rating is None:
        return _counted(as_ids(users, user), as_ids(items, item))
    values = table.column(rating)
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        raise UserError(
            f"column {rating!r} of {path} holds {values.type}, not numbers", "name another with `rating`"
        )
    return Ratings(
        user_ids=np.array(as_ids(users, user), dtype=object),
        item_ids=np.array(as_ids(items, item), dtype=object),
        values=values.cast(pa.float64(), safe=False).to_numpy().astype(np.float32),
    )


def _whole_rows(table: pa.Table, names: Sequence[str], ledger: Ledger) -> pa.Table:
    """The rows that have a value in each of these columns; the others are told by column."""
    keep = np.ones(table.num_rows, dtype=bool)
    for name in names:
        missing = table.column(name).is_null(nan_is_null=True).to_numpy()
        ledger.leave_out(
            f"nothing in the column {name!r}", np.flatnonzero(missing).tolist(), of=table.num_rows
        )
        keep &= ~missing
    return table if keep.all() else table.filter(pa.array(keep))


def _counted(user_ids: Sequence[str], item_ids: Sequence[str]) -> Ratings:
    """Each pair once, rated by how often it occurs, in the order of first appearance."""
    pairs = Counter(zip(user_ids, item_ids, strict=True))
    return Ratings(
        user_ids=np.array([user for user, _ in pairs], dtype=object),
        item_ids=np.array([item for _, item in pairs], dtype=object),
        values=np.fromiter(pairs.values(), dtype=np.float32, count=len(pairs)),
    )


def factorize(
    ratings: Ratings,
    *,
    dim: int = 64,
    iterations: int = 20,
    regularization: float = 0.05,
    alpha: float = 10.0,
    seed: int = 0,
    min_ratings: int = 1,
    name: str = "items",
    progress: bool = False,
) -> BehavioralSpaces:
    """Factorize ratings into item and user vectors of width `dim`; the same seed gives the same vectors.

    Items with fewer than `min_ratings` ratings are left out first. The module's docstring says how a rating
    becomes a confidence. Runs on all CPU cores. Raises UserError for settings out of range, when no item is
    left, and when the package implicit is missing.
    """
    _check_counts(dim=dim, iterations=iterations, min_ratings=min_ratings)
    settings = FactorSettings(
        alpha=alpha,
        regularization=regularization,
        lowest=float(ratings.values.min()),
        highest=float(ratings.values.max()),
    )
    table = _rating_table(ratings, min_ratings)
    item_factors, user_factors = _alternate(
        _confidences(table.matrix, settings),
        {"factors": dim, "iterations": iterations, "regularization": regularization, "random_state": seed},
        progress,
    )
    items = _space_of(name, table.item_ids, item_factors, table.matrix.T.tocsr())
    users = _space_of(f"{name}.users", table.user_ids, user_factors, table.matrix)
    return BehavioralSpaces(
        items=items,
        users=users,
        dropped_items=table.num_items_given - items.num_items,
        dropped_users=table.num_users_given - users.num_items,
        zero_items=len(table.item_ids) - items.num_items,
        zero_users=len(table.user_ids) - users.num_items,
        settings=settings,
    )


def refactorize(
    ratings: Ratings,
    *,
    items: Space,
    users: Space,
    settings: FactorSettings,
    iterations: int = 20,
    seed: int = 0,
) -> BehavioralSpaces:
    """The spaces as they would be by these ratings, such as those without what is to be foretold.

    Made anew, for what goes on from the old vectors remembers what they have seen; then turned onto the old items
    (orthogonal Procrustes), for a factorization is known only up to a rotation, so that what reads the old spaces
    reads these. Ratings of others and of other items are left out. Raises UserError when no rating is left, and when
    the package implicit is missing.
    """
    rows, columns = _rows_of(users, ratings.user_ids), _rows_of(items, ratings.item_ids)
    known = (rows >= 0) & (columns >= 0)
    if not known.any():
        raise UserError(
            "none of the ratings is of people and items of this space", "give those it was made from"
        )
    shape = (users.num_items, items.num_items)
    matrix = _mean_matrix(rows[known], columns[known], ratings.values[known], shape)
    options = {"factors": items.dim, "iterations": iterations, "random_state": seed}
    confidences = _confidences(matrix, settings)
    found = _alternate(confidences, {**options, "regularization": settings.regularization}, False)
    turn = _turn(found[0], items.vectors)
    new = [_with_vectors(old, vectors @ turn) for old, vectors in zip((items, users), found, strict=True)]
    return BehavioralSpaces(
        items=new[0],
        users=new[1],
        dropped_items=items.num_items - new[0].num_items,
        dropped_users=users.num_items - new[1].num_items,
        zero_items=items.num_items - new[0].num_items,
        zero_users=users.num_items - new[1].num_items,
        settings=settings,
    )


def label_items(
    space: Space,
    table_path: str | Path,
    *,
    id: str,
    label: str,
    form: TextFormat | None = None,
    ledger: Ledger | None = None,
) -> Space:
    """The same space with labels, and the table's other columns as metadata, joined by id.

    Items that the table lacks keep their label and get empty metadata, as the ledger tells. Raises UserError for
    missing columns, for ids that occur twice in the table, and when no id of the space is in the table.
    """
    ledger = ledger if ledger is not None else Ledger()
    rows = read_table(table_path, text_columns=(id, label), form=form, ledger=ledger)
    ids = as_ids(require_column(rows, id, table_path), id)
    labels = as_texts(require_column(rows, label, table_path), label)
    check_unique(ids, f"in the column {id!r} of {table_path}")
    row_of = {item_id: row for row, item_id in enumerate(ids)}
    found = [row_of.get(item_id) for item_id in space.ids]
    if not any(row is not None for row in found):
        raise UserError(
            f"none of the {space.num_items} items is in {table_path}: ids of the space look like "
            f"{space.ids[0]!r}, column {id!r} holds {ids[0]!r}",
            "name the column that holds the items' ids",
        )
    missing = [item_id for item_id, row in zip(space.ids, found, strict=True) if row is None]
    if missing:
        near = did_you_mean(missing[0], ids, f"ids there look like {ids[0]!r}")
        ledger.say(
            f"{len(missing):,} of {space.num_items:,} items have no label in {table_path}, such as {missing[0]!r}; "
            f"{near}"
        )
    metadata = {name: space.metadata.column(name) for name in space.metadata.column_names}
    joined = other_columns(rows, used=(id, label, *metadata), ledger=ledger)
    metadata.update({name: joined.column(name).take(pa.array(found)) for name in joined.column_names})
    return Space(
        name=space.name,
        ids=space.ids,
        labels=Names.of(
            old if row is None else labels[row] or old for row, old in zip(found, space.labels, strict=True)
        ),
        vectors=space.vectors,
        metadata=pa.table(metadata),
        encoder=space.encoder,
        id_column=space.id_column,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _RatingTable:
    """Ratings as a sparse matrix (mean of repeated pairs), without rare items and users left empty."""

    matrix: Any
    """scipy CSR [U, I] float32; a rating of 0 is stored."""
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    num_users_given: int
    num_items_given: int


def _check_counts(**counts: int) -> None:
    for what, value in counts.items():
        if value < 1:
            raise UserError(
                f"{what} must be 1 or more, and {value} was given", f"give {what} a larger number"
            )


def _rating_table(ratings: Ratings, min_ratings: int) -> _RatingTable:
    from scipy.sparse import csr_matrix

    user_ids, users = _codes(ratings.user_ids)
    item_ids, items = _codes(ratings.item_ids)
    users, items, means = _mean_pairs(users, items, ratings.values, len(item_ids))
    retained_items = np.bincount(items, minlength=len(item_ids)) >= min_ratings
    users, items, means = (
        users[retained_items[items]],
        items[retained_items[items]],
        means[retained_items[items]],
    )
    if not len(users):
        raise UserError(f"no item has {min_ratings} ratings or more", "give a smaller `min_ratings`")
    retained_users = np.bincount(users, minlength=len(user_ids)) > 0
    positions = (np.cumsum(retained_users)[users] - 1, np.cumsum(retained_items)[items] - 1)
    shape = (int(retained_users.sum()), int(retained_items.sum()))
    return _RatingTable(
        matrix=csr_matrix((means.astype(np.float32), positions), shape=shape),
        user_ids=tuple(np.array(user_ids, dtype=object)[retained_users]),
        item_ids=tuple(np.array(item_ids, dtype=object)[retained_items]),
        num_users_given=len(user_ids),
        num_items_given=len(item_ids),
    )


def _mean_pairs(
    users: np.ndarray, items: np.ndarray, values: np.ndarray, num_items: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pair once, with the mean of its ratings."""
    pairs, pair_of = np.unique(users * num_items + items, return_inverse=True)
    means = np.bincount(pair_of, weights=values) / np.bincount(pair_of)
    return pairs // num_items, pairs % num_items, means


def _mean_matrix(users: np.ndarray, items: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> Any:
    """Sparse matrix (CSR) [U, I] float32 of the pairs, each the mean of its ratings."""
    from scipy.sparse import csr_matrix

    users, items, means = _mean_pairs(users, items, values, shape[1])
    return csr_matrix((means.astype(np.float32), (users, items)), shape=shape)


def _rows_of(space: Space, ids: np.ndarray) -> np.ndarray:
    """[R] row of each id; -1 for what the space does not have."""
    known = {one: space.index_of(one) for one in dict.fromkeys(ids) if space.has(one)}
    return np.array([known.get(one, -1) for one in ids], dtype=np.int64)


def _turn(vectors: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """[D, D] float32 rotation that brings the vectors [I, D] as near the wanted ones as it can."""
    left, _, right = np.linalg.svd(vectors.astype(np.float64).T @ wanted.astype(np.float64))
    rotation: np.ndarray = (left @ right).astype(np.float32)
    return rotation


def _with_vectors(space: Space, vectors: np.ndarray) -> Space:
    """The space with other vectors, without the rows that became zero."""
    retained = np.flatnonzero(vectors.any(axis=1))
    return replace(space.take(retained), vectors=vectors[retained])


def _codes(names: Sequence[str] | np.ndarray) -> tuple[list[str], np.ndarray]:
    """The different names in order of first appearance, and each entry's place among them."""
    encoded = pa.array(names, type=pa.string()).dictionary_encode()
    return to_python(encoded.dictionary), encoded.indices.to_numpy().astype(np.int64)


def _confidences(matrix: Any, settings: FactorSettings) -> Any:
    """The same entries as confidences."""
    counts = np.diff(matrix.indptr)
    user_of = np.repeat(np.arange(len(counts)), counts)
    means = np.bincount(user_of, weights=matrix.data, minlength=len(counts)) / np.maximum(counts, 1)
    confidences = matrix.copy()
    confidences.data = settings.confidences(matrix.data, means[user_of]).astype(np.float32)
    return confidences


def _alternate(confidences: Any, settings: dict[str, Any], progress: bool) -> tuple[np.ndarray, np.ndarray]:
    """Item factors [I, D] and user factors [U, D] of an ALS on the CPU.

    BLAS runs on one thread, as implicit asks: it spreads users over the cores itself.
    """
    require("implicit", "behavioral")
    from implicit.cpu.als import AlternatingLeastSquares

    with require("threadpoolctl", "behavioral").threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(dtype=np.float32, num_threads=0, **settings)
        model.fit(confidences, show_progress=progress)
    return np.asarray(model.item_factors), np.asarray(model.user_factors)


def _space_of(name: str, ids: tuple[str, ...], factors: np.ndarray, matrix: Any) -> Space:
    """The rows whose factors are not zero, with the number and the mean of each one's ratings."""
    retained = np.flatnonzero(factors.any(axis=1))
    if not len(retained):
        raise UserError("all factors became zero", "give more ratings or less regularization")
    counts = np.diff(matrix.indptr)
    means = np.asarray(matrix.sum(axis=1)).ravel() / np.maximum(counts, 1)
    retained_ids = Names.of(ids[row] for row in retained)
    return Space(
        name=name,
        ids=retained_ids,
        labels=retained_ids,
        vectors=factors[retained],
        metadata=pa.table(
            {"num_ratings": counts[retained], "mean_rating": means[retained].astype(np.float32)}
        ),
    )
