"""The application: routes, each one call of `VecSpeak`, with one shape of errors, limits and counts around them."""

import asyncio
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vecspeak import __version__
from vecspeak.api import VecSpeak
from vecspeak.errors import UserError, listed
from vecspeak.evidence import Answer
from vecspeak.http_guard import NO_PAGE, Guard
from vecspeak.server import failures
from vecspeak.server.answering import AnswerQueue
from vecspeak.server.chat import ChatRequest, completion, events, question_of
from vecspeak.server.maps import MapMaker
from vecspeak.server.maps import router as map_router
from vecspeak.server.metrics import CONTENT_TYPE, Metrics
from vecspeak.server.settings import Settings
from vecspeak.server.spaces import router

_OPEN = frozenset({"/health", "/ready"})
"""Routes without a key: they tell nothing of what is served."""
_log = logging.getLogger("vecspeak.server")


class Serving:
    """The bundles that are served, by name, with a queue of questions for each."""

    def __init__(self, readers: Mapping[str, VecSpeak], settings: Settings) -> None:
        self.readers, self.settings, self.metrics = dict(readers), settings, Metrics()
        self.queues = {name: AnswerQueue(settings, self.metrics) for name in readers}
        self.maps = MapMaker()
        self.is_ready = False

    def named(self, model: str) -> str:
        """The name of a bundle; the only one where none is named. Raises UserError for another."""
        if not model and len(self.readers) == 1:
            return next(iter(self.readers))
        if model not in self.readers:
            said = f"there is no model {model!r}" if model else "no model is named"
            raise UserError(f"{said}; {listed(list(self.readers), 10)} can be asked", "name one as `model`")
        return model

    def open_models(self) -> None:
        """Load what answers, so that the first question does not wait for it."""
        for reader in self.readers.values():
            _ = reader.engine, reader.encoder
        self.is_ready = True

    def stop(self) -> None:
        """End the queues; what is being answered is finished."""
        for queue in self.queues.values():
            queue.stop()


def make_app(readers: Mapping[str, VecSpeak], settings: Settings | None = None) -> FastAPI:
    """Make the application that serves readers by name; `app.state.serving` holds its queues.

    `app.state.serving.open_models()` loads the models, `.stop()` ends the queues.
    """
    settings = settings or Settings()
    serving = Serving(readers, settings)
    app = FastAPI(
        title="vecspeak",
        version=__version__,
        description="Questions about vectors of any embedding space, answered from the vector, with evidence.",
        docs_url=None,
        redoc_url=None,
        exception_handlers=failures.HANDLERS,  # type: ignore[arg-type]
        middleware=[
            Middleware(_RequestCounter, metrics=serving.metrics),
            Middleware(Guard, host=settings.host, policy=NO_PAGE, refusal=failures.refusal),
            Middleware(_KeyAndSize, settings=settings),
        ],
    )
    app.state.serving = serving
    app.include_router(router)
    app.include_router(map_router)
    _add_own_routes(app, serving)
    return app


def _add_own_routes(app: FastAPI, serving: Serving) -> None:
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"description": said, "content": {"application/json": {"schema": failures.SCHEMA}}}
        for status, said in ((400, "What is asked cannot be."), (429, "Too many questions wait."))
    }

    @app.get("/health", tags=["server"])
    async def health() -> dict[str, str]:
        """Say that the server runs."""
        return {"status": "ok", "version": __version__}

    @app.get(
        "/ready", tags=["server"], responses={503: {"description": "The models are still being loaded."}}
    )
    async def ready() -> Response:
        """Say whether the models are loaded and questions are taken."""
        if not serving.is_ready:
            return failures.refusal(503, "the models are still being loaded", code="loading")
        return Response(json.dumps({"status": "ready"}), media_type="application/json")

    @app.get("/metrics", tags=["server"])
    async def metrics() -> Response:
        """Give the counts in Prometheus' text format."""
        return Response(serving.metrics.text(), media_type=CONTENT_TYPE)

    @app.get("/v1/models", tags=["chat"])
    async def models() -> dict[str, Any]:
        """List the bundles that can be asked, as OpenAI's API lists models."""
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "vecspeak"} for name in serving.readers
        ]
        return {"object": "list", "data": data}

    @app.post("/v1/chat/completions", tags=["chat"], responses=refusals)
    async def chat(asked: ChatRequest) -> Response:
        """Answer a question about the vectors in the last message of the user."""
        model = serving.named(asked.model)
        notes = asked.notes()
        question = await run_in_threadpool(question_of, serving.readers[model], asked, serving.settings)
        pieces = serving.queues[model].pieces(question)
        if asked.stream:
            return StreamingResponse(
                await _begun(events(model, pieces, notes)), media_type="text/event-stream"
            )
        async for one in pieces:
            if isinstance(one, Answer):
                return Response(json.dumps(completion(model, one, notes)), media_type="application/json")
        raise AssertionError("a queue ends with an answer or an error")


async def _begun(made: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The events, of which the first two are there: what is refused before them gets its own status."""
    head = [await anext(made), await anext(made)]

    async def whole() -> AsyncIterator[bytes]:
        for one in head:
            yield one
        try:
            async for one in made:
                yield one
        except (UserError, failures.Busy, failures.Late) as error:
            refused = failures.refusal(400, str(error))
            yield b"data: " + bytes(refused.body) + b"\n\n"

    return whole()


class _KeyAndSize:
    """Middleware that asks for the key, and for a body of some size that arrives in some time."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._key = settings.api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or hand it on with its body read."""
        request = Request(scope, receive)
        if self._key and scope["path"] not in _OPEN:
            kind, _, given = request.headers.get("authorization", "").partition(" ")
            if kind.casefold() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._key):
                await failures.refusal(401, "send the key as `Authorization: Bearer KEY`")(
                    scope, receive, send
                )
                return
        body, refused = await self._body(request)
        if refused is not None:
            await refused(scope, receive, send)
            return
        sent = False

        async def once() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, once, send)

    async def _body(self, request: Request) -> tuple[bytes, Response | None]:
        """The body, or what refuses it: one that is too large, or does not come."""
        most = self._settings.most_bytes
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > most:
            return b"", failures.refusal(413, f"the body has {length} bytes, and {most:,} may be")
        data = bytearray()
        try:
            async with asyncio.timeout(self._settings.seconds):
                async for chunk in request.stream():
                    data += chunk
                    if len(data) > most:
                        return b"", failures.refusal(413, f"the body has more than {most:,} bytes")
        except TimeoutError:
            return b"", failures.refusal(408, f"the body did not come in {self._settings.seconds:g} s")
        return bytes(data), None


class _RequestCounter:
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
            _log.info(
                json.dumps(
                    {
                        "method": scope["method"],
                        "route": route,
                        "status": status,
                        "seconds": round(seconds, 4),
                    }
                )
            )
