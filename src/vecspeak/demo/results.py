"""Results: what the demo found, as plain values that a page, a terminal and JSON all show.

Knows no vectors beyond two coordinates on a map, and nothing of how answers are made.
"""

from dataclasses import asdict, dataclass
from typing import Any

from vecspeak.demo.chapters import Fact, Plan
from vecspeak.evidence import CLEAR_MARGIN, OUTSIDE
from vecspeak.explore.trace import Path, Trace
from vecspeak.report.region_map import Map
from vecspeak.stats import Estimate

__all__ = [
    "OUTSIDE",
    "AtlasChapter",
    "Chapter",
    "Demo",
    "Exhibit",
    "Neighbour",
    "Place",
    "RegionLine",
    "SpaceFacts",
    "TraceChapter",
]


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
class TraceChapter:
    """One movie along a concept, and the same steps along random directions."""

    plan: Plan
    heading: str
    facts: tuple[Fact, ...]
    trace: Trace
    value: str
    """The genre that the concept was fitted from."""
    near: tuple[tuple[int, ...], ...]
    """How many of each step's nearest movies have that genre, a row a path; no text plays a part in it."""
    places: tuple[tuple[Place, ...], ...]
    """Where the steps lie on the map, a row a path."""

    @property
    def judge(self) -> str:
        """The judge whose scores are drawn: the first, which is a classifier of real texts where there is one."""
        return next(iter(self.trace.path.slopes))

    def way(self, kind: str) -> Path:
        """The path of that kind."""
        return next(path for path in self.trace.paths if path.kind == kind)

    @property
    def is_clear(self) -> bool:
        """Whether the concept is seen more in the answers along it, and by more than along any random direction."""
        slope = self.trace.path.slopes[self.judge]
        return all(slope > abs(path.slopes[self.judge]) for path in self.trace.controls)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionLine:
    """A region of the atlas, and what was said of its mean."""

    number: int
    title: str
    items: int
    typical: tuple[str, ...]
    """Labels of the movies nearest to its mean."""
    text: str
    round_trip: float
    swapped: float
    rank: int
    """1: the answer fits this region best of all."""
    flags: tuple[str, ...]
    """What speaks against trusting it, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtlasChapter:
    """A whole space in regions."""

    plan: Plan
    method: str
    seed: int
    regions: tuple[RegionLine, ...]
    """The largest first."""
    found_back: int
    """Regions whose answer fits them best of all."""
    found_share: Estimate
    """The same as a share, with its exact binomial interval."""
    silhouette: float
    """How much nearer items lie to their own region than to the next, -1 to 1, on average."""
    of_cloud: float
    """The same for a normal cloud of the same spread, which has no groups, cut the same way."""
    is_kept: bool
    """Whether the bundle holds these regions, so that `cluster(7)` is one of them."""
    drawn: Map

    @property
    def is_cloud(self) -> bool:
        """Whether the regions are cuts through a cloud: by the rule of thumb of Kaufman and Rousseeuw (1990)."""
        return self.silhouette < STRUCTURE


STRUCTURE = 0.25
"""Silhouette from which on one may speak of groups."""


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
    trace: TraceChapter
    atlas: AtlasChapter

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        """All of them, in order."""
        return tuple(exhibit for chapter in self.chapters for exhibit in chapter.exhibits)

    @property
    def wins(self) -> int:
        """Answers that fit their own vector clearly better than other vectors."""
        return sum(exhibit.round_trip - exhibit.swapped >= CLEAR_MARGIN for exhibit in self.exhibits)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the picture of the atlas."""
        found = asdict(self)
        del found["atlas"]["drawn"]
        return found
