"""Building: train a reader, score it on what it never saw, and save it as a bundle that says so.

Knows the order of training, evaluation and saving. Each part resumes by itself.
"""

from pathlib import Path
from typing import Any

from vecspeak.bases import model_digest
from vecspeak.bundles import ReaderCard, load_bundle
from vecspeak.bundles.weights import adapter_card, load_reader, save_reader
from vecspeak.embedders.semantic import TextEncoder, load_encoder
from vecspeak.evaluation.cases import corpus_cases
from vecspeak.evaluation.evaluate import evaluate, flat_scores
from vecspeak.files import write_json
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
    reader = load_reader(load_bundle(out))
    sets = [corpus_cases(recipe, encoder, work, plots=plots, count=count) for plots in (False, True)]
    key = str(trained.progress.step) + str(trained.data["texts_sha256"])
    found = [evaluate(reader, cases, encoder, key=key, keep=work / "answers.jsonl") for cases in sets]
    write_json(
        work / "scores.json", {"bundle": recipe.name, "scores": [scores.to_dict() for scores in found]}
    )
    card = _card(recipe, trained, encoder, flat_scores(found[-1]))
    save_reader(out, trained.reader, name=recipe.name, card=card)
    return card
