"""`vecspeak evaluate`: is the vector read? Losses, consistency and retrieval beside their baselines."""

import json
from pathlib import Path
from typing import Any

import click

_path = click.Path(path_type=Path)


@click.command()
@click.argument("bundle", type=_path)
@click.option("--space", default="", help="Evaluate on the held-out items of this space.")
@click.option("--recipe", type=_path, help="Evaluate on the held-out texts of this training recipe.")
@click.option(
    "--work", default="work/reader", type=_path, show_default=True, help="Where the recipe's run lies."
)
@click.option("--question", default="Describe {x}.", show_default=True, help="What is asked of each item.")
@click.option("--count", default=500, show_default=True, help="How many entities, at most.")
@click.option("--out", type=_path, help="Write the report as JSON; its answers are kept beside it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def evaluate(
    bundle: Path,
    *,
    space: str,
    recipe: Path | None,
    work: Path,
    question: str,
    count: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Score BUNDLE on entities that nothing was trained or fitted on.

    On a space, its held-out items need texts. With --recipe, on 500 held-out texts of the kinds in training and
    on 500 plots of held-out movies: the reader's own scores.
    """
    from vecspeak.bundles import load_bundle
    from vecspeak.bundles.weights import load_reader
    from vecspeak.embedders.semantic import load_encoder
    from vecspeak.evaluation.evaluate import evaluate as run
    from vecspeak.evaluation.table import plain
    from vecspeak.files import write_json

    opened = load_bundle(bundle)
    encoder = load_encoder(opened.manifest.reader.encoder)
    sets = (
        _corpus_sets(recipe, encoder, work, count)
        if recipe
        else [_space_set(opened, space, encoder, question, count)]
    )
    reader = load_reader(opened)
    key = json.dumps(opened.manifest.files, sort_keys=True)
    keep = out.with_suffix(".answers.jsonl") if out else None
    scores = [run(reader, cases, encoder, key=key, keep=keep) for cases in sets]
    report: dict[str, Any] = {"bundle": opened.manifest.name, "scores": [s.to_dict() for s in scores]}
    if out:
        write_json(out, report)
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    for values in report["scores"]:
        click.echo("\n" + "\n".join(plain(values)))


def _corpus_sets(recipe: Path, encoder: Any, work: Path, count: int) -> list[Any]:
    from vecspeak.evaluation.cases import corpus_cases
    from vecspeak.training.recipe import load_recipe

    loaded = load_recipe(recipe)
    return [corpus_cases(loaded, encoder, work, plots=plots, count=count) for plots in (False, True)]


def _space_set(opened: Any, space: str, encoder: Any, question: str, count: int) -> Any:
    from vecspeak.errors import UserError
    from vecspeak.evaluation.cases import space_cases
    from vecspeak.spaces.formats import TEXT_COLUMN

    entry = opened.entry(space)
    if TEXT_COLUMN not in entry.space.metadata.column_names:
        raise UserError(
            f"the space {entry.space.name!r} holds no texts to compare answers with",
            "fit it from a table with --text, or use --recipe",
        )
    texts = entry.space.metadata.column(TEXT_COLUMN).to_pylist()
    return space_cases(entry, encoder, texts, question=question, count=count)
