"""The demo as one self-contained page and as plain text for a terminal, with sentences that both share."""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.demo.chapters import ATLAS, CONCEPT, TRACE, ChapterPlan, genres_of
from vecspeak.demo.data import CONCEPTS
from vecspeak.demo.results import STRUCTURE, AtlasChapter, Chapter, ClauseCount, Demo, Exhibit, TraceChapter
from vecspeak.evidence import OUTSIDE
from vecspeak.explore.trace import Path as Way
from vecspeak.foreign import shown
from vecspeak.model.prompt import PromptTemplate
from vecspeak.report.figures import line_chart, signed
from vecspeak.report.html import Chart, environment, write_page
from vecspeak.report.maps import (
    Frame,
    Projection,
    Spot,
    atlas_map,
    cloud_map,
    point_map,
    region_colors,
    trail_map,
)
from vecspeak.stats import share
from vecspeak.tables.cells import to_python

COLORS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Horror", ("horror",)),
    ("Science fiction", ("science fiction", "sci-fi")),
    ("Family", ("animation", "family film", "children")),
    ("Action", ("action", "adventure", "war", "western", "martial")),
    ("Crime and thriller", ("crime", "thriller", "mystery", "noir", "suspense")),
    ("Comedy", ("comedy", "parody", "slapstick", "satire")),
    ("Romance and drama", ("romance", "romantic", "drama", "melodrama")),
    ("Other", ("",)),
)
"""Names of the map's colors with words of genres; an item takes the first whose word one of its genres has."""
_CONTROLS = {"random": "a random direction", "isotropic": "a random direction of any kind"}
_BAR = 20
_NEAR, _SHOWN = 2, 10
"""Nearest movies of a step, and regions whose sentence is in the transcript; the page has all."""


def color_of(genres: Sequence[str]) -> int:
    """Index of the one color of an item that may have many genres."""
    folded = " | ".join(genre.casefold() for genre in genres)
    return next(index for index, (_, words) in enumerate(COLORS) if any(word in folded for word in words))


# --- the page ---


def write_report(demo: Demo, bundle: Bundle, path: Path) -> None:
    """Render and write the page, whole or not at all. Raises UserError when it cannot be written."""
    write_page(path, render(demo, bundle))


def render(demo: Demo, bundle: Bundle) -> str:
    """The page as HTML."""
    templates = environment(Path(__file__).parent / "templates")
    filters: dict[str, Callable[..., Any]] = {"signed": signed, "pieces": _pieces}
    templates.filters |= filters
    maps = {name: _Map(demo, bundle.entry(name)) for name in bundle.entries}
    dots = np.array(demo.atlas.drawing.dots)
    titles = [one.title for one in demo.atlas.atlas.regions]
    return templates.get_template("report.html.jinja").render(
        demo=demo,
        plans=[*(chapter.plan for chapter in demo.chapters), TRACE, ATLAS],
        trace_plan=TRACE,
        atlas_plan=ATLAS,
        concept=CONCEPT,
        value=CONCEPTS[CONCEPT],
        outside=OUTSIDE,
        maps=maps,
        pictures={
            chapter.plan.key: maps[chapter.plan.space].of_chapter(chapter) for chapter in demo.chapters
        },
        trails=maps[TRACE.space].of_trace(demo.trace),
        charts=_charts(demo.trace),
        ways=dict(zip([path.kind for path in demo.trace.trace.paths], demo.trace.trace.paths, strict=True)),
        counts=dict(zip([path.kind for path in demo.trace.trace.paths], demo.trace.near, strict=True)),
        genres=_genres(demo.trace, bundle.entry(TRACE.space)),
        regions=atlas_map(dots[:, :2], dots[:, 2], titles).svg(
            f"Map of {ATLAS.space} with {len(titles)} regions"
        ),
        region_colors=region_colors(len(titles)),
        verdict=verdict(demo),
        trace_sentences=trace_sentences(demo.trace),
        atlas_sentences=atlas_sentences(demo.atlas),
    )


def _pieces(question: str) -> tuple[str | None, ...]:
    """The question cut at its vectors."""
    return PromptTemplate(question).segments


