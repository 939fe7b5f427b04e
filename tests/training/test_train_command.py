"""`vecspeak train` as people meet it: how it ends, how it goes on, and what it says of the swap gap."""

import json
import os
import shlex

import lessons
import pytest

from tiny_models import base_folder
from vecspeak import building
from vecspeak.cli import main
from vecspeak.cli.train import _print
from vecspeak.storage import lock, read_json
from worlds import ENCODER, HELD_OUT, trained_folder

RECIPE = f"""
name = "own"
[base]
model = "{base_folder()}"
encoder = "{ENCODER.name}"
start = "{trained_folder()}"
[targets]
share = 1.0
[adapter]
hidden_dim = 32
num_soft_tokens = 2
[lora]
rank = 8
alpha = 16
targets = ["q_proj", "v_proj", "o_proj", "down_proj"]
[[stages]]
name = "joint"
share = 1.0
[schedule]
tokens_per_step = 1024
max_hours = 1e-9
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The arguments of a run that its time ends after one step."""
    monkeypatch.setattr(building, "load_encoder", lambda name: ENCODER)
    spaces = lessons.bundle(tmp_path / "toy.bundle")
    for name, targets in (("some", lessons.some_targets()), ("held", lessons.held_out_targets())):
        lessons.write(tmp_path / name, spaces, targets)
    (tmp_path / "own.toml").write_text(RECIPE)
    folders = ["--targets", tmp_path / "some", "--targets", tmp_path / "held"]
    given = ["train", tmp_path / "own.toml", "--bundle", spaces.folder, *folders]
    return [*map(str, given), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "mine.bundle")]


def line_of(said, label):
    return next(line for line in said.splitlines() if line.startswith(label))


def test_a_run_that_its_time_ended_says_so_and_what_it_says_to_type_goes_on(command, tmp_path, capsys):
    main(command)
    said = capsys.readouterr().out
    planned = read_json(tmp_path / "work" / "summary.json")["planned_steps"]
    assert f"own: 1 of {planned} planned steps; the time allowed ended it" in said
    assert f"held out  {len(HELD_OUT)} rows about {len(HELD_OUT)} entities that no step trains on" in said
    assert str(tmp_path / "mine.bundle") in line_of(said, "bundle")
    assert "--task all" in line_of(said, "evaluate")
    program, *typed = shlex.split(line_of(said, "go on").removeprefix("go on").partition("  (")[0])
    assert program == "vecspeak" and typed[:-2] == command and typed[-2] == "--max-hours"
    main([*command, "--max-hours", "100"])
    said = capsys.readouterr().out
    assert f"own: {planned} of {planned} planned steps; all that was planned is done" in said
    assert "nothing is left of this run" in line_of(said, "go on")


