"""Beginnings: what a question means decides how its answer begins."""

import pytest

from vecspeak.answerable import direct_answer
from vecspeak.beginnings import SET, beginning_of
from vecspeak.tasks.corpus import CORPUS_TASKS
from vecspeak.tasks.task_set import load_task_set

TASKS = load_task_set(SET, {"item": "movie", "use": "watch"}).tasks.values()


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_wording_of_a_question_means_it_and_is_not_refused(task):
    wordings = (*task.prompts, *task.held_out)
    assert {wording: beginning_of(wording) for wording in wordings} == dict.fromkeys(wordings, task.start)
    assert [wording for wording in wordings if direct_answer(wording, lambda text: ())] == []


@pytest.mark.parametrize(
    ("question", "beginning"),
    [
        ("What would children learn from {x}?", "It shows that"),
        ("Which people should skip {x}?", "It is not for people who"),
        ("who needs {x}?", "It is for people who"),
        ("Why should nobody watch {x}?", "One could criticize that"),
        ("Give me a tagline for {x}.", "See how"),
        ("In what era is {x} set?", "It takes place in"),
        ("What is the atmosphere like in {x}?", "The mood is"),
        ("What is {x} about?", ""),
        ("Describe {x}.", ""),
        ("Write a review of {x}.", ""),
        ("List the topics of {x}.", ""),
        ("Does {x} deal with crime?", ""),  # yes or no is read from the vector
        ("Who directed {x}?", ""),
        ("", ""),
    ],
)
def test_a_free_question_is_taken_for_what_it_means(question, beginning):
    assert beginning_of(question) == beginning


def test_what_the_reader_learned_to_describe_it_goes_on_describing():
    plain = [
        one
        for one in CORPUS_TASKS.values()
        if one.name in ("describe", "plot", "one_sentence", "keywords", "genres")
    ]
    assert plain and {beginning_of(wording) for task in plain for wording in task.wordings} <= {"", "It is"}
