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
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from vecspeak.errors import UserError
from vecspeak.http_guard import Guard
from vecspeak.raters.study import Study, is_done, rater_name
from vecspeak.storage import digest

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
        middleware=[Middleware(Guard, host=host, policy=_policy(page), refusal=_refusal)],
        exception_handlers={UserError: _refuse, HTTPException: _refuse, OSError: _fail},
    )


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
