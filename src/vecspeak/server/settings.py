"""What a server allows: how much at once, how large, how long, and to whom."""

from dataclasses import dataclass

from vecspeak.errors import UserError, check_number, check_whole
from vecspeak.network import LOOPBACK

RATING = "/rate"
"""Where a rating sheet lies, if one is served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Limits of a server; the defaults suit one person's laptop."""

    host: str = "127.0.0.1"
    api_key: str = ""
    """What a caller must send as `Authorization: Bearer KEY`; empty asks for none, on this computer alone."""
    most_waiting: int = 256
    """Questions that may wait or be answered at once, and other long calls; more are refused with status 429."""
    most_together: int = 32
    """Questions that are answered in one batch."""
    most_bytes: int = 8 << 20
    """Of the body of a request."""
    most_vectors: int = 8
    """Of a question."""
    most_tokens: int = 512
    """Of an answer."""
    seconds: float = 120.0
    """From a question's arrival to the last of its answer, and for the body of a request to arrive."""

    def __post_init__(self) -> None:
        """Raise UserError for a limit that is none, and for an address that others reach without a key."""
        for name in ("most_waiting", "most_together", "most_bytes", "most_vectors", "most_tokens"):
            check_whole(name, getattr(self, name), 1)
        check_number("seconds", self.seconds, 0.1, 86_400)
        if self.host.casefold() not in LOOPBACK and not self.api_key:
            raise UserError(
                f"others can reach the server at {self.host}, and it asks for no key",
                "set an API key, or listen on 127.0.0.1",
            )
        if self.api_key and (
            not self.api_key.isascii() or not self.api_key.isprintable() or " " in self.api_key
        ):
            raise UserError("the API key holds what no header can", "use letters and digits")
