"""Manifest: read back as written, and every broken one is one clear error."""

import dataclasses
import json
import subprocess
import sys

import pytest

from vecspeak.bundles.manifest import (
    ADAPTER,
    FORMAT_VERSION,
    LORA,
    LORA_CONFIG,
    MANIFEST,
    Manifest,
    ReaderCard,
    check_name,
    read_manifest,
)
from vecspeak.errors import UserError

CARD = ReaderCard(
    base_model="base",
    base_sha256="",
    encoder="words",
    encoder_sha256="",
    adapter={"vector_dim": 4},
    chat={"before": "", "after": "", "stop": ""},
    scores={"swap_gap": {"value": 1.2, "low": 1.1, "high": 1.3}},
)
WHOLE = Manifest(
    name="toy",
    reader=CARD,
    files={name: {"sha256": "0", "size": 1} for name in (ADAPTER, LORA, LORA_CONFIG)},
    spaces=("movies", "books"),
)


@pytest.fixture
def write(tmp_path):
    def put(content):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / MANIFEST).write_text(text)
        return tmp_path

    return put


def test_a_manifest_is_read_back_as_it_was_written(write):
    assert read_manifest(write(WHOLE.to_dict())) == WHOLE


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path):
    with pytest.raises(
        UserError, match=r"is no bundle: it has no manifest.json; make one with `VecSpeak.fit\("
    ):
        read_manifest(tmp_path)


def test_a_newer_format_says_both_versions_and_how_to_upgrade(write):
    newer = {**WHOLE.to_dict(), "format_version": FORMAT_VERSION + 1}
    with pytest.raises(UserError, match=r"has format 3; this vecspeak reads up to 2; pip install --upgrade"):
        read_manifest(write(newer))


@pytest.mark.parametrize("content", ["{half", "", "\x00\x01", '{"format_version": 1'])
def test_garbage_is_no_json(write, content):
    with pytest.raises(UserError, match=r"manifest.json is not valid JSON"):
        read_manifest(write(content))


@pytest.mark.parametrize(
    "content", [[], {}, "null", {"format_version": "1"}, {"format_version": 0}, {"format_version": -3}]
)
def test_other_json_is_no_manifest(write, content):
    with pytest.raises(UserError, match="manifest.json is no manifest of a bundle"):
        read_manifest(write(content))


@pytest.mark.parametrize(
    "change",
    [
        {"reader": None},
        {"reader": {"base_model": "x"}},
        {"reader": []},
        {"files": None},
        {"files": {"reader/a": 3}},
        {"files": {"reader/a": {"size": 1}}},
        {"spaces": None},
        {"spaces": [3]},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_manifest_with_a_wrong_part_is_not_complete(write, change):
    with pytest.raises(UserError, match="manifest.json is not complete"):
        read_manifest(write({**WHOLE.to_dict(), **change}))


def test_a_manifest_without_its_files_is_not_complete(write):
    values = WHOLE.to_dict()
    del values["files"]
    with pytest.raises(UserError, match="manifest.json is not complete: .*missing required field `files`"):
        read_manifest(write(values))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"spaces": ["movies", 3]}, r"Expected `str`, got `int` - at `\$\.spaces\[1\]`"),
        ({"reader": {**WHOLE.to_dict()["reader"], "encoder": 3}}, r"got `int` - at `\$\.reader\.encoder`"),
        (
            {"reader": {**WHOLE.to_dict()["reader"], "model": 3}},
            r"unknown field `model`, .* - at `\$\.reader`",
        ),
        ({"files": {"reader/a": {"sha256": "0", "size": "1"}}}, r"Expected `int`, got `str` - at `\$\.files"),
    ],
    ids=str,
)
def test_the_message_names_the_place_of_the_mistake(write, change, said):
    with pytest.raises(UserError, match=f"manifest.json is not complete: .*{said}"):
        read_manifest(write({**WHOLE.to_dict(), **change}))


@pytest.mark.parametrize("name", ["a/b", "../a", ".hidden", "", "a b", "a" * 65, "-x"])
def test_a_name_that_is_no_folder_is_refused(write, name):
    with pytest.raises(UserError, match="is no name for a space: letters, digits, dots and dashes"):
        check_name(name)
    with pytest.raises(UserError, match="is no name for a space"):
        read_manifest(write({**WHOLE.to_dict(), "spaces": [name]}))


def test_ordinary_names_are_kept():
    assert [check_name(name) for name in ("movies", "movies.behavioral", "a-1_B")] == [
        "movies",
        "movies.behavioral",
        "a-1_B",
    ]


def test_reading_a_manifest_loads_no_torch():
    code = "import sys, vecspeak.bundles.manifest; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_task_set_of_a_space_is_the_one_that_the_reader_learned_there():
    targets = {
        "task_sets": {"movies": "movies", "books": "own/books.toml"},
        "words": {"books": {"item": "tome"}},
    }
    card = dataclasses.replace(
        CARD, recipe={"targets": {"space": "movies", "task_set": "movies"}}, data={"targets": targets}
    )
    whole = dataclasses.replace(WHOLE, reader=card)
    taught = [one for one in ("movies", "books", "jackets") if whole.learned_tasks_of(one)]
    assert taught == ["movies", "books"]
    assert whole.task_set("movies") == ("movies", {})
    assert whole.task_set("books") == ("own/books.toml", {"item": "tome"})
    assert whole.task_set("jackets") == ("items", {}) == WHOLE.task_set("movies")
