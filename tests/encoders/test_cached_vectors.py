"""Cached vectors: the bare encoder's own, in order; each text is encoded once, whatever happens in between."""

import numpy as np
import pytest

from fakes import WORDS, WordEncoder
from vecspeak.encoders import text as text_encoders
from vecspeak.encoders.text import CachedVectors
from vecspeak.errors import UserError
from vecspeak.storage import Cache

KEY = "a" * 64


class Counting(WordEncoder):
    """Counts what it encodes; stops like a killed run after so many calls."""

    def __init__(self, calls=1000):
        self.left = calls
        self.seen = []

    def encode(self, texts, *, progress=False, batch_size=64):
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.seen += texts
        return super().encode(texts)


@pytest.fixture
def chunks_of_four(monkeypatch):
    monkeypatch.setattr(text_encoders, "_CHUNK", 4)


def texts_of(count, seed=0):
    """Texts of several lengths, some of them twice."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(1, 9))) for _ in range(count)]
    return [*texts, texts[0], "é, 東京\u2028物語", texts[count // 2], " ghost"]


def opened(folder, encoder, key=KEY):
    return CachedVectors(encoder, Cache(folder / "vectors"), key=key)


def number_in(folder):
    with Cache(folder / "vectors") as cache:
        return len(cache)


@pytest.mark.parametrize("count", [1, 3, 30])
def test_vectors_are_the_bare_encoders_in_the_order_of_the_texts(tmp_path, chunks_of_four, count):
    texts, encoder = texts_of(count), Counting()
    found = opened(tmp_path, encoder).encode(texts)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, WordEncoder().encode(texts))
    assert sorted(encoder.seen) == sorted(set(texts))


def test_a_second_run_encodes_nothing(tmp_path, chunks_of_four):
    texts, none = texts_of(30), Counting(0)
    first = opened(tmp_path, Counting()).encode(texts)
    np.testing.assert_array_equal(opened(tmp_path, none).encode(texts[::-1]), first[::-1])


def test_the_same_texts_again_write_nothing(tmp_path, chunks_of_four, monkeypatch):
    encoder = opened(tmp_path, Counting())
    encoder.encode(texts_of(9))
    before = number_in(tmp_path)
    monkeypatch.setattr(Cache, "put", lambda *_: pytest.fail("nothing is new"))
    encoder.encode(texts_of(9))
    assert number_in(tmp_path) == before == len(set(texts_of(9)))


def test_only_what_is_new_is_encoded(tmp_path):
    opened(tmp_path, Counting()).encode(["ghost", "joke"])
    encoder = Counting()
    found = opened(tmp_path, encoder).encode(["train", "joke", "ghost joke", "joke"])
    assert sorted(encoder.seen) == ["ghost joke", "train"]
    np.testing.assert_array_equal(found, WordEncoder().encode(["train", "joke", "ghost joke", "joke"]))


def test_it_says_what_the_encoder_says_of_itself(tmp_path):
    encoder = opened(tmp_path, Counting())
    assert (encoder.name, encoder.dim) == ("words", 16)


def test_no_texts_have_no_vectors(tmp_path):
    found = opened(tmp_path, Counting(0)).encode([])
    assert found.shape == (0, 16) and found.dtype == np.float32
    assert list(tmp_path.iterdir()) == []


def test_an_empty_text_is_refused_with_its_row_before_anything_is_encoded(tmp_path):
    with pytest.raises(UserError, match="text 2 of 3 is empty"):
        opened(tmp_path, Counting(0)).encode(["ghost", "joke", " "])


def test_texts_from_many_chunks_and_many_times_come_in_their_order(tmp_path, chunks_of_four):
    texts = texts_of(40)
    opened(tmp_path, Counting()).encode(texts)
    again = [texts[row] for row in np.random.default_rng(1).integers(0, len(texts), 200)]
    np.testing.assert_array_equal(opened(tmp_path, Counting(0)).encode(again), WordEncoder().encode(again))


def test_another_encoder_shares_nothing(tmp_path):
    opened(tmp_path, Counting()).encode(["ghost"])
    other = Counting()
    opened(tmp_path, other, "b" * 64).encode(["ghost"])
    assert other.seen == ["ghost"]


@pytest.mark.parametrize("calls", [0, 1, 5])
def test_a_run_that_is_killed_loses_the_chunk_that_it_was_at(tmp_path, chunks_of_four, calls):
    texts = texts_of(30)
    different = len(set(texts))
    killed, resumed = Counting(calls), Counting()
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path, killed).encode(texts)
    found = opened(tmp_path, resumed).encode(texts)
    assert (len(killed.seen), len(resumed.seen)) == (4 * calls, different - 4 * calls)
    assert not set(killed.seen) & set(resumed.seen)
    np.testing.assert_array_equal(found, WordEncoder().encode(texts))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: b"",
        lambda whole: b"rubbish" * 100,
        lambda whole: whole[:-1],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: b"\0" * len(whole),
        lambda whole: whole[:4096] + b"\xff" * 4096 + whole[8192:],
        lambda whole: whole[:4096] + whole[: len(whole) - 4096],
    ],
)
def test_what_is_spoiled_of_a_cache_is_encoded_again(tmp_path, chunks_of_four, spoil):
    texts, path = texts_of(90), tmp_path / "vectors"
    encoder = opened(tmp_path, Counting())
    encoder.encode(texts)
    encoder.cache.close()
    path.write_bytes(spoil(path.read_bytes()))
    for again in (Counting(), Counting(0)):
        np.testing.assert_array_equal(opened(tmp_path, again).encode(texts), WordEncoder().encode(texts))
    assert sorted(file.name for file in tmp_path.iterdir() if "-" not in file.name) in (
        ["vectors"],
        ["vectors", "vectors.corrupt"],
    )


def test_vectors_of_another_width_are_passed_over(tmp_path):
    opened(tmp_path, Counting()).encode(["ghost"])
    wider = Counting()
    wider.dim = 18
    found = opened(tmp_path, wider).encode(["ghost"])
    assert wider.seen == ["ghost"] and found.shape == (1, 18)


def test_two_runs_at_once_keep_what_both_encoded(tmp_path):
    one, other = opened(tmp_path, Counting()), opened(tmp_path, Counting())
    one.encode(["ghost", "joke"])
    other.encode(["joke", "train"])
    opened(tmp_path, Counting(0)).encode(["ghost", "joke", "train"])
