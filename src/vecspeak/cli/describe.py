"""`vecspeak describe`: what many items share, and what sets them apart."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options, show
from vecspeak.cli.show import emit, note
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.explore.regions import Description
    from vecspeak.searching import AskedEffort


@click.command()
@options.bundle
@click.option(
    "--cluster", type=click.IntRange(0), default=None, help="A region of the atlas (vecspeak atlas)."
)
@click.option("--where", default="", metavar="QUERY", help="Items by their metadata: 'year >= 1990'.")
@click.option("--ids", type=options.PATH, default=None, help="A file of ids, one a line or a JSON list.")
@options.space
@click.option("--question", default="", help="What the centroid is asked.  [default: Describe {x}.]")
@options.no_reader
@options.effort("normal")
@options.engine
@options.seed("Of all draws.")
@options.as_json
def describe(
    bundle: Path,
    *,
    cluster: int | None,
    where: str,
    ids: Path | None,
    space: str,
    question: str,
    no_reader: bool,
    effort: "AskedEffort | None",
    engine: str,
    seed: int,
    as_json: bool,
) -> None:
    """Describe a region of BUNDLE: a cluster of its atlas, what a query finds, or the items of a file.

    Example: vecspeak describe movies.bundle --where 'genres = "Horror" and year >= 1990'
    """
    from vecspeak.api import VecSpeak
    from vecspeak.explore.atlas import FOLDER, disagreement, to_json

    vs = VecSpeak.load(bundle, engine=engine, notify=note)
    if cluster is not None:
        entry, name = vs.bundle.entry(space), vs.bundle.folder.resolve().name
        if found_wrong := disagreement(FOLDER, entry.clusters, bundle=name, space=entry.space.name):
            note(f"{found_wrong}; vecspeak atlas {bundle} makes them anew")
    found = vs.describe(
        cluster=cluster, where=where, ids=ids, question=question, reader=not no_reader,
        effort=effort or "normal", seed=seed, space=space,
    )  # fmt: skip
    if as_json:
        emit(to_json(found))
    else:
        _print(found)


def _print(found: "Description") -> None:
    title = f' "{found.title}"' if found.title else ""
    say(f"{found.name}{title}: {found.num_items:,} items, {found.share:.1%} of the space")
    if found.left_out:
        say(f"left out of what follows, for it was chosen by them: {', '.join(found.left_out)}")
    say("", "what its members share, against all others")
    show.print_contrast(found.shared)
    say("", f"what sets it apart from {found.around} (cosine of the centroids {found.around_cosine:.2f})")
    show.print_contrast(found.apart, ("inside", "around"))
    geometry = found.geometry
    say("", "how it lies")
    say(f"  {'centroid':<16} farther from the data than {geometry.percentile:.0f}% of the real items")
    loose = "" if geometry.is_tight else "  WIDE: as widely spread as random items"
    say(
        f"  {'mean cosine to it':<16} {show.interval(geometry.spread)}; "
        f"of random items {show.interval(geometry.random)}{loose}"
    )
    show.print_near("most typical", geometry.typical)
    if geometry.edge:
        show.print_near("at its edge", geometry.edge)
    if found.words:
        say("", "what the centroid holds, read without a language model", f"  {found.words}")
    if found.reading is not None:
        say("", f"what the reader says of the centroid: {found.reading.question}")
        show.print_reading(found.reading)
    if found.difference is not None:
        say("", f"and of it and its surroundings: {found.difference.question}")
        show.print_compared(found.difference)
