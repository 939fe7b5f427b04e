"""What stands before every route: the key, what a body may be, and the counts."""

import asyncio
import base64
import binascii
import hmac
import json
import logging
import time

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vecspeak.server import failures
from vecspeak.server.metrics import Metrics
from vecspeak.server.page import PAGE_PATHS
from vecspeak.server.settings import RATING, Settings

_OPEN = frozenset({"/health", "/ready"})
"""Routes without a key: they tell nothing of what is served."""
_LARGEST_BODIES = 16
"""Bodies of the largest size that may be arriving at once; more than that is refused."""
_log = logging.getLogger("vecspeak.server")


class KeyAndSize:
    """Middleware that asks for the key, and for a body of JSON of some size that arrives in some time."""

    def __init__(self, app: ASGIApp, *, settings: Settings, has_page: bool = False) -> None:
        self._app, self._settings = app, settings
        self._open = _OPEN | PAGE_PATHS if has_page else _OPEN
        self._key = settings.api_key.encode()
        self._arriving = 0
        """Bytes of all bodies that are being read."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or hand it on with its body read."""
        request = Request(scope, receive)
        refused = self._refused(request)
        body = bytearray()
        try:
            refused = refused or await self._read(request, body)
            if refused is not None:
                await refused(scope, receive, send)
                return
        except ClientDisconnect:
            await failures.refusal(failures.GONE, "the client has gone")(scope, receive, send)
            return
        finally:
            self._arriving -= len(body)
        first: Message | None = {"type": "http.request", "body": bytes(body), "more_body": False}

        async def once() -> Message:
            nonlocal first
            sent, first = first, None
            return sent or await receive()

        await self._app(scope, once, send)

    def _refused(self, request: Request) -> Response | None:
        """What refuses a request by its headers alone, or None."""
        path = request.url.path
        if self._key and path not in self._open and not self._has_key(request):
            refused = failures.refusal(401, "send the key as `Authorization: Bearer KEY`")
            if path.startswith(RATING):  # a browser asks for it then: any name, and the key
                refused.headers["www-authenticate"] = 'Basic realm="vecspeak"'
            return refused
        length = request.headers.get("content-length", "0")
        most = self._settings.most_bytes
        if length.isdecimal() and int(length) > most:
            return failures.refusal(413, f"the body has {length} bytes, and {most:,} may be")
        if request.headers.get("content-encoding", "identity").casefold() != "identity":
            return failures.refusal(415, "send the body as it is, without content-encoding")
        return None

    def _has_key(self, request: Request) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        key = given.strip().encode()
        if kind.casefold() == "basic" and request.url.path.startswith(RATING):
            try:
                key = base64.b64decode(key, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif kind.casefold() != "bearer":
            return False
        return hmac.compare_digest(key, self._key)

    async def _read(self, request: Request, body: bytearray) -> Response | None:
        """Read the body; what refuses it, or None. Raises ClientDisconnect."""
        most = self._settings.most_bytes
        try:
            async with asyncio.timeout(self._settings.seconds):
                async for chunk in request.stream():
                    body += chunk
                    self._arriving += len(chunk)
                    if len(body) > most:
                        return failures.refusal(413, f"the body has more than {most:,} bytes")
                    if self._arriving > _LARGEST_BODIES * most:
                        return failures.refusal(
                            429, "too much is being sent at once; send it again in a moment"
                        )
        except TimeoutError:
            return failures.refusal(408, f"the body did not come in {self._settings.seconds:g} s")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
        if body and kind != "application/json":
            return failures.refusal(415, "send JSON, with `Content-Type: application/json`")
        return None


class RequestCounter:
    """Middleware that counts requests by route and status, and logs them without what was asked."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, and note how it ended."""
        if scope["type"] != "http":
            return
        start, status = time.monotonic(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            seconds = time.monotonic() - start
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            noted_line = {
                "method": scope["method"],
                "route": route,
                "status": status,
                "seconds": round(seconds, 4),
            }
            _log.info(json.dumps(noted_line))
