"""The application: routes, each one call of `VecSpeak`, with one shape of errors, limits and counts around them."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any, TypeVar

from fastapi import Depends, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp

from vecspeak import __version__
from vecspeak.engines import Sampling
from vecspeak.errors import UserError, did_you_mean, listed
from vecspeak.evidence import Answer
from vecspeak.http_guard import NO_PAGE, Guard
from vecspeak.served import Served
from vecspeak.server import failures
from vecspeak.server.answering import AnswerQueue
from vecspeak.server.bodies import StrictRoute
from vecspeak.server.calls import LongCalls
from vecspeak.server.chat import ChatRequest, completion, events, question_of
from vecspeak.server.doors import KeyAndSize, RequestCounter
from vecspeak.server.explore import router as explore_router
from vecspeak.server.failures import GUARDED, POSTED, Refused, documented
from vecspeak.server.maps import MapMaker
from vecspeak.server.maps import router as map_router
from vecspeak.server.metrics import CONTENT_TYPE, Metrics
from vecspeak.server.models import Completion, Health, Ready, ServedModels, answers, reply
from vecspeak.server.page import page_routes
from vecspeak.server.settings import RATING, Settings
from vecspeak.server.spaces import IfMatch, check_query, check_unchanged, comparing, router

_log = logging.getLogger("vecspeak.server")
_Found = TypeVar("_Found")
_CHECKED = [Depends(check_query)]


class Serving:
    """The bundles that are served, by name, with a queue of questions for each engine."""

    def __init__(self, readers: Mapping[str, Served], settings: Settings) -> None:
        self.readers, self.settings, self.metrics = dict(readers), settings, Metrics()
        self._owners = {id(reader.engine_owner): reader for reader in self.readers.values()}
        queues = {owner: AnswerQueue(settings, self.metrics) for owner in self._owners}
        self.queues = {name: queues[id(reader.engine_owner)] for name, reader in self.readers.items()}
        self.calls = LongCalls(settings)
        self.maps = MapMaker()
        self.is_ready = False
        self.since = int(time.time())
        """When it began to serve, in seconds since 1970."""

    def named(self, model: str) -> str:
        """The name of a bundle; the only one where none is named. Raises Refused for another."""
        if not model and len(self.readers) == 1:
            return next(iter(self.readers))
        if model not in self.readers:
            there = f"{listed(list(self.readers), 10)} can be asked"
            if not model:
                raise Refused(
                    f"no model is named; {there}", "name one as `model`", code="no_model", param="model"
                )
            raise Refused(
                f"there is no model {model[:80]!r}; {there}",
                did_you_mean(model, self.readers, "name one of them as `model`"),
                code="model_not_found",
                status=404,
                param="model",
            )
        return model

    def open_models(self) -> None:
        """Load what answers and answer once, so that the first questions neither wait for it nor find memory grow."""
        for reader in self._owners.values():
            _ = reader.engine, reader.encoder
            if reader.spaces:
                _answer_some(reader)
        self.is_ready = True

    def stop(self) -> None:
        """End the queues; what is being answered is finished."""
        self.calls.stop()
        for queue in set(self.queues.values()):
            queue.stop()


_FIRST_BATCH, _FIRST_TOKENS = 16, 32
"""Questions that are answered before a server is ready, and tokens of each."""


def _answer_some(reader: Served) -> None:
    """Answer one question and some at once: each has a graph of its own, which its engine opens or compiles then."""
    name, space = next(iter(reader.spaces.items()))
    vectors = [space.vectors[row % space.num_items] for row in range(_FIRST_BATCH)]
    asked = [reader.prepared("Describe {x}.", at={"x": one}, space=name) for one in vectors]
    asker, questions = asked[0][0], [one for _, one in asked]
    sampling = Sampling(max_new_tokens=_FIRST_TOKENS)
    try:
        asker.answer(questions[0], sampling, effort="quick")
        asker.answer_all(questions, sampling, effort="quick")
    except Exception:  # of an engine that cannot be reached: each question is refused with its sentence
        _log.exception("the first answers failed")


def make_app(
    readers: Mapping[str, Served],
    settings: Settings | None = None,
    *,
    sheet: ASGIApp | None = None,
    page: bool = False,
) -> FastAPI:
    """Make the application that serves readers by name; `app.state.serving` holds its queues.

    `app.state.serving.open_models()` loads the models, `.stop()` ends the queues. A rating `sheet`, the application of
    `vecspeak.raters.server.make_app`, lies under /rate, behind the same key. With `page` the page for exploring lies at
    /, before the key: it holds nothing of the spaces, and asks for the key itself.
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
            Middleware(RequestCounter, metrics=serving.metrics),
            Middleware(Guard, host=settings.host, policy=NO_PAGE, refusal=failures.refusal),
            Middleware(KeyAndSize, settings=settings, has_page=page),
        ],
    )
    app.state.serving = serving
    app.router.route_class = StrictRoute
    for one in (router, comparing, map_router, explore_router):
        app.include_router(one, dependencies=_CHECKED)
    _add_own_routes(app, serving)
    _add_chat(app, serving)
    if page:
        app.router.routes.extend(page_routes())
    if sheet is not None:
        app.mount(RATING, sheet)
    app.openapi()  # worked out here, and not while others wait
    return app


