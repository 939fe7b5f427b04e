"""Building: train a reader, score it on what it never saw, and save it as a bundle that says so.

Knows the order of training, evaluation and saving. Each part resumes by itself.
"""

from pathlib import Path
from typing import Any

from vecspeak.bases import model_digest
from vecspeak.bundles import ReaderCard, load_bundle
from vecspeak.bundles.weights import adapter_card, save_reader
from vecspeak.embedders.semantic import TextEncoder, load_encoder
from vecspeak.evaluation.corpus import corpus_sets
from vecspeak.evaluation.evaluate import Settings, flat_scores
from vecspeak.evaluation.reading import write_report
from vecspeak.evaluation.run import Evaluator
from vecspeak.tasks.sources import SOURCES
from vecspeak.training.recipe import Recipe
from vecspeak.training.run import Trained, train_reader


def _card(recipe: Recipe, trained: Trained, encoder: TextEncoder, scores: dict[str, Any]) -> ReaderCard:
    adapter, chat = adapter_card(trained.reader)
    terms = {
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
        data={**trained.data, "terms": terms},
        scores=scores,
    )


def build_reader(recipe: Recipe, work: Path, out: Path, *, count: int = 500) -> ReaderCard:
    """Train (or finish training) and save; then score the saved weights and save them again with their scores.

    The scores in the manifest are those on plots of held-out movies; `scores.json` in the work folder has all.
    """
    encoder = load_encoder(recipe.base.encoder)
    trained = train_reader(recipe, encoder, work)
    save_reader(out, trained.reader, name=recipe.name, card=_card(recipe, trained, encoder, {}))
    run = Evaluator(load_bundle(out), keep=work / "evaluation")
    settings = Settings()
    sets = [run.run(cases, settings) for cases in corpus_sets(recipe, run.encoder, work, count=count)]
    write_report(work / "scores.json", run.gather(sets, settings))
    card = _card(recipe, trained, encoder, flat_scores(sets[-1]))
    save_reader(out, trained.reader, name=recipe.name, card=card)
    return card
