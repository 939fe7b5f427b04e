"""Recipe: those that ship load, and a wrong setting is named."""

import json
import re
from math import inf, nan
from pathlib import Path

import pytest

from tiny_models import tiny_recipe
from vecspeak.errors import UserError
from vecspeak.tasks.corpus import CORPUS_TASKS, KINDS
from vecspeak.tasks.sources import SOURCES
from vecspeak.training.recipe import identity_of, load_recipe, recipe_from_dict

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_that_ships_loads_and_names_what_there_is(path):
    recipe = load_recipe(path)
    assert set(recipe.tasks) <= set(CORPUS_TASKS)
    assert set(recipe.texts) <= set(KINDS)
    assert set(recipe.passes) <= set(recipe.texts)
    assert set(recipe.sources) == set(recipe.split) <= set(SOURCES)
    assert recipe.stages[0].name == "adapter" and recipe.stages[-1].name == "joint"


def test_recipes_are_there():
    assert {"reader", "ablations", "one", "base"} <= {path.stem for path in RECIPES}


def test_the_shipped_readers_recipe_goes_on_from_the_one_before_and_replays_its_corpus():
    recipe, of_reader = (load_recipe(RECIPES[0].with_name(f"{name}.toml")) for name in ("one", "reader"))
    assert (RECIPES[0].parents[1] / recipe.base.start / "manifest.json").is_file()
    assert recipe.targets is not None and recipe.answers is not None and recipe.replays
    for name in ("sources", "split", "noise", "adapter", "lora", "seed"):
        assert getattr(recipe, name) == getattr(of_reader, name), name
    assert all(count <= of_reader.texts[kind] for kind, count in recipe.texts.items())
    assert recipe.schedule.model_rate < of_reader.schedule.model_rate