def _add_own_routes(app: FastAPI, serving: Serving) -> None:
    @app.get("/health", tags=["server"], responses=documented(403, 421))
    async def health() -> Health:
        """Say that the server runs."""
        return Health(status="ok", version=__version__)

    @app.get("/ready", tags=["server"], responses={**answers(Ready), **documented(403, 421, 503)})
    async def ready() -> Response:
        """Say whether the models are loaded and questions are taken."""
        if not serving.is_ready:
            return failures.refusal(503, "the models are still being loaded", code="loading")
        return reply({"status": "ready"})

    @app.get(
        "/metrics",
        tags=["server"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **documented(*GUARDED)},
    )
    async def metrics() -> Response:
        """Give the counts in Prometheus' text format."""
        return Response(serving.metrics.text(), media_type=CONTENT_TYPE)

    @app.get(
        "/v1/models",
        tags=["chat"],
        dependencies=_CHECKED,
        responses={**answers(ServedModels), **documented(*GUARDED)},
    )
    async def models() -> Response:
        """List the bundles that can be asked, as OpenAI's API lists models."""
        data = [
            {"id": name, "object": "model", "created": serving.since, "owned_by": "vecspeak"}
            for name in serving.readers
        ]
        return reply({"object": "list", "data": data})


def _add_chat(app: FastAPI, serving: Serving) -> None:
    described = answers(Completion)
    described[200]["content"] = {"text/event-stream": {"schema": {"type": "string"}}}

    @app.post(
        "/v1/chat/completions",
        tags=["chat"],
        dependencies=_CHECKED,
        responses={**described, **documented(*POSTED, 404, 412, 504)},
    )
    async def chat(asked: ChatRequest, request: Request, if_match: IfMatch = "") -> Response:
        """Answer a question about the vectors in the last message of the user."""
        model = serving.named(asked.model)
        notes = asked.notes()
        reader = serving.readers[model]
        question = await run_in_threadpool(question_of, reader, asked, serving.settings)
        for point in question.prepared.points.values():
            check_unchanged(reader, point.space, if_match)
        pieces = serving.queues[model].pieces(question)
        if asked.stream:
            made = events(model, question, pieces, notes, with_usage=asked.wants_usage)
            return StreamingResponse(
                await _while_there(request, _begun(made)), media_type="text/event-stream"
            )
        answer = await _while_there(request, _whole(pieces))
        return reply(completion(model, question, answer, notes))


async def _whole(pieces: AsyncIterator[str | Answer]) -> Answer:
    async for one in pieces:
        if isinstance(one, Answer):
            return one
    raise AssertionError("a queue ends with an answer or an error")


async def _while_there(request: Request, work: Coroutine[Any, Any, _Found]) -> _Found:
    """What the work returns. Raises ClientDisconnect, and ends the work, where the client goes away before."""

    async def until_gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working, gone = asyncio.create_task(work), asyncio.create_task(until_gone())
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, gone):
            task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _begun(made: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The events, of which the first two are there: what is refused before them gets its own status."""
    head = [await anext(made), await anext(made)]

    async def whole() -> AsyncIterator[bytes]:
        for one in head:
            yield one
        try:
            async for one in made:
                yield one
        except Exception as error:  # the status was sent long ago
            if not isinstance(error, (UserError, failures.Busy, failures.Late)):
                _log.exception("a stream failed")
            yield failures.event_of(error)

    return whole()
