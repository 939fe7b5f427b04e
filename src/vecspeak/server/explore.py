"""Routes that the page for exploring needs beside those of spaces and maps: labels, colours, ways, sets and tasks."""

import base64
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from vecspeak.errors import UserError, did_you_mean
from vecspeak.explore.atlas import to_json
from vecspeak.explore.item_values import Source
from vecspeak.explore.regions import Description
from vecspeak.points import Point
from vecspeak.served import Served
from vecspeak.server.bodies import StrictRoute
from vecspeak.server.failures import GUARDED, POSTED, documented
from vecspeak.server.models import (
    ColorSources,
    ItemLabels,
    ItemShades,
    ItemText,
    ListedTasks,
    Pull,
    Walk,
    answers,
    reply,
    shape_of,
)
from vecspeak.server.places import Name, Place, StrictModel
from vecspeak.server.spaces import PairRequest, PointDetails, Reader, SpaceName, described_point, run_long

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/spaces",
    tags=["explore"],
    responses=documented(*POSTED, 404, 412, 504),
)
_GOT = documented(*GUARDED, 400, 404, 412, 422)
Amount = Annotated[float, Field(ge=-100, le=100)]


class WalkRequest(PairRequest, PointDetails):
    """Two points, and how many there are from one to the other with both."""

    steps: int = Field(default=7, ge=2, le=32)


class PullRequest(PointDetails):
    """A point, a concept, and how far along it, in standard deviations of the items."""

    start: Place
    concept: Name
    amounts: list[Amount] = Field(default=[-4, -2, 0, 2, 4], min_length=1, max_length=32)


class SetRequest(StrictModel):
    """Items, of which it is said what they share."""

    ids: list[Name] = Field(min_length=1, max_length=200_000)
    reader: bool = Field(default=False, description="Whether the language model says it too.")


@router.get("/{space}/labels", responses={**answers(ItemLabels), **_GOT})
def labels(space: SpaceName, reader: Reader) -> Response:
    """Give ids and labels of all items, in the order of `items`."""
    found = reader.spaces[space]
    return reply({"ids": list(found.ids), "labels": list(found.labels)})


@router.get("/{space}/texts", responses={**answers(ItemText), **_GOT})
def text(space: SpaceName, reader: Reader, id: Name) -> Response:
    """Give an item's own text, empty where it has none."""
    found = reader.spaces[space]
    if not found.has(id):
        raise UserError(f"{space} has no item with the id {id!r}", "list its items")
    return reply({"id": id, "label": found.labels[found.index_of(id)], "text": found.text_of(id) or ""})


@router.get("/{space}/colors", responses={**answers(ColorSources), **_GOT})
def colors(space: SpaceName, reader: Reader) -> Response:
    """List what a map can be coloured by."""
    return reply({"sources": reader.value_sources(space)})


@router.get("/{space}/colors/{source}", responses={**answers(ItemShades), **_GOT})
async def colors_by(
    space: SpaceName, source: Source, reader: Reader, request: Request, name: Name = ""
) -> Response:
    """Give a shade from 0 to 254 for every item, 255 for none: base64 of N bytes. See `ItemValues.shades`."""

    def call() -> Any:
        found = reader.item_values(source, name, space=space)
        return {
            "source": found.source,
            "name": found.name,
            "names": list(found.names),
            "range": list(found.range),
            "shades": base64.b64encode(found.shades.tobytes()).decode("ascii"),
        }

    return await run_long(request, call)


@router.post("/{space}/walks", responses=answers(Walk))
async def walk(space: SpaceName, asked: WalkRequest, reader: Reader, request: Request) -> Response:
    """Tell what lies on the straight line from one point to another."""

    def call() -> Any:
        first, second = (one.point(reader, space) for one in (asked.first, asked.second))
        shares = np.linspace(0, 1, asked.steps).tolist()
        points = [first, *((1 - share) * first + share * second for share in shares[1:-1]), second]
        return {
            "steps": [
                {"share": share} | _described(reader, space, one, asked)
                for share, one in zip(shares, points, strict=True)
            ]
        }

    return await run_long(request, call)


@router.post("/{space}/pulls", responses=answers(Pull))
async def pull(space: SpaceName, asked: PullRequest, reader: Reader, request: Request) -> Response:
    """Tell what a point becomes along a concept, without the language model."""

    def call() -> Any:
        start = asked.start.point(reader, space)
        concepts = reader.concepts(space)
        if asked.concept not in concepts:
            hint = did_you_mean(asked.concept, concepts, "choose one of its concepts")
            raise UserError(f"{space} has no concept {asked.concept!r}", hint, code="unknown_concept")
        concept = concepts[asked.concept]
        points = [start + amount * concept if amount else start for amount in asked.amounts]
        return {
            "caution": concept.caution,
            "steps": [
                {"amount": amount} | _described(reader, space, one, asked)
                for amount, one in zip(asked.amounts, points, strict=True)
            ],
        }

    return await run_long(request, call)


def _described(reader: Served, space: str, point: Point, asked: PointDetails) -> dict[str, Any]:
    return described_point(reader, space, point, asked) | {"vector": point.vector.tolist()}


@router.post("/{space}/sets", responses=answers(shape_of(Description)))
async def describe_set(space: SpaceName, asked: SetRequest, reader: Reader, request: Request) -> Response:
    """Say what some items share, and what they have more of than those around them."""

    def call() -> Any:
        return to_json(reader.describe(ids=asked.ids, reader=asked.reader, space=space))

    return await run_long(request, call)


@router.get("/{space}/tasks", responses={**answers(ListedTasks), **_GOT})
def tasks(space: SpaceName, reader: Reader) -> Response:
    """List the tasks of a space, each with its question in the space's words, and whether the reader learned them."""
    found = reader.task_set(space=space)
    listed = [
        {"name": one.name, "question": one.question, "slots": list(one.slots), "of_person": one.of_person}
        for one in found.tasks.values()
    ]
    name = reader.entry(space).space.name
    return reply({"tasks": listed, "learned": reader.bundle.manifest.learned_tasks_of(name)})
