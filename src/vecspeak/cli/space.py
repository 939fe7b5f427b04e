"""`vecspeak space`: make spaces from texts or ratings, and look into them.

Parses, calls the library, prints. UserError passes through: the main group turns it into one line.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note_all
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.spaces.io import SpaceSummary
    from vecspeak.spaces.search import Metric
    from vecspeak.tables.delimited import TextFormat
    from vecspeak.tables.ledger import Ledger

_out = click.option("--out", required=True, type=options.PATH, help="Parquet file to write.")


@click.group()
def space() -> None:
    """Make spaces of vectors and look into them."""


@space.command()
@click.argument("table", type=options.PATH)
@click.option("--id", "id_column", required=True, help="Column of unique ids.")
@click.option("--label", "label_column", required=True, help="Column of names for people.")
@click.option("--text", "text_column", required=True, help="Column of texts to embed.")
@click.option("--encoder", default="all-minilm-l6-v2", show_default=True, help="Name, or a model's folder.")
@options.table_format
@options.strict
@_out
@options.as_json
def embed(
    table: Path,
    *,
    id_column: str,
    label_column: str,
    text_column: str,
    encoder: str,
    form: "TextFormat",
    strict: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Make a space from the texts of TABLE (CSV, JSON, Parquet, Arrow, or a folder of parts).

    When it is stopped, the same command goes on where it was.
    """
    from vecspeak.encoders.text import cached_while_making, embed_table, load_encoder
    from vecspeak.spaces.io import save_space, summarize
    from vecspeak.storage import check_target
    from vecspeak.tables.ledger import Ledger

    check_target(out)
    columns = {"id": id_column, "label": label_column, "text": text_column}
    ledger = Ledger(strict=strict)
    with cached_while_making(load_encoder(encoder), out) as cached:
        made = embed_table(
            table,
            **columns,
            encoder=cached,
            name=out.stem,
            form=form,
            ledger=ledger,
            on_read=lambda: note_all(ledger.lines),
        )
        save_space(made, out)
    _print_summary(summarize(made), as_json, out=str(out), **_notes_of(ledger, as_json))


@space.command()
@click.argument("ratings", type=options.PATH)
@options.rating_columns(
    None, None, "", rated="ratings; more is better. Without it each row counts 1, as views and purchases do"
)
@click.option("--labels", type=options.PATH, help="Table with the items' labels and other columns.")
@click.option("--id", "id_column", help="Column of item ids in the table of labels.")
@click.option("--label", "label_column", help="Column of labels in the table of labels.")
@click.option("--dim", default=64, show_default=True, help="Width of the vectors.")
@click.option("--min-ratings", default=1, show_default=True, help="Leave out items with fewer ratings.")
@options.seed("The same seed gives the same vectors.", click.INT)
@options.table_format
@options.strict
@_out
@options.as_json
def factorize(
    ratings: Path,
    *,
    user: str,
    item: str,
    rating: str,
    form: "TextFormat",
    strict: bool,
    labels: Path | None,
    id_column: str | None,
    label_column: str | None,
    dim: int,
    min_ratings: int,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """Make a space of items and one of users from RATINGS (CSV, TSV, JSONL, Parquet or RecBole's .inter).

    Rows may be ratings, or views, clicks and purchases, which have none:

        vecspeak space factorize views.csv.gz --user reader --item article --out articles.parquet
    """
    from vecspeak.encoders import factorization as behavioral
    from vecspeak.spaces.io import save_pair, summarize, users_path
    from vecspeak.storage import check_target
    from vecspeak.tables.ledger import Ledger

    if labels is not None and not (id_column and label_column):
        raise click.UsageError("--labels needs --id and --label: columns of that table")
    check_target(out)
    ledger = Ledger(strict=strict)
    read = behavioral.read_ratings(
        ratings, user=user, item=item, rating=rating or None, form=form, ledger=ledger
    )
    note_all(ledger.lines)
    made = behavioral.factorize(
        read, dim=dim, min_ratings=min_ratings, seed=seed, name=out.stem, progress=True
    )
    items = made.items
    if labels is not None and id_column and label_column:
        of_labels = Ledger(strict=strict)
        items = behavioral.label_items(items, labels, id=id_column, label=label_column, ledger=of_labels)
        note_all(of_labels.lines)
        ledger.lines += of_labels.lines
    save_pair(items, made.users, out, made.settings)
    dropped = {
        "dropped_items": made.dropped_items,
        "dropped_users": made.dropped_users,
        "zero_items": made.zero_items,
        "zero_users": made.zero_users,
    }
    _print_summary(
        summarize(items, made.users),
        as_json,
        out=str(out),
        users=str(users_path(out)),
        **dropped,
        **_notes_of(ledger, as_json),
    )


@space.command()
@click.argument("path", metavar="SPACE", type=options.PATH)
@options.as_json
def info(path: Path, *, as_json: bool) -> None:
    """Say what a saved SPACE holds."""
    from vecspeak.spaces.io import summarize_file

    _print_summary(summarize_file(path), as_json)


@space.command()
@click.argument("path", metavar="SPACE", type=options.PATH)
@click.argument("item", metavar="LABEL_OR_ID")
@click.option("-k", default=10, show_default=True, help="How many.")
@click.option(
    "--metric", default="cosine", show_default=True, type=click.Choice(["cosine", "euclidean", "dot"])
)
@options.as_json
def neighbours(path: Path, *, item: str, k: int, metric: "Metric", as_json: bool) -> None:
    """List the items of SPACE nearest to one of its items."""
    from vecspeak.spaces import Space
    from vecspeak.spaces.lookup import neighbors_of_item

    found = neighbors_of_item(Space.load(path), item, k, metric=metric)
    if as_json:
        emit([asdict(one) for one in found])
        return
    width = max(len(one.id) for one in found)
    for one in found:
        say(f"{one.score:8.4f}  {one.id:<{width}}  {one.label}")


def _notes_of(ledger: "Ledger", as_json: bool) -> dict[str, object]:
    """What was left out or guessed, for JSON; otherwise it was printed before."""
    return {"notes": ledger.lines} if as_json else {}


def _print_summary(summary: "SpaceSummary", as_json: bool, **more: object) -> None:
    facts = {**asdict(summary), **more}
    if as_json:
        emit(facts)
        return
    for name, value in facts.items():
        if value is not None:
            say(f"{name.replace('_', ' '):<14} {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{one:.4g}" if isinstance(one, float) else str(one) for one in value) or "none"
    return str(value)
