"""Distances: a kept calibration is the fresh one, is used only for its own space, and may be missing."""

import dataclasses

import numpy as np
import pytest

from fakes import note_files
from vecspeak.bundles import SpaceEntry, bundle, load_bundle, save_bundle
from vecspeak.errors import UserError
from vecspeak.model.alignment import Alignment
from vecspeak.spaces.search import DataDistance


@pytest.fixture
def entry(space):
    users = space.take(range(0, 120, 3))
    same = Alignment(dim=space.dim, encoder_dim=space.dim)
    return SpaceEntry(space=space, users=users, alignment=same, splits={}, report={}, concepts={})


@pytest.fixture
def saved(tmp_path, source, entry):
    return save_bundle(tmp_path / "b", source=source, name="b", entries={"things": entry})


def file_in(saved):
    return saved.folder / "spaces" / "things" / "distances.safetensors"


@pytest.fixture
def never(monkeypatch):
    def calibrate(*arguments, **named):
        raise AssertionError("it was calibrated again")

    monkeypatch.setattr(DataDistance, "from_space", calibrate)


def test_a_kept_calibration_equals_a_fresh_one(saved, entry):
    opened = load_bundle(saved.folder).entry()
    for kind, space in (("items", entry.space), ("users", entry.users)):
        kept, fresh = opened.distances[kind], DataDistance.from_space(space)
        np.testing.assert_array_equal(kept.reference, fresh.reference)
        np.testing.assert_array_equal(kept.percentile(space.vectors), fresh.percentile(space.vectors))


def test_what_is_kept_is_not_worked_out_again(saved, never):
    opened = load_bundle(saved.folder).entry()
    assert opened.distance().space is opened.space
    assert opened.distance("users").space is opened.users
    save_bundle(saved.folder, source=saved, name="b", entries={"things": opened})


def test_without_users_their_distance_is_that_of_the_items(entry):
    alone = dataclasses.replace(entry, users=None)
    assert alone.distance("users").space is alone.space


def test_an_entry_with_another_space_does_not_take_the_first_ones(entry):
    first = entry.distance()
    other = dataclasses.replace(entry, space=entry.space.take(range(60)), users=None)
    assert other.distance().space is other.space
    assert len(other.distance().reference) == 60 < len(first.reference)


def test_a_bundle_from_before_they_were_kept_opens_and_answers_the_same(saved, entry):
    file_in(saved).unlink()
    note_files(saved.folder)
    opened = load_bundle(saved.folder).entry()
    assert opened.distances == {}
    np.testing.assert_array_equal(opened.distance().reference, entry.distance().reference)


def test_distances_of_another_space_are_passed_over(saved, entry):
    other = dataclasses.replace(entry.space, vectors=entry.space.vectors * np.float32(1.5))
    bundle.save_space(other, saved.folder / "spaces" / "things" / "items.parquet")
    bundle.save_users(other, entry.users, saved.folder / "spaces" / "things" / "items.parquet")
    note_files(saved.folder)
    assert list(load_bundle(saved.folder).entry().distances) == ["users"]


@pytest.mark.parametrize(
    "spoil", [lambda whole: whole[:-4], lambda whole: b"{}", lambda whole: whole[:-4] + b"\xff" * 4]
)
def test_a_spoiled_file_is_damaged_and_says_what_to_do(saved, spoil):
    file_in(saved).write_bytes(spoil(file_in(saved).read_bytes()))
    note_files(saved.folder)
    with pytest.raises(UserError, match="distances.safetensors is damaged .*remove it"):
        load_bundle(saved.folder)
