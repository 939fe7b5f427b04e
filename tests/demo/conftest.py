"""A tiny world for the demo: 160 movies with plots of a few themes; 60 rated by 60 viewers, 100 by six each."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fakes import write_stand_ins
from vecspeak.bundles import Bundle, Manifest, ReaderCard, load_bundle
from vecspeak.bundles.contents import file_digests
from vecspeak.demo.data import Sources, semantic_space
from vecspeak.demo.run import make_demo
from vecspeak.model.prompt import vectors_of
from vecspeak.spaces.io import save_space

THEMES = {
    "Horror": "ghost blood scream cellar curse",
    "Comedy": "joke wedding laugh mistake cake",
    "Western": "horse sheriff desert saloon rifle",
    "Drama": "letter mother hospital winter farewell",
}
EVIL = "<script>alert`1`</script>"


class CountsWords:
    """A true encoder in 24 dimensions: words are hashed to places and counted."""

    name = "counts-words"
    dim = 24

    def __init__(self):
        self.texts = []

    def encode(self, texts, *, progress=False, batch_size=64):
        self.texts += texts
        vectors = np.full((len(texts), self.dim), 0.01, dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.casefold().split():
                vectors[row, hashlib.sha256(word.strip(".,").encode()).digest()[0] % self.dim] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class NamesTheNearest:
    """An engine that answers with the label of the item whose vector is nearest to the prompt's."""

    name = "nearest"

    def __init__(self, vectors, labels):
        self.vectors, self.labels, self.batches = vectors, labels, []

    def generate(self, prompts, sampling):
        self.batches.append(len(prompts))
        return [self._answer(*vectors_of(prompt)) for prompt in prompts]

    def answers(self, prompts, sampling):
        yield from enumerate(self.generate(prompts, sampling))

    def stream(self, prompt, sampling):
        yield self._answer(*vectors_of(prompt))

    def _answer(self, vector):
        return f"It is like {self.labels[int((self.vectors @ vector).argmax())]}. {EVIL}"


def _write_movies(path):
    rows = ["ID,Title,Category,Plot"]
    for row in range(160):
        genre = list(THEMES)[row % 4]
        words = THEMES[genre].split()
        plot = ". ".join(
            f"The {words[(row + k) % 5]} of town {row % 7} meets a {words[k % 5]}" for k in range(9)
        )
        title = f"{EVIL} {row}" if row % 2 else f"Film {row}"
        rows.append(f'{row},{title},"""{genre}"", ""Short Film""","{plot}."')
    path.write_text("\n".join(rows) + "\n")


def _write_ratings(folder):
    folder.mkdir()
    items = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    classes = ("Horror", "Comedy Children's", "Western", "unknown")
    items += [
        f"{row}\tRated {EVIL} {row}, The (Autre)\t{1960 + row}\t{classes[row % 4]}" for row in range(160)
    ]
    (folder / "ml-100k.item").write_text("\n".join(items) + "\n")
    ratings = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(60):
        liked = user % 4
        ratings += [
            f"{user}\t{item}\t{5 if item % 4 == liked else 2}\t0" for item in range(60) if item != user
        ]
    ratings += [  # by the last twenty viewers alone
        f"{user}\t{item}\t{5 if item % 4 == user % 4 else 2}\t0"
        for item in range(60, 160)
        for user in {40 + (item % 5 * 4 + k) % 20 for k in range(6)}
    ]
    (folder / "ml-100k.inter").write_text("\n".join(ratings) + "\n")


def _sources(folder):
    made = Sources(movies=folder / "movies.csv", ratings=folder / "ml-100k", space=folder / "movies.parquet")
    _write_movies(made.movies)
    _write_ratings(made.ratings)
    save_space(semantic_space(made.movies, CountsWords()), made.space, dtype="float16")
    return made


def _reader(folder):
    write_stand_ins(folder)
    card = ReaderCard(
        base_model="tiny", base_sha256="", encoder="counts-words", encoder_sha256="", adapter={}, chat={}
    )
    manifest = Manifest(name="reader", reader=card, files=file_digests(folder, "reader"))
    return Bundle(folder=folder, manifest=manifest, entries={})


@dataclass
class World:
    """Data and a reader in a folder of their own; `make` runs the demo on them."""

    folder: Path

    def __post_init__(self):
        self.sources, self.reader, self.encoder = (
            _sources(self.folder),
            _reader(self.folder / "shipped"),
            CountsWords(),
        )
        self.lines, self.engine = [], None

    def open_engine(self, bundle):
        space = bundle.entry("movies.semantic").space
        self.engine = NamesTheNearest(space.vectors, space.labels)
        return self.engine

    def make(self, out="out"):
        self.lines.clear()
        return make_demo(
            self.folder / out,
            reader=self.reader,
            sources=self.sources,
            encoder=self.encoder,
            open_engine=self.open_engine,
            say=self.lines.append,
        )


@pytest.fixture
def world(tmp_path):
    """A world that a test may change."""
    return World(tmp_path)


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory):
    """One world for all tests that only look."""
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def demo(shared_world):
    return shared_world.make()


@pytest.fixture
def bundle(shared_world, demo):
    return load_bundle(shared_world.folder / "out" / "movies.bundle")


@pytest.fixture
def page(shared_world, demo):
    return (shared_world.folder / "out" / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def sources(shared_world):
    return shared_world.sources


@pytest.fixture
def encoder():
    return CountsWords()
