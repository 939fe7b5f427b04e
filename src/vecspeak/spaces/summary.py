"""Summary: what a person wants to know of a saved space at a glance.

Knows counts and statistics; prints nothing.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vecspeak.spaces.formats import load_space, load_users
from vecspeak.spaces.space import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A space in a few facts; every field can be written as JSON."""

    name: str
    """What the space is called."""
    num_items: int
    """Number of items."""
    dim: int
    """Width of a vector."""
    encoder: str | None
    """Name of the text encoder that made the vectors; None when unknown."""
    digest: str
    """SHA-256 of the content."""
    norms: tuple[float, float, float]
    """Smallest, middle and largest length of a vector."""
    columns: tuple[str, ...]
    """Metadata columns."""
    num_users: int | None
    """Number of users beside a behavioral space; None where there are none."""


def summarize(space: Space, users: Space | None = None) -> Summary:
    """The facts of a space, and how many users lie beside it."""
    norms = np.linalg.norm(space.vectors, axis=1)
    return Summary(
        name=space.name,
        num_items=space.num_items,
        dim=space.dim,
        encoder=space.encoder,
        digest=space.digest,
        norms=(float(norms.min()), float(np.median(norms)), float(norms.max())),
        columns=tuple(space.metadata.column_names),
        num_users=None if users is None else users.num_items,
    )


def summarize_file(path: str | Path) -> Summary:
    """The facts of the space saved at this path; raises UserError as `load_space` does."""
    return summarize(load_space(path), load_users(path))
