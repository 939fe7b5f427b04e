"""`vecspeak concept`: directions fitted from examples."""

import dataclasses
import json
from pathlib import Path

import click

_path = click.Path(path_type=Path)
_seed = click.IntRange(0, 2**32 - 1)


@click.group()
def concept() -> None:
    """Fit directions that points can be moved along."""


@concept.command("fit")
@click.argument("bundle", type=_path)
@click.argument("name")
@click.option("--where", required=True, metavar="COLUMN=VALUE", help="Items that have it, by their metadata.")
@click.option("--space", "space_name", default="", help="Name of the space, when the bundle holds several.")
@click.option("--seed", default=0, show_default=True, type=_seed, help="Seed of the cross-validation.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def fit(bundle: Path, name: str, *, where: str, space_name: str, seed: int, as_json: bool) -> None:
    """Fit the direction NAME on the items that have a metadata value, against those that do not.

    Items held out of the bundle's fit are held out here too. Then: --at x='"Heat" + 12*NAME' (in standard deviations)
    """
    from vecspeak.bundles import load_bundle, save_entry
    from vecspeak.errors import UserError
    from vecspeak.files import exclusive
    from vecspeak.fitting import fit_entry_concept

    column, equals, value = where.partition("=")
    if not equals:
        raise UserError(f"--where takes COLUMN=VALUE, got {where!r}", "for example --where genres=Horror")
    load_bundle(bundle)  # refuses what is no bundle before anything is written beside it
    with exclusive(bundle):
        opened = load_bundle(bundle)
        entry = opened.entry(space_name)
        fitted = fit_entry_concept(entry, name, column.strip(), value.strip(), seed=seed)
        concepts = {**entry.concepts, name: fitted}
        save_entry(opened, dataclasses.replace(entry, concepts=concepts))
    if as_json:
        values = {k: v for k, v in dataclasses.asdict(fitted).items() if k != "direction"}
        click.echo(json.dumps(values))
        return
    click.echo(f"{name}: {fitted.positives:,} items with {where}, {fitted.negatives:,} without")
    click.echo(f"held-out AUC {fitted.auc:.3f} (95% interval {fitted.auc_low:.3f} to {fitted.auc_high:.3f})")
    if fitted.auc_low <= 0.5:
        click.echo("this direction does not separate held-out items from chance: do not trust it")


@concept.command("list")
@click.argument("bundle", type=_path)
@click.option("--space", "space_name", default="", help="Name of the space, when the bundle holds several.")
def list_concepts(bundle: Path, *, space_name: str) -> None:
    """List the concepts of a bundle's space with their held-out AUC."""
    from vecspeak.bundles import load_bundle

    for name, fitted in load_bundle(bundle).entry(space_name).concepts.items():
        click.echo(
            f"{name}  AUC {fitted.auc:.3f} [{fitted.auc_low:.3f}, {fitted.auc_high:.3f}]  {fitted.source}"
        )
