"""Transcript: the demo as plain text for a terminal. Knows results only."""

import textwrap
from collections.abc import Iterator

from vecspeak.demo.chapters import Plan
from vecspeak.demo.charts import signed
from vecspeak.demo.results import AtlasChapter, Chapter, Demo, Exhibit, TraceChapter
from vecspeak.demo.words import AtlasWords, TraceWords
from vecspeak.evidence import CLEAR_MARGIN
from vecspeak.explore.trace import Path

_BAR = 20
_NEAR, _TOLD = 2, 10
"""Nearest movies of a step, and regions whose sentence is shown here; the page has all."""


def transcript(demo: Demo, width: int = 80) -> str:
    """What the report says of the answers, wrapped at `width` columns; of the trace and the atlas in short."""
    width = max(40, min(width, 110))
    lines = [
        line for number, chapter in enumerate(demo.chapters, 1) for line in _chapter(number, chapter, width)
    ]
    count = len(demo.chapters)
    return "\n".join([*lines, *_trace(count + 1, demo.trace, width), *_atlas(count + 2, demo.atlas, width)])


def verdict(demo: Demo) -> str:
    """One sentence on how many answers fit their own vector clearly better than other vectors."""
    return (
        f"{demo.wins} of {len(demo.exhibits)} answers lie clearly nearer (by {CLEAR_MARGIN} in cosine) to the "
        "vector that was read than to other vectors of its space."
    )


def _chapter(number: int, chapter: Chapter, width: int) -> Iterator[str]:
    yield from _opening(number, chapter, width)
    for exhibit in chapter.exhibits:
        yield from _exhibit(exhibit, width)


def _opening(number: int, plan: Chapter | Plan, width: int) -> Iterator[str]:
    yield from ("", "=" * width, f"{number}. {plan.title}", "=" * width)
    yield from _wrapped(f"{plan.intro} {plan.rule}", width)


def _trace(number: int, found: TraceChapter, width: int) -> Iterator[str]:
    yield from _opening(number, found.plan, width)
    yield from ("", f"--- {found.heading}"[:width])
    yield from _named(
        "asked",
        f"{found.trace.question}   with x = {found.trace.start} + amount*{found.trace.concept}",
        width,
    )
    for fact in found.facts:
        yield from _named(fact.name, fact.text, width)
    for path in (found.trace.path, found.way("random")):
        yield from ("", f"along {path.name}:"[:width])
        yield from _steps(path, found.judge, width)
    words = TraceWords.of(found)
    for sentence in (words.slopes, words.near, words.verdict, words.edges):
        yield ""
        yield from _wrapped(sentence, width)


def _steps(path: Path, judge: str, width: int) -> Iterator[str]:
    """Two lines a step: its amount, its place, how much of the concept is in the answer, the answer; what is near."""
    for step in path.steps:
        mark = "OUT" if step.is_outside else "   "
        head = f"{signed(step.amount):>4} {step.percentile:3.0f}% {mark} {step.judged[judge]:+5.2f}  "
        near = "; ".join(one.label for one in step.nearest[:_NEAR])
        yield head + _cut(step.text or "(nothing)", width - len(head))
        yield " " * len(head) + _cut(f"near: {near}", width - len(head))


def _atlas(number: int, found: AtlasChapter, width: int) -> Iterator[str]:
    yield from _opening(number, found.plan, width)
    yield ""
    for region in found.regions:
        fits = "fits best" if region.rank == 1 else f"{region.rank - 1} fit better"
        yield _cut(f"{region.number:>3} {region.items:>5}  {fits:<12}  {region.title}", width)
        if region.number < _TOLD:
            yield " " * 11 + _cut(region.text or "(nothing)", width - 11)
    words = AtlasWords.of(found)
    for sentence in (words.verdict, words.silhouette, words.kept):
        yield ""
        yield from _wrapped(sentence, width)


def _cut(text: str, width: int) -> str:
    """One line of it."""
    line = text.replace("\n", " ")
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


def _exhibit(exhibit: Exhibit, width: int) -> Iterator[str]:
    yield from ("", f"--- {exhibit.heading}"[:width])
    yield from _named("asked", f"{exhibit.question}   with x = {exhibit.expression}", width)
    yield from _named("ANSWER", exhibit.answer or "(nothing)", width)
    for fact in exhibit.facts:
        yield from _named(fact.name, fact.text, width)
    near = "; ".join(f"{one.label} ({one.similarity:.2f})" for one in exhibit.nearest)
    yield from _named("nearest", near, width)
    outside = ", OUTSIDE THE DATA" if exhibit.outside else ""
    yield from _named("distance", f"percentile {exhibit.percentile:.0f}{outside}", width)
    yield from _named(
        "round trip", f"{_bar(exhibit.round_trip)} {exhibit.round_trip:5.2f} to this vector", width
    )
    yield from _named("", f"{_bar(exhibit.swapped)} {exhibit.swapped:5.2f} to other vectors", width)


def _bar(value: float) -> str:
    filled = round(_BAR * min(max(value, 0.0), 1.0))
    return "#" * filled + "." * (_BAR - filled)


def _named(name: str, text: str, width: int) -> list[str]:
    if len(name) > 12:
        return [f"{name}:", *_wrapped(text, width, " " * 14)]
    return textwrap.wrap(text, width, initial_indent=f"{name:<14}", subsequent_indent=" " * 14)


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)
