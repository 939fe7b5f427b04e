"""`vecspeak atlas`: a whole space cut into regions, each named and described; a table and a page."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import regions as shown

if TYPE_CHECKING:
    from vecspeak.bundles import Bundle, SpaceEntry
    from vecspeak.explore.atlas import Atlas
    from vecspeak.spaces.clusters import Clusters, Method


@click.command()
@shown.BUNDLE
@shown.SPACE
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
@shown.NO_READER
@shown.ENGINE
@shown.SEED
@shown.AS_JSON
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
    engine: str,
    seed: int,
    as_json: bool,
) -> None:
    """Cut a space of BUNDLE into regions, name and describe each, and write a table and a page.

    The regions are kept in the bundle: then cluster(7) is an expression, and describe --cluster 7 tells more.
    """
    from vecspeak.asking import Asker
    from vecspeak.bundles import load_bundle
    from vecspeak.engines import opening_note
    from vecspeak.explore.atlas import QUESTION, check_folder, forget_answers, make_atlas, names_in, to_json
    from vecspeak.explore.regions import RegionReader

    opened = load_bundle(bundle)
    entry = opened.entry(space)
    _make_folder(out)
    if not force:
        check_folder(out, bundle=bundle.resolve().name, space=entry.space.name, digest=entry.space.digest)
    answers, names = out / "answers.sqlite", names_in(out)
    if not no_reader and (note := opening_note(opened, engine)):
        click.echo(note, err=True)

    def reader(cut: "SpaceEntry") -> RegionReader:
        changed = dataclasses.replace(opened, entries={**opened.entries, cut.space.name: cut})
        asker = Asker.of(changed, space=cut.space.name, engine=engine)
        return RegionReader.of(changed, asker, cache=answers)

    made, clusters = make_atlas(
        entry,
        method=method,
        regions=regions,
        seed=seed,
        reader=None if no_reader else reader,
        question=question or QUESTION,
        progress=True,
    )
    written = _write(made, clusters, opened, out, seed)
    if not no_reader or names != tuple(one.title for one in made.regions):
        forget_answers(answers, made)
    before = None if no_save else _keep(bundle, entry.space.name, clusters)
    if as_json:
        paths = [str(path) for path in written]
        facts = {"written": paths, "regions_before": before.num_regions if before else None}
        click.echo(json.dumps({**to_json(made), **facts}, ensure_ascii=False))
        return
    _print(made)
    click.echo(f"\nwritten: {', '.join(map(str, written))}")
    if not no_save:
        click.echo(f"kept in {bundle}: cluster(0) to cluster({len(made.regions) - 1}) are expressions now")
    if before is not None:
        click.echo(
            f"cluster(N) means another region than before: {entry.space.name} had {before.num_regions} regions by "
            f"{before.method}, seed {before.seed}"
        )


def _make_folder(out: Path) -> None:
    from vecspeak.errors import UserError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the folder {out}: {error.strerror}", "choose another with --out"
        ) from error


def _write(made: "Atlas", clusters: "Clusters", opened: "Bundle", out: Path, seed: int) -> list[Path]:
    from vecspeak.explore.atlas import write_tables
    from vecspeak.report.html import write_atlas_page

    tables = write_tables(made, out, bundle=opened.folder.resolve().name)
    click.echo("drawing the map", err=True)
    page = out / "atlas.html"
    write_atlas_page(page, made, opened.entry(made.space).space, clusters)
    return [*tables, page]


def _keep(bundle: Path, space: str, clusters: "Clusters") -> "Clusters | None":
    """Put the regions into the bundle as it is now: another command may have changed it meanwhile.

    What was there before, where that was another cut of the items.
    """
    import numpy as np

    from vecspeak.bundles import load_bundle, save_entry
    from vecspeak.errors import UserError
    from vecspeak.storage import lock

    with lock(bundle):
        opened = load_bundle(bundle)
        entry = opened.entry(space)
        if entry.space.digest != clusters.space_digest:
            raise UserError(f"{space!r} was changed while its atlas was made", "run vecspeak atlas again")
        save_entry(opened, dataclasses.replace(entry, clusters=clusters))
    before = entry.clusters
    return None if before is None or np.array_equal(before.labels, clusters.labels) else before


def _print(made: "Atlas") -> None:
    note = f" ({made.note})" if made.note else ""
    click.echo(
        f"{made.space}: {made.num_items:,} items in {len(made.regions)} regions by {made.method}{note}"
    )
    if made.num_without:
        click.echo(f"{made.num_without:,} items lie between regions and are in none")
    width = max(len(one.title) for one in made.regions)
    for one in made.regions:
        flags = f"  ({'; '.join(one.flags)})" if one.flags else ""
        click.echo(f"{one.number:>4}  {one.num_items:>7,}  {one.title:<{width}}{flags}")
        if one.reading is not None:
            trust = one.reading.trust
            rank = f"rank {one.reading.rank} of {one.reading.among}"
            click.echo(f"{'':15}{one.reading.text or '(no answer)'}")
            click.echo(f"{'':15}round trip {trust.round_trip:.2f} (others {trust.swapped:.2f}), {rank}")
    if made.found_back is not None:
        right, asked = made.found_back
        click.echo(f"{right} of {asked} answers fit their own region best among all; guessing would give 1")
