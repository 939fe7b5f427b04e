"""The HTTP connection of `llm_client`: what it sends, and how much of a reply it waits for and reads.

Each request has a connection of its own, so that no late or second reply is taken for that to another request, and one
deadline from connecting to the last byte. Nothing compressed is asked for or read, no redirect is followed, and
certificates are always verified. Proxies are those of the environment, but never for this machine.

Imported where the package openai is known to be there: its client is built on httpx, or on httpx2 from 3.0 on.
"""

import sys
from functools import partial
from typing import Any

from openai import DefaultHttpxClient, OpenAIError

from vecspeak.network import Deadline, TooLargeError, read_within

MOST_BYTES = 4 << 20
"""Bytes of a reply that are read: a hundred times what the longest answer that is asked for needs."""
_HTTP = sys.modules[DefaultHttpxClient.__base__.__module__]
_UNTOLD = ("openai-", "x-stainless-")
"""Headers that the client adds by itself: an account's ids from the environment, and what runs on this machine."""


class UnusableReplyError(OpenAIError):
    """A reply that is not read to its end; the words follow the server's address."""


class BoundedClient(DefaultHttpxClient):
    """A client whose replies have all come, within their bounds, when `send` returns."""

    def __init__(self, *, direct: str) -> None:
        """`direct` is a host that no proxy is asked for; empty for none."""
        super().__init__(
            follow_redirects=False,
            headers={"Accept-Encoding": "identity"},
            limits=_HTTP.Limits(max_keepalive_connections=0),
            mounts={f"all://{f'[{direct}]' if ':' in direct else direct}": None} if direct else None,
        )

    def send(self, request: Any, **options: Any) -> Any:
        """Send a request. Its timeout for one read is the deadline of the whole reply.

        Raises UnusableReplyError for a reply that is compressed or has too many bytes.
        """
        untold = {name: value for name, value in request.headers.items() if name.startswith(_UNTOLD)}
        for name in untold:
            del request.headers[name]
        with Deadline(request.extensions["timeout"]["read"]) as deadline:
            request.extensions["trace"] = partial(_watch, deadline)
            try:
                response = super().send(request, **{**options, "stream": True})
                try:
                    content = _content(response)
                finally:
                    response.close()
            except (_HTTP.HTTPError, OSError):
                if not deadline.has_passed:
                    raise
            if deadline.has_passed:  # also where a reply without a length seems to have come to its end
                raise _HTTP.ReadTimeout("the whole reply took too long", request=request)
        request.headers.update(untold)  # openai reads there what it made of the request
        headers = [
            # a charset is not believed: JSON is UTF-8, and some of Python's codecs are of no text
            (name, value.partition(";")[0] if name.lower() == "content-type" else value)
            for name, value in response.headers.multi_items()
            if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        return _HTTP.Response(response.status_code, headers=headers, content=content, request=request)


def _watch(deadline: Deadline, event: str, info: dict[str, Any]) -> None:
    """Put each new connection under the deadline: httpcore tells of it before TLS begins."""
    if event == "connection.connect_tcp.complete":
        deadline.watch(info["return_value"].get_extra_info("socket"))


def _content(response: Any) -> bytes:
    """The bytes as they come. Unpacking is left to nobody: a thousandth of a reply would decide its size."""
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnusableReplyError("sends a compressed reply, which was not asked for")
    try:
        return read_within(response.iter_raw(), MOST_BYTES)
    except TooLargeError as error:
        raise UnusableReplyError(f"sends a reply of more than {MOST_BYTES >> 20} MiB") from error
