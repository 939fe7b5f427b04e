"""`vecspeak demo`: what the reader says about real movies and viewers, beside what is true."""

import json
import shutil
from pathlib import Path

import click


@click.command()
@click.option(
    "--out", default="demo", show_default=True, type=click.Path(path_type=Path), help="Folder to write to."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def demo(out: Path, *, as_json: bool) -> None:
    """Ask about real movies and viewers, and write OUT/report.html. Needs no network."""
    from vecspeak.demo.page import transcript, verdict
    from vecspeak.demo.run import REPORT, run_demo

    made = run_demo(out, say=lambda line: click.echo(f"{line} ...", err=True))
    report = out / REPORT
    if as_json:
        click.echo(json.dumps({**made.to_dict(), "report": str(report)}, ensure_ascii=False))
        return
    click.echo(transcript(made, shutil.get_terminal_size().columns))
    click.echo(f"\n{verdict(made)}\nThe same with maps, as a page: {report}")
