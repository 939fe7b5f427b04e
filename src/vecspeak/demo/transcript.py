"""Transcript: the demo as plain text for a terminal. Knows results only."""

import textwrap
from collections.abc import Iterator

from vecspeak.asking import CLEAR_MARGIN
from vecspeak.demo.results import Chapter, Demo, Exhibit

_BAR = 20


def transcript(demo: Demo, width: int = 80) -> str:
    """Everything the report says of the answers, wrapped at `width` columns."""
    width = max(40, min(width, 110))
    return "\n".join(
        line for number, chapter in enumerate(demo.chapters, 1) for line in _chapter(number, chapter, width)
    )


def verdict(demo: Demo) -> str:
    """One sentence on how many answers fit their own vector clearly better than other vectors."""
    return (
        f"{demo.wins} of {len(demo.exhibits)} answers lie clearly nearer (by {CLEAR_MARGIN} in cosine) to the "
        "vector that was read than to other vectors of its space."
    )


def _chapter(number: int, chapter: Chapter, width: int) -> Iterator[str]:
    yield from ("", "=" * width, f"{number}. {chapter.title}", "=" * width)
    yield from _wrapped(f"{chapter.intro} {chapter.rule}", width)
    for exhibit in chapter.exhibits:
        yield from _exhibit(exhibit, width)


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
