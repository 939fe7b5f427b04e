"""`vecspeak evaluate`: is the vector read? The reader beside every baseline, as a table, JSON and a page."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vecspeak.cli.selection import SET_HELP, selected_set

if TYPE_CHECKING:
    from vecspeak.bundles import Bundle, SpaceEntry
    from vecspeak.encoders.factorization import Ratings
    from vecspeak.evaluation.evaluate import EvaluationConfig, Evaluator
    from vecspeak.evaluation.report import Report
    from vecspeak.evaluation.task_cases import TaskSelection, Tastes
    from vecspeak.tasks.task_set import TaskSet

_path = click.Path(path_type=Path)
_TOKENS = 96
"""Longest answer where nobody says and no task is asked."""
_MOST_TOKENS = 256
"""Longest answer to a task where nobody says."""


@click.command()
@click.argument("bundle", type=_path, required=False)
@click.option("--space", default="", help="Evaluate on items of this space.")
@click.option("--recipe", type=_path, help="Evaluate on the texts of this training recipe.")
@click.option(
    "--work", default="work/reader", type=_path, show_default=True, help="Where the recipe's run lies."
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
@click.option("--tasks", "task_set", default="", metavar="SET", help=SET_HELP)
@click.option("--word", multiple=True, metavar="k=v", help="Replace a word of the task set: item=jacket.")
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
@click.option("--ratings", type=_path, help="Ratings of people, to score profiles by what they like.")
@click.option("--user", default="user_id", show_default=True, help="Column of the ratings.")
@click.option("--item", default="item_id", show_default=True, help="Column of the ratings.")
@click.option("--rating", default="rating", show_default=True, help="Column of the ratings.")
@click.option("--target", default="text", show_default=True, help="Column with the answer that is hoped for.")
@click.option("--count", default=500, show_default=True, type=click.IntRange(5), help="How many, at most.")
@click.option(
    "--max-tokens",
    type=click.IntRange(1),
    help=f"Longest answer; by default {_TOKENS}, and of tasks what the longest target of them all needs.",
)
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
@click.option(
    "--engine", default="auto", show_default=True, help="What answers: openvino, transformers, or the faster."
)
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    help="Of torch: float32 or bfloat16 (faster on some machines).",
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1), help="Of every draw."
)
@click.option(
    "--out", type=_path, help="Write the report here (JSON) and beside it as a page (HTML); resumes."
)
@click.option(
    "--compare", nargs=2, type=_path, metavar="A.json B.json", help="Compare two reports instead, by entity."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(
    bundle: Path | None, *, compare: tuple[Path, Path] | None, as_json: bool, **options: Any
) -> None:
    """Score BUNDLE on entities that nothing was trained or fitted on, beside every baseline.

    The table has a row for each system: the reader; the reader with another entity's vector, the mean and a random
    one; the nearest known text; the base model (without its adapter), which may read the nearest texts, their labels,
    or the truth. Entities that something was fitted on are evaluated only with --split train, and labelled.

        vecspeak evaluate demo/movies.bundle --space movies.semantic --question "Describe the movie {x}." --out r.json

        vecspeak evaluate demo/movies.bundle --space movies.semantic --task all --count 50 --out tasks.json

        vecspeak evaluate --compare before.json after.json
    """
    if compare:
        _compare(*compare, options["out"], as_json)
        return
    if bundle is None:
        from vecspeak.errors import UserError

        raise UserError(
            "no bundle is given to evaluate", "vecspeak evaluate BUNDLE, or --compare A.json B.json"
        )
    report = _evaluated(bundle, options)
    if options["out"]:
        _write(report, options["out"])
    if as_json:
        click.echo(json.dumps(report.to_dict(), ensure_ascii=False))
        return
    _print(report, options["out"])


def _evaluated(path: Path, options: dict[str, Any]) -> "Report":
    from vecspeak.bundles import load_bundle
    from vecspeak.engines import Sampling
    from vecspeak.evaluation.evaluate import EvaluationConfig, Evaluator, check_precision

    out: Path | None = options["out"]
    if out:
        _check_out(out)
    if not options["recipe"] and not options["task"]:
        return _report_of_items(path, options)
    opened = load_bundle(path)
    wanted = _wanted_tasks(opened, options) if options["task"] else None
    settings = EvaluationConfig(
        sampling=Sampling(max_new_tokens=options["max_tokens"] or _room(wanted)),
        best_of=options["best_of"],
        seed=options["seed"],
    )
    run = Evaluator(
        opened,
        keep=out.with_suffix(".kept") if out else None,
        second=options["second_encoder"],
        precision=check_precision(options["precision"]),
        engine=options["engine"],
    )
    if wanted is not None:
        return _task_report(run, wanted, settings, options)
    more = {name: options[name] for name in ("space", "split", "question", "target", "count")}
    return run.report(_recipe_makers(run, options), settings, more)


def _report_of_items(path: Path, options: dict[str, Any]) -> "Report":
    from vecspeak.api import VecSpeak

    out: Path | None = options["out"]
    names = ("split", "target", "count", "best_of", "second_encoder", "precision", "seed", "space")
    return VecSpeak.load(path, engine=options["engine"]).evaluate(
        options["question"],
        max_new_tokens=options["max_tokens"] or _TOKENS,
        cache=out.with_suffix(".kept") if out else None,
        **{name: options[name] for name in names},
    )


def _room(wanted: "TaskSelection | None") -> int:
    """Tokens of an answer where nobody says: one room for all tasks, so that they are asked together."""
    from vecspeak.teachers.base import max_answer_tokens

    if wanted is None:
        return _TOKENS
    return min(max(max_answer_tokens(task) for task in wanted.tasks), _MOST_TOKENS)


def _check_out(out: Path, *given: Path) -> None:
    """Raise UserError, before any work, where report, page and what is kept would overwrite each other or `given`."""
    from vecspeak.errors import UserError
    from vecspeak.storage import check_target

    page = out.with_suffix(".html") if out.name else out
    check_target(out)
    if out.suffix.casefold() in (".html", ".kept"):
        raise UserError(
            f"the report cannot be {out}: its page is written to NAME.html and what is kept to NAME.kept",
            "give --out NAME.json",
        )
    check_target(page)
    for one in given:
        if {one.resolve()} & {out.resolve(), page.resolve()}:
            raise UserError(f"--out {out} would overwrite {one}, which is compared", "give another name")


def _recipe_makers(run: "Evaluator", options: dict[str, Any]) -> list[Callable[[Any], Any]]:
    from vecspeak.evaluation.corpus_cases import corpus_sets
    from vecspeak.training.recipe import load_recipe

    selected = {name: options[name] for name in ("split", "count", "seed")}
    sets = corpus_sets(load_recipe(options["recipe"]), run.encoder, options["work"], **selected)
    return [partial(_ready, made) for made in sets]


def _ready(cases: Any, encoder: Any) -> Any:
    return cases


def _wanted_tasks(opened: "Bundle", options: dict[str, Any]) -> "TaskSelection":
    """The tasks that were asked for; what is wrong with them is told before any model is loaded."""
    from vecspeak.errors import UserError
    from vecspeak.evaluation.task_cases import ALL, TaskSelection, check_data, select_tasks

    if options["recipe"] or options["best_of"] > 1:
        raise UserError(
            "--task asks about a space's own points, once: it goes with neither --recipe nor --best-of",
            "leave these out",
        )
    _check_not_with_tasks()
    points = options["points"]
    entry = opened.entry(options["space"])
    if options["ratings"] and entry.users is None:
        raise UserError(
            f"--ratings tells what people like, and the space {entry.space.name!r} has no users",
            "leave it out, or give a space with users",
        )
    tasks = select_tasks(_task_set(opened, options), options["task"])
    check_data(entry, options["split"])
    return TaskSelection(
        tasks=tasks,
        points=("items", "between") if points == "both" else (points,),
        wording=options["wording"],
        count=options["count"],
        seed=options["seed"],
        by_name=ALL not in options["task"],
    )


def _check_not_with_tasks() -> None:
    """Raise UserError where an option was typed that tasks leave no place for."""
    from click.core import ParameterSource

    from vecspeak.errors import UserError

    context = click.get_current_context()
    for name, why in (
        ("question", "a task has its own question"),
        ("target", "an answer to a task is held against what was read"),
    ):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UserError(f"--{name} does not go with --task: {why}", f"leave out --{name} or --task")


def _task_set(opened: "Bundle", options: dict[str, Any]) -> "TaskSet":
    from vecspeak.tasks.task_set import load_task_set

    return load_task_set(*selected_set(opened, options["space"], options["task_set"], options["word"]))


def _task_report(
    run: "Evaluator", wanted: "TaskSelection", settings: "EvaluationConfig", options: dict[str, Any]
) -> "Report":
    from vecspeak.evaluation.task_cases import evaluation_data, plan_tasks

    entry = run.bundle.entry(options["space"])
    tastes = _tastes(run.bundle, wanted, options) if options["ratings"] else None
    data = evaluation_data(entry, run.encoder, split=options["split"], seed=options["seed"], tastes=tastes)
    plan = plan_tasks(data, wanted)
    for reason in plan.left_out:
        click.echo(f"left out: {reason}", err=True)
    names = ("space", "split", "count", "points", "wording")
    more = {name: options[name] for name in names} | {
        "tasks": _task_set(run.bundle, options).name,
        "words": selected_set(run.bundle, options["space"], options["task_set"], options["word"])[1],
        "left_out": list(plan.left_out),
    }
    return run.gather(run.run(plan.cases, settings), settings, more)


def _tastes(opened: "Bundle", wanted: "TaskSelection", options: dict[str, Any]) -> "Tastes | None":
    """What the ratings say of people, where a task is about them."""
    from vecspeak.encoders.factorization import read_ratings
    from vecspeak.evaluation.task_cases import tastes_of

    task = next((task for task in wanted.tasks if task.about == "person"), None)
    entry = opened.entry(options["space"])
    if task is None or entry.users is None:
        return None
    columns = {name: options[name] for name in ("user", "item", "rating")}
    ratings = read_ratings(options["ratings"], **columns)
    _check_rated(ratings, entry, options["ratings"])
    return tastes_of(entry, _task_set(opened, options), task, ratings)


def _check_rated(ratings: "Ratings", entry: "SpaceEntry", path: Path) -> None:
    """Raise UserError where no rated item and where no person that rated is in the space."""
    from vecspeak.errors import UserError

    assert entry.users is not None
    for what, found, known in (
        ("item", ratings.item_ids, entry.space.ids),
        ("user", ratings.user_ids, entry.users.ids),
    ):
        if set(known).isdisjoint(map(str, found)):
            raise UserError(
                f"none of the {what}s of {path} is in the space {entry.space.name!r}: "
                f"they are called {str(found[0])!r} there and {known[0]!r} here",
                f"name the column that holds the space's {what}s with --{what}",
            )


def _write(report: "Report", out: Path) -> None:
    from vecspeak.evaluation.report import write_report
    from vecspeak.report.html import render_page, write_page

    write_report(out, report)
    write_page(out.with_suffix(".html"), render_page(report))


def _print(report: "Report", out: Path | None) -> None:
    from vecspeak.report.html import rivalries
    from vecspeak.report.tables import cell, task_rows
    from vecspeak.report.terminal import plain, task_lines, wrapped

    if task_rows(report.sets):
        click.echo("\n".join(task_lines(report.sets)))
        _say_page(out)
        return
    for one in report.sets:
        click.echo("\n" + "\n".join(plain(one)))
        for rival in rivalries(one):
            shown = "; ".join(
                f"{verdict} in {measure.name}: {cell(measure, found, signed=True)}"
                for measure, found, verdict in rival.differences
            )
            click.echo("\n".join(wrapped(f"Against {rival.name}: {shown}", rest="    ")))
    _say_page(out)


def _say_page(out: Path | None) -> None:
    if out:
        click.echo(f"\nThe same with answers and plots, as a page: {out.with_suffix('.html')}")


def _compare(first: Path, second: Path, out: Path | None, as_json: bool) -> None:
    from vecspeak.evaluation.report import read_report
    from vecspeak.report.compare import compare
    from vecspeak.report.html import render_comparison, write_page
    from vecspeak.report.terminal import comparison_lines
    from vecspeak.storage import write_json

    if out:
        _check_out(out, first, second)
    found = compare(read_report(first), read_report(second))
    if out:
        write_json(out, found.to_dict())
        write_page(out.with_suffix(".html"), render_comparison(found))
    if as_json:
        click.echo(json.dumps(found.to_dict(), ensure_ascii=False))
        return
    click.echo("\n".join(comparison_lines(found)))
