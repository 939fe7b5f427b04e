"""`vecspeak evaluate --task` from the outside, on a bundle of a tiny reader that truly reads."""

import json

import pytest

import task_worlds
import worlds
from vecspeak.bundles import load_bundle, save_bundle
from vecspeak.cli import main
from vecspeak.evaluation.report import read_report


class Named(worlds.WordEncoder):
    digest = "0" * 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("tasks") / "toy.bundle"
    worlds.bundle(made)
    return made


@pytest.fixture(autouse=True)
def tiny_encoder(monkeypatch):
    monkeypatch.setattr("vecspeak.evaluation.evaluate.load_named_encoder", lambda *_: Named())


def run(folder, *more):
    main(["evaluate", str(folder), "--second-encoder", "none", "--max-tokens", "4", *map(str, more)])


def refused(capsys, folder, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(folder), *map(str, arguments)])
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_it_prints_a_row_a_task_and_writes_the_report_and_its_page(folder, tmp_path, capsys):
    run(folder, "--task", "summary", "--task", "similarities", "--count", "5", "--out", tmp_path / "r.json")
    said = capsys.readouterr().out
    assert "pairs, items of 'holdout'" in said and "pairs, between of 'holdout'" in said
    report = read_report(tmp_path / "r.json")
    names = [one.name for one in report.sets]
    assert names == ["pairs / summary", "pairs / summary, between", "pairs / similarities"]
    assert report.settings["points"] == "both" and report.settings["tasks"] == "items"
    assert "Every task in a row" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_all_tasks_leave_out_what_the_space_cannot_be_asked(folder, tmp_path, capsys):
    run(folder, "--task", "all", "--points", "items", "--count", "5", "--json", "--word", "item=jacket")
    said = capsys.readouterr()
    assert "left out: user_profile: the space has no users" in said.err
    plain = json.loads(said.out)
    assert len(plain["sets"]) == 24
    assert plain["sets"][0]["question"] == "Summarize the jacket {x}."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "moon"], "no task 'moon' in the set 'items'"),
        (["--task", "all", "--tasks", "moon"], "no task set 'moon'"),
        (["--task", "all", "--word", "item"], "--word item=jacket"),
        (["--task", "all", "--word", "moon=x"], "no word 'moon'"),
        (["--task", "all", "--split", "moon"], "no split 'moon'"),
        (["--task", "all", "--best-of", "2"], "none of --recipe, --best-of and --effort"),
        (["--task", "all", "--question", "Describe {x}."], "--question does not go with --task"),
        (["--task", "all", "--target", "text"], "--target does not go with --task"),
        (["--task", "all", "--ratings", "r.csv"], "the space 'pairs' has no users"),
    ],
)
def test_what_is_wrong_is_told_before_any_model_is_loaded(folder, capsys, monkeypatch, arguments, said):
    monkeypatch.setattr("vecspeak.evaluation.evaluate.load_reader", None)
    assert said in refused(capsys, folder, *arguments)


@pytest.fixture
def unasked(monkeypatch):
    """Everything but the asking."""
    monkeypatch.setattr("vecspeak.evaluation.evaluate.Evaluator.run", lambda self, cases, settings: [])


@pytest.mark.parametrize(
    ("arguments", "tokens"),
    [
        (["--task", "summary"], 4 + 80),
        (["--task", "summary", "--task", "long_description"], 4 + 150),
        (["--task", "summary", "--max-tokens", "7"], 7),
    ],
)
def test_without_a_number_answers_have_room_for_the_longest_target(
    folder, capsys, unasked, arguments, tokens
):
    main(["evaluate", str(folder), "--second-encoder", "none", "--json", "--points", "items", *arguments])
    told = json.loads(capsys.readouterr().out)["settings"]["sampling"]["max_new_tokens"]
    assert told == 7 if tokens == 7 else tokens < told <= 256


def test_the_report_tells_the_words_that_were_asked_in(folder, capsys, unasked):
    main(["evaluate", str(folder), "--task", "summary", "--word", "item=jacket", "--json"])
    assert json.loads(capsys.readouterr().out)["settings"]["words"] == {"item": "jacket"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("u1,m1,5", "none of the items of"),
        ("v1,p1,5", "none of the users of"),
    ],
)
def test_ratings_of_other_items_or_people_are_refused(folder, tmp_path, capsys, row, said):
    entries = {"pairs": task_worlds.entry()}
    rated = save_bundle(tmp_path / "rated.bundle", source=load_bundle(folder), name="rated", entries=entries)
    path = tmp_path / "r.csv"
    path.write_text(f"user_id,item_id,rating\n{row}\n", encoding="utf-8")
    told = refused(capsys, rated.folder, "--tasks", "movies", "--task", "user_profile", "--ratings", path)
    assert said in told and "name the column" in told
