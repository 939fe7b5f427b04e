"""`vecspeak narrate`: what every row of a large table of vectors says, as Parquet."""

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
@click.option(
    "--out",
    required=True,
    type=options.SOURCE,
    metavar="DIR",
    help="A new folder, or one of a run to go on with.",
)
@click.option(
    "--vectors",
    type=options.SOURCE,
    default=None,
    metavar="FILE",
    help="Vectors of the space's encoder: Parquet, a folder of it, .npy, or what `vecspeak fit` reads.  "
    "[default: the space's items]",
)
@click.option("--id", "id_column", default="", metavar="NAME", help="Column of ids.  [default: id, or none]")
@click.option(
    "--vector",
    default="",
    metavar="NAME",
    help="Column of vectors.  [default: vector, or the only one of lists]",
)
@click.option(
    "--task",
    default="words",
    show_default=True,
    help="words, tags or name, without a language model; describe, or a task of the set, by the reader.",
)
@options.task_set
@click.option(
    "--prose-for",
    type=click.IntRange(1),
    default=None,
    metavar="N",
    help="Let the reader write of the N surest rows alone.",
)
@options.space
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 1000), help="Words a row.")
@click.option("--no-distances", is_flag=True, help="Do not look which rows lie far from the space's items.")
@options.effort("quick")
@click.option("--max-tokens", default=None, type=click.IntRange(1, 2048), help="Longest text of the reader.")
@options.engine
@click.option(
    "--threads", default=None, type=click.IntRange(1, 1024), help="Shards at a time.  [default: the cores]"
)
@click.option("--ray", default="", metavar="ADDRESS", help="Cluster of Ray that does the work, such as auto.")
@options.as_json
def narrate(
    bundle: Path,
    *,
    out: Path | str,
    vectors: Path | str | None,
    id_column: str,
    vector: str,
    task: str,
    task_set: str,
    prose_for: int | None,
    space: str,
    limit: int,
    no_distances: bool,
    effort: "AskedEffort | None",
    max_tokens: int | None,
    engine: str,
    threads: int | None,
    ray: str,
    as_json: bool,
) -> None:
    """Write words, tags, names or texts of every row of a table of vectors, however many, into a folder of Parquet.

    The vectors are the items of a space of BUNDLE, or FILE, which its encoder made. The same command goes on where it
    was stopped.

    Examples:
        vecspeak narrate shop.bundle --out words --vectors new.parquet --id sku

        vecspeak narrate shop.bundle --out s3://bucket/said --vectors s3://bucket/new --task describe --prose-for 1000

    """
    from vecspeak.api import VecSpeak

    vs = VecSpeak.load(bundle, engine=engine, notify=note)
    found = vs.narrate(
        out, vectors, task=task, tasks=task_set, prose_for=prose_for, limit=limit, distances=not no_distances,
        effort=effort or "quick", max_new_tokens=max_tokens, id=id_column, vector=vector, space=space, ray=ray,
        threads=threads, progress=not as_json,
    )  # fmt: skip
    if as_json:
        emit(found.to_dict())
    else:
        say(*found.lines)
