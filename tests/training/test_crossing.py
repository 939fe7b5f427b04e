"""Crossing: a reader of one encoder reads another's vectors from the first step on, and own texts are a source."""

import dataclasses

import numpy as np
import pytest
import torch

import vecspeak.training.run as run
from fakes import WORDS, WordEncoder
from tiny_models import base_folder, tiny_recipe
from vecspeak.bundles import load_bundle
from vecspeak.errors import UserError
from vecspeak.model.adapter import Adapter, AdapterConfig
from vecspeak.tasks.corpus import build_corpus
from vecspeak.training.crossing import cross, fit_crossing
from worlds import PAIRS, trained_folder


class TurnedEncoder(WordEncoder):
    """The same encoder behind a rotation into 24 numbers."""

    name, digest, dim = "turned", "turned", 24

    def encode(self, texts, **given):
        turn, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((24, 24)))
        return super().encode(texts) @ turn[:16].astype(np.float32)

    def _vector(self, text):
        known = WordEncoder()
        return known._vector(text)


TEXTS = [f"{one} and {other} of {number}" for number in range(3) for one in WORDS for other in WORDS]


def test_a_crossed_adapter_gives_the_soft_tokens_of_mapped_vectors():
    torch.manual_seed(0)
    adapter = Adapter(AdapterConfig(vector_dim=16, model_dim=8, hidden_dim=32, num_soft_tokens=2))
    adapter.set_statistics(torch.from_numpy(WordEncoder().encode(TEXTS)))
    turned = TurnedEncoder().encode(TEXTS)
    crossing = fit_crossing(TEXTS, turned, WordEncoder(), seed=0, progress=False)
    assert crossing.cosine > 0.99 > crossing.by_chance
    mapped = torch.from_numpy(crossing.alignment(turned))
    with torch.no_grad():
        wanted, found = adapter(mapped), cross(adapter, crossing)(torch.from_numpy(turned))
    assert torch.nn.functional.cosine_similarity(wanted, found, dim=-1).min() > 0.98


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "own.txt").write_text("\n".join([*PAIRS, "", *TEXTS]), encoding="utf-8")
    base = {"model": str(base_folder()), "encoder": "turned", "start": str(trained_folder())}
    return tiny_recipe(base=base).with_texts([str(tmp_path / "own.txt")])


def test_a_reader_of_another_encoder_is_read_at_the_first_step(tmp_path, recipe, monkeypatch):
    """Before any training its loss on held-out texts lies far below that of a reader that starts from nothing."""
    monkeypatch.setattr(run, "load_named_encoder", lambda *_: WordEncoder())
    start = load_bundle(trained_folder())
    trained = run.train_reader(recipe, TurnedEncoder(), tmp_path / "run", start=start, device="cpu")
    assert trained.reader.adapter.config.vector_dim == 24
    assert trained.data["crossing"]["cosine"] > 0.95 > trained.data["crossing"]["by_chance"]
    crossed = trained.outcome.before
    alone = dataclasses.replace(recipe, base=dataclasses.replace(recipe.base, start=""))
    nothing = run.train_reader(alone, TurnedEncoder(), tmp_path / "alone", device="cpu").outcome.before
    assert crossed.loss < nothing.loss - 1


def test_without_texts_a_reader_of_another_encoder_cannot_be_crossed(recipe):
    start = load_bundle(trained_folder())
    made = run.RunData(corpus=None, examples=[], targets=None, vectors=np.zeros((0, 24), np.float32))
    with pytest.raises(UserError, match=r"only texts can map turned to it; name some under"):
        run._crossing(recipe, made, start)


def test_own_texts_are_lines_or_a_column_and_copies_are_split_together(tmp_path):
    long = "A first sentence that is long enough. A second sentence of the same kind. A third one ends this text."
    (tmp_path / "lines.txt").write_text(
        f"a short line of text\n\n{long}\n  a short line of text\n", encoding="utf-8"
    )
    (tmp_path / "table.csv").write_text("title,review\nHeat,a heist goes wrong in town\n", encoding="utf-8")
    files = [tmp_path / "lines.txt", tmp_path / "table.csv:review"]
    texts = build_corpus({"texts": files}, seed=0, shares={"texts": 0.5})
    assert [text.text for text in texts if text.kind == "text"].count("a short line of text") == 1
    assert sum(text.kind == "excerpt" for text in texts) == 3
    assert {text.title for text in texts} == {"", "Heat"}
    assert len({text.split for text in texts if text.key == long.casefold()}) == 1


def test_a_table_without_the_column_says_what_it_has(tmp_path):
    (tmp_path / "table.csv").write_text("title,review\nHeat,a heist\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"no column 'text'; it has title, review; write .*table.csv:COLUMN"):
        build_corpus({"texts": [tmp_path / "table.csv"]}, seed=0, shares={"texts": 0.5})
    with pytest.raises(UserError, match="there is no file of texts at .*none.txt"):
        build_corpus({"texts": [tmp_path / "none.txt"]}, seed=0, shares={"texts": 0.5})
