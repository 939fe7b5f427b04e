"""Page: an atlas as one self-contained HTML page. No script, no request; everything that is shown is escaped.

Knows atlases, maps and the page's template, which stands on that of the evaluation's page.
"""

from functools import cache
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from vecspeak.files import replace_file
from vecspeak.regions.atlas import Atlas
from vecspeak.regions.map import Map, colours
from vecspeak.regions.naming import told


def write_atlas_page(path: str | Path, atlas: Atlas, drawn: Map) -> None:
    """Render and write the page, whole or not at all. Raises UserError when it cannot be written."""
    page = render_atlas(atlas, drawn)
    with replace_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render_atlas(atlas: Atlas, drawn: Map) -> str:
    """The atlas as HTML."""
    return (
        _environment()
        .get_template("atlas.html.jinja")
        .render(atlas=atlas, drawn=drawn, colours=colours(len(atlas.regions)))
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("vecspeak.regions"), PackageLoader("vecspeak.evaluation")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["told"] = told
    environment.filters["bar"] = _bar
    return environment


def _bar(value: float) -> str:
    """A share or a cosine as the length of a bar: what is below 0 has none."""
    return f"{100 * min(max(value, 0.0), 1.0):.1f}%"
