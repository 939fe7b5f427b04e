"""Rows to train on: movies' plots and sentences, cut, split and asked about as recipes/reader.toml does.

Knows the recipe and the installed movies. Knows nothing of how a step is computed.
"""

import dataclasses
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vecspeak.model.adapter import Adapter, AdapterConfig
from vecspeak.model.inject import token_norm
from vecspeak.model.reader import Reader
from vecspeak.tasks.corpus import Text
from vecspeak.training.batching import TokenRow, make_rows
from vecspeak.training.dataset import Example, TrainingTexts, choose_texts, make_examples, prepare_texts
from vecspeak.training.recipe import Recipe, Stage, load_recipe, recipe_from_dict
from vecspeak.training.run import fresh_reader

RECIPE = Path(__file__).parents[2] / "recipes" / "reader.toml"
DIM = 384
_KINDS = ("plot", "passage", "pair", "sentence")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Texts of movies and the questions about them."""

    recipe: Recipe
    texts: list[Text]
    """Training texts; a row of vectors each."""
    held_out: list[Text]
    vectors: np.ndarray
    """[N, 384] random unit vectors: how fast a step is does not depend on what they say."""
    examples: list[Example]

    def rows(self, reader: Reader, count: int = 0) -> list[TokenRow]:
        """The first rows as tokens; all where the count is 0."""
        return make_rows(self.examples[: count or None], reader)


def movies_recipe(tokens_per_step: int) -> Recipe:
    """The shipped recipe with a tenth of its movie texts, and the joint stage alone."""
    values = load_recipe(RECIPE).to_dict()
    values["sources"] = {"movies": values["sources"]["movies"]}
    values["split"] = {"movies": values["split"]["movies"]}
    values["texts"] = {kind: values["texts"][kind] // 10 for kind in _KINDS}
    values["passes"] = {kind: times for kind, times in values["passes"].items() if kind in _KINDS}
    values["stages"] = [dataclasses.asdict(Stage(name="joint", share=1.0))]
    values["schedule"] |= {"tokens_per_step": tokens_per_step, "max_hours": 1000.0}
    return recipe_from_dict(values)


def unit_rows(count: int, seed: int = 0) -> np.ndarray:
    """[N, 384] float32 random unit vectors."""
    vectors = np.random.default_rng(seed).standard_normal((count, DIM), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@cache
def material(tokens_per_step: int) -> Material:
    """Everything but tokens and models, made in a few seconds."""
    recipe = movies_recipe(tokens_per_step)
    with tempfile.TemporaryDirectory() as folder:
        everything = prepare_texts(recipe, Path(folder))
    texts = choose_texts(everything, recipe)
    data = TrainingTexts(texts=texts, vectors=unit_rows(len(texts)))
    return Material(
        recipe=recipe,
        texts=texts,
        held_out=[text for text in everything if text.split == "held_out"],
        vectors=data.vectors,
        examples=make_examples(data, recipe),
    )


def our_reader(recipe: Recipe, device: str) -> Reader:
    """The reader that training begins with."""
    reader = fresh_reader(recipe, DIM, device=device)
    reader.adapter.set_statistics(torch.from_numpy(unit_rows(1000)))
    return reader


def with_soft_tokens(reader: Reader, count: int) -> Reader:
    """The same language model behind an adapter of another K."""
    embedding: nn.Module = reader.embedding
    config = AdapterConfig(
        vector_dim=DIM,
        model_dim=reader.language_model.config.hidden_size,
        num_soft_tokens=count,
        token_norm=token_norm(embedding, reader.language_model.config.vocab_size),
    )
    return dataclasses.replace(reader, adapter=Adapter(config).to(reader.device))
