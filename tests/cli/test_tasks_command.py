"""`vecspeak tasks`, and asking a task by its name."""

import json
import subprocess
import sys

import numpy as np
import pytest

from vecspeak.bundles import load_bundle, save_bundle
from vecspeak.bundles.fitting import fit_space
from vecspeak.cli import main
from vecspeak.cli.options import SETS
from vecspeak.inputs import selected_task_set
from vecspeak.model.prompt import vectors_of
from vecspeak.spaces import Space
from vecspeak.tasks.task_set import load_task_set


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
        self.sampling = sampling
        yield self.answer or "".join(part if isinstance(part, str) else "@" for part in prompt)

    def answers(self, prompts, sampling):
        for number, prompt in enumerate(prompts):
            yield number, "".join(self.stream(prompt, sampling))


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
    monkeypatch.setattr("vecspeak.api.opening_note", lambda bundle, name: "")
    monkeypatch.setattr("vecspeak.asking.load_named_encoder", lambda *_: encoder)

    def ask(*more):
        return runs("ask", tmp_path / "b", *more)

    ask.engine, ask.folder = engine, tmp_path / "b"
    return ask


def test_the_list_shows_25_tasks(runs):
    lines = runs("tasks", "list").out.splitlines()
    named = [line.split("  ")[0] for line in lines[: lines.index("")]]
    assert named == list(load_task_set("movies").tasks) and len(named) == 25
    assert "25 tasks in the set movies. Other sets: items, packages, questions, words" in lines[-2]
    assert "ask BUNDLE --task NAME --tasks movies --at" in lines[-1]


@pytest.mark.parametrize(
    ("name", "asked"), [("items", "--task NAME --at"), ("words", "--task NAME --tasks words")]
)
def test_the_list_says_how_its_tasks_are_shown_and_asked(runs, name, asked):
    last = runs("tasks", "list", name).out.splitlines()[-1]
    assert f"tasks show NAME --tasks {name} says" in last and asked in last


def test_a_list_takes_its_set_either_way(runs, fails):
    assert runs("tasks", "list", "--tasks", "words").out == runs("tasks", "list", "words").out
    assert runs("tasks", "list", "words", "--tasks", "words").out == runs("tasks", "list", "words").out
    assert "two task sets are given, words and items" in fails("tasks", "list", "words", "--tasks", "items")


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
    assert task.question.replace("{x}", "@").replace("{y}", "@") in shown.out
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
        (("--task", "movie_to_viewer", "--at", 'x="Thing 1"'), "it is in the set movies: add --tasks movies"),
    ],
)
def test_a_mistake_in_asking_by_name_is_one_line(asking, fails, more, message):
    assert message in fails("ask", asking.folder, *more)


@pytest.mark.parametrize("point", ["user(3)", "mean(user(3), user(4))", 'user(3) + "Thing 1"'])
def test_what_ratings_do_not_tell_is_not_asked_of_a_person(asking, fails, point):
    assert "guess about a person" in fails("ask", asking.folder, "How old is {x}?", "--at", f"x={point}")
    assert "Describe @." in asking("Describe {x}.", "--at", f"x={point}").out


@pytest.mark.parametrize("question", ["Male or female?", "Is this a man or a woman?"])
def test_a_question_without_a_slot_is_about_the_person_too(asking, fails, question):
    assert "asks for sex" in fails("ask", asking.folder, question, "--at", "x=user(3)")


@pytest.mark.parametrize(
    ("asked", "room"),
    [
        (("Describe {x}.",), 64),
        (("--task", "summary"), 80 * 3 // 2 + 16),
        (("--task", "long_description"), 150 * 3 // 2 + 16),
        (("--task", "long_description", "--max-tokens", "7"), 7),
    ],
)
def test_a_task_has_room_for_its_longest_target(asking, asked, room):
    asking(*asked, "--at", 'x="Thing 3"')
    assert asking.engine.sampling.max_new_tokens == room


def test_the_file_of_a_set_in_a_manifest_is_not_read_before_a_person_names_it(asking, fails, tmp_path):
    path = asking.folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    mine = tmp_path / "mine.toml"
    manifest["reader"]["data"]["targets"] = {"task_sets": {"things": str(mine)}}
    path.write_text(json.dumps(manifest), encoding="utf-8")
    mine.write_text('name = "mine"\nextends = "items"\nwords.item = "hat"', encoding="utf-8")
    told = fails("ask", asking.folder, "--task", "summary", "--at", 'x="Thing 3"')
    assert f"names the task set '{mine}', and a path in a bundle is not followed" in told
    assert "--tasks FILE" in told
    assert "Summarize the hat @." in asking("--task", "summary", "--tasks", mine, "--at", 'x="Thing 3"').out


def test_a_file_is_chosen_by_its_whole_path(asking, tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text('name = "mine"\nextends = "items"', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for given in ("mine.toml", "./mine.toml"):
        assert selected_task_set(load_bundle(asking.folder), "", given, ()) == (
            str(tmp_path / "mine.toml"),
            {},
        )


def test_help_knows_the_sets_and_loads_little():
    code = "import sys, vecspeak.cli.tasks, vecspeak.cli.ask; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert SETS.split(", ") == ["movies", "items", "packages", "questions", "words"]


def test_an_item_may_be_old(asking):
    assert "How old is @?" in asking("How old is {x}?", "--effort", "plain", "--at", 'x="Thing 3"').out


def test_an_answer_that_states_it_of_a_person_is_marked(asking):
    asking.engine.answer = "A young viewer that likes ships."
    told = asking("Describe {x}.", "--at", "x=user(3)").out
    assert "PRIVACY: this states age of a person" in told
    assert "PRIVACY" not in asking("Describe {x}.", "--at", 'x="Thing 3"').out
    assert json.loads(asking("Describe {x}.", "--at", "x=user(3)", "--json").out)["flags"] == ["age"]
