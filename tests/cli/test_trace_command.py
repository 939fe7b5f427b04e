"""`vecspeak trace` from the outside, on a bundle of a tiny reader that truly reads."""

import dataclasses
import json

import pytest

import worlds
from vecspeak.bundles import save_bundle
from vecspeak.cli import main
from vecspeak.concepts import fit_entry_concept


class Named(worlds.WordEncoder):
    digest = "0" * 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tiny world with a concept fitted from the tag of one word."""
    made = tmp_path_factory.mktemp("trace") / "toy.bundle"
    opened = worlds.bundle(made)
    entry = opened.entry()
    ghost = fit_entry_concept(entry, "ghost", "tags", "ghost")
    entry = dataclasses.replace(entry, concepts={"ghost": ghost})
    save_bundle(made, source=opened, name="toy", entries={"pairs": entry})
    return made


@pytest.fixture(autouse=True)
def tiny_encoder(monkeypatch):
    monkeypatch.setattr("vecspeak.asking.load_encoder", lambda name: Named())


def run(folder, *more):
    main(["trace", str(folder), '"Pair 40"', "--along", "ghost", "--max-tokens", "8", *map(str, more)])


def test_the_answers_along_a_concept_are_shown_with_their_place_and_controls(folder, capsys):
    run(folder, "--steps", "0,2,4", "--reverse")
    said = capsys.readouterr().out
    assert said.startswith('"Pair 40" along ghost (tags = ghost) in pairs: Describe {x}.')
    for name in ("ghost:", "the reverse of ghost:", "random direction 1:", "isotropic direction 1:"):
        assert f"\n{name}\n" in said
    assert "% " in said and "near: Pair" in said and "up: " in said and "down: " not in said
    assert "change a step by encoder, 'ghost': ghost +" in said
    assert max(map(len, said.splitlines())) <= 220


def test_the_concept_brings_its_word_into_the_answer(folder, capsys):
    run(folder, "--steps", "0,8", "--controls", "0", "--json")
    first, last = json.loads(capsys.readouterr().out)["path"]["steps"]
    assert "ghost" not in first["text"] and "ghost" in last["text"]
    assert last["judged"]["encoder, 'ghost'"] > first["judged"]["encoder, 'ghost'"]
    assert first["expression"] == '"Pair 40"' and last["expression"] == '"Pair 40" + 8*ghost'


def test_json_has_every_path_step_by_step(folder, capsys):
    run(folder, "--steps", "-1..1", "--controls", "2", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [path["kind"] for path in found["controls"]] == ["random", "random", "isotropic", "isotropic"]
    assert all(
        [s["amount"] for s in path["steps"]] == [-1, 0, 1] for path in (found["path"], *found["controls"])
    )
    assert {"percentile", "is_outside", "nearest", "round_trip", "text"} <= found["path"]["steps"][0].keys()


def test_strict_stops_where_the_way_leaves_the_data_and_says_so(folder, capsys):
    run(folder, "--steps", "-40..0 by 10", "--strict", "--controls", "0")
    said = capsys.readouterr().out
    assert "stopped: " in said and "would lie outside the data" in said and "OUTSIDE" not in said
    assert "down: leaves the data at -" in said
    run(folder, "--steps", "-40..0 by 10", "--controls", "0")
    assert "OUTSIDE" in capsys.readouterr().out


def test_the_page_has_every_answer_and_asks_for_nothing(folder, tmp_path, capsys):
    run(folder, "--steps", "0,4", "--out", tmp_path / "trace.html", "--json")
    found = json.loads(capsys.readouterr().out)
    page = (tmp_path / "trace.html").read_text(encoding="utf-8")
    assert all(step["text"] in page for path in (found["path"], *found["controls"]) for step in path["steps"])
    assert "&#34;Pair 40&#34; + 4*ghost" in page and "<script" not in page and "http:" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (('"Pair 40"', "--along", "gost"), "did you mean 'ghost'"),
        (('"Pair 40"', "--along", "ghost", "--steps", "up"), "type -3..3"),
        (('"Pair 99"', "--along", "ghost"), "Pair"),
        (('"Pair 40"', "--along", "ghost", "--steps", "-500", "--strict"), "lies outside the data"),
        (('"Pair 40"',), "--along"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(folder, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(["trace", str(folder), *arguments])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and said.count("\n") == 1 and message in said
