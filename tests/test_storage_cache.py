"""Cache: what was put comes back, whoever is killed and whatever a disk does to the file."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from vecspeak.errors import UserError
from vecspeak.storage import Cache, digest, lock

VALUES = {
    "text": "naïve 日本\n\u2028",
    "pair": [0.1, 3],
    "none": None,
    "bytes": b"\0\xff",
    "object": {"a": [1, {"b": True}]},
}


def test_values_of_each_kind_come_back(tmp_path):
    with Cache(tmp_path / "c") as cache:
        cache.put(VALUES)
        cache.put({"array": np.arange(6, dtype=np.float32).reshape(2, 3), "row": np.float32([0.1])})
    with Cache(tmp_path / "c") as cache:
        assert {key: cache.get(key) for key in VALUES} == VALUES
        np.testing.assert_array_equal(cache.get("array"), [[0, 1, 2], [3, 4, 5]])
        assert cache.get("row").dtype == np.float32 and cache.get("row").tolist() == [np.float32(0.1)]
    assert os.listdir(tmp_path) == ["c"]


@pytest.mark.parametrize("path", ["c", None])
def test_it_is_a_mapping_that_forgets_on_demand(tmp_path, path):
    with Cache(path and tmp_path / path) as cache:
        assert cache.get("a") is None and cache.get("a", 7) == 7 and len(cache) == 0 and "a" not in cache
        cache.put({"b": 1, "a": 2})
        cache.put({"b": 3})
        assert "b" in cache and dict(cache.items()) == {"a": 2, "b": 3}
        cache.remove(["b", "unknown"])
        assert cache.get_many(["a", "b"]) == {"a": 2}


def test_thousands_of_keys_are_read_at_once(tmp_path):
    values = {digest([i]): i for i in range(2500)}
    with Cache(tmp_path / "c") as cache:
        cache.put(values)
        assert cache.get_many([*values, "unknown"]) == values


def test_nothing_is_written_before_something_is_put(tmp_path):
    with Cache(tmp_path / "c") as cache:
        assert cache.get_many(["a"]) == {} and list(cache.items()) == []
        cache.put({})
    assert os.listdir(tmp_path) == []


def spoil_header(path):
    path.write_bytes(b"garbage" + path.read_bytes()[7:])


def spoil_page(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * 4096 + whole[8192:])


def cut(path):
    path.write_bytes(path.read_bytes()[:5000])


def other_schema(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")


@pytest.mark.parametrize("spoil", [spoil_header, spoil_page, cut, other_schema])
def test_a_corrupt_file_is_set_aside_with_a_line(tmp_path, spoil, caplog):
    values = {f"{i}": "x" * 100 for i in range(500)}
    with Cache(tmp_path / "c") as cache:
        cache.put(values)
    spoil(tmp_path / "c")
    spoiled = (tmp_path / "c").read_bytes()
    with Cache(tmp_path / "c") as cache:
        assert cache.get_many(values) == {}
        cache.put({"new": 1})
        assert cache.get("new") == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert "cannot be read" in line and "c.corrupt" in line
    assert (tmp_path / "c.corrupt").read_bytes() == spoiled
    assert sorted(os.listdir(tmp_path)) == ["c", "c.corrupt"]


def test_a_value_that_a_disk_spoiled_counts_as_missing(tmp_path):
    with Cache(tmp_path / "c") as cache:
        cache.put({"a": "x" * 50, "b": "y" * 50})
    whole = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(whole.replace(b"x" * 50, b"x" * 49 + b"z"))
    with Cache(tmp_path / "c") as cache:
        assert cache.get_many(["a", "b"]) == {"b": "y" * 50}


_WRITES = """
import sys
from vecspeak.storage import Cache
with Cache(sys.argv[1]) as cache:
    for number in range(10**6):
        cache.put({f"{number}": "x" * 3000})
        print(number, flush=True)
"""


@pytest.mark.parametrize("seconds", [0, 0.01, 0.05, 0.2])
def test_a_killed_process_loses_no_value_that_was_put(tmp_path, seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITES, tmp_path / "c"], env=os.environ, stdout=subprocess.PIPE
    )
    first = process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    written = [first, *process.stdout]
    process.wait()
    with Cache(tmp_path / "c") as cache:
        assert {key for key, _ in cache.items()} >= {line.decode().strip() for line in written}
        cache.put({"more": 1})
    assert os.listdir(tmp_path) == ["c"]


def _put(path, name):
    for number in range(50):
        with Cache(path) as cache:
            cache.put({f"{name}{number}": "x" * 5000})


def test_two_processes_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_put, args=(tmp_path / "c", name)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with Cache(tmp_path / "c") as cache:
        assert {key for key, _ in cache.items()} == {f"{name}{i}" for name in "abc" for i in range(50)}


def test_a_place_that_cannot_be_written_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="cannot use the cache .*nowhere"):
        Cache(tmp_path / "nowhere" / "c").put({"a": 1})


def test_digests_are_the_published_ones_and_lists_keep_their_parts_apart():
    assert digest("abc") == digest(b"a", "bc") == digest(np.frombuffer(b"abc", dtype=np.uint8))
    assert digest("abc").startswith("ba7816bf8f01cfea")
    assert digest(["ab", "c"]) != digest(["a", "bc"])
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_who_is_not_to_wait_is_told_who_holds_the_lock(tmp_path):
    with lock(tmp_path / "work"):
        with pytest.raises(
            UserError, match=rf"a run is in work \(process {os.getpid()} on .*\); wait for its end"
        ):
            with lock(tmp_path / "work", busy="a run is in work"):
                raise AssertionError("the block must not start")
    with lock(tmp_path / "work", busy="a run is in work"):
        pass
