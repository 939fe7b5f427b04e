"""`vecspeak check`: status 0 where all is whole, 1 where not, 2 for no bundle; naming a folder lets a bundle open."""

import json
import shutil

import pytest

import tiny_models
from tiny_models import base_folder
from vecspeak.bundles import load_bundle
from vecspeak.bundles.weights import load_reader
from vecspeak.cli import main
from vecspeak.errors import UserError
from vecspeak.model import named
from vecspeak.model.pretrained import model_digest
from worlds import bundle as world


@pytest.fixture
def run(capsys):
    def call(*arguments):
        try:
            main(["check", *map(str, arguments)])
            status = 0
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return call


def test_a_whole_bundle_is_shown_with_its_files(bundle, run):
    status, out, err = run(bundle)
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "whole"
    assert "space        things: 120 items of 12 numbers, mapped by ridge" in out
    assert "  whole " in out and "spaces/things/items.parquet" in out
    assert "words    (not here: name its folder with --encoder if you trust it)" in out


def test_what_is_not_whole_ends_with_status_1(bundle, run):
    (bundle / "spaces" / "things" / "distances.safetensors").unlink()
    status, out, _ = run(bundle)
    assert status == 1 and out.splitlines()[-1].startswith("not whole: 1 of ")
    assert any(
        line.startswith("  missing") and line.endswith("distances.safetensors") for line in out.splitlines()
    )
    status, out, _ = run(bundle, "--json")
    assert status == 1 and json.loads(out)["is_whole"] is False


def test_what_is_no_bundle_ends_with_status_2(tmp_path, run):
    status, out, err = run(tmp_path)
    assert (status, out) == (2, "") and "is no bundle: it has no manifest.json" in err


def test_what_a_manifest_says_cannot_steer_a_terminal(bundle, run):
    values = json.loads((bundle / "manifest.json").read_text())
    values["name"] = "\x1b]0;mine\x07\x1b[2J\nwhole\u202e"
    (bundle / "manifest.json").write_text(json.dumps(values))
    _, out, _ = run(bundle)
    assert out.startswith(r"\x1b]0;mine\x07\x1b[2J\nwhole\u202e, a bundle") and "\x1b" not in out


def test_a_folder_that_is_named_opens_from_then_on_and_another_is_refused(tmp_path, run, monkeypatch):
    monkeypatch.setattr(named, "_FILE", tmp_path / "models.json")
    made = world(tmp_path / "theirs.bundle")
    base_folder("qwen2")
    monkeypatch.setattr(tiny_models, "NAMED", {})
    values = json.loads((made.folder / "manifest.json").read_text())
    values["reader"].update(base_model="their-llama", base_sha256=model_digest(str(base_folder())))
    (made.folder / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match="names the language model 'their-llama'"):
        load_reader(load_bundle(made.folder))
    shutil.copytree(base_folder("qwen2"), tmp_path / "other")
    status, _, err = run(made.folder, "--base", tmp_path / "other")
    assert status == 2 and "is not the language model 'their-llama'" in err
    status, out, _ = run(made.folder, "--base", base_folder())
    assert status == 0 and f"(named: {base_folder().resolve()})" in out
    load_reader(load_bundle(made.folder))
