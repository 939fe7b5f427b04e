"""`vecspeak fit`: map a table of vectors to what the shipped reader reads."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from vecspeak.bundles import Bundle, SpaceEntry
    from vecspeak.spaces import Space

_path = click.Path(path_type=Path)


@click.command()
@click.argument("table", type=_path)
@click.option("--id", "id_column", help="Column of unique ids.")
@click.option("--label", "label_column", help="Column of names for people.")
@click.option("--vector", "vector_column", help="Column of vectors, or tensor name in a .safetensors.")
@click.option("--text", "text_column", help="Column of texts, for as many items as have one.")
@click.option("--table", "rows", type=_path, help="CSV or JSONL of the rows beside a .npy or .safetensors.")
@click.option("--name", help="Name of the space; the file's name where not given.")
@click.option("--encoder", help="Name of the text encoder that made the vectors, when one did.")
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
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1), help="Seed of the splits."
)
@click.option(
    "--reader",
    "reader_name",
    default="",
    help="Reader to use: tasks (shipped, knows the tasks by name) or a bundle; by default the shipped reader.",
)
@click.option(
    "--out", required=True, type=_path, help="Bundle to write; a space is added to one that exists."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def fit(table: Path, *, out: Path, as_json: bool, reader_name: str, **options: Any) -> None:
    """Make a BUNDLE that can be asked, from TABLE (Parquet, or .npy/.safetensors beside a CSV or JSONL).

    A file that `vecspeak space` wrote needs no columns named:

        vecspeak fit movies.parquet --out movies.bundle
    """
    from vecspeak.bundles import save_bundle
    from vecspeak.bundles.bundle import open_reader, shipped_reader
    from vecspeak.bundles.manifest import check_name
    from vecspeak.encoders.text import cached_while_making, load_encoder
    from vecspeak.spaces.splits import choose_splits
    from vecspeak.storage import lock
    from vecspeak.training.align import fit_space

    started = time.monotonic()
    space, texts = _read(table, options)
    check_name(space.name)
    existing = _existing(out)
    _check_out(out)
    source = open_reader(reader_name) if reader_name else existing or shipped_reader()
    _same_reader(existing, source, out)
    splits = choose_splits(
        space,
        share=options["holdout"],
        seed=options["seed"],
        regions=options["holdout_regions"],
        cold=options["holdout_cold"],
    )
    with cached_while_making(load_encoder(source.manifest.reader.encoder), out) as encoder:
        entry = fit_space(
            space,
            texts=texts,
            encoder=encoder,
            **_users_of(table),
            splits=splits,
            progress=True,
        )
    with lock(out):  # another fit may have added a space while this one was encoding
        existing = _existing(out)
        entries = {**(existing.entries if existing else {}), space.name: entry}
        save_bundle(out, source=source, name=out.stem, entries=entries)
    _report(entry, out, time.monotonic() - started, as_json)


def _users_of(table: Path) -> dict[str, Any]:
    """The users beside a saved space, and how one more would be made, where that is written down."""
    from vecspeak.points.foldin import FoldIn
    from vecspeak.spaces.io import load_factor_settings, load_users

    users = load_users(table) if table.suffix == ".parquet" else None
    settings = load_factor_settings(table) if users is not None else None
    return {"users": users, "fold_in": FoldIn(settings=settings) if settings else None}


def _existing(out: Path) -> "Bundle | None":
    """The bundle that a new space is added to; one that a kill left half renamed is brought back first."""
    from vecspeak.bundles import load_bundle
    from vecspeak.storage import recover

    recover(out)
    return load_bundle(out) if (out / "manifest.json").exists() else None


def _check_out(out: Path) -> None:
    """Raise UserError, before any text is encoded, where no bundle can be written."""
    from vecspeak.errors import UserError

    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file, and a bundle is a folder", "give the name of a folder")
    if out.is_dir() and not (out / "manifest.json").is_file() and any(out.iterdir()):
        raise UserError(f"--out {out} is a folder of something else", "give the name of a new folder")
    if not out.absolute().parent.is_dir():
        raise UserError(f"--out {out} is in no folder that exists", "make that folder first")


def _same_reader(existing: "Bundle | None", source: "Bundle", out: Path) -> None:
    from vecspeak.errors import UserError

    if existing and existing.manifest.files != source.manifest.files:
        raise UserError(
            f"the bundle {out} has another reader, which its spaces were fitted for",
            "leave --reader out, or choose another --out",
        )


def _read(table: Path, options: dict[str, Any]) -> "tuple[Space, list[str | None]]":
    """The space and one text an item; a saved space is opened, another table is read by its columns."""
    import dataclasses

    from vecspeak.errors import UserError
    from vecspeak.spaces import Space
    from vecspeak.training.align import with_texts

    named = [options["id_column"], options["label_column"]]
    if not any([*named, options["vector_column"], options["rows"]]):
        space = with_texts(Space.load(table), options["text_column"])
        space = dataclasses.replace(space, name=options["name"] or space.name)
    elif not all(named):
        raise UserError("a table needs both --id and --label", "name their columns, or give a saved space")
    else:
        space = Space.read(
            table,
            id=options["id_column"],
            label=options["label_column"],
            vector=options["vector_column"],
            text=options["text_column"],
            name=options["name"],
            table=options["rows"],
        )
    if options["encoder"]:
        space = dataclasses.replace(space, encoder=options["encoder"])
    return space, _texts(space)


def _texts(space: "Space") -> list[str | None]:
    from vecspeak.spaces.tables import TEXT_COLUMN, as_texts

    if TEXT_COLUMN not in space.metadata.column_names:
        return [None] * space.num_items
    return as_texts(space.metadata.column(TEXT_COLUMN), TEXT_COLUMN)


def _report(entry: "SpaceEntry", out: Path, seconds: float, as_json: bool) -> None:
    from vecspeak.training.align import verdict

    space, report = entry.space, entry.report
    counts = {name: len(ids) for name, ids in entry.splits.items()}
    if as_json:
        values = {"bundle": str(out), "space": space.name, "seconds": round(seconds, 2), **report}
        if report["kind"] != "identity":
            values["verdict"] = verdict(_judged(report))
        click.echo(json.dumps({**values, "split_items": counts}))
        return
    click.echo(f"{space.name}: {space.num_items:,} items of {space.dim} numbers, {seconds:.1f} s")
    if report["kind"] == "identity":
        click.echo(f"made by {report['encoder']}, which the reader reads as it is")
    else:
        click.echo(f"mapped by ridge on {report['items']:,} items (penalty {report['penalty']:g})")
    if len(counts) > 1:
        held_out = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        click.echo(f"held out of the fit: {held_out} items")
    if report["kind"] != "identity":
        _report_scores(report)
    label = json.dumps(space.labels[0], ensure_ascii=False)
    click.echo(f"""ask it:  vecspeak ask {out} "Describe {{x}}." --at x='{label}'""")


def _report_scores(report: dict[str, Any]) -> None:
    """A line for each split, or one for what is held out; whether the map is any good is said by `holdout`."""
    from vecspeak.training.align import verdict

    by_split = report.get("splits") or {"": report["held_out"]}
    for name, scores in by_split.items():
        if scores["items"]:
            click.echo(
                f"on {scores['items']:,} held-out items{name and f' ({name})'}: cosine {scores['cosine']:.3f} "
                f"(predicting the mean {scores['cosine_of_mean']:.3f}), "
                f"the right text is among the nearest {scores['median_rank_percent']:.0f}% of them, "
                "by the median (chance: 50%)"
            )
    click.echo(verdict(_judged(report)))


def _judged(report: dict[str, Any]) -> dict[str, Any]:
    """What the verdict is of: the random split where there is one, else all that is held out."""
    plain: dict[str, Any] = (report.get("splits") or {}).get("holdout") or report["held_out"]
    return plain if plain["items"] else report["held_out"]
