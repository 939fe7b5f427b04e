"""`vecspeak tasks`, and asking a task by its name."""

import json

import numpy as np
import pytest

from vecspeak.bundles import save_bundle
from vecspeak.cli import main
from vecspeak.fitting import fit_space
from vecspeak.prompts import vectors_of
from vecspeak.spaces import Space
from vecspeak.tasks.sets import load_task_set


@pytest.fixture
def runs(capsys):
    def run(*arguments):
        main([str(argument) for argument in arguments])
        return capsys.readouterr()

    return run


@pytest.fixture
def fails(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit):
            main([str(argument) for argument in arguments])
        line = capsys.readouterr().err.strip()
        assert "\n" not in line and line.startswith("vecspeak: ")
        return line

    return run


class SaysWhatItReads:
    """Answers with the question's words and how many vectors stand in it."""

    name = "says"

    def __init__(self, answer=""):
        self.answer = answer
        self.prompts = []

    def stream(self, prompt, sampling):
        self.prompts.append(prompt)
        yield self.answer or "".join(part if isinstance(part, str) else "@" for part in prompt)


@pytest.fixture
def asking(monkeypatch, runs, space, texts, encoder, source, tmp_path):
    """Ask a bundle with users; the engine and what is printed."""
    engine = SaysWhatItReads()
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((30, space.dim)).astype(np.float32)
    people = Space(name="things", ids=tuple(map(str, range(30))), labels=("p",) * 30, vectors=vectors)
    entry = fit_space(space, texts=texts, encoder=encoder, users=people, splits={"holdout": space.ids[:24]})
    save_bundle(tmp_path / "b", source=source, name="things", entries={"things": entry})
    monkeypatch.setattr("vecspeak.asking.open_engine", lambda bundle, name: engine)
    monkeypatch.setattr("vecspeak.engines.opening_note", lambda bundle, name: "")
    monkeypatch.setattr("vecspeak.asking.load_encoder", lambda name: encoder)

    def ask(*more):
        return runs("ask", tmp_path / "b", *more)

    ask.engine, ask.folder = engine, tmp_path / "b"
    return ask


def test_the_list_shows_25_tasks(runs):
    lines = runs("tasks", "list").out.splitlines()
    named = [line.split("  ")[0] for line in lines[: lines.index("")]]
    assert named == list(load_task_set("movies").tasks) and len(named) == 25
    assert "25 tasks in the set movies" in lines[-2]


def test_the_list_as_json_has_all_of_every_task(runs):
    found = json.loads(runs("tasks", "list", "items", "--word", "item=jacket", "--json").out)
    assert len(found) == 25 and found["similarities"]["slots"] == ["x", "y"]
    assert found["summary"]["prompts"][0] == "Summarize the jacket {x}."


@pytest.mark.parametrize("name", load_task_set("movies").tasks)
def test_all_of_a_task_is_shown(runs, name):
    task, shown = load_task_set("movies").task(name), runs("tasks", "show", name).out
    for text in (*task.prompts, *task.held_out, *task.facts, *task.score, task.teacher):
        assert f"  {text}\n" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nothing"), "no task 'nothing' in the set 'movies'"),
        (("list", "nothing"), "no task set 'nothing'"),
        (("list", "--word", "item"), "NAME=WORD"),
        (("show", "summary", "--tasks", "words"), "no task 'summary' in the set 'words'"),
    ],
)
def test_a_mistake_is_one_line(fails, arguments, message):
    assert message in fails("tasks", *arguments)


@pytest.mark.parametrize("name", load_task_set("movies").tasks)
def test_every_task_can_be_asked_of_an_item(asking, name):
    task = load_task_set("movies").task(name)
    more = [part for slot in task.slots for part in ("--at", f'{slot}="Thing {len(slot) + ord(slot) % 7}"')]
    shown = asking("--task", name, "--tasks", "movies", *more)
    assert shown.out.startswith(task.question.replace("{x}", "@").replace("{y}", "@"))
    assert ("is about a person" in shown.err) == (task.about == "person")


def test_the_neighbour_is_found_where_none_is_given(asking):
    shown = asking("--task", "common_with_neighbour", "--at", 'x="Thing 3"', "--json").out
    x, y = json.loads(shown)["trust"]
    assert y["slot"] == "y" and y["expression"] == f'id("{x["nearest"][0]["id"]}")'
    assert len(vectors_of(asking.engine.prompts[0])) == 2


def test_a_space_that_is_new_to_the_reader_is_asked_in_neutral_words(asking):
    asking("--task", "improve", "--at", '"Thing 3"')
    assert asking.engine.prompts[0][0].startswith("How could the item")


def test_words_of_ones_own_are_asked(asking):
    asking("--task", "summary", "--word", "item=jacket", "--at", 'x="Thing 3"')
    assert asking.engine.prompts[0][0] == "Summarize the jacket "


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--at", 'x="Thing 1"'), "neither a question nor a --task"),
        (("What?", "--task", "summary", "--at", 'x="Thing 1"'), "a question and a --task"),
        (("--task", "sumary", "--at", 'x="Thing 1"'), "no task 'sumary'"),
        (("--task", "similarities", "--at", 'x="Thing 1"'), "about 2 points, and y is not given"),
        (("--task", "summary", "--at", 'z="Thing 1"'), "about 1 points, and x is not given"),
        (("--task", "summary", "--at", 'x="Thing 1"', "--at", 'y="Thing 2"'), "names a slot"),
        (("--task", "summary", "--tasks", "none", "--at", 'x="Thing 1"'), "no task set 'none'"),
    ],
)
def test_a_mistake_in_asking_by_name_is_one_line(asking, fails, more, message):
    assert message in fails("ask", asking.folder, *more)


@pytest.mark.parametrize("point", ["user(3)", "mean(user(3), user(4))", 'user(3) + "Thing 1"'])
def test_what_ratings_do_not_tell_is_not_asked_of_a_person(asking, fails, point):
    assert "guess about a person" in fails("ask", asking.folder, "How old is {x}?", "--at", f"x={point}")
    assert asking("Describe {x}.", "--at", f"x={point}").out.startswith("Describe @.")


def test_an_item_may_be_old(asking):
    assert asking("How old is {x}?", "--at", 'x="Thing 3"').out.startswith("How old is @?")


def test_an_answer_that_states_it_of_a_person_is_marked(asking):
    asking.engine.answer = "A young viewer that likes ships."
    told = asking("Describe {x}.", "--at", "x=user(3)").out
    assert "PRIVACY: this states age of a person" in told
    assert "PRIVACY" not in asking("Describe {x}.", "--at", 'x="Thing 3"').out
    assert json.loads(asking("Describe {x}.", "--at", "x=user(3)", "--json").out)["flags"] == ["age"]
