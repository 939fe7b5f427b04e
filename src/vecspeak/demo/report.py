"""Report: the demo as one self-contained page. No script, no request; everything that is shown is escaped.

Knows results, the bundle's items and the page's template.
"""

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.demo.maps import HEIGHT, WIDTH, Cloud, all_places, clouds, marks
from vecspeak.demo.places import Projection
from vecspeak.demo.results import Demo
from vecspeak.files import replace_file
from vecspeak.picture import Frame
from vecspeak.prompts import PromptTemplate

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Map:
    """The items of a space in the picture, drawn once and shown in each of its chapters."""

    name: str
    clouds: tuple[Cloud, ...]
    frame: Frame
    share: float
    """Share of the variance that the two directions hold."""


def write_report(demo: Demo, bundle: Bundle, path: Path) -> None:
    """Render and write the page, whole or not at all. Raises UserError when it cannot be written."""
    page = render(demo, bundle)
    with replace_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(demo: Demo, bundle: Bundle) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pieces"] = _pieces
    environment.filters["percent"] = _percent
    maps = {name: _map(demo, bundle.entry(name)) for name in bundle.entries}
    drawn = {chapter.key: marks(chapter, maps[chapter.space].frame) for chapter in demo.chapters}
    return environment.get_template("report.html.j2").render(
        demo=demo, maps=maps, marks=drawn, width=WIDTH, height=HEIGHT
    )


def _map(demo: Demo, entry: SpaceEntry) -> _Map:
    vectors = entry.alignment(entry.space.vectors)
    project = Projection.of(vectors)
    places = project(vectors)
    points = all_places(chapter for chapter in demo.chapters if chapter.space == entry.space.name)
    frame = Frame.around(places, points if len(points) else None)
    genres = [names or [] for names in entry.space.metadata.column("genres").to_pylist()]
    return _Map(
        name=entry.space.name,
        clouds=clouds(places, genres, frame),
        frame=frame,
        share=project.share,
    )


def _pieces(question: str) -> tuple[str | None, ...]:
    """The question cut at its vectors."""
    return PromptTemplate(question).pieces


def _percent(value: float) -> str:
    """A cosine as the length of a bar: what is below 0 has none."""
    return f"{100 * min(max(value, 0.0), 1.0):.1f}%"
