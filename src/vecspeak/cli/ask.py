"""`vecspeak ask`: a question about points of a space, answered as it comes, with evidence."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli.chosen import SET_HELP, chosen_set

if TYPE_CHECKING:
    from vecspeak.asking import Asker, PreparedQuestion
    from vecspeak.bundles import Bundle
    from vecspeak.engines import Sampling
    from vecspeak.evidence import Answer

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
@click.option("--strict", is_flag=True, help="Refuse points that lie outside the data.")
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
    strict: bool,
    engine_name: str,
    as_json: bool,
) -> None:
    """Ask BUNDLE a QUESTION about the points that stand in its slots.

    An expression is an item by its label or id, or is made of items:

        "Heat"   id("m12")   mid("Heat", "Alien", 0.3)   "Heat" + 12*funny   mean("Heat", "Alien")   user(42)

        slerp(a, b, t)   toward(a, funny, 12)   away(a, funny, 12)   negate(a)   cluster(7)   random(7)

        centroid(genres = "Horror" and year >= 1990)   item(label ~ "heat" and year = 1995)

        user({"Heat": 5, "Alien": 1})   "Heat"@movies.behavioral   between("Heat", "Alien") steps 5

    Examples:
        vecspeak ask movies.bundle "Describe the movie {x}." --at x='mid("Heat", "Alien")'

        vecspeak ask movies.bundle --task convince_1 --at x='"Heat"'

    """
    from vecspeak.asking import Asker
    from vecspeak.bundles import load_bundle
    from vecspeak.engines import Sampling, opening_note

    opened = load_bundle(bundle)
    asker = Asker.of(opened, space=space, engine=engine_name)
    path = _asked(asker, opened, question, _slots(at), (task, task_set, words))
    for asked in path if strict else ():
        asker.check_inside(asked)
    for note in dict.fromkeys((*(one.note for one in path), opening_note(opened, engine_name))):
        if note:
            click.echo(note, err=True)
    room = _room(path[0]) if max_tokens is None else max_tokens
    sampling = Sampling(max_new_tokens=room, temperature=temperature, seed=seed)
    if len(path) == 1:
        answer = _answer(asker, path[0], best_of, sampling, shows=not as_json)
        _show(answer, as_json)
        return
    answers = (
        [asker.best_answer(one, best_of, sampling) for one in path]
        if best_of > 1
        else asker.answer_all(path, sampling)
    )
    if as_json:
        click.echo(json.dumps({"path": [answer.to_dict() for answer in answers]}, ensure_ascii=False))
        return
    for step, answer in enumerate(answers, 1):
        click.echo(f"--- {step} of {len(answers)}\n{answer.text}", nl=False)
        _print_trust(answer)
        click.echo()


def _answer(
    asker: "Asker", asked: "PreparedQuestion", best_of: int, sampling: "Sampling", *, shows: bool
) -> "Answer":
    """One answer, shown as it comes where it is drawn once."""
    shown = (lambda text: click.echo(text, nl=False)) if shows else None
    if best_of == 1:
        return asker.answer(asked, sampling, on_text=shown)
    answer = asker.best_answer(asked, best_of, sampling)
    if shown:
        shown(answer.text)
    return answer


def _show(answer: "Answer", as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(answer.to_dict(), ensure_ascii=False))
    else:
        _print_trust(answer)


def _asked(
    asker: "Asker",
    opened: "Bundle",
    question: str,
    slots: dict[str, str],
    by_name: tuple[str, str, tuple[str, ...]],
) -> "tuple[PreparedQuestion, ...]":
    """The question as it was typed, or the task of a name in the words of its set; once a point of a path."""
    from vecspeak.errors import UserError
    from vecspeak.tasks.task_set import load_task_set

    task, task_set, words = by_name
    if bool(task) == bool(question):
        raise UserError(
            "a question and a --task are given" if task else "neither a question nor a --task is given",
            """ask "Describe {x}." --at x='"LABEL"', or --task summary --at x='"LABEL"'""",
        )
    if question:
        return asker.prepare_path(question, slots)
    chosen = load_task_set(*chosen_set(opened, asker.entry.space.name, task_set, words))
    asked = asker.prepare_path("", slots, chosen.task(task))
    if not opened.manifest.knows_tasks:
        click.echo(
            "this reader learned no tasks by name and will mostly describe: vecspeak fit ... --reader tasks",
            err=True,
        )
    return asked


def _room(asked: "PreparedQuestion") -> int:
    """Tokens of an answer where nobody says: what the longest target of a task needs, else a paragraph."""
    from vecspeak.engines import Sampling
    from vecspeak.teachers.base import max_answer_tokens

    return min(max_answer_tokens(asked.task), _MOST_TOKENS) if asked.task else Sampling().max_new_tokens


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
    spaces = {trust.space for trust in answer.evidence}
    for trust in answer.evidence:
        click.echo(
            f"{{{trust.slot}}} = {trust.expression}" + (f"  in {trust.space}" if len(spaces) > 1 else "")
        )
        near = "; ".join(f"{near.label} ({near.similarity:.2f})" for near in trust.nearest)
        click.echo(f"  {'should like' if trust.is_user else 'nearest items':<15} {near}")
        far = "  OUTSIDE THE DATA: do not trust this" if trust.is_outside else ""
        share = f"{trust.percentile:.{1 if trust.percentile > 98 else 0}f}%"
        real = "people" if trust.is_user else "items"
        click.echo(f"  from the data   farther than {share} of the real {real}{far}")
        weak = "" if trust.is_clear else "  WEAK: it would fit many items nearly as well"
        click.echo(
            f"  round trip      {trust.round_trip:.2f} (against other items: {trust.swapped:.2f}){weak}"
        )
        for caution in trust.warnings:
            click.echo(f"  CAUTION         {caution}")
