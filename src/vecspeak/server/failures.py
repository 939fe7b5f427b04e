"""The one shape of a refusal: that of OpenAI's API, which its clients show as they do their own.

{"error": {"message": "...", "type": "invalid_request_error", "param": null, "code": "..."}}
"""

import json

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from vecspeak.errors import UserError, one_line

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
"""The shape as OpenAPI has it."""


class Busy(Exception):
    """As many questions wait as may."""


class Loading(Exception):
    """What is asked for is being made, and is there later."""


class Late(Exception):
    """A question was not answered in time."""


def refusal(status: int, message: str, *, param: str | None = None, code: str | None = None) -> Response:
    """Make the answer of a status and a sentence."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    said = one_line(message)
    headers = {"retry-after": "2"} if status in (429, 503) else {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    error = {"message": said, "type": kind, "param": param, "code": code}
    # ASCII, so that half a character in a text can be sent too
    return Response(
        json.dumps({"error": error}), status_code=status, media_type="application/json", headers=headers
    )


async def of_user_error(_: Request, error: Exception) -> Response:
    """Answer what a call refuses, which names neither paths nor options of the command line."""
    return refusal(400, str(error))


async def of_http_exception(_: Request, error: Exception) -> Response:
    """Answer an unknown path or method."""
    assert isinstance(error, HTTPException)
    made = refusal(error.status_code, str(error.detail))
    made.headers.update(error.headers or {})
    return made


async def of_invalid_request(_: Request, error: Exception) -> Response:
    """Answer a body or parameter of the wrong kind: where, and what is expected."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    return refusal(
        422, f"{place or 'the request'}: {first['msg']}", param=place or None, code=str(first["type"])
    )


async def of_busy(_: Request, error: Exception) -> Response:
    """Answer that too many questions wait."""
    return refusal(429, str(error), code="queue_full")


async def of_loading(_: Request, error: Exception) -> Response:
    """Answer that something is still being made."""
    return refusal(503, str(error), code="loading")


async def of_late(_: Request, error: Exception) -> Response:
    """Answer that the time is over."""
    return refusal(504, str(error), code="timeout")


async def of_any(_: Request, error: Exception) -> Response:
    """Answer a mistake of ours, of which the caller learns the kind alone: a message may hold paths or texts."""
    return refusal(500, f"the server failed with {type(error).__name__}; its log says where", code="internal")


HANDLERS = {
    UserError: of_user_error,
    HTTPException: of_http_exception,
    RequestValidationError: of_invalid_request,
    Busy: of_busy,
    Late: of_late,
    Loading: of_loading,
    Exception: of_any,
}
"""What answers each kind of error."""

__all__ = ["HANDLERS", "SCHEMA", "Busy", "Late", "Loading", "refusal"]
