"""Saving what was changed: whole or not at all, by two copies of a bundle, and inside an edit."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from fakes import NearestEngine
from vecspeak import UserError, VecSpeak
from vecspeak.bundles import save_bundle
from vecspeak.bundles.fitting import fit_space
from vecspeak.tables.files import read_array
from vecspeak.training.recipe import load_recipe


@pytest.fixture
def folder(space, texts, encoder, source, tmp_path):
    """A bundle of two spaces: the small world and another of the same vectors."""
    spaces = {name: dataclasses.replace(space, name=name) for name in ("things", "other")}
    entries = {
        name: fit_space(one, texts=texts, encoder=encoder, splits={"holdout": space.ids[:20]})
        for name, one in spaces.items()
    }
    return save_bundle(tmp_path / "two.bundle", source=source, name="two", entries=entries).folder


@pytest.fixture
def opened(folder, encoder, texts):
    return lambda: VecSpeak.load(folder, engine=NearestEngine(texts, encoder), encoder=encoder)


SCARY = {"where": "scary=true", "method": "mean", "force": True}


def test_a_concept_of_another_space_is_refused(opened):
    vs = opened()
    scary = vs.concept("scary", **SCARY, space="things")
    with pytest.raises(UserError, match="concept scary was fitted on other content of things"):
        vs.add_concepts([scary], space="other")
    vs.add_concepts([scary], space="things")
    vs.save()
    assert list(opened().concepts("things")) == ["scary"] and not opened().concepts("other")


def test_what_could_not_be_opened_again_is_not_saved(opened, folder):
    vs = opened()
    scary = vs.concept("scary", **SCARY, space="things")
    other = vs.entry("other")
    vs._keep(dataclasses.replace(other, concepts={"scary": scary}))
    with pytest.raises(UserError, match="two.bundle was not written.*fitted on other content"):
        vs.save()
    assert not opened().concepts("things"), "the bundle is as it was"
    assert not list(folder.parent.glob(".two.bundle.*.new")), "nothing half-written is left"


def test_copies_of_one_bundle_keep_each_others_concepts(opened):
    with_both = opened()
    for name in ("a", "b"):
        with_both.concept(name, **SCARY, space="things")
    with_both.save()
    first, second = opened(), opened()
    first.concept("mine", **SCARY, space="things")
    first.remove_concept("a", space="things")
    second.concept("yours", **SCARY, space="things")
    second.concept("b", where="scary=false", method="mean", force=True, space="things")
    first.save()
    second.save()
    assert set(opened().concepts("things")) == {"b", "mine", "yours"}
    assert opened().concept("b", space="things").source == "scary = false"


def test_a_space_that_was_fitted_again_meanwhile_is_not_put_back(opened, space):
    first, second = opened(), opened()
    second.fit(dataclasses.replace(space, name="things").take(list(range(100))))
    second.save()
    first.concept("scary", **SCARY, space="things")
    with pytest.raises(UserError, match="was fitted again on other content"):
        first.save()
    assert len(opened().spaces["things"]) == 100


def test_an_edit_may_save_write_an_atlas_and_edit_again(opened, folder, tmp_path):
    with VecSpeak.editing(folder) as vs:
        vs.concept("first", **SCARY, space="things")
        vs.save()
        vs.concept("second", **SCARY, space="things")
        vs.write_atlas(tmp_path / "atlas", reader=False, n_regions=4, space="things")
        with VecSpeak.editing(folder) as nested:
            nested.concept("third", **SCARY, space="things")
        vs.save(tmp_path / "copy.bundle")
        vs.concept("fourth", **SCARY, space="things")
    now = opened()
    assert set(now.concepts("things")) == {"first", "second", "third", "fourth"}
    assert now.entry("things").clusters is not None
    assert set(VecSpeak.load(tmp_path / "copy.bundle").concepts("things")) == {"first", "second"}


def test_writing_an_atlas_does_not_forget_an_unsaved_concept(opened, tmp_path):
    vs = opened()
    vs.concept("scary", **SCARY, space="things")
    vs.write_atlas(tmp_path / "atlas", reader=False, n_regions=4, space="things")
    vs.save()
    assert list(opened().concepts("things")) == ["scary"]


def test_an_atlas_that_fails_leaves_the_old_regions(opened, monkeypatch):
    vs = opened()
    vs.atlas(reader=False, n_regions=4, space="things")
    vs.save()
    regions = vs.entry("things").clusters

    def stopped(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(vs.engine, "generate", stopped)
    with pytest.raises(KeyboardInterrupt):
        vs.atlas(n_regions=6, space="things")
    assert vs.entry("things").clusters is regions and not vs._changed


def test_teaching_does_not_write_into_a_bundle(opened, folder):
    for out in (folder, folder / "targets"):
        with pytest.raises(UserError, match="is a bundle, or lies in one"):
            opened().teach(out, teacher="facts", space="things")
        with pytest.raises(UserError, match="is a bundle, or lies in one"):
            opened().write_atlas(out, reader=False, space="things")
    assert not (folder / "targets").exists()


def test_fitting_the_same_content_again_keeps_what_was_fitted_on_it(opened, space):
    vs = opened()
    things = vs.spaces["things"]
    people = dataclasses.replace(things.take([0, 1, 2]), name="people")
    vs.fit(things, users=people, holdout=vs.entry("things").held_out)
    vs.concept("scary", **SCARY, space="things")
    vs.atlas(reader=False, n_regions=4, space="things")
    vs.fit(things, holdout=vs.entry("things").held_out)
    again = vs.entry("things")
    assert again.users is people and list(again.concepts) == ["scary"] and again.clusters is not None
    with pytest.warns(UserWarning, match=r"drops 1 concepts \(scary\), 4 regions of its atlas, 3 people"):
        vs.fit(things.take(list(range(100))))
    assert not vs.entry("things").concepts and vs.entry("things").users is None
    vs.save()


def test_a_label_is_a_place_to_compare_and_an_own_engine_evaluates(opened, monkeypatch):
    vs = opened()
    bare, quoted = (
        vs.diff(*two, reader=False, space="things")
        for two in (("Thing 1", "Thing 2"), ('"Thing 1"', '"Thing 2"'))
    )
    assert bare.cosine == quoted.cosine and bare.first.name == quoted.first.name
    assert vs.diff(vs.spaces["things"].ids[1], "Thing 2", reader=False, space="things").cosine == bare.cosine
    words = SimpleNamespace(name="words", digest="of words")
    monkeypatch.setattr("vecspeak.evaluation.evaluate.load_named_encoder", lambda *_: words)
    evaluator = vs._evaluator(None, "none", "float32")
    assert evaluator.engine == vs.engine.name and evaluator.models().engines["reader"] is vs.engine


def test_a_header_of_impossible_length_and_a_folder_for_a_recipe_are_refused(tmp_path):
    path = tmp_path / "q.npy"
    np.save(path, np.ones(16, np.float32))
    path.write_bytes(path.read_bytes().replace(b"(16,), }" + b" " * 20, b"(1180591620717411303424,), }"))
    with pytest.raises(UserError, match="plain .npy array"):
        read_array(path)
    with pytest.raises(UserError, match="is a folder, not a file"):
        load_recipe(tmp_path)
