"""Fitting without texts: from Python and the command line, what bundle and answers say of it, and refusals."""

import json

import numpy as np
import pyarrow as pa
import pytest

from unpaired_worlds import DIM, rotation, search_little, world
from vecspeak.api import VecSpeak
from vecspeak.bundles import load_bundle, save_bundle
from vecspeak.bundles.fitting import fit_space
from vecspeak.bundles.piles import pile_vectors
from vecspeak.errors import UserError
from vecspeak.model.alignment import unit
from vecspeak.model.map_scores import caution, with_verdict
from vecspeak.spaces import Space
from vecspeak.spaces.io import save_space


class Written:
    """Texts that are numbers: encoding reads them."""

    name, dim, digest = "numbers", DIM, "0"

    def encode(self, texts, *, progress=False, batch_size=64):
        return unit(np.array([[float(one) for one in text.split()] for text in texts])).astype(np.float32)


def texts_of(vectors):
    return [" ".join(f"{number:.4f}" for number in row) for row in vectors]


def things(vectors, texts=None):
    ids = tuple(f"t{row}" for row in range(len(vectors)))
    metadata = pa.table({"text": texts}) if texts else pa.table({"number": np.arange(len(vectors))})
    return Space(
        name="things",
        ids=ids,
        labels=ids,
        vectors=(vectors @ rotation()).astype(np.float32),
        metadata=metadata,
    )


@pytest.fixture(autouse=True)
def _few_starts(monkeypatch):
    search_little(monkeypatch)


def test_a_space_without_texts_gets_a_map_and_says_how(source, tmp_path):
    vectors = world(1000, 1)
    pile = pile_vectors(texts_of(world(1000, 2)), Written())
    entry = fit_space(things(vectors), texts=[None] * 1000, encoder=Written(), pile=pile)
    mapped = entry.alignment(entry.space.vectors)
    assert np.einsum("nt,nt->n", mapped, unit(vectors)).mean() > 0.8
    assert "without a text" in entry.caution and "agree by" in entry.caution
    saved = save_bundle(tmp_path / "b", source=source, name="b", entries={"things": entry})
    assert load_bundle(saved.folder).manifest.without_pairs == {"things": entry.report["without_pairs"]}
    known = load_bundle(saved.folder).entry("things")
    assert known.report["kind"] == "unpaired" and known.caution == entry.caution
    assert with_verdict(known.report)["verdict"] == known.report["without_pairs"]
    assert known.report["proof"]["agreement"] > known.report["proof"]["gaussian"]


def test_held_out_texts_judge_a_map_from_few_pairs():
    vectors, pile = world(1000, 1), pile_vectors(texts_of(world(1000, 2)), Written())
    texts = texts_of(vectors)
    space = things(vectors, texts)
    known = [text if row < 60 else None for row, text in enumerate(texts)]
    entry = fit_space(
        space, texts=known, encoder=Written(), pile=pile, splits={"holdout": set(space.ids[:50])}
    )
    assert entry.report["pairs"] == 10
    assert entry.report["held_out"]["items"] == 50 and entry.report["held_out"]["centered_cosine"] > 0.6
    assert "from 10 texts and a pile of 1,000 others" in caution(entry.report)


def test_vectors_of_no_shape_are_refused():
    noise = np.random.default_rng(0).normal(size=(800, DIM))
    with pytest.raises(UserError, match="no map was found without pairs") as raised:
        fit_space(
            things(noise),
            texts=[None] * 800,
            encoder=Written(),
            pile=pile_vectors(texts_of(world(800, 2)), Written()),
        )
    assert "pile" in raised.value.hint and "20 items a text" in raised.value.hint


def test_piles_are_lists_files_and_spaces(tmp_path):
    texts = texts_of(world(5, 2))
    (tmp_path / "pile.txt").write_text("\n".join([*texts, "", texts[0]]), encoding="utf-8")
    vectors, name = pile_vectors(tmp_path / "pile.txt", Written())
    assert len(vectors) == 5 and name == "pile.txt"  # blank and repeated lines are left out
    space = things(world(5, 2), texts)
    save_space(space, tmp_path / "pile.parquet")
    for pile in (texts, space, tmp_path / "pile.parquet"):
        np.testing.assert_allclose(pile_vectors(pile, Written())[0], vectors, atol=1e-6)
    with pytest.raises(UserError, match="has no texts"):
        pile_vectors(things(world(5, 2)), Written())
    with pytest.raises(UserError, match="there is no file"):
        pile_vectors(tmp_path / "nowhere.txt", Written())


def test_a_pile_without_unpaired_is_refused(source):
    with pytest.raises(UserError, match="without pairs"):
        VecSpeak(source, encoder=Written()).fit(things(world(30, 1)), pile=["a"])


def test_the_command_fits_without_pairs(source, tmp_path, monkeypatch, capsys):
    from vecspeak import asking
    from vecspeak.cli import main

    monkeypatch.setattr(asking, "load_encoder", lambda name: Written())
    save_space(things(world(1000, 1)), tmp_path / "things.parquet")
    (tmp_path / "pile.txt").write_text("\n".join(texts_of(world(1000, 2))), encoding="utf-8")
    save_bundle(tmp_path / "reader", source=source, name="reader", entries={})
    given = [str(tmp_path / "things.parquet"), "--reader", str(tmp_path / "reader"), "--unpaired"]
    given += ["--pile", str(tmp_path / "pile.txt"), "--out", str(tmp_path / "new.bundle")]
    main(["fit", *given, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "unpaired" and found["pile_name"] == "pile.txt" and "agree by" in found["verdict"]
    assert load_bundle(tmp_path / "new.bundle").entry("things").caution == found["without_pairs"]
