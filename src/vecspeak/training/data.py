"""Data of a run: texts chosen from the corpus, their vectors, and the examples made of both.

Knows the recipe, the corpus, the tasks and the run's folder. Of models it knows an encoder's `encode` alone.
What is prepared is cached in the folder and reused when the recipe's part of it is the same.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vecspeak.embedders.semantic import Encodes
from vecspeak.errors import UserError
from vecspeak.tasks.corpus import Text, build_corpus, load_corpus, save_corpus
from vecspeak.tasks.corpus_tasks import CORPUS_TASKS, CorpusTask
from vecspeak.tasks.texts import Keywords
from vecspeak.training.recipe import Recipe

_CHUNK = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingTexts:
    """The texts that training may see, and their vectors."""

    texts: list[Text]
    vectors: np.ndarray
    """[N, D] float32 unit vectors, row i of text i; may be memory-mapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One question with its answer; its vectors are rows of the run's table."""

    task: str
    question: str
    rows: tuple[int, ...]
    target: str
    told: str = ""
    """What a teacher read before it answered; empty where nobody was told."""


def held_out_kinds(recipe: Recipe) -> frozenset[str]:
    """Kinds of text that training never saw, of whatever entity.

    Only such texts of held-out entities are new in both ways: a training entity was met in its other texts.
    """
    return frozenset(recipe.hold_out.kinds)


def held_out_tasks(recipe: Recipe) -> frozenset[str]:
    """Names of the tasks that training never asked."""
    return frozenset(recipe.hold_out.tasks)


def _corpus_key(recipe: Recipe) -> str:
    parts: list[object] = [recipe.seed, dict(recipe.sources), dict(recipe.split), dict(recipe.texts)]
    if kinds := held_out_kinds(recipe):
        parts.append(sorted(kinds))  # only then: what was prepared before kinds could be held out stays valid
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def prepare_texts(recipe: Recipe, folder: Path) -> list[Text]:
    """All texts of the recipe's sources with their split, cached as `texts-*.parquet` in the folder."""
    path = folder / f"texts-{_corpus_key(recipe)}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        texts = build_corpus(recipe.source_paths(), seed=recipe.seed, shares=recipe.split)
        save_corpus(texts, path.with_suffix(".partial"))
        path.with_suffix(".partial").rename(path)
    return load_corpus(path)


def choose_texts(texts: Sequence[Text], recipe: Recipe) -> list[Text]:
    """Training texts, at most `recipe.texts[kind]` of each kind, drawn evenly with the recipe's seed.

    None of a kind that the recipe holds out; the draw of the others does not depend on that.
    """
    by_kind: defaultdict[str, list[Text]] = defaultdict(list)
    for text in texts:
        if text.split == "train":
            by_kind[text.kind].append(text)
    rng = np.random.default_rng(recipe.seed)
    chosen: list[Text] = []
    for kind, limit in recipe.texts.items():
        order = rng.permutation(len(by_kind[kind]))[:limit]
        if kind not in recipe.hold_out.kinds:
            chosen += [by_kind[kind][index] for index in order]
    return chosen


def encode_texts(texts: Sequence[Text], encoder: Encodes, path: Path) -> np.ndarray:
    """Vectors of the texts, written to `path` as they come: a run that was stopped goes on where it was."""
    done_path = path.with_suffix(".parts")
    done_path.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        chunks = range(0, len(texts), _CHUNK)
        for start in tqdm(chunks, desc="encoding texts", unit="chunk"):
            part = done_path / f"{start:09d}.npy"
            if not part.exists():
                vectors = encoder.encode([text.text for text in texts[start : start + _CHUNK]])
                np.save(part.with_suffix(".partial.npy"), vectors.astype(np.float32))
                part.with_suffix(".partial.npy").rename(part)
        parts = [np.load(done_path / f"{start:09d}.npy", allow_pickle=False) for start in chunks]
        np.save(path.with_suffix(".partial.npy"), np.concatenate(parts))
        path.with_suffix(".partial.npy").rename(path)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def prepare(recipe: Recipe, encoder: Encodes, folder: Path) -> TrainingTexts:
    """Texts and vectors of a run, from the cache where they are there. UserError when there is no text."""
    texts = choose_texts(prepare_texts(recipe, folder), recipe)
    if not texts:
        raise UserError(
            f"the recipe {recipe.name!r} finds no text to train on in {', '.join(recipe.sources)}",
            "correct [texts] and [split] in the recipe",
        )
    path = folder / f"vectors-{_corpus_key(recipe)}.npy"
    return TrainingTexts(texts=texts, vectors=encode_texts(texts, encoder, path))


