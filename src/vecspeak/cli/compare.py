"""`vecspeak compare`: what changes for whoever exchanges one space for another."""

import re
import sys
from pathlib import Path

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, write_page
from vecspeak.console import say

_LIMIT = re.compile(r"(recall@\d+|explained)=(0?\.\d+|[01](?:\.\d*)?)")


@click.command()
@click.argument("old", type=options.PATH)
@click.argument("new", type=options.PATH)
@options.space
@click.option(
    "-k", default=10, show_default=True, type=click.IntRange(1, 100), help="Nearest items to compare."
)
@click.option(
    "--count", default=5, show_default=True, type=click.IntRange(0, 1000), help="Moved items to name."
)
@click.option(
    "--fail-under",
    metavar="FIGURE=LEAST",
    default="",
    help="End with status 1 where a figure is lower: recall@10=0.9, explained=0.8.",
)
@click.option(
    "--canary",
    type=options.PATH,
    default=None,
    help="A small file of items and vectors: written from NEW where it is not there, else NEW is checked by it, with "
    "status 1 for another encoder.",
)
@options.seed("Of all draws.")
@options.page
@options.as_json
def compare(
    old: Path,
    new: Path,
    *,
    space: str,
    k: int,
    count: int,
    fail_under: str,
    canary: Path | None,
    seed: int,
    page: Path | None,
    as_json: bool,
) -> None:
    """Compare two spaces of the same items: another encoder, width or date. What is kept, and what is lost, in words.

    OLD and NEW are saved spaces (.parquet) or bundles. Neighbours kept, overall and by region; what a linear map keeps
    and what each space tells apart that the other does not; words and values that one tells better; items that moved.

    Examples:
        vecspeak compare minilm.parquet mpnet.parquet

        vecspeak compare today.parquet tomorrow.parquet --fail-under recall@10=0.9 --canary canary.json

    """
    from vecspeak.api import VecSpeak
    from vecspeak.bundles.bundle import MAKE_A_SPACE, open_space

    limit = _LIMIT.fullmatch(fail_under.replace(" ", ""))
    if fail_under and not limit:
        raise click.UsageError(f"--fail-under takes recall@{k}=0.9 or explained=0.8, got {fail_under!r}")
    before, after = (open_space(path, space, hint=MAKE_A_SPACE) for path in (old, new))
    found = VecSpeak.compare(before, after, k=k, count=count, seed=seed)
    least = {limit[1]: float(limit[2])} if limit else {}
    failed = {name: found.metric(name) for name, value in least.items() if found.metric(name) < value}
    checked = VecSpeak.canary(after, canary) if canary else None
    write_page(found, page)
    if as_json:
        canary_found = None if checked is None else checked.to_dict()
        emit({**found.to_dict(), "failed": failed, "canary": canary_found})
    else:
        say(*found.lines)
        if canary:
            say(
                "", str(checked) if checked else f"wrote {canary}: name it again to check a later space by it"
            )
        for name, value in failed.items():
            say("", f"FAILED: {name} is {value:.3f}, under {least[name]:g}")
    if failed or (checked is not None and not checked.is_same):
        sys.exit(1)