class _Map:
    """The items of a space, drawn once and shown under the points of each of its chapters."""

    def __init__(self, demo: Demo, entry: SpaceEntry) -> None:
        self.name = entry.space.name
        vectors = entry.alignment(entry.space.vectors)
        project = Projection.from_vectors(vectors)
        places, self.share = project(vectors), project.share
        extra = [
            place
            for chapter in demo.chapters
            if chapter.plan.space == self.name
            for exhibit in chapter.exhibits
            for place in (exhibit.place, *exhibit.parents)
        ]
        if TRACE.space == self.name:
            extra += [place for row in demo.trace.places for place in row]
        self._frame = Frame.around(places, np.array(extra))
        colors = np.array(
            [color_of(names or []) for names in to_python(entry.space.metadata.column("genres"), "genres")]
        )
        rows = {index: np.flatnonzero(colors == index) for index in np.unique(colors).tolist()}
        self.key = [(f"k{index}", COLORS[index][0]) for index in rows]
        groups = {f"k{index}": found for index, found in rows.items()}
        self.items = cloud_map(self._frame, places, groups).group(f"items-{self.name}")

    def of_chapter(self, chapter: Chapter) -> Any:
        """The points of a chapter, numbered as its exhibits are; each place is marked once."""
        spots = {
            one.place: Spot(label=one.subject.mark, at=one.place, number=number, ties=one.parents)
            for number, one in enumerate(chapter.exhibits, 1)
        }
        for one in chapter.exhibits:
            for (label, _), place in zip(one.subject.parents, one.parents, strict=True):
                spots.setdefault(place, Spot(label=label, at=place))
        label = f"Map of {self.name} with the points of this chapter"
        return point_map(self._frame, list(spots.values())).svg(label, under=f"items-{self.name}")

    def of_trace(self, found: TraceChapter) -> Any:
        """The concept's steps and those of the first random direction, with the amounts of the start and both ends.

        Directions of any kind have next to nothing of the two directions of the map: their steps would be one dot.
        """
        trails = []
        for path, places in zip(found.trace.paths, found.places, strict=True):
            shown = (path.steps[0].amount, 0, path.steps[-1].amount) if path.kind == "concept" else ()
            labels = [signed(step.amount) if step.amount in shown else "" for step in path.steps]
            if path.kind in ("concept", "random"):
                trails.append((path.kind, places, labels))
        label = f"Map of {self.name} with the steps of this chapter"
        return trail_map(self._frame, trails).svg(label, under=f"items-{self.name}")


def _charts(found: TraceChapter) -> list[Chart]:
    """What changes along the paths: the answers, what lies near, and how far that is from the data."""
    paths, value = found.trace.paths, CONCEPTS[CONCEPT]
    most = max(len(step.nearest) for path in paths for step in path.steps)
    charts: list[tuple[str, str, list[Sequence[float]], dict[str, Any]]] = [
        (
            f"{CONCEPT.capitalize()} in the answer",
            f"Judged by: {found.judge}. Standard deviations of real texts; 0 is their mean.",
            [[step.judged[found.judge] for step in path.steps] for path in paths],
            {},
        ),
        (
            f"{value} movies near",
            f"How many of the {most} nearest real movies have the genre {value}. No answer plays a part in it.",
            list(found.near),
            {"span": (0.0, float(most))},
        ),
        (
            "Distance from the data",
            f"Percent of the real movies that lie no farther out. Above the line at {OUTSIDE:g} is outside the data.",
            [[step.percentile for step in path.steps] for path in paths],
            {"span": (0.0, 100.0), "limit": OUTSIDE},
        ),
    ]
    made = []
    for title, note, values, options in charts:
        lines = [
            (path.kind, [step.amount for step in path.steps], row)
            for path, row in zip(paths, values, strict=True)
        ]
        svg = line_chart(lines, **options).svg(f"{title} along {CONCEPT} and random directions")
        made.append(Chart(title=title, note=note, svg=svg))
    return made


def _genres(found: TraceChapter, entry: SpaceEntry) -> Mapping[str, tuple[str, ...]]:
    """The genres of every movie that lies near a step, by its id."""
    near = {one.id for path in found.trace.paths for step in path.steps for one in step.nearest}
    return {item: genres_of(entry, entry.space.index_of(item)) for item in near}


