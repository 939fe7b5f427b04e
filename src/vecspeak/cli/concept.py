"""`vecspeak concept`: directions that points can be moved along, and what it takes to trust them."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.explore.concepts import Along, ConceptImport, Imported
    from vecspeak.points import Concept

_seed = options.seed("Seed of folds, shuffles and samples.")
_force = click.option("--force", is_flag=True, help="Save it even where it does not beat chance.")


@click.group()
def concept() -> None:
    """Fit directions that points can be moved along, and see how far to trust them."""


@concept.command("fit")
@options.bundle
@click.argument("name")
@click.option(
    "--where",
    default="",
    metavar="QUERY",
    help="Items that have it, by their metadata: genres=Horror, or 'genres = Horror and year >= 1990'.",
)
@click.option("--positive", multiple=True, metavar="ITEM", help="An item that has it; give several times.")
@click.option("--negative", multiple=True, metavar="ITEM", help="One that does not; without any, all others.")
@click.option(
    "--positives", type=options.PATH, metavar="FILE", help="Items that have it, one label or id a line."
)
@click.option("--negatives", type=options.PATH, metavar="FILE", help="Items that do not.")
@click.option(
    "--pairs", type=options.PATH, metavar="FILE", help="Table with columns more, less and perhaps rater."
)
@click.option("--text", default="", metavar="TEXT", help='What it reads like, such as "a funny movie".')
@click.option("--against", default="", metavar="TEXT", help='What --text is held against: "a movie".')
@click.option("--check", default="", metavar="COLUMN=VALUE", help="Items that should lie high along --text.")
@click.option(
    "--method",
    type=click.Choice(["logistic", "ridge", "mean", "rank"]),
    help="Fit of examples: logistic (the default), ridge or mean; pairs are always ranked.",
)
@options.space
@_seed
@_force
@options.as_json
def fit(
    bundle: Path,
    name: str,
    *,
    where: str,
    positive: tuple[str, ...],
    negative: tuple[str, ...],
    positives: Path | None,
    negatives: Path | None,
    pairs: Path | None,
    text: str,
    against: str,
    check: str,
    method: Literal["logistic", "ridge", "mean", "rank"] | None,
    space: str,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Fit the direction NAME from examples, pairs or a text, in the place of one of that name.

    Items held out of the bundle's fit are held out here too. A concept that does not beat the same fit on shuffled
    labels is refused. Then: vecspeak ask BUNDLE "Describe {x}." --at x='toward("Heat", NAME, 4)'
    """
    from vecspeak.api import VecSpeak

    with VecSpeak.editing(bundle) as vs:
        fitted = vs.fit_concept(
            name,
            where=where,
            positives=(*positive, *filter(None, [positives])),
            negatives=(*negative, *filter(None, [negatives])),
            pairs=pairs,
            text=text,
            against=against,
            check=check,
            method=method,
            seed=seed,
            force=force,
            space=space,
        )
    if as_json:
        emit(fitted.concept.facts() | {"left_out": asdict(fitted.left_out)})
        return
    for line in (*_card(fitted.concept), *fitted.left_out.sentences):
        say(line)


@concept.group("import")
def import_() -> None:
    """Fit concepts from files of others, by their form."""


