"""`vecspeak fit`: map a table of vectors to what the shipped reader reads."""

import shlex
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note, note_all
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.api import VecSpeak
    from vecspeak.bundles import SpaceEntry
    from vecspeak.tables.delimited import TextFormat


@click.command()
@click.argument("table", type=options.SOURCE)
@click.option("--id", "id_column", help="Column of unique ids.")
@click.option("--label", "label_column", help="Column of names for people.")
@click.option(
    "--vector",
    "vector_column",
    help="Column of vectors, a pattern of columns of numbers such as 'emb_*', or an array's name.",
)
@click.option("--text", "text_column", help="Column of texts, for as many items as have one.")
@click.option(
    "--table", "rows", type=options.PATH, help="Table of the rows of a file of vectors, if not beside it."
)
@click.option(
    "--users",
    "users_table",
    type=options.PATH,
    help="Users in the same vector space: a table with user_id and vector, or a saved space.",
)
@click.option("--name", help="Name of the space; the file's name where not given.")
@click.option("--encoder", help="Name of the text encoder that made the vectors, when one did.")
@options.table_format
@options.strict
@click.option("--unpack-bits", is_flag=True, help="Vectors are bits, eight in each byte.")
@click.option("--holdout", default=0.1, show_default=True, help="Share of the items kept out of the fit.")
@click.option(
    "--holdout-regions",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="Also keep out N whole regions of the space, of 20.",
)
@click.option(
    "--holdout-cold",
    type=click.IntRange(min=0),
    metavar="AT_MOST",
    help="Also keep out half of the items with at most that many ratings (column num_ratings).",
)
@click.option(
    "--unpaired",
    is_flag=True,
    help="Match the vectors as a whole with texts that belong to none of them; refused where chance does as well.",
)
@click.option(
    "--pile",
    type=options.PATH,
    help="Texts for --unpaired about the same subjects, one a line, or a saved space; by default the shipped plots.",
)
@options.seed("Seed of the splits, and of --unpaired.")
@click.option(
    "--reader",
    "reader_name",
    default="",
    help="Reader to use, a bundle of yours; by default the shipped reader.",
)
@click.option(
    "--out", required=True, type=options.PATH, help="Bundle to write; a space is added to one that exists."
)
@options.as_json
def fit(
    table: Path | str,
    *,
    id_column: str | None,
    label_column: str | None,
    vector_column: str | None,
    text_column: str | None,
    rows: Path | None,
    users_table: Path | None,
    name: str | None,
    encoder: str | None,
    form: "TextFormat",
    strict: bool,
    unpack_bits: bool,
    reader_name: str,
    out: Path,
    as_json: bool,
    **held_out: Any,
) -> None:
    """Make a BUNDLE that can be asked, from TABLE.

    A table (CSV, JSON, Parquet, Arrow, RecBole, a folder of parts) with a column of vectors, or vectors (.npy, .npz,
    .safetensors, .pt) with a table of their rows beside them, or word vectors. A file that `vecspeak space` wrote needs
    no columns named. Or the address of a collection in a store, such as qdrant:///data/shop/items:

        vecspeak fit movies.parquet --out movies.bundle
    """
    from vecspeak.api import VecSpeak
    from vecspeak.bundles.fitting import read_space
    from vecspeak.points.foldin import users_beside
    from vecspeak.spaces.io import read_users

    started = time.monotonic()
    columns = {"id": id_column, "label": label_column, "vector": vector_column, "text": text_column}
    space = read_space(
        table,
        **columns,
        rows=rows,
        name=name,
        encoder=encoder,
        form=form,
        strict=strict,
        unpack_bits=unpack_bits,
    )
    note_all(space.notes)
    vs = VecSpeak.create(out, reader=reader_name, notify=note)
    users = (
        {"users": read_users(users_table, space)}
        if users_table
        else {}
        if isinstance(table, str)
        else users_beside(table)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the verdict is printed below, with its figures
        vs.fit(space, **users, **held_out, progress=True)
    vs.save()
    _report(vs, vs.entry(space.name), out, time.monotonic() - started, as_json, space.notes)


def _report(
    vs: "VecSpeak", entry: "SpaceEntry", out: Path, seconds: float, as_json: bool, notes: Sequence[str]
) -> None:
    from vecspeak.model.map_scores import with_verdict

    space, report = entry.space, entry.report
    counts = {name: len(ids) for name, ids in entry.splits.items()}
    if as_json:
        values = {"bundle": str(out), "space": space.name, "seconds": round(seconds, 2), **report}
        values["notes"] = list(notes)
        if report["kind"] != "identity":
            values["verdict"] = with_verdict(report)["verdict"]
        emit({**values, "split_items": counts})
        return
    say(f"{space.name}: {space.num_items:,} items of {space.dim} numbers, {seconds:.1f} s")
    if report["kind"] == "identity":
        say(f"made by {report['encoder']}, which the reader reads as it is")
    elif report["kind"] == "unpaired":
        say(f"mapped without pairs: {report['without_pairs']}")
    else:
        say(f"mapped by ridge on {report['items']:,} items (penalty {report['penalty']:g})")
    if len(counts) > 1:
        held_out = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        say(f"held out of the fit: {held_out} items")
    if report["kind"] == "ridge" or report.get("held_out", {}).get("items"):
        _report_scores(report)
    # the expression of a point names an item whose label others bear by its id
    at = f"x={shlex.quote(space[0].expression)}"
    which = f" --space {shlex.quote(space.name)}" if len(vs.spaces) > 1 else ""
    say(f"""ask it:  vecspeak ask {shlex.quote(str(out))} "Describe {{x}}." --at {at}{which}""")


def _report_scores(report: dict[str, Any]) -> None:
    """A line for each split, or one for what is held out; whether the map is any good is said by `holdout`."""
    from vecspeak.model.map_scores import judged_scores, verdict

    by_split = report.get("splits") or {"": report["held_out"]}
    crossed = report.get("cross_validated")  # there where too few items are held out to judge by
    lines = {
        f"{one['items']:,} held-out items{name and f' ({name})'}": one
        for name, one in by_split.items()
        if name or not crossed
    }
    if crossed:
        lines = {f"{crossed['items']:,} items, each by a map that has not seen it": crossed, **lines}
    for which, scores in lines.items():
        if scores["items"]:
            say(
                f"on {which}: cosine {scores['cosine']:.3f} "
                f"(predicting the mean {scores['cosine_of_mean']:.3f}); with the mean text taken off, the right "
                f"text is {_nearest(scores['centered_median_rank_percent'])}, by the median (chance: 50%)"
            )
    judged = judged_scores(report)
    if len(by_count := judged.get("by_count", ())) > 1:
        groups = (
            f"{_range(one)} {one['centered_median_rank_percent']:.0f}% ({one['items']:,} items)"
            for one in by_count
        )
        say(f"by {report['count_column']}: {', '.join(groups)}")
    say(verdict(judged))


def _nearest(percent: float) -> str:
    """A median rank in words."""
    return "the nearest of all" if percent == 0 else f"among the nearest {percent:.0f}% of them"


def _range(group: dict[str, Any]) -> str:
    """The counts of a group: 0, 3-9, 100 or more."""
    least, most = group["least"], group["most"]
    return f"{least} or more" if most is None else f"{least}-{most}" if most > least else f"{least}"
