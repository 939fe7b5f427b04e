"""Limits of what another computer may send: one deadline for a whole reply, and a number of bytes."""

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterable
from threading import Lock, Timer
from types import TracebackType
from urllib.parse import urljoin

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""What this computer calls itself, where no other reaches it."""


class TooLargeError(Exception):
    """A reply has more bytes than are read."""


class Deadline:
    """Cuts connections off after some seconds, whatever they do: a socket's own timeout begins anew with every byte.

    >>> with Deadline(60.0) as deadline:
    ...     deadline.watch(connection.sock)
    ...     reply = connection.getresponse().read()
    """

    def __init__(self, seconds: float) -> None:
        self._timer = Timer(seconds, self.cut)
        self._timer.daemon = True
        self._lock = Lock()
        self._sockets: list[socket.socket] = []
        self.has_passed = False

    def __enter__(self) -> "Deadline":
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()

    def watch(self, connection: socket.socket) -> None:
        """Add a connection, which is cut off at once where the time is over."""
        # A handle of its own: TLS takes the first one over, and a handle that was closed may be another file by then.
        with contextlib.suppress(OSError), self._lock:
            self._sockets.append(socket.fromfd(connection.fileno(), connection.family, connection.type))
        if self.has_passed:
            self.cut()

    def cut(self) -> None:
        """Cut all connections off now, from any thread: the time is over for whoever waits for one."""
        self.has_passed = True
        with self._lock:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


def read_within(chunks: Iterable[bytes], most: int) -> bytes:
    """Join chunks. Raises TooLargeError as soon as they have more than `most` bytes.

    >>> read_within([b"ab", b"c"], 3)
    b'abc'
    """
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > most:
            raise TooLargeError
    return bytes(content)


def shown_address(url: str, most: int = 200) -> str:
    """An address for messages: without a name, a password, a query, and what a terminal would obey.

    >>> shown_address("https://me:secret@example.org/v1?token=secret")
    'https://example.org/v1'
    """
    plain = re.sub(r"//[^/?#]*@", "//", re.split(r"[?#]", url)[0])
    return "".join(one if one.isprintable() else " " for one in plain)[:most]


def redirect_target(url: str, location: str) -> str:
    """Where a server sends on to, for messages; as it was sent where it is no address.

    >>> redirect_target("http://127.0.0.1/v1", "http://[::1")
    'http://[::1'
    """
    try:
        return shown_address(urljoin(url, location))
    except ValueError:
        return shown_address(location)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: `localhost`, or an address that no packet leaves it by.

    >>> [is_loopback(one) for one in ("localhost.", "127.1", "[::1]", "::ffff:127.0.0.1", "example.org")]
    [True, True, True, True, False]
    """
    plain = host.strip("[]").rstrip(".").lower()
    if plain == "localhost":
        return True
    try:
        found = ipaddress.ip_address(plain)
    except ValueError:  # a name, or a short form such as 127.1
        try:
            found = ipaddress.ip_address(socket.inet_aton(plain))
        except (OSError, UnicodeError):
            return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
