"""`vecspeak trace`: the answers along a concept, where the way leaves the data, and its controls."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note

if TYPE_CHECKING:
    from vecspeak.explore.trace import Path as Way
    from vecspeak.explore.trace import Step, Trace

_WIDE, _NEAR = 110, 3


@click.command()
@options.bundle
@click.argument("expression")
@click.option("--along", "concept", required=True, metavar="CONCEPT", help="The concept to go along.")
@click.option(
    "--steps",
    default="auto",
    show_default=True,
    metavar="AMOUNTS",
    help='In standard deviations of the items: -3..3, "-12..12 by 4", or 0,4,8; auto takes seven, as far as the way '
    "stays in the data.",
)
@click.option("--question", default="Describe {x}.", show_default=True, help="What is asked at every step.")
@click.option(
    "--controls",
    default=1,
    show_default=True,
    type=click.IntRange(0, 20),
    help="N random directions of the items' own spread, and N of any direction, for the same lengths.",
)
@click.option("--reverse", is_flag=True, help="Go the other way too, as a control, where --steps go one way.")
@click.option("--strict", is_flag=True, help="Stop where the way leaves the data.")
@options.space
@click.option(
    "--max-tokens", default=96, show_default=True, type=click.IntRange(1, 2048), help="Longest answer."
)
@options.seed("Of the random directions.", click.IntRange(0))
@options.engine
@options.as_json
@click.option("--out", type=options.PATH, help="Write a page (HTML) with every answer.")
def trace(
    bundle: Path,
    expression: str,
    *,
    concept: str,
    steps: str,
    question: str,
    controls: int,
    reverse: bool,
    strict: bool,
    space: str,
    max_tokens: int,
    seed: int,
    engine: str,
    as_json: bool,
    out: Path | None,
) -> None:
    """Ask BUNDLE at every step along a concept, from the point EXPRESSION.

    Each step shows its amount, how far from the data it lies (percent of the real items that lie no farther), how much
    of the concept is judged to be in the answer, the answer and the nearest items. Controls go equally far along random
    directions: what they change too is not the concept's doing.

        vecspeak trace movies.bundle '"Heat"' --along comedy --steps 0,4,8,12 --reverse

        vecspeak trace movies.bundle '"Heat"' --along horror --steps "-12..12 by 6" --strict --json
    """
    from vecspeak.api import VecSpeak
    from vecspeak.storage import check_target

    if out:
        check_target(out)
    vs = VecSpeak.load(bundle, engine=engine, notify=note)
    found = vs.trace(
        vs.asker(space).point(expression),
        concept,
        steps=steps,
        question=question,
        controls=controls,
        reverse=reverse,
        strict=strict,
        max_new_tokens=max_tokens,
        seed=seed,
        space=space,
        progress=True,
    )
    if out:
        from vecspeak.report.html import write_trace_page

        write_trace_page(out, found)
    if as_json:
        emit(asdict(found))
    else:
        click.echo(_shown(found, out))


def _shown(found: "Trace", out: Path | None) -> str:
    lines = [f"{found.start} along {found.concept} ({found.source}) in {found.space}: {found.question}"]
    if found.caution:
        lines.append(f"CAUTION: {found.caution}")
    lines += found.notes
    names = list(found.path.steps[0].judged)
    for way in found.paths:
        lines += ["", *_way(way, names)]
    lines += ["", *_legend(found, names), "", *_where(found), *_moved(found)]
    if out:
        lines.append(f"every answer is in {out}")
    return "\n".join(lines)


def _way(way: "Way", judges: Sequence[str]) -> list[str]:
    columns = "".join(f"{_short(name):>{_column(name)}}" for name in judges)
    lines = [f"{way.name}:", f"   amount  percentile        {columns}  answer"]
    for step in way.steps:
        lines += _step(step)
    if way.refused:
        lines.append(
            f"  stopped: {', '.join(f'{amount:g}' for amount in way.refused)} would lie outside the data"
        )
    return lines


def _short(judge: str) -> str:
    """The first word of a judge's name, as the head of its column: classifier, encoder."""
    return judge.replace(",", " ").split()[0]


def _column(judge: str) -> int:
    """How wide its column is."""
    return max(len(_short(judge)), 5) + 2


def _legend(found: "Trace", judges: Sequence[str]) -> list[str]:
    """What the columns and the controls are, a line each."""
    lines = ["percentile: share of the real items that lie no farther from the data; above 99 it is outside"]
    for name in judges:
        doubt = "; its interval includes 0.5, a guess, so nothing is concluded from it"
        shown = f"{_short(name)}: how much of {found.concept} is in the answer, in standard deviations of real texts"
        lines.append(f"{shown} ({name}{doubt if name in found.doubted else ''})")
    if any(way.kind in ("random", "isotropic") for way in found.controls):
        lines.append(
            "random direction: drawn as the items vary; isotropic direction: any direction alike; "
            f"neither holds anything of {found.concept}"
        )
    return lines


def _step(step: "Step") -> list[str]:
    far = f"{step.percentile:5.1f}% " + ("OUTSIDE" if step.is_outside else "       ")
    judged = "".join(f"{score:+{_column(name)}.2f}" for name, score in step.judged.items())
    head = f"  {step.amount:+7.2f}      {far} {judged}  "
    room = _WIDE - len(head)
    text = textwrap.shorten(step.text.replace("\n", " ") or "(no answer)", room, placeholder=" ...")
    near = "; ".join(one.label for one in step.nearest[:_NEAR])
    shown = [f"{' ' * len(head)}near: {textwrap.shorten(near, room - 6, placeholder=' ...')}"]
    if step.flags:
        shown.append(
            f"{' ' * len(head)}PRIVACY: states {' and '.join(step.flags)} of a person: do not believe it"
        )
    return [f"{head}{text}", *shown]


def _where(found: "Trace") -> list[str]:
    below, above = found.looked_at
    ways = (("up", above, found.crossings_above), ("down", below, found.crossings_below))
    return [f"{name}: {_crossed(end, crossings)}" for name, end, crossings in ways if end]


def _crossed(end: float, crossings: Sequence[float]) -> str:
    """Every crossing in turn: leaves, inside again, leaves again."""
    if not crossings:
        return f"stays in the data to {end:+g} standard deviations, as far as was looked"
    shown = [f"leaves the data at {crossings[0]:+.1f} standard deviations"]
    for number, amount in enumerate(crossings[1:]):
        shown.append(f"{'outside' if number % 2 else 'inside'} again from {amount:+.1f}")
    return ", ".join(shown) + f" (looked at to {end:+g})"


def _moved(found: "Trace") -> list[str]:
    """How much the judged attribute changes a standard deviation, beside the controls; from one point, so a hint."""
    lines = []
    for judge in found.path.slopes:
        shown = ", ".join(
            f"{way.name} {way.slopes[judge]:+.3f}" for way in found.paths if judge in way.slopes
        )
        lines.append(f"change a step by {judge}: {shown}")
    lines += [f"change a step by {judge}: not told, it may be guessing" for judge in found.doubted]
    if found.path.slopes:
        lines.append(
            "from one point these have no interval: docs/points.md has slopes over many held-out items"
        )
    return lines
