"""`vecspeak judge`, from a report file to a judged one, against a real server on loopback."""

import dataclasses
import json

import pytest

from local_rater import evaluated_set, flatterer, honest, report, serve
from vecspeak.cli.judge import judge
from vecspeak.errors import UserError
from vecspeak.evaluation.report import read_report, write_report

KEY = "sk-the-secret-key"


@pytest.fixture
def scores(tmp_path):
    path = tmp_path / "scores.json"
    write_report(path, report(evaluated_set(12)))
    return path


@pytest.fixture
def run(capsys):
    """Run the command; gives what it prints."""

    def run(path, server, *more, model="rater"):
        judge.main([str(path), "--url", server.url, "--model", model, *map(str, more)], standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_the_judged_report_stands_beside_the_input_which_stays(scores, run):
    before = scores.read_bytes()
    with serve(honest) as server:
        said = run(scores, server)
    written = read_report(scores.with_name("scores.judged.json"))
    assert written.judged["rater"]["checks"]["trusted"] is True
    assert written.sets == read_report(scores).sets
    assert scores.read_bytes() == before
    assert "scores.judged.json" in said
    assert "The rater told the planted right answers from the wrong" in said
    assert "reader against nearest_text: better" in said


def test_an_untrusted_rater_is_called_so_before_its_numbers(scores, run):
    with serve(flatterer) as server:
        said = run(scores, server)
        as_json = json.loads(run(scores, server, "--json"))
    assert said.index("DO NOT TRUST: The rater cannot tell a right answer") < said.index("reader")
    assert as_json["judged"]["rater"]["checks"]["trusted"] is False
    assert "cannot tell" in as_json["judged"]["rater"]["checks"]["verdict"]


def test_the_same_command_again_asks_nothing(scores, run):
    with serve(honest) as server:
        run(scores, server)
        asked = len(server.requests)
    first = read_report(scores.with_name("scores.judged.json")).judged["rater"]
    again = json.loads(run(scores, server, "--json"))["judged"]["rater"]
    assert (again["asked"], again["cached"]) == (0, asked)
    assert again["systems"] == first["systems"]


def test_a_second_rater_does_not_put_out_the_first(scores, run):
    with serve(honest) as server:
        run(scores, server)
    with serve(flatterer, models=("other",)) as server:
        run(scores, server, model="other")
    judged = read_report(scores.with_name("scores.judged.json")).judged
    assert {name: entry["checks"]["trusted"] for name, entry in judged.items()} == {
        "rater": True,
        "other": False,
    }


def test_the_input_is_overwritten_only_when_out_names_it(scores, run):
    with serve(honest) as server:
        run(scores, server, "--out", scores)
    assert set(read_report(scores).judged) == {"rater"}


def test_another_report_at_the_target_is_not_overwritten(scores, run, tmp_path):
    other = tmp_path / "other.json"
    write_report(other, report(evaluated_set(14)))
    with serve(honest) as server:
        with pytest.raises(UserError, match="ratings of another report.*`out`"):
            run(scores, server, "--out", other)
        assert server.requests == []
    assert len(read_report(other).sets[0].entities) == 14


def test_the_key_goes_to_the_server_and_into_no_file(scores, run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RATER_KEY", f"{KEY}\n")
    with serve(honest) as server:
        said = run(scores, server, "--key-env", "RATER_KEY")
    assert set(server.keys) == {f"Bearer {KEY}"}
    assert KEY not in said + capsys.readouterr().err
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) >= 3
    assert not [path for path in written if KEY.encode() in path.read_bytes()]


def test_a_variable_that_is_not_set_is_said_before_anything_is_asked(scores, run, monkeypatch):
    monkeypatch.delenv("RATER_KEY", raising=False)
    with serve(honest) as server, pytest.raises(UserError, match="RATER_KEY is not set"):
        run(scores, server, "--key-env", "RATER_KEY")
    assert server.requests == []


def test_chosen_systems_count_and_cache(scores, run, tmp_path):
    with serve(honest) as server:
        said = run(
            scores, server, "--system", "reader", "--count", 10, "--cache", tmp_path / "kept.jsonl", "--json"
        )
    found = json.loads(said)["judged"]["rater"]
    assert set(found["systems"]) == {"reader"}
    assert found["entities"] == 10
    assert found["pairs"] == {}
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == len(server.requests)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--system", "none"), "reader, nearest_text"),
        (("--set", "none"), "it has things"),
        (("--out", "none/out.json"), "folder does not exist"),
        (("--cache", "none/kept.jsonl"), "folder does not exist"),
    ],
)
def test_wrong_options_are_one_line_and_ask_nothing(scores, run, options, words):
    with serve(honest) as server, pytest.raises(UserError, match=words) as error:
        run(scores, server, *options)
    assert "\n" not in str(error.value)
    assert server.requests == []


def test_what_is_no_report_is_one_line(run, tmp_path):
    path = tmp_path / "scores.json"
    with serve(honest) as server:
        with pytest.raises(UserError, match="no file"):
            run(path, server)
        path.write_text("{}")
        with pytest.raises(UserError, match="not a report"):
            run(path, server)


def test_training_entities_are_called_so_before_what_a_rater_found(tmp_path, run):
    path = tmp_path / "train.json"
    write_report(path, report(dataclasses.replace(evaluated_set(12), trained_on=True)))
    with serve(honest) as server:
        said = run(path, server)
    assert said.startswith("TRAINING ENTITIES")
