"""A run on targets: from a saved reader and a teacher's texts to a bundle that can be asked about the same space."""

import dataclasses
import json
import os

import lessons
import numpy as np
import pytest
import torch

from fakes import WORDS
from tiny_models import base_folder, tiny_recipe
from vecspeak import building
from vecspeak.bundles import load_bundle, save_bundle
from vecspeak.bundles.bundle import save_entry
from vecspeak.errors import UserError
from vecspeak.model.named import base_place
from vecspeak.points import Concept
from vecspeak.storage import read_json
from vecspeak.training.batching import open_rows
from vecspeak.training.dataset import read_target_dataset, with_names
from vecspeak.training.recipe import recipe_from_dict
from vecspeak.training.run import fresh_reader, train_reader, validation_rows
from vecspeak.training.trainer import Trainer
from worlds import ENCODER, HELD_OUT, trained_folder

SCHEDULE = {"tokens_per_step": 1024, "warmup_steps": 1, "max_hours": 1000.0}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return lessons.bundle(tmp_path_factory.mktemp("tasks") / "toy.bundle")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, bundle):
    path = tmp_path_factory.mktemp("tasks") / "targets"
    return lessons.write(path, bundle, lessons.some_targets() + lessons.held_out_targets())


@pytest.fixture
def recipe(tmp_path, folder, bundle):
    plots = "".join(
        f'{i},Movie {i},,"The {WORDS[i % 10]} and the {WORDS[i % 7]} came to a town by the sea, {i} of them."\n'
        for i in range(80)
    )
    (tmp_path / "movies.csv").write_text("ID,Title,Category,Plot\n" + plots)
    return tiny_recipe(
        sources={"movies": str(tmp_path / "movies.csv")},
        base={"model": str(base_folder()), "encoder": ENCODER.name, "start": str(trained_folder())},
        targets={"bundle": str(bundle.folder), "folders": [str(folder)], "share": 0.6},
        schedule=SCHEDULE,
    )


def alone(recipe, **schedule):
    """The same with targets alone: no corpus at all."""
    values = {
        key: value for key, value in recipe.to_dict().items() if key not in ("sources", "split", "texts")
    }
    values["targets"] = {**values["targets"], "share": 1.0}
    return recipe_from_dict({**values, "tasks": {}, "schedule": {**SCHEDULE, **schedule}})


def run(recipe, bundle, folder, *, start=True):
    given = load_bundle(trained_folder()) if start else None
    return train_reader(recipe, ENCODER, folder, start=given, spaces=bundle, device="cpu")


def parameters(reader):
    named = {name: value for name, value in reader.language_model.named_parameters() if "lora_" in name}
    return {**named, **reader.adapter.state_dict()}


def test_a_run_has_its_share_of_tokens_of_targets_and_says_what_it_saw(tmp_path, recipe, bundle):
    trained = run(recipe, bundle, tmp_path / "run")
    told = trained.data["targets"]
    planned = sum(told["tokens_planned"].values())
    assert planned / trained.data["tokens_seen"] == pytest.approx(0.6, abs=0.03)
    assert sum(told["seen"].values()) + told["corpus_seen"] == trained.data["examples_seen"]
    assert set(told["seen"]) == {"summary", "long_description", "similarities", "user_profile"}
    assert trained.data["examples"]["describe"] and trained.data["texts"]["plot"]
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert "gap" in json.loads(log[-1])


