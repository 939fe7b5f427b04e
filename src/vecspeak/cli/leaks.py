"""`vecspeak leaks`: what somebody who gets only the vectors can read from them."""

from pathlib import Path
from typing import Any

import click

from vecspeak.cli import options
from vecspeak.cli.show import check_apart, emit, note, write_page
from vecspeak.console import say


@click.command()
@options.bundle
@options.space
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="COLUMN",
    help="Measure this column too, which may say something of persons. Again for another.",
)
@click.option(
    "--pairs",
    type=click.IntRange(20),
    metavar="N",
    help="Items that the attacker has with all of their data; half of at most 5,000 where not given.",
)
@click.option("--by", default="", metavar="COLUMN", help="Hold out items with one value of it together.")
@click.option("--no-encoder", is_flag=True, help="The attacker does not have the encoder.")
@click.option("--no-protections", is_flag=True, help="Only the vectors as they are.")
@click.option("--ratings", type=options.PATH, help="Ratings that the people's vectors were made of.")
@options.rating_columns()
@click.option("--out", type=options.PATH, metavar="FILE", help="Write the report: .md, or its table: .csv.")
@options.seed("Of all draws.")
@options.page
@options.as_json
def leaks(
    bundle: Path,
    *,
    no_encoder: bool,
    no_protections: bool,
    out: Path | None,
    page: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    """What somebody who gets only the vectors can read from them: a grade, a table, and what protecting them costs.

    Words, names, numbers, dates and addresses in the texts, columns, and whole texts, each on items held out, beside
    the base rate and another item's vector. Columns that say something of persons are measured only with --attribute.

    Examples:
        vecspeak leaks movies.bundle --space movies.semantic --out leaks.md

        vecspeak leaks movies.bundle --space movies.behavioral --ratings ml-100k.inter

    """
    from vecspeak.api import VecSpeak
    from vecspeak.explore.leaks.findings import check_ending
    from vecspeak.storage import check_target

    if out is not None:
        check_ending(out)
        check_target(out)
        check_apart(out, page)
    vs = VecSpeak.load(bundle, notify=note)
    found = vs.leaks(encoder=not no_encoder, protected=not no_protections, progress=True, **given)
    if out is not None:
        found.write(out)
    write_page(found, page)
    if as_json:
        emit(found.to_dict())
    else:
        say(*found.lines)
    if out is not None:
        note(f"wrote {out}")
