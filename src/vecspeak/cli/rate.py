"""`vecspeak rate`: a blind rating sheet of a report's answers for people, and what they said."""

import contextlib
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.raters.study import Study


@click.command()
@click.argument("report", type=options.PATH)
@click.option("--system", "systems", multiple=True, metavar="KEY", help="Rate this system; may be repeated.")
@click.option("--count", type=click.IntRange(min=1), help="How many entities, at most.  [default: 50]")
@click.option("--seed", type=int, help="Which entities, and in which order.  [default: 0]")
@click.option("--folder", type=options.PATH, help="Where the ratings lie.  [default: REPORT.ratings]")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8123, show_default=True, help="0: any free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Another lets other computers rate.")
@click.option("--open/--no-open", "opens", default=False, help="Open the page in the browser.")
@click.option("--results", "wants_results", is_flag=True, help="Print what the raters said, and stop.")
@click.option("--json", "as_json", is_flag=True, help="With --results: print one JSON object.")
@click.option("--export", type=options.PATH, metavar="CSV", help="Write one row a rating, and stop.")
@click.option(
    "--export-items",
    type=options.PATH,
    metavar="FILE",
    help="Write the items for an annotation tool, and stop.",
)
@click.option(
    "--tool",
    type=click.Choice(["csv", "label-studio", "argilla"]),
    help="Shape of --export-items.  [default: by FILE's ending, .jsonl is label-studio]",
)
@click.option(
    "--import-ratings",
    "imported",
    type=options.PATH,
    metavar="FILE",
    help="Add the ratings of a tool, and stop.",
)
@click.option(
    "--rater", default="", metavar="NAME", help="Who rated, where --import-ratings does not say it."
)
def rate(
    report: Path,
    *,
    systems: tuple[str, ...],
    count: int | None,
    seed: int | None,
    folder: Path | None,
    port: int,
    host: str,
    opens: bool,
    wants_results: bool,
    as_json: bool,
    export: Path | None,
    export_items: Path | None,
    tool: str | None,
    imported: Path | None,
    rater: str,
) -> None:
    """Let people rate the answers of REPORT, not knowing which system wrote them.

    Serves a page on this computer until Ctrl-C. Each rater types a name; answers are kept at once, and the same
    command goes on where everybody stopped.

    Example:
        vecspeak rate report.json --count 30
        vecspeak rate report.json --results
        vecspeak rate report.json --export-items items.csv
        vecspeak rate report.json --import-ratings items.csv --rater ann

    """
    from vecspeak.evaluation.report import read_report
    from vecspeak.raters import export_items as write_items
    from vecspeak.raters.study import open_study, start_study

    given = read_report(report)
    place = folder or report.with_suffix(".ratings")
    if imported:
        _import(open_study(place, given), imported, rater)
        return
    if wants_results or export or as_json:
        _tell(open_study(place, given), export, wants_results or as_json, as_json)
        return
    study = start_study(place, given, systems=systems, count=count, seed=seed)
    if export_items:
        say(f"wrote {write_items(study, export_items, tool=tool or ''):,} rows to {export_items}")
        return
    _serve(study, host, port, opens)


def _tell(study: "Study", export: Path | None, wants_results: bool, as_json: bool) -> None:
    from vecspeak.raters.results import export as write
    from vecspeak.raters.results import plain, results

    if export:
        number = write(study, export)
        say(f"wrote {number:,} ratings to {export}", err=as_json)
    if wants_results:
        found = results(study)
        if as_json:
            emit(found.to_dict())
        else:
            say(*plain(found))


def _import(study: "Study", path: Path, rater: str) -> None:
    from vecspeak.raters import import_ratings

    found = import_ratings(study, path, rater=rater)
    say(
        f"imported {found.imported:,} ratings of {', '.join(found.raters) or 'nobody'}; {found.known:,} were there "
        f"already, {found.empty:,} rows are not rated yet"
    )


def _serve(study: "Study", host: str, port: int, opens: bool) -> None:
    from vecspeak.errors import require

    for package in ("starlette", "uvicorn"):
        require(package, "judge")
    from vecspeak.http_guard import listen, make_server
    from vecspeak.network import LOOPBACK
    from vecspeak.raters.server import make_app

    server = make_server(make_app(study, host=host))
    with listen(host, port) as listener:
        name = f"[{host}]" if ":" in host else host
        address = f"http://{name}:{listener.getsockname()[1]}/"
        say(f"{len(study.sheet.items):,} items; the ratings are kept in {study.folder}")
        if host not in LOOPBACK:
            say("there are no passwords: whoever reaches this address may rate under any name")
        say(f"rate at {address}   (Ctrl-C stops; nothing is lost)")
        if opens:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        say("stopped")
