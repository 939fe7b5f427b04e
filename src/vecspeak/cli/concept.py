"""`vecspeak concept`: directions that points can be moved along, and what it takes to trust them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from vecspeak.bundles import Bundle, SpaceEntry
    from vecspeak.explore.concepts import Along, Fitted, Imported
    from vecspeak.points import Concept
    from vecspeak.points.concept import Method
    from vecspeak.points.queries import QueryTree

_path = click.Path(path_type=Path)
_seed = click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    help="Seed of folds, shuffles and samples.",
)
_space = click.option(
    "--space", "space_name", default="", help="Name of the space, when the bundle holds several."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_force = click.option("--force", is_flag=True, help="Save it even where it does not beat chance.")
_SOURCES = "--where, --positive, --pairs or --text"


@click.group()
def concept() -> None:
    """Fit directions that points can be moved along, and see how far to trust them."""


@concept.command("fit")
@click.argument("bundle", type=_path)
@click.argument("name")
@click.option(
    "--where",
    default="",
    metavar="QUERY",
    help="Items that have it, by their metadata: genres=Horror, or 'genres = Horror and year >= 1990'.",
)
@click.option("--positive", multiple=True, metavar="ITEM", help="An item that has it; give several times.")
@click.option("--negative", multiple=True, metavar="ITEM", help="One that does not; without any, all others.")
@click.option("--positives", type=_path, metavar="FILE", help="Items that have it, one label or id a line.")
@click.option("--negatives", type=_path, metavar="FILE", help="Items that do not.")
@click.option("--pairs", type=_path, metavar="FILE", help="Table with columns more, less and perhaps rater.")
@click.option("--text", default="", metavar="TEXT", help='What it reads like, such as "a funny movie".')
@click.option("--against", default="", metavar="TEXT", help='What --text is held against: "a movie".')
@click.option("--check", default="", metavar="COLUMN=VALUE", help="Items that should lie high along --text.")
@click.option(
    "--method",
    type=click.Choice(["logistic", "ridge", "mean", "rank"]),
    help="Fit of examples: logistic (the default), ridge or mean; pairs are always ranked.",
)
@_space
@_seed
@_force
@_json
def fit(bundle: Path, name: str, *, seed: int, force: bool, as_json: bool, **given: Any) -> None:
    """Fit the direction NAME from examples, pairs or a text, in the place of one of that name.

    Items held out of the bundle's fit are held out here too. A concept that does not beat the same fit on shuffled
    labels is refused. Then: vecspeak ask BUNDLE "Describe {x}." --at x='toward("Heat", NAME, 4)'
    """
    from vecspeak.explore.concepts import check_trusted, with_concepts

    fitted_by = _selected_fit(given)
    with _changing(bundle) as opened:
        entry = opened.entry(given["space_name"])
        fitted = fitted_by(opened, entry, name, given, seed)
        check_trusted(fitted, force=force)
        _save(opened, with_concepts(entry, [fitted.concept]))
    if as_json:
        click.echo(_dumped(fitted.concept.facts() | {"left_out": _plain(fitted.left_out)}))
        return
    for line in (*_card(fitted.concept, fitted.concept.overlap), *fitted.left_out.sentences):
        click.echo(line)


def _selected_fit(given: dict[str, Any]) -> Any:
    """The function for the one source that was given. Raises UserError for none, several, and what goes with none."""
    from vecspeak.errors import UserError

    sources = {
        "--where": (given["where"], _by_value),
        "--positive": (given["positive"] or given["positives"], _by_items),
        "--pairs": (given["pairs"], _by_pairs),
        "--text": (given["text"], _by_text),
    }
    named = [option for option, (value, _) in sources.items() if value]
    if len(named) != 1:
        what = f"{' and '.join(named)} were given" if named else "nothing to fit was given"
        raise UserError(
            f"{what}; a concept is fitted from one of {_SOURCES}", "for example --where genres=Horror"
        )
    _check_companions(named[0], given)
    return sources[named[0]][1]


_COMPANIONS = {
    "negative": ("--positive",),
    "negatives": ("--positive",),
    "against": ("--text",),
    "check": ("--text",),
    "method": ("--where", "--positive"),
}
"""Options that go with some sources only."""


def _check_companions(source: str, given: dict[str, Any]) -> None:
    from vecspeak.errors import UserError

    for option, sources in _COMPANIONS.items():
        is_fine = source in sources or (source == "--pairs" and given["method"] == "rank")
        if given[option] and not is_fine:
            raise UserError(
                f"--{option} does not go with {source}; it goes with {' or '.join(sources)}", "leave it out"
            )
    if given["method"] == "rank" and source != "--pairs":
        raise UserError("--method rank is for --pairs", "choose logistic, ridge or mean")


def _by_value(opened: "Bundle", entry: "SpaceEntry", name: str, given: dict[str, Any], seed: int) -> "Fitted":
    from vecspeak.explore.concepts import Fitted, concept_from_query, fit_entry_concept

    method: Method = given["method"] or "logistic"
    query = _query(given["where"], entry)
    if query is not None:
        return Fitted(concept=concept_from_query(entry, name, query, method=method, seed=seed))
    column, value = _split("--where", given["where"])
    return Fitted(concept=fit_entry_concept(entry, name, column, value, method=method, seed=seed))


def _query(text: str, entry: "SpaceEntry") -> "QueryTree | None":
    """What --where says when it is more than COLUMN=VALUE, whose value may be any text without quotes."""
    from vecspeak.errors import UserError
    from vecspeak.points.concept import metadata_mask
    from vecspeak.points.parser import parse_query
    from vecspeak.points.queries import ColumnComparison

    column, _, value = (part.strip() for part in text.partition("="))
    is_metadata = column not in ("label", "id")  # these are columns of queries alone
    with suppress(UserError):
        metadata_mask(entry.space, column, value)
        return None
    try:
        query = parse_query(text)
    except UserError:
        if "=" not in text or column in entry.space.metadata.column_names:
            return None
        raise
    is_plain = isinstance(query, ColumnComparison) and query.operator == "=" and query.column == column
    return None if is_plain and is_metadata else query


def _split(option: str, text: str) -> tuple[str, str]:
    from vecspeak.errors import UserError

    column, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"{option} takes COLUMN=VALUE, got {text!r}", f"for example {option} genres=Horror")
    return column.strip(), value.strip()


def _by_items(opened: "Bundle", entry: "SpaceEntry", name: str, given: dict[str, Any], seed: int) -> "Fitted":
    from vecspeak.explore.concepts import concept_from_items, named_rows
    from vecspeak.points.judgements import read_names

    sides = []
    for typed, file in (("positive", "positives"), ("negative", "negatives")):
        listed = read_names(given[file]) if given[file] else ()
        sides.append(named_rows(entry, given[typed], listed))
    return concept_from_items(
        entry, name, sides[0], sides[1], method=given["method"] or "logistic", seed=seed
    )


def _by_pairs(opened: "Bundle", entry: "SpaceEntry", name: str, given: dict[str, Any], seed: int) -> "Fitted":
    from vecspeak.explore.concepts import concept_from_judgements
    from vecspeak.points.judgements import read_pairs

    source = f"pairs in {given['pairs'].name}"
    return concept_from_judgements(entry, name, read_pairs(given["pairs"]), seed=seed, source=source)


def _by_text(opened: "Bundle", entry: "SpaceEntry", name: str, given: dict[str, Any], seed: int) -> "Fitted":
    from vecspeak.encoders.text import load_encoder
    from vecspeak.explore.concepts import Fitted, concept_from_text

    check = _split("--check", given["check"]) if given["check"] else None
    encoder = load_encoder(opened.manifest.reader.encoder)
    made = concept_from_text(
        entry, name, encoder, given["text"], against=given["against"], check=check, seed=seed
    )
    return Fitted(concept=made)


@concept.group("import")
def import_() -> None:
    """Fit concepts from files of others, by their form."""


@import_.command("soft-attributes")
@click.argument("file", type=_path)
@click.argument("bundle", type=_path)
@click.option(
    "--attribute", "attributes", multiple=True, help="One to fit, as the file spells it; by default all."
)
@_space
@_seed
@_force
@_json
def soft_attributes(
    file: Path,
    bundle: Path,
    *,
    attributes: tuple[str, ...],
    space_name: str,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Fit a concept for each attribute that the crowd judged in FILE, and save those that beat chance.

    FILE is a CSV in the form of Balog et al. 2021 (soft attributes of movies): rater_id, reference_title,
    soft_attribute, less_than, about_as, more_than. Titles find items whatever the catalogues do with articles, other
    titles and years. Concepts that do not beat chance are listed, and saved only with --force.
    """
    from vecspeak.explore.concepts import import_attributes, with_concepts
    from vecspeak.points.judgements import read_soft_attributes

    given = read_soft_attributes(file)
    selected = given.of_attributes(attributes)
    with _changing(bundle) as opened:
        entry = opened.entry(space_name)
        with _bar(len(selected), shown=not as_json) as done:
            fits, left_out = import_attributes(
                entry, given, attributes, source=file.name, seed=seed, on_done=lambda one: done.update(1)
            )
        wanted = [one for one in fits if one.is_trusted or force]
        retained = [one.concept for one in wanted if one.concept is not None]
        if retained:
            _save(opened, with_concepts(entry, retained))
    if as_json:
        found = [_imported_facts(one) for one in fits]
        saved = [one.name for one in retained]
        click.echo(_dumped({
            "space": entry.space.name, "saved": saved, "attributes": found, "titles": len(given.titles),
            "left_out": _plain(left_out),
        }))  # fmt: skip
        return
    matched = len(given.titles) - len(left_out.unknown)
    click.echo(f"{matched:,} of {len(given.titles):,} titles are items of {entry.space.name}")
    for line in (*left_out.sentences, "", *_import_table(fits)):
        click.echo(line)
    beaten = sum(one.is_trusted for one in fits)
    click.echo(f"\n{beaten} of {len(fits)} beat chance; {len(retained)} saved in {bundle}")
    if beaten < len(fits) and not force:
        click.echo("the others are saved only with --force")


