"""Taught: what trains, in which words, and what never does."""

import dataclasses

import lessons
import msgspec
import numpy as np
import pytest

from tiny_models import tiny_recipe
from vecspeak.bundles import save_bundle
from vecspeak.errors import UserError
from vecspeak.tasks.examples import is_held_out_person
from vecspeak.tasks.task_set import load_task_set
from vecspeak.training.dataset import read_target_dataset, with_names
from vecspeak.training.recipe import Targets
from worlds import ENCODER, HELD_OUT, entry


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return lessons.bundle(tmp_path_factory.mktemp("taught") / "toy.bundle")


@pytest.fixture
def folder(tmp_path, bundle):
    return lessons.write(tmp_path / "targets", bundle, lessons.some_targets() + lessons.held_out_targets())


def targets(*folders, **changes):
    return Targets(**{"folders": tuple(map(str, folders)), **changes})


def test_every_target_comes_as_often_as_there_are_passes_in_wordings_that_are_not_held_out(folder, bundle):
    taught = read_target_dataset(targets(folder, passes=3), bundle, 0)
    assert len(taught.examples) == 3 * len(lessons.some_targets())
    tasks = load_task_set("items").tasks
    assert all(example.question in tasks[example.task].prompts for example in taught.examples)
    never = {wording for task in tasks.values() for wording in task.held_out}
    asked = {example.question for example in taught.examples}
    assert not asked & never
    assert {"Summarize the item {x}.", "Write a summary of the item {x}."} <= asked
    first = [example.target for example in taught.examples[: len(lessons.FREE)]]
    assert sorted(first) == sorted(map(lessons.text_of, lessons.FREE))


def test_vectors_are_those_that_asking_reads_of_items_and_of_people(folder, bundle):
    taught = read_target_dataset(targets(folder), bundle, 0)
    entry = bundle.entry("pairs")
    for example in taught.examples:
        if example.task == "summary":
            assert np.allclose(
                taught.vectors[example.rows[0]], ENCODER.encode([example.target])[0], atol=1e-6
            )
        if example.task == "similarities":
            texts = [ENCODER.encode([text])[0] for text in example.target.split(", ")]
            read = taught.vectors[list(example.rows)]
            order = texts if example.question.index("{x}") < example.question.index("{y}") else texts[::-1]
            assert np.allclose(read, order, atol=1e-6)
    person = next(example for example in taught.examples if example.task == "user_profile")
    users = entry.alignment(entry.users.vectors, "user")
    assert np.abs(users - taught.vectors[person.rows[0]]).sum(1).min() < 1e-5


def test_what_is_held_out_is_watched_and_never_trained_on(folder, bundle):
    taught = read_target_dataset(targets(folder), bundle, 0)
    texts = {lessons.text_of(item) for item in HELD_OUT}
    assert {example.target for example in taught.validation} == texts
    assert not texts & {example.target for example in taught.examples if example.task == "summary"}
    used = {row for example in taught.examples for row in example.rows}
    assert not used & {row for example in taught.validation for row in example.rows}


def test_examples_depend_on_the_targets_and_the_seed_alone(folder, bundle):
    one, again, other = (read_target_dataset(targets(folder), bundle, seed) for seed in (0, 0, 1))
    assert one.examples == again.examples != other.examples
    assert one.facts == again.facts == other.facts


def test_a_task_keeps_its_examples_whatever_other_tasks_there_are(folder, tmp_path, bundle):
    fewer = [one for one in lessons.some_targets() if one.task == "summary"]
    alone = read_target_dataset(targets(lessons.write(tmp_path / "fewer", bundle, fewer)), bundle, 0)
    both = [one for one in read_target_dataset(targets(folder), bundle, 0).examples if one.task == "summary"]
    assert [(one.question, one.target) for one in both] == [
        (one.question, one.target) for one in alone.examples
    ]


def test_what_the_manifest_says_of_targets(folder, bundle):
    facts = read_target_dataset(targets(folder, weights={"user_profile": 0}), bundle, 0).facts
    assert facts["targets"] == {"summary": len(lessons.FREE), "long_description": len(lessons.FREE)} | {
        "similarities": len(lessons.FREE) - 1
    }
    assert facts["teachers"] == ["toy"] and facts["task_sets"] == {"pairs": "items"}
    assert len(facts["sha256"]) == 64


