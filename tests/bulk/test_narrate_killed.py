"""A run that was killed goes on where it stopped, and ends as one that never was; another input is refused."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from narrated import content, write

from vecspeak.errors import UserError

CHILD = """
import os, signal, sys
from vecspeak.api import VecSpeak
from vecspeak.bulk import shards
import fakes, test_narrate_killed as here
bundle, table, out, at, moment = sys.argv[1:]
write = shards.write_shard
seen = []
def counted(place, found, shard):
    seen.append(shard)
    if len(seen) == int(at) and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    if len(seen) == int(at) and moment == "amid":
        put = place.write
        class Cut:
            path, files, is_local = place.path, place.files, place.is_local
            def write(self, give):
                def half(file):
                    give(file)
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                put(half)
        return write(Cut(), found, shard)
    made = write(place, found, shard)
    if len(seen) == int(at) and moment == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return made
from vecspeak.bulk import jobs
jobs.write_shard = counted
VecSpeak.load(bundle, encoder=fakes.WordEncoder()).narrate(out, table, id="sku", rows_per_shard=64, threads=1)
"""


def killed(vs, table, out, at, moment):
    """Run in a process of its own, which is killed at its shard of that number."""
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests / "bulk"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(vs.folder), str(table), str(out), str(at), moment],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]


@pytest.mark.parametrize("at, moment, there", [(1, "before", 0), (3, "amid", 2), (8, "after", 8)])
def test_a_killed_run_ends_byte_for_byte_as_one_that_never_was(vs, table, tmp_path, at, moment, there):
    whole, out = tmp_path / "whole", tmp_path / "out"
    vs.narrate(whole, table, id="sku", rows_per_shard=64)
    killed(vs, table, out, at, moment)
    before = {path.name: path.stat().st_mtime_ns for path in (out / "words").glob("*.parquet")}
    assert b'"complete": false' in (out / "manifest.json").read_bytes() and len(before) == there
    found = vs.narrate(out, table, id="sku", rows_per_shard=64)
    assert (found.resumed, found.shards) == (there, 8)
    assert content(out) == content(whole)
    after = {path.name: path.stat().st_mtime_ns for path in (out / "words").glob("*.parquet")}
    assert before.items() <= after.items(), "what was there was written again"


def test_a_run_that_is_complete_writes_nothing(vs, table, tmp_path):
    vs.narrate(tmp_path / "out", table, id="sku", rows_per_shard=64)
    before = content(tmp_path / "out")
    assert vs.narrate(tmp_path / "out", table, id="sku", rows_per_shard=64).resumed == 8
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("change, why", [
    ("rows", "other inputs"), ("limit", "other options"), ("column", "other inputs"), ("bundle", "other bundle"),
])  # fmt: skip
def test_another_input_bundle_or_option_is_refused_and_what_is_there_stays(
    vs, rows, space, table, tmp_path, change, why
):
    options = {"id": "sku", "rows_per_shard": 64}
    vs.narrate(tmp_path / "out", table, **options)
    before = content(tmp_path / "out")
    if change == "rows":
        time.sleep(0.01)
        write(table, rows[::-1])
    elif change == "bundle":
        vs.fit(space, holdout=0.2, seed=1)
    else:
        options |= {"limit": {"limit": 5}, "column": {"id": ""}}[change]
    with pytest.raises(UserError, match=why):
        vs.narrate(tmp_path / "out", table, **options)
    assert content(tmp_path / "out") == before


def test_a_file_that_was_cut_is_written_again(vs, table, tmp_path):
    """As an object store may leave one: its footer, which comes last, is not there."""
    out = tmp_path / "out"
    vs.narrate(out, table, id="sku", rows_per_shard=64)
    whole = content(out)
    cut = out / "words" / "part-00002.parquet"
    cut.write_bytes(cut.read_bytes()[:-40])
    assert vs.narrate(out, table, id="sku", rows_per_shard=64).resumed == 7
    assert content(out) == whole
