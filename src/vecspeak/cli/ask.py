"""`vecspeak ask`: a question about points of a space, answered as it comes, with evidence."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli.chosen import SET_HELP, chosen_set

if TYPE_CHECKING:
    from vecspeak.asking import Answer, Asked, Asker
    from vecspeak.bundles import Bundle

_MOST_TOKENS = 2048
"""The longest answer that an engine gives."""


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("question", default="")
@click.option(
    "--task", "task", default="", metavar="NAME", help="Ask a task by its name (vecspeak tasks list)."
)
@click.option("--tasks", "task_set", default="", metavar="SET", help=SET_HELP)
@click.option("--word", "words", multiple=True, metavar="NAME=WORD", help="Replace a word of the task set.")
@click.option("--at", "at", multiple=True, metavar="SLOT=EXPRESSION", help="What stands in {SLOT}.")
@click.option("--space", default="", help="Name of the space, when the bundle holds several.")
@click.option(
    "--max-tokens",
    type=int,
    default=None,
    help="Longest answer.  [default: 96, or what the longest target of --task needs]",
)
@click.option("--temperature", default=0.0, show_default=True, help="0 is greedy.")
@click.option("--seed", default=0, show_default=True, help="Seed of the draw.")
@click.option(
    "--best-of",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Draw N answers and keep the one with the best round trip.",
)
@click.option(
    "--engine",
    "engine_name",
    default="auto",
    show_default=True,
    help="openvino, transformers, or the faster.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ask(
    bundle: Path,
    question: str,
    *,
    task: str,
    task_set: str,
    words: tuple[str, ...],
    at: tuple[str, ...],
    space: str,
    max_tokens: int | None,
    temperature: float,
    seed: int,
    best_of: int,
    engine_name: str,
    as_json: bool,
) -> None:
    """Ask BUNDLE a QUESTION about the points that stand in its slots.

    An expression is an item by its label or id, or is made of items:

        "Heat"   id("m12")   mid("Heat", "Alien", 0.3)   "Heat" + 12*funny   mean("Heat", "Alien")   user(42)

    Examples:
        vecspeak ask movies.bundle "Describe the movie {x}." --at x='mid("Heat", "Alien")'

        vecspeak ask movies.bundle --task convince_1 --at x='"Heat"'

    """
    from vecspeak.asking import Asker
    from vecspeak.bundles import load_bundle
    from vecspeak.engines import Sampling, opening_note

    opened = load_bundle(bundle)
    asker = Asker.of(opened, space=space, engine=engine_name)
    asked = _asked(asker, opened, question, _slots(at), (task, task_set, words))
    if asked.note:
        click.echo(asked.note, err=True)
    if note := opening_note(opened, engine_name):
        click.echo(note, err=True)
    room = _room(asked) if max_tokens is None else max_tokens
    sampling = Sampling(max_new_tokens=room, temperature=temperature, seed=seed)
    shown = None if as_json else lambda text: click.echo(text, nl=False)
    if best_of > 1:
        answer = asker.best_answer(asked, best_of, sampling)
        if shown:
            shown(answer.text)
    else:
        answer = asker.answer(asked, sampling, on_text=shown)
    if as_json:
        click.echo(json.dumps(asdict(answer), ensure_ascii=False))
    else:
        _print_trust(answer)


def _asked(
    asker: "Asker",
    opened: "Bundle",
    question: str,
    slots: dict[str, str],
    by_name: tuple[str, str, tuple[str, ...]],
) -> "Asked":
    """The question as it was typed, or the task of a name in the words of its set."""
    from vecspeak.errors import UserError
    from vecspeak.tasks.sets import load_task_set

    task, task_set, words = by_name
    if bool(task) == bool(question):
        raise UserError(
            "a question and a --task are given" if task else "neither a question nor a --task is given",
            """ask "Describe {x}." --at x='"LABEL"', or --task summary --at x='"LABEL"'""",
        )
    if question:
        return asker.prepare(question, slots)
    chosen = load_task_set(*chosen_set(opened, asker.entry.space.name, task_set, words))
    asked = asker.prepare_task(chosen.task(task), slots)
    if not opened.manifest.knows_tasks:
        click.echo(
            "this reader learned no tasks by name and will mostly describe: vecspeak fit ... --reader tasks",
            err=True,
        )
    return asked


def _room(asked: "Asked") -> int:
    """Tokens of an answer where nobody says: what the longest target of a task needs, else a paragraph."""
    from vecspeak.engines import Sampling
    from vecspeak.teachers.base import longest_answer

    return min(longest_answer(asked.task), _MOST_TOKENS) if asked.task else Sampling().max_new_tokens


def _slots(at: tuple[str, ...]) -> dict[str, str]:
    from vecspeak.errors import UserError

    slots: dict[str, str] = {}
    for given in at:
        name, equals, expression = given.partition("=")
        if not equals or not name.strip().isidentifier():
            slots[_free_slot(slots)] = given
        elif name.strip() in slots:
            raise UserError(f"--at {name.strip()}=... is given twice", "use another letter for the second")
        else:
            slots[name.strip()] = expression
    if not slots:
        raise UserError(
            "no point is given to ask about", """add --at x='"LABEL"' and write {x} in the question"""
        )
    return slots


def _free_slot(slots: dict[str, str]) -> str:
    return next(name for name in (*"xyzuvw", *(f"x{i}" for i in range(1000))) if name not in slots)


def _print_trust(answer: "Answer") -> None:
    click.echo("\n")
    if answer.flags:
        told = f"this states {' and '.join(answer.flags)} of a person, which ratings do not tell: do not believe it"
        click.echo(f"PRIVACY: {told}\n")
    for trust in answer.trust:
        click.echo(f"{{{trust.slot}}} = {trust.expression}")
        near = "; ".join(f"{near.label} ({near.similarity:.2f})" for near in trust.nearest)
        click.echo(f"  {'should like' if trust.is_user else 'nearest items':<15} {near}")
        outside = trust.percentile > 99 and not trust.is_item
        far = "  OUTSIDE THE DATA: do not trust this" if outside else ""
        click.echo(f"  from the data   farther than {trust.percentile:.0f}% of the real items{far}")
        weak = "" if trust.is_clear else "  WEAK: it would fit many items nearly as well"
        click.echo(
            f"  round trip      {trust.round_trip:.2f} (against other items: {trust.swapped:.2f}){weak}"
        )
