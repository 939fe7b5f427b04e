"""Kept replies: nothing is lost by a kill, nothing foreign is touched."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from vecspeak.errors import UserError
from vecspeak.raters.llm import JudgeReplies, content_key

ASKED = [{"role": "user", "content": "Is it fluent?"}]


def test_the_key_is_of_the_model_and_of_all_that_it_is_told():
    keys = {
        content_key("a", ASKED),
        content_key("b", ASKED),
        content_key("a", [{"role": "user", "content": "Is it fluent? "}]),
        content_key("a", [*ASKED, {"role": "assistant", "content": "Yes."}]),
    }
    assert len(keys) == 4
    assert content_key("a", tuple(ASKED)) == content_key("a", ASKED)


def test_replies_outlive_the_process(tmp_path):
    path = tmp_path / "replies.jsonl"
    JudgeReplies(path).add("k", "4 – gut\n\ud800")
    assert JudgeReplies(path).get("k") == "4 – gut\n\ud800"
    assert JudgeReplies(path).get("other") is None


def test_without_a_path_they_are_kept_in_memory():
    kept = JudgeReplies()
    kept.add("k", "4")
    assert (kept.get("k"), kept.count) == ("4", 1)


@pytest.mark.parametrize("cut", range(1, 25))
def test_a_half_written_last_line_is_dropped_before_more_is_added(tmp_path, cut):
    path = tmp_path / "replies.jsonl"
    for key in ("first", "second"):
        JudgeReplies(path).add(key, "5")
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    kept = JudgeReplies(path)
    assert (kept.get("first"), kept.get("second")) == ("5", None)
    kept.add("second", "5")
    assert path.read_bytes() == whole


def test_a_file_with_nothing_but_a_half_line_is_ours(tmp_path):
    path = tmp_path / "replies.jsonl"
    path.write_bytes(b'{"key": "fir')
    JudgeReplies(path).add("first", "5")
    assert JudgeReplies(path).get("first") == "5"


def test_a_broken_line_in_the_middle_costs_that_line_alone(tmp_path):
    path = tmp_path / "replies.jsonl"
    JudgeReplies(path).add("first", "5")
    with path.open("a") as file:
        file.write("{oops\n")
    JudgeReplies(path).add("second", "4")
    assert [JudgeReplies(path).get(key) for key in ("first", "second")] == ["5", "4"]


@pytest.mark.parametrize("content", ['{"bundle": "things"}\n', "notes", "[1, 2]\n3\n"])
def test_another_file_is_refused_and_not_touched(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(UserError, match="holds no replies"):
        JudgeReplies(path)
    assert path.read_text() == content


def test_a_folder_that_is_not_there_is_said_at_once(tmp_path):
    with pytest.raises(UserError, match="folder does not exist"):
        JudgeReplies(tmp_path / "none" / "replies.jsonl")


def test_threads_write_whole_lines(tmp_path):
    path = tmp_path / "replies.jsonl"
    kept = JudgeReplies(path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: kept.add(f"k{i}", "x" * 3000), range(100)))
    assert JudgeReplies(path).count == 100