def test_half_of_what_is_watched_are_held_out_targets_where_there_are_some(tmp_path, recipe, bundle, folder):
    reader = fresh_reader(recipe, ENCODER.dim, device="cpu")

    def watched(of, taught):
        tmp_path.joinpath("run").mkdir(exist_ok=True)
        held_out = validation_rows(of, ENCODER, tmp_path / "run", taught, reader)
        assert len(held_out.rows) == len(held_out.vectors)
        return held_out

    taught = read_target_dataset(recipe.targets, bundle, 0)
    texts = len(watched(recipe, None).rows)
    both = watched(recipe, taught)
    assert len(both.rows) == (texts + 1) // 2 + len(HELD_OUT)
    wanted = {lessons.text_of(item) for item in HELD_OUT}
    answers = {reader.tokenizer.decode(row.ids[row.num_prompt : -1]) for row in both.rows[-len(HELD_OUT) :]}
    assert answers == wanted
    for row, vector in zip(both.rows[-len(HELD_OUT) :], both.vectors[-len(HELD_OUT) :], strict=True):
        text = reader.tokenizer.decode(row.ids[row.num_prompt : -1])
        assert np.allclose(vector, ENCODER.encode([text])[0], atol=1e-6)
    assert len(watched(alone(recipe), taught).rows) == len(HELD_OUT)
    assert len(watched(recipe, dataclasses.replace(taught, validation=[])).rows) == texts


def test_targets_alone_need_no_corpus_and_learn_from_a_closed_form_start_too(tmp_path, recipe, bundle):
    alone_recipe = alone(recipe)
    trained = run(alone_recipe, bundle, tmp_path / "run")
    assert trained.data["targets"]["corpus_seen"] == 0 and "texts" not in trained.data
    base = dataclasses.replace(alone_recipe.base, start="")
    fresh = dataclasses.replace(alone_recipe, base=base)
    assert run(fresh, bundle, tmp_path / "fresh", start=False).progress.finished
    assert not list((tmp_path / "fresh").glob("texts-*"))


def test_tasks_are_learned_from_their_vectors(tmp_path, recipe, bundle):
    rates = {"adapter_rate": 2e-3, "model_rate": 1e-2, "tokens_per_step": 512}
    weights = {"long_description": 0, "similarities": 0, "user_profile": 0}
    longer = dataclasses.replace(
        alone(recipe, **rates),
        targets=dataclasses.replace(recipe.targets, share=1.0, passes=60, weights=weights),
        stages=tiny_recipe(stages=[{"name": "joint", "share": 1.0}]).stages,
    )
    run(longer, bundle, tmp_path / "run")
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < 0.3 * log[1]["loss"]  # the first line is of step 0
    assert log[-1]["gap"] > 0.2  # of held-out items


def test_a_run_that_was_killed_ends_with_the_same_weights(tmp_path, recipe, bundle, monkeypatch):
    whole = run(recipe, bundle, tmp_path / "whole")
    step = Trainer.step

    def stops(trainer):
        if trainer.progress.step == 4:
            trainer.save()
            raise KeyboardInterrupt
        step(trainer)

    monkeypatch.setattr(Trainer, "step", stops)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, bundle, tmp_path / "parts")
    monkeypatch.setattr(Trainer, "step", step)
    parts = run(recipe, bundle, tmp_path / "parts")
    assert whole.progress.step == parts.progress.step > 5
    theirs = parameters(parts.reader)
    assert all(torch.equal(value, theirs[name]) for name, value in parameters(whole.reader).items())
    assert whole.data["targets"] == parts.data["targets"]


def test_a_run_is_not_gone_on_with_after_its_targets_have_changed(tmp_path, recipe, bundle):
    path = lessons.write(tmp_path / "targets", bundle, lessons.some_targets())
    moved = dataclasses.replace(recipe, targets=dataclasses.replace(recipe.targets, folders=(str(path),)))
    short = dataclasses.replace(moved, schedule=dataclasses.replace(moved.schedule, max_tokens=2000))
    run(short, bundle, tmp_path / "run")
    lessons.write(path, bundle, lessons.some_targets()[1:])
    with pytest.raises(UserError, match="another recipe, of other targets or from another reader"):
        run(short, bundle, tmp_path / "run")


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_runs_end_at_the_same_number_of_tokens_whatever_their_mixture(tmp_path, recipe, bundle, share):
    targets = dataclasses.replace(recipe.targets, share=share)
    schedule = dataclasses.replace(recipe.schedule, max_tokens=3000, tokens_per_step=256)
    trained = run(dataclasses.replace(recipe, targets=targets, schedule=schedule), bundle, tmp_path / "run")
    assert trained.progress.finished
    assert 3000 <= trained.data["tokens_seen"] < 3256