def texts_digest(texts: Sequence[Text]) -> str:
    """SHA-256 over the texts in order: what the run was trained on, without carrying it."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.text.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _partners(rows: np.ndarray, vectors: np.ndarray, near: bool, rng: np.random.Generator) -> np.ndarray:
    """A second row for each: any other, or the nearest of a random 4,096 by cosine."""
    others = rng.integers(len(vectors), size=len(rows))
    others = np.where(others == rows, (others + 1) % len(vectors), others)
    if not near:
        return others
    for start in range(0, len(rows), 512):
        block = rows[start : start + 512]
        pool = np.sort(rng.choice(len(vectors), size=min(4096, len(vectors)), replace=False))
        scores = np.asarray(vectors[block]) @ np.asarray(vectors[pool]).T
        scores[block[:, None] == pool[None, :]] = -np.inf
        others[start : start + 512] = pool[scores.argmax(1)]
    return others


def _draw_tasks(
    texts: Sequence[Text], rows: np.ndarray, recipe: Recipe, rng: np.random.Generator
) -> list[CorpusTask]:
    """A task for each row by the recipe's weights; movie tasks only where the text is of a movie."""
    names = list(recipe.tasks)
    never = held_out_tasks(recipe)
    weights = np.array([0.0 if name in never else recipe.tasks[name] for name in names])
    only_plots = np.array([name in ("plot", "genres") for name in names])
    drawn = []
    for row in rows:
        allowed = weights * np.where(only_plots, texts[row].kind in ("plot", "passage", "facts"), True)
        drawn.append(
            CORPUS_TASKS[
                names[rng.choice(len(names), p=allowed / allowed.sum())] if allowed.any() else "describe"
            ]
        )
    return drawn


def make_examples(data: TrainingTexts, recipe: Recipe) -> list[Example]:
    """The shuffled examples of one run: `passes[kind]` questions about each text.

    A task that does not fit a text falls back to `describe`; where the recipe holds that out, there is no
    question. Raises UserError when no example is left.
    """
    rng = np.random.default_rng(recipe.seed + 1)
    times = np.array([recipe.passes.get(text.kind, 1) for text in data.texts])
    rows = rng.permutation(np.repeat(np.arange(len(data.texts)), times))
    tasks = _draw_tasks(data.texts, rows, recipe, rng)
    keywords = Keywords.fit((text.text for text in data.texts), min_count=20)
    seconds = {near: _partners(rows, data.vectors, near, rng) for near in (False, True)}
    examples = []
    for index, (row, task) in enumerate(zip(rows.tolist(), tasks, strict=True)):
        used = (row, int(seconds[task.near][index]))[: task.num_slots]
        target = task.target(tuple(data.texts[r] for r in used), keywords)
        if target is None:
            task, used = CORPUS_TASKS["describe"], (row,)
            target = data.texts[row].target
        if task.name in recipe.hold_out.tasks:
            continue
        question = task.wordings[rng.integers(len(task.wordings))]
        examples.append(Example(task=task.name, question=question, rows=used, target=target))
    if not examples:
        raise UserError(
            f"the recipe {recipe.name!r} leaves no question to train on",
            "correct [tasks], [passes] and [hold_out] in the recipe",
        )
    return examples


def summary(data: TrainingTexts, examples: Sequence[Example]) -> dict[str, dict[str, int]]:
    """Counts by kind of text and by task, for the manifest."""
    return {
        "texts": dict(Counter(text.kind for text in data.texts)),
        "examples": dict(Counter(example.task for example in examples)),
    }
