"""Corpus: entities cut into texts of several kinds, split by entity before anything is made from them."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.errors import UserError
from vecspeak.spaces.splits import is_under
from vecspeak.tables.cells import rows_of
from vecspeak.tasks.sources import OWN, CorpusEntity, read_source
from vecspeak.tasks.task_set import Keywords, content_words, join_words, opening, split_sentences

Split = Literal["train", "held_out"]
KINDS = (
    *("plot", "facts", "passage", "pair", "sentence"),
    *("definition", "example", "description", "summary", "text", "excerpt"),
)
"""Kinds of text, from whole plots of movies to excerpts of a person's own texts."""

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


def _movie_texts(entity: CorpusEntity) -> Iterable[tuple[str, str, str]]:
    if len(entity.text) < 60:
        return
    if facts := movie_facts(entity.title, entity.tags):
        yield "facts", facts, facts
    sentences = [s for s in split_sentences(entity.text) if 25 < len(s) < 400]
    yield "plot", entity.text, opening(entity.text, 420)
    yield from (("sentence", s, s) for s in sentences)
    yield from (("pair", p, p) for p in _windows(sentences, 2, 3) if len(p) < 420)
    yield from (("passage", p, opening(p, 420)) for p in _windows(sentences, 4, 7) if len(p) < 800)


def _word_texts(entity: CorpusEntity) -> Iterable[tuple[str, str, str]]:
    yield "definition", entity.text, opening(entity.text, 300)
    yield from (("example", e, e) for e in entity.extra if len(e) > 20)


def _package_texts(entity: CorpusEntity) -> Iterable[tuple[str, str, str]]:
    yield "description", entity.text, opening(entity.text, 360)
    yield from (("summary", s, s) for s in entity.extra if len(s) > 12)


def _own_texts(entity: CorpusEntity) -> Iterable[tuple[str, str, str]]:
    if len(entity.text) > 12:
        yield "text", entity.text, opening(entity.text, 420)
    sentences = [s for s in split_sentences(entity.text) if 25 < len(s) < 400]
    if len(sentences) > 2:
        yield from (("excerpt", s, s) for s in sentences)


_CUTTERS = {"movies": _movie_texts, "words": _word_texts, "packages": _package_texts, OWN: _own_texts}


def cut(entities: Iterable[CorpusEntity], *, seed: int, shares: Mapping[str, float]) -> list[Text]:
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


def build_corpus(
    paths: Mapping[str, Path | Sequence[Path]], *, seed: int, shares: Mapping[str, float]
) -> list[Text]:
    """Read and cut every source of a recipe. A text that two entities share is held out if either is."""
    missing = [name for name in paths if name not in shares]
    if missing:
        raise UserError(f"no held-out share for source {missing[0]}", "add it under [split] in the recipe")
    files = {name: [path] if isinstance(path, Path) else path for name, path in paths.items()}
    entities = [entity for name, some in files.items() for path in some for entity in read_source(name, path)]
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
    return [Text(**{**row, "tags": tuple(row["tags"])}) for row in rows_of(pq.read_table(path))]


_NOUNS = {
    "plot": "A movie",
    "facts": "A movie",
    "passage": "Part of a movie's plot",
    "pair": "A moment in a movie",
    "sentence": "A moment in a movie",
    "definition": "A word that means something",
    "example": "A phrase",
    "description": "A software package",
    "summary": "A software package",
    "text": "A text",
    "excerpt": "Part of a text",
}


@dataclass(frozen=True, slots=True)
class CorpusTask:
    """A question in several wordings, and its target from the texts; `None` where it does not fit them."""

    name: str
    wordings: tuple[str, ...]
    target: Callable[[tuple[Text, ...], Keywords], str | None]
    num_slots: int = 1
    near: bool = False
    """Whether the second text should be near the first."""


def _describe(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    return texts[0].target


def _plot(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    return texts[0].target if texts[0].kind in ("plot", "passage") else None


def _one_sentence(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    sentences = split_sentences(texts[0].target)
    return sentences[0] if len(sentences) > 1 and 30 < len(sentences[0]) < 220 else None


def _keywords(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    words = keywords.of(texts[0].text)
    return ", ".join(words) if len(words) >= 3 else None


def _about(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    words = keywords.of(texts[0].text, 3)
    return f"{_NOUNS[texts[0].kind]}, about {join_words(words)}." if len(words) == 3 else None


def _genres(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    return ", ".join(texts[0].tags[:4]) if texts[0].kind in ("plot", "facts") and texts[0].tags else None


def _compare(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    first, second = (opening(text.target, 140) for text in texts)
    return f"The first: {first} The second: {second}"


def _common(texts: tuple[Text, ...], keywords: Keywords) -> str | None:
    first, second = ({w[:6]: w for w in content_words(text.text) if w in keywords.weights} for text in texts)
    shared = sorted((w for k, w in first.items() if k in second), key=lambda w: -keywords.weights[w])
    if shared:
        return f"Both are about {join_words(tuple(shared[:3]))}."
    words = [join_words(keywords.of(text.text, 2)) for text in texts]
    return f"Little. The first is about {words[0]}; the second is about {words[1]}." if all(words) else None


CORPUS_TASKS: dict[str, CorpusTask] = {
    task.name: task
    for task in (
        CorpusTask("describe", ("Describe {x}.", "What does {x} say?", "Put {x} into words."), _describe),
        CorpusTask(
            "plot",
            (
                "Describe the movie {x}.",
                "Write the plot of the movie {x}.",
                "What happens in the movie {x}?",
            ),
            _plot,
        ),
        CorpusTask(
            "one_sentence",
            ("Describe {x} in one sentence.", "Sum up {x} in a single sentence.", "In one sentence: {x}"),
            _one_sentence,
        ),
        CorpusTask(
            "keywords", ("List the keywords of {x}.", "Which words sum up {x}?", "Keywords: {x}"), _keywords
        ),
        CorpusTask(
            "about",
            ("What is {x} about?", "What is the subject of {x}?", "What kind of thing is {x}?"),
            _about,
        ),
        CorpusTask("genres", ("List the genres of the movie {x}.", "What genre is the movie {x}?"), _genres),
        CorpusTask("compare", ("Compare {x} with {y}.", "Compare {x} and {y}."), _compare, num_slots=2),
        CorpusTask(
            "common",
            ("What do {x} and {y} have in common?", "What is shared by {x} and {y}?"),
            _common,
            num_slots=2,
            near=True,
        ),
    )
}