# --- sentences ---


def verdict(demo: Demo) -> str:
    """How much of the answers holds, by the vectors and by the movies' own texts."""
    found = demo.clauses
    return (
        f"Of {found.weighed} clauses in {len(demo.exhibits)} answers, {found.supported} are likelier to hold than not, "
        "as far as the vectors tell. Checked by the movies' own texts, "
        f"{_share(found.supported_true, found.supported_checked)} of these hold, and "
        f"{_share(found.others_true, found.others_checked)} of the others."
        f"{'' if _are_apart(found) else ' So few do not tell the two apart; hundreds do (docs/quality.md).'}"
    )


def _share(true: int, checked: int) -> str:
    return f"{true} of {checked} ({share(true, checked):.0%})" if checked else "none of 0"


def _are_apart(found: ClauseCount) -> bool:
    supported = share(found.supported_true, found.supported_checked)
    return supported.low > share(found.others_true, found.others_checked).high


def trace_sentences(found: TraceChapter) -> tuple[str, str, str, str]:
    """How much the answers change, what lies near both ends, what that shows, and where the path leaves the data."""
    paths, judge = found.trace.paths, found.judge
    slopes = ", ".join(f"{_number(path.slopes[judge])} along {_name(path)}" for path in paths)
    counts = ", ".join(
        f"{row[0]} and {row[-1]} along {_name(path)}" for path, row in zip(paths, found.near, strict=True)
    )
    first, last = (signed(paths[0].steps[end].amount) for end in (0, -1))
    seen = (
        "In the answers it rises along the concept, and more than a random direction changes it"
        if found.is_clear
        else "In the answers a random direction changes it, up or down, by as much as the concept does or more, so "
        "this trace alone does not show that the concept is read"
    )
    edges = [edge for edge in (found.trace.leaves_below, found.trace.leaves_above) if edge is not None]
    shown = " and at ".join(signed(round(edge, 1)) for edge in edges)
    where = (
        f"leaves the data at {shown} standard deviations: what is said beyond is a guess."
        if edges
        else f"stays inside the data, from {first} to {last} standard deviations."
    )
    return (
        f"With every standard deviation of the way, {CONCEPT} in the answers changes by {slopes}, in standard "
        f"deviations of real texts. Judged by: {judge}.",
        f"{CONCEPTS[CONCEPT]} movies among the {len(paths[0].steps[0].nearest)} nearest, at {first} and at {last}: "
        f"{counts}.",
        f"{seen}. One movie is an example and no measurement, so these numbers have no interval; benchmarks/points.py "
        "measures them on many.",
        f"The way along {CONCEPT} {where}",
    )


def atlas_sentences(found: AtlasChapter) -> tuple[str, str, str]:
    """How many regions were found back, whether they are groups at all, and whether the bundle holds them."""
    share, count, drawing = found.found_share, len(found.atlas.regions), found.drawing
    groups = (
        f"The silhouette of these regions is {drawing.silhouette:.3f} (1: groups far apart; 0: no groups); of a normal "
        f"cloud of the same spread, which has no groups and was cut the same way, it is {drawing.of_cloud:.3f}. "
    )
    if drawing.silhouette < STRUCTURE:
        groups += "So they are cuts through a cloud, a way of going through it, and not groups found in it."
    else:
        groups += f"From {STRUCTURE:g} on one may speak of groups."
    retained = (
        f"The regions are stored in the bundle: cluster(0) to cluster({count - 1}) are points that can be asked about."
        if found.in_bundle
        else "The bundle holds other regions, which somebody put there; these are not in it."
    )
    return (
        f"{found.found_back} of {count} answers ({share.value:.0%}, 95% interval {share.low:.0%} to "
        f"{share.high:.0%}) fit their own region best among all {count}; guessing would give 1, but they were searched "
        "for by how well they fit it.",
        groups,
        retained,
    )


def _name(path: Way) -> str:
    return _CONTROLS.get(path.kind, path.name)


