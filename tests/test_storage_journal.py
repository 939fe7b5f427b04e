"""Journal: what is killed loses half a line at most, and nobody's lines are mixed."""

import json
import multiprocessing

import pytest

from vecspeak.storage import Journal

ROWS = [["a", "one"], ["b", "two\nlines\u2028and a third"], ["c", "naïve 日本"], {"d": None}]


def test_what_was_appended_is_read_in_order(tmp_path):
    journal = Journal(tmp_path / "kept.jsonl")
    assert list(journal.rows()) == []
    journal.append(ROWS[:1])
    journal.append(ROWS[1:])
    assert list(Journal(tmp_path / "kept.jsonl").rows()) == ROWS


def test_a_file_that_is_cut_at_any_byte_loses_the_last_line_alone(tmp_path):
    path = tmp_path / "kept.jsonl"
    Journal(path).append(ROWS)
    whole = path.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)
        assert list(Journal(path).rows()) == ROWS[:kept]
        Journal(path).append([["new", cut]])
        assert list(Journal(path).rows()) == [*ROWS[:kept], ["new", cut]]


@pytest.mark.parametrize("half", [b"", b'["x", "' + b"y" * 200_000])
def test_a_half_line_longer_than_a_block_is_dropped_too(tmp_path, half):
    path = tmp_path / "kept.jsonl"
    path.write_bytes(b'["a", 1]\n' + half)
    Journal(path).append([["b", 2]])
    assert list(Journal(path).rows()) == [["a", 1], ["b", 2]]


def test_a_line_that_is_no_json_is_passed_over(tmp_path):
    path = tmp_path / "kept.jsonl"
    path.write_bytes(b'garbage\n["a", 1]\n\xff\xfe\n' + b"[" * 200_000 + b"\n")
    assert list(Journal(path).rows()) == [["a", 1]]


def _append(path, name):
    journal = Journal(path)
    for number in range(50):
        journal.append([[name, number, "x" * 5000]])


def test_two_processes_lose_nothing(tmp_path):
    path = tmp_path / "kept.jsonl"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append, args=(path, name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    rows = list(Journal(path).rows())
    assert [number for name, number, _ in rows if name == "a"] == list(range(50))
    assert [number for name, number, _ in rows if name == "b"] == list(range(50))
    assert all(json.loads(line) for line in path.read_text().splitlines())
