"""A tiny world for the demo: 120 movies with plots of a few themes, 60 of them rated by 60 viewers."""

import hashlib

import numpy as np
import pytest

from vecspeak.bundles import Bundle, Manifest, ReaderCard
from vecspeak.bundles.bundle import file_digests
from vecspeak.demo.data import Sources, semantic_space
from vecspeak.prompts import vectors_of
from vecspeak.spaces.formats import save_space

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

    def stream(self, prompt, sampling):
        yield self._answer(*vectors_of(prompt))

    def _answer(self, vector):
        return f"It is like {self.labels[int((self.vectors @ vector).argmax())]}. {EVIL}"


def _write_movies(path):
    rows = ["ID,Title,Category,Plot"]
    for row in range(120):
        genre = list(THEMES)[row % 4]
        words = THEMES[genre].split()
        plot = ". ".join(f"The {words[(row + k) % 5]} of town {row % 7} meets a {words[k % 5]}" for k in range(9))
        title = f"{EVIL} {row}" if row % 2 else f"Film {row}"
        rows.append(f'{row},{title},"""{genre}"", ""Short Film""","{plot}."')
    path.write_text("\n".join(rows) + "\n")


def _write_ratings(folder):
    folder.mkdir()
    items = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    classes = ("Horror", "Comedy Children's", "Western", "unknown")
    items += [
        f"{row}\tRated {EVIL} {row}, The (Autre)\t{1960 + row}\t{classes[row % 4]}" for row in range(60)
    ]
    (folder / "ml-100k.item").write_text("\n".join(items) + "\n")
    ratings = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(60):
        liked = user % 4
        ratings += [f"{user}\t{item}\t{5 if item % 4 == liked else 2}\t0" for item in range(60) if item != user]
    (folder / "ml-100k.inter").write_text("\n".join(ratings) + "\n")


@pytest.fixture
def encoder():
    return CountsWords()


@pytest.fixture
def sources(tmp_path, encoder):
    made = Sources(
        movies=tmp_path / "movies.csv", ratings=tmp_path / "ml-100k", space=tmp_path / "movies.parquet"
    )
    _write_movies(made.movies)
    _write_ratings(made.ratings)
    save_space(semantic_space(made.movies, encoder), made.space, dtype="float16")
    return made


@pytest.fixture
def reader(tmp_path):
    folder = tmp_path / "shipped"
    (folder / "reader").mkdir(parents=True)
    (folder / "reader" / "adapter.safetensors").write_bytes(b"weights")
    card = ReaderCard(
        base_model="tiny", base_sha256="", encoder="counts-words", encoder_sha256="", adapter={}, chat={}
    )
    manifest = Manifest(name="reader", reader=card, files=file_digests(folder, "reader"))
    return Bundle(folder=folder, manifest=manifest, entries={})


@pytest.fixture
def open_engine(sources):
    def opened(bundle):
        space = bundle.entry("movies.semantic").space
        opened.engine = NamesTheNearest(space.vectors, space.labels)
        return opened.engine

    return opened
