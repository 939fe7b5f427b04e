"""Bodies of requests as JSON in which no key comes twice: of two, one would be left out without a word."""

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute
from starlette.responses import Response


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs of an object. Raises HTTPException for a key that comes twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise HTTPException(422, f"the body has the key {twice[:80]!r} twice in one object; send it once")
    return found


class _StrictRequest(Request):
    async def json(self) -> Any:
        """The body. Raises JSONDecodeError; HTTPException for a key that comes twice, and for what is no UTF-8 text."""
        try:
            return json.loads(await self.body(), object_pairs_hook=_once)
        except UnicodeDecodeError as error:
            raise HTTPException(
                400, f"the body is no UTF-8 at byte {error.start}; send JSON as UTF-8"
            ) from error


class StrictRoute(APIRoute):
    """A route whose body has each key once."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        answer = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await answer(_StrictRequest(request.scope, request.receive))

        return strict


__all__ = ["StrictRoute"]
