"""`vecspeak trace`: the answers along a concept, where the way leaves the data, and its controls."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.searching import AskedEffort


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
    "--max-tokens", default=64, show_default=True, type=click.IntRange(1, 2048), help="Longest answer."
)
@options.effort("quick")
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
    effort: "AskedEffort | None",
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
    from vecspeak.report.terminal import trace_lines
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
        effort=effort or "quick",
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
        say(*trace_lines(found))
        if out:
            say(f"every answer is in {out}")
