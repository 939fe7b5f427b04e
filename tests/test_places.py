"""Where benchmarks write is checked before they measure: minutes are not lost to a folder that is not there."""

import argparse
import re
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def places(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import places

    yield places
    sys.modules.pop("places", None)


def test_a_folder_is_made_and_what_cannot_be_one_is_refused(places, tmp_path):
    assert places.out_folder(str(tmp_path / "new" / "scores")).is_dir()
    assert places.out_file(str(tmp_path / "more" / "a.json")).parent.is_dir()
    (tmp_path / "file").touch()
    for check, given in (
        (places.out_folder, "file"),
        (places.out_folder, "file/x"),
        (places.out_file, "new"),
    ):
        with pytest.raises(argparse.ArgumentTypeError, match=given.partition("/")[0]):
            check(str(tmp_path / given))


@pytest.mark.parametrize("path", sorted(BENCHMARKS.rglob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_checks_its_out(path):
    options = re.findall(r'add_argument\(\s*"--out",\s*type=(\w+)', path.read_text(encoding="utf-8"))
    assert set(options) <= {"out_folder", "out_file", "_docs"}
