"""HTTP to a server of vLLM: requests and replies as JSON, streams as server-sent events.

Each request has a connection of its own and one deadline from connecting to the last byte. What is asked goes to the
address that was given: along no redirect and through no proxy. A key, if there is one, goes there alone.
"""

import json
import random
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from vecspeak.bounds import check_levels
from vecspeak.errors import UserError, first_line, shorten
from vecspeak.llm_client import Endpoint
from vecspeak.network import Deadline, TooLargeError, read_within, redirect_target

_MOST_BYTES = 4 << 20
"""Bytes of a reply, and of one event of a stream, that are read."""
_CONNECT_SECONDS = 10.0
_PASSING = (429, 502, 503, 504)
"""Statuses after which the same request may succeed: a server, or what stands before it, is busy or starts again."""
_FIRST_WAIT = 0.5
_DATA, _DONE = b"data:", b"[DONE]"


class VLLMRefusal(UserError):
    """A server of vLLM does not take a request; `said` are its own words."""

    def __init__(self, message: str, hint: str, said: str = "") -> None:
        super().__init__(message, hint)
        self.said = said


@contextmanager
def as_vllm(address: Endpoint) -> Iterator[None]:
    """Raise UserError for a reply that is none of vLLM's."""
    try:
        yield
    except UserError:  # which is a ValueError
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(
            f"{address.shown} does not reply as vLLM does", "give the address of a vLLM of this year"
        ) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


class OpenCalls:
    """Requests that are on their way, which another thread may end."""

    def __init__(self) -> None:
        self.is_over = False
        self._deadlines: set[Deadline] = set()

    @contextmanager
    def within(self, seconds: float) -> Iterator[Deadline]:
        """Give a deadline that `end` cuts too."""
        deadline = Deadline(seconds)
        self._deadlines.add(deadline)
        if self.is_over:
            deadline.cut()
        try:
            yield deadline
        finally:
            self._deadlines.discard(deadline)

    def end(self) -> None:
        """Cut all connections off, and those that are still to come."""
        self.is_over = True
        for deadline in list(self._deadlines):
            deadline.cut()


