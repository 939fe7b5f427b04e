"""Results: what the demo found, as plain values that a page, a terminal and JSON all show.

Knows no vectors beyond two coordinates on a map, and nothing of how answers are made.
"""

from dataclasses import asdict, dataclass
from typing import Any

from vecspeak.asking import CLEAR_MARGIN, OUTSIDE
from vecspeak.demo.chapters import Fact

__all__ = ["OUTSIDE", "Chapter", "Demo", "Exhibit", "Neighbour", "Place", "SpaceFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A point on the map of its space."""

    label: str
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A real item near the point."""

    label: str
    similarity: float
    """Cosine in the space; for a viewer the dot product, which is how much they should like it."""
    genres: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """An answer, what is true, and how far to trust it."""

    heading: str
    question: str
    expression: str
    """How a person types the point."""
    answer: str
    facts: tuple[Fact, ...]
    nearest: tuple[Neighbour, ...]
    percentile: float
    """Percent of the real items (for a viewer, of the viewers) that lie no farther from the data."""
    outside: bool
    """Whether that is beyond 99."""
    round_trip: float
    """Cosine of the answer's vector with the vector that was read."""
    swapped: float
    """The same with other items' vectors, on average."""
    place: Place
    parents: tuple[Place, ...]
    """Where the items lie that the point was made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One of the kinds of points, with its exhibits."""

    key: str
    title: str
    intro: str
    rule: str
    space: str
    exhibits: tuple[Exhibit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceFacts:
    """What a reader of the report needs to know of a space."""

    name: str
    items: int
    held_out: int
    dim: int
    users: int
    read_by: str
    """How the reader comes to read it, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The whole demo."""

    version: str
    language_model: str
    encoder: str
    engine: str
    seed: int
    spaces: tuple[SpaceFacts, ...]
    chapters: tuple[Chapter, ...]

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        """All of them, in order."""
        return tuple(exhibit for chapter in self.chapters for exhibit in chapter.exhibits)

    @property
    def wins(self) -> int:
        """Answers that fit their own vector clearly better than other vectors."""
        return sum(exhibit.round_trip - exhibit.swapped >= CLEAR_MARGIN for exhibit in self.exhibits)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
