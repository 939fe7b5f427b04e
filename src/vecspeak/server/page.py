"""The page for exploring: three files that `make web` builds from `web/`; they hold nothing of any space."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

_FOLDER = Path(__file__).parent / "page"
_FILES = {"/": "index.html", "/page/page.js": "page/page.js", "/page/page.css": "page/page.css"}
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
PAGE_PATHS = frozenset(_FILES)
"""Paths of the page; they need no key."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_routes() -> list[Route]:
    """Routes of the three files."""
    return [Route(path, _file, methods=["GET"]) for path in _FILES]


async def _file(request: Request) -> Response:
    path = _FOLDER / _FILES[request.url.path]
    return FileResponse(
        path,
        media_type=_TYPES[path.suffix],
        headers={"content-security-policy": _POLICY, "cache-control": "no-cache"},
    )
