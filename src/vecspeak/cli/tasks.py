"""`vecspeak tasks`: what can be asked by name, and what each task is made of."""

import dataclasses
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit
from vecspeak.console import say
from vecspeak.tasks.names import DEFAULT, SHIPPED

if TYPE_CHECKING:
    from vecspeak.tasks.task_set import Task

_ABOUT = {
    "item": "one item",
    "pair": "two items",
    "neighbour": "an item and its nearest neighbour, which is found where it is not given",
    "person": "a person",
}
_set = f"A set of the package ({options.SETS}) or a .toml file."


@click.group()
def tasks() -> None:
    """Show the tasks: questions with a name, several wordings, and a way to score their answers."""


@tasks.command("list")
@click.argument("task_set", default="", metavar="[SET]")
@click.option("--tasks", "named", default="", metavar="SET", help=f"The same as SET. {_set}")
@options.words
@options.as_json
def list_tasks(task_set: str, *, named: str, words: tuple[str, ...], as_json: bool) -> None:
    """List the tasks of SET: one of the package, whose names are told at the end, or a .toml file."""
    from vecspeak.bundles.manifest import NEUTRAL_TASKS
    from vecspeak.errors import UserError
    from vecspeak.tasks.task_set import load_task_set, split_words

    if task_set and named and task_set != named:
        raise UserError(f"two task sets are given, {task_set} and {named}", "give one of them")
    task_set = task_set or named or DEFAULT
    found = load_task_set(task_set, split_words(words))
    if as_json:
        emit({name: _plain(task) for name, task in found.tasks.items()})
        return
    width = max(map(len, found.tasks))
    for name, task in found.tasks.items():
        say(f"{name:<{width}}  {task.question}")
    others = ", ".join(name for name in SHIPPED if name != task_set)
    say("", f"{len(found.tasks)} tasks in the set {found.name}. Other sets: {others}, or your own .toml file")
    shown = "" if task_set == DEFAULT else f" --tasks {task_set}"
    asked = "" if task_set == NEUTRAL_TASKS else f" --tasks {task_set}"
    say(
        f"vecspeak tasks show NAME{shown} says all of one; vecspeak ask BUNDLE --task NAME{asked} --at x=... asks it"
    )


@tasks.command("show")
@click.argument("name")
@click.option("--tasks", "task_set", default=DEFAULT, show_default=True, help=_set)
@options.words
@options.as_json
def show(name: str, *, task_set: str, words: tuple[str, ...], as_json: bool) -> None:
    """Show all of the task NAME: wordings, what a teacher is told, what targets are made of, how answers are scored."""
    from vecspeak.tasks.task_set import load_task_set, split_words

    task = load_task_set(task_set, split_words(words)).task(name)
    if as_json:
        emit(_plain(task))
        return
    say(f"{task.name}: about {_ABOUT[task.about]}", "")
    _block("Asked as", task.prompts)
    _block("Never in training, for tests", task.held_out)
    _block("A teacher is told, after the texts", (task.teacher,))
    if task.start:
        _block("And to begin with", (task.start,))
    made = task.facts or ("(nothing: without a teacher it would be an opinion)",)
    _block("Made without a model of", made)
    form = f"{task.entries} entries" if task.entries else "running text"
    _block("A target is", (f"{form}, {task.words[0]} to {task.words[1]} words",))
    _block("Scored by", task.score)


def _block(title: str, lines: tuple[str, ...]) -> None:
    say(title, *(f"  {line}" for line in lines), "")


def _plain(task: "Task") -> dict[str, object]:
    return dataclasses.asdict(task) | {"slots": task.slots}
