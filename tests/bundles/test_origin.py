"""Which encoder made the vectors: what is declared is checked, and what is not is recognized."""

import numpy as np
import pytest

from vecspeak import Space
from vecspeak.bundles import origin
from vecspeak.bundles.fitting import _all_alike
from vecspeak.bundles.origin import checked_origin
from vecspeak.encoders.text import (
    DEFAULT_ENCODER,
    PackagedEncoder,
    encoder_title,
    known_name,
    locate_encoder,
)
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


def test_vectors_cut_to_their_first_numbers_are_compared_as_such():
    whole = made(Drawn(), declared="mine")
    cut = Space.from_arrays(whole.vectors[:, :8].copy(), texts=TEXTS, name="shop", encoder="mine")
    assert checked_origin(cut, TEXTS, Drawn()) == (cut, "")
    other = Space.from_arrays(Drawn(seed=1).encode(TEXTS)[:, :8], texts=TEXTS, name="shop", encoder="mine")
    with pytest.raises(
        UserError, match="cut to their first 8 numbers, is .*, no higher than with others' texts"
    ):
        checked_origin(other, TEXTS, Drawn())


def test_wider_vectors_than_the_declared_encoder_makes_are_refused():
    wide = Space.from_arrays(np.ones((60, 20)), texts=TEXTS, name="shop", encoder="mine")
    with pytest.raises(UserError, match="said to be made by mine, but mine makes 16 numbers, .* have 20"):
        checked_origin(wide, TEXTS, Drawn())


def test_nothing_is_compared_without_texts():
    space = made(Drawn(seed=1), declared="mine")
    assert checked_origin(space, [None] * 60, Drawn()) == (space, "")


def test_vectors_that_are_all_the_same_are_told():
    ones = Space.from_arrays(np.ones((60, 4)), texts=TEXTS, name="shop")
    assert _all_alike(ones) == "all 60 vectors of 'shop' are the same: nothing tells its items apart"
    assert not _all_alike(made(Drawn())) and not _all_alike(Space.from_arrays(np.ones((1, 4)), texts=["a"]))


@pytest.fixture
def packaged(monkeypatch):
    """A second packaged encoder, of the same width as the reader's."""
    second = PackagedEncoder(packages=(), inside="", install="", dim=16)
    monkeypatch.setattr(origin, "KNOWN_ENCODERS", {"second": second})
    monkeypatch.setattr(origin, "is_installed", lambda name: True)
    return lambda name: Drawn(seed=2, name=name)


@pytest.mark.parametrize("declared", [None, "second"])
def test_another_packaged_encoder_is_recognized_and_compared(packaged, declared):
    space, said = checked_origin(made(Drawn(seed=2), declared=declared), TEXTS, Drawn(), packaged)
    assert space.encoder == "second"
    assert said == "" if declared == "second" else "'shop' was made by second: the mean cosine of 8" in said


def test_vectors_that_a_declared_packaged_encoder_did_not_make_are_refused(packaged):
    with pytest.raises(UserError, match="said to be made by second, but the mean cosine of 48"):
        checked_origin(made(Drawn(), declared="second"), TEXTS, Drawn(), packaged)


def test_an_encoder_that_is_not_at_hand_is_said_not_to_be_compared():
    space, said = checked_origin(made(Drawn(seed=3), declared="text-embedding-9"), TEXTS, Drawn())
    assert space.encoder == "text-embedding-9" and "text-embedding-9" in said and "not compared" in said


def test_vectors_that_are_recognized_refuse_another_name():
    with pytest.raises(
        UserError, match="said to be made by nonsense, but .* what mine makes .* is 1.000.*'mine'"
    ):
        checked_origin(made(Drawn(), declared="nonsense"), TEXTS, Drawn())


@pytest.mark.parametrize(
    "name",
    ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", "Sentence-Transformers/All-MiniLM-L6-v2"],
)
def test_a_packaged_encoder_is_known_by_its_usual_spellings(name):
    assert known_name(name) == encoder_title(name) == DEFAULT_ENCODER
    assert locate_encoder(name) == locate_encoder(DEFAULT_ENCODER)
    assert known_name("mine/all-MiniLM-L6-v2") == "mine/all-MiniLM-L6-v2"
