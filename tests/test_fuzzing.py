"""Fuzzing, a short run: inputs of every class end in a result or in one line, and the loop notices what does not."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from fuzzing.classes import World, classes
from fuzzing.counts import table
from fuzzing.loop import FuzzClass, run_batch
from fuzzing.values import edited, odd_containers
from fuzzing.world import make

from vecspeak.errors import UserError

NAMES = (
    "expressions", "queries", "questions", "recipes", "task sets", "manifests", "files of a bundle", "tables",
    "ratings", "reports", "targets", "answers, pairs, names", "commands",
)  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzing")
    make(folder / "world")
    return World(folder / "world", folder / "scratch")


@pytest.mark.parametrize("name", NAMES)
def test_inputs_of_every_class_end_in_a_result_or_in_one_line(world, name, monkeypatch):
    monkeypatch.chdir(world.scratch)
    one = next(one for one in classes(world) if one.name == name)
    found = run_batch(one, 0, 8 if name in ("ratings", "reports", "commands") else 25)
    assert not found.failures, found.failures
    assert found.valid and found.valid + found.refused == found.tried


def test_every_class_is_tried_here(world):
    assert [one.name for one in classes(world)] == list(NAMES)


def test_what_leaves_as_another_error_is_noted_once_with_a_short_case():
    def run(number):
        if number > 100:
            raise KeyError(number)

    found = run_batch(FuzzClass("numbers", st.integers(0, 10_000), run), 0, 50)
    (what,) = found.failures
    assert what.startswith("KeyError at test_fuzzing.py") and found.failures[what]["case"] == "101"
    assert found.tried == 50 and found.valid + found.failures[what]["count"] == 50


@pytest.mark.parametrize(
    ("message", "what"), [("two\nlines", "several lines"), ("long " * 200, "more than 500 letters")]
)
def test_a_refusal_that_is_not_one_short_line_has_failed(message, what):
    def run(case):
        error = UserError("")
        error.args = (message,)  # its own words are kept short
        raise error

    (found,) = run_batch(FuzzClass("messages", st.just(0), run), 0, 1).failures
    assert what in found


ENDLESS = """
import sys; sys.path.insert(0, sys.argv[1])
import fuzzing.loop as loop
from hypothesis import strategies as st
def run(case):
    while True:
        pass
loop.SECONDS = 0.05
found = loop.run_batch(loop.FuzzClass("endless", st.just(0), run), 0, 1)
print([what[:6] for what in found.failures])
"""


def test_a_case_without_an_end_is_stopped():
    # in a process of its own: the timers of a case are those of its whole process
    benchmarks = str(Path(__file__).parents[1] / "benchmarks")
    done = subprocess.run(
        [sys.executable, "-c", ENDLESS, benchmarks], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "['longer']", done.stderr


def test_the_same_seed_gives_the_same_cases():
    def cases(number):
        seen = []
        run_batch(FuzzClass("numbers", st.integers(), seen.append), number, 20)
        return seen

    assert cases(3) == cases(3) != cases(4)


def test_what_one_case_changes_is_not_drawn_by_another():
    before = repr(odd_containers)

    @seed(0)
    @settings(max_examples=250, database=None, deadline=None)
    @given(edited({"a": {}}, most=9, untouched=0))
    def drawn(tree):
        del tree

    drawn()
    assert repr(odd_containers) == before


def test_the_table_has_a_row_for_each_class_and_one_for_all():
    one = {"tried": 2000, "valid": 1500, "refused": 499, "failed": 1, "slowest": 0.25, "peak_mb": 1.0}
    lines = table({"classes": {"tables": one, "recipes": one}}).splitlines()
    assert lines[2] == "| tables | 2,000 | 1,500 (75%) | 499 | 1 | 0.2 s |"
    assert lines[4] == "| all | 4,000 | 3,000 (75%) | 998 | 2 | 0.2 s |"
