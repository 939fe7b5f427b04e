"""Lexicons of a bundle's spaces: what they are fitted on, and what reads words from their vectors."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vecspeak.lexicon.joint import SOURCES, KnownItems, SpaceLexicon, TermReader
from vecspeak.lexicon.lexicon import Lexicon
from vecspeak.lexicon.readout import unit_rows
from vecspeak.model.alignment import Alignment, Kind, unit
from vecspeak.points.queries import coded_values
from vecspeak.spaces import Space
from vecspeak.spaces.splits import HOLDOUT, SPLIT_COLUMN, union
from vecspeak.tables.cells import cell
from vecspeak.tables.columns import TEXT_COLUMN, as_texts

FOLDER = Path(__file__).parents[1] / "assets" / "lexicon"
_ENCODER = "all-minilm-l6-v2"
"""The encoder that the shipped lexicon reads."""
_MOST_FITTED, _MOST_NEAR = 50_000, 30_000
"""Items that a lexicon is fitted on, and among which the nearest are looked up."""
_MOST_VALUES = 500
"""Values of one column that are terms, the commonest."""
_FEWEST = 5
"""Items that must have a value."""
_LETTERS = 5000
"""Of a text that are read."""


@cache
def shipped_lexicon(encoder: str) -> Lexicon | None:
    """The package's lexicon of an encoder, read once; None where it has none."""
    if encoder.casefold() != _ENCODER or not (FOLDER / "lexicon.json").is_file():
        return None
    return Lexicon.load(FOLDER)


def texts_of(space: Space) -> list[str]:
    """The text of each item, blank where it has none; empty where the space has no texts."""
    if TEXT_COLUMN not in space.metadata.column_names:
        return []
    return [_read(text) for text in as_texts(space.metadata.column(TEXT_COLUMN), TEXT_COLUMN)]


def _read(text: str | None) -> str:
    return (text or "").strip()[:_LETTERS]


def values_of(space: Space, rows: np.ndarray) -> tuple[list[tuple[str, str]], Any]:
    """Column and value of what at least 5 of the rows have and not all, and [N, W] sparse: which item has which."""
    from scipy.sparse import csr_matrix, hstack

    names: list[tuple[str, str]] = []
    parts = [csr_matrix((space.num_items, 0), dtype=np.float32)]
    for column in space.metadata.column_names:
        # "true" and "false" say nothing where their column's name is not read with them.
        is_flag = pa.types.is_boolean(space.metadata.schema.field(column).type)
        is_left_out = is_flag or column in (TEXT_COLUMN, SPLIT_COLUMN)
        found = None if is_left_out else coded_values(space.metadata.column(column))
        if found is None:
            continue
        items, codes, values = found
        table = csr_matrix((np.ones(len(items), np.float32), (items, codes)), (space.num_items, len(values)))
        table.data[:] = 1
        held = np.asarray(table[rows].sum(0)).ravel()
        common = np.argsort(-held, kind="stable")[:_MOST_VALUES]
        retained = [code for code in common.tolist() if _FEWEST <= held[code] < len(rows)]
        parts.append(table[:, retained])
        names += [(column, values[code]) for code in retained]
    return names, hstack(parts, format="csr")


class ValueRows(Sequence[list[int]]):
    """Which of the values each of some rows has, looked up when asked for: a question needs those of ten rows."""

    def __init__(self, space: Space, values: Sequence[tuple[str, str]], rows: np.ndarray) -> None:
        """`values` are columns with a value each; of columns that the space has not, no row has any."""
        self._rows = rows
        self._place = {name: number for number, name in enumerate(values)}
        names = dict.fromkeys(column for column, _ in values)
        self._columns = {
            name: space.metadata.column(name) for name in names if name in space.metadata.column_names
        }

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: Any) -> Any:
        row = int(self._rows[number])
        held = {name: cell(column, row, name) for name, column in self._columns.items()}
        return [
            self._place[name, one.strip()]
            for name, value in held.items()
            for one in (value if isinstance(value, list) else [value])
            if isinstance(one, str) and (name, one.strip()) in self._place
        ]


def known_rows(
    space: Space, splits: Mapping[str, frozenset[str]], texts: Sequence[str], most: int
) -> np.ndarray:
    """Rows that are in no split, and have a text where there are texts; a fixed sample of more than `most`."""
    held_out = union(splits)
    rows = np.array([
        row for row, item in enumerate(space.ids) if item not in held_out and (not texts or texts[row])
    ], np.int64)  # fmt: skip
    return rows if len(rows) <= most else np.sort(np.random.default_rng(0).permutation(rows)[:most])


