"""`vecspeak teach`, from the command line: facts, an address, ratings, a dry run, and mistakes in one line."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest

from lesson_kit import ANSWERS, completion, lesson, task
from local_rater import serve
from vecspeak.bundles import SpaceEntry, save_bundle
from vecspeak.cli import main
from vecspeak.llm_client import Endpoint
from vecspeak.model.alignment import Alignment
from vecspeak.spaces import Space
from vecspeak.tasks.examples import read_about, read_targets
from vecspeak.tasks.task_set import split_sentences
from vecspeak.teachers.job import TeachingJob
from vecspeak.teachers.remote import RemoteTeacher

GENRES = (["Drama"], ["Comedy"], ["Horror", "Drama"])


@pytest.fixture(scope="module")
def count():
    return 60


@pytest.fixture
def bundle(tmp_path, source, count):
    """Sixty movies with texts, genres and years; every tenth is held out."""
    texts = [f"{text} {split_sentences(ANSWERS[-1 - row])[0]}" for row, text in enumerate(ANSWERS[:count])]
    space = Space(
        name="movies",
        ids=tuple(f"m{i}" for i in range(count)),
        labels=tuple(f"Film {i}" for i in range(count)),
        vectors=np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32),
        metadata=pa.table(
            {
                "text": texts,
                "genres": [GENRES[i % 3] for i in range(count)],
                "year": [1950 + i for i in range(count)],
            }
        ),
    )
    entry = SpaceEntry(
        space=space,
        users=None,
        alignment=Alignment(dim=8, encoder_dim=8),
        splits={"holdout": frozenset(f"m{i}" for i in range(0, count, 10))},
        report={},
        concepts={},
    )
    return save_bundle(tmp_path / "bundle", source=source, name="movies", entries={"movies": entry}).folder


@pytest.fixture
def run(capsys, bundle, tmp_path):
    """Run the command; gives what it prints."""

    def run(*more, out="targets"):
        main(["teach", str(bundle), "--out", str(tmp_path / out), *map(str, more)])
        return capsys.readouterr().out

    return run


@pytest.fixture
def fails(run, capsys):
    """The one line of a run that fails."""

    def fails(*more):
        with pytest.raises(SystemExit) as left:
            run(*more)
        assert left.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith("vecspeak: ")
        return said

    return fails


def test_facts_write_what_they_can(run, tmp_path):
    said = run("--teacher", "facts", "--count", 5)
    targets = read_targets(tmp_path / "targets")
    assert {target.teacher for target in targets} == {"facts"}
    assert {"summary", "pitch", "similarities"} <= {target.task for target in targets}
    assert not any(target.slots["x"].endswith("0") for target in targets), "held out"
    assert "facts do not tell" in said
    assert f"{len(targets):,} targets in" in said
    assert "vecspeak train" in said
    assert read_about(tmp_path / "targets").space == "movies"


def test_a_run_that_keeps_nothing_says_what_to_do(run, tmp_path):
    said = run("--teacher", "facts", "--count", 2, "--task", "criticize")
    assert f"no target in {tmp_path / 'targets'}: ask other tasks with --task" in said


def test_held_out_items_are_written_about_when_asked(run, tmp_path):
    run("--teacher", "facts", "--count", 3, "--task", "summary", "--split", "holdout")
    assert {target.split for target in read_targets(tmp_path / "targets")} == {"holdout"}
    assert all(target.slots["x"].endswith("0") for target in read_targets(tmp_path / "targets"))


def test_words_of_the_set_are_replaced(run, tmp_path):
    run(
        "--teacher",
        "facts",
        "--count",
        2,
        "--tasks",
        "items",
        "--task",
        "long_description",
        "--word",
        "item=jacket",
    )
    assert all("jacket" in target.context for target in read_targets(tmp_path / "targets"))
    assert read_about(tmp_path / "targets").words == {"item": "jacket"}


def test_a_dry_run_asks_nobody_and_writes_nothing(run, tmp_path):
    said = run("--teacher", "http://127.0.0.1:9/v1", "--model", "m", "--count", 2, "--dry-run")
    assert said.count("--- ") == 3
    assert "nobody was asked" in said
    asked = ("--teacher", "http://127.0.0.1:9/v1", "--model", "m", "--count", 2, "--task", "pitch")
    told = json.loads(run(*asked, "--dry-run", "--json"))
    assert told["lessons"] == {"pitch": 2}
    assert told["asked"] == {"pitch": 2}
    assert told["most_tokens_in"] > 20
    assert not (tmp_path / "targets").exists()


def test_a_dry_run_counts_what_would_be_asked(run, fails):
    said = iter(ANSWERS[100:])
    asked = ("--model", "m", "--task", "pitch")
    with serve(lambda prompt: completion(next(said))) as server:
        run("--teacher", server.url, *asked, "--count", 4)
        told = json.loads(run("--teacher", server.url, *asked, "--count", 6, "--dry-run", "--json"))
        assert (told["lessons"], told["asked"]) == ({"pitch": 6}, {"pitch": 2})
        told = json.loads(run("--teacher", server.url, *asked, "--count", 4, "--dry-run", "--json"))
        assert (told["asked"], told["most_tokens_in"], told["most_tokens_out"]) == ({}, 0, 0)
        assert len(server.requests) == 4
    assert "another split" in fails("--teacher", "facts", "--split", "holdout", "--dry-run")


def test_a_dry_run_of_facts_counts_what_they_tell(run):
    asked = ("--teacher", "facts", "--count", 4, "--task", "pitch", "--task", "criticize")
    told = json.loads(run(*asked, "--dry-run", "--json"))
    assert (told["lessons"], told["asked"]) == ({"pitch": 4, "criticize": 4}, {"pitch": 4})
    assert (told["most_tokens_in"], told["most_tokens_out"]) == (0, 0)
    assert json.loads(run(*asked, "--json"))["kept"] == 4
    said = run(*asked, "--seed", 1, "--dry-run")
    assert "to tell" in said and "facts take no tokens; nobody was asked" in said


def test_an_address_writes_and_is_counted(run, tmp_path):
    said = iter(ANSWERS[100:])
    asked = ("--model", "m", "--task", "pitch", "--count", 4, "--price-in", 1, "--price-out", 2)
    with serve(lambda prompt: completion(next(said), tokens=(100, 50))) as server:
        found = json.loads(run("--teacher", server.url, *asked, "--json"))
    assert (found["kept"], found["tokens_in"], found["tokens_out"]) == (4, 400, 200)
    assert found["cost"] == found["cost_in_all"] == pytest.approx(800e-6)
    again = run("--teacher", server.url, *asked)
    assert "0 of 4 lessons answered" in again, "the server is gone"
    assert "cost: 0.0\ncost_in_all: 0.0008\n" in again
    assert len(read_targets(tmp_path / "targets")) == 4


def test_a_budget_ends_a_run_with_a_line(run):
    said = iter(ANSWERS[100:])
    with serve(lambda prompt: completion(next(said), tokens=(100, 50))) as server:
        shown = run(
            "--teacher",
            server.url,
            "--model",
            "m",
            "--task",
            "pitch",
            "--count",
            40,
            "--max-tokens-total",
            1000,
        )
    assert "stopped early: the budget of 1,000 tokens is spent" in shown
    assert len(server.requests) < 40


def test_people_are_written_about_from_their_ratings(run, tmp_path, count):
    path = tmp_path / "ratings.csv"
    rows = [f"u{u},m{i},{5 if i % 3 == u % 3 else 2}" for u in range(12) for i in range(count) if (i + u) % 2]
    path.write_text("who,what,stars\n" + "\n".join(rows) + "\n")
    columns = ("--ratings", path, "--user", "who", "--item", "what", "--rating", "stars")
    run("--teacher", "facts", "--task", "user_profile", *columns)
    targets = read_targets(tmp_path / "targets")
    assert targets
    assert all(target.slots["x"].startswith("user:u") for target in targets)
    assert "Likes" in targets[0].text


@pytest.mark.parametrize(
    ("url", "about", "is_told"),
    [
        ("https://api.example.com/v1", "person", True),
        ("http://127.0.0.1:9/v1", "person", False),
        ("https://api.example.com/v1", "item", False),
    ],
)
def test_ratings_that_leave_this_machine_are_told(url, about, is_told, tmp_path):
    teacher, origin = RemoteTeacher(Endpoint(url=url, model="m")), None
    job = TeachingJob(
        examples=[lesson(of=task(about=about))], teacher=teacher, folder=tmp_path, about=origin, language="en"
    )
    said = "the labels of what people rated are sent to api.example.com" if is_told else ""
    assert job.notice == said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--teacher", "facts", "--task", "user_profile"), "is about a person.*add --ratings"),
        (("--teacher", "facts", "--task", "nothing"), "no task 'nothing'"),
        (("--teacher", "facts", "--tasks", "nothing"), "no task set 'nothing'"),
        (("--teacher", "facts", "--word", "item"), "--word takes NAME=WORD"),
        (("--teacher", "facts", "--split", "cold"), "no split 'cold'"),
        (("--teacher", "facts", "--space", "others"), "no space 'others'"),
        (("--teacher", "nobody"), "no language model 'nobody'"),
        (("--teacher", "http://127.0.0.1:9/v1"), "add --model NAME"),
        (("--teacher", "http://", "--model", "m"), "--teacher takes the address of an API"),
        (("--teacher", "http://127.0.0.1:9/v1", "--model", "m", "--max-cost", "1"), "--price-in"),
        (
            ("--teacher", "http://127.0.0.1:9/v1", "--model", "m", "--key-env", "NO_SUCH"),
            "NO_SUCH is not set",
        ),
    ],
)
def test_mistakes_are_one_line(fails, given, said):
    assert re.search(said, fails(*given))


def test_ratings_of_other_items_are_told(fails, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("user,item,rating\nu1,x1,5\n")
    columns = ("--ratings", path, "--user", "user", "--rating", "rating")
    assert "add --item COLUMN" in fails("--teacher", "facts", *columns)
    said = fails("--teacher", "facts", *columns, "--item", "item")
    assert "they are called 'x1' there and 'm0' here" in said
