"""`vecspeak fit` refuses a place that no bundle can be written to before it encodes a text."""

import numpy as np
import pyarrow as pa
import pytest

from vecspeak.cli import main
from vecspeak.spaces import Space
from vecspeak.spaces.io import save_space


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("file", "is a file, and a bundle is a folder"),
        ("full", "is a folder of something else"),
        ("nowhere/mine.bundle", "is in no folder that exists"),
    ],
)
def test_a_place_that_is_taken_is_told_first(tmp_path, monkeypatch, capsys, place, said):
    monkeypatch.setattr("vecspeak.bundles.fitting.fit_space", lambda *_, **__: pytest.fail("fitted"))
    vectors = np.eye(8, dtype=np.float32)
    names = tuple(f"i{row}" for row in range(8))
    texts = pa.table({"text": [f"A jacket of kind {row}." for row in range(8)]})
    save_space(
        Space(name="things", ids=names, labels=names, vectors=vectors, metadata=texts),
        tmp_path / "things.parquet",
    )
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    with pytest.raises(SystemExit):
        main(["fit", str(tmp_path / "things.parquet"), "--out", str(tmp_path / place)])
    assert said in capsys.readouterr().err
    assert (tmp_path / "full" / "mine").read_text() == (tmp_path / "file").read_text() == "mine"
