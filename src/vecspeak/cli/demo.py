"""`vecspeak demo`: what the reader says about real movies and viewers, beside what is true."""

import shlex
import shutil
import sys
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
    from vecspeak.demo.run import BUNDLE, REPORT, run_demo

    made = run_demo(out, say=lambda line: say(f"{line} ...", err=True))
    report = out / REPORT
    if as_json:
        emit({**made.to_dict(), "report": str(report)})
        return
    say(*transcript(made, shutil.get_terminal_size().columns).split("\n"))
    say("", verdict(made), f"The same with maps, as a page: {report}")
    _lay_out(out / BUNDLE)
    say(f"Look at it, and ask yourself: {_as_typed()} explore {shlex.quote(str(out / BUNDLE))}")


def _lay_out(bundle: Path) -> None:
    """Put the map of the first space into the bundle, where what lays it out is installed: the page opens with it."""
    from importlib.util import find_spec

    from vecspeak.api import VecSpeak

    if find_spec("openTSNE"):
        found = VecSpeak.load(bundle)
        found.map(next(iter(found.spaces)), save=True, on_step=lambda line: say(f"{line} ...", err=True))


def _as_typed() -> str:
    """How this program is called here: by its name where the shell finds it, else by the path that it was called by."""
    called = Path(sys.argv[0])
    is_found = shutil.which(called.name) or called.name != "vecspeak"
    return "vecspeak" if is_found else shlex.quote(str(called))