def _bar(total: int, *, shown: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, desc="fitting", unit="concept", disable=not shown, dynamic_ncols=True)


def _imported_facts(one: "Imported") -> dict[str, Any]:
    facts = {"attribute": one.attribute, "reason": one.reason}
    return facts | (one.concept.facts() if one.concept is not None else {})


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
@click.argument("bundle", type=_path)
@_space
@_json
def list_concepts(bundle: Path, *, space_name: str, as_json: bool) -> None:
    """List the concepts of a bundle, by space, with what their scores were beside chance."""
    from vecspeak.bundles import load_bundle

    opened = load_bundle(bundle)
    entries = [opened.entry(space_name)] if space_name else list(opened.entries.values())
    if as_json:
        found = {
            entry.space.name: {name: _facts_now(entry, one) for name, one in entry.concepts.items()}
            for entry in entries
        }
        click.echo(_dumped(found))
        return
    for entry in entries:
        click.echo(f"{entry.space.name}: {_counted(len(entry.concepts))}")
        width = max(map(len, entry.concepts), default=0)
        for name, one in entry.concepts.items():
            mark = "" if one.is_trusted else "  (!)"
            click.echo(f"  {name:<{width}}  {_brief(one)}  {one.source}{mark}")
    untrusted = [one for entry in entries for one in entry.concepts.values() if not one.is_trusted]
    for one in untrusted:
        click.echo(f"(!) {one.caution}")


