"""The page for raters, and the three calls that it makes.

    GET  /                              the page
    POST /api/start   {rater}           progress: where to go on
    GET  /api/item?rater=NAME&at=3      the third item of this rater's order, and their ratings of it
    POST /api/rating  {rater, item, question, value, seconds}

Every answer but the page is JSON; a refusal is {"error": sentence, "status": number}. No answer says which system
wrote what, and a rater's other items are not in it. There are no passwords: whoever reaches the server may rate under
any name. It therefore listens on this computer alone by default, answers only when it is called by a name of this
computer (a page of another site cannot reach it by a name of its own), and takes only JSON (a form of another site
cannot post it) and no call that a browser says comes from a page of another site.
"""

import base64
import ipaddress
import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vecspeak.errors import UserError
from vecspeak.raters.study import Study, is_done, rater_name
from vecspeak.storage import digest

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_LONGEST_BODY = 4096
_PAGE = Path(__file__).with_name("page.html")


def make_app(study: Study, *, host: str = "127.0.0.1") -> Starlette:
    """Make the app of a server on `host`; it answers under that name too if it is not this computer's own."""
    page = _PAGE.read_text(encoding="utf-8")
    calls = _Calls(study)
    return Starlette(
        routes=[
            Route("/", lambda _: HTMLResponse(page)),
            Route("/api/start", calls.start, methods=["POST"]),
            Route("/api/item", calls.item),
            Route("/api/rating", calls.rating, methods=["POST"]),
        ],
        middleware=[Middleware(_Guard, host=host, policy=_policy(page))],
        exception_handlers={UserError: _refuse, HTTPException: _refuse, OSError: _fail},
    )


def make_server(app: Starlette) -> uvicorn.Server:
    """Make a server that prints warnings only; `.run(sockets=[listener])` serves until it is stopped."""
    config = uvicorn.Config(
        app,
        access_log=False,
        lifespan="off",
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        ws="none",
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket; port 0 takes any free one. Raises UserError where the address is taken or foreign."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise UserError(
            f"cannot listen on {host} port {port}: {error.strerror or error}", "give another `port` or `host`"
        ) from error


@dataclass(frozen=True, slots=True)
class _Calls:
    """Handlers of the page's calls."""

    study: Study

    async def start(self, request: Request) -> Response:
        rater = rater_name((await _body(request)).get("rater"))
        return _json({"rater": rater, **await run_in_threadpool(self._progress, rater)})

    def item(self, request: Request) -> Response:
        rater = rater_name(request.query_params.get("rater"))
        order = self.study.sheet.order(rater)
        at = request.query_params.get("at", "")
        if not re.fullmatch(r"[0-9]{1,6}", at) or not 1 <= int(at) <= len(order):
            raise HTTPException(404, f"items are numbered from 1 to {len(order)}")
        item = order[int(at) - 1]
        given = self.study.given(rater)
        said = {q.key: given[item.id, q.key].value for q in item.questions if (item.id, q.key) in given}
        return _json({"at": int(at), "total": len(order), "item": item.for_page(), "given": said})

    async def rating(self, request: Request) -> Response:
        sent = await _body(request)
        rater = rater_name(sent.get("rater"))
        if isinstance(sent.get("item"), str) and sent["item"] not in self.study.sheet.items:
            raise HTTPException(404, "there is no such item on this sheet")
        values = [sent.get(name) for name in ("item", "question", "value", "seconds")]
        await run_in_threadpool(self.study.add, rater, *values)
        return _json({"saved": True})

    def _progress(self, rater: str) -> dict[str, int]:
        """Return the number of items, of those done, and the first that is not done (one past the last if all are)."""
        given = self.study.given(rater)
        done = [is_done(item, given) for item in self.study.sheet.order(rater)]
        return {"total": len(done), "done": sum(done), "at": [*done, False].index(False) + 1}


class _Guard:
    """Middleware that refuses calls under foreign names and from foreign pages, and adds headers for the browser."""

    def __init__(self, app: ASGIApp, *, host: str, policy: str) -> None:
        self._app = app
        self._names = LOOPBACK | {host.casefold()}
        self._is_open = host.casefold() not in LOOPBACK
        self._headers = {
            "cache-control": "no-store",
            "content-security-policy": policy,
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        app: ASGIApp = self._app
        headers = Request(scope).headers
        host = headers.get("host", "")
        if not self._is_ours(host):
            app = _refusal(421, "this server answers only under a name of the computer that it runs on")
        elif not _is_from(host, headers.getlist("origin")):
            app = _refusal(403, "this server takes no call from a page of another site")
        await app(scope, receive, send_guarded)

    def _is_ours(self, header: str) -> bool:
        """Return whether the Host header names this computer.

        A server for other computers is called by its own name or by an address, which DNS cannot rebind.
        """
        found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::[0-9]+)?", header)
        name = (found[1] or found[2]).casefold() if found else ""
        if name in self._names:
            return True
        return self._is_open and (name == socket.gethostname().casefold() or _is_address(name))


def _is_from(host: str, origins: list[str]) -> bool:
    """Return whether a call comes from our own page, or from no page: a browser tells the page by its Origin."""
    ours = [f"{scheme}://{host.casefold()}" for scheme in ("http", "https")]
    return all(origin.casefold() in ours for origin in origins)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _body(request: Request) -> dict[str, Any]:
    """Read the JSON object that was sent. Raises HTTPException for anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip().casefold() != "application/json":
        raise HTTPException(415, "send application/json")
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > _LONGEST_BODY:
                raise HTTPException(413, f"send at most {_LONGEST_BODY} bytes")
        sent = json.loads(data)
    except ClientDisconnect as error:
        raise HTTPException(400, "the call ended early") from error
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "that is not JSON") from error
    if not isinstance(sent, dict):
        raise HTTPException(400, "send a JSON object")
    return sent


def _json(value: dict[str, Any], status: int = 200) -> Response:
    """Encode as ASCII, so that a text with half a character in it can be sent too."""
    return Response(json.dumps(value), status_code=status, media_type="application/json")


def _refusal(status: int, message: str) -> Response:
    return _json({"error": message, "status": status}, status)


def _refuse(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return _refusal(error.status_code, error.detail)
    return _refusal(400, str(error))


def _fail(_: Request, error: Exception) -> Response:
    reason = error.strerror if isinstance(error, OSError) else ""
    return _refusal(500, f"the server cannot read or write the ratings: {reason or error}")


def _policy(page: str) -> str:
    """Return a Content-Security-Policy: the page's own script and style, by hash, and calls to this server."""
    hashes = {}
    for tag in ("script", "style"):
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        hashes[tag] = " ".join(
            f"'sha256-{base64.b64encode(bytes.fromhex(digest(text))).decode()}'" for text in inside
        )
    return (
        f"default-src 'none'; script-src {hashes['script']}; style-src {hashes['style']}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
