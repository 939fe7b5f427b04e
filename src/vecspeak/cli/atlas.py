"""`vecspeak atlas`: a whole space cut into regions, each named and described; a table and a page."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.explore.atlas import Atlas, AtlasFiles
    from vecspeak.searching import AskedEffort
    from vecspeak.spaces.clusters import Method


@click.command()
@options.bundle
@options.space
@click.option(
    "--method",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "kmeans", "hdbscan"]),
    help="auto takes hdbscan where that finds regions that hold most items, else kmeans.",
)
@click.option(
    "--regions",
    type=click.IntRange(2, 500),
    default=None,
    help="How many.  [default: the root of half the items, at most 40]",
)
@click.option("--question", default="", help="What each is asked.  [default: Describe {x} in one sentence.]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("atlas"),
    show_default=True,
    help="Folder for regions.csv, regions.json and atlas.html; answers are kept there too.",
)
@click.option(
    "--no-save", is_flag=True, help="Do not keep the regions in the bundle: cluster(7) stays as it was."
)
@click.option("--force", is_flag=True, help="Replace an atlas of another bundle or space in that folder.")
@options.no_reader
@options.effort("normal")
@options.engine
@options.seed("Of all draws.")
@options.as_json
def atlas(
    bundle: Path,
    *,
    space: str,
    method: "Method",
    regions: int | None,
    question: str,
    out: Path,
    no_save: bool,
    force: bool,
    no_reader: bool,
    effort: "AskedEffort | None",
    engine: str,
    seed: int,
    as_json: bool,
) -> None:
    """Cut a space of BUNDLE into regions, name and describe each, and write a table and a page.

    The regions are kept in the bundle: then cluster(7) is an expression, and describe --cluster 7 tells more.
    """
    from vecspeak.api import VecSpeak

    found = VecSpeak.load(bundle, engine=engine, notify=note).write_atlas(
        out,
        save=not no_save,
        force=force,
        method=method,
        n_regions=regions,
        question=question,
        reader=not no_reader,
        effort=effort or "normal",
        seed=seed,
        space=space,
        progress=True,
        on_step=note,
    )
    if as_json:
        emit(found.to_dict())
        return
    _print(found.atlas)
    say("", f"written: {', '.join(map(str, found.written))}")
    if not no_save:
        _print_saved(found, bundle)


def _print_saved(found: "AtlasFiles", bundle: Path) -> None:
    regions, before = len(found.atlas.regions), found.before
    say(f"kept in {bundle}: cluster(0) to cluster({regions - 1}) are expressions now")
    if before is not None:
        say(
            f"cluster(N) means another region than before: {found.atlas.space} had {before.num_regions} regions by "
            f"{before.method}, seed {before.seed}"
        )


def _print(made: "Atlas") -> None:
    note = f" ({made.note})" if made.note else ""
    say(f"{made.space}: {made.num_items:,} items in {len(made.regions)} regions by {made.method}{note}")
    if made.between:
        say(made.between)
    if made.levels:
        say(f"from afar: {'; '.join(f'{one.name.text} ({one.num_items:,})' for one in made.levels[0])}")
    width = max(len(one.title) for one in made.regions)
    for one in made.regions:
        flags = f"  ({'; '.join(one.flags)})" if one.flags else ""
        say(f"{one.number:>4}  {one.num_items:>7,}  {one.title:<{width}}{flags}")
        if one.reading is not None:
            trust = one.reading.trust
            rank = f"rank {one.reading.rank} of {one.reading.among}"
            say(f"{'':15}{one.reading.text or '(no answer)'}")
            say(f"{'':15}round trip {trust.round_trip:.2f} (others {trust.swapped:.2f}), {rank}")
    if made.found_back is not None:
        right, asked = made.found_back
        say(f"{right} of {asked} answers fit their own region best among all; guessing would give 1")
