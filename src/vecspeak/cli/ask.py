"""`vecspeak ask`: a question about points of a space, answered as it comes, with evidence."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note
from vecspeak.console import say, say_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vecspeak.evidence import Answer, Words
    from vecspeak.searching import AskedEffort
    from vecspeak.writers import Writer


@click.command()
@options.bundle
@click.argument("question", default="")
@click.option(
    "--task", "task", default="", metavar="NAME", help="Ask a task by its name (vecspeak tasks list)."
)
@options.task_set
@options.words
@click.option("--at", "at", multiple=True, metavar="SLOT=EXPRESSION", help="What stands in {SLOT}.")
@options.space
@click.option(
    "--max-tokens",
    type=int,
    default=None,
    help="Longest answer.  [default: 64, or what the longest target of --task needs]",
)
@options.effort("normal; plain with --temperature or --best-of")
@click.option(
    "--no-words", is_flag=True, help="Leave the words that are read from the point out of the question."
)
@click.option(
    "--only-supported", is_flag=True, help="Show only the clauses that are likelier to hold than not."
)
@click.option("--temperature", default=0.0, show_default=True, help="0 is greedy.")
@options.seed("Seed of the draw.", click.INT)
@click.option(
    "--best-of",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Draw N answers and keep the one with the best round trip.",
)
@click.option("--strict", is_flag=True, help="Refuse points that lie outside the data.")
@options.engine
@options.writing
@options.as_json
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
    effort: "AskedEffort | None",
    no_words: bool,
    only_supported: bool,
    temperature: float,
    seed: int,
    best_of: int,
    strict: bool,
    engine: str,
    writer: "Writer | None",
    as_json: bool,
) -> None:
    """Ask BUNDLE a QUESTION about the points that stand in its slots.

    An expression is an item by its label or id, or is made of items:

        "Heat"   id("m12")   mid("Heat", "Alien", 0.3)   "Heat" + 12*funny   mean("Heat", "Alien")   user(42)

        slerp(a, b, t)   toward(a, funny, 12)   away(a, funny, 12)   negate(a)   cluster(7)   random(7)

        centroid(genres = "Horror" and year >= 1990)   item(label ~ "heat" and year = 1995)

        vector(query.npy)   [0.12, -0.5, ...]   user([0.12, -0.5, ...])

        user({"Heat": 5, "Alien": 1})   "Heat"@movies.behavioral   between("Heat", "Alien") steps 5

    Examples:
        vecspeak ask movies.bundle "Describe the movie {x}." --at x='mid("Heat", "Alien")'

        vecspeak ask movies.bundle --task convince_1 --at x='"Heat"'

    """
    from vecspeak.api import VecSpeak
    from vecspeak.evidence import Answers

    vs = VecSpeak.load(bundle, engine=engine, notify=note, writer=writer)
    streamed = list[str]()

    def show(text: str) -> None:
        streamed.append(text)
        say_text(text, end="")

    answers = vs.ask_batch(
        question,
        at=_slots(at),
        task=task,
        tasks=task_set,
        words=words,
        space=space,
        max_new_tokens=max_tokens,
        effort=effort,
        words_in_prompt=False if no_words else None,
        temperature=temperature,
        seed=seed,
        best_of=best_of,
        strict=strict,
        on_words=None if as_json else _print_words,
        # What is searched comes as a whole, and is shown with the weights of its clauses.
        on_text=show if effort in ("plain", "quick") and not (as_json or only_supported or writer) else None,
    )
    if only_supported:
        answers = Answers(one.supported for one in answers)
    if as_json:
        found = answers.to_dicts()
        emit(found[0] if len(found) == 1 else {"path": found})
    elif len(answers) == 1:
        if not streamed:
            _say_answer(answers[0], faint=not only_supported)
        _print_evidence(answers[0])
    else:
        _print_path(answers)


def _print_path(answers: "Sequence[Answer]") -> None:
    for step, answer in enumerate(answers, 1):
        say(f"--- {step} of {len(answers)}")
        for trust in answer.evidence:
            _print_words(trust.words)
        _say_answer(answer)
        _print_evidence(answer)
        say()


def _print_words(words: "Words") -> None:
    if words:
        say(f"words: {words}", "")


def _say_answer(answer: "Answer", *, faint: bool = True) -> None:
    """Print the answer, on a terminal with what holds rather than not as it is and the rest faint."""
    if not (faint and answer.clauses):
        say_text(answer.text or "(no clause is likelier to hold than not)", end="")
        return
    for one in answer.clauses:
        say_text(one.text, faint=one.probability is not None and not one.is_supported, end="")


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


def _print_evidence(answer: "Answer") -> None:
    say("", "")
    if answer.writer:
        say(answer.written_by, "")
    if answer.flags:
        shown = f"this states {' and '.join(answer.flags)} of a person, which ratings do not tell: do not believe it"
        say(f"PRIVACY: {shown}", "")
    for clause in answer.clauses:
        if clause.probability is not None:
            weak = clause.doubt if clause.is_supported else "  WEAK"
            say(f"  {clause.probability:.2f} {clause.text.strip()}{weak}")
    spaces = {trust.space for trust in answer.evidence}
    for trust in answer.evidence:
        where = f"  in {trust.space}" if len(spaces) > 1 else ""
        say(f"{{{trust.slot}}} = {trust.point}{where}" + (f"  ({trust.origin})" if trust.is_item else ""))
        if trust.own_text:
            say(f"  its own text    {trust.own_text}")
        near = "; ".join(f"{near.label} ({near.similarity:.2f})" for near in trust.nearest)
        say(f"  {'should like' if trust.is_user else 'nearest items':<15} {near}")
        far = "  OUTSIDE THE DATA: do not trust this" if trust.is_outside else ""
        share = f"{trust.percentile:.{1 if trust.percentile > 98 else 0}f}%"
        real = "people" if trust.is_user else "items"
        say(f"  from the data   farther than {share} of the real {real}{far}")
        weak = "" if trust.is_clear else "  WEAK: it would fit many items nearly as well"
        if not answer.direct:
            say(f"  round trip      {trust.round_trip:.2f} (against other items: {trust.swapped:.2f}){weak}")
        for caution in trust.warnings:
            say(f"  CAUTION         {caution}")
