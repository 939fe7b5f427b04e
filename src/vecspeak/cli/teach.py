"""`vecspeak teach`: teachers write targets for the tasks of a set, checked before they are kept."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vecspeak.cli import options
from vecspeak.cli.messages import as_options
from vecspeak.cli.show import emit, note
from vecspeak.console import say, say_text

if TYPE_CHECKING:
    from vecspeak.teachers.base import TeacherConfig
    from vecspeak.teachers.generate import GenerateResult
    from vecspeak.teachers.job import TeachingPlan


@click.command()
@options.bundle
@options.space
@options.task_set
@click.option("--task", "names", multiple=True, metavar="NAME", help="A task of the set; all when not given.")
@options.words
@click.option(
    "--ratings",
    type=options.PATH,
    help="Ratings, for tasks about people; a teacher is told the labels of what they rated.",
)
@options.rating_columns("", "", "")
@click.option("--teacher", required=True, help="facts, a language model (name or folder), or http(s)://...")
@click.option("--model", default="", help="What the teacher is called at that address.")
@options.requests
@options.count_of(1, 100, "Lessons of each task.")
@click.option("--split", default="train", show_default=True, help="train, or a split that is held out.")
@options.seed()
@click.option("--temperature", default=0.0, show_default=True, help="0 takes the likeliest word each time.")
@click.option(
    "--engine", default="auto", show_default=True, help="Of a local teacher: openvino or transformers."
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
@click.option(
    "--out", required=True, type=options.PATH, help="Folder of the targets; goes on where it stopped."
)
@click.option(
    "--read-words", is_flag=True,
    help="Show the teacher the words of a text that its vector tells: targets then say more of what can be read.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show three lessons and what a run would take; ask nobody.")
@options.download
@options.as_json
def teach(
    bundle: Path,
    *,
    space: str,
    task_set: str,
    names: tuple[str, ...],
    words: tuple[str, ...],
    ratings: Path | None,
    user: str,
    item: str,
    rating: str,
    teacher: str,
    count: int,
    split: str,
    seed: int,
    out: Path,
    read_words: bool,
    dry_run: bool,
    download: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Let a teacher write targets for a space of BUNDLE: what a reader is to say of its vectors.

    Of an item a teacher reads text, kinds and time, not its label; of a person the labels of what they rated highest
    and lowest, and kinds and times, not their id. One at an address is sent all of that. What it
    writes is checked (language, form, length, names, copies), kept in --out and not asked for again: stop whenever
    you like, the same command goes on. Only what is on its way when a run is killed is lost. Limits of tokens and
    cost are for all runs of a teacher on a folder. Several teachers on one folder add up.

    Example:
        vecspeak teach demo/movies.bundle --space movies.semantic --tasks movies --teacher facts --out targets

    """
    from vecspeak.api import VecSpeak

    if download:
        from vecspeak.model.pretrained import download_model

        download_model(teacher)
    job = VecSpeak.load(bundle).teaching(
        out,
        teacher=teacher,
        config=teacher_config(seed=seed, **given),
        task=names,
        tasks=task_set,
        words=words,
        ratings=ratings,
        user=user,
        item=item,
        rating=rating,
        count=count,
        split=split,
        seed=seed,
        space=space,
        read_words=read_words,
    )
    if dry_run:
        _print_plan(job.plan(), as_json)
        return
    if job.notice:
        note(job.notice)
    found = job.run()
    found = dataclasses.replace(found, stopped=as_options(found.stopped))
    if as_json:
        emit(found.to_dict())
    else:
        _show(found, out)


def teacher_config(
    *,
    max_tokens_total: int,
    max_cost: float,
    price_in: float,
    price_out: float,
    key_env: str,
    **given: Any,
) -> "TeacherConfig":
    """What the options say of the teacher: its limits, its key and how it is asked."""
    from vecspeak.teachers.base import SpendLimits, TeacherConfig

    limits = SpendLimits(tokens=max_tokens_total, cost=max_cost, price_in=price_in, price_out=price_out)
    return TeacherConfig(key=options.key_of(key_env), limits=limits, **given)


def _print_plan(plan: "TeachingPlan", as_json: bool) -> None:
    if as_json:
        emit(plan.to_dict())
        return
    for example, text in plan.shown:
        say(f"--- {example.task.name} {dict(example.slots)}")
        say_text(text, end="\n\n")
    say(f"{'task':<28} {'lessons':>7} {'to tell' if plan.is_free else 'to ask':>7}")
    for name, count in plan.examples.items():
        say(f"{name:<28} {count:>7,} {plan.asked.get(name, 0):>7,}")
    say(f"{'all':<28} {sum(plan.examples.values()):>7,} {sum(plan.asked.values()):>7,}")
    most = f"at most {plan.max_tokens_in:,} tokens to read and {plan.max_tokens_out:,} to write"
    say(f"{'facts take no tokens' if plan.is_free else most}; nobody was asked")


def _show(summary: "GenerateResult", out: Path) -> None:
    say(f"{'task':<28} {'kept':>7} {'dropped':>8}  why")
    for name, one in summary.tasks.items():
        why = ", ".join(f"{reason} {count:,}" for reason, count in one.dropped.items())
        if one.unanswered:
            why = ", ".join(filter(None, [why, f"not answered yet {one.unanswered:,}"]))
        say(f"{name:<28} {one.accepted:>7,} {sum(one.dropped.values()):>8,}  {why}".rstrip())
    dropped = sum(summary.dropped.values())
    why = ", ".join(f"{reason} {count:,}" for reason, count in summary.dropped.items())
    say(f"{'all':<28} {summary.accepted:>7,} {dropped:>8,}  {why}".rstrip())
    say(
        "",
        f"{summary.asked:,} of {summary.examples:,} lessons answered in {summary.seconds:,.0f} s "
        f"by {summary.teacher}: {summary.tokens_in:,} tokens read, {summary.tokens_out:,} written",
    )
    for name, value in summary.cost.items():
        say(f"{name}: {value}")
    if summary.stopped:
        say(f"stopped early: {summary.stopped}")
    say(_then(summary, out))


def _then(summary: "GenerateResult", out: Path) -> str:
    """What there is in the folder, and what to type next."""
    if not summary.targets:
        return (
            f"no target in {out}: ask other tasks with --task, or another --teacher (facts tell no opinions)"
        )
    return (
        f"{summary.targets:,} targets in {out}; train on them with vecspeak train, or add another teacher's"
    )
