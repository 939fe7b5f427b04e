"""`vecspeak diff`: two points or regions, and what each has that the other has not."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options, show
from vecspeak.cli.show import emit, note, write_page
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.explore.compare import Difference, Side


@click.command()
@options.bundle
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@options.space
@click.option("--question", default="", help="What is asked of both.  [default: Compare {x} with {y}.]")
@options.no_reader
@options.engine
@options.seed("Of all draws.")
@options.page
@options.as_json
def diff(
    bundle: Path,
    first: str,
    second: str,
    *,
    space: str,
    question: str,
    no_reader: bool,
    engine: str,
    seed: int,
    page: Path | None,
    as_json: bool,
) -> None:
    """Hold A against B: expressions, or regions written cluster(3), 'where: QUERY' or 'ids: FILE'.

    Examples:
        vecspeak diff movies.bundle '"Heat"' 'mid("Heat", "Alien")'

        vecspeak diff movies.bundle 'cluster(3)' 'where: genres = "Horror"'

    """
    from vecspeak.api import VecSpeak
    from vecspeak.explore.atlas import to_json

    vs = VecSpeak.load(bundle, engine=engine, notify=note)
    found = vs.diff(first, second, question=question, reader=not no_reader, seed=seed, space=space)
    write_page(found, page)
    if as_json:
        emit(to_json(found))
    else:
        _print(found)


def _print(found: "Difference") -> None:
    for slot, side in (("A", found.first), ("B", found.second)):
        _print_side(slot, side)
    say(
        f"cosine {found.cosine:.2f}: farther apart than {found.farther_than:.0f}% of random pairs of real items"
    )
    if found.of_random_sets is not None:
        say(f"centroids of random sets of these sizes have {show.interval(found.of_random_sets)}")
    if found.num_in_both:
        say(f"{found.num_in_both:,} items are in both, and count in neither below")
    for name, more, columns in (
        ("A", found.more_in_first, ("A", "B")),
        ("B", found.more_in_second, ("B", "A")),
    ):
        if more is not None:
            say("", f"more in {name}")
            show.print_contrast(more, columns)
    if found.compared is not None:
        say("", f"what the reader says, with x = A and y = B: {found.compared.question}")
        show.print_compared(found.compared)


def _print_side(slot: str, side: "Side") -> None:
    size = f": {side.num_items:,} items" if side.num_items else ""
    say(f"{slot} = {side.name}{size}")
    show.print_near("most typical" if side.num_items else "nearest items", side.nearest)
    if side.words:
        say(f"  {'words':<16} {side.words}")
    if side.own:
        near = "; ".join(f"{one.label} (+{one.similarity:.2f})" for one in side.own)
        say(f"  {'most on its side':<16} {near}")
