"""Bounds: what a file may claim of memory, levels of brackets, and plain files."""

import json
import os
import random

import pytest

from vecspeak import bounds
from vecspeak.bounds import (
    LEVELS,
    MemoryGauge,
    allow_memory,
    allowed_memory,
    check_memory,
    check_nesting,
    check_plain,
    deep_line,
    parse_bytes,
    parse_json,
    read_small,
    shown_bytes,
)
from vecspeak.errors import UserError


def depth_of(line):
    """Levels of one line of JSON, letter by letter."""
    depth = deepest = 0
    in_string = escaped = False
    for letter in line:
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == '"':
            in_string = not in_string
        elif not in_string and letter in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif not in_string and letter in "]}":
            depth -= 1
    return deepest


def nested(draw, depth):
    if depth == 0:
        return draw.choice(["[[", 'a"]', "\\", 1, '\\"[', "", "é{"])
    inner = nested(draw, depth - 1)
    return [inner, draw.choice(["]]", 2])] if draw.random() < 0.5 else {draw.choice(["{", "k"]): inner}


@pytest.mark.parametrize("block", [7, 64, 4096])
@pytest.mark.parametrize("seed", range(20))
def test_levels_of_lines_are_those_of_a_count_letter_by_letter(seed, block, monkeypatch):
    monkeypatch.setattr(bounds, "_BLOCK", block)
    draw = random.Random(seed)
    lines = [json.dumps(nested(draw, draw.choice([0, 1, 5, 63, 64, 65, 70]))) for _ in range(12)]
    deep = [number for number, line in enumerate(lines, 1) if depth_of(line) > LEVELS]
    assert deep_line("\n".join(lines).encode(), by_line=True) == (deep[0] if deep else 0)


def test_levels_of_a_whole_document_go_on_over_its_lines(monkeypatch):
    monkeypatch.setattr(bounds, "_BLOCK", 16)
    deep = b"[\n" * 65 + b"]\n" * 65
    assert deep_line(deep, by_line=False) == 65
    assert deep_line(deep, by_line=True) == 0
    assert deep_line(b"[\n" * 64 + b"]\n" * 64, by_line=False) == 0


def test_a_line_that_never_closes_its_string_hides_nothing_behind_it():
    assert deep_line(b'{"a": "\n' + b"[" * 65, by_line=True) == 2


def test_json_is_refused_before_it_is_parsed_and_names_the_line():
    for data in ("[" * 200_000 + "]" * 200_000, b'\n{"a":' * 65 + b"1" + b"}" * 65):
        with pytest.raises(UserError, match=r"line \d+ of the reply has brackets more than 64 levels deep"):
            parse_json(data, "the reply")
    assert parse_json('{"a": "' + "[" * 500 + '"}', "the reply") == {"a": "[" * 500}


def test_nesting_of_a_parsed_value_is_bounded():
    value = 1
    for _ in range(LEVELS):
        value = {"a": [2], "b": value}
    with pytest.raises(UserError, match="64 levels"):
        check_nesting({"c": value}, "the set")
    check_nesting({"a": [[1], {"b": 2}]}, "the set")


@pytest.mark.parametrize(
    "given, number",
    [("16GB", 16 * 10**9), ("800 mb", 8 * 10**8), (2_000_000, 2_000_000), ("1.5GiB", 15 * 10**8)],
)
def test_sizes_are_read_as_people_write_them(given, number):
    assert parse_bytes(given) == number


@pytest.mark.parametrize("given", ["", "much", "-1GB", "1", "GB", True, "9" * 400, "1e9"])
def test_what_is_no_size_is_refused_in_words(given):
    with pytest.raises(UserError, match="is a size of 1 MB or more"):
        parse_bytes(given)


def test_memory_that_is_allowed_comes_from_the_call_the_environment_or_the_machine(monkeypatch):
    monkeypatch.delenv("VECSPEAK_MEMORY", raising=False)
    assert 1 << 28 < allowed_memory() < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    monkeypatch.setenv("VECSPEAK_MEMORY", "3GB")
    assert allowed_memory() == 3 * 10**9
    with allow_memory("5GB"), allow_memory(None):
        assert allowed_memory() == 5 * 10**9
    assert allowed_memory() == 3 * 10**9
    monkeypatch.setenv("VECSPEAK_MEMORY", "lots")
    with pytest.raises(UserError, match="VECSPEAK_MEMORY is a size"):
        allowed_memory()


def test_a_small_file_may_take_a_gigabyte_and_a_larger_one_a_hundred_times_its_size(tmp_path, monkeypatch):
    monkeypatch.delenv("VECSPEAK_MEMORY", raising=False)
    monkeypatch.setattr(bounds, "_machine_memory", lambda: 64 << 30)
    with (tmp_path / "t.parquet").open("wb") as file:
        file.truncate(199_000)
    assert allowed_memory(tmp_path / "t.parquet") == 1 << 30
    os.truncate(tmp_path / "t.parquet", 20_000_000)
    assert allowed_memory(tmp_path / "t.parquet") == 2_000_000_000
    os.truncate(tmp_path / "t.parquet", 20 << 30)
    assert allowed_memory(tmp_path / "t.parquet") == 32 << 30
    with allow_memory("50GB"):
        assert allowed_memory(tmp_path / "t.parquet") == 50 * 10**9


def test_too_large_a_claim_is_told_with_what_is_allowed_and_what_to_type():
    with allow_memory("2GB"):
        check_memory("t.parquet", 2e9)
        with pytest.raises(UserError) as caught:
            check_memory("t.parquet", 20.9e9)
        gauge = MemoryGauge("t.csv.gz")
        gauge.add(2 * 10**9)
        with pytest.raises(UserError, match=r"t.csv.gz holds more than the 2 GB that are allowed"):
            gauge.add(1)
    assert "t.parquet holds 20.9 GB once it is unpacked, and 2 GB are allowed" in caught.value.message
    assert "`memory='21GB'`, or set VECSPEAK_MEMORY=21GB" in caught.value.hint
    assert shown_bytes(12) == "12 bytes"


def test_settings_are_plain_files_of_a_megabyte(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path, "a folder"), (tmp_path / "pipe", "a pipe"), ("/dev/zero", "a device")):
        with pytest.raises(UserError, match=f"is {kind}, not a file"):
            read_small(path)
        with pytest.raises(UserError, match=kind):
            check_plain(path)
    (tmp_path / "large").write_bytes(b"x" * (1 << 20) + b"x")
    with pytest.raises(UserError, match="1.05 MB"):
        read_small(tmp_path / "large")
    (tmp_path / "fits").write_bytes(b"x" * (1 << 20))
    assert len(read_small(tmp_path / "fits")) == 1 << 20
