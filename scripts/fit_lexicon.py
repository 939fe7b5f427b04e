"""Fit the lexicon that the package brings: words read from the vectors of a recipe's training texts.

    python scripts/fit_lexicon.py recipes/reader.toml --work work/lexicon --out src/vecspeak/assets/lexicon

Texts of held-out entities never enter; they judge, kind by kind. Encoding takes hours on two cores and goes on where it
was stopped; `--encoded-only` fits on what is encoded by now.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from vecspeak.encoders.text import Encoder, load_encoder
from vecspeak.lexicon.lexicon import Lexicon, fit_lexicon
from vecspeak.lexicon.readout import LIFT
from vecspeak.lexicon.scores import DEPTHS, precision_at
from vecspeak.storage import write_json
from vecspeak.tasks.corpus import Text
from vecspeak.tasks.task_set import stop_words
from vecspeak.training.dataset import choose_texts, encode_texts, prepare_texts
from vecspeak.training.recipe import load_recipe

JUDGED = {"definition": 400, "description": 400, "plot": 504, "sentence": 400}
"""Held-out texts of each kind that judge, at most."""
CHUNK = 4096
LICENCES = {
    "movies": "plots of the CMU Movie Summary Corpus (CC BY-SA 3.0)",
    "words": "WordNet 3.0 (WordNet licence)",
    "packages": "package descriptions of Debian (licences of the packages)",
}
"""Of the sources; the lexicon has word counts and weights, no texts."""


def held_out_texts(texts: list[Text]) -> dict[str, list[str]]:
    """Some texts of each kind of entities that training never sees, the same every time."""
    rng, found = np.random.default_rng(0), {}
    for kind, count in JUDGED.items():
        own = [one.text for one in texts if one.kind == kind and one.split == "held_out"]
        found[kind] = [own[row] for row in rng.permutation(len(own))[:count]]
    return found


def encoded(encoder: Encoder, texts: list[str], path: Path) -> np.ndarray:
    """Vectors of texts, cached."""
    if not path.exists():
        np.save(path, encoder.encode(texts).astype(np.float32))
    return np.load(path, allow_pickle=False)


def encoded_by_now(texts: list[Text], folder: Path) -> tuple[list[str], np.ndarray]:
    """The texts of the chunks that are there, and their vectors."""
    found: list[str] = []
    vectors = []
    for start in range(0, len(texts), CHUNK):
        part = folder / f"{start:09d}.npy"
        if part.exists():
            vectors.append(np.load(part, allow_pickle=False))
            found += [one.text for one in texts[start : start + CHUNK]]
    return found, np.concatenate(vectors)


def precision_of(lexicon: Lexicon, vectors: np.ndarray, texts: list[str]) -> dict[str, dict[str, float]]:
    """Precision of the lexicon and of the most frequent terms on texts of one kind."""
    truth = np.asarray(lexicon.vocabulary.matrix(texts).todense()) > 0
    rates = lexicon.readout.rates
    rank = lexicon.readout.probabilities(vectors) / rates**LIFT
    systems = {
        "lexicon": rank,
        "shuffled vectors": np.roll(rank, 1, 0),
        "most frequent": np.broadcast_to(rates, truth.shape),
    }
    return {
        name: {str(depth): round(float(precision_at(scores, truth, depth).mean()), 4) for depth in DEPTHS}
        for name, scores in systems.items()
    }


def main() -> None:
    """Encode, fit, judge, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--terms", type=int, default=28_000)
    parser.add_argument("--min-count", type=int, default=8)
    parser.add_argument("--encoded-only", action="store_true")
    given = parser.parse_args()
    recipe = load_recipe(given.recipe)
    everything = prepare_texts(recipe, given.work)
    selected = choose_texts(everything, recipe)
    encoder = load_encoder(recipe.base.encoder)
    path = given.work / "vectors-lexicon.npy"
    if given.encoded_only:
        texts, vectors = encoded_by_now(selected, path.with_suffix(".parts"))
    else:
        texts, vectors = [one.text for one in selected], np.asarray(encode_texts(selected, encoder, path))
    judges = held_out_texts(everything)
    judged = {kind: encoded(encoder, own, given.work / f"held-{kind}.npy") for kind, own in judges.items()}
    print(f"{len(texts):,} of {len(selected):,} texts", flush=True)
    held_texts = [text for own in judges.values() for text in own[:300]]
    held_vectors = np.concatenate([own[:300] for own in judged.values()])
    origin = f"{len(texts):,} training texts of the recipe {recipe.name}: " + "; ".join(LICENCES.values())
    lexicon = fit_lexicon(
        [*texts, *held_texts], np.concatenate([vectors, held_vectors]),
        np.arange(len(texts) + len(held_texts)) >= len(texts), stop_words=stop_words(),
        max_terms=given.terms, min_count=given.min_count, rank=vectors.shape[1], origin=origin,
    )  # fmt: skip
    lexicon.save(given.out)
    kinds = {kind: lexicon.vocabulary.kinds.count(kind) for kind in ("word", "name", "fragment")}
    assert lexicon.scores is not None
    report = {
        "encoder": recipe.base.encoder, "texts": len(texts), "texts_of_recipe": len(selected), "origin": origin,
        "kinds": kinds, "calibration": lexicon.readout.calibration.tolist(),
        "calibration_error": lexicon.scores.calibration_error, "unread": len(lexicon.scores.unread),
        "judged_terms": lexicon.scores.num_judged, "median_auc": lexicon.scores.median_auc,
        "precision": {kind: precision_of(lexicon, judged[kind], own) for kind, own in judges.items()},
    }  # fmt: skip
    write_json(given.out / "report.json", report)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
