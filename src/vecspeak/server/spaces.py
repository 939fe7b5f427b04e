"""Routes of spaces: their items, points, concepts and regions, why two match, how two differ, and what lies on a way.

A point is an expression or the numbers of a vector. No route reads a file that a caller names.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathOf
from pydantic import Field
from starlette.exceptions import HTTPException

from vecspeak.api import VecSpeak
from vecspeak.explore.atlas import to_json
from vecspeak.points import Point
from vecspeak.server.places import Place, Short, StrictModel

router = APIRouter(prefix="/v1/spaces", tags=["spaces"])
Rows = Annotated[int, Query(ge=0, le=10_000_000)]
Limit = Annotated[int, Query(ge=1, le=1000)]


class Asked(StrictModel):
    """How much is told of a point."""

    nearest: int = Field(default=10, ge=0, le=100)
    words: int = Field(default=10, ge=0, le=100)


class PointRequest(Place, Asked):
    """What is asked of a point without a language model."""


class PairRequest(StrictModel):
    """Two points."""

    first: Place
    second: Place


class WhyRequest(PairRequest):
    """Two points, and how many words to name."""

    limit: int = Field(default=8, ge=1, le=50)


class TraceRequest(StrictModel):
    """A way from a point along a concept."""

    start: Place
    concept: Short
    steps: list[Annotated[float, Field(ge=-100, le=100)]] = Field(
        default=[0, 2, 4], min_length=1, max_length=16
    )
    question: Short = "Describe {x}."


def reader_of(request: Request, model: Short = "") -> VecSpeak:
    """The reader that a request names, or the only one."""
    serving = request.app.state.serving
    found: VecSpeak = serving.readers[serving.named(model)]
    return found


Reader = Annotated[VecSpeak, Depends(reader_of)]


def check_space(reader: VecSpeak, space: str) -> str:
    """The name of a space. Raises the error of an unknown path where there is none of it."""
    if space not in reader.spaces:
        raise HTTPException(404, f"there is no space {space[:80]!r}; there is {', '.join(reader.spaces)}")
    return space


@router.get("")
def spaces(reader: Reader) -> dict[str, Any]:
    """List the spaces."""
    return {"spaces": [_described(reader, name) for name in reader.spaces]}


def _described(reader: VecSpeak, name: str) -> dict[str, Any]:
    entry = reader.entry(name)
    return {
        "name": name,
        "num_items": entry.space.num_items,
        "dim": entry.space.dim,
        "num_users": 0 if entry.users is None else entry.users.num_items,
        "concepts": list(entry.concepts),
        "num_regions": 0 if entry.clusters is None else entry.clusters.num_regions,
        "caution": entry.caution,
    }


@router.get("/{space}")
def space(space: str, reader: Reader) -> dict[str, Any]:
    """Describe a space."""
    return _described(reader, check_space(reader, space))


@router.get("/{space}/items")
def items(
    space: str, reader: Reader, search: Short = "", offset: Rows = 0, limit: Limit = 50
) -> dict[str, Any]:
    """List items in the order of the space, or those whose label holds some letters, a page at a time."""
    found = reader.spaces[check_space(reader, space)]
    if search:
        wanted = search.casefold()
        rows: Sequence[int] = [row for row, label in enumerate(found.labels) if wanted in label.casefold()]
    else:
        rows = range(found.num_items)
    page = rows[offset : offset + limit]
    listed = [{"id": found.ids[row], "label": found.labels[row]} for row in page]
    return {"total": len(rows), "offset": offset, "items": listed}


@router.post("/{space}/points")
def point(space: str, asked: PointRequest, reader: Reader) -> dict[str, Any]:
    """Tell of a point what is near, how far from the data it lies, and the words that its vector holds.

    `map` is its place on the space's map, where that has been made; null where not, and for zeros alone.
    """
    return described_point(reader, space, asked.point(reader, check_space(reader, space)), asked)


def described_point(reader: VecSpeak, space: str, found: Point, asked: Asked) -> dict[str, Any]:
    """Tell of a point what is near, how far from the data it lies, its words, and where it is on the map."""
    asker = reader.asker(space)
    near = asker.near(found, asked.nearest) if asked.nearest else ()
    words = reader.words(found, asked.words) if asked.words else None
    return {
        "expression": found.expression,
        "kind": found.kind,
        "percentile": asker.percentile(found),
        "nearest": [{"id": one.id, "label": one.label, "similarity": one.similarity} for one in near],
        "words": [] if words is None else words.to_dicts(),
        "map": _place(reader, space, found),
        "notes": list(found.notes),
    }


def _place(reader: VecSpeak, space: str, point: Point) -> list[float] | None:
    found = reader.retained_map(space)
    if found is None or not point.vector.any():
        return None
    kind: Literal["user", "item"] = "user" if point.kind == "user" else "item"
    place: list[float] = found.place(point.vector[None], kind=kind)[0].tolist()
    return place


@router.get("/{space}/concepts")
def concepts(space: str, reader: Reader) -> dict[str, Any]:
    """List the concepts with what is known of how far each can be trusted."""
    found = reader.concepts(check_space(reader, space))
    return {
        "concepts": [
            {"name": name, "caution": one.caution, "source": one.source} for name, one in found.items()
        ]
    }


@router.get("/{space}/regions")
def regions(space: str, reader: Reader) -> dict[str, Any]:
    """List the regions of the atlas."""
    clusters = reader.entry(check_space(reader, space)).clusters
    if clusters is None:
        return {"regions": []}
    sizes = clusters.sizes.tolist()
    return {
        "regions": [
            {"number": number, "name": clusters.name(number), "num_items": sizes[number]}
            for number in range(clusters.num_regions)
        ]
    }


@router.get("/{space}/regions/{number}")
def region(space: str, number: Annotated[int, PathOf(ge=0, le=1_000_000)], reader: Reader) -> Any:
    """Describe a region without the language model: what its items have more of than those around."""
    return to_json(reader.describe(cluster=number, reader=False, space=check_space(reader, space)))


@router.post("/{space}/why")
def why(space: str, asked: WhyRequest, reader: Reader) -> dict[str, Any]:
    """Say why two points match: the words that carry their score."""
    first, second = _pair(asked, reader, check_space(reader, space))
    return reader.why(first, second, limit=asked.limit, space=space).to_dict()


@router.post("/{space}/diff")
def diff(space: str, asked: PairRequest, reader: Reader) -> Any:
    """Hold two points against each other, without the language model."""
    first, second = _pair(asked, reader, check_space(reader, space))
    return to_json(reader.diff(first, second, reader=False, space=space))


def _pair(asked: PairRequest, reader: VecSpeak, space: str) -> tuple[Point, Point]:
    return asked.first.point(reader, space), asked.second.point(reader, space)


@router.post("/{space}/traces")
def trace(space: str, asked: TraceRequest, reader: Reader) -> Any:
    """Ask at every step along a concept from a point."""
    start = asked.start.point(reader, check_space(reader, space))
    return to_json(
        reader.trace(start, asked.concept, steps=asked.steps, question=asked.question, space=space)
    )