def judging_rows(space: Space, splits: Mapping[str, frozenset[str]]) -> np.ndarray:
    """Rows that nothing was fitted on: of the plain split where there is one."""
    ids = splits.get(HOLDOUT) or union(splits)
    return np.array([row for row, item in enumerate(space.ids) if item in ids], np.int64)


def fit_lexicon_of(
    space: Space, alignment: Alignment, splits: Mapping[str, frozenset[str]], encoder: str,
    *, texts: Sequence[str | None] = (), targets: np.ndarray | None = None, penalty: float = 0.0,
) -> SpaceLexicon | None:  # fmt: skip
    """The lexicon of a space, of its texts and columns; None where it has too few.

    `targets` [N, T] are the encoder's vectors of the texts that the alignment was fitted on with `penalty`, NaN where
    an item has none: with them each known item is mapped as if its own text had not been seen.
    """
    from vecspeak.lexicon.space_fit import LexiconItems, fit_space_lexicon
    from vecspeak.tasks.task_set import stop_words

    whole = [_read(text) for text in texts]
    whole = whole if any(whole) else []
    known = known_rows(space, splits, whole, _MOST_FITTED)
    judges = judging_rows(space, splits)
    judges = judges[[bool(whole[row]) for row in judges]] if whole else judges
    names, matrix = values_of(space, known)

    def items(rows: np.ndarray, mapped: np.ndarray) -> LexiconItems:
        return LexiconItems(
            vectors=space.vectors[rows],
            texts=[whole[row] for row in rows] if whole else [],
            values=matrix[rows],
            mapped=mapped,
        )

    mapped = alignment(space.vectors[known])
    if targets is not None and alignment.matrix is not None:
        mapped = _mapped_without_own(alignment, space.vectors[known], targets[known], penalty)
    return fit_space_lexicon(
        items(known, mapped),
        items(judges, alignment(space.vectors[judges])) if len(judges) else None,
        names,
        shipped_lexicon(encoder),
        stop_words=stop_words(),
        origin=f"{len(known):,} items of {space.name}",
    )


def _mapped_without_own(
    alignment: Alignment, vectors: np.ndarray, targets: np.ndarray, penalty: float
) -> np.ndarray:
    """[N, T] where each of [N, D] vectors goes by the map of all others: ridge's leave-one-out, in closed form."""
    assert alignment.matrix is not None and alignment.offset is not None
    inputs = alignment.standardize(vectors).astype(np.float64)
    gram = inputs.T @ inputs + penalty * np.eye(inputs.shape[1])
    shares = np.einsum("nd,nd->n", inputs, np.linalg.solve(gram, inputs.T).T)
    shares = np.minimum(shares, 0.999)[:, None]
    predicted = inputs @ alignment.matrix
    left_out = (predicted - shares * (targets - alignment.offset)) / (1 - shares)
    return unit(alignment.gain * left_out + alignment.offset).astype(np.float32)


def reader_of(
    space: Space,
    alignment: Alignment,
    splits: Mapping[str, frozenset[str]],
    lexicon: SpaceLexicon | None,
    encoder: str,
) -> TermReader:
    """What reads words from the vectors of a space."""
    known = None
    if lexicon is not None and any(one[7:9].any() for one in lexicon.weights.values()):
        texts = texts_of(space) if lexicon.vocabulary.num_texts else []
        rows = known_rows(space, splits, texts, _MOST_NEAR)
        known = KnownItems(
            vectors=unit_rows(space.vectors[rows]),
            texts=[texts[row] for row in rows.tolist()] if texts else [],
            value_rows=ValueRows(space, lexicon.values, rows) if lexicon.values else [],
        )
    return TermReader(lexicon, shipped_lexicon(encoder), known)


def as_items(alignment: Alignment, vectors: np.ndarray, kind: Kind) -> np.ndarray:
    """[N, D] vectors of users moved to where the items are, as the alignment does; those of items as they are."""
    if kind != "user" or alignment.user_center is None or alignment.center is None:
        return vectors
    return alignment.standardize(vectors, kind) * alignment.spread + alignment.center


def lexicon_report(lexicon: SpaceLexicon) -> dict[str, Any]:
    """What a fit says of its lexicon: terms, and precision beside the baselines."""
    scores = lexicon.scores
    assert scores is not None
    return {
        "terms": lexicon.num_own,
        "judged_on": scores.num_texts,
        "precision": {
            name: {depth: round(one.value, 4) for depth, one in found.items()}
            for name, found in scores.precision.items()
        },
        "calibration_error": scores.calibration_error,
        "unread": len(scores.unread),
        "sources": {
            group: [name for n, name in enumerate(SOURCES) if weights[3 + 2 * n : 5 + 2 * n].any()]
            for group, weights in lexicon.weights.items()
        },
    }
