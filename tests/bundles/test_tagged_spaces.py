"""Spaces whose texts are tags: what the encoder's lexicon reads is told beside the tags, and of others it is not."""

import numpy as np
import pytest

from vecspeak.bundles.fitting import fit_space
from vecspeak.bundles.lexicons import shipped_lexicon
from vecspeak.spaces import Space
from vecspeak.spaces.splits import choose_splits

ENCODER = "all-minilm-l6-v2"
TAGS = ["red", "blue", "green", "round", "square", "heavy"]
MORE = (
    "river house garden winter letter bridge doctor engine forest violin copper planet market teacher window harbor "
    "candle mountain ticket pepper"
).split()


class Encoder:
    """Only its name and width are looked at: the space's vectors are its own."""

    name, dim, digest = ENCODER, 384, "stand-in"

    def encode(self, texts, **more):
        raise AssertionError("nothing is to be encoded")


def fitted(long=False):
    """120 vectors that lie along what the lexicon reads as submarine, with tags or with texts of many words."""
    lexicon = shipped_lexicon(ENCODER)
    rng = np.random.default_rng(0)
    toward = lexicon.readout.take([lexicon.vocabulary.place["submarine"]]).table()[:, 0]
    toward /= np.linalg.norm(toward)
    vectors = 0.6 * toward + 0.8 / 384**0.5 * rng.normal(size=(120, 384))
    tagged = [", ".join(rng.choice(TAGS, 3)) for _ in range(120)]
    texts = [f"{tags} {' '.join(rng.choice(MORE, 12))}" for tags in tagged] if long else tagged
    space = Space.from_arrays(vectors.astype(np.float32), texts=texts, name="tagged", encoder=ENCODER)
    return fit_space(space, texts=texts, encoder=Encoder(), splits=choose_splits(space, share=0.2, seed=0))


WORD = "nuclear submarine"


def told(entry):
    (words,) = entry.words(entry.space.vectors[:1], limit=20)
    return {one.term: one.probability for one in words}.get(WORD, 0)


def test_beside_tags_the_encoders_words_are_told():
    entry = fitted()
    first = entry.space.vectors[0]
    alone = shipped_lexicon(ENCODER).words(first / np.linalg.norm(first))[0]
    assert alone.term == WORD and told(entry) == pytest.approx(alone.probability, rel=0.01)
    (terms,) = entry.term_probabilities([f"A {WORD}."], first)
    assert {one.term: one.probability for one in terms}[WORD] == pytest.approx(alone.probability, rel=0.01)


def test_what_texts_leave_out_is_not_told_where_they_are_whole():
    assert told(fitted(long=True)) < 0.1 < told(fitted())