def test_json_is_what_the_work_folder_keeps(command, tmp_path, capsys):
    main([*command, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told == read_json(tmp_path / "work" / "summary.json")
    assert (told["ended_by"], told["steps"], told["max_hours"]) == ("time", 1, 1e-9)


def test_no_time_is_refused(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([*command, "--max-hours", "0"])
    assert left.value.code == 2
    assert "--max-hours" in capsys.readouterr().err


def summary(**changes):
    measured = {"value": 0.02, "low": -0.01, "high": 0.05}
    both = {"loss": {"value": 3.0, "low": 2.5, "high": 3.5}, "swap_gap": measured}
    return {
        "recipe": "own",
        "steps": 8,
        "planned_steps": 80,
        "ended_by": "time",
        "max_hours": 0.1,
        "seconds": 360.0,
        "tokens": 1000,
        "examples": 100,
        "held_out": {"rows": 9, "entities": 3, "before": both, "after": both},
        "vector_is_read": False,
        "scores": {},
        "bundle": "my bundle",
        "spaces": ["items"],
        "work": "work",
        **changes,
    }


def said_of(capsys, **changes):
    _print(summary(**changes), ["vecspeak", "train", "r.toml"], of_targets=True)
    return capsys.readouterr().out


def gap(low, high):
    measured = {
        "loss": {"value": 3.0, "low": 2.5, "high": 3.5},
        "swap_gap": {"value": 0, "low": low, "high": high},
    }
    return {"rows": 9, "entities": 3, "before": None, "after": measured}


def test_whether_the_vector_is_read_is_said_plainly(capsys):
    said = said_of(capsys)
    assert "0.020 [-0.010, 0.050] before, 0.020 [-0.010, 0.050] after" in said
    assert "includes 0: the vector is not read yet" in said
    assert "above 0: the vector is read\n" in said_of(capsys, held_out=gap(0.1, 0.2), vector_is_read=True)
    assert "below 0: the vector is not read\n" in said_of(capsys, held_out=gap(-0.2, -0.1))
    assert "one entity has no interval" in said_of(capsys, held_out=gap(None, None))


def test_where_nothing_is_watched_it_says_how_to_watch(capsys):
    said = said_of(capsys, held_out=None, vector_is_read=None)
    assert "was not measured" in said and "--split holdout" in said


def test_the_time_that_is_named_is_enough_for_the_whole_plan(capsys):
    assert "vecspeak train r.toml --max-hours 1.1 " in said_of(capsys)  # a tenth of it took 0.1 hours
    assert "--max-hours 0.0012 " in said_of(capsys, seconds=0.361, max_hours=1e-4)
    assert "--max-hours 2.2 " in said_of(capsys, max_hours=2.0)  # never less than it had


def test_a_bundle_of_a_strange_name_or_of_several_spaces_is_named_so_that_it_can_be_typed(capsys):
    said = said_of(capsys, spaces=["a", "b"])
    assert "vecspeak evaluate 'my bundle' --space a --task all" in said
    assert "fit TABLE --reader 'my bundle'" in said_of(capsys, spaces=[])


def refused(command, capsys):
    with pytest.raises(SystemExit):
        main(command)
    return capsys.readouterr().err.splitlines()[-1]


def test_one_run_at_a_time_is_in_a_work_folder(command, tmp_path, capsys):
    (tmp_path / "work").mkdir()
    with lock(tmp_path / "work" / "run"):
        said = refused(command, capsys)
        assert "another run is in" in said and f"process {os.getpid()}" in said
    main(command)
    assert line_of(capsys.readouterr().out, "bundle")


@pytest.mark.parametrize(
    ("option", "place", "said"),
    [
        ("--out", "file", "is a file, and a bundle is a folder"),
        ("--out", "some", "is a folder of something else"),
        ("--out", "file/bundle", "file is no folder that you may write to"),
        ("--out", "work", "is the folder of --work"),
        ("--out", "", "or one around it"),
        ("--work", "file", "is a file; give the name of a folder"),
        ("--work", "toy.bundle", "is a bundle"),
        ("--work", "some", "is a folder of targets"),
    ],
)
def test_places_that_would_lose_something_are_refused_before_any_step(
    command, tmp_path, capsys, monkeypatch, option, place, said
):
    monkeypatch.setattr(building, "train_reader", lambda *_, **__: pytest.fail("trained"))
    (tmp_path / "file").write_text("mine")
    changed = [*command, option, str(tmp_path / place)]
    assert said in refused(changed, capsys)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_may_be_written_to(command, tmp_path):
    (tmp_path / "mine.bundle").mkdir()
    main(command)
    assert (tmp_path / "mine.bundle" / "manifest.json").exists()


@pytest.mark.parametrize("kept", ["[]", "5"])
def test_notes_of_a_run_that_are_damaged_are_told(command, tmp_path, capsys, kept):
    main(command)
    (tmp_path / "work" / "recipe.json").write_text(kept)
    assert "recipe.json is no recipe of a run" in refused(command, capsys)
    (tmp_path / "work" / "bundles.json").write_text(kept)
    assert "there is another bundle at" in refused(command, capsys)


def test_no_time_in_the_recipe_still_names_a_time_to_go_on_with(command, tmp_path, capsys):
    path = tmp_path / "own.toml"
    path.write_text(RECIPE.replace("max_hours = 1e-9", "max_hours = 0"))
    main(command)
    assert "--max-hours" in line_of(capsys.readouterr().out, "go on")
