"""Task sets, recipes and lists of ids are plain files of a bounded size."""

import os
from pathlib import Path

import pytest

from vecspeak.bounds import allow_memory
from vecspeak.errors import UserError
from vecspeak.explore.regions import _ids
from vecspeak.points.judgements import read_names
from vecspeak.storage import read_json
from vecspeak.tasks.task_set import load_task_set
from vecspeak.training.recipe import load_recipe

SET = 'name = "mine"\nextends = "{}"\n'


def write(path, text):
    path.write_text(text)
    return str(path)


@pytest.fixture
def odd(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large.toml").write_text("#" * (1 << 20) + "\n" + SET.format("items"))
    return tmp_path


@pytest.mark.parametrize(
    "below, words",
    [
        ("/dev/zero", "is a device, not a file"),
        ("pipe", "is a pipe, not a file"),
        ("folder", "is a folder, not a file"),
        ("large.toml", "has more than the 1.05 MB that a file of settings may have"),
        ("mine.toml", "extend each other"),
        ("none.toml", "no task set"),
    ],
)
def test_a_set_extends_a_plain_file_or_a_known_set(odd, below, words):
    with pytest.raises(UserError, match=words):
        load_task_set(write(odd / "mine.toml", SET.format(below)))
    assert load_task_set(write(odd / "mine.toml", SET.format("items"))).tasks


def test_sets_that_extend_each_other_in_a_long_row_are_refused(tmp_path):
    for number in range(40):
        write(tmp_path / f"{number}.toml", SET.format(f"{number + 1}.toml"))
    with pytest.raises(UserError, match="extends 17 task sets"):
        load_task_set(str(tmp_path / "0.toml"))


@pytest.mark.parametrize("nested", ["words.{} = 1", "words = {}"])
def test_tables_within_tables_are_bounded(tmp_path, nested):
    deep = ".".join("a" * 70) if "." in nested else "{a = " * 70 + "1" + "}" * 70
    with pytest.raises(UserError, match="64 levels deep|is not TOML"):
        load_task_set(write(tmp_path / "a.toml", 'name = "a"\n' + nested.format(deep)))
    with pytest.raises(UserError, match="64 levels deep|is not TOML"):
        load_recipe(Path(write(tmp_path / "a.toml", 'name = "a"\n' + nested.format(deep))))


@pytest.mark.parametrize("read", [load_recipe, read_names, read_json, _ids])
def test_recipes_lists_and_json_are_plain_files(odd, read):
    for path, kind in ((odd / "pipe", "a pipe"), (Path("/dev/zero"), "a device")):
        with pytest.raises(UserError, match=f"is {kind}, not a file"):
            read(path)
    with allow_memory("1MB"), pytest.raises(UserError, match="are allowed|settings may have"):
        read(odd / "large.toml")


def test_json_that_is_deep_is_refused_with_its_line(tmp_path):
    for read in (read_json, _ids):
        with pytest.raises(UserError, match=r"line 2 of .*a.json has brackets more than 64 levels deep"):
            read(Path(write(tmp_path / "a.json", "[\n" + "[" * 500 + "]" * 501)))
