"""`vecspeak profile`: a profile from a part of someone's ratings, held against the part that was hidden from it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vecspeak.cli.selection import SET_HELP, selected_set

if TYPE_CHECKING:
    from vecspeak.bundles import Bundle, SpaceEntry
    from vecspeak.protocols.profiles import CheckedPerson, Checker, ProfileResult, UserRatings
    from vecspeak.tasks.task_set import Task, TaskSet

_path = click.Path(path_type=Path)
_MOST_TOKENS = 256
"""Longest profile where nobody says."""


@click.command()
@click.argument("bundle", type=_path)
@click.option(
    "--at", default="", metavar="PERSON", help="""'user(42)' of the ratings, or 'user({"Heat": 5, ...})'."""
)
@click.option("--people", type=click.IntRange(2), metavar="N", help="Instead: N people that are held out.")
@click.option(
    "--ratings", required=True, type=_path, help="Ratings of people, such as the space was made from."
)
@click.option("--user", default="user_id", show_default=True, help="Column of the ratings.")
@click.option("--item", default="item_id", show_default=True, help="Column of the ratings.")
@click.option("--rating", default="rating", show_default=True, help="Column of the ratings.")
@click.option("--space", default="", help="Name of the space, when the bundle holds several.")
@click.option(
    "--task", default="", metavar="NAME", help="A task about a person; the first of the set by default."
)
@click.option("--tasks", "task_set", default="", metavar="SET", help=SET_HELP)
@click.option("--word", "words", multiple=True, metavar="k=v", help="Replace a word of the task set.")
@click.option(
    "--hide",
    default=0.3,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the ratings to hide.",
)
@click.option(
    "--draws", default=5, show_default=True, type=click.IntRange(1, 100), help="How often, each time others."
)
@click.option(
    "--max-tokens", type=click.IntRange(1), help="Longest profile; by default what the longest target needs."
)
@click.option("--engine", default="auto", show_default=True, help="openvino, transformers, or the faster.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0, 2**32 - 1), help="Of every draw."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with all texts.")
def profile(bundle: Path, *, as_json: bool, **options: Any) -> None:
    """Write a profile from a part of someone's ratings and see what it says of the rest.

    The person's vector is folded in from the kept ratings, so it has not seen what was hidden; the hidden items' own
    vectors are those that everyone else gives them. The profile ranks what was hidden, beside another person's
    profile, the vector itself, and what is popular. Profiles are inferences from ratings: do not judge anyone by them.

    Examples:
        vecspeak profile demo/movies.bundle --space movies.behavioral --at 'user(42)' --ratings ml-100k.inter

        vecspeak profile demo/movies.bundle --space movies.behavioral --people 50 --draws 1 --ratings ml-100k.inter

    """
    from vecspeak.bundles import load_bundle
    from vecspeak.errors import UserError

    if bool(options["at"]) == bool(options["people"]):
        raise UserError(
            "both a person and a number of people are given" if options["at"] else "nobody is named",
            "give --at 'user(42)', or --people 10 for people that are held out",
        )
    opened = load_bundle(bundle)
    checked, found = _checked(opened, options)
    if as_json:
        click.echo(json.dumps(_plain(checked, found), ensure_ascii=False))
        return
    _show(checked, found)


def _checked(opened: "Bundle", options: dict[str, Any]) -> "tuple[list[CheckedPerson], ProfileResult]":
    from vecspeak.protocols.profiles import (
        hide,
        named_person,
        others_than,
        people_to_check,
        profile_result,
        standing,
    )

    entry = opened.entry(options["space"])
    crowd = _crowd(entry, options)
    checker = _checker(opened, crowd, options)
    hidden = {"share": options["hide"], "seed": options["seed"]}
    if options["people"]:
        people = people_to_check(crowd, options["people"], **hidden)
        if len(people) < options["people"]:
            click.echo(f"only {len(people)} people who are held out rated enough", err=True)
        checked = checker.check_many(people)
    else:
        person, ratings = named_person(options["at"], crowd)
        hide(ratings, options["hide"], [options["seed"]])  # of the person first, and before anything is made
        others = others_than(crowd, person, options["draws"], **hidden)
        checked = [checker.check_one(person, ratings, others)]
    known = standing(opened, [one.person for one in checked])
    return checked, profile_result(checked, share=options["hide"], standing=known, seed=options["seed"])


def _crowd(entry: "SpaceEntry", options: dict[str, Any]) -> "UserRatings":
    from vecspeak.encoders.factorization import read_ratings
    from vecspeak.evaluation.task_cases import by_person
    from vecspeak.protocols.profiles import UserRatings, fold_in_of

    fold_in_of(entry)  # told before a large file is read
    columns = {name: options[name] for name in ("user", "item", "rating")}
    return UserRatings.of(entry, by_person(read_ratings(options["ratings"], **columns)))


def _checker(opened: "Bundle", crowd: "UserRatings", options: dict[str, Any]) -> "Checker":
    from vecspeak.asking import Asker
    from vecspeak.engines import Sampling
    from vecspeak.protocols.profiles import Checker, ProfileConfig
    from vecspeak.tasks.task_set import load_task_set
    from vecspeak.teachers.base import max_answer_tokens

    entry = crowd.entry
    task_set = load_task_set(*selected_set(opened, entry.space.name, options["task_set"], options["words"]))
    task = _task(task_set, options["task"])
    settings = ProfileConfig(
        share=options["hide"],
        draws=options["draws"],
        seed=options["seed"],
        sampling=Sampling(max_new_tokens=options["max_tokens"] or min(max_answer_tokens(task), _MOST_TOKENS)),
    )
    if not opened.manifest.knows_tasks:
        click.echo(
            "this reader learned no tasks by name and will mostly describe: vecspeak fit ... --reader tasks",
            err=True,
        )
    asker = Asker.of(opened, space=entry.space.name, engine=options["engine"])
    return Checker(asker, task_set, task, crowd, settings)


def _task(task_set: "TaskSet", name: str) -> "Task":
    """The task of that name, or the first about a person. Raises UserError where it is about something else."""
    from vecspeak.errors import UserError

    of_people = [task for task in task_set.tasks.values() if task.about == "person"]
    if name:
        task = task_set.task(name)
        if task.about != "person":
            known = ", ".join(one.name for one in of_people) or "none"
            raise UserError(
                f"the task {name} is not about a person", f"tasks of {task_set.name} that are: {known}"
            )
        return task
    if not of_people:
        raise UserError(f"no task of the set {task_set.name} is about a person", "give another with --tasks")
    return of_people[0]


def _plain(checked: "list[CheckedPerson]", found: "ProfileResult") -> dict[str, Any]:
    """All that was found, and every text with what it is told from."""
    profiles = [
        {
            "person": one.person,
            "num_ratings": one.num_ratings,
            "text": shown.text,
            "another": shown.another,
            "flags": list(shown.flags),
            "hidden_liked": list(shown.parts.liked),
            "hidden_disliked": list(shown.parts.disliked),
            "auc": {name: orders["auc"].auc for name, orders in shown.orders.items()},
            "kinds": {name: asdict(named) for name, named in shown.named.items()},
        }
        for one in checked
        for shown in one.draws
    ]
    return {**found.to_dict(), "profiles": profiles}


def _show(checked: "list[CheckedPerson]", found: "ProfileResult") -> None:
    from vecspeak.protocols.profiles import lines

    if len(checked) == 1:
        first = checked[0].draws[0]
        click.echo(f"{first.text}\n")
        click.echo(f"(written from {len(first.parts.shown)} of {checked[0].num_ratings} ratings)")
    click.echo("\n".join(lines(found)))
    flags = sorted({flag for one in checked for shown in one.draws for flag in shown.flags})
    if flags:
        click.echo(
            f"PRIVACY: {found.flagged} of {sum(len(one.draws) for one in checked)} profiles state "
            f"{' and '.join(flags)} of a person, which ratings do not tell: do not believe it"
        )
