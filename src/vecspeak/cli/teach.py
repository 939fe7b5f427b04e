"""`vecspeak teach`: teachers write targets for the tasks of a set, checked before they are kept."""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vecspeak.cli.messages import as_options
from vecspeak.cli.selection import SET_HELP, selected_set

if TYPE_CHECKING:
    from vecspeak.bundles.bundle import SpaceEntry
    from vecspeak.tasks.examples import TargetsOrigin, TaskExample
    from vecspeak.tasks.task_set import TaskSet
    from vecspeak.teachers.base import Teacher
    from vecspeak.teachers.generate import GenerateResult

_path = click.Path(path_type=Path)
_SHOWN = 3


@click.command()
@click.argument("bundle", type=_path)
@click.option("--space", default="", help="Space of the bundle to write about.")
@click.option("--tasks", "task_set", default="", metavar="SET", help=SET_HELP)
@click.option("--task", "names", multiple=True, metavar="NAME", help="A task of the set; all when not given.")
@click.option("--word", "words", multiple=True, metavar="item=jacket", help="Replace a word of the set.")
@click.option(
    "--ratings",
    type=_path,
    help="Ratings, for tasks about people; a teacher is told the labels of what they rated.",
)
@click.option("--user", default="", help="Column of users in the ratings.")
@click.option("--item", default="", help="Column of items in the ratings: the space's ids.")
@click.option("--rating", default="", help="Column of ratings; more is better.")
@click.option("--teacher", required=True, help="facts, a language model (name or folder), or http(s)://...")
@click.option("--model", default="", help="What the teacher is called at that address.")
@click.option(
    "--key-env", default="", metavar="NAME", help="Environment variable with the key of that address."
)
@click.option("--count", default=100, show_default=True, type=click.IntRange(1), help="Lessons of each task.")
@click.option("--split", default="train", show_default=True, help="train, or a split that is held out.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1), help="Of every draw."
)
@click.option("--temperature", default=0.0, show_default=True, help="0 takes the likeliest word each time.")
@click.option(
    "--engine", default="auto", show_default=True, help="Of a local teacher: openvino or transformers."
)
@click.option(
    "--concurrency", default=4, show_default=True, type=click.IntRange(1, 64), help="Asked at a time."
)
@click.option(
    "--timeout", default=120.0, show_default=True, type=click.FloatRange(1), help="Seconds a reply."
)
@click.option("--per-minute", default=0.0, type=click.FloatRange(0), help="Requests a minute, at most.")
@click.option(
    "--max-tokens-total",
    default=0,
    type=click.IntRange(0),
    help="Stop before --out holds more tokens of this teacher, earlier runs counted.",
)
@click.option(
    "--max-cost",
    default=0.0,
    type=click.FloatRange(0),
    help="Stop before this teacher cost more for --out, earlier runs counted.",
)
@click.option("--price-in", default=0.0, type=click.FloatRange(0), help="Of a million tokens read.")
@click.option("--price-out", default=0.0, type=click.FloatRange(0), help="Of a million tokens written.")
@click.option("--out", required=True, type=_path, help="Folder of the targets; goes on where it stopped.")
@click.option("--dry-run", is_flag=True, help="Show three lessons and what a run would take; ask nobody.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def teach(bundle: Path, *, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Let a teacher write targets for a space of BUNDLE: what a reader is to say of its vectors.

    Of an item a teacher reads text, kinds and time, not its label; of a person the labels of what they rated highest
    and lowest, and kinds and times, not their id. One at an address is sent all of that. What it
    writes is checked (language, form, length, names, copies), kept in --out and not asked for again: stop whenever
    you like, the same command goes on. Only what is on its way when a run is killed is lost. Limits of tokens and
    cost are for all runs of a teacher on a folder. Several teachers on one folder add up.

    Example:
        vecspeak teach demo/movies.bundle --space movies.semantic --tasks movies --teacher facts --out targets

    """
    from vecspeak.bundles import load_bundle
    from vecspeak.tasks.task_set import load_task_set
    from vecspeak.teachers.generate import check_folder, generate_targets, pending

    opened = load_bundle(bundle)
    entry = opened.entry(options["space"])
    options["task_set"], options["words"] = selected_set(
        opened, options["space"], options["task_set"], options["words"]
    )
    task_set = load_task_set(options["task_set"], options["words"])
    about = _about(entry, options)
    examples = _examples(entry, task_set, options)
    check_folder(options["out"], about)
    teacher = _teacher(options)
    if dry_run:
        _show_dry(examples, pending(examples, teacher, options["out"]), teacher, as_json)
        return
    _say_what_is_sent(teacher, examples)
    summary = generate_targets(examples, teacher, options["out"], about, language=task_set.language)
    summary = dataclasses.replace(summary, stopped=as_options(summary.stopped))
    if as_json:
        click.echo(json.dumps({**summary.to_dict(), **_cost(teacher)}, ensure_ascii=False))
        return
    _show(summary, teacher, options["out"])


def _about(entry: "SpaceEntry", options: dict[str, Any]) -> "TargetsOrigin":
    from vecspeak.tasks.examples import TargetsOrigin

    return TargetsOrigin(
        space=entry.space.name,
        space_digest=entry.space.digest,
        task_set=options["task_set"],
        words=options["words"],
        split=options["split"],
        seed=options["seed"],
    )


def _examples(entry: "SpaceEntry", task_set: "TaskSet", options: dict[str, Any]) -> "list[TaskExample]":
    """The lessons that are asked for. Raises UserError where there are none."""
    from vecspeak.errors import UserError
    from vecspeak.tasks.examples import example_data, make_task_examples

    tasks = [task_set.task(name) for name in options["names"]] or list(task_set.tasks.values())
    of_people = [task.name for task in tasks if task.about == "person"]
    if options["names"] and of_people and not options["ratings"]:
        raise UserError(
            f"{of_people[0]} is about a person, and no ratings are given",
            "add --ratings FILE --user COLUMN --item COLUMN --rating COLUMN",
        )
    made = example_data(entry.space, task_set, splits=entry.splits, ratings=_ratings(entry, options))
    counts = {task.name: options["count"] for task in tasks}
    examples = make_task_examples(made, counts=counts, split=options["split"], seed=options["seed"])
    if not examples:
        raise UserError(
            f"nothing in the split {options['split']!r} can be asked about by these tasks",
            "give another --split",
        )
    return examples


def _ratings(entry: "SpaceEntry", options: dict[str, Any]) -> dict[str, dict[str, float]] | None:
    """Stars by person and item. Raises UserError where the items are not those of the space."""
    from vecspeak.encoders.factorization import read_ratings
    from vecspeak.errors import UserError

    if not options["ratings"]:
        return None
    columns = {name: options[name] for name in ("user", "item", "rating")}
    if missing := [name for name, column in columns.items() if not column]:
        raise UserError(f"--ratings needs the column of the {missing[0]}", f"add --{missing[0]} COLUMN")
    read = read_ratings(options["ratings"], **columns)
    known, found = set(entry.space.ids), dict[str, dict[str, float]]()
    for user, item, value in zip(read.user_ids, read.item_ids, read.values.tolist(), strict=True):
        if item in known:
            found.setdefault(str(user), {})[str(item)] = value
    if not found:
        raise UserError(
            f"none of the items of {options['ratings']} is in the space {entry.space.name!r}: "
            f"they are called {read.item_ids[0]!r} there and {entry.space.ids[0]!r} here",
            "name the column that holds the space's ids with --item",
        )
    return found


def _teacher(options: dict[str, Any]) -> "Teacher":
    from vecspeak.cli.judge import key_of
    from vecspeak.teachers.base import SpendLimits, TeacherConfig
    from vecspeak.teachers.registry import make_teacher

    limits = SpendLimits(
        tokens=options["max_tokens_total"],
        cost=options["max_cost"],
        price_in=options["price_in"],
        price_out=options["price_out"],
    )
    names = ("temperature", "seed", "engine", "model", "timeout", "concurrency", "per_minute")
    given = {name: options[name] for name in names}
    return make_teacher(
        options["teacher"], TeacherConfig(key=key_of(options["key_env"]), limits=limits, **given)
    )


def _say_what_is_sent(teacher: "Teacher", examples: "Sequence[TaskExample]") -> None:
    """A line where ratings leave this machine."""
    if teacher.sends_to and any(example.task.about == "person" for example in examples):
        click.echo(f"the labels of what people rated are sent to {teacher.sends_to}", err=True)


def _cost(teacher: "Teacher") -> dict[str, Any]:
    """What a paid teacher cost in this run and in all runs on the folder, where the prices are known."""
    budget = teacher.budget
    if budget is None or not (budget.limits.price_in or budget.limits.price_out):
        return {}
    return {"cost": round(budget.cost, 6), "cost_in_all": round(budget.cost_in_all, 6)}


def _show_dry(
    examples: "Sequence[TaskExample]", asked: "Sequence[TaskExample]", teacher: "Teacher", as_json: bool
) -> None:
    """Three lessons, and what a run would take: what is kept is not `asked`, and what tells the same only once.

    Of lessons for facts those count that facts can tell; what they tell is shown, and it takes no tokens.
    """
    from vecspeak.teachers.base import max_request_tokens

    is_free = not teacher.uses_tokens
    asked = [example for example in asked if teacher.preview(example)]
    shown = [(example, teacher.preview(example) or "") for example in _some(asked if is_free else examples)]
    counts, left = (Counter(example.task.name for example in some) for some in (examples, asked))
    needs = [] if is_free else [max_request_tokens(example) for example in asked]
    most_in, most_out = sum(read for read, _ in needs), sum(written for _, written in needs)
    if as_json:
        plain = {"lessons": counts, "asked": left, "most_tokens_in": most_in, "most_tokens_out": most_out}
        click.echo(json.dumps({**plain, "shown": [text for _, text in shown]}, ensure_ascii=False))
        return
    for example, text in shown:
        click.echo(f"--- {example.task.name} {dict(example.slots)}\n{text}\n")
    click.echo(f"{'task':<28} {'lessons':>7} {'to tell' if is_free else 'to ask':>7}")
    for name, count in counts.items():
        click.echo(f"{name:<28} {count:>7,} {left[name]:>7,}")
    click.echo(f"{'all':<28} {len(examples):>7,} {len(asked):>7,}")
    most = f"at most {most_in:,} tokens to read and {most_out:,} to write"
    click.echo(f"{'facts take no tokens' if is_free else most}; nobody was asked")


def _some(examples: "Sequence[TaskExample]") -> "Sequence[TaskExample]":
    """A few of them, from all over."""
    return examples[:: max(1, len(examples) // _SHOWN)][:_SHOWN]


def _show(summary: "GenerateResult", teacher: "Teacher", out: Path) -> None:
    click.echo(f"{'task':<28} {'kept':>7} {'dropped':>8}  why")
    for name, one in summary.tasks.items():
        why = ", ".join(f"{reason} {count:,}" for reason, count in one.dropped.items())
        if one.unanswered:
            why = ", ".join(filter(None, [why, f"not answered yet {one.unanswered:,}"]))
        click.echo(f"{name:<28} {one.accepted:>7,} {sum(one.dropped.values()):>8,}  {why}".rstrip())
    dropped = sum(summary.dropped.values())
    why = ", ".join(f"{reason} {count:,}" for reason, count in summary.dropped.items())
    click.echo(f"{'all':<28} {summary.accepted:>7,} {dropped:>8,}  {why}".rstrip())
    click.echo(
        f"\n{summary.asked:,} of {summary.examples:,} lessons answered in {summary.seconds:,.0f} s "
        f"by {summary.teacher}: {summary.tokens_in:,} tokens read, {summary.tokens_out:,} written"
    )
    for name, value in _cost(teacher).items():
        click.echo(f"{name}: {value}")
    if summary.stopped:
        click.echo(f"stopped early: {summary.stopped}")
    click.echo(_then(summary, out))


def _then(summary: "GenerateResult", out: Path) -> str:
    """What there is in the folder, and what to type next."""
    if not summary.targets:
        return (
            f"no target in {out}: ask other tasks with --task, or another --teacher (facts tell no opinions)"
        )
    return (
        f"{summary.targets:,} targets in {out}; train on them with vecspeak train, or add another teacher's"
    )
