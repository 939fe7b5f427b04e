"""Routes of spaces: their items, points, concepts and regions, why two match, how two differ, and what lies on a way.

A point is an expression or the numbers of a vector. No route reads a file that a caller names.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi import Path as PathOf
from fastapi.dependencies.models import Dependant
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from vecspeak.explore.atlas import to_json
from vecspeak.explore.compare import Difference
from vecspeak.explore.migration import Migration
from vecspeak.explore.migration import compare as compare_spaces
from vecspeak.explore.point_facts import point_facts
from vecspeak.explore.regions import Description
from vecspeak.explore.tastes import PersonTastes
from vecspeak.explore.trace import Trace
from vecspeak.explore.why import Why
from vecspeak.points import Point
from vecspeak.served import Served
from vecspeak.server.bodies import StrictRoute
from vecspeak.server.failures import GUARDED, POSTED, Refused, documented
from vecspeak.server.models import (
    ItemsPage,
    ListedConcepts,
    ListedRegions,
    PointSummary,
    SpaceFacts,
    SpacesFacts,
    answers,
    reply,
    shape_of,
)
from vecspeak.server.places import AnyPlace, Name, Place, Short, StrictModel, check_space
from vecspeak.server.sentences import unknown_name
from vecspeak.spaces import Space

router = APIRouter(route_class=StrictRoute, prefix="/v1/spaces", tags=["spaces"])
comparing = APIRouter(route_class=StrictRoute, prefix="/v1", tags=["spaces"])
_FOUND = documented(*GUARDED, 400, 404, 412, 422)
"""What routes about a space refuse."""
_ASKED = documented(*POSTED, 404, 412)
_LONG = documented(*POSTED, 404, 412, 504)
Rows = Annotated[int, Query(ge=0, le=10_000_000)]
Limit = Annotated[int, Query(ge=1, le=1000)]


class PointDetails(StrictModel):
    """How much is told of a point."""

    nearest: int = Field(default=10, ge=0, le=100)
    words: int = Field(default=10, ge=0, le=100)


class PointRequest(Place, PointDetails):
    """What is asked of a point without a language model."""


class PairRequest(StrictModel):
    """Two points."""

    first: AnyPlace
    second: AnyPlace


class WhyRequest(PairRequest):
    """Two points, and how many words to name."""

    limit: int = Field(default=8, ge=1, le=50)


class TraceRequest(StrictModel):
    """A way from a point along a concept."""

    start: AnyPlace
    concept: Name
    steps: list[Annotated[float, Field(ge=-100, le=100)]] = Field(
        default=[0, 2, 4], min_length=1, max_length=16
    )
    question: Short = "Describe {x}."


class TastesRequest(Place):
    """A person: user("7"), user({"Heat": 5, "Alien": 1}), or a vector that is a person's."""

    kind: Literal["item", "user"] = "user"
    limit: int = Field(default=10, ge=1, le=100)


class SpaceChoice(StrictModel):
    """A space of a bundle; both may be left out where there is one."""

    model: Name = ""
    space: Name = ""


def _from_name(given: Any) -> Any:
    return {"space": given} if isinstance(given, str) else given


AnySpace = Annotated[SpaceChoice, BeforeValidator(_from_name, json_schema_input_type=Name | SpaceChoice)]
"""The same, or the name of a space alone."""


class CompareRequest(StrictModel):
    """Two spaces of the same items."""

    old: AnySpace
    new: AnySpace
    k: int = Field(default=10, ge=1, le=100, description="Nearest items that are held against each other.")
    count: int = Field(default=5, ge=0, le=100, description="Moved items that are named.")
    seed: int = Field(default=0, ge=0, lt=2**32)


def reader_of(request: Request, model: Name = "") -> Served:
    """The reader that a request names, or the only one."""
    serving = request.app.state.serving
    found: Served = serving.readers[serving.named(model)]
    return found


Reader = Annotated[Served, Depends(reader_of)]


IfMatch = Annotated[
    str,
    Header(
        max_length=1000,
        description="Digests of spaces, as `GET /v1/spaces` gives them; a space of another is refused with 412.",
    ),
]


