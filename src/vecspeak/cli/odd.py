"""`vecspeak odd`: which items of a space are odd, and why."""

from pathlib import Path

import click

from vecspeak.cli import options
from vecspeak.cli.show import check_apart, emit, note, write_page
from vecspeak.console import say


@click.command()
@options.bundle
@options.space
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(["texts", "copies", "labels", "outliers"]),
    help="What to look for; several may be named.  [default: all]",
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME",
    help="Column whose values are judged; several may be named.  [default: all that hold values]",
)
@click.option("--no-encoder", is_flag=True, help="Embed no text again, though the encoder is at hand.")
@click.option("--out", type=options.PATH, default=None, metavar="FILE.csv", help="Write all odd items there.")
@options.seed("Of all draws.")
@options.page
@options.as_json
def odd(
    bundle: Path,
    *,
    space: str,
    kinds: tuple[str, ...],
    columns: tuple[str, ...],
    no_encoder: bool,
    out: Path | None,
    seed: int,
    page: Path | None,
    as_json: bool,
) -> None:
    """Find odd items: outliers, near copies, texts that are not their vector's, and wrong labels, grouped by why.

    Each kind says beside what it found how much it would find of what was planted. No language model takes part.

    Examples:
        vecspeak odd shop.bundle

        vecspeak odd shop.bundle --kind labels --column category --out wrong.csv

    """
    from vecspeak.api import VecSpeak
    from vecspeak.storage import check_target

    if out is not None:
        check_target(out)
        check_apart(out, page)
    vs = VecSpeak.load(bundle, notify=note)
    found = vs.odd(kinds or None, columns=columns or None, encoder=not no_encoder, seed=seed, space=space)
    if out is not None:
        note(f"{found.write(out):,} rows in {out}")
    write_page(found, page)
    if as_json:
        emit(found.to_dict())
    else:
        say(*found.lines)
