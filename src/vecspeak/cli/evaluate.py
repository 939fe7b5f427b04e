"""`vecspeak evaluate`: is the vector read? The reader beside every baseline, as a table, JSON and a page."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.api import VecSpeak
    from vecspeak.evaluation.report import Report
    from vecspeak.searching import AskedEffort

_TOKENS = 64
"""Longest answer where nobody says and no task is asked."""


@click.command()
@click.argument("bundle", type=options.PATH, required=False)
@options.space
@click.option("--recipe", type=options.PATH, help="Evaluate on the texts of this training recipe.")
@click.option(
    "--work", default="work/reader", type=options.PATH, show_default=True, help="Where the recipe's run lies."
)
@click.option(
    "--split",
    default="holdout",
    show_default=True,
    help="holdout, regions, cold of a space; holdout, kinds, tasks of a recipe; train: what was fitted on.",
)
@click.option("--question", default="Describe {x}.", show_default=True, help="What is asked of each item.")
@click.option(
    "--task", multiple=True, metavar="all|NAME", help="Ask tasks instead: a row a task. Repeatable."
)
@options.task_set
@options.words
@click.option(
    "--points",
    type=click.Choice(["items", "between", "both"]),
    default="both",
    show_default=True,
    help="Of tasks: held-out items, points halfway between two, or both.",
)
@click.option(
    "--wording",
    type=click.Choice(["train", "held-out"]),
    default="train",
    show_default=True,
    help="Of tasks: as training asks, or as it never asks.",
)
@click.option("--ratings", type=options.PATH, help="Ratings of people, to score profiles by what they like.")
@options.rating_columns()
@click.option("--target", default="text", show_default=True, help="Column with the answer that is hoped for.")
@options.count_of(5, 500, "How many, at most.")
@click.option(
    "--max-tokens",
    type=click.IntRange(1),
    help=f"Longest answer; by default {_TOKENS}, and of tasks what the longest target of them all needs.",
)
@options.effort("plain")
@click.option(
    "--best-of",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Also draw N answers, keep one.",
)
@click.option(
    "--second-encoder",
    default="",
    metavar="NAME",
    help="Encoder that made nothing: all-mpnet-base-v2 where installed; a folder; or none.",
)
@options.engine
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    help="Of torch: float32 or bfloat16 (faster on some machines).",
)
@options.seed()
@click.option(
    "--out", type=options.PATH, help="Write the report here (JSON) and beside it as a page (HTML); resumes."
)
@click.option(
    "--compare",
    nargs=2,
    type=options.PATH,
    metavar="A.json B.json",
    help="Compare two reports instead, by entity.",
)
@options.as_json
def evaluate(
    bundle: Path | None,
    *,
    compare: tuple[Path, Path] | None,
    engine: str,
    out: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Score BUNDLE on entities that nothing was trained or fitted on, beside every baseline.

    The table has a row for each system: the reader; the reader with another entity's vector, the mean and a random
    one; the nearest known text; the base model (without its adapter), which may read the nearest texts, their labels,
    or the truth. Entities that something was fitted on are evaluated only with --split train, and labelled.

        vecspeak evaluate demo/movies.bundle --space movies.semantic --question "Describe the movie {x}." --out r.json

        vecspeak evaluate demo/movies.bundle --space movies.semantic --task all --count 50 --out tasks.json

        vecspeak evaluate --compare before.json after.json
    """
    from vecspeak.api import VecSpeak
    from vecspeak.bundles.bundle import check_not_in_bundle
    from vecspeak.errors import UserError
    from vecspeak.evaluation.report import check_report_target

    if compare:
        _compare(*compare, out, as_json)
        return
    if bundle is None:
        raise UserError(
            "no bundle is given to evaluate", "vecspeak evaluate BUNDLE, or --compare A.json B.json"
        )
    if out:
        check_report_target(out)
        check_not_in_bundle(out, "out")  # its cache too
    cache = out.with_suffix(".kept") if out else None
    report = _report(VecSpeak.load(bundle, engine=engine, notify=note), cache=cache, **asked)
    if out:
        from vecspeak.report.html import save_report

        save_report(report, out)
    if as_json:
        emit(report.to_dict())
    else:
        _print(report, out)


def _report(
    vs: "VecSpeak",
    *,
    recipe: Path | None,
    work: Path,
    question: str,
    target: str,
    task: tuple[str, ...],
    task_set: str,
    max_tokens: int | None,
    best_of: int,
    effort: "AskedEffort | None",
    space: str,
    points: str,
    wording: str,
    words: tuple[str, ...],
    ratings: Path | None,
    user: str,
    item: str,
    rating: str,
    **run: Any,
) -> "Report":
    """The report of what the options ask about: tasks, a recipe's texts, or the items of a space."""
    if task:
        _check_not_with_tasks(recipe, best_of, effort)
        about: dict[str, Any] = {"points": points, "wording": wording, "tasks": task_set, "words": words}
        people: dict[str, Any] = {"ratings": ratings, "user": user, "item": item, "rating": rating}
        return vs.evaluate_tasks(task, max_new_tokens=max_tokens, space=space, **about, **people, **run)
    run |= {"max_new_tokens": max_tokens or _TOKENS, "best_of": best_of}
    if recipe:
        if effort:
            from vecspeak.errors import UserError

            raise UserError("--effort is for items of a space, not for --recipe", "leave one of them out")
        return vs.evaluate_recipe(recipe, work, **run)
    return vs.evaluate(question, target=target, space=space, effort=effort or "plain", **run)


def _check_not_with_tasks(recipe: Path | None, best_of: int, effort: "AskedEffort | None") -> None:
    """Raise UserError where an option was typed that tasks leave no place for."""
    from click.core import ParameterSource

    from vecspeak.errors import UserError

    if recipe or best_of > 1 or effort:
        raise UserError(
            "--task asks about a space's own points, once: it goes with none of --recipe, --best-of and --effort",
            "leave these out",
        )
    context = click.get_current_context()
    for name, why in (
        ("question", "a task has its own question"),
        ("target", "an answer to a task is held against what was read"),
    ):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UserError(f"--{name} does not go with --task: {why}", f"leave out --{name} or --task")


def _print(report: "Report", out: Path | None) -> None:
    from vecspeak.report.html import rivalries
    from vecspeak.report.tables import cell, task_rows
    from vecspeak.report.terminal import plain, task_lines, wrapped

    if task_rows(report.sets):
        say(*task_lines(report.sets))
        _say_page(out)
        return
    for one in report.sets:
        say("", *plain(one))
        for rival in rivalries(one):
            shown = "; ".join(
                f"{verdict} in {measure.name}: {cell(measure, found, signed=True)}"
                for measure, found, verdict in rival.differences
            )
            say(*wrapped(f"Against {rival.name}: {shown}", rest="    "))
    _say_page(out)


def _say_page(out: Path | None) -> None:
    if out:
        say("", f"The same with answers and plots, as a page: {out.with_suffix('.html')}")


def _compare(first: Path, second: Path, out: Path | None, as_json: bool) -> None:
    from vecspeak.report.html import compare_reports
    from vecspeak.report.terminal import comparison_lines

    found = compare_reports(first, second, out)
    if as_json:
        emit(found.to_dict())
    else:
        say(*comparison_lines(found))
