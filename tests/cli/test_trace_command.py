"""`vecspeak trace` from the outside, on a bundle of a tiny reader that truly reads."""

import dataclasses
import json

import numpy as np
import pytest

import worlds
from vecspeak.bundles import save_bundle
from vecspeak.cli import main
from vecspeak.explore.concepts import fit_entry_concept


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
    monkeypatch.setattr("vecspeak.asking.load_named_encoder", lambda *_: Named())


def run(folder, *more):
    main(["trace", str(folder), '"Pair 40"', "--along", "ghost", "--max-tokens", "8", *map(str, more)])


def test_the_answers_along_a_concept_are_shown_with_their_place_and_controls(folder, capsys):
    run(folder, "--steps", "0,2,4", "--reverse")
    said = capsys.readouterr().out
    assert said.startswith('"Pair 40" along ghost (tags = ghost) in pairs: Describe {x}.')
    for name in ("ghost:", "the reverse of ghost:", "random direction 1:", "isotropic direction 1:"):
        assert f"\n{name}\n" in said
    assert "% " in said and "near: Pair" in said and "up: " in said and "down: " not in said
    assert said.count("\n   amount  percentile          encoder  answer\n") == 4
    assert "\nencoder: how much of ghost is in the answer" in said
    assert "random direction: drawn as the items vary; isotropic direction: any direction alike" in said
    assert "change a step by encoder, 'ghost': ghost +" in said
    assert max(map(len, said.splitlines())) <= 220


def test_without_steps_some_are_chosen_and_said(folder, capsys):
    run(folder, "--controls", "0", "--reverse")
    said = capsys.readouterr().out
    assert said.splitlines()[1].startswith("amounts chosen: -") and "the reverse was not asked about" in said
    assert "the reverse of ghost:" not in said and "isotropic" not in said


def test_a_classifier_that_may_guess_is_shown_and_nothing_is_concluded(folder, capsys, monkeypatch):
    from vecspeak.protocols import text_judges
    from vecspeak.stats import Estimate

    low = [0.4]
    texts = ["ghost blood night", "love war rain"] * 20
    mask, held_out = np.arange(40) % 2 == 0, np.arange(40) >= 30
    trained = text_judges.train_judges(texts, {"ghost": mask}, held_out)
    monkeypatch.setattr(
        text_judges,
        "judge_of_source",
        lambda *_: dataclasses.replace(trained, auc={"ghost": Estimate(0.6, low[0], 0.8)}).judge("ghost"),
    )
    run(folder, "--steps", "0,4", "--controls", "0")
    said = capsys.readouterr().out
    assert "its interval includes 0.5, a guess, so nothing is concluded from it" in said
    assert "change a step by classifier of real texts, AUC 0.60 [0.40, 0.80]: not told" in said
    low[0] = 0.51
    run(folder, "--steps", "0,4", "--controls", "0")
    said = capsys.readouterr().out
    assert "nothing is concluded" not in said and "AUC 0.60 [0.51, 0.80]: ghost " in said


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
        (('"Pair 40"', "--along", "ghost", "--steps", "up"), "type auto, -3..3"),
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