def test_a_run_that_has_fewer_tokens_than_it_may_have_says_so(tmp_path, recipe, bundle, capsys):
    run(alone(recipe, max_tokens=10**6), bundle, tmp_path / "run")
    assert "tokens, of 1,000,000: its examples end there" in capsys.readouterr().err


def test_a_long_target_is_learned_to_its_end(tmp_path, recipe, bundle):
    text = "ghost blood joke " * 13  # above the 128 tokens that texts of the corpus have
    targets = [*lessons.some_targets(), lessons.target("long_description", {"x": lessons.FREE[0]}, text)]
    path = lessons.write(tmp_path / "targets", bundle, targets)
    moved = dataclasses.replace(recipe.targets, folders=(str(path),), share=1.0)
    run(dataclasses.replace(alone(recipe, max_tokens=600), targets=moved), bundle, tmp_path / "run")
    rows = [row for path in (tmp_path / "run").glob("tokens-*.npy") for row in open_rows(path)]
    longest = max(rows, key=lambda row: len(row.ids) - row.num_prompt)
    assert len(longest.ids) - longest.num_prompt > 128
    assert longest.ids[-1] == 1  # the stop


def build(recipe, folder, monkeypatch, **options):
    monkeypatch.setattr(building, "load_encoder", lambda name: ENCODER)
    return building.build_reader(recipe, folder / "work", folder / "out.bundle", **options).card


def test_a_bundle_that_the_run_did_not_make_is_left_alone(tmp_path, recipe, bundle, monkeypatch):
    out = tmp_path / "out.bundle"
    save_bundle(out, source=bundle, name="mine", entries=bundle.entries)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="another bundle at .*out.bundle already, 'mine'"):
        build(alone(recipe, max_tokens=600), tmp_path, monkeypatch)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_run_that_ended_may_write_its_bundle_again(tmp_path, recipe, monkeypatch):
    first = build(alone(recipe, max_tokens=600), tmp_path, monkeypatch)
    assert build(alone(recipe, max_tokens=600), tmp_path, monkeypatch) == first
    assert [path.name for path in tmp_path.glob(".out.bundle*")] == []


def test_another_run_of_the_same_recipe_does_not_replace_the_bundle(tmp_path, recipe, monkeypatch):
    short = alone(recipe, max_tokens=600)
    build(short, tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"another bundle at .*'tiny', that the run in .*other did not write"):
        building.build_reader(short, tmp_path / "other", tmp_path / "out.bundle")
    assert not (tmp_path / "other").exists()
    os.rename(tmp_path / "out.bundle", tmp_path / "mine.bundle")
    with pytest.raises(
        UserError, match="another bundle at .*mine.bundle"
    ):  # it may have become someone's own
        building.build_reader(short, tmp_path / "work", tmp_path / "mine.bundle")


def test_a_run_that_goes_on_replaces_its_reader_and_keeps_what_was_added_to_the_bundle(
    tmp_path, recipe, monkeypatch
):
    short = alone(recipe, max_hours=1e-9, tokens_per_step=512)
    build(short, tmp_path, monkeypatch)
    first = load_bundle(tmp_path / "out.bundle")
    entry = first.entry("pairs")
    concept = Concept(
        name="spooky",
        space="pairs",
        space_digest=entry.space.digest,
        direction=np.eye(entry.space.dim, dtype=np.float32)[0],
        scale=0.1,
        method="given",
    )
    save_entry(first, dataclasses.replace(entry, concepts={"spooky": concept}))
    build(building.with_hours(short, 1000.0), tmp_path, monkeypatch)
    second = load_bundle(tmp_path / "out.bundle")
    assert second.manifest.files != first.manifest.files
    assert set(second.entry("pairs").concepts) == {"spooky"}
    assert second.manifest.reader.recipe["schedule"]["max_hours"] == 1000.0


