"""Self-contained HTML pages: a report, a comparison of two, a trace, an atlas.

No page has a script or asks for anything, and every text is escaped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vecspeak.evaluation.report import (
    OVER_SWAP,
    READER,
    Entity,
    EvaluatedSet,
    Measure,
    Report,
    check_report_target,
    read_report,
    write_report,
)
from vecspeak.evidence import OUTSIDE
from vecspeak.explore.atlas import Atlas, write_tables
from vecspeak.explore.regions import feature_name
from vecspeak.explore.trace import Trace
from vecspeak.foreign import shown_in_page
from vecspeak.report.compare import (
    Comparison,
    SetComparison,
    about,
    caution,
    compare,
    flat,
    system_difference,
    verdict_of,
)
from vecspeak.report.figures import Picture, forest_plot, line_chart, rank_curves, rank_histograms
from vecspeak.report.maps import atlas_map, place_items, region_colors
from vecspeak.report.tables import (
    cell,
    interval,
    measured,
    notices,
    number,
    task_cells,
    task_heads,
    task_rows,
    verdict,
)
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters
from vecspeak.stats import Estimate
from vecspeak.storage import replace_file, write_json

_TEMPLATES = Path(__file__).parent / "templates"
HEADLINES = ("sc", "sc_2", "bc")
"""Measures by which the reader is held against its rivals in words."""
RIVALS = ("mean", "nearest_text", "nearest_whole", "lm_texts")
"""Systems that it must beat to be of use: no vector, a plain search, a language model that reads what that finds."""
_RANKED = (READER, "nearest_text", "swapped")
_OPEN = ("gap", "sc", OVER_SWAP, "sc_2", "bc", "r10")
"""Measures whose panels are shown at once; the others are folded away."""
_EXAMPLES = 10
_LONGEST = 1200
"""Letters of a text that are shown."""
_FEWEST_JUDGED = 40
"""Rows of what an unknown kind of rater said that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rivalry:
    """The reader minus a rival, by each headline measure that both have."""

    name: str
    differences: tuple[tuple[Measure, Estimate, str], ...]
    """Measure, paired difference and its verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Some entities that are shown with their texts."""

    key: str
    title: str
    rule: str
    """How they were chosen."""
    is_open: bool
    entities: tuple[Entity, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture with what stands above it."""

    title: str
    note: str
    svg: Markup


def write_page(path: str | Path, page: str) -> None:
    """Write a rendered page, whole or not at all. Raises UserError when it cannot be written."""
    with replace_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def save_report(report: Report, out: Path) -> None:
    """Write a report as JSON, and as a page beside it."""
    write_report(out, report)
    write_page(out.with_suffix(".html"), render_page(report))


def compare_reports(first: Path, second: Path, out: Path | None = None) -> Comparison:
    """Compare the reports of two files; written to `out` as JSON and as a page beside it, where that is given."""
    if out:
        check_report_target(out, first, second)
    found = compare(read_report(first), read_report(second))
    if out:
        write_json(out, found.to_dict())
        write_page(out.with_suffix(".html"), render_comparison(found))
    return found


def render_page(report: Report) -> str:
    """The report as HTML; the texts of at most 30 entities a set go in, each cut where it is long."""
    seed = _seed(report)
    return _render(
        "page.html.jinja",
        report=report,
        sets=[_set_view(one, seed) for one in report.sets],
        tasks=task_rows(report.sets),
        heads=task_heads(report.sets),
        raters=[_rater_view(name, said, report) for name, said in report.judged.items()],
        settings=list(flat(report.settings)),
        seed=seed,
    )


def render_comparison(comparison: Comparison) -> str:
    """The comparison as HTML."""
    return _render(
        "comparison.html.jinja",
        comparison=comparison,
        charts=[tuple(_difference_charts(one)) for one in comparison.sets],
        about=about,
        caution=caution,
        reader=READER,
    )


def _render(template: str, **values: Any) -> str:
    return environment().get_template(template).render(READER=READER, **values)


@cache
def environment(*folders: Path) -> Environment:
    """The templates of this room and of further folders, with escaping on and the filters that they use."""
    made = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in (*folders, _TEMPLATES)]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown_in_page,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "cell": cell,
        "cells": task_cells,
        "interval": interval,
        "number": number,
        "cut": cut,
        "feature_name": feature_name,
        "percent": _percent,
    }
    made.filters |= filters
    return made


def _percent(value: float) -> str:
    """A share or a cosine as the length of a bar: what is below 0 has none."""
    return f"{100 * min(max(value, 0.0), 1.0):.1f}%"


def cut(text: str) -> str:
    """A text as it is, or its beginning up to a word where it is long."""
    if len(text) <= _LONGEST:
        return text
    return text[:_LONGEST].rpartition(" ")[0] + " […]" if " " in text[:_LONGEST] else text[:_LONGEST] + "[…]"


# --- a set ---


def _set_view(one: EvaluatedSet, seed: int) -> dict[str, Any]:
    """A set with everything that its section of the page shows."""
    measures = measured(one)
    charts = [(measure.key, _chart(one, measure)) for measure in measures]
    return {
        "one": one,
        "verdict": verdict(one),
        "notices": notices(one),
        "rivalries": list(rivalries(one)),
        "measures": measures,
        "charts": [chart for key, chart in charts if key in _OPEN],
        "folded": [chart for key, chart in charts if key not in _OPEN],
        "ranks": list(_rank_charts(one)),
        "examples": list(examples(one, seed)),
    }


def rivalries(one: EvaluatedSet) -> Iterator[Rivalry]:
    """The reader against each rival that is there, paired by entity."""
    measures = [measure for measure in one.measures if measure.key in HEADLINES]
    for key in RIVALS:
        rival = one.system(key)
        found = [(measure, system_difference(one, READER, key, measure)) for measure in measures]
        differences = tuple((m, gap, verdict_of(m, gap)) for m, gap in found if gap is not None)
        if rival is not None and differences:
            yield Rivalry(name=rival.name, differences=differences)


_DIRECTIONS = {"higher": "higher is better →", "lower": "← lower is better", "": "neither way is better"}


def _forest(measure: Measure, rows: Sequence[tuple[str, str, Estimate]], **options: bool) -> Chart:
    label = f"{measure.name} of each system with its 95% interval"
    svg = forest_plot(measure, rows, **options).svg(label)
    return Chart(title=measure.name, note=_DIRECTIONS[measure.better], svg=svg)


def _chart(one: EvaluatedSet, measure: Measure) -> Chart:
    rows = [(s.key, s.name, s.estimates[measure.key]) for s in one.systems if measure.key in s.estimates]
    return _forest(measure, rows, zero=measure.key in ("gap", OVER_SWAP))


def _rank_charts(one: EvaluatedSet) -> Iterator[Chart]:
    ranks = {}
    for key in _RANKED:
        system, series = one.system(key), one.series(key, "rank")
        if system is not None and series is not None:
            ranks[key] = (system.name, series.values[series.counted > 0])
    if histograms := rank_histograms(ranks, one.among):
        yield Chart(
            title="Where the right entity ranks",
            note="share of entities in each range of ranks; 1 is best",
            svg=histograms.svg("Histograms of ranks"),
        )
    if curves := rank_curves(ranks, one.among):
        yield Chart(
            title="How many are found within each rank",
            note="share of entities whose rank is k or better, by k; higher is better",
            svg=curves.svg("Share found within each rank"),
        )


def examples(one: EvaluatedSet, seed: int) -> Iterator[Examples]:
    """Ten at random, and where the reader has it ten best and ten worst by semantic consistency.

    Best and worst never share an entity; random ones are drawn from all.
    """
    drawn = np.random.default_rng(seed).permutation(one.count)[:_EXAMPLES].tolist()
    yield Examples(
        key="random",
        title="at random",
        rule=f"Drawn from all {one.count:,} with seed {seed}; none was picked by looking.",
        is_open=True,
        entities=tuple(one.entities[index] for index in drawn),
    )
    scored = [entity for entity in one.entities if score_of(entity) is not None]
    ranked = sorted(scored, key=lambda entity: -(score_of(entity) or 0.0))
    shown = min(_EXAMPLES, len(ranked) // 2)
    if shown:
        rule = "By the reader's semantic consistency, highest first."
        yield Examples(key="best", title="best", rule=rule, is_open=False, entities=tuple(ranked[:shown]))
        rule = "By the reader's semantic consistency, lowest first."
        worst = tuple(reversed(ranked[-shown:]))
        yield Examples(key="worst", title="worst", rule=rule, is_open=False, entities=worst)


def score_of(entity: Entity) -> float | None:
    """The reader's semantic consistency of an entity; None where it does not count."""
    if not entity.weights.get(READER, {}).get("sc", 1.0):
        return None
    return entity.values.get(READER, {}).get("sc")


def _seed(report: Report) -> int:
    seed = report.settings.get("seed")
    return seed if isinstance(seed, int) and seed >= 0 else 0


# --- what raters said ---


def _rater_view(name: str, said: Any, report: Report) -> dict[str, Any]:
    """Raters of `vecspeak judge` in tables; what else stands there as rows of names and values."""
    entry = _mapping(said)
    checks, systems, pairs = (_mapping(entry.get(key)) for key in ("checks", "systems", "pairs"))
    names = {system.key: system.name for one in report.sets for system in one.systems}
    scales = list(dict.fromkeys(key for values in systems.values() for key in _mapping(values)))
    trusted = checks.get("trusted")
    known = isinstance(trusted, bool) and bool(systems)
    about = (
        f"{entry['entities']:,} entities of {entry['set']}" if {"entities", "set"} <= entry.keys() else "",
        f"rated at {entry['url_host']}" if entry.get("url_host") else "",
        f"on {entry['made']}" if entry.get("made") else "",
        f"seed {entry['seed']}" if "seed" in entry else "",
    )
    cells = {
        key: [_rated(_mapping(values).get(scale)) for scale in scales] for key, values in systems.items()
    }
    won = {
        key: [_rated(_mapping(pair).get(outcome)) for outcome in ("win", "tie", "loss")]
        for key, pair in pairs.items()
    }
    return {
        "name": name,
        "about": ", ".join(filter(None, about)),
        "trusted": trusted if isinstance(trusted, bool) else None,
        "check": str(checks.get("verdict", "")),
        "scales": list(map(str, scales)) if known else [],
        "rows": [(names.get(key, key), row) for key, row in cells.items()] if known else [],
        "pairs": [(names.get(key, key), *row) for key, row in won.items()] if known else [],
        "others": [] if known else list(flat(entry or {"said": said}))[:_FEWEST_JUDGED],
    }


def _rated(value: Any) -> str:
    """A rater's estimate as text; a dash where there is none."""
    found = [_mapping(value).get(key) for key in ("value", "low", "high")]
    if not all(isinstance(one, int | float) for one in found):
        return "–"
    middle, low, high = (f"{one:z.2f}" for one in found)
    return f"{middle} [{low}, {high}]"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


# --- a comparison ---


def _difference_charts(one: SetComparison) -> Iterator[Chart]:
    for measure in one.measures:
        changes = [change for change in one.changes if change.measure == measure.key]
        if changes:
            rows = [(c.system, one.systems[c.system], c.difference) for c in changes]
            yield _forest(measure, rows, signed=True)


# --- a trace, an atlas ---


def render_trace(trace: Trace) -> str:
    """The trace as HTML, with every answer in full."""
    charts = [
        Chart(title=name, note=note, svg=picture.svg(f"{name} along {trace.concept}"))
        for name, note, picture in _trace_charts(trace)
    ]
    return _render("trace.html.jinja", trace=trace, charts=charts)


def _trace_charts(trace: Trace) -> Iterator[tuple[str, str, Picture]]:
    """What each judge sees in the answers, and how far the steps are from the data."""
    paths = [
        (path.kind, [step.amount for step in path.steps], path.steps) for path in trace.paths if path.steps
    ]
    for judge in trace.path.slopes:
        lines = [(kind, amounts, [step.judged[judge] for step in steps]) for kind, amounts, steps in paths]
        yield f"{trace.concept} in the answer", f"Judged by: {judge}.", line_chart(lines)
    far = [(kind, amounts, [step.percentile for step in steps]) for kind, amounts, steps in paths]
    note = f"Percent of the real items that lie no farther out; above {OUTSIDE:g} is outside the data."
    yield "Distance from the data", note, line_chart(far, span=(0.0, 100.0), limit=OUTSIDE)


def write_trace_page(path: str | Path, trace: Trace) -> None:
    """Write the page, whole or not at all. Raises UserError when it cannot be written."""
    write_page(path, render_trace(trace))


def render_atlas(atlas: Atlas, space: Space, clusters: Clusters) -> str:
    """The atlas as HTML; of more than 5,000 items so many are drawn, by the atlas's seed."""
    rows, places = place_items(space, seed=atlas.seed)
    titles = [one.title for one in atlas.regions]
    picture = atlas_map(places, clusters.labels[rows], titles, clusters.levels)
    return _render(
        "atlas.html.jinja",
        atlas=atlas,
        drawn=picture.svg(f"Map of {atlas.space} with {len(titles)} regions"),
        num_drawn=len(rows),
        colors=region_colors(len(titles)),
    )


def write_atlas_page(path: str | Path, atlas: Atlas, space: Space, clusters: Clusters) -> None:
    """Render and write the page, whole or not at all. Raises UserError when it cannot be written."""
    write_page(path, render_atlas(atlas, space, clusters))


def write_atlas(
    out: Path,
    atlas: Atlas,
    space: Space,
    clusters: Clusters,
    *,
    bundle: str = "",
    on_step: Callable[[str], None] | None = None,
) -> list[Path]:
    """Write regions.csv, regions.json (which names the bundle) and atlas.html into a folder; their paths."""
    tables = write_tables(atlas, out, bundle=bundle)
    if on_step:
        on_step("drawing the map")
    page = out / "atlas.html"
    write_atlas_page(page, atlas, space, clusters)
    return [*tables, page]
