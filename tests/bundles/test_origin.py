"""Which encoder made the vectors: what is declared is checked, and what is not is recognized."""

import numpy as np
import pytest

from vecspeak import Space
from vecspeak.bundles.fitting import checked_origin
from vecspeak.errors import UserError
from vecspeak.model.alignment import unit

TEXTS = [f"text {number}" for number in range(60)]


class Drawn:
    """An encoder that draws a direction for each text; `seed` is which encoder it is."""

    dim = 16

    def __init__(self, seed=0, name="mine"):
        self.seed, self.name = seed, name

    def encode(self, texts, *, progress=False):
        rows = [np.random.default_rng([self.seed, *text.encode()]).normal(size=self.dim) for text in texts]
        return unit(np.array(rows)).astype(np.float32)


def made(encoder, *, declared=None, noise=0.0):
    vectors = encoder.encode(TEXTS) + noise * np.random.default_rng(1).normal(size=(len(TEXTS), 16))
    return Space.from_arrays(vectors.astype(np.float32), texts=TEXTS, name="shop", encoder=declared)


def test_vectors_of_the_encoder_are_recognized_where_none_is_declared():
    space, said = checked_origin(made(Drawn()), TEXTS, Drawn())
    assert space.encoder == "mine" and "'shop' was made by mine" in said and "is 1.000" in said


def test_vectors_of_another_encoder_are_refused_where_this_one_is_declared():
    with pytest.raises(UserError, match=r"said to be made by mine, but the mean cosine of 48 .* is -?0\.0"):
        checked_origin(made(Drawn(seed=1), declared="mine"), TEXTS, Drawn())
    space, said = checked_origin(made(Drawn(seed=1)), TEXTS, Drawn())
    assert space.encoder is None and not said


def test_vectors_of_other_texts_by_the_same_encoder_are_kept_and_told():
    space, said = checked_origin(made(Drawn(), declared="mine", noise=0.7), TEXTS, Drawn())
    assert space.encoder == "mine" and "they were made of other texts" in said
    assert checked_origin(made(Drawn(), declared="mine"), TEXTS, Drawn())[1] == ""


def test_nothing_is_compared_of_another_width_and_without_texts():
    narrow = Space.from_arrays(np.eye(3), texts=["a", "b", "c"], encoder="mine")
    assert checked_origin(narrow, ["a", "b", "c"], Drawn()) == (narrow, "")
    space = made(Drawn(seed=1), declared="mine")
    assert checked_origin(space, [None] * 60, Drawn()) == (space, "")
