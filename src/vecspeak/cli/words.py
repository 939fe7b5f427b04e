"""`vecspeak words`: what words a point's vector holds, without a language model."""

from pathlib import Path

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note
from vecspeak.console import say
from vecspeak.evidence import term_name


@click.command()
@options.bundle
@click.argument("expression")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 1000), help="Words to show.")
@click.option(
    "--among", multiple=True, metavar="WORD", help="Show this word and the others given so, and no others."
)
@options.space
@options.as_json
def words(
    bundle: Path, expression: str, *, limit: int, among: tuple[str, ...], space: str, as_json: bool
) -> None:
    """Read the words that the vector of an EXPRESSION in BUNDLE holds, each with its probability.

    They are read in closed form; no language model is loaded. Of a person it says instead what they are predicted to
    like more, and less, than other people do.

    Examples:
        vecspeak words movies.bundle 'mid("Heat", "Alien")'

        vecspeak words movies.bundle '"Heat"' --among police --among romance

        vecspeak words movies.bundle 'user(42)@movies.behavioral'

    """
    from vecspeak.api import VecSpeak
    from vecspeak.inputs import is_query

    vs = VecSpeak.load(bundle, notify=note)
    point = vs.query(expression, space=space) if is_query(expression) else vs.point(expression, space=space)
    if point.kind == "user":
        tastes = vs.tastes(point, limit)
        if as_json:
            emit(tastes.to_dict())
        else:
            say(*str(tastes).split("\n"))
        return
    found, caution = vs.words(point, limit, among=among or None), vs.entry(point.space).caution_of(point)
    if as_json:
        doubts = {"cautions": [caution]} if caution else {}
        emit({"expression": point.expression, "space": point.space, "words": found.to_dicts(), **doubts})
        return
    if not found:
        is_read = bool(vs.entry(point.space).term_reader.terms)
        say(f"no word is likelier of {point.expression} than of any item" if is_read
            else "no words are known for this space: fit it with texts")  # fmt: skip
        return
    say(f"{point.expression} in {point.space}", f"  {'':<28} probability   in all texts")
    for one in found:
        name = term_name(one.term, one.column)
        say(f"  {name:<28} {one.probability:>11.2f} {one.rate:>14.4f}")
    if caution:
        say(f"  CAUTION: {caution}")