def test_folders_about_two_spaces_train_one_reader(tmp_path):
    source = lessons.bundle(tmp_path / "one.bundle")
    pairs = source.entry("pairs").space
    other = entry(space=dataclasses.replace(pairs, name="others", vectors=-pairs.vectors))
    both = save_bundle(
        tmp_path / "two.bundle", source=source, name="toy", entries={**source.entries, "others": other}
    )
    folders = [lessons.write(tmp_path / "pairs", both, lessons.some_targets())]
    digest = both.entry("others").space.digest
    only = [one for one in lessons.some_targets() if one.task == "summary"]
    folders += [lessons.write(tmp_path / "others", both, only, space="others", space_digest=digest)]
    taught = read_target_dataset(targets(*folders, passes=1), both, 0)
    assert taught.facts["task_sets"] == {"pairs": "items", "others": "items"}
    asked = [example for example in taught.examples if example.task == "summary"]
    assert len(asked) == 2 * len(lessons.FREE)
    signs = {text: [] for text in map(lessons.text_of, lessons.FREE)}
    for example in asked:
        signs[example.target].append(
            float(taught.vectors[example.rows[0]] @ ENCODER.encode([example.target])[0])
        )
    assert all(sorted(found) == pytest.approx([-1, 1], abs=1e-4) for found in signs.values())


def test_the_first_set_of_a_space_is_asked_by_name(tmp_path, bundle):
    asked = [lessons.target("mood", {"x": item}, lessons.text_of(item)) for item in lessons.FREE]
    folders = [
        lessons.write(tmp_path / "items", bundle, lessons.some_targets()),
        lessons.write(tmp_path / "asked", bundle, asked, task_set="questions"),
    ]
    taught = read_target_dataset(targets(*folders, passes=1), bundle, 0)
    assert {one.target for one in taught.examples if one.task == "mood"} == {one.text for one in asked}
    assert taught.facts["task_sets"] == {"pairs": "items"}


def test_the_recipe_is_kept_with_the_space_and_the_task_set(folder):
    recipe = tiny_recipe(targets={"folders": [str(folder)]})
    assert (recipe.targets.space, recipe.targets.task_set) == ("", "")
    named = with_names(recipe).targets
    assert (named.space, named.task_set) == ("pairs", "items")
    assert with_names(tiny_recipe()) == tiny_recipe()
    with pytest.raises(UserError, match="names no folder of targets"):
        with_names(tiny_recipe(targets={}))


HELD_OUT_PERSON = next(name for name in lessons.PEOPLE if is_held_out_person(name))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slots": {"x": "p0"}}, "is for training and about p0, which is held out"),
        (
            {"task": "user_profile", "slots": {"x": f"user:{HELD_OUT_PERSON}"}},
            f"is for training and about user:{HELD_OUT_PERSON}, which is held out",
        ),
        ({"slots": {"x": "p999"}}, "no item of the space 'pairs' has the id 'p999'"),
        ({"task": "user_profile", "slots": {"x": "user:nobody"}}, "no item .* has the id 'nobody'"),
        ({"slots": {"y": "p1"}}, "has the slots y; the task summary has x"),
        ({"task": "sing"}, "no task 'sing' in the set 'items'"),
        ({"split": "holdout"}, "of the split 'holdout' and about p1, which 'pairs' does not hold out"),
    ],
)
def test_a_target_that_must_not_train_or_fits_nothing_is_refused(tmp_path, bundle, changes, message):
    wrong = msgspec.structs.replace(lessons.some_targets()[0], **changes)
    folder = lessons.write(tmp_path / "wrong", bundle, [*lessons.some_targets(), wrong])
    with pytest.raises(UserError, match=message):
        read_target_dataset(targets(folder), bundle, 0)


def test_targets_of_another_space_are_refused(tmp_path, bundle):
    folder = lessons.write(tmp_path / "other", bundle, lessons.some_targets(), space_digest="0" * 64)
    with pytest.raises(UserError, match="are about another space 'pairs' than that of"):
        read_target_dataset(targets(folder), bundle, 0)
    folder = lessons.write(tmp_path / "other", bundle, lessons.some_targets(), space="songs")
    with pytest.raises(UserError, match="no space 'songs' in this bundle"):
        read_target_dataset(targets(folder), bundle, 0)


def test_a_weight_of_an_unknown_task_and_targets_of_which_none_is_left_are_refused(folder, tmp_path, bundle):
    with pytest.raises(UserError, match="targets.weights has 'sing'; the task set has summary"):
        read_target_dataset(targets(folder, weights={"sing": 1}), bundle, 0)
    only = lessons.write(tmp_path / "held_out", bundle, lessons.held_out_targets())
    with pytest.raises(UserError, match="no target to train on in"):
        read_target_dataset(targets(only), bundle, 0)


def test_people_of_a_bundle_without_people_are_told(tmp_path):
    from worlds import bundle as without_people

    bare = without_people(tmp_path / "bare.bundle")
    folder = lessons.write(tmp_path / "targets", bare, lessons.some_targets())
    with pytest.raises(UserError, match="targets are about people, and the space 'pairs'"):
        read_target_dataset(targets(folder), bare, 0)
    assert read_target_dataset(targets(folder, weights={"user_profile": 0}), bare, 0).examples


def test_a_folder_that_is_given_twice_does_not_count_twice(folder, bundle):
    with pytest.raises(UserError, match="is given twice"):
        read_target_dataset(targets(folder, folder.parent / "." / folder.name), bundle, 0)
