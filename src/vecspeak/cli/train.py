"""`vecspeak train`: a reader from a recipe: prepares, trains, evaluates, saves; goes on where it stopped."""

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit
from vecspeak.console import say

_FEWEST_HOURS = 1e-4
"""Of a run whose steps took no time that can be told."""
_ENDED = {
    "plan": "all that was planned is done",
    "tokens": "max_tokens of the recipe ended it",
    "time": "the time allowed ended it",
}


@click.command()
@click.argument("recipe", type=options.PATH)
@click.option("--work", type=options.PATH, required=True, help="Folder for caches and checkpoints.")
@click.option("--out", type=options.PATH, required=True, help="Bundle to write.")
@click.option("--bundle", default="", help="Bundle with the spaces of the targets, instead of the recipe's.")
@click.option("--targets", multiple=True, help="Folder of targets, instead of the recipe's; may be repeated.")
@click.option(
    "--encoder",
    default="",
    metavar="FOLDER",
    help="Text encoder whose vectors are read, instead of the recipe's.",
)
@click.option(
    "--texts",
    multiple=True,
    metavar="FILE",
    help="Your texts instead of the recipe's: .txt with one a line, or a table as FILE:COLUMN; may be repeated.",
)
@click.option(
    "--start", default="", metavar="BUNDLE", help="Reader to begin from; `shipped` is the package's."
)
@click.option(
    "--max-hours",
    type=click.FloatRange(0, 1000, min_open=True),
    default=None,
    help="Hours of steps in all, instead of the recipe's; more of them let a run that time ended go on.",
)
@options.count_of(0, 500, "Held-out entities to evaluate on; 0 is none.")
@options.download
@options.as_json
def train(
    recipe: Path,
    *,
    work: Path,
    out: Path,
    bundle: str,
    targets: tuple[str, ...],
    encoder: str,
    texts: tuple[str, ...],
    start: str,
    max_hours: float | None,
    count: int,
    download: bool,
    as_json: bool,
) -> None:
    """Train a reader as RECIPE (a TOML file, see recipes/) says, and write it as a bundle with its own scores.

    A recipe with [targets] learns the tasks of a space that a teacher wrote, and keeps the space:

        vecspeak train recipes/own-tasks.toml --bundle movies.bundle --targets work/targets --work work --out my.bundle

    With --encoder and --texts it learns to read the vectors of another text encoder, from your own texts:

        vecspeak train recipes/reader.toml --encoder FOLDER --texts notes.txt --start shipped --work work --out own

    Ctrl-C while it trains ends the step and keeps it; a kill loses five minutes at most.
    The same command goes on with a run that was stopped; with a larger --max-hours also with one that its time ended.
    What the run came to is kept as summary.json in the work folder.
    """
    from vecspeak.api import VecSpeak

    found = VecSpeak.train(
        recipe, work=work, out=out, bundle=bundle, targets=targets, max_hours=max_hours, count=count,
        encoder=encoder, texts=texts, start=start, download=download,
    )  # fmt: skip
    if as_json:
        emit(found.summary)
        return
    given = ["--bundle", bundle] if bundle else []
    given += [part for folder in targets for part in ("--targets", folder)]
    given += [part for file in texts for part in ("--texts", file)]
    given += ["--encoder", encoder] if encoder else []
    given += ["--start", start] if start else []
    command = ["vecspeak", "train", str(recipe), *given, "--work", str(work), "--out", str(out)]
    _print(found.summary, command, of_targets=found.of_targets)


def _print(summary: Mapping[str, Any], command: Sequence[str], *, of_targets: bool) -> None:
    say(
        f"{summary['recipe']}: {summary['steps']:,} of {summary['planned_steps']:,} planned steps; "
        f"{_ENDED[summary['ended_by']]}"
    )
    say(
        f"steps     {_time(summary['seconds'])} of {_time(3600 * summary['max_hours'])} allowed, "
        f"{summary['tokens']:,} tokens, {summary['examples']:,} examples"
    )
    _print_held_out(summary, of_targets=of_targets)
    for name, value in summary["scores"].items():
        say(f"score     {name}: {_interval(value)}")
    say(f"bundle    {summary['bundle']}  (all of this: {Path(summary['work']) / 'summary.json'})")
    say(f"evaluate  {_evaluate(summary, of_targets=of_targets)}")
    say(f"go on     {_go_on(summary, command, of_targets=of_targets)}")


def _print_held_out(summary: Mapping[str, Any], *, of_targets: bool) -> None:
    found = summary["held_out"]
    if found is None:
        say("held out  nothing is watched: whether the vector is read was not measured")
        if of_targets:
            say(
                "          to watch it: vecspeak teach ... --split holdout --out FOLDER, and --targets FOLDER "
                "beside the others with a new --work"
            )
        return
    say(
        f"held out  {found['rows']:,} rows about {found['entities']:,} entities that no step trains on; "
        "nats a token [95% interval]"
    )
    for name, label in (("loss", "loss"), ("swap_gap", "swap gap")):
        before = f"{_interval(found['before'][name])} before, " if found["before"] else ""
        say(f"          {label:<8}  {before}{_interval(found['after'][name])} after")
    gap = found["after"]["swap_gap"]
    if gap["low"] is None:
        say("          one entity has no interval, and no other to be swapped with")
    elif summary["vector_is_read"]:
        say("          the swap gap's interval lies above 0: the vector is read")
    elif gap["low"] > 0:
        say(
            f"          the swap gap lies above 0, of {found['entities']} entities and by {gap['value']:.3f}: "
            "too few or too little to say that the vector is read"
        )
    elif gap["high"] < 0:
        say("          the swap gap's interval lies below 0: the vector is not read")
    else:
        say("          the swap gap's interval includes 0: the vector is not read yet")


def _interval(value: Mapping[str, Any]) -> str:
    if value["low"] is None:
        return f"{value['value']:.3f}"
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _evaluate(summary: Mapping[str, Any], *, of_targets: bool) -> str:
    bundle, spaces = shlex.quote(summary["bundle"]), summary["spaces"]
    if not spaces:
        return f"first give it a space: vecspeak fit TABLE --reader {bundle} ...; then vecspeak evaluate"
    space = f" --space {shlex.quote(spaces[0])}" if len(spaces) > 1 else ""
    tasks = " --task all --points both --out tasks.json" if of_targets else ""
    return f"vecspeak evaluate {bundle}{space}{tasks}"


def _go_on(summary: Mapping[str, Any], command: Sequence[str], *, of_targets: bool) -> str:
    if summary["ended_by"] == "time":
        return (
            f"{shlex.join(command)} --max-hours {_hours_for_all(summary)}  (about what the whole plan takes)"
        )
    more = "more targets, or more passes under [targets]" if of_targets else "more [texts] or [passes]"
    if summary["ended_by"] == "tokens":
        more = "a larger max_tokens under [schedule]"
    return (
        f"nothing is left of this run: {more} make another one, with its own --work and --out; "
        f'base.start = "{summary["bundle"]}" lets it begin from this reader'
    )


def _hours_for_all(summary: Mapping[str, Any]) -> str:
    """A tenth more than what all planned steps take at the speed so far, rounded up to two digits."""
    hours = 1.1 * summary["seconds"] / 3600 * summary["planned_steps"] / summary["steps"]
    hours = min(1000.0, max(hours, 1.1 * summary["max_hours"], _FEWEST_HOURS))
    unit = 10.0 ** (math.floor(math.log10(hours)) - 1)
    return f"{math.ceil(hours / unit - 1e-9) * unit:.10g}"
