"""README and docs: every command on a page is one that the program takes, as far as can be told without a bundle."""

import re
import shlex
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import click
import pytest

from vecspeak.bulk.jobs import READ
from vecspeak.cli import cli
from vecspeak.cli.teach import teacher_config
from vecspeak.errors import UserError
from vecspeak.points.parser import parse
from vecspeak.tasks.task_set import load_task_set, split_words
from vecspeak.teachers.base import TeacherConfig
from vecspeak.teachers.registry import make_teacher
from vecspeak.training.recipe import load_recipe

ROOT = Path(__file__).parents[2]
PAGES = {
    path.name: path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
}


def commands(page):
    """Words of each command: whole lines of the page's blocks."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("vecspeak ")]


def named(page):
    """Words of each command in the text between backquotes; it may leave out what goes without saying."""
    text = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    lines = re.findall(r"`(vecspeak [^`]*)`", text)
    return [
        shlex.split(re.sub(r"[\[\]]", "", line))[1:] for line in lines
    ]  # [...] marks what may be left out


COMMANDS = {name: commands(page) for name, page in sorted(PAGES.items())}
ALL = [words for found in COMMANDS.values() for words in found]
NAMED = [words for page in PAGES.values() for words in named(page)]


def parsed(words):
    """The command's name and what its own parser makes of the words."""
    command, rest = cli, ["b" if word == "..." else word for word in words]
    name = ""
    while isinstance(command, click.Group) and rest:
        name, *rest = rest
        command = command.get_command(click.Context(command), name)
        assert command is not None, f"no command {name}"
    return name, {} if isinstance(command, click.Group) else command.make_context(name, rest).params


def check(words):
    """Raise for what a run would refuse before it opens a bundle."""
    name, given = parsed(words)
    if name == "narrate":
        plain = load_task_set("items").tasks
        assert given["task"] in (*READ, "describe", *plain)
    elif "task_set" in given or "words" in given:
        plain = "movies" if name in ("list", "show") else "items"
        chosen = given.get("task_set") or given.get("named") or plain
        task_set = load_task_set(chosen, split_words(given.get("words") or ()))
        told = given.get("task") or ()
        asked = [*([told] if isinstance(told, str) else told), *given.get("names", ()), given.get("name")]
        for task in filter(None, asked if name != "fit" else ()):
            assert task == "all" or task_set.task(task)
    for place in given.get("at") or () if name == "ask" else [given["at"]] if given.get("at") else ():
        parse(re.sub(r"^\w+=", "", place))
    if name == "teach":
        names = {field.name for field in fields(TeacherConfig)} - {"key", "limits"} | {"key_env"}
        names |= {"max_tokens_total", "max_cost", "price_in", "price_out"}
        config = teacher_config(**{key: value for key, value in given.items() if key in names})
        make_teacher(given["teacher"], config)
    if name == "train":
        load_recipe(ROOT / given["recipe"])


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("KEY", "a key")


def test_the_page_has_commands():
    assert {words[0] for words in COMMANDS["tasks.md"]} >= {
        "tasks",
        "ask",
        "teach",
        "train",
        "profile",
        "fit",
    }
    assert {words[0] for words in COMMANDS["README.md"]} >= {
        "fit",
        "ask",
        "trace",
        "atlas",
        "describe",
        "diff",
        "drift",
    }


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_links_to_is_there(name):
    """Files, and headings of Markdown pages."""
    folder = ROOT if name == "README.md" else ROOT / "docs"
    links = re.findall(r"\]\(([^)]+)\)|<img src=\"([^\"]+)\"", PAGES[name])
    for link in ("".join(pair) for pair in links):
        file, _, heading = link.partition("#")
        if not link.startswith("http"):
            assert (folder / file).exists(), link
            assert not heading or heading in headings(folder / file), link


def headings(page):
    """Names that GitHub gives to the headings of a page."""
    lines = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("words", ALL, ids=shlex.join)
def test_a_command_of_the_page_is_taken(words):
    check(words)


@pytest.mark.parametrize("words", NAMED, ids=shlex.join)
def test_a_command_that_the_text_names_is_one(words):
    with suppress(click.MissingParameter):
        assert parsed(words)


def test_targets_of_one_folder_are_in_the_same_words():
    made = {}
    for name, given in (parsed(words) for words in COMMANDS["tasks.md"] if words[0] == "teach"):
        assert name == "teach"
        told = (given["task_set"], split_words(given["words"]), given["split"])
        assert made.setdefault(given["out"], told) == told


@pytest.mark.parametrize(
    "line",
    [
        "teach b --teacher http://127.0.0.1:9/v1 --model m --max-cost 5 --out t",
        "teach b --teacher facts --tasks items --word coat=jacket --out t",
        "teach b --teacher facts --no-such-option --out t",
        "ask b --task no_such_task --at 'x=\"Heat\"'",
        "ask b --task pitch --at 'x=user(u4)'",
        "train recipes/no-such.toml --work w --out o",
    ],
)
def test_a_command_that_would_fail_is_found(line):
    with pytest.raises((UserError, click.UsageError)):
        check(shlex.split(line))
