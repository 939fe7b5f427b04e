"""What our servers have in common: a listening socket, how long they wait, whom they answer, and headers for browsers.

A page of another site can reach a server on this computer in two ways: by a name of its own that DNS points here
(rebinding), which the Host header shows, and by a call from the page, which a browser marks with its Origin.
"""

import asyncio
import ipaddress
import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import h11
import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from vecspeak.errors import UserError
from vecspeak.network import LOOPBACK

NO_PAGE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of a server whose answers are no pages."""
Refusal = Callable[[int, str], ASGIApp]
"""Makes the answer of a status and a sentence."""


class _OneLength(h11.Connection):
    """A connection on which a request says in one way alone where it ends: a proxy may believe the other way."""

    def next_event(self) -> Any:
        """The next event. Raises RemoteProtocolError for a request with Content-Length and Transfer-Encoding."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            names = {name for name, _ in event.headers}  # lower-case, as h11 has them
            if {b"content-length", b"transfer-encoding"} <= names:
                raise h11.RemoteProtocolError("two lengths")
        return event


class ImpatientProtocol(H11Protocol):
    """HTTP/1 that waits for nobody: neither for a request that does not begin nor for a client that does not read.

    Where more connections are open than `most_open`, the one that has waited longest without a whole request gives
    way to the new one: whoever holds a thousand of them open keeps nobody out.
    """

    seconds = 20.0
    """For the headers of a request to arrive, and for a client to read what was sent."""
    most_open = 512

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.conn = _OneLength(h11.SERVER, self.conn._max_incomplete_event_size)

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._since = time.monotonic()
        self._clocks: dict[str, asyncio.TimerHandle] = {}
        self._wait("headers", self._give_up)
        self._make_room()

    def _make_room(self) -> None:
        """Close connections that have waited longest for a request, as many as are too many."""
        others = [one for one in self.connections if isinstance(one, ImpatientProtocol)]
        there = [one for one in others if not one.transport.is_closing()]  # what was closed is listed a while
        too_many = max(0, len(there) - self.most_open)
        for one in sorted((one for one in there if one._is_idle), key=lambda one: one._since)[:too_many]:
            one.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        for clock in self._clocks.values():
            clock.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, unless that is there."""
        super().on_response_complete()
        self._since = time.monotonic()
        self._wait("headers", self._give_up)

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._wait("reading", self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        self._clocks.pop("reading").cancel()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, has headers without end, or says twice how long it is."""
        self._refuse(
            400,
            "that is no HTTP/1 request, its headers are longer than 64 KiB, or it has both Content-Length and "
            "Transfer-Encoding",
        )

    @property
    def _is_idle(self) -> bool:
        """Whether no whole request is there."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def _wait(self, name: str, give_up: Callable[[], None]) -> None:
        if name in self._clocks:
            self._clocks[name].cancel()
        self._clocks[name] = self.loop.call_later(self.seconds, give_up)

    def _give_up(self) -> None:
        """End a connection on which no request has begun."""
        if self.cycle is None or self.cycle.response_complete:
            self._refuse(408, f"no request came in {self.seconds:g} s")

    def _refuse(self, status: int, message: str) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        body = json.dumps({"error": error}).encode("ascii")
        headers = [
            ("content-type", "application/json"),
            ("content-length", f"{len(body)}"),
            ("connection", "close"),
        ]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            for event in (
                h11.Response(status_code=status, headers=headers),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def make_server(
    app: ASGIApp, *, seconds_to_stop: int = 2, lifespan: Literal["on", "off"] = "off"
) -> uvicorn.Server:
    """Make a server that prints errors only; `.run(sockets=[listener])` serves until it is stopped.

    When it is stopped, answers that are being sent have `seconds_to_stop` to end. `lifespan` is for an application
    that begins and ends something of its own.
    """
    config = uvicorn.Config(
        app,
        access_log=False,
        http=ImpatientProtocol,
        lifespan=lifespan,
        log_level="error",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=seconds_to_stop,
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


class Guard:
    """Middleware that refuses calls under foreign names and from foreign pages, and adds headers for the browser."""

    def __init__(self, app: ASGIApp, *, host: str, policy: str, refusal: Refusal) -> None:
        """`policy` is the Content-Security-Policy of every answer; `host` what the server was told to listen on."""
        self._app, self._refusal = app, refusal
        self._names = LOOPBACK | {host.casefold()}
        self._is_open = host.casefold() not in LOOPBACK
        self._headers: Mapping[str, str] = {
            "cache-control": "no-store",
            "content-security-policy": policy,
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a call, or hand it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    sent.setdefault(name, value)  # a page inside has a policy of its own
            await send(message)

        app: ASGIApp = self._app
        headers = Request(scope).headers
        host = headers.get("host", "")
        if not self._is_ours(host):
            app = self._refusal(421, "this server answers only under a name of the computer that it runs on")
        elif not _is_from(host, headers.getlist("origin")):
            app = self._refusal(403, "this server takes no call from a page of another site")
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
