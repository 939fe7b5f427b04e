"""`vecspeak why`: why two points match, and what of their score which words carry."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note, write_page
from vecspeak.console import say
from vecspeak.evidence import term_name

if TYPE_CHECKING:
    from vecspeak.explore.why import Why

_NAME = 26


@click.command()
@options.bundle
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@options.space
@click.option("--limit", type=click.IntRange(1, 50), default=8, show_default=True, help="Most words to name.")
@options.seed("Of the random pairs.")
@options.page
@options.as_json
def why(
    bundle: Path,
    first: str,
    second: str,
    *,
    space: str,
    limit: int,
    seed: int,
    page: Path | None,
    as_json: bool,
) -> None:
    """Why B is near A: the score beside others', and the words that carry it.

    A and B are expressions; A may be a query, written 'text: warm scarf', or a person. No language model takes part.

    Examples:
        vecspeak why movies.bundle '"Heat"' '"Ronin"'

        vecspeak why movies.bundle 'text: a robbery goes wrong' '"Heat"'

        vecspeak why movies.bundle 'user({"Heat": 5, "Babe": 1})' '"Ronin"'

    """
    from vecspeak.api import VecSpeak

    vs = VecSpeak.load(bundle, notify=note)
    found = vs.why(first, second, limit=limit, seed=seed, space=space)
    write_page(found, page)
    if as_json:
        emit(found.to_dict())
    else:
        _print(found)


def _print(found: "Why") -> None:
    say(f"A = {found.first}", f"B = {found.second}")
    say(
        f"score {found.score:.3f}: nearer than {found.nearer_than:.1f}% of random pairs (mean "
        f"{found.random_pairs:.3f}); B is number {found.rank:,} of {found.num_items:,} items by their score with A"
    )
    third = found.runner_up
    say(
        "",
        f"{'':<{_NAME}} {'score':>7}   {'in A':>5} {'in B':>5}   rank without it"
        + (f"   in {third.label} ({third.similarity:.3f})" if third else ""),
    )
    _print_part("common to all items", found.common, found.runner_up_common if third else None)
    for one in found.words:
        name = term_name(one.term, one.column)
        say(
            f"{name[:_NAME]:<{_NAME}} {one.share:+7.3f}   {one.of_first:5.2f} {one.of_second:5.2f}   "
            f"{one.rank_without:>15,}" + (f"   {one.of_runner_up:+.3f}" if third else "")
        )
    _print_part("rest", found.rest, found.runner_up_rest if third else None)
    say("", found.verdict)
    if found.rated:
        say("", "from what was rated")
        for item in found.rated[:8]:
            say(f"{item.label[:_NAME]:<{_NAME}} {item.share:+7.3f}   rated {item.rating:g}")
    if found.caution:
        note(found.caution)


def _print_part(name: str, share: float, of_runner_up: float | None) -> None:
    behind = "" if of_runner_up is None else f"{'':>31}   {of_runner_up:+.3f}"
    say(f"{name:<{_NAME}} {share:+7.3f}{behind}")
