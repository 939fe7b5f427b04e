"""Trace page: a trace as one self-contained HTML page. No script, no request; all is escaped.

Knows traces and its template. Computes nothing.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vecspeak.files import replace_file
from vecspeak.tracing import Trace

_TEMPLATES = Path(__file__).parent / "templates"


def write_trace_page(path: str | Path, trace: Trace) -> None:
    """Write the page, whole or not at all. Raises UserError when it cannot be written."""
    with replace_file(path) as temporary:
        temporary.write_text(render_trace(trace), encoding="utf-8")


def render_trace(trace: Trace) -> str:
    """The page's text, with every answer in full."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("trace.html.jinja").render(trace=trace)
