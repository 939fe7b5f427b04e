"""`vecspeak map`: the map is kept in the bundle, its table and its figures are those of the library."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from vecspeak import VecSpeak
from vecspeak.cli import main


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))


def test_a_map_is_kept_and_its_table_written(bundle, tmp_path, capsys):
    out = tmp_path / "map.parquet"
    main(["map", str(bundle), "--out", str(out), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["num_items"] == 120 and 0 <= found["scores"]["kept"]["among_10"]["value"] <= 1
    table = pq.read_table(out)
    assert np.array_equal(table["x"].to_numpy(), VecSpeak.load(bundle).entry().maps[0].coordinates[:, 0])


def test_no_save_leaves_the_bundle_and_figures_can_be_left_out(bundle, capsys):
    main(["map", str(bundle), "--no-save", "--no-scores"])
    assert capsys.readouterr().out == "things: 120 items by tsne, seed 0\n"
    assert not VecSpeak.load(bundle).entry().maps


def test_a_table_of_another_kind_is_refused_before_any_work(bundle, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["map", str(bundle), "--out", str(tmp_path / "map.svg")])
    assert stopped.value.code == 2 and ".parquet" in capsys.readouterr().err
    assert not VecSpeak.load(bundle).entry().maps
