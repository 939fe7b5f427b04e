"""Page: a report, or a comparison of two, as one self-contained HTML page. No script, no request; all is escaped.

Knows reports, comparisons, plots and its templates. Computes only what the verdict says in words.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, PackageLoader, StrictUndefined

from vecspeak.evaluation.report import OVER_SWAP, READER, Entity, EvaluatedSet, Measure, Report
from vecspeak.explore.atlas import Atlas
from vecspeak.explore.regions import feature_name
from vecspeak.explore.trace import Trace
from vecspeak.report import figures as plots
from vecspeak.report.compare import (
    Comparison,
    SetComparison,
    about,
    caution,
    flat,
    system_difference,
    verdict_of,
)
from vecspeak.report.region_map import Map, colours
from vecspeak.report.tables import Verdict, cell, interval, measured, notices, number, verdict
from vecspeak.report.task_tables import cells, task_heads, task_rows
from vecspeak.stats import Estimate
from vecspeak.storage import replace_file

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
class _SetView:
    """A set with everything that its section shows."""

    one: EvaluatedSet
    verdict: Verdict
    notices: tuple[str, ...]
    rivalries: tuple[Rivalry, ...]
    measures: tuple[Measure, ...]
    panels: tuple[plots.Panel, ...]
    folded: tuple[plots.Panel, ...]
    ranks: plots.RankPlot | None
    examples: tuple[Examples, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _RaterView:
    """What one rater said."""

    name: str
    about: str
    trusted: bool | None
    """None where the rater was not checked."""
    check: str
    """The check's verdict in words."""
    scales: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """System, and a cell a scale."""
    pairs: tuple[tuple[str, str, str, str], ...]
    """Baseline, and the reader's wins, ties and losses."""
    others: tuple[tuple[str, str], ...]
    """Rows of what is known to no template."""


def write_page(path: str | Path, page: str) -> None:
    """Write a rendered page, whole or not at all. Raises UserError when it cannot be written."""
    with replace_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


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
        panels=[_difference_panels(one) for one in comparison.sets],
        about=about,
        caution=caution,
        reader=READER,
    )


def _render(template: str, **values: Any) -> str:
    return (
        _environment()
        .get_template(template)
        .render(WIDTH=plots.WIDTH, LEFT=plots.LEFT, RIGHT=plots.RIGHT, READER=READER, **values)
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "cell": cell,
        "cells": cells,
        "interval": interval,
        "number": number,
        "cut": cut,
    }
    environment.filters |= filters
    return environment


def cut(text: str) -> str:
    """A text as it is, or its beginning up to a word where it is long."""
    if len(text) <= _LONGEST:
        return text
    return text[:_LONGEST].rpartition(" ")[0] + " […]" if " " in text[:_LONGEST] else text[:_LONGEST] + "[…]"


# --- a set ---


def _set_view(one: EvaluatedSet, seed: int) -> _SetView:
    measures = measured(one)
    panels = [_panel(one, measure) for measure in measures]
    return _SetView(
        one=one,
        verdict=verdict(one),
        notices=tuple(notices(one)),
        rivalries=tuple(rivalries(one)),
        measures=tuple(measures),
        panels=tuple(panel for panel in panels if panel.measure.key in _OPEN),
        folded=tuple(panel for panel in panels if panel.measure.key not in _OPEN),
        ranks=_rank_plot(one),
        examples=tuple(examples(one, seed)),
    )


def rivalries(one: EvaluatedSet) -> Iterator[Rivalry]:
    """The reader against each rival that is there, paired by entity."""
    measures = [measure for measure in one.measures if measure.key in HEADLINES]
    for key in RIVALS:
        rival = one.system(key)
        found = [(measure, system_difference(one, READER, key, measure)) for measure in measures]
        differences = tuple((m, gap, verdict_of(m, gap)) for m, gap in found if gap is not None)
        if rival is not None and differences:
            yield Rivalry(name=rival.name, differences=differences)


def _panel(one: EvaluatedSet, measure: Measure) -> plots.Panel:
    rows = [(s.key, s.name, s.estimates[measure.key]) for s in one.systems if measure.key in s.estimates]
    return plots.panel(measure, rows, zero=measure.key in ("gap", OVER_SWAP))


def _rank_plot(one: EvaluatedSet) -> plots.RankPlot | None:
    ranks = {}
    for key in _RANKED:
        system, series = one.system(key), one.series(key, "rank")
        if system is not None and series is not None:
            ranks[key] = (system.name, series.values[series.counted > 0])
    return plots.rank_plot(ranks, one.among)


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


def _rater_view(name: str, said: Any, report: Report) -> _RaterView:
    """Raters of `vecspeak judge` in tables; what else stands there as rows of names and values."""
    entry = _mapping(said)
    checks, systems, pairs = (_mapping(entry.get(key)) for key in ("checks", "systems", "pairs"))
    names = _names(report)
    scales = list(dict.fromkeys(key for values in systems.values() for key in _mapping(values)))
    trusted = checks.get("trusted")
    known = isinstance(trusted, bool) and bool(systems)
    return _RaterView(
        name=name,
        about=_rater_about(entry),
        trusted=trusted if isinstance(trusted, bool) else None,
        check=str(checks.get("verdict", "")),
        scales=tuple(map(str, scales)) if known else (),
        rows=tuple(
            (names.get(key, key), tuple(_rated(_mapping(values).get(scale)) for scale in scales))
            for key, values in systems.items()
        )
        if known
        else (),
        pairs=tuple((names.get(key, key), *_shares(_mapping(pair))) for key, pair in pairs.items())
        if known
        else (),
        others=() if known else tuple(flat(entry or {"said": said}))[:_FEWEST_JUDGED],
    )


def _rater_about(entry: Mapping[str, Any]) -> str:
    parts = [
        f"{entry['entities']:,} entities of {entry['set']}" if {"entities", "set"} <= entry.keys() else "",
        f"rated at {entry['url_host']}" if entry.get("url_host") else "",
        f"on {entry['made']}" if entry.get("made") else "",
        f"seed {entry['seed']}" if "seed" in entry else "",
    ]
    return ", ".join(part for part in parts if part)


def _names(report: Report) -> dict[str, str]:
    return {system.key: system.name for one in report.sets for system in one.systems}


def _shares(pair: Mapping[str, Any]) -> tuple[str, str, str]:
    won, tied, lost = (_rated(pair.get(outcome)) for outcome in ("win", "tie", "loss"))
    return won, tied, lost


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


def _difference_panels(one: SetComparison) -> Sequence[plots.Panel]:
    found = []
    for measure in one.measures:
        changes = [change for change in one.changes if change.measure == measure.key]
        if changes:
            rows = [(c.system, one.systems[c.system], c.difference) for c in changes]
            found.append(plots.panel(measure, rows, signed=True))
    return found


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


def write_atlas_page(path: str | Path, atlas: Atlas, drawn: Map) -> None:
    """Render and write the page, whole or not at all. Raises UserError when it cannot be written."""
    page = render_atlas(atlas, drawn)
    with replace_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render_atlas(atlas: Atlas, drawn: Map) -> str:
    """The atlas as HTML."""
    return (
        _atlas_environment()
        .get_template("atlas.html.jinja")
        .render(atlas=atlas, drawn=drawn, colours=colours(len(atlas.regions)))
    )


@cache
def _atlas_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("vecspeak.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["feature_name"] = feature_name
    environment.filters["bar"] = _bar
    return environment


def _bar(value: float) -> str:
    """A share or a cosine as the length of a bar: what is below 0 has none."""
    return f"{100 * min(max(value, 0.0), 1.0):.1f}%"
