"""The ablations' exam and its intervals, and the words' recipe: what can be told without training anything."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import task_worlds
import worlds
from vecspeak.bundles import load_bundle, save_bundle
from vecspeak.model.prompt import vectors_of
from vecspeak.storage import write_json
from vecspeak.tasks.examples import Target, TargetsOrigin, write_targets
from vecspeak.training.recipe import load_recipe

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def module(name):
    """A script of benchmarks/, which is no package."""
    found = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    made = importlib.util.module_from_spec(found)
    sys.modules[found.name] = made
    sys.path.insert(0, str(BENCHMARKS))  # what it shares with the other scripts lies beside it
    try:
        found.loader.exec_module(made)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return made


ablations = module("ablations")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablations")
    worlds.bundle(folder / "toy.bundle")
    entries = {"pairs": task_worlds.entry()}
    return save_bundle(
        folder / "rated.bundle", source=load_bundle(folder / "toy.bundle"), name="rated", entries=entries
    )


def target(task, text, **slots):
    return Target(task=task, slots=slots, text=text, context="", teacher="t", split="holdout")


def exam(bundle, folder, *targets, count=100):
    space = bundle.entry("pairs").space
    about = TargetsOrigin(
        space="pairs", space_digest=space.digest, task_set="movies", words={}, split="holdout", seed=0
    )
    write_targets(folder, targets, about)
    return ablations.exam_of([folder], bundle, count)


def test_the_swapped_vector_is_never_the_right_one(bundle, tmp_path):
    made = exam(
        bundle,
        tmp_path,
        *(target("summary", f"by teacher {n} of p{row}", x=f"p{row}") for row in (1, 2) for n in range(3)),
        target("pitch", "the one target of its task", x="p3"),
    )
    assert sorted(set(made.tasks)) == ["summary"] and len(made.texts) == 6
    for right, swapped in zip(made.right, made.swapped, strict=True):
        assert not np.array_equal(vectors_of(right)[0], vectors_of(swapped)[0])
        assert right[0] == swapped[0]


def test_another_tasks_question_is_about_the_same_vectors(bundle, tmp_path):
    made = exam(
        bundle, tmp_path, *(target("similarities", f"t{n}", x=f"p{n}", y=f"p{n + 20}") for n in range(4))
    )
    for right, asked in zip(made.right, made.asked, strict=True):
        assert [p for p in right if isinstance(p, str)] != [p for p in asked if isinstance(p, str)]
        both = ({vector.tobytes() for vector in vectors_of(one)} for one in (right, asked))
        assert next(both) == next(both)


def test_people_are_read_as_in_training(bundle, tmp_path):
    made = exam(bundle, tmp_path, *(target("user_profile", f"of {n}", x=f"user:u{n}") for n in range(3)))
    entry = bundle.entry("pairs")
    wanted = {entry.alignment(entry.users.vectors[n][None], "user")[0].tobytes() for n in range(3)}
    assert {vectors_of(prompt)[0].tobytes() for prompt in made.right} == wanted


def test_targets_about_one_entity_count_as_one_draw():
    found = {
        "tasks": ["summary"] * 2 + ["pitch"] * 2,
        "entities": ["a", "b", "a", "b"],
        "right": [10.0, 20.0, 30.0, 40.0],
        "swapped": [20.0, 20.0, 30.0, 60.0],
        "asked": [11.0, 21.0, 31.0, 41.0],
        "tokens": [10, 10, 10, 10],
    }
    series = ablations.series_of(found)
    assert series["loss"].values.tolist() == [2.0, 3.0] and series["loss"].weights.tolist() == [20.0, 20.0]
    assert series["gap"].values.tolist() == [0.5, 1.0]
    assert series["question"].values == pytest.approx([0.1, 0.1])
    assert ablations.series_of(found, ["summary"])["loss"].values.tolist() == [1.0, 2.0]
    assert ablations.series_of(found, ["review"])["loss"].estimate() is None


def test_scores_are_taken_again_only_for_the_same_recipe_and_exam(bundle, tmp_path):
    first = exam(bundle, tmp_path / "first", *(target("summary", f"t{n}", x=f"p{n}") for n in range(4)))
    other = exam(bundle, tmp_path / "other", *(target("summary", f"u{n}", x=f"p{n}") for n in range(4)))
    recipe, longer = ablations.base_recipe(1000, 1.0), ablations.base_recipe(2000, 1.0)
    path = tmp_path / "scores.json"
    write_json(path, {"recipe": ablations.plain(recipe), "exam": first.digest})
    assert ablations.known_scores(path, recipe, first)
    assert ablations.known_scores(path, longer, first) is None
    assert ablations.known_scores(path, recipe, other) is None
    folders = {ablations.folder_of(tmp_path, "a variant", one) for one in (recipe, longer)}
    assert len(folders) == 2


def test_every_variant_asks_for_a_target_as_often():
    recipe = ablations.base_recipe(1000, 1.0)
    assert {change(recipe).targets.passes for change in ablations.VARIANTS.values()} == {ablations.PASSES}


def test_a_recipe_without_texts_of_packages_or_without_any_is_read():
    words = module("words")
    recipe = load_recipe(BENCHMARKS.parent / "recipes" / "ablations.toml")
    assert "description" not in words._only_before_packages(recipe).texts
    few = dataclasses.replace(recipe, texts={"plot": 5, "definition": 7})
    assert words._only_before_packages(few).texts == {"plot": 5, "definition": 7}
    assert words._words_of(dataclasses.replace(recipe, texts={})) == frozenset()
