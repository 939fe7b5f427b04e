"""The one shape of a refusal: that of OpenAI's API, which its clients show as they do their own.

{"error": {"message": "...", "type": "invalid_request_error", "param": null, "code": "..."}}
"""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from vecspeak.errors import UserError, one_line
from vecspeak.server.sentences import for_callers, of_invalid

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_CODES = {
    400: "invalid_body",
    401: "wrong_key",
    403: "foreign_page",
    404: "no_such_route",
    405: "no_such_method",
    408: "slow_body",
    413: "large_body",
    415: "no_json",
    421: "foreign_host",
    422: "invalid_body",
}
GONE = 499
"""What the counts say of a request whose client went away before its answer; nobody gets it."""
_LONGEST_PLACE = 100


class RefusalDetail(BaseModel):
    """Why a request is refused."""

    message: str
    type: str
    param: str | None
    code: str


class Refusal(BaseModel):
    """What every refusal holds."""

    error: RefusalDetail


_REASONS = {
    400: "What is asked cannot be.",
    401: "The key is missing, or another one.",
    403: "The call comes from a page of another site.",
    404: "There is no such model or space.",
    408: "The body did not come in time.",
    412: "The space is another than the caller has seen.",
    413: "The body is too large.",
    415: "The body is no JSON, or is packed.",
    421: "The server is called by a foreign name.",
    422: "A field is missing or of the wrong kind.",
    429: "Too many requests wait.",
    503: "The models are still being loaded.",
    504: "There was no answer in time.",
}
GUARDED = (401, 403, 421)
"""What any route but /health and /ready may answer."""
POSTED = (*GUARDED, 400, 408, 413, 415, 422, 429)
"""What any route that takes a body may answer."""


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Refusals as OpenAPI has them, by status."""
    return {status: {"description": _REASONS[status], "model": Refusal} for status in statuses}


class Refused(UserError):
    """What a request asks cannot be: with the status, the field and the code that a program reads."""

    def __init__(
        self, message: str, hint: str = "", *, code: str, status: int = 400, param: str | None = None
    ) -> None:
        super().__init__(message, hint, code=code)
        self.status, self.param = status, param


class Busy(Exception):
    """As many questions wait as may."""


class Loading(Exception):
    """What is asked for is being made, and is there later."""


class Late(Exception):
    """A question was not answered in time."""


def refusal(status: int, message: str, *, param: str | None = None, code: str | None = None) -> Response:
    """Make the answer of a status and a sentence; without a code it has that of its status."""
    headers = {"retry-after": "2"} if status in (429, 503) else {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    # ASCII, so that half a character in a text can be sent too
    return Response(
        json.dumps({"error": _detail(status, message, param, code)}),
        status_code=status,
        media_type="application/json",
        headers=headers,
    )


def _detail(status: int, message: str, param: str | None, code: str | None) -> dict[str, Any]:
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    code = code or _CODES.get(status, "refused")
    return {"message": one_line(message), "type": kind, "param": param, "code": code}


def event_of(error: Exception) -> bytes:
    """A failure in the midst of a stream, whose status was sent long ago: the error holds its own."""
    status, message, param, code = _said(error)
    detail = _detail(status, message, param, code) | {"status": status}
    return f"data: {json.dumps({'error': detail})}\n\n".encode("ascii")


def _said(error: Exception) -> tuple[int, str, str | None, str | None]:
    """Status, sentence, field and code; of a mistake of ours the kind alone: messages may hold paths or texts."""
    match error:
        case Refused():
            return error.status, str(error), error.param, error.code
        case UserError():
            return 400, for_callers(error), None, error.code or "cannot_be_asked"
        case Busy():
            return 429, str(error), None, "queue_full"
        case Loading():
            return 503, str(error), None, "loading"
        case Late():
            return 504, str(error), None, "timeout"
        case ClientDisconnect():
            return GONE, "the client has gone", None, None
    return 500, f"the server failed with {type(error).__name__}; its log says where", None, "internal"


async def _answered(_: Request, error: Exception) -> Response:
    status, message, param, code = _said(error)
    return refusal(status, message, param=param, code=code)


async def _of_http_exception(_: Request, error: Exception) -> Response:
    """Answer an unknown path or method."""
    assert isinstance(error, HTTPException)
    said = str(error.detail)
    if said == HTTPStatus(error.status_code).phrase:  # Starlette's own, which says nothing of what to do
        said = f"{said}: /openapi.json lists every route"
    made = refusal(error.status_code, said)
    made.headers.update(error.headers or {})
    return made


async def _of_invalid_request(_: Request, error: Exception) -> Response:
    """Answer a body or parameter of the wrong kind: where, and what is expected."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place, sentence = of_invalid(first)
    place = one_line(place[:_LONGEST_PLACE])  # it may hold a key of the body, of any length
    return refusal(422, sentence, param=place or None, code=str(first["type"]))


HANDLERS: dict[type[Exception], Callable[..., Any]] = {
    UserError: _answered,
    HTTPException: _of_http_exception,
    RequestValidationError: _of_invalid_request,
    Busy: _answered,
    Late: _answered,
    Loading: _answered,
    ClientDisconnect: _answered,
    Exception: _answered,
}
"""What answers each kind of error."""

__all__ = [
    "GUARDED",
    "HANDLERS",
    "POSTED",
    "Busy",
    "Late",
    "Loading",
    "Refusal",
    "Refused",
    "documented",
    "event_of",
    "refusal",
]
