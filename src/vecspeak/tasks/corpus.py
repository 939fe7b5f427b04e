"""Corpus: entities cut into texts of several kinds, split by entity before anything is made from them.

Knows sources, kinds of text and the split. Knows nothing of vectors, questions or models.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.errors import UserError
from vecspeak.spaces.splits import is_under
from vecspeak.tasks.sources import Entity, read_source
from vecspeak.tasks.texts import join_words, opening, split_sentences

Split = Literal["train", "held_out"]
KINDS = ("plot", "facts", "passage", "pair", "sentence", "definition", "example", "description", "summary")
"""Kinds of text, from whole plots of movies to one-line summaries of software packages."""

_COLUMNS = ("source", "kind", "key", "title", "text", "target", "tags", "split")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text that is encoded to one vector."""

    source: str
    """Source it came from."""
    kind: str
    """One of KINDS."""
    key: str
    """Key of its entity: the unit of the split."""
    title: str
    """Title of its entity."""
    text: str
    """What the encoder reads."""
    target: str
    """What the reader is to write: the text, or its opening where it is long."""
    tags: tuple[str, ...]
    """Genres of its entity."""
    split: Split
    """Whether training may see it."""


def split_of(key: str, seed: int, share: float) -> Split:
    """Held out when the hash of seed and key falls under `share`, whatever other entities there are."""
    return "held_out" if is_under(key, seed, share) else "train"


def _windows(sentences: list[str], size: int, step: int) -> list[str]:
    return [" ".join(sentences[at : at + size]) for at in range(0, len(sentences) - size + 1, step)]


def movie_facts(title: str, genres: Sequence[str]) -> str:
    """A sentence that gives a movie's title and its first four genres; empty without genres."""
    names = [re.sub(r"\s*(film|movies?)$", "", genre.casefold()) for genre in genres[:4]]
    named = join_words(tuple(dict.fromkeys(filter(None, names))))
    article = "an" if named[:1] in "aeiou" else "a"
    return f"{title} is {article} {named} movie." if named else ""


def _movie_texts(entity: Entity) -> Iterable[tuple[str, str, str]]:
    if len(entity.text) < 60:
        return
    if facts := movie_facts(entity.title, entity.tags):
        yield "facts", facts, facts
    sentences = [s for s in split_sentences(entity.text) if 25 < len(s) < 400]
    yield "plot", entity.text, opening(entity.text, 420)
    yield from (("sentence", s, s) for s in sentences)
    yield from (("pair", p, p) for p in _windows(sentences, 2, 3) if len(p) < 420)
    yield from (("passage", p, opening(p, 420)) for p in _windows(sentences, 4, 7) if len(p) < 800)


def _word_texts(entity: Entity) -> Iterable[tuple[str, str, str]]:
    yield "definition", entity.text, opening(entity.text, 300)
    yield from (("example", e, e) for e in entity.extra if len(e) > 20)


def _package_texts(entity: Entity) -> Iterable[tuple[str, str, str]]:
    yield "description", entity.text, opening(entity.text, 360)
    yield from (("summary", s, s) for s in entity.extra if len(s) > 12)


_CUTTERS = {"movies": _movie_texts, "words": _word_texts, "packages": _package_texts}


def cut(entities: Iterable[Entity], *, seed: int, shares: Mapping[str, float]) -> list[Text]:
    """Texts of all entities; `shares` is how much of each source is held out. Equal texts are kept once."""
    texts: list[Text] = []
    seen: set[str] = set()
    for entity in entities:
        split = split_of(entity.key, seed, shares[entity.source])
        for kind, text, target in _CUTTERS[entity.source](entity):
            if text in seen:
                continue
            seen.add(text)
            texts.append(
                Text(
                    source=entity.source,
                    kind=kind,
                    key=entity.key,
                    title=entity.title,
                    text=text,
                    target=target,
                    tags=entity.tags,
                    split=split,
                )
            )
    return texts


def build_corpus(paths: Mapping[str, Path], *, seed: int, shares: Mapping[str, float]) -> list[Text]:
    """Read and cut every source of a recipe. A text that two entities share is held out if either is."""
    missing = [name for name in paths if name not in shares]
    if missing:
        raise UserError(f"no held-out share for source {missing[0]}", "add it under [split] in the recipe")
    entities = [entity for name, path in paths.items() for entity in read_source(name, path)]
    entities.sort(key=lambda entity: split_of(entity.key, seed, shares[entity.source]))
    return cut(entities, seed=seed, shares=shares)


def corpus_table(texts: list[Text]) -> pa.Table:
    """The texts as an Arrow table, one column a field."""
    return pa.table({name: [getattr(text, name) for text in texts] for name in _COLUMNS})


def save_corpus(texts: list[Text], path: Path) -> None:
    """Write the texts to Parquet. They stay on this machine: texts are never shipped."""
    pq.write_table(corpus_table(texts), path, compression="zstd")


def load_corpus(path: Path) -> list[Text]:
    """Read what `save_corpus` wrote."""
    rows = pq.read_table(path).to_pylist()
    return [Text(**{**row, "tags": tuple(row["tags"])}) for row in rows]