def test_the_summary_says_how_the_run_ended_and_whether_the_vector_is_read(tmp_path, recipe, monkeypatch):
    monkeypatch.setattr(building, "load_encoder", lambda name: ENCODER)
    made = building.build_reader(alone(recipe, max_tokens=600), tmp_path / "work", tmp_path / "out.bundle")
    found = made.summary
    assert read_json(tmp_path / "work" / "summary.json") == found
    assert (found["ended_by"], found["planned_steps"]) == ("plan", found["steps"])
    assert (found["tokens"], found["spaces"]) == (made.card.data["tokens_seen"], ["pairs"])
    held_out = found["held_out"]
    assert (held_out["rows"], held_out["entities"]) == (len(HELD_OUT), len(HELD_OUT))
    for when in ("before", "after"):
        for value in held_out[when].values():
            assert value["low"] < value["value"] < value["high"]
    assert found["vector_is_read"] == (held_out["after"]["swap_gap"]["low"] > 0)
    log = [json.loads(line) for line in (tmp_path / "work" / "log.jsonl").read_text().splitlines()]
    for line, when in ((log[0], "before"), (log[-1], "after")):
        assert held_out[when]["swap_gap"]["value"] == pytest.approx(line["gap"], abs=1e-3)


def test_the_bundle_keeps_the_spaces_and_its_card_says_what_was_taught(tmp_path, recipe, bundle, monkeypatch):
    card = build(alone(recipe, max_tokens=2000), tmp_path, monkeypatch)
    made = load_bundle(tmp_path / "out.bundle")
    entry = made.entry("pairs")
    assert entry.space.digest == bundle.entry("pairs").space.digest
    assert entry.held_out == bundle.entry("pairs").held_out >= HELD_OUT
    assert np.array_equal(entry.users.vectors, bundle.entry("pairs").users.vectors)
    assert made.manifest.files != load_bundle(trained_folder()).manifest.files
    kept = made.manifest.reader
    assert (kept.recipe["targets"]["space"], kept.recipe["targets"]["task_set"]) == ("pairs", "items")
    assert kept.data["targets"]["teachers"] == ["toy"] and kept.data["start"]["name"] == "toy"
    assert kept.data["start"]["recipe"] == load_bundle(trained_folder()).manifest.reader.recipe
    assert kept.data["targets"]["sha256"] == card.data["targets"]["sha256"]
    assert recipe_from_dict(kept.recipe) == with_names(alone(recipe, max_tokens=2000))
    # it names its base and holds no place; here the folder that the recipe named is known by its weights
    assert kept.base_model == base_folder().name
    assert base_place(kept.base_model, kept.base_sha256) == str(base_folder().resolve())
    again = build(alone(recipe, max_tokens=2000), tmp_path, monkeypatch)
    assert again.data == card.data


def test_the_command_line_names_other_targets_and_another_bundle(recipe):
    changed = building.with_targets(recipe, "other.bundle", ["a", "b"]).targets
    assert (changed.bundle, changed.folders, changed.share) == ("other.bundle", ("a", "b"), 0.6)
    assert building.with_targets(recipe, "", []) == recipe
    assert building.with_targets(tiny_recipe(), "x.bundle", ["a"]).targets.folders == ("a",)


def test_a_bundle_of_another_encoder_or_none_is_refused(recipe):
    other = dataclasses.replace(recipe, base=dataclasses.replace(recipe.base, encoder="toy"))
    with pytest.raises(UserError, match="are mapped to words, the recipe's reader reads toy"):
        building.bundles_of(other)
    nowhere = dataclasses.replace(recipe, targets=dataclasses.replace(recipe.targets, bundle=""))
    with pytest.raises(UserError, match="has targets and names no bundle of their spaces"):
        building.bundles_of(nowhere)
    assert building.bundles_of(tiny_recipe()) == (None, None)