def check_unchanged(reader: Served, space: str, if_match: str) -> None:
    """Raise Refused where a caller has seen another content of a space, so that no answer is of another vector."""
    seen = {one.strip().strip('"') for one in if_match.split(",")} - {""}
    if seen and not seen & {"*", reader.entry(space).digest}:
        raise Refused(
            f"the space {reader.entry(space).space.name!r} has changed since `if-match` was read",
            "read its digest and its items again",
            code="space_changed",
            status=412,
            param="if-match",
        )


def space_of(space: Annotated[Name, PathOf()], reader: Reader, if_match: IfMatch = "") -> str:
    """The space that a path names. Raises Refused for one that is not there, or is not what `if-match` says."""
    name = check_space(reader, space)
    check_unchanged(reader, name, if_match)
    return name


SpaceName = Annotated[str, Depends(space_of)]


async def run_long(request: Request, call: Callable[[], Any]) -> Response:
    """What a call of the library returns, as JSON; see `LongCalls`."""
    return reply(await request.app.state.serving.calls.run(call))


@router.get("", responses={**answers(SpacesFacts), **documented(*GUARDED, 400, 404, 422)})
def spaces(reader: Reader) -> Response:
    """List the spaces."""
    return reply({"spaces": [_described(reader, name) for name in reader.spaces]})


def _described(reader: Served, name: str) -> dict[str, Any]:
    entry = reader.entry(name)
    return {
        "name": name,
        "digest": entry.digest,
        "num_items": entry.space.num_items,
        "dim": entry.space.dim,
        "encoder": entry.space.encoder or "",
        "num_users": 0 if entry.users is None else entry.users.num_items,
        "concepts": list(entry.concepts),
        "num_regions": 0 if entry.clusters is None else entry.clusters.num_regions,
        "caution": entry.caution,
    }


@router.get("/{space}", responses={**answers(SpaceFacts), **_FOUND})
def space(space: SpaceName, reader: Reader) -> Response:
    """Describe a space."""
    return reply(_described(reader, space))


@router.get("/{space}/items", responses={**answers(ItemsPage), **_FOUND})
def items(
    space: SpaceName, reader: Reader, search: Short = "", offset: Rows = 0, limit: Limit = 50
) -> Response:
    """List items in the order of the space, or those whose label holds some letters, a page at a time."""
    found = reader.spaces[space]
    if search:
        wanted = search.casefold()
        rows: Sequence[int] = [row for row, label in enumerate(found.labels) if wanted in label.casefold()]
    else:
        rows = range(found.num_items)
    page = rows[offset : offset + limit]
    listed = [{"id": found.ids[row], "label": found.labels[row]} for row in page]
    return reply({"total": len(rows), "offset": offset, "items": listed})


@router.post("/{space}/points", responses={**answers(PointSummary), **_ASKED})
def point(space: SpaceName, asked: PointRequest, reader: Reader) -> Response:
    """Tell of a point what is near, how far from the data it lies, and the words that its vector holds.

    `map` is its place on the space's map, where that has been made; null where not, and for zeros alone.
    """
    return reply(described_point(reader, space, asked.point(reader, space), asked))


def described_point(reader: Served, space: str, found: Point, asked: PointDetails) -> dict[str, Any]:
    """Tell of a point what is near, how far from the data it lies, its words, and where it is on the map."""
    return point_facts(
        reader.asker(space), reader.retained_map(space), found, nearest=asked.nearest, words=asked.words
    )


@router.get("/{space}/concepts", responses={**answers(ListedConcepts), **_FOUND})
def concepts(space: SpaceName, reader: Reader) -> Response:
    """List the concepts with what is known of how far each can be trusted."""
    found = reader.concepts(space)
    listed = [{"name": name, "caution": one.caution, "source": one.source} for name, one in found.items()]
    return reply({"concepts": listed})


