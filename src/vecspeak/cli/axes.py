"""`vecspeak axes`: what lies at both ends of the directions of a space."""

from pathlib import Path

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note, write_page
from vecspeak.console import say


@click.command()
@options.bundle
@options.space
@click.option(
    "--of",
    type=click.Choice(["components", "coordinates", "concepts"]),
    default="components",
    show_default=True,
    help="Principal components, the numbers of the vectors themselves, or the concepts that were fitted.",
)
@click.option(
    "--count", type=click.IntRange(1, 10_000), default=10, show_default=True, help="How many, from the first."
)
@options.seed("Of the halves and the random directions.")
@options.page
@options.as_json
def axes(
    bundle: Path, *, space: str, of: str, count: int, seed: int, page: Path | None, as_json: bool
) -> None:
    """Say in words what the two ends of each axis have more of, beside random directions.

    An axis whose words do no better than those of random directions has no meaning found. They can be asked about:
    '"Heat" + 2*pc(3)'. No language model takes part.
    """
    from vecspeak.api import VecSpeak

    found = VecSpeak.load(bundle, notify=note).axes(of, count=count, seed=seed, space=space)  # type: ignore[arg-type]
    write_page(found, page)
    if as_json:
        emit(found.to_dict())
    else:
        say(*found.lines)
