"""What pandas writes: periods and intervals, every orientation of JSON, and digits as they stand in the file."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from vecspeak import Space
from vecspeak.tables.files import read_table

COLUMNS = {"id": "id", "vector": "v"}
V = [[1.0, 2.0], [2.0, 3.0]]


def moments():
    """Months, intervals with and without gaps, and categories of intervals."""
    return pd.DataFrame(
        {
            "id": pd.period_range("2020-01", periods=2, freq="M"),
            "range": pd.arrays.IntervalArray([pd.Interval(0, 1.5), None]),
            "quarter": pd.Series([pd.Period("2020Q1"), pd.NaT]),
            "closed": pd.interval_range(0, 2, closed="both"),
            "v": V,
        }
    )


def test_periods_and_intervals_are_read_as_pandas_prints_them(tmp_path):
    frame = moments()
    space = Space.from_pandas(frame.assign(cut=pd.cut([1, 5], [0, 2, 6])), **COLUMNS)
    assert space.ids == ("2020-01", "2020-02")
    assert space.metadata.to_pydict() == {
        "range": ["(0.0, 1.5]", None],
        "quarter": ["2020Q1", None],
        "closed": ["[0, 1]", "[1, 2]"],
        "cut": ["(0, 2]", "(2, 6]"],
    }
    assert Space.from_pandas(frame.assign(id=frame["closed"]), **COLUMNS).ids == tuple(
        map(str, frame["closed"])
    )
    frame.to_parquet(tmp_path / "a.parquet")
    saved = Space.read(tmp_path / "a.parquet", **COLUMNS)
    assert saved.ids == space.ids and saved.metadata.column("closed").to_pylist() == ["[0, 1]", "[1, 2]"]


def test_a_reader_that_has_not_imported_pandas_takes_no_period_for_a_number(tmp_path):
    moments().to_parquet(tmp_path / "a.parquet")
    code = (
        "import sys; from vecspeak.tables.files import read_table; assert 'pandas' not in sys.modules;"
        f"print(read_table({str(tmp_path / 'a.parquet')!r}).select(['id', 'closed']).to_pydict())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "{'id': ['2020-01', '2020-02'], 'closed': ['[0, 1]', '[1, 2]']}"


@pytest.mark.parametrize("orient", ["split", "index", "columns", "records", "table"])
@pytest.mark.parametrize("own_index", [False, True])
def test_every_orientation_of_pandas_json_with_names_is_read(tmp_path, orient, own_index):
    frame = pd.DataFrame({"id": ["a7", "b"], "v": V, "n": [1, 2]})
    if own_index:
        frame = frame.set_index(pd.Index(["x", "y"]))
    frame.to_json(tmp_path / "a.json", orient=orient)
    space = Space.read(tmp_path / "a.json", **COLUMNS)
    assert space.ids == ("a7", "b") and np.array_equal(space.vectors, V)
    assert space.metadata.column("n").to_pylist() == [1, 2]


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize(
    "ids, known",
    [
        (["7", "7.5"], ["7", "7.5"]),
        (["7.50", "1e2", "8.0", "0.1000000000000000055511151231257827"], None),
        (["7.0", "8"], ["7", "8"]),  # how some tools write ids with gaps
        (["9007199254740993", "0.5"], None),
    ],
)
def test_numbers_that_are_names_keep_their_digits_beside_fractions(tmp_path, lines, ids, known):
    rows = [f'{{"id": {one}, "v": [1, 2.5]}}' for one in ids]
    path = tmp_path / ("a.jsonl" if lines else "a.json")
    path.write_text("\n".join(rows) if lines else f"[{', '.join(rows)}]")
    assert read_table(path, text_columns=("id",)).column("id").to_pylist() == (known or ids)
    assert np.array_equal(Space.read(path, **COLUMNS).vectors, [[1, 2.5]] * len(ids))