class VLLMServer:
    """Sends requests to one server. Safe to use from threads; connects to nothing before the first request."""

    def __init__(self, address: Endpoint) -> None:
        self.address = address
        parts = urlsplit(address.url)
        self._root = parts.path.rstrip("/").removesuffix("/v1")
        self._host, self._is_plain = parts.netloc.rpartition("@")[2], parts.scheme == "http"

    def get(self, path: str) -> Any:
        """The JSON of a reply. Raises UserError where none comes."""
        return self._whole("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """The JSON of a reply to a request. Raises UserError where none comes."""
        return self._whole("POST", path, body)

    def events(self, path: str, body: Any, calls: OpenCalls) -> Generator[Any, None, None]:
        """The JSON of each event of a streamed reply, as they come; another thread may end the calls.

        Raises UserError where the stream does not begin, also after some tries, or breaks off.
        """
        for failed in count():
            begun = False
            try:
                with (
                    calls.within(self.address.timeout) as deadline,
                    self._replied("POST", path, body, deadline) as reply,
                ):
                    for said in _data_of(reply):
                        event = self._parsed(said)
                        if isinstance(event, dict) and "error" in event:
                            raise self._refusal(500, said)
                        begun = True
                        yield event
                return
            except _Passing as error:
                self._wait(failed, error, begun or calls.is_over)

    def _whole(self, method: str, path: str, body: Any) -> Any:
        for failed in count():
            try:
                with self._replied(method, path, body, Deadline(self.address.timeout)) as reply:
                    said = read_within(iter(lambda: reply.read1(1 << 16), b""), _MOST_BYTES)
                    return self._parsed(said)
            except _Passing as error:
                self._wait(failed, error, False)
        raise AssertionError("the last failure is raised")

    def _parsed(self, said: bytes) -> Any:
        """The value of JSON in UTF-8, whose numbers are numbers. Raises UserError for anything else."""
        with as_vllm(self.address):
            check_levels(said, f"a reply of {self.address.shown}")
            return json.loads(said.decode("utf-8"), parse_constant=_refuse_constant)

    def _wait(self, failed: int, error: "_Passing", is_last: bool) -> None:
        """Wait before a request is sent again. Raises its failure where it was sent often enough."""
        if is_last or failed == self.address.retries:
            raise error.failure from error
        time.sleep(_FIRST_WAIT * 2**failed * random.uniform(0.75, 1.0))

    @contextmanager
    def _replied(self, method: str, path: str, body: Any, deadline: Deadline) -> Iterator[HTTPResponse]:
        """The reply to a request, open to be read. Raises UserError, and _Passing for what may succeed later."""
        where = self.address.shown
        connection = (HTTPConnection if self._is_plain else HTTPSConnection)(
            self._host, timeout=min(_CONNECT_SECONDS, self.address.timeout)
        )
        try:
            with deadline:
                connection.connect()
                deadline.watch(connection.sock)
                connection.sock.settimeout(None)  # the deadline is for the whole reply
                data = None if body is None else json.dumps(body).encode()
                connection.request(method, f"{self._root}{path}", body=data, headers=self._headers())
                reply = connection.getresponse()
                if reply.status >= 300:
                    raise self._refused(reply)
                yield reply
        except UserError:  # which is a ValueError
            raise
        except TooLargeError as error:
            raise UserError(f"{where} sends more than {_MOST_BYTES >> 20} MiB at once", _LOOK) from error
        except (OSError, ValueError, HTTPException) as error:
            if deadline.has_passed:
                raise UserError(
                    f"{where} did not reply within {self.address.timeout:g} s",
                    "ask for fewer tokens, or at less a time",
                ) from error
            if connection.sock is None and isinstance(error, OSError):
                raise UserError(
                    f"nothing answers at {where} ({first_line(error)})",
                    f"start the server there, or correct `{self.address.option}`",
                ) from error
            raise _Passing(
                UserError(f"{where} broke the connection off: {first_line(error)}", _LOOK)
            ) from error
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        key = {"Authorization": f"Bearer {self.address.key}"} if self.address.key else {}
        return {"Accept-Encoding": "identity", "Content-Type": "application/json", **key}

    def _refused(self, reply: HTTPResponse) -> Exception:
        said = read_within(iter(lambda: reply.read1(1 << 16), b""), _MOST_BYTES)
        if 300 <= reply.status < 400:
            there = redirect_target(self.address.url, reply.getheader("Location", ""))
            return UserError(
                f"{self.address.shown} sends on to {there} (status {reply.status}), and what is asked goes to no "
                "address but yours",
                f"give that one to `{self.address.option}` if you trust it",
            )
        found = self._refusal(reply.status, said)
        return _Passing(found) if reply.status in _PASSING else found

    def _refusal(self, status: int, said: bytes) -> VLLMRefusal:
        words = self._words(said)
        if status in (401, 403):
            hint = "set VLLM_API_KEY to the key that the server was started with"
        else:
            hint = _LOOK
        return VLLMRefusal(f"{self.address.shown} answers {status}: {shorten(words, 200)}", hint, words)

    def _words(self, said: bytes) -> str:
        """The server's own words on one line, without the key, which it may say again."""
        try:
            found = self._parsed(said)
            words = str((found.get("error") or found).get("message") or found)
        except (UserError, AttributeError):
            words = said[:2000].decode(errors="replace")
        words = words.replace(self.address.key, "(the key)") if self.address.key else words
        return " ".join("".join(one if one.isprintable() else " " for one in words).split())


def _data_of(reply: HTTPResponse) -> Iterator[bytes]:
    """What each server-sent event holds. Raises HTTPException where the stream ends before its end was said."""
    while line := reply.readline(_MOST_BYTES + 1):
        if len(line) > _MOST_BYTES:
            raise TooLargeError
        said = line.removeprefix(_DATA).strip()
        if said == _DONE:
            return
        if line.startswith(_DATA):
            yield said
    raise HTTPException("the stream has no end")


_LOOK = "look at the server's own lines, then run the same again"


class _Passing(Exception):
    """A request failed in a way that may pass."""

    def __init__(self, failure: UserError) -> None:
        super().__init__()
        self.failure = failure