@router.get("/{space}/regions", responses={**answers(ListedRegions), **_FOUND})
def regions(space: SpaceName, reader: Reader) -> Response:
    """List the regions of the atlas."""
    clusters = reader.entry(space).clusters
    if clusters is None:
        return reply({"regions": []})
    sizes = clusters.sizes.tolist()
    listed = [
        {"number": number, "name": clusters.name(number), "num_items": sizes[number]}
        for number in range(clusters.num_regions)
    ]
    return reply({"regions": listed})


@router.get(
    "/{space}/regions/{number}",
    responses={**answers(shape_of(Description)), **_FOUND, **documented(429, 504)},
)
async def region(
    space: SpaceName, number: Annotated[int, PathOf(ge=0, le=1_000_000)], reader: Reader, request: Request
) -> Response:
    """Describe a region without the language model: what its items have more of than those around."""

    def call() -> Any:
        return to_json(reader.describe(cluster=number, reader=False, space=space))

    return await run_long(request, call)


@router.post("/{space}/why", responses={**answers(Why), **_LONG})
async def why(space: SpaceName, asked: WhyRequest, reader: Reader, request: Request) -> Response:
    """Say why two points match: the words that carry their score."""

    def call() -> Any:
        return reader.why(*_pair(asked, reader, space), limit=asked.limit, space=space).to_dict()

    return await run_long(request, call)


@router.post("/{space}/diff", responses={**answers(shape_of(Difference)), **_LONG})
async def diff(space: SpaceName, asked: PairRequest, reader: Reader, request: Request) -> Response:
    """Hold two points against each other, without the language model."""

    def call() -> Any:
        return to_json(reader.diff(*_pair(asked, reader, space), reader=False, space=space))

    return await run_long(request, call)


def _pair(asked: PairRequest, reader: Served, space: str) -> tuple[Point, Point]:
    return asked.first.point(reader, space), asked.second.point(reader, space)


@router.post("/{space}/traces", responses={**answers(shape_of(Trace)), **_LONG})
async def trace(space: SpaceName, asked: TraceRequest, reader: Reader, request: Request) -> Response:
    """Ask at every step along a concept from a point."""

    def call() -> Any:
        start = asked.start.point(reader, space)
        return to_json(
            reader.trace(start, asked.concept, steps=asked.steps, question=asked.question, space=space)
        )

    return await run_long(request, call)


@router.post("/{space}/tastes", responses={**answers(PersonTastes), **_LONG})
async def tastes(space: SpaceName, asked: TastesRequest, reader: Reader, request: Request) -> Response:
    """Say what a person is predicted to like more, and less, than the other people of a space."""

    def call() -> Any:
        return reader.tastes(asked.point(reader, space), asked.limit, space=space).to_dict()

    return await run_long(request, call)


@comparing.post("/compare", responses={**answers(Migration), **documented(*POSTED, 404, 504)})
async def compare(asked: CompareRequest, request: Request, if_match: IfMatch = "") -> Response:
    """Say what changes for whoever exchanges one space of the same items for another."""
    pair = [_asked_space(request, one, if_match) for one in (asked.old, asked.new)]

    def call() -> Any:
        return compare_spaces(*pair, k=asked.k, count=asked.count, seed=asked.seed).to_dict()

    return await run_long(request, call)


def _asked_space(request: Request, asked: SpaceChoice, if_match: str) -> Space:
    reader = reader_of(request, asked.model)
    if asked.space:
        check_space(reader, asked.space)
    check_unchanged(reader, asked.space, if_match)
    return reader.entry(asked.space).space


def check_query(request: Request) -> None:
    """Raise Refused for a parameter behind the "?" that the route does not read."""
    allowed = _query_names(request.scope["route"].dependant)
    for name in request.query_params:
        if name not in allowed:
            raise Refused(
                unknown_name(name, allowed, "query parameter"),
                code="unknown_parameter",
                status=422,
                param=name[:80],
            )


def _query_names(read: Dependant) -> list[str]:
    """The query parameters of a route and of what it depends on."""
    below = (name for one in read.dependencies for name in _query_names(one))
    return list(dict.fromkeys([*(one.alias for one in read.query_params), *below]))
