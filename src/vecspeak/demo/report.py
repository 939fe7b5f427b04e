"""Report: the demo as one self-contained page. No script, no request; everything that is shown is escaped.

Knows results, the bundle's items and the page's template, which takes the picture of regions from the atlas's page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined

from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.demo import charts
from vecspeak.demo.chapters import genres_of
from vecspeak.demo.charts import Chart, chart, signed
from vecspeak.demo.maps import HEIGHT, WIDTH, Cloud, all_places, clouds, marks, trails
from vecspeak.demo.places import Projection
from vecspeak.demo.results import OUTSIDE, Demo, TraceChapter
from vecspeak.demo.words import AtlasWords, TraceWords
from vecspeak.model.prompt import PromptTemplate
from vecspeak.report.figures import Frame
from vecspeak.report.region_map import colours
from vecspeak.storage import replace_file

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
        loader=ChoiceLoader([FileSystemLoader(_TEMPLATES), PackageLoader("vecspeak.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pieces"] = _pieces
    environment.filters["percent"] = _percent
    environment.filters["signed"] = signed
    maps = {name: _map(demo, bundle.entry(name)) for name in bundle.entries}
    drawn = {chapter.key: marks(chapter, maps[chapter.space].frame) for chapter in demo.chapters}
    return environment.get_template("report.html.j2").render(
        demo=demo,
        maps=maps,
        marks=drawn,
        width=WIDTH,
        height=HEIGHT,
        trails=trails(demo.trace, maps[demo.trace.plan.space].frame),
        charts=_charts(demo.trace),
        chart_size=(charts.WIDTH, charts.HEIGHT),
        genres=_genres(demo.trace, bundle.entry(demo.trace.plan.space)),
        colours=colours(len(demo.atlas.regions)),
        trace_words=TraceWords.of(demo.trace),
        atlas_words=AtlasWords.of(demo.atlas),
    )


def _map(demo: Demo, entry: SpaceEntry) -> _Map:
    vectors = entry.alignment(entry.space.vectors)
    project = Projection.of(vectors)
    places = project(vectors)
    points = all_places(chapter for chapter in demo.chapters if chapter.space == entry.space.name)
    if demo.trace.plan.space == entry.space.name:
        points = np.array([*points, *((p.x, p.y) for row in demo.trace.places for p in row)])
    frame = Frame.around(places, points if len(points) else None)
    genres = [names or [] for names in entry.space.metadata.column("genres").to_pylist()]
    return _Map(
        name=entry.space.name,
        clouds=clouds(places, genres, frame),
        frame=frame,
        share=project.share,
    )


def _charts(found: TraceChapter) -> tuple[Chart, ...]:
    """What changes along the ways: the answers, what lies near, and how far that is from the data."""
    paths = found.trace.paths
    steps = [(path.kind, [step.amount for step in path.steps]) for path in paths]
    concept = found.trace.concept
    judged = [[step.judged[found.judge] for step in path.steps] for path in paths]
    far = [[step.percentile for step in path.steps] for path in paths]
    most = max(len(step.nearest) for path in paths for step in path.steps)
    return (
        chart(
            f"{concept.capitalize()} in the answer",
            f"Judged by: {found.judge}. Standard deviations of real texts; 0 is their mean.",
            _ways(steps, judged),
        ),
        chart(
            f"{found.value} movies near",
            f"How many of the {most} nearest real movies have the genre {found.value}. No answer plays a part in it.",
            _ways(steps, found.near),
            span=(0.0, float(most)),
        ),
        chart(
            "Distance from the data",
            f"Percent of the real movies that lie no farther out. Above the line at {OUTSIDE:g} is outside the data.",
            _ways(steps, far),
            span=(0.0, 100.0),
            limit=OUTSIDE,
        ),
    )


def _ways(
    steps: Sequence[tuple[str, Sequence[float]]], values: Sequence[Sequence[float]]
) -> list[tuple[str, Sequence[float], Sequence[float]]]:
    return [(kind, amounts, found) for (kind, amounts), found in zip(steps, values, strict=True)]


def _genres(found: TraceChapter, entry: SpaceEntry) -> Mapping[str, tuple[str, ...]]:
    """The genres of every movie that lies near a step, by its id."""
    near = {one.id for path in found.trace.paths for step in path.steps for one in step.nearest}
    return {item: genres_of(entry, entry.space.index_of(item)) for item in near}


def _pieces(question: str) -> tuple[str | None, ...]:
    """The question cut at its vectors."""
    return PromptTemplate(question).segments


def _percent(value: float) -> str:
    """A cosine as the length of a bar: what is below 0 has none."""
    return f"{100 * min(max(value, 0.0), 1.0):.1f}%"