def _number(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


# --- the terminal ---


def transcript(demo: Demo, width: int = 80) -> str:
    """What the page says of the answers, wrapped at `width` columns; of the trace and the atlas in short."""
    width = max(40, min(width, 110))
    lines: list[str] = []
    for number, chapter in enumerate(demo.chapters, 1):
        lines += _opening(number, chapter.plan, width)
        for exhibit in chapter.exhibits:
            lines += _exhibit(exhibit, width)
    count = len(demo.chapters)
    lines += [*_opening(count + 1, TRACE, width), *_trace(demo.trace, width)]
    lines += [*_opening(count + 2, ATLAS, width), *_atlas(demo.atlas, width)]
    return "\n".join(map(shown, lines))


def _opening(number: int, plan: ChapterPlan, width: int) -> list[str]:
    rule = "=" * width
    return ["", rule, f"{number}. {plan.title}", rule, *textwrap.wrap(f"{plan.intro} {plan.rule}", width)]


def _exhibit(exhibit: Exhibit, width: int) -> Iterator[str]:
    one, subject = exhibit.evidence, exhibit.subject
    yield from ("", f"--- {subject.heading}"[:width])
    outside = ", OUTSIDE THE DATA" if one.percentile > OUTSIDE else ""
    rows = [
        ("asked", f"{exhibit.answer.question}   with x = {one.expression}"),
        ("words", str(one.words) or "(none is read)"),
        ("ANSWER", exhibit.answer.text or "(nothing)"),
        ("holds", exhibit.answer.supported_text or "(no clause is likelier to hold than not)"),
        *((fact.name, fact.text) for fact in subject.facts),
        ("nearest", "; ".join(f"{near.label} ({near.similarity:.2f})" for near in one.nearest)),
        ("distance", f"percentile {one.percentile:.0f}{outside}"),
        ("round trip", f"{_bar(one.round_trip)} {one.round_trip:5.2f} to this vector"),
        ("", f"{_bar(one.swapped)} {one.swapped:5.2f} to other vectors"),
    ]
    for name, text in rows:
        yield from _named(name, text, width)


def _trace(found: TraceChapter, width: int) -> Iterator[str]:
    yield from ("", f"--- {found.start.heading}"[:width])
    asked = f"{found.trace.question}   with x = {found.trace.start} + amount*{CONCEPT}"
    for name, text in [("asked", asked), *((fact.name, fact.text) for fact in found.start.facts)]:
        yield from _named(name, text, width)
    for path in found.trace.paths[:2]:
        yield from ("", f"along {path.name}:"[:width])
        for step in path.steps:
            mark = "OUT" if step.is_outside else "   "
            head = (
                f"{signed(step.amount):>4} {step.percentile:3.0f}% {mark} {step.judged[found.judge]:+5.2f}  "
            )
            near = "; ".join(one.label for one in step.nearest[:_NEAR])
            yield head + _cut(step.text or "(nothing)", width - len(head))
            yield " " * len(head) + _cut(f"near: {near}", width - len(head))
    for sentence in trace_sentences(found):
        yield from ("", *textwrap.wrap(sentence, width))


def _atlas(found: AtlasChapter, width: int) -> Iterator[str]:
    yield ""
    for number, region in enumerate(found.atlas.regions):
        assert region.reading is not None and region.reading.rank is not None, (
            "every region was put into words"
        )
        rank = region.reading.rank
        fits = "fits best" if rank == 1 else f"{rank - 1} fit better"
        yield _cut(f"{number:>3} {region.num_items:>5}  {fits:<12}  {region.title}", width)
        if number < _SHOWN:
            yield " " * 11 + _cut(region.reading.text or "(nothing)", width - 11)
    for sentence in atlas_sentences(found):
        yield from ("", *textwrap.wrap(sentence, width))


def _cut(text: str, width: int) -> str:
    """One line of it."""
    line = text.replace("\n", " ")
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


def _bar(value: float) -> str:
    filled = round(_BAR * min(max(value, 0.0), 1.0))
    return "#" * filled + "." * (_BAR - filled)


def _named(name: str, text: str, width: int) -> list[str]:
    indent = " " * 14
    if len(name) > 12:
        return [f"{name}:", *textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)]
    return textwrap.wrap(text, width, initial_indent=f"{name:<14}", subsequent_indent=indent)
