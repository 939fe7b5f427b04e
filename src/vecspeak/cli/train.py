"""`vecspeak train`: a reader from a recipe: prepares, trains, evaluates, saves; goes on where it stopped."""

from pathlib import Path

import click

_path = click.Path(path_type=Path)


@click.command()
@click.argument("recipe", type=_path)
@click.option("--work", type=_path, required=True, help="Folder for caches and checkpoints.")
@click.option("--out", type=_path, required=True, help="Bundle to write.")
@click.option("--bundle", default="", help="Bundle with the spaces of the targets, instead of the recipe's.")
@click.option("--targets", multiple=True, help="Folder of targets, instead of the recipe's; may be repeated.")
@click.option("--count", default=500, show_default=True, help="Held-out entities to evaluate on; 0 is none.")
def train(recipe: Path, *, work: Path, out: Path, bundle: str, targets: tuple[str, ...], count: int) -> None:
    """Train a reader as RECIPE (a TOML file, see recipes/) says, and write it as a bundle with its own scores.

    A recipe with [targets] learns the tasks of a space that a teacher wrote, and keeps the space:

        vecspeak train recipes/tasks.toml --bundle movies.bundle --targets work/targets --work work --out my.bundle
    """
    from vecspeak.building import build_reader, with_targets
    from vecspeak.training.recipe import load_recipe

    card = build_reader(with_targets(load_recipe(recipe), bundle, targets), work, out, count=count)
    for name, value in card.scores.items():
        click.echo(f"{name}: {value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]")
