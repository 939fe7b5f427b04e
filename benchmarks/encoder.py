"""A reader of another text encoder: the shipped one behind a map, crossed in closed form, and trained on.

    python benchmarks/encoder.py [--encoder all-mpnet-base-v2] [--work work/encoder] [--count 100] [--out docs/scores]

Held-out plots, described plainly (the likeliest tokens; nothing chose an answer). The vectors are the encoder's own;
the judge is all-MiniLM-L6-v2, which did not make them, and the true plot's words. Restartable; writes OUT/encoder.json.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from places import out_folder

from vecspeak import VecSpeak
from vecspeak.bundles.bundle import load_bundle, shipped_reader
from vecspeak.bundles.weights import load_reader
from vecspeak.encoders.text import DEFAULT_ENCODER, SECOND_ENCODER, Encoder, load_encoder
from vecspeak.engines import Sampling
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.model.prompt import PromptTemplate
from vecspeak.model.reader import Reader
from vecspeak.stats import estimate
from vecspeak.storage import write_json
from vecspeak.tasks.corpus import Text
from vecspeak.tasks.task_set import content_words
from vecspeak.training.crossing import cross, fit_crossing
from vecspeak.training.dataset import prepare, prepare_texts
from vecspeak.training.recipe import Recipe

RECIPE = Path(__file__).parents[1] / "recipes" / "base.toml"
TEXTS = {"plot": 400, "sentence": 1500, "definition": 1500, "description": 400, "summary": 600}
"""Training texts by kind: a larger encoder reads ten long texts a second on two cores."""
TOKENS, RATE = 150_000, 1.5e-4
"""Of a run that goes on from a trained reader: at the rates of a new one, 1e-3, it forgets more than it learns."""
QUESTION = PromptTemplate("Describe the movie {x}.")
PLAIN = Sampling(max_new_tokens=64, temperature=0)


def recipe_for(encoder: str) -> Recipe:
    """The recipe of bases, for another encoder, on fewer texts and tokens."""
    recipe = Recipe.load(RECIPE).with_encoder(encoder)
    schedule = dataclasses.replace(recipe.schedule, max_tokens=TOKENS, adapter_rate=RATE, model_rate=RATE)
    return dataclasses.replace(recipe, texts=TEXTS, schedule=schedule)


def plots_of(recipe: Recipe, folder: Path, count: int) -> list[Text]:
    """Held-out plots, which no run trained on."""
    held_out = [
        one for one in prepare_texts(recipe, folder) if one.split == "held_out" and one.kind == "plot"
    ]
    order = np.random.default_rng(3).permutation(len(held_out))[:count]
    return [held_out[number] for number in order]


def trained(recipe: Recipe, work: Path) -> tuple[Reader, dict[str, Any]]:
    """The reader of a run that goes on from the crossed one, and what the run came to."""
    out = work / "reader.bundle"
    made = VecSpeak.train(recipe, work=work / "run", out=out, count=0, start="shipped")
    return load_reader(load_bundle(out)), dict(made.summary)


def answers_of(reader: Reader, vectors: np.ndarray) -> list[str]:
    """What a reader says of each vector, word by likeliest word."""
    prompts = [QUESTION.fill({"x": vector}) for vector in vectors]
    return TransformersEngine(reader, progress=True).generate(prompts, PLAIN)


def scores(answers: Sequence[str], plots: Sequence[Text], judge: Encoder) -> dict[str, list[float]]:
    """Cosine with the true plot and with another one by the judge, and the share of true content words."""
    said = judge.encode([answer or "nothing" for answer in answers])
    true = judge.encode([plot.text for plot in plots])
    own, other = (said * true).sum(1), (said * np.roll(true, 1, axis=0)).sum(1)
    words = [set(content_words(answer)) for answer in answers]
    right = [
        len(some & set(content_words(plot.text))) / max(len(some), 1)
        for some, plot in zip(words, plots, strict=True)
    ]
    found = {"sc": own, "another": other, "over another": own - other, "true words": np.array(right)}
    return {name: _interval(values) for name, values in found.items()}


def _interval(values: np.ndarray) -> list[float]:
    one = estimate(values)
    return [one.value, one.low, one.high]


def main() -> None:
    """Map, cross, train, answer and judge; what is finished is kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default=SECOND_ENCODER)
    parser.add_argument("--work", type=Path, default=Path("work/encoder"))
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    encoder, judge, shipped = load_encoder(given.encoder), load_encoder(DEFAULT_ENCODER), shipped_reader()
    recipe = recipe_for(given.encoder)
    run = given.work / "crossed" / "run"
    data = prepare(recipe, encoder, run)
    plots = plots_of(recipe, run, given.count)
    vectors = encoder.encode([plot.text for plot in plots], progress=True)
    crossing = fit_crossing([text.text for text in data.texts], data.vectors, judge, seed=recipe.seed)
    reader = load_reader(shipped)
    crossed = dataclasses.replace(reader, adapter=cross(reader.adapter, crossing).eval())
    found: dict[str, Any] = {
        "encoder": encoder.name,
        "map": {"texts": crossing.texts, "cosine": crossing.cosine, "by_chance": crossing.by_chance},
        "systems": {
            "behind a map": {"scores": scores(answers_of(reader, crossing.alignment(vectors)), plots, judge)},
            "crossed": {"scores": scores(answers_of(crossed, vectors), plots, judge)},
            "its own vectors": {
                "scores": scores(
                    answers_of(reader, judge.encode([plot.text for plot in plots])), plots, judge
                )
            },
        },
    }
    made, summary = trained(recipe, given.work / "crossed")
    found["systems"]["trained"] = {"run": summary, "scores": scores(answers_of(made, vectors), plots, judge)}
    write_json(given.out / "encoder.json", found)
    for name, one in found["systems"].items():
        print(name, one["scores"])


if __name__ == "__main__":
    main()
