"""Canary: a few items with their texts and vectors in a small file, by which a silently changed encoder is noticed."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from vecspeak.bounds import read_small
from vecspeak.errors import UserError, check_seed, check_whole
from vecspeak.spaces import Space
from vecspeak.spaces.search import unit_rows
from vecspeak.storage import replace_file
from vecspeak.tables.cells import to_python
from vecspeak.tables.columns import TEXT_COLUMN

_COUNT = 20
_CHANGED = 0.99
"""Cosine below which a vector is another one: rounding to 8 bits leaves more, a new version of a model less."""


class _Item(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    id: str
    text: str = ""
    vector: list[float]


class _File(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    format: int
    space: str
    encoder: str = ""
    items: list[_Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryCheck:
    """What a space says of the items of a canary."""

    path: str
    num_items: int
    """Items of the file that the space has too, by id or by text."""
    num_missing: int
    least: float
    """Least cosine of a vector with that of the file; 1 is the same."""
    mean: float
    changed: tuple[str, ...]
    """Ids of those whose vector is another one, or has another width."""

    @property
    def is_same(self) -> bool:
        """Whether every item that is there has the vector of the file."""
        return not self.changed

    def __str__(self) -> str:
        missing = f"; {self.num_missing} are not in the space" if self.num_missing else ""
        found = f"cosines of {self.num_items} items with {self.path}: mean {self.mean:.4f}, least {self.least:.4f}"
        if self.is_same:
            return f"{found}{missing}: the same encoder"
        return f"{found}{missing}: ANOTHER ENCODER, or other texts, made {len(self.changed)} of them"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"is_same": self.is_same}


def write_canary(path: Path, space: Space, *, count: int = _COUNT, seed: int = 0) -> int:
    """Write some items of a space with their texts and vectors; how many there are."""
    check_whole("count", count, 1, 1000)
    check_seed(seed)
    texts = to_python(space.metadata.column(TEXT_COLUMN), TEXT_COLUMN) if _has_texts(space) else []
    rows = np.sort(np.random.default_rng(seed).permutation(space.num_items)[:count]).tolist()
    items = [
        _Item(
            id=space.ids[row], text=str(texts[row] or "") if texts else "", vector=space.vectors[row].tolist()
        )
        for row in rows
    ]
    found = _File(format=1, space=space.name, encoder=space.encoder or "", items=items)
    with replace_file(path) as beside:
        beside.write_bytes(msgspec.json.encode(found))
    return len(items)


def check_canary(path: Path, space: Space) -> CanaryCheck:
    """Compare a space with a canary. Raises UserError for a file that is none, and where no item is in both."""
    try:
        found = msgspec.json.decode(read_small(path), type=_File)
    except (msgspec.MsgspecError, OSError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"{path} is no canary: {error}", "name a file that is not there, to write one"
        ) from error
    texts = to_python(space.metadata.column(TEXT_COLUMN), TEXT_COLUMN) if _has_texts(space) else []
    row_of_text = {text: row for row, text in enumerate(texts) if text}
    cosines, changed = [], []
    for item in found.items:
        row = space.index_of(item.id) if space.has(item.id) else row_of_text.get(item.text, -1)
        if row < 0:
            continue
        cosine = _cosine(np.array(item.vector), space.vectors[row])
        cosines.append(cosine)
        if cosine < _CHANGED:
            changed.append(item.id)
    if not cosines:
        raise UserError(
            f"none of the {len(found.items)} items of {path} is in {space.name!r}, by id or by text",
            "write a canary of this space, under another name",
        )
    return CanaryCheck(
        path=str(path),
        num_items=len(cosines),
        num_missing=len(found.items) - len(cosines),
        least=min(cosines),
        mean=float(np.mean(cosines)),
        changed=tuple(changed),
    )


def _has_texts(space: Space) -> bool:
    return TEXT_COLUMN in space.metadata.column_names


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    """0 where the widths differ, and where a vector is none."""
    if one.shape != other.shape or not np.isfinite(one).all() or not one.any():
        return 0.0
    pair = unit_rows(np.stack([one, other]).astype(np.float64))
    return float(np.clip(pair[0] @ pair[1], -1, 1))
