"""`vecspeak evaluate` from the outside, on a bundle of a tiny reader that truly reads."""

import json

import pytest

import worlds
from vecspeak.cli import main
from vecspeak.evaluation.report import read_report


class Named(worlds.WordEncoder):
    digest = "0" * 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("cli") / "toy.bundle"
    worlds.bundle(made)
    return made


@pytest.fixture(autouse=True)
def tiny_encoder(monkeypatch):
    monkeypatch.setattr("vecspeak.evaluation.evaluate.load_named_encoder", lambda *_: Named())


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def run(folder, *more):
    main(["evaluate", str(folder), "--second-encoder", "none", "--max-tokens", "8", *map(str, more)])


def test_it_prints_the_table_and_writes_the_report_and_its_page(folder, tmp_path, capsys):
    run(folder, "--out", tmp_path / "r.json", "--best-of", "2")
    said = capsys.readouterr().out
    for name in ("the reader, best of 2", "another entity's vector", "base model, the true text"):
        assert all(word in said for word in name.split())
    assert "Against the nearest training text: " in said and "Against the mean vector: " in said
    report = read_report(tmp_path / "r.json")
    assert report.sets[0].count == 9 and report.settings["best_of"] == 2
    assert report.settings["split"] == "holdout" and "encoder words" in report.digests
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert (
        "swap gap" in page
        and "another entity" in page
        and "http://" not in page.replace("http://www.w3.org", "")
    )


def test_json_is_one_object_that_the_reader_of_reports_takes(folder, tmp_path, capsys):
    run(folder, "--json")
    (tmp_path / "piped.json").write_text(capsys.readouterr().out, encoding="utf-8")
    assert read_report(tmp_path / "piped.json").bundle == "toy"


def test_training_entities_are_labelled_in_every_output(folder, tmp_path, capsys):
    run(folder, "--split", "train", "--count", "6", "--out", tmp_path / "t.json")
    assert "TRAINING ENTITIES" in capsys.readouterr().out
    assert json.loads((tmp_path / "t.json").read_text())["sets"][0]["trained_on"] is True
    assert "TRAINING ENTITIES" in (tmp_path / "t.html").read_text(encoding="utf-8")


def test_two_reports_are_compared_pair_by_pair(folder, tmp_path, capsys):
    run(folder, "--out", tmp_path / "a.json")
    run(folder, "--out", tmp_path / "b.json", "--question", "Describe {x}.")
    capsys.readouterr()
    main(["evaluate", "--compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--json"])
    found = json.loads(capsys.readouterr().out)
    changes = [change for one in found["sets"] for change in one["changes"]]
    assert changes and all(change["difference"]["value"] == 0 for change in changes)


def test_what_is_wrong_is_told_in_one_line_before_any_model_is_loaded(folder, capsys, monkeypatch):
    monkeypatch.setattr("vecspeak.evaluation.evaluate.load_reader", None)
    assert "holdout, cold, train" in refused(capsys, "evaluate", folder, "--split", "moon")
    assert "no column 'plot'" in refused(capsys, "evaluate", folder, "--target", "plot")
    assert "no space 'moon'" in refused(capsys, "evaluate", folder, "--space", "moon")
    assert "slots x, y" in refused(capsys, "evaluate", folder, "--question", "Is {x} like {y}?")
    assert "float32, bfloat16" in refused(capsys, "evaluate", folder, "--precision", "int1")
    assert "no bundle is given" in refused(capsys, "evaluate")
    assert "x>=5" in refused(capsys, "evaluate", folder, "--count", "1")


@pytest.mark.parametrize("name", ["r.html", "r.HTML", "r.kept"])
def test_a_report_is_never_put_where_its_page_or_what_is_kept_belongs(folder, tmp_path, capsys, name):
    said = refused(capsys, "evaluate", folder, "--out", tmp_path / name)
    assert "--out NAME.json" in said and not list(tmp_path.iterdir())


def test_a_page_that_cannot_be_written_is_told_before_any_work(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("vecspeak.evaluation.evaluate.load_reader", None)
    (tmp_path / "r.html").mkdir()
    assert "r.html: it is a folder" in refused(capsys, "evaluate", folder, "--out", tmp_path / "r.json")


def test_a_comparison_never_overwrites_what_it_compares(folder, tmp_path, capsys):
    run(folder, "--out", tmp_path / "a.json", "--count", "5")
    before = (tmp_path / "a.json").read_bytes()
    capsys.readouterr()
    pair = (tmp_path / "a.json", tmp_path / "a.json")
    for out in (tmp_path / "a.json", tmp_path / "." / "a.json"):
        assert "would overwrite" in refused(capsys, "evaluate", "--compare", *pair, "--out", out)
    assert (tmp_path / "a.json").read_bytes() == before