def _brief(one: "Concept") -> str:
    if one.score is None:
        return "unchecked"
    beside = f", shuffled {one.chance.high:.3f}" if one.chance else ""
    return f"{one.measure} {one.score.value:.3f} ({one.score.low:.3f} to {one.score.high:.3f}){beside}"


@concept.command("show")
@click.argument("bundle", type=_path)
@click.argument("name")
@click.option(
    "--items", default=8, show_default=True, type=click.IntRange(1), help="Items to name at each end."
)
@_space
@_json
def show(bundle: Path, name: str, *, items: int, space_name: str, as_json: bool) -> None:
    """Show how far to trust the concept NAME, and the items that lie highest and lowest along it."""
    from vecspeak.bundles import load_bundle
    from vecspeak.explore.concepts import extremes
    from vecspeak.points import overlaps

    entry = load_bundle(bundle).entry(space_name)
    one = _known(entry, name)
    highest, lowest = extremes(entry, one, items)
    if as_json:
        ends = {"highest": [_plain(item) for item in highest], "lowest": [_plain(item) for item in lowest]}
        click.echo(_dumped(_facts_now(entry, one) | ends))
        return
    for line in _card(one, overlaps(one, entry.concepts)):
        click.echo(line)
    _ends("highest along it, in standard deviations from the mean", highest)
    _ends("lowest", lowest)


