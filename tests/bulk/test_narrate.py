"""Words of every row of a table: the same as of each alone, with ids, what is left out, and refusals."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import content, said, write
from vecspeak.errors import UserError
from vecspeak.spaces import Space


def words_of(row):
    return {(one["term"], one["column"]): one["probability"] for one in row["words"]}


def test_every_row_has_the_words_that_are_read_of_it_alone(vs, rows, table, tmp_path):
    found = vs.narrate(tmp_path / "out", table, id="sku", rows_per_shard=64, threads=2)
    table_said = said(tmp_path / "out")
    assert (found.rows, found.written, found.shards, found.left_out) == (500, 500, 8, {})
    assert [one["row"] for one in table_said] == list(range(500))
    assert [one["id"] for one in table_said] == [f"r{row}" for row in range(500)]
    for row in range(0, 500, 7):
        expected = {(one.term, one.column): one.probability for one in vs.words(rows[row])}
        assert words_of(table_said[row]) == pytest.approx(expected, rel=1e-3)
