"""Piles of texts that a space is matched with where its own items have none."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak.bundles.bundle import shipped_space
from vecspeak.encoders.text import Encoder
from vecspeak.errors import UserError, check_path
from vecspeak.spaces import Space
from vecspeak.tables.columns import TEXT_COLUMN, as_texts

_TABLES = (".parquet",)
_MOST = 20_000
"""Texts of a pile that are encoded: a fixed sample of more."""


def pile_vectors(
    pile: Space | Sequence[str] | str | Path | None, encoder: Encoder, *, progress: bool = False
) -> tuple[np.ndarray, str]:
    """[M, T] the reader's vectors of a pile of texts, and what it is in words.

    A pile is a list of texts, a file with a text on each line, or a space (or the file of one) whose vectors the
    encoder made or whose items have texts; the shipped movies' plots where none is given. Raises UserError for others.
    """
    if pile is None:
        return _of_space(Space.load(shipped_space()), encoder, progress)
    if isinstance(pile, Space):
        return _of_space(pile, encoder, progress)
    if isinstance(pile, str | Path):
        path = check_path("pile", Path(pile))
        if not path.is_file():
            raise UserError(f"there is no file {path}", "give a file with a text on each line to `pile`")
        if path.suffix in _TABLES:
            return _of_space(Space.load(path), encoder, progress)
        try:
            return _encoded(path.read_text(encoding="utf-8").splitlines(), encoder, progress), path.name
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path} is not UTF-8: {error.reason}", "give a file of plain text to `pile`"
            ) from error
    if not isinstance(pile, Sequence) or not all(isinstance(text, str) for text in pile):
        raise UserError("`pile` is a list of texts, a file of them, or a space", "give texts to `pile`")
    return _encoded(pile, encoder, progress), "texts"


def _of_space(space: Space, encoder: Encoder, progress: bool) -> tuple[np.ndarray, str]:
    if space.encoder == encoder.name and space.dim == encoder.dim:
        return space.vectors, space.name
    if TEXT_COLUMN in space.metadata.column_names:
        texts = as_texts(space.metadata.column(TEXT_COLUMN), TEXT_COLUMN)
        return _encoded([text or "" for text in texts], encoder, progress), space.name
    raise UserError(
        f"the pile {space.name!r} has no texts, and {encoder.name} did not make its vectors",
        "give a file with a text on each line to `pile`",
    )


def _encoded(texts: Sequence[str], encoder: Encoder, progress: bool) -> np.ndarray:
    """Vectors of the texts, blank ones and repeated ones left out."""
    found: list[Any] = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    if len(found) > _MOST:
        rows = np.sort(np.random.default_rng(0).choice(len(found), _MOST, replace=False))
        found = [found[row] for row in rows]
    return encoder.encode(found, progress=progress) if found else np.empty((0, encoder.dim), np.float32)
