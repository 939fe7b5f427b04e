"""Rows and tasks that change between two runs or amid one are refused, and never mixed with what is there."""

import os
import shutil

import numpy as np
import pytest
from narrated import content, write

from fakes import NearestEngine
from vecspeak.api import VecSpeak
from vecspeak.bulk import jobs, run
from vecspeak.errors import UserError

OPTIONS = {"rows_per_shard": 64, "threads": 1}
TASKS = """
name = "mine"
[words]
item = "thing"
[tasks.mood]
about = "item"
prompts = ["{asked} {{x}}?"]
teacher = "Say it."
"""


@pytest.fixture
def speaking(vs, encoder, texts):
    """The same with an engine that says the nearest text."""
    return VecSpeak.load(vs.folder, encoder=encoder, engine=NearestEngine(texts, encoder))


def overwrite(path, data):
    """Other bytes of the same length in the same file, with a new time."""
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))


def npy(tmp_path, rows, name="rows.npy"):
    np.save(tmp_path / name, rows)
    return tmp_path / name


def after_shard(monkeypatch, number, act):
    """Do something once that many shards are written."""
    write_shard, seen = jobs.write_shard, []

    def counted(place, found, shard):
        made = write_shard(place, found, shard)
        seen.append(place)
        if len(seen) == number:
            act()
        return made

    monkeypatch.setattr(jobs, "write_shard", counted)


def is_complete(out):
    return b'"complete": true' in (out / "manifest.json").read_bytes()


def test_a_task_of_other_words_is_refused(speaking, rows, tmp_path):
    tasks = tmp_path / "mine.toml"
    given = {"task": "mood", "tasks": str(tasks), "effort": "plain", "prose_for": 3}
    tasks.write_text(TASKS.format(asked="Which mood has"))
    speaking.narrate(tmp_path / "out", rows[:9], **given)
    assert speaking.narrate(tmp_path / "out", rows[:9], **given).resumed == 2
    tasks.write_text(TASKS.format(asked="How loud is"))
    with pytest.raises(UserError, match="other options"):
        speaking.narrate(tmp_path / "out", rows[:9], **given)


def test_a_task_that_changes_amid_a_run_is_refused(speaking, rows, tmp_path, monkeypatch):
    tasks = tmp_path / "mine.toml"
    tasks.write_text(TASKS.format(asked="Which mood has"))
    after_shard(monkeypatch, 1, lambda: tasks.write_text(TASKS.format(asked="How loud is")))
    with pytest.raises(UserError, match="the task 'mood' changed"):
        speaking.narrate(tmp_path / "out", rows[:9], task="mood", tasks=str(tasks), effort="plain")
    assert not is_complete(tmp_path / "out")


def test_an_array_that_is_overwritten_amid_a_run_is_refused(vs, rows, tmp_path, monkeypatch):
    path, other = npy(tmp_path, rows), npy(tmp_path, rows[::-1], "other.npy")
    after_shard(monkeypatch, 2, lambda: overwrite(path, other.read_bytes()))
    with pytest.raises(
        UserError, match=r"rows\.npy changed .* are of the old ones: words/part-00000.*remove"
    ):
        vs.narrate(tmp_path / "out", path, **OPTIONS)
    assert len(list((tmp_path / "out" / "words").glob("part-*"))) == 2 and not is_complete(tmp_path / "out")


def test_a_table_with_fewer_rows_amid_a_run_is_refused(vs, rows, table, tmp_path, monkeypatch):
    """As another program replaces it, between two readings of one run."""
    vs.narrate(tmp_path / "out", table, **OPTIONS)
    for number in (2, 6):
        (tmp_path / "out" / "words" / f"part-0000{number}.parquet").unlink()
    after_shard(monkeypatch, 1, lambda: write(table, rows[:100]))
    with pytest.raises(UserError, match="changed while the run went on, and the 7 shards"):
        vs.narrate(tmp_path / "out", table, **OPTIONS)


@pytest.mark.parametrize("has_new_time", [True, False])
def test_rows_that_change_before_the_texts_are_refused(speaking, rows, tmp_path, monkeypatch, has_new_time):
    path, other = npy(tmp_path, rows), npy(tmp_path, rows[::-1], "other.npy")
    before = path.stat()

    def change():
        overwrite(path, other.read_bytes())
        if not has_new_time:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    after_shard(monkeypatch, 8, change)
    with pytest.raises(UserError, match="and the 8 shards in .* are of the old ones"):
        speaking.narrate(tmp_path / "out", path, task="describe", prose_for=5, effort="plain", **OPTIONS)
    assert not is_complete(tmp_path / "out")


def test_rows_that_change_after_the_last_shard_leave_the_run_unfinished(vs, rows, tmp_path, monkeypatch):
    path = npy(tmp_path, rows)
    after_shard(monkeypatch, 8, lambda: overwrite(path, path.read_bytes()))
    with pytest.raises(UserError, match="changed while the run went on"):
        vs.narrate(tmp_path / "out", path, **OPTIONS)
    assert not is_complete(tmp_path / "out")


@pytest.mark.parametrize("where", ["elsewhere", "at the beginning", "between the samples"])
def test_other_rows_of_the_same_name_size_and_time_are_refused(vs, rows, tmp_path, monkeypatch, where):
    if where == "between the samples":
        monkeypatch.setattr("vecspeak.bulk.sources._SAMPLE", 256)
    path = npy(tmp_path, rows)
    vs.narrate(tmp_path / "out", path, **OPTIONS)
    before, stat = content(tmp_path / "out"), path.stat()
    if where == "elsewhere":
        (tmp_path / "new").mkdir()
        path = shutil.copy2(path, tmp_path / "new" / path.name)
    else:
        changed = rows.copy()
        changed[0 if where == "at the beginning" else 200] *= 2
        np.save(path, changed)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    why = "the rows of words/part-00003.parquet are not" if where == "between the samples" else "other inputs"
    with pytest.raises(UserError, match=why):
        vs.narrate(tmp_path / "out", path, **OPTIONS)
    assert content(tmp_path / "out") == before


def test_a_shard_under_the_name_of_another_is_written_again(vs, table, tmp_path):
    out = tmp_path / "out"
    vs.narrate(out, table, **OPTIONS)
    whole = content(out)
    shutil.copy(out / "words" / "part-00001.parquet", out / "words" / "part-00000.parquet")
    assert vs.narrate(out, table, **OPTIONS).resumed == 7
    assert content(out) == whole


def test_ctrl_c_says_that_the_same_command_goes_on_and_it_does(vs, table, tmp_path, monkeypatch, capsys):
    vs.narrate(tmp_path / "whole", table, **OPTIONS)

    def stop():
        raise KeyboardInterrupt

    after_shard(monkeypatch, 3, stop)
    with pytest.raises(KeyboardInterrupt):
        vs.narrate(tmp_path / "out", table, **OPTIONS)
    assert f"what is in {tmp_path / 'out'} is kept; the same command goes on\n" in capsys.readouterr().err
    assert vs.narrate(tmp_path / "out", table, **OPTIONS).resumed >= 3
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_stop_before_the_manifest_leaves_a_folder_that_is_gone_on_with(vs, table, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run._BulkRun, "_write_manifest", stopped)
        with pytest.raises(KeyboardInterrupt):
            vs.narrate(tmp_path / "out", table, **OPTIONS)
    assert vs.narrate(tmp_path / "out", table, **OPTIONS).written == 500
