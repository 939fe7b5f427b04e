"""Building: train a reader, score it on what it never saw, and save it as a bundle that says so.

Knows the order of training, evaluation and saving. Each part resumes by itself.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vecspeak.bases import model_digest
from vecspeak.bundles import Bundle, ReaderCard, load_bundle, save_bundle
from vecspeak.bundles.weights import adapter_card, save_reader
from vecspeak.embedders.semantic import TextEncoder, load_encoder
from vecspeak.errors import UserError
from vecspeak.evaluation.corpus import corpus_sets
from vecspeak.evaluation.evaluate import Settings, flat_scores
from vecspeak.evaluation.reading import write_report
from vecspeak.evaluation.run import Evaluator
from vecspeak.shipped import open_reader, shipped_reader
from vecspeak.tasks.sources import SOURCES
from vecspeak.training.recipe import Recipe, Targets
from vecspeak.training.run import Trained, train_reader
from vecspeak.training.taught import with_names

SHIPPED = "shipped"
"""What `base.start` calls the reader of the package."""


def _card(
    recipe: Recipe, trained: Trained, encoder: TextEncoder, scores: dict[str, Any], start: Bundle | None
) -> ReaderCard:
    adapter, chat = adapter_card(trained.reader)
    terms = start.manifest.reader.data.get("terms", {}) if start else {}
    terms = terms | {
        name: {"origin": SOURCES[name].origin, "licence": SOURCES[name].licence} for name in recipe.sources
    }
    return ReaderCard(
        base_model=recipe.base.model,
        base_sha256=model_digest(recipe.base.model),
        encoder=encoder.name,
        encoder_sha256=encoder.digest,
        adapter=adapter,
        chat=chat,
        recipe=recipe.to_dict(),
        data={**trained.data, "terms": terms} | _origin(start),
        scores=scores,
    )


def _origin(start: Bundle | None) -> dict[str, Any]:
    """What a reader that began as another one says of that one: what it was trained on is in both."""
    if start is None:
        return {}
    card = start.manifest.reader
    known = {"name": start.manifest.name, "files": start.manifest.files}
    return {"start": {**known, "recipe": card.recipe, "data": card.data}}


def bundles_of(recipe: Recipe) -> tuple[Bundle | None, Bundle | None]:
    """The bundle that a recipe starts from and the one with the spaces of its targets; None where it names none.

    Raises UserError when one is missing or its spaces were mapped for another encoder.
    """
    name = recipe.base.start
    start = (shipped_reader() if name == SHIPPED else open_reader(name)) if name else None
    if recipe.targets is None:
        return start, None
    if not recipe.targets.bundle:
        raise UserError(
            f"the recipe {recipe.name!r} has targets and names no bundle of their spaces",
            "give --bundle BUNDLE",
        )
    spaces = load_bundle(recipe.targets.bundle)
    encoder = spaces.manifest.reader.encoder
    if encoder != recipe.base.encoder:
        raise UserError(
            f"the spaces of {spaces.folder} are mapped to {encoder}, the recipe's reader reads "
            f"{recipe.base.encoder}",
            "correct base.encoder in the recipe, or fit the spaces for it",
        )
    return start, spaces


def with_targets(recipe: Recipe, bundle: str, folders: Sequence[str]) -> Recipe:
    """The recipe with another bundle and other folders of targets, where they are given."""
    if not bundle and not folders:
        return recipe
    targets = recipe.targets or Targets()
    targets = replace(targets, bundle=bundle or targets.bundle, folders=tuple(folders) or targets.folders)
    return replace(recipe, targets=targets)


def build_reader(recipe: Recipe, work: Path, out: Path, *, count: int = 500) -> ReaderCard:
    """Train (or finish training) and save; then score the saved weights and save them again with their scores.

    The scores in the manifest are those on plots of held-out movies; `scores.json` in the work folder has all.
    A `count` of 0, and a recipe without a corpus, leave them out. The bundle keeps the spaces of the targets.
    """
    start, spaces = bundles_of(recipe)
    recipe = with_names(recipe)
    check_out(out, recipe)
    encoder = load_encoder(recipe.base.encoder)
    trained = train_reader(recipe, encoder, work, start=start, spaces=spaces)
    card = _card(recipe, trained, encoder, {}, start)
    _save(out, trained, recipe.name, card, spaces)
    if not (count and recipe.replays):
        return card
    run = Evaluator(load_bundle(out), keep=work / "evaluation")
    settings = Settings()
    sets = [run.run(cases, settings) for cases in corpus_sets(recipe, run.encoder, work, count=count)]
    write_report(work / "scores.json", run.gather(sets, settings))
    card = _card(recipe, trained, encoder, flat_scores(sets[-1]), start)
    _save(out, trained, recipe.name, card, spaces)
    return card


def check_out(out: Path, recipe: Recipe) -> None:
    """Raise UserError when something lies at `out` that this very recipe did not make: nothing there is lost."""
    if not out.exists():
        return
    known = load_bundle(out)
    if known.manifest.reader.recipe != json.loads(json.dumps(recipe.to_dict())):
        raise UserError(
            f"there is another bundle at {out} already, {known.manifest.name!r}", "give another name to --out"
        )


def _save(out: Path, trained: Trained, name: str, card: ReaderCard, spaces: Bundle | None) -> None:
    """The reader alone, or with the spaces: then made beside and put in place as one."""
    if spaces is None:
        save_reader(out, trained.reader, name=name, card=card)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as beside:
        alone = Path(beside) / "reader"
        save_reader(alone, trained.reader, name=name, card=card)
        save_bundle(out, source=load_bundle(alone), name=name, entries=spaces.entries)
