"""Routes of a space's map: its places as numbers, its names on three levels, and what lies at any place.

Coordinates come as bytes, which a browser reads as they are: `new Float32Array(await reply.arrayBuffer())`.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import Response

from vecspeak.errors import UserError
from vecspeak.explore.point_facts import place_facts, place_point
from vecspeak.report.maps import PlacedName, placed_names
from vecspeak.served import Served
from vecspeak.server.bodies import StrictRoute
from vecspeak.server.failures import GUARDED, POSTED, Loading, Refused, documented
from vecspeak.server.models import reply
from vecspeak.server.places import Number
from vecspeak.server.spaces import PointDetails, Reader, SpaceName, described_point
from vecspeak.spaces.plane import SpaceMap

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/spaces",
    tags=["maps"],
    responses=documented(*GUARDED, 400, 404, 412, 422, 503),
)
Coordinate = Annotated[Number, Field(gt=-1e6, lt=1e6)]


_SECONDS_TO_RETRY = 60.0
"""For which a failure is said again; whoever asks later has the map tried again."""
_log = logging.getLogger("vecspeak.server")


class MapPointRequest(PointDetails):
    """A place on the map."""

    xy: tuple[Coordinate, Coordinate] = Field(
        strict=False, description="In the units of the map, whose middle is 0, 0."
    )


@dataclass(slots=True)
class _Making:
    """A map that is being made, or why it could not be."""

    done: threading.Event = field(default_factory=threading.Event)
    failure: UserError | str = ""
    """What was wrong; of a mistake of ours its kind alone, whose lines are in the log."""
    ended: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it failed so long ago that it may be tried again."""
        return bool(self.failure) and time.monotonic() - self.ended >= _SECONDS_TO_RETRY

    def error(self) -> Exception:
        """The failure, each time as a new exception: one that is raised again grows by its traceback."""
        if isinstance(self.failure, UserError):
            return UserError(self.failure.message, self.failure.hint)
        return RuntimeError(f"the map failed with {self.failure}")


class MapMaker:
    """Makes maps in the background, one after the other, so that no request waits for a layout."""

    def __init__(self) -> None:
        self._making: dict[tuple[int, str], _Making] = {}
        self._mutex, self._one = threading.Lock(), threading.Lock()

    def map_of(self, reader: Served, space: str) -> SpaceMap:
        """The map of a space.

        Raises Loading while it is made, which begins here, and for a minute what its making raised.
        """
        key = id(reader), space
        with self._mutex:
            making = self._making.get(key)
            if making is None or making.is_over:
                if (found := reader.retained_map(space)) is not None:
                    return found
                making = self._making[key] = _Making()
                work = threading.Thread(
                    target=self._make, args=(making, lambda: reader.map(space)), daemon=True
                )
                work.start()
        if not making.done.is_set():
            raise Loading(f"the map of {space} is being made: half a minute for 5,000 items")
        if making.failure:
            raise making.error()
        return reader.map(space)

    def _make(self, making: _Making, make: Callable[[], SpaceMap]) -> None:
        try:
            with self._one:
                make()
        except UserError as error:
            making.failure = UserError(error.message, error.hint)  # without the frames of the layout
        except Exception as error:
            _log.exception("a map could not be made")
            making.failure = type(error).__name__
        finally:
            making.ended = time.monotonic()
            making.done.set()


def map_of(space: SpaceName, reader: Reader, request: Request) -> SpaceMap:
    """The map that a request is about."""
    maps: MapMaker = request.app.state.serving.maps
    return maps.map_of(reader, space)


Map = Annotated[SpaceMap, Depends(map_of)]


@router.get("/{space}/map")
def describe_map(found: Map, space: SpaceName, reader: Reader) -> Response:
    """Describe the map: how many items, what laid them out, and between which corners they lie."""
    return reply(
        {
            "num_items": found.space.num_items,
            "method": found.method,
            "seed": found.seed,
            "digest": found.space.digest,
            "bounds": found.bounds,
            "has_regions": reader.entry(space).clusters is not None,
        }
    )


@router.get("/{space}/map/coordinates", response_class=Response)
def coordinates(found: Map) -> Response:
    """Give x and y of every item, in the order of `items`: [N, 2] little-endian float32."""
    return _numbers(found.coordinates, "<f4")


@router.get("/{space}/map/regions", response_class=Response)
def map_regions(space: SpaceName, reader: Reader) -> Response:
    """Give the region of every item, in the order of `items`: [N] little-endian int32, -1 for none."""
    clusters = reader.entry(space).clusters
    if clusters is None:
        raise Refused(f"{space!r} has no regions yet", code="no_regions", status=404)
    return _numbers(clusters.labels, "<i4")


@router.get("/{space}/map/labels")
def map_labels(found: Map, space: SpaceName, reader: Reader) -> Response:
    """Give the names of regions and groups with the middles of their items on the map, the coarsest level first."""
    clusters = reader.entry(space).clusters
    levels = [] if clusters is None else placed_names(found.coordinates, clusters)
    return reply({"levels": [[_label(one) for one in level] for level in levels]})


@router.post("/{space}/map/points", responses=documented(*POSTED))
def map_point(space: SpaceName, asked: MapPointRequest, found: Map, reader: Reader) -> Response:
    """Tell of a place on the map what `points` tells of a vector: it is read back from the items around it.

    `expression` is the sum of items that it is, where that is not too long, and can be asked about as any other; those
    items are not among the nearest, and do not count for `percentile`.
    """
    (place,) = found.unplace(np.array(asked.xy))
    point = reader.point(place_point(place), space=space)
    return reply(place_facts(place, described_point(reader, space, point, asked)))


def _numbers(array: np.ndarray, kind: str) -> Response:
    return Response(array.astype(kind, copy=False).tobytes(), media_type="application/octet-stream")


def _label(one: PlacedName) -> dict[str, Any]:
    return {"number": one.number, "name": one.name, "x": one.x, "y": one.y, "num_items": one.num_items}
