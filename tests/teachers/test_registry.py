"""The registry of teachers, and the contract that each kind keeps: add a line to CASES for a new one."""

import pytest

from lesson_kit import ABOUT, ANSWERS, Scripted, answer_to, completion, lessons, task
from local_rater import serve
from tiny_models import base_folder
from vecspeak.errors import UserError
from vecspeak.tasks.examples import read_targets
from vecspeak.teachers import registry
from vecspeak.teachers.base import Generation, TeacherConfig
from vecspeak.teachers.generate import generate_targets
from vecspeak.teachers.registry import make_teacher, register_teacher, teacher_kinds

CASES = {
    "facts": lambda url: ("facts", TeacherConfig()),
    "local": lambda url: (str(base_folder()), TeacherConfig(engine="transformers")),
    "remote": lambda url: (url, TeacherConfig(model="m")),
}


@pytest.fixture(scope="module")
def server():
    with serve(lambda prompt: completion(answer_to(prompt))) as server:
        yield server


@pytest.fixture
def make(server):
    """Make the teacher of a kind anew."""
    return lambda kind: make_teacher(*CASES[kind](server.url))


def test_every_kind_is_held_to_the_contract():
    assert set(teacher_kinds()) == set(CASES)
    assert teacher_kinds()[-1] == "local", "it takes any name, so it is asked last"


@pytest.mark.parametrize("kind", CASES)
def test_a_teacher_answers_every_example_once_in_any_order(make, kind):
    made = lessons(4, task(words=(1, 8), facts=("It is about {topic}.",)))
    found = list(make(kind).write(made))
    assert sorted(number for number, _ in found) == [0, 1, 2, 3]
    assert all(isinstance(written, Generation) for _, written in found)
    assert list(make(kind).write([])) == []


@pytest.mark.parametrize("kind", CASES)
def test_name_and_settings_are_those_of_another_teacher_made_alike(make, kind):
    one, again = make(kind), make(kind)
    (example,) = lessons(1)
    assert one.name and one.name == again.name
    assert isinstance(one.settings_for(example), str)
    assert one.settings_for(example) == again.settings_for(example)


@pytest.mark.parametrize("kind", CASES)
def test_making_a_teacher_and_a_dry_run_ask_nobody(make, server, kind):
    before = len(server.requests)
    teacher = make(kind)
    assert teacher.preview(lessons(1)[0]) in (None, lessons(1)[0].context)
    assert teacher.sends_to == "" and (teacher.budget is None) == (kind not in ("remote", "local"))
    assert len(server.requests) == before


def test_a_kind_that_is_registered_later_is_asked_first(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    register_teacher("scripted", lambda name: name == "scripted", lambda name, config: Scripted())
    generate_targets(lessons(2), make_teacher("scripted"), tmp_path, ABOUT)
    assert [target.text for target in read_targets(tmp_path)] == ANSWERS[:2]
    assert teacher_kinds()[0] == "scripted"


def test_a_name_that_no_kind_takes_is_refused(monkeypatch):
    monkeypatch.setattr(registry, "_KINDS", {})
    with pytest.raises(UserError, match="unknown teacher 'nobody'"):
        make_teacher("nobody")
