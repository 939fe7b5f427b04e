"""Watching: loss and swap gap on held-out rows, before training, while it lasts and at its end.

Each is a line of the run's log, with the sums of every entity: a run that goes on still knows how it began, and
intervals can be made from them. Knows readers, rows and the log. Knows nothing of steps' inputs or rates.
Shape letters: N rows, D vector width, E entities.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak.model import Reader
from vecspeak.training.batches import Row
from vecspeak.training.losses import swapped_losses
from vecspeak.training.step import uncompiled


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOut:
    """Rows to watch the swap gap on while training."""

    rows: list[Row]
    vectors: np.ndarray

    @property
    def digest(self) -> str:
        """Of rows and vectors: measurements on other ones cannot be compared."""
        digest = hashlib.sha256(np.ascontiguousarray(self.vectors, dtype=np.float32).tobytes())
        for row in self.rows:
            digest.update(np.array([row.num_prompt, *row.ids], dtype=np.int64).tobytes())
        return digest.hexdigest()[:16]


def held_out_rows(rows: Sequence[Row], vectors: np.ndarray) -> HeldOut:
    """Rows with one vector each, and those vectors."""
    single = [row for row in rows if len(row.rows) == 1]
    return HeldOut(
        rows=single, vectors=np.asarray(vectors[[row.rows[0] for row in single]], dtype=np.float32)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Watched:
    """Losses on held-out rows at one step of a run."""

    digest: str
    """Of the rows."""
    num_rows: int
    sums_E3: np.ndarray
    """[E, 3] of each entity's rows: loss in nats with its own vector, with another's, and tokens."""

    @property
    def loss(self) -> float:
        """Nats a token with the right vectors."""
        return float(self.sums_E3[:, 0].sum() / self.sums_E3[:, 2].sum())

    @property
    def swapped(self) -> float:
        """Nats a token with others' vectors."""
        return float(self.sums_E3[:, 1].sum() / self.sums_E3[:, 2].sum())

    def to_line(self) -> dict[str, Any]:
        """What the log keeps of it."""
        return {
            "held_out": round(self.loss, 4),
            "swapped": round(self.swapped, 4),
            "gap": round(self.swapped - self.loss, 4),
            "watched": {
                "digest": self.digest,
                "rows": self.num_rows,
                "by_entity": self.sums_E3.round(4).tolist(),
            },
        }


def watch(reader: Reader, held_out: HeldOut, *, progress: str = "") -> Watched:
    """Measure now; rows about the same vector are one entity. `progress` is the bar's text."""
    with uncompiled():
        found = swapped_losses(reader, held_out.rows, held_out.vectors, progress=progress)
    _, entity_N = np.unique(held_out.vectors, axis=0, return_inverse=True)
    sums_E3 = np.zeros((int(entity_N.max()) + 1, 3))
    np.add.at(sums_E3, entity_N, np.stack([found.right_N, found.swapped_N, found.tokens_N], axis=1))
    return Watched(digest=held_out.digest, num_rows=len(held_out.rows), sums_E3=sums_E3)


@dataclass(frozen=True, slots=True)
class RunLog:
    """The lines of a run, one JSON object each; only ever added to."""

    path: Path

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line; one that a kill cut short before it is ended, so that it does not take this one with it."""
        with self.path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
            is_cut = end > 0 and file.read(1) != b"\n"
            file.write(b"\n" * is_cut + json.dumps(line).encode() + b"\n")

    def watched(self, step: int, held_out: HeldOut) -> Watched | None:
        """The last measurement at a step on these very rows; None where there is none.

        Lines that a kill cut short are passed over.
        """
        if not self.path.exists():
            return None
        digest, found = held_out.digest, None
        for text in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                line = json.loads(text)
                kept = line["watched"]
                if line["step"] == step and kept["digest"] == digest:
                    sums_E3 = np.array(kept["by_entity"], dtype=float).reshape(-1, 3)
                    found = Watched(digest=digest, num_rows=int(kept["rows"]), sums_E3=sums_E3)
        return found