@import_.command("soft-attributes")
@click.argument("file", type=options.PATH)
@options.bundle
@click.option(
    "--attribute", "attributes", multiple=True, help="One to fit, as the file spells it; by default all."
)
@options.space
@_seed
@_force
@options.as_json
def soft_attributes(
    file: Path,
    bundle: Path,
    *,
    attributes: tuple[str, ...],
    space: str,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Fit a concept for each attribute that the crowd judged in FILE, and save those that beat chance.

    FILE is a CSV in the form of Balog et al. 2021 (soft attributes of movies): rater_id, reference_title,
    soft_attribute, less_than, about_as, more_than. Titles find items whatever the catalogues do with articles, other
    titles and years. Concepts that do not beat chance are listed, and saved only with --force.
    """
    from vecspeak.api import VecSpeak

    with VecSpeak.editing(bundle) as vs:
        found = vs.import_concepts(
            file, attributes, seed=seed, force=force, space=space, progress=not as_json
        )
        name = vs.entry(space).space.name
    if as_json:
        emit({"space": name, **found.to_dict()})
    else:
        _print_import(found, name, bundle, force)


def _print_import(found: "ConceptImport", space: str, bundle: Path, force: bool) -> None:
    matched = found.num_titles - len(found.left_out.unknown)
    say(f"{matched:,} of {found.num_titles:,} titles are items of {space}")
    for line in (*found.left_out.sentences, "", *_import_table(found.attributes)):
        say(line)
    beaten = sum(one.is_trusted for one in found.attributes)
    say("", f"{beaten} of {len(found.attributes)} beat chance; {len(found.saved)} saved in {bundle}")
    if beaten < len(found.attributes) and not force:
        say("the others are saved only with --force")


def _import_table(fits: Sequence["Imported"]) -> Iterator[str]:
    width = max((len(one.attribute) for one in fits), default=0)
    yield f"{'attribute':<{width}}  items  pairs  accuracy                chance  high   stability  beats chance"
    for one in sorted(fits, key=_rank):
        found = one.concept
        if found is None:
            yield f"{one.attribute:<{width}}  {one.reason}"
            continue
        assert found.score is not None and found.chance is not None and found.stability is not None
        yield (
            f"{one.attribute:<{width}}  {found.items:>5}  {found.pairs:>5}  {found.score.value:.3f} "
            f"({found.score.low:.3f} to {found.score.high:.3f})  {found.chance.mean:.3f}  {found.chance.high:.3f}  "
            f"{found.stability.mean:>9.2f}  {'yes' if one.is_trusted else 'no'}"
        )


def _rank(one: "Imported") -> tuple[bool, float]:
    if one.concept is None or one.concept.score is None:
        return (True, 0.0)
    return (not one.is_trusted, -one.concept.score.value)


@concept.command("list")
@options.bundle
@options.space
@options.as_json
def list_concepts(bundle: Path, *, space: str, as_json: bool) -> None:
    """List the concepts of a bundle, by space, with what their scores were beside chance."""
    from vecspeak.api import VecSpeak

    vs = VecSpeak.load(bundle)
    spaces = [vs.entry(space).space.name] if space else list(vs.spaces)
    found = {name: vs.concepts(name) for name in spaces}
    if as_json:
        emit({name: {key: one.facts() for key, one in some.items()} for name, some in found.items()})
        return
    for name, concepts in found.items():
        say(f"{name}: {_counted(len(concepts))}")
        width = max(map(len, concepts), default=0)
        for key, one in concepts.items():
            mark = "" if one.is_trusted else "  (!)"
            say(f"  {key:<{width}}  {_brief(one)}  {one.source}{mark}")
    for one in (one for concepts in found.values() for one in concepts.values() if not one.is_trusted):
        say(f"(!) {one.caution}")


def _brief(one: "Concept") -> str:
    if one.score is None:
        return "unchecked"
    beside = f", shuffled {one.chance.high:.3f}" if one.chance else ""
    return f"{one.measure} {one.score.value:.3f} ({one.score.low:.3f} to {one.score.high:.3f}){beside}"


@concept.command("show")
@options.bundle
@click.argument("name")
@click.option(
    "--items", default=8, show_default=True, type=click.IntRange(1), help="Items to name at each end."
)
@options.space
@options.as_json
def show(bundle: Path, name: str, *, items: int, space: str, as_json: bool) -> None:
    """Show how far to trust the concept NAME, and the items that lie highest and lowest along it."""
    from vecspeak.api import VecSpeak

    vs = VecSpeak.load(bundle)
    one = vs.concept(name, space=space)
    highest, lowest = vs.concept_extremes(name, items, space=space)
    if as_json:
        emit(one.facts() | {"highest": list(map(asdict, highest)), "lowest": list(map(asdict, lowest))})
        return
    for line in _card(one):
        say(line)
    _print_ends("highest along it, in standard deviations from the mean", highest)
    _print_ends("lowest", lowest)


def _print_ends(title: str, items: Sequence["Along"]) -> None:
    say("", f"{title}")
    for item in items:
        say(f"  {item.amount:+5.1f}  {item.label}")


@concept.command("remove")
@options.bundle
@click.argument("name")
@options.space
@options.as_json
def remove(bundle: Path, name: str, *, space: str, as_json: bool) -> None:
    """Remove the concept NAME from a bundle's space."""
    from vecspeak.api import VecSpeak

    with VecSpeak.editing(bundle) as vs:
        left = vs.remove_concept(name, space=space)
        of = vs.entry(space).space.name
    if as_json:
        emit({"space": of, "removed": name, "left": left})
    else:
        say(f"{name} removed from {of}, which has {_counted(len(left))} now")


def _counted(concepts: int) -> str:
    return f"{concepts} concept" + ("" if concepts == 1 else "s")


def _card(one: "Concept") -> Iterator[str]:
    """What it takes to trust a concept, a line each."""
    yield f"{one.name}: {one.source or 'of unknown origin'} ({one.method})"
    if one.pairs:
        raters = f" by {one.raters:,} raters" if one.raters else ""
        yield f"  fitted to   {one.pairs:,} pairs of {one.items:,} items{raters}"
    elif one.positives:
        what = "checked on" if one.method == "text" else "fitted to"
        yield f"  {what:<10}  {one.positives:,} items that have it, {one.negatives:,} that do not"
    if one.score:
        measured = one.measure if one.method == "text" else f"held-out {one.measure}"
        interval = f"95% interval {one.score.low:.3f} to {one.score.high:.3f}"
        yield f"  score       {measured} {one.score.value:.3f} ({interval})"
    if one.chance:
        verdict = "beaten" if one.beats_chance else "NOT beaten"
        yield (
            f"  chance      {verdict}: {one.chance.draws} shuffles gave {one.chance.mean:.3f}, "
            f"95th percentile {one.chance.high:.3f}"
        )
    if one.stability:
        yield (
            f"  stability   cosine with {one.stability.refits} refits {one.stability.mean:.2f}, "
            f"5th percentile {one.stability.low:.2f}"
        )
    if one.variance:
        yield (
            f"  variance    {one.variance.share:.2%} of the items' lies along it; random directions "
            f"{one.variance.random:.2%}, 95th percentile {one.variance.random_high:.2%}"
        )
    if one.overlap:
        shown = ", ".join(f"{name} {cosine:+.2f}" for name, cosine in list(one.overlap.items())[:8])
        yield f"  overlap     {shown}" + (f" and {len(one.overlap) - 8} more" if len(one.overlap) > 8 else "")
    if one.caution:
        yield f"  caution     {one.caution}"