def _ends(title: str, items: Sequence["Along"]) -> None:
    click.echo(f"\n{title}")
    for item in items:
        click.echo(f"  {item.amount:+5.1f}  {item.label}")


@concept.command("remove")
@click.argument("bundle", type=_path)
@click.argument("name")
@_space
@_json
def remove(bundle: Path, name: str, *, space_name: str, as_json: bool) -> None:
    """Remove the concept NAME from a bundle's space."""
    import dataclasses

    with _changing(bundle) as opened:
        entry = opened.entry(space_name)
        _known(entry, name)
        left = {other: one for other, one in entry.concepts.items() if other != name}
        _save(opened, dataclasses.replace(entry, concepts=left))
    if as_json:
        click.echo(_dumped({"space": entry.space.name, "removed": name, "left": list(left)}))
        return
    click.echo(f"{name} removed from {entry.space.name}, which has {_counted(len(left))} now")


def _counted(concepts: int) -> str:
    return f"{concepts} concept" + ("" if concepts == 1 else "s")


def _known(entry: "SpaceEntry", name: str) -> "Concept":
    from vecspeak.errors import UserError, did_you_mean

    if name not in entry.concepts:
        listed = ", ".join(entry.concepts)
        hint = f"concepts there are: {listed}" if listed else "fit one with vecspeak concept fit"
        raise UserError(
            f"{entry.space.name} has no concept {name!r}", did_you_mean(name, entry.concepts, hint)
        )
    return entry.concepts[name]


@contextmanager
def _changing(bundle: Path) -> Iterator["Bundle"]:
    """The bundle while no other process changes it."""
    from vecspeak.bundles import load_bundle
    from vecspeak.storage import lock

    load_bundle(bundle)  # refuses what is no bundle before anything is written beside it
    with lock(bundle):
        yield load_bundle(bundle)


def _save(opened: "Bundle", entry: "SpaceEntry") -> None:
    from vecspeak.bundles import save_entry

    save_entry(opened, entry)


def _facts_now(entry: "SpaceEntry", one: "Concept") -> dict[str, Any]:
    """The facts, with the overlap with the concepts that there are now."""
    from vecspeak.points import overlaps

    return one.facts() | {"overlap": overlaps(one, entry.concepts)}


def _card(one: "Concept", overlap: Any) -> Iterator[str]:
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
    if overlap:
        shown = ", ".join(f"{name} {cosine:+.2f}" for name, cosine in list(overlap.items())[:8])
        yield f"  overlap     {shown}" + (f" and {len(overlap) - 8} more" if len(overlap) > 8 else "")
    if one.caution:
        yield f"  caution     {one.caution}"


def _plain(value: Any) -> dict[str, Any]:
    import dataclasses

    return dataclasses.asdict(value)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