def test_a_recipe_as_it_was_run_is_the_same_recipe():
    recipe = tiny_recipe(noise={"share": 0.4, "max_sd": 0.02})
    assert recipe_from_dict(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": {"share": 1.5}}, "noise.share must be between 0 and 1, got 1.5"),
        ({"noise": {"shares": 0.5}}, r"\[noise\] has 'shares'; allowed are share, max_sd"),
        ({"lora": {"rank": 0}}, "lora.rank must be between 1 and 1024, got 0"),
        ({"lora": {"rank": "high"}}, "lora.rank must be a whole number, got 'high'"),
        ({"schedule": {"tokens_per_step": 10}}, "schedule.tokens_per_step must be between 256"),
        ({"stages": [{"name": "warm", "share": 1.0}]}, "stages.name must be adapter or joint, got 'warm'"),
        ({"stages": [{"name": "joint", "share": 0.5}]}, "shares of the stages add up to 0.5, not 1"),
        ({"stages": []}, "shares of the stages add up to 0, not 1"),
        ({"base": {"model": "x"}}, r"\[base\] does not fit.*'encoder'"),
        ({"learning": 1}, r"\[recipe\] has 'learning'; allowed are name, base"),
        ({"tasks": {"sing": 1.0}}, r"\[tasks\] has 'sing'; allowed are describe"),
        ({"tasks": {"describe": 0.0}}, r"weights of the recipe's \[tasks\] add up to 0"),
        ({"tasks": {"describe": -1.0}}, "tasks.describe must be a number of at least 0, got -1.0"),
        ({"texts": {"poem": 5}}, r"\[texts\] has 'poem'; allowed are plot"),
        ({"texts": {"plot": 0.5}}, "texts.plot must be a whole number of at least 0, got 0.5"),
        ({"passes": {"plot": True}}, "passes.plot must be a whole number of at least 0, got True"),
        ({"sources": {"songs": "x"}}, r"\[sources\] has 'songs'; allowed are movies, words, packages"),
        ({"split": "half"}, "split must be a table, got 'half'"),
        ({"speed": {"packing": True}}, "speed.packing must be auto, on or off, got True"),
        ({"speed": {"pack_length": 300}}, "speed.pack_length must be a multiple of 128, got 300"),
        ({"speed": {"compile": "on", "packing": "off"}}, "speed.compile is on and speed.packing off"),
        ({"speed": {"prefetch": 2}}, r"\[speed\] has 'prefetch'; allowed are packing, pack_length, compile"),
        ({"hold_out": {"kinds": ["poem"]}}, "hold_out.kinds has 'poem'; allowed are plot, facts"),
        ({"hold_out": {"tasks": ["sing"]}}, "hold_out.tasks has 'sing'; allowed are describe, plot"),
        (
            {"hold_out": {"tasks": [["plot"]]}},
            r"hold_out.tasks must be a list of texts, got \[\['plot'\]\]",
        ),
        ({"hold_out": {"kinds": "plot"}}, "hold_out.kinds must be a list of texts, got 'plot'"),
        ({"hold_out": {"texts": []}}, r"\[hold_out\] has 'texts'; allowed are kinds, tasks"),
        ({"hold_out": 3}, "hold_out must be a table, got 3"),
        ({"hold_out": {"tasks": ["describe"]}}, "hold_out.tasks leaves no task with a weight"),
        ({"hold_out": {"kinds": ["plot", "sentence"]}}, "hold_out.kinds leaves no kind of text"),
        ({"schedule": {"max_tokens": -1}}, "schedule.max_tokens must be between 0"),
        ({"texts": {}}, r"the recipe has no \[texts\]; only one whose \[targets\] have share = 1.0"),
        ({"sources": {}, "targets": {"share": 0.9}}, r"the recipe has no \[sources\]; only one"),
        ({"targets": {"share": 2}}, "targets.share must be between 0.01 and 1, got 2"),
        ({"targets": {"share": 0}}, "targets.share must be between 0.01 and 1, got 0"),
        ({"targets": {"passes": 0}}, "targets.passes must be between 1 and 1000, got 0"),
        ({"targets": {"distill": 0.5}}, "targets.distill is 0.5, and distillation was removed"),
        ({"targets": {"folders": "work"}}, "targets.folders must be a list of texts, got 'work'"),
        ({"targets": {"folders": [1]}}, r"targets.folders must be a list of texts, got \[1\]"),
        ({"targets": {"weights": {"summary": -1}}}, "targets.weights.summary must be a number of at least 0"),
        ({"targets": {"weights": 3}}, "targets.weights must be a table, got 3"),
        ({"targets": {"teacher": "x"}}, r"\[targets\] has 'teacher'; allowed are bundle, folders, share"),
        ({"targets": "x"}, "targets must be a table, got 'x'"),
        ({"targets": {"passes": 1.5}}, "targets.passes must be a whole number, got 1.5"),
        (
            {"targets": {"weights": {"summary": nan}}},
            "targets.weights.summary must be a number of at least 0",
        ),
        ({"targets": {"bundle": 5}}, "targets.bundle must be a text on one line, got 5"),
        ({"schedule": {"adapter_rate": nan}}, "schedule.adapter_rate must be a number, got nan"),
        ({"schedule": {"model_rate": -1.0}}, "schedule.model_rate must be between 0 and 1, got -1.0"),
        ({"schedule": {"warmup_steps": -5}}, "schedule.warmup_steps must be between 0"),
        ({"schedule": {"max_hours": inf}}, "schedule.max_hours must be a number, got inf"),
        ({"adapter": {"hidden_dim": 0}}, "adapter.hidden_dim must be between 1"),
        ({"adapter": {"num_soft_tokens": True}}, "adapter.num_soft_tokens must be a whole number, got True"),
        ({"lora": {"alpha": 0}}, "lora.alpha must be between"),
        ({"lora": {"targets": []}}, "lora.targets names no layer"),
        ({"seed": -1}, "seed must be between 0 and 4294967295, got -1"),
        ({"seed": 1.5}, "seed must be a whole number, got 1.5"),
        ({"name": 5}, "name must be a text on one line, got 5"),
        ({"name": " "}, "the recipe has an empty name"),
        ({"stages": 5}, "stages must be tables, got 5"),
        ({"stages": ["joint"]}, "stages must be a table, got 'joint'"),
        ({"split": {"movies": 2.0}}, "split.movies must be between 0 and 1, got 2.0"),
        ({"sources": {"movies": 5}}, "sources.movies must be a text on one line, got 5"),
        (
            {"base": {"model": "x", "encoder": "y", "start": 5}},
            "base.start must be a text on one line, got 5",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(changes, message):
    with pytest.raises(UserError, match=message):
        tiny_recipe(**changes)


def test_a_misspelt_setting_of_a_file_is_named_with_the_file_and_what_was_meant(tmp_path):
    text = (
        RECIPES[0]
        .with_name("ablations.toml")
        .read_text(encoding="utf-8")
        .replace("warmup_steps =", "warmup_step =")
    )
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    with pytest.raises(
        UserError,
        match=r"mine.toml: the recipe's \[schedule\] has 'warmup_step'; .*did you mean 'warmup_steps'",
    ):
        load_recipe(tmp_path / "mine.toml")


def test_what_is_held_out_is_kept_and_a_recipe_that_holds_out_nothing_looks_as_before():
    recipe = tiny_recipe(hold_out={"kinds": ["pair"], "tasks": ["keywords", "genres"]})
    assert recipe.to_dict()["hold_out"] == {"kinds": ("pair",), "tasks": ("keywords", "genres")}
    assert recipe_from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert "hold_out" not in tiny_recipe().to_dict()
    assert "hold_out" not in tiny_recipe(hold_out={"kinds": []}).to_dict()


def test_words_are_kept_and_a_recipe_without_them_looks_as_before():
    recipe = tiny_recipe(words={"share": 0.5})
    assert recipe.to_dict()["words"] == {"share": 0.5, "most": 12, "missing": 0.3, "wrong": 0.1}
    assert recipe_from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert "words" not in tiny_recipe().to_dict()


def test_targets_are_kept_and_a_recipe_without_them_looks_as_before():
    given = {
        "bundle": "b",
        "folders": ["one", "two"],
        "share": 1.0,
        "weights": {"summary": 2.0},
    }
    recipe = tiny_recipe(
        targets=given, sources={}, split={}, texts={}, tasks={}, schedule={"max_tokens": 5000}
    )
    assert not recipe.replays
    assert recipe_from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    before = tiny_recipe().to_dict()
    assert (
        "targets" not in before and "max_tokens" not in before["schedule"] and "start" not in before["base"]
    )
    assert recipe_from_dict(before) == tiny_recipe()


def test_a_recipe_of_before_that_distilled_nothing_loads_and_its_run_goes_on():
    targets = {"folders": ["one"], "share": 0.6}
    old = tiny_recipe(targets={**targets, "distill": 0.0})
    assert old == tiny_recipe(targets=targets) and "distill" not in old.to_dict()["targets"]
    saved = {"schedule": {}, "targets": {**targets, "distill": 0.0}}
    assert identity_of(saved) == identity_of({"schedule": {}, "targets": targets})
    assert identity_of({"targets": {"distill": 0.5}})["targets"] == {"distill": 0.5}


def test_how_fast_is_kept_only_where_it_is_not_as_usual():
    recipe = tiny_recipe(speed={"packing": "on", "pack_length": 2048})
    assert recipe.to_dict()["speed"] == {"packing": "on", "pack_length": 2048, "compile": "auto"}
    assert recipe_from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert "speed" not in tiny_recipe(speed={"packing": "auto"}).to_dict()


def test_a_recipe_without_its_base_is_refused():
    values = tiny_recipe().to_dict()
    del values["base"]
    with pytest.raises(UserError, match=r"\[recipe\] does not fit.*'base'"):
        recipe_from_dict(values)


def test_a_missing_file_and_a_file_that_is_no_toml_are_told_apart(tmp_path):
    with pytest.raises(UserError, match="no recipe at .*none.toml"):
        load_recipe(tmp_path / "none.toml")
    for content in (b"name = ", b"\xff\xfe"):
        (tmp_path / "broken.toml").write_bytes(content)
        with pytest.raises(UserError, match="broken.toml is not TOML"):
            load_recipe(tmp_path / "broken.toml")


def test_a_source_in_a_package_is_found_beside_it(tmp_path, monkeypatch):
    (tmp_path / "toy_package").mkdir()
    (tmp_path / "toy_package" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    recipe = tiny_recipe(sources={"movies": "package:toy_package/data/movies.csv"})
    assert recipe.source_paths() == {"movies": tmp_path / "toy_package" / "data" / "movies.csv"}


def test_a_source_in_a_package_that_is_not_installed_says_what_to_type():
    recipe = tiny_recipe(sources={"movies": "package:no_such_package/movies.csv"})
    with pytest.raises(UserError, match="pip install --no-deps no_such_package"):
        recipe.source_paths()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_number_of_a_recipe_that_ships_is_explained(path):
    """Beside it, in the lines above it, or at its table where all numbers of that are alike."""
    silent, above, table = [], False, False
    for line in path.read_text(encoding="utf-8").splitlines():
        setting, _, comment = (part.strip() for part in line.partition("#"))
        if setting.startswith("["):
            table = bool(comment) and setting in ("[split]", "[texts]", "[passes]", "[tasks]")
            above = False
        elif not line:
            above = False
        elif not setting:
            above = True
        elif re.search(r"= *[\d.]", setting) and not (comment or above or table):
            silent.append(line)
    assert not silent
