"""`vecspeak export vllm`: a folder, and what to type; `--engine vllm:ADDRESS` beside it."""

import json
from pathlib import Path

import pytest

from served_model import serve_model
from vecspeak import VecSpeak
from vecspeak.bundles import load_bundle
from vecspeak.bundles.checking import name_models
from vecspeak.bundles.weights import load_reader
from vecspeak.cli import main
from vecspeak.engines.vllm_model import served_name

DATA = Path(__file__).parents[1] / "data" / "bundle-format-1"


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))
    opened = load_bundle(DATA / "old.bundle")
    name_models(opened.manifest.reader, base=DATA / "base")
    return opened


def test_it_prints_the_command_that_serves_what_it_wrote(bundle, tmp_path, capsys):
    main(["export", "vllm", str(bundle.folder), str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert (
        f"vllm serve {tmp_path / 'out'} --served-model-name {served_name(bundle)} --dtype bfloat16" in printed
    )
    main(["export", "vllm", str(bundle.folder), str(tmp_path / "out"), "--dtype", "float32", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["dtype"] == "float32" and found["command"].endswith("--port 8000")
    assert {one.stat().st_mode & 0o777 for one in (tmp_path / "out").iterdir()} == {
        (tmp_path / "out" / "config.json").stat().st_mode & 0o777
    }


def test_a_question_is_answered_by_a_server(bundle, encoder):
    asked = {"x": bundle.entry().space.labels[0], "effort": "plain", "max_new_tokens": 6}
    with serve_model(load_reader(bundle), served_name(bundle)) as served:
        vs = VecSpeak(bundle, engine=f"vllm:{served.url}", encoder=encoder, notify=list)
        there = vs.ask("Describe {x}.", **asked).text
    here = VecSpeak(bundle, engine="transformers", encoder=encoder, notify=list)
    assert there == here.ask("Describe {x}.", **asked).text != ""


def test_a_server_of_something_else_is_told_of_by_the_command(bundle, capsys):
    with serve_model(load_reader(bundle), "gpt") as served, pytest.raises(SystemExit):
        label = bundle.entry().space.labels[0]
        main(["ask", str(bundle.folder), "What?", "--at", f'x="{label}"', "--engine", f"vllm:{served.url}"])
    said = capsys.readouterr().err
    assert "serves gpt" in said and "vecspeak export vllm BUNDLE" in said
