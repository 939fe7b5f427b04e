"""`vecspeak demo`: what the reader says about real movies and viewers, beside what is true."""

import shutil
from pathlib import Path

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit
from vecspeak.console import say


@click.command()
@click.option("--out", default="demo", show_default=True, type=options.PATH, help="Folder to write to.")
@options.as_json
def demo(out: Path, *, as_json: bool) -> None:
    """Ask about real movies and viewers, and write OUT/report.html. Needs no network."""
    from vecspeak.demo.page import transcript, verdict
    from vecspeak.demo.run import REPORT, run_demo

    made = run_demo(out, say=lambda line: say(f"{line} ...", err=True))
    report = out / REPORT
    if as_json:
        emit({**made.to_dict(), "report": str(report)})
        return
    say(*transcript(made, shutil.get_terminal_size().columns).split("\n"))
    say("", verdict(made), f"The same with maps, as a page: {report}")
