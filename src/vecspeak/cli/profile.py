"""`vecspeak profile`: a profile from a part of someone's ratings, held against the part that was hidden from it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note
from vecspeak.console import say, say_text

if TYPE_CHECKING:
    from vecspeak.protocols.profile_results import ProfileCheck


@click.command()
@options.bundle
@click.option(
    "--at", default="", metavar="PERSON", help="""'user(42)' of the ratings, or 'user({"Heat": 5, ...})'."""
)
@click.option("--people", type=click.IntRange(2), metavar="N", help="Instead: N people that are held out.")
@click.option(
    "--ratings", required=True, type=options.PATH, help="Ratings of people, such as the space was made from."
)
@options.rating_columns()
@options.space
@click.option(
    "--task", default="", metavar="NAME", help="A task about a person; the first of the set by default."
)
@options.task_set
@options.words
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
@options.engine
@options.seed()
@options.as_json
def profile(
    bundle: Path, *, task_set: str, max_tokens: int | None, engine: str, as_json: bool, **given: Any
) -> None:
    """Write a profile from a part of someone's ratings and see what it says of the rest.

    The person's vector is folded in from the kept ratings, so it has not seen what was hidden; the hidden items' own
    vectors are those that everyone else gives them. The profile ranks what was hidden, beside another person's
    profile, the vector itself, and what is popular. Profiles are inferences from ratings: do not judge anyone by them.

    Examples:
        vecspeak profile demo/movies.bundle --space movies.behavioral --at 'user(42)' --ratings ml-100k.inter

        vecspeak profile demo/movies.bundle --space movies.behavioral --people 50 --draws 1 --ratings ml-100k.inter

    """
    from vecspeak.api import VecSpeak

    vs = VecSpeak.load(bundle, engine=engine, notify=note)
    found = vs.profile(tasks=task_set, max_new_tokens=max_tokens, **given)
    if as_json:
        emit(found.to_dict())
    else:
        _print(found)


def _print(found: "ProfileCheck") -> None:
    from vecspeak.protocols.profile_results import lines

    checked = found.checked
    if len(checked.people) == 1:
        say_text(checked.text(0, 0), end="\n\n")
        given = len(checked.parts(0)[0].shown)
        say(f"(written from {given} of {checked.num_ratings[0]} ratings)")
    say(*lines(found.result))
    if found.flags:
        say(
            f"PRIVACY: {found.result.flagged} of {found.num_profiles} profiles state "
            f"{' and '.join(found.flags)} of a person, which ratings do not tell: do not believe it"
        )
