"""Words of every row of a table: the same as of each alone, with ids, what is left out, and refusals."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from narrated import content, said, write

from vecspeak.cli import main
from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.io import save_space


def words_of(row):
    return {(one["term"], one["column"]): one["probability"] for one in row["words"]}


def test_every_row_has_the_words_that_are_read_of_it_alone(vs, rows, table, tmp_path):
    found = vs.narrate(tmp_path / "out", table, id="sku", rows_per_shard=64, threads=2)
    every = said(tmp_path / "out")
    assert (found.rows, found.written, found.shards, found.left_out) == (500, 500, 8, {})
    assert [one["row"] for one in every] == list(range(500))
    assert [one["id"] for one in every] == [f"r{row}" for row in range(500)]
    for row in range(0, 500, 7):
        expected = {(one.term, one.column): one.probability for one in vs.words(rows[row])}
        assert words_of(every[row]) == pytest.approx(expected, rel=1e-3)
        first = [one["probability"] for one in every[row]["words"][:3]]
        assert every[row]["sureness"] == pytest.approx(np.mean(first), rel=1e-5)


def test_arrays_parquet_folders_and_frames_of_a_space_say_the_same(vs, rows, table, tmp_path):
    np.save(tmp_path / "rows.npy", rows.astype(np.float64))
    (tmp_path / "parts").mkdir()
    for number, part in enumerate(np.array_split(rows, 3)):
        write(tmp_path / "parts" / f"{number}.parquet", part)
    space = Space.from_arrays(rows, ids=[f"r{row}" for row in range(500)])
    save_space(space, tmp_path / "saved.parquet")
    given = [table, tmp_path / "rows.npy", tmp_path / "parts", space, tmp_path / "saved.parquet", rows]
    every = []
    for number, one in enumerate(given):
        vs.narrate(tmp_path / f"out{number}", one, rows_per_shard=128)
        every.append([words_of(row) for row in said(tmp_path / f"out{number}")])
    assert all(one == every[0] for one in every)
    assert [row["id"] for row in said(tmp_path / "out1")] == [None] * 500
    assert [row["id"] for row in said(tmp_path / "out4")] == list(space.ids)


def test_rows_without_a_usable_vector_are_left_out_and_counted(vs, rows, tmp_path):
    given = list(rows)
    given[3], given[70], given[130] = None, rows[70][:5], np.zeros(12)
    given[131], given[400] = np.full(12, np.nan), np.full(12, np.inf)
    write(tmp_path / "some.parquet", given)
    found = vs.narrate(tmp_path / "out", tmp_path / "some.parquet", rows_per_shard=100)
    assert found.rows == 500 == found.written + sum(found.left_out.values())
    assert sorted(found.left_out.values()) == [1, 1, 1, 2]
    assert {row["row"] for row in said(tmp_path / "out")} == set(range(500)) - {3, 70, 130, 131, 400}
    first = {
        why: one["first"]
        for why, one in json.loads((tmp_path / "out" / "manifest.json").read_text())["left_out"].items()
    }
    assert sorted(first.values()) == [[3], [70], [130], [131, 400]]
    assert "left out: 2 rows with a vector with NaN, infinite or too large numbers" in str(found)


def test_a_shard_of_which_nothing_is_usable_is_there_and_empty(vs, rows, tmp_path):
    write(tmp_path / "some.parquet", [*rows[:64], *([None] * 64), *rows[64:100]])
    found = vs.narrate(tmp_path / "out", tmp_path / "some.parquet", rows_per_shard=64)
    assert (found.written, found.shards, found.left_out) == (100, 3, {"no vector": 64})
    assert pq.read_metadata(tmp_path / "out" / "words" / "part-00001.parquet").num_rows == 0


def test_the_items_of_the_space_are_read_where_no_vectors_are_given(vs, tmp_path):
    vs.narrate(tmp_path / "out")
    every = said(tmp_path / "out")
    assert [row["id"] for row in every] == list(vs.space.ids)
    assert words_of(every[5]) == pytest.approx(
        {(one.term, one.column): one.probability for one in vs.words(vs.space[5])}, rel=1e-3
    )
    assert not any("far" in row["flags"] for row in every)


def test_rows_far_from_the_items_are_flagged_and_not_trusted(vs, rows, tmp_path):
    far = rows.copy()
    far[10] = np.random.default_rng(0).normal(size=12) * 5
    vs.narrate(tmp_path / "out", Space.from_arrays(far))
    vs.narrate(tmp_path / "without", Space.from_arrays(far), distances=False)
    flags = [row["flags"] for row in said(tmp_path / "out")]
    expected = vs.entry().distance().percentile(far) > 99
    assert expected[10] and [("far" in one) for one in flags] == expected.tolist()
    assert not any("far" in row["flags"] for row in said(tmp_path / "without"))
    for row in said(tmp_path / "out"):
        assert row["trusted"] == (not row["flags"])


def test_tags_are_the_likely_words_and_a_name_the_first_two(vs, table, tmp_path):
    vs.narrate(tmp_path / "tags", table, task="tags")
    vs.narrate(tmp_path / "name", table, task="name")
    for row in said(tmp_path / "tags"):
        likely = [one["term"] for one in row["words"] if one["probability"] >= 0.5]
        assert (row["text"] or "") == ", ".join(likely)
    for row in said(tmp_path / "name"):
        assert row["text"] == ", ".join(one["term"] for one in row["words"][:2])
    manifest = json.loads((tmp_path / "tags" / "manifest.json").read_text())
    assert manifest["without_text"] == sum(row["text"] is None for row in said(tmp_path / "tags"))


@pytest.mark.parametrize("change, why", [
    ({"vectors": "narrow.parquet"}, "have 7 numbers, and those of 'things' have 12"),
    ({"vectors": "missing.parquet"}, "there is no file"),
    ({"vectors": "rows.parquet", "vector": "embedding"}, "has no column 'embedding'"),
    ({"vectors": "rows.parquet", "id": "ski"}, "did you mean 'sku'"),
    ({"vectors": "ftp://somewhere/rows.parquet"}, "unknown|scheme|store"),
    ({"task": "tagz"}, "did you mean 'tags'"),
    ({"task": "similarities", "tasks": "movies"}, "about two points"),
    ({"prose_for": 5}, "without the reader"),
    ({"out": "full"}, "holds other files"),
    ({"out": "gs:/nowhere/at/all"}, "folder"),
    ({"limit": 0}, "limit"),
    ({"vectors": np.ones((3, 12)), "id": "sku"}, "`id` is 'sku', and an array has no columns"),
    ({"vectors": "wide.npy", "id": "sku"}, "a .npy file has no columns"),
    ({"vector": "embedding"}, "`vector` is 'embedding', and a space has no columns"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_written(
    vs, rows, table, tmp_path, monkeypatch, change, why
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "narrow.parquet", rows[:, :7])
    np.save(tmp_path / "wide.npy", rows)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    given = {"out": "out", **change}
    with pytest.raises(UserError, match=why):
        vs.narrate(given.pop("out"), **given)
    assert not (tmp_path / "out").exists() and [one.name for one in (tmp_path / "full").iterdir()] == [
        "mine.txt"
    ]


def test_vectors_of_another_encoder_are_refused(vs, rows, tmp_path):
    save_space(Space.from_arrays(rows, encoder="another"), tmp_path / "other.parquet")
    named = vs.fit(Space(**{**vars_of(vs.space), "encoder": "words"}), holdout=0.2)
    with pytest.raises(UserError, match="were made by 'another', and those of 'things' by 'words'"):
        named.narrate(tmp_path / "out", tmp_path / "other.parquet")


def vars_of(space):
    return {name: getattr(space, name) for name in ("name", "ids", "labels", "vectors", "metadata")}


def test_the_command_writes_the_same_as_the_call(vs, table, tmp_path, capsys):
    vs.narrate(tmp_path / "called", table, id="sku")
    main(
        [
            "narrate",
            str(vs.folder),
            "--out",
            str(tmp_path / "typed"),
            "--vectors",
            str(table),
            "--id",
            "sku",
            "--json",
        ]
    )
    printed = json.loads(capsys.readouterr().out)
    assert printed["written"] == 500 and printed["left_out"] == {}
    assert content(tmp_path / "typed") == content(tmp_path / "called")
