"""Texts with their vectors by several encoders, which the benchmarks of maps share: glosses, plots, ratings.

Glosses of 9,865 words and 4,596 movies' plots are cut to 32 tokens, the texts of `inversion.py` (whose cache is taken
where it lies in the work folder), and encoded by the reader's encoder and by all-mpnet-base-v2: a quarter of an hour on
two cores, once.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from inversion import Texts, texts_of
from quality import WORDS, movies_bundle, words_bundle

from vecspeak.bundles.bundle import SpaceEntry
from vecspeak.bundles.fitting import texts_of as texts_of_space
from vecspeak.demo.data import BEHAVIORAL, SEMANTIC
from vecspeak.encoders.text import DEFAULT_ENCODER, SECOND_ENCODER, CachedVectors, load_encoder
from vecspeak.storage import Cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Items of one kind, with what each encoder makes of each."""

    texts: tuple[str, ...]
    target: np.ndarray
    """[N, T] by the reader's encoder."""
    made: dict[str, np.ndarray] = field(default_factory=dict)
    """[N, D] of the same items by name: mpnet, GloVe, ratings."""


def encoded(texts: list[str], encoder_name: str, work: Path) -> np.ndarray:
    """[N, D] vectors of texts, remembered in the work folder."""
    encoder = load_encoder(encoder_name)
    with Cache(work / "vectors.sqlite") as cache:
        return CachedVectors(encoder, cache, key=encoder.digest).encode(texts, progress=True)


def _drawn(kind: str, entry: SpaceEntry) -> tuple[Texts, np.ndarray]:
    """The texts of a space and the numbers of those that `inversion.py` encodes: 100 held-out and 10,000 others."""
    of = texts_of(kind, entry, 100)
    return of, np.concatenate([of.held_out, of.known])[:10_100]


def glosses(work: Path) -> Parallel:
    """Words with their glosses, by mpnet and by GloVe."""
    entry = words_bundle(work).entry(WORDS)
    of, rows = _drawn("glosses", entry)
    texts = [of.texts[row] for row in rows]
    return Parallel(
        texts=tuple(texts),
        target=encoded(texts, DEFAULT_ENCODER, work),
        made={
            "mpnet": encoded(texts, SECOND_ENCODER, work),
            "GloVe": np.stack([entry.space[of.ids[row]].vector for row in rows]),
        },
    )


def plots(work: Path) -> Parallel:
    """Movies with the openings of their plots, by mpnet."""
    of, rows = _drawn("plots", movies_bundle(work).entry(SEMANTIC))
    texts = [of.texts[row] for row in rows]
    made = {"mpnet": encoded(texts, SECOND_ENCODER, work)}
    return Parallel(texts=tuple(texts), target=encoded(texts, DEFAULT_ENCODER, work), made=made)


def ratings(work: Path) -> Parallel:
    """Movies of MovieLens with their factors; a text is a title and genres."""
    space = movies_bundle(work).entry(BEHAVIORAL).space
    texts = texts_of_space(space)
    rows = [row for row, text in enumerate(texts) if text]
    found = [str(texts[row]) for row in rows]
    return Parallel(
        texts=tuple(found),
        target=encoded(found, DEFAULT_ENCODER, work),
        made={"ratings": space.vectors[rows]},
    )
