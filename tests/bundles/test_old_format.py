"""A bundle of format 1 made by an older version opens for ever and answers as it did then."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fakes import WordEncoder
from vecspeak.asking import Asker
from vecspeak.bundles import load_bundle, save_entry
from vecspeak.bundles.checking import name_models
from vecspeak.engines import Sampling, open_engine

DATA = Path(__file__).parents[1] / "data" / "bundle-format-1"
RECORDED = json.loads((DATA / "recorded.json").read_text(encoding="utf-8"))


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A copy of the bundle, whose base model, `base` in its manifest, a person names."""
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(DATA)
    shutil.copytree(DATA / "old.bundle", tmp_path / "old.bundle")
    opened = load_bundle(tmp_path / "old.bundle")
    name_models(opened.manifest.reader, base=DATA / "base")
    return opened


def test_everything_in_it_is_what_it_was(bundle):
    entry = bundle.entry()
    assert {name: sorted(ids) for name, ids in entry.splits.items()} == RECORDED["splits"]
    assert entry.space.digest == RECORDED["digest"] and list(entry.users.ids) == RECORDED["users"]
    assert entry.clusters.labels.tolist() == RECORDED["regions"]
    assert entry.report == RECORDED["report"] and set(entry.concepts) == {"scary"}
    assert entry.fold_in.settings.highest == 5


@pytest.mark.parametrize("saved_again", [False, True])
def test_it_answers_as_it_did(bundle, saved_again):
    if saved_again:
        bundle = save_entry(bundle, bundle.entry())
    engine = open_engine(bundle, "transformers")
    asker = Asker(bundle.entry(), lambda: engine, WordEncoder)
    for recorded in RECORDED["answers"]:
        point = asker.point(recorded["expression"])
        assert (point.expression, point.kind) == (recorded["expression"], recorded["kind"])
        np.testing.assert_allclose(point.vector, recorded["vector"], atol=1e-5)
        mapped = bundle.entry().alignment(point.vector[None], point.kind)[0]
        np.testing.assert_allclose(mapped, recorded["mapped"], atol=1e-5)
        question = asker.prepare("Describe {x}.", {"x": recorded["expression"]})
        answer = asker.answer(question, Sampling(max_new_tokens=12))
        assert answer.text == recorded["text"]
        (evidence,) = answer.evidence
        assert [near.id for near in evidence.nearest] == recorded["nearest"]
        assert evidence.round_trip == pytest.approx(recorded["round_trip"], abs=1e-4)
        assert evidence.percentile == pytest.approx(recorded["percentile"])


def test_files_that_an_older_version_left_next_to_it_do_not_matter(bundle):
    left = bundle.folder.with_name(".old.bundle.kept") / "0123456789abcdef"
    left.mkdir(parents=True)
    (left / "chunk.safetensors").write_bytes(b"spoiled")
    assert load_bundle(bundle.folder).entry().space.num_items == 60
