"""What our servers have in common: a listening socket, the names under which they answer, and headers for browsers.

A page of another site can reach a server on this computer in two ways: by a name of its own that DNS points here
(rebinding), which the Host header shows, and by a call from the page, which a browser marks with its Origin.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Mapping
from typing import Literal

import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vecspeak.errors import UserError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
NO_PAGE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of a server whose answers are no pages."""
Refusal = Callable[[int, str], ASGIApp]
"""Makes the answer of a status and a sentence."""


def make_server(
    app: ASGIApp, *, seconds_to_stop: int = 2, lifespan: Literal["on", "off"] = "off"
) -> uvicorn.Server:
    """Make a server that prints warnings only; `.run(sockets=[listener])` serves until it is stopped.

    When it is stopped, answers that are being sent have `seconds_to_stop` to end. `lifespan` is for an application
    that begins and ends something of its own.
    """
    config = uvicorn.Config(
        app,
        access_log=False,
        lifespan=lifespan,
        log_level="warning",
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
                MutableHeaders(scope=message).update(self._headers)
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
