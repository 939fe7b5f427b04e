"""`vecspeak iterate`: answers that a search finds about training texts become targets."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.searching import Effort


@click.command()
@click.argument("recipe", type=options.PATH)
@click.option(
    "--work", type=options.PATH, required=True, help="Folder for caches; a train run's can be shared."
)
@click.option("--out", type=options.PATH, required=True, help="File to write, NAME.jsonl.gz.")
@click.option("--reader", default="reader", show_default=True, help="Reader of the package, or a bundle.")
@options.count_of(1, 1000, "Training texts to ask about.")
@click.option(
    "--effort",
    type=click.Choice(["quick", "normal", "high"]),
    default="normal",
    show_default=True,
    help="How much is searched.",
)
@click.option(
    "--max-hours",
    type=click.FloatRange(0, 1000, min_open=True),
    default=24.0,
    show_default=True,
    help="The run ends after so long, and goes on when it is started again.",
)
@options.engine
@options.as_json
def iterate(
    recipe: Path,
    *,
    work: Path,
    out: Path,
    reader: str,
    count: int,
    effort: "Effort",
    max_hours: float,
    engine: str,
    as_json: bool,
) -> None:
    """Ask about training texts of RECIPE with a search, and keep what the true texts support as targets.

    A recipe learns them by [answers] files = ["NAME.jsonl.gz"]: what the search found is then said at once. Nothing of
    a held-out entity is asked about. The same command goes on with a run that was stopped.
    """
    from vecspeak.api import VecSpeak

    vs = VecSpeak.from_pretrained(reader, engine=engine, notify=note)
    found = vs.iterate(recipe, work=work, out=out, count=count, effort=effort, max_hours=max_hours)
    if as_json:
        emit(
            {"asked": found.asked, "kept": len(found.kept), "left_out": dict(found.left_out), "out": str(out)}
        )
        return
    say(f"{len(found.kept):,} of {found.asked:,} answers are kept in {out}")
    for reason, number in found.left_out.most_common():
        say(f"  {number:,} left out: {reason}")
