"""What the demo found: the library's answers with their evidence, a trace and an atlas, and where they lie on a map."""

from dataclasses import asdict, dataclass
from typing import Any

from vecspeak import __version__
from vecspeak.demo.chapters import ATLAS, CONCEPT, SEED, TRACE, ChapterPlan, Subject
from vecspeak.demo.data import CONCEPTS
from vecspeak.evidence import OUTSIDE, Answer, Evidence
from vecspeak.explore.atlas import Atlas
from vecspeak.explore.regions import Description
from vecspeak.explore.trace import Trace
from vecspeak.report.maps import Place
from vecspeak.stats import Estimate

STRUCTURE = 0.25
"""Silhouette from which on one may speak of groups (Kaufman and Rousseeuw 1990)."""
_TYPICAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """An answer about a point, next to what is true of it."""

    subject: Subject
    answer: Answer
    genres: tuple[tuple[str, ...], ...]
    """Genres of the nearest items, in their order."""
    place: Place
    """On the map of its space."""
    parents: tuple[Place, ...]
    """Where the items lie that the point was made from."""

    @property
    def evidence(self) -> Evidence:
        """The evidence of its one point."""
        return self.answer.evidence[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        one, subject = self.evidence, self.subject
        near = zip(one.nearest, self.genres, strict=True)
        parents = zip(subject.parents, self.parents, strict=True)
        return {
            "heading": subject.heading,
            "question": self.answer.question,
            "expression": one.expression,
            "answer": self.answer.text,
            "clauses": [{"text": part.text, "probability": part.probability} for part in self.answer.clauses],
            "words": one.words.to_dicts(),
            "facts": [asdict(fact) for fact in subject.facts],
            "nearest": [
                {"label": item.label, "similarity": item.similarity, "genres": genres}
                for item, genres in near
            ],
            "percentile": one.percentile,
            "outside": one.percentile > OUTSIDE,
            "round_trip": one.round_trip,
            "swapped": one.swapped,
            "place": _plain_place(subject.mark, self.place),
            "parents": [_plain_place(label, place) for (label, _), place in parents],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseCount:
    """How much of what the answers say holds, as their vectors tell, and of movies that have a text as that tells."""

    weighed: int
    """Clauses of all answers."""
    supported: int
    """Those that are likelier to hold than not, by the vectors."""
    supported_true: int
    """How many of the supported ones that could be checked hold of the movie's own text."""
    supported_checked: int
    others_true: int
    others_checked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One kind of points with its exhibits."""

    plan: ChapterPlan
    exhibits: tuple[Exhibit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceChapter:
    """One movie along a concept, and the same steps along random directions."""

    start: Subject
    trace: Trace
    near: tuple[tuple[int, ...], ...]
    """How many of each step's nearest movies have the concept's genre, a row a path; no text plays a part in it."""
    places: tuple[tuple[Place, ...], ...]
    """Where the steps lie on the map, a row a path."""

    @property
    def judge(self) -> str:
        """The first judge, whose scores are drawn: a classifier of real texts where there is one."""
        return next(iter(self.trace.path.slopes))

    @property
    def is_clear(self) -> bool:
        """Whether the concept is seen more in the answers along it, and by more than along any random direction."""
        slope = self.trace.path.slopes[self.judge]
        return all(slope > abs(path.slopes[self.judge]) for path in self.trace.controls)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = zip(self.trace.paths, self.places, strict=True)
        return {
            "plan": asdict(TRACE),
            "heading": self.start.heading,
            "facts": [asdict(fact) for fact in self.start.facts],
            "trace": asdict(self.trace),
            "value": CONCEPTS[CONCEPT],
            "near": self.near,
            "places": [
                [
                    _plain_place(f"{step.amount:+g}" if step.amount else "0", place)
                    for step, place in zip(path.steps, row, strict=True)
                ]
                for path, row in rows
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What depends on the items and their regions alone, and takes time."""

    dots: tuple[tuple[float, float, int], ...]
    """Place of each drawn item and its region, -1 for none."""
    silhouette: float
    """How much nearer items lie to their own region than to the next, -1 to 1, on average."""
    of_cloud: float
    """The same for a normal cloud of the same covariance, which has no groups, cut the same way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtlasChapter:
    """The space of plots in regions."""

    atlas: Atlas
    found_share: Estimate
    """Share of regions whose answer fits them best of all, with its exact binomial interval."""
    drawing: Drawing
    in_bundle: bool
    """Whether the bundle holds these regions, so that `cluster(7)` is one of them."""

    @property
    def found_back(self) -> int:
        """Regions whose answer fits them best of all."""
        return sum(one.reading is not None and one.reading.rank == 1 for one in self.atlas.regions)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the drawing."""
        return {
            "plan": asdict(ATLAS),
            "method": self.atlas.method,
            "seed": self.atlas.seed,
            "regions": [_plain_region(one) for one in self.atlas.regions],
            "found_back": self.found_back,
            "found_share": asdict(self.found_share),
            "silhouette": self.drawing.silhouette,
            "of_cloud": self.drawing.of_cloud,
            "is_kept": self.in_bundle,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The whole demo."""

    language_model: str
    encoder: str
    engine: str
    spaces: tuple[dict[str, Any], ...]
    """Name, numbers of items, held-out items, dimensions and users of each space, and how the reader reads it."""
    chapters: tuple[Chapter, ...]
    trace: TraceChapter
    atlas: AtlasChapter
    clauses: ClauseCount
    version: str = __version__
    seed: int = SEED

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        """All of them, in order."""
        return tuple(exhibit for chapter in self.chapters for exhibit in chapter.exhibits)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        made = [
            {
                **{name: getattr(chapter.plan, name) for name in ("key", "title", "intro", "rule", "space")},
                "exhibits": [exhibit.to_dict() for exhibit in chapter.exhibits],
            }
            for chapter in self.chapters
        ]
        return {
            "version": self.version,
            "language_model": self.language_model,
            "encoder": self.encoder,
            "engine": self.engine,
            "seed": self.seed,
            "spaces": list(self.spaces),
            "clauses": asdict(self.clauses),
            "chapters": made,
            "trace": self.trace.to_dict(),
            "atlas": self.atlas.to_dict(),
        }


def _plain_place(label: str, place: Place) -> dict[str, Any]:
    return {"label": label, "x": place[0], "y": place[1]}


def _plain_region(one: Description) -> dict[str, Any]:
    assert one.reading is not None, "every region of the demo is put into words"
    return {
        "number": one.number,
        "title": one.title,
        "items": one.num_items,
        "typical": [near.label for near in one.geometry.typical[:_TYPICAL]],
        "text": one.reading.text,
        "round_trip": one.reading.trust.round_trip,
        "swapped": one.reading.trust.swapped,
        "rank": one.reading.rank,
        "flags": list(one.flags),
    }
