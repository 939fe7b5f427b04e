"""Run: a recipe becomes a trained reader in a folder. Puts data, model, start and loop together.

Knows the order of things. Each part is prepared once and found again by a run that goes on.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vecspeak.adapter import Adapter, AdapterConfig
from vecspeak.bases import load_language_model
from vecspeak.embedders.semantic import Encodes
from vecspeak.errors import UserError
from vecspeak.files import replace_file
from vecspeak.injection import CHATML, PLAIN, ChatFormat, token_norm
from vecspeak.model import Reader
from vecspeak.tasks.corpus import Text
from vecspeak.training.batches import make_rows
from vecspeak.training.data import (
    Example,
    TrainingTexts,
    make_examples,
    prepare,
    prepare_texts,
    summary,
    texts_digest,
)
from vecspeak.training.recipe import Recipe
from vecspeak.training.stages import attach_lora
from vecspeak.training.start import ridge_start
from vecspeak.training.tokens import cached_rows
from vecspeak.training.trainer import Progress, Run, Trainer, held_out_rows

_WATCHED = 160
_START_TEXTS = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained reader (its LoRA attached, not merged) and what is worth keeping of the run."""

    reader: Reader
    data: dict[str, Any]
    """Counts and digests of what was trained on."""
    progress: Progress


def chat_format(tokenizer: Any) -> ChatFormat:
    """ChatML where the tokenizer has its marks, else plain question and answer."""
    known = set(tokenizer.get_vocab())
    return CHATML if {"<|im_start|>", "<|im_end|>"} <= known else PLAIN


def fresh_reader(recipe: Recipe, vector_dim: int, *, device: str) -> Reader:
    """An untrained reader: frozen base in bfloat16, LoRA at zero, adapter at random."""
    torch.manual_seed(recipe.seed)
    # On a CPU the plain attention is faster than the fused one at these lengths (measured: 1.3 times a step).
    attention = "eager" if device == "cpu" else "sdpa"
    model, tokenizer = load_language_model(recipe.base.model, torch.bfloat16, attention)
    embedding: nn.Module = model.get_input_embeddings()
    config = AdapterConfig(
        vector_dim=vector_dim,
        model_dim=model.config.hidden_size,
        hidden_dim=recipe.adapter.hidden_dim,
        num_soft_tokens=recipe.adapter.num_soft_tokens,
        token_norm=token_norm(embedding, model.config.vocab_size),
    )
    attach_lora(model, recipe.lora)  # changes the model in place
    adapter = Adapter(config)
    return Reader(model.to(device), tokenizer, adapter.to(device), chat_format(tokenizer))


def start_adapter(reader: Reader, data: TrainingTexts, seed: int) -> None:
    """Statistics and closed-form start of the adapter from a sample of the training texts."""
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(len(data.texts))[:_START_TEXTS])
    vectors = torch.from_numpy(np.asarray(data.vectors[sample], dtype=np.float32))
    adapter = reader.adapter.to("cpu")
    adapter.set_statistics(vectors)
    rows = [
        reader.tokenizer.encode(data.texts[i].target, add_special_tokens=False)[:128] or [0] for i in sample
    ]
    table = next(reader.embedding.parameters()).detach().float().cpu()
    ridge_start(adapter, vectors, rows, table)
    adapter.to(reader.device)


def watched_examples(texts: Sequence[Text], seed: int) -> tuple[list[Text], list[Example]]:
    """Held-out texts to watch while training: half plots, half of the other kinds."""
    held_out = [text for text in texts if text.split == "held_out"]
    order = np.random.default_rng(seed + 2).permutation(len(held_out))
    plots = [held_out[i] for i in order if held_out[i].kind == "plot"][: _WATCHED // 2]
    others = [held_out[i] for i in order if held_out[i].kind != "plot"][: _WATCHED // 2]
    chosen = plots + others
    return chosen, [
        Example(task="describe", question="Describe {x}.", rows=(row,), target=text.target)
        for row, text in enumerate(chosen)
    ]


def _claim(folder: Path, recipe: Recipe) -> None:
    """Keep the recipe beside the checkpoints. Raises UserError when the folder holds another recipe's run."""
    path = folder / "recipe.json"
    text = json.dumps(recipe.to_dict(), indent=1, sort_keys=True)
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise UserError(f"{folder} holds the run of another recipe", "choose another folder or delete it")
    with replace_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def train_reader(recipe: Recipe, encoder: Encodes, folder: Path, *, device: str = "") -> Trained:
    """Prepare, train and return a reader; goes on where an earlier run in this folder stopped."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, recipe)
    data = prepare(recipe, encoder, folder)
    examples = make_examples(data, recipe)
    reader = fresh_reader(recipe, data.vectors.shape[1], device=device)
    start_adapter(reader, data, recipe.seed)
    watched, watched_questions = watched_examples(prepare_texts(recipe, folder), recipe.seed)
    vectors = encoder.encode([text.text for text in watched])
    trainer = Trainer(
        Run(
            reader=reader,
            recipe=recipe,
            rows=cached_rows(examples, reader, folder),
            vectors=data.vectors,
            held_out=held_out_rows(make_rows(watched_questions, reader), vectors),
            folder=folder,
        )
    )
    progress = trainer.train()
    kept: dict[str, Any] = {
        **summary(data, examples),
        "texts_sha256": texts_digest(data.texts),
        "sources": dict(Counter(text.source for text in data.texts)),
        "examples_planned": len(examples),
        "examples_seen": progress.examples,
        "tokens_seen": progress.tokens,
        "hours": round(progress.seconds / 3600, 3),
        "device": device,
    }
    return Trained(reader, kept, progress)
