"""The items nearest to an item."""

from dataclasses import dataclass

from vecspeak.spaces.search import Metric, nearest
from vecspeak.spaces.space import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredItem:
    """One of the items near another."""

    id: str
    """The item's id."""
    label: str
    """The item's label."""
    score: float
    """Cosine or dot product (larger is nearer), or euclidean distance (smaller is nearer)."""


def neighbors_of_item(
    space: Space, label_or_id: str, k: int, *, metric: Metric = "cosine"
) -> list[ScoredItem]:
    """The k items nearest to an item, nearest first and without itself.

    Raises UserError as `Space.find` and `nearest` do.
    """
    row = space.find(label_or_id)
    found = nearest(space, space.vectors[row], k, metric=metric, exclude=[[row]])
    return [
        ScoredItem(id=space.ids[near], label=space.labels[near], score=float(score))
        for near, score in zip(found.indices[0], found.scores[0], strict=True)
    ]
