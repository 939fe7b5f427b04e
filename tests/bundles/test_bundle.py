"""Bundle: spaces are saved and opened whole, and a failed save leaves what was there."""

import dataclasses
import json

import numpy as np
import pytest

from fakes import note_files
from vecspeak.bundles import SpaceEntry, bundle, load_bundle, save_bundle, save_entry
from vecspeak.errors import UserError
from vecspeak.model.alignment import Alignment
from vecspeak.points import concept_from_metadata
from vecspeak.spaces import Space


@pytest.fixture
def entry(space):
    rng = np.random.default_rng(0)
    users = Space(
        name="things.users",
        ids=("1", "2"),
        labels=("1", "2"),
        vectors=rng.standard_normal((2, space.dim)).astype(np.float32),
    )
    alignment = Alignment(
        dim=space.dim,
        encoder_dim=16,
        center=space.vectors.mean(0),
        spread=2.0,
        user_center=users.vectors.mean(0),
        user_spread=0.5,
        matrix=rng.standard_normal((space.dim, 16)).astype(np.float32),
        offset=rng.standard_normal(16).astype(np.float32),
    )
    concept = concept_from_metadata(space, "scary", "scary", "true")
    return SpaceEntry(
        space=space,
        users=users,
        alignment=alignment,
        splits={"holdout": frozenset({"t1", "t5"}), "regions": frozenset({"t7"})},
        report={"penalty": 10.0},
        concepts={"scary": concept},
    )


@pytest.fixture
def saved(tmp_path, source, entry):
    return save_bundle(tmp_path / "things.bundle", source=source, name="things", entries={"things": entry})


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_was_saved_is_opened_whole(saved, entry):
    opened = load_bundle(saved.folder).entry()
    assert opened.space.digest == entry.space.digest
    assert opened.users.digest == entry.users.digest
    assert opened.splits == entry.splits and opened.report == entry.report
    assert np.array_equal(opened.concepts["scary"].direction, entry.concepts["scary"].direction)
    for kind in ("item", "user"):
        vectors = entry.space.vectors
        assert np.array_equal(opened.alignment(vectors, kind), entry.alignment(vectors, kind))


def test_what_is_held_out_is_the_union_of_the_splits_and_is_written_for_older_versions_too(saved, entry):
    assert entry.held_out == {"t1", "t5", "t7"}
    written = json.loads((saved.folder / "spaces" / "things" / "alignment.json").read_text())
    assert written["held_out"] == ["t1", "t5", "t7"]
    assert written["splits"] == {"holdout": ["t1", "t5"], "regions": ["t7"]}


def test_a_bundle_from_before_there_were_splits_has_a_plain_one(saved):
    path = saved.folder / "spaces" / "things" / "alignment.json"
    values = json.loads(path.read_text())
    del values["splits"]
    path.write_text(json.dumps(values))
    note_files(saved.folder)
    assert load_bundle(saved.folder).entry().splits == {"holdout": {"t1", "t5", "t7"}}


def test_the_reader_is_copied_with_its_digests(saved, source):
    assert saved.manifest.files == source.manifest.files != {}
    assert content(saved.reader_folder) == content(source.reader_folder)
    assert (saved.manifest.name, saved.manifest.spaces) == ("things", ("things",))


def test_an_identity_is_saved_and_opened_as_one(tmp_path, source, entry):
    same = Alignment(dim=entry.space.dim, encoder_dim=entry.space.dim)
    entry = dataclasses.replace(entry, alignment=same, users=None)
    opened = save_bundle(tmp_path / "b", source=source, name="b", entries={"things": entry}).entry()
    assert opened.alignment.is_identity
    assert opened.users is None


def test_a_second_space_is_added_and_the_first_stays(saved, entry):
    other = dataclasses.replace(entry, space=dataclasses.replace(entry.space, name="more"), concepts={})
    both = save_entry(saved, other)
    assert list(both.entries) == ["things", "more"]
    assert both.entry("things").space.digest == entry.space.digest
    with pytest.raises(
        UserError, match="holds several spaces; it has things, more; choose one with `space=NAME`"
    ):
        both.entry()


def test_a_space_that_is_not_there_lists_those_that_are(saved, source):
    with pytest.raises(UserError, match="no space 'movies' in this bundle; it has things"):
        saved.entry("movies")
    with pytest.raises(UserError, match=r"holds no space yet; add one with `VecSpeak.fit\("):
        source.entry()


def test_a_name_with_a_slash_is_refused_before_anything_is_written(tmp_path, source, entry):
    with pytest.raises(UserError, match="'a/b' is no name for a space"):
        save_bundle(tmp_path / "b", source=source, name="b", entries={"a/b": entry})
    assert not (tmp_path / "b").exists()


def test_no_bundle_says_how_to_make_one(tmp_path):
    with pytest.raises(UserError, match=r"there is no bundle at .*; make one with `VecSpeak.fit\("):
        load_bundle(tmp_path / "none")


def test_a_missing_file_of_the_reader_is_named(saved):
    (saved.reader_folder / "adapter.safetensors").unlink()
    with pytest.raises(UserError, match="lacks reader/adapter.safetensors"):
        load_bundle(saved.folder)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data[:-1] + b"?"])
def test_a_truncated_or_changed_file_of_the_reader_is_damaged(saved, change):
    path = saved.reader_folder / "adapter.safetensors"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match="adapter.safetensors is damaged"):
        load_bundle(saved.folder)


def test_a_missing_table_of_items_is_named(saved):
    (saved.folder / "spaces" / "things" / "items.parquet").unlink()
    with pytest.raises(UserError, match="items.parquet"):
        load_bundle(saved.folder)


def test_truncated_tensors_of_an_alignment_are_damaged(saved):
    path = saved.folder / "spaces" / "things" / "alignment.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    note_files(saved.folder)
    with pytest.raises(UserError, match="the alignment in .* is damaged"):
        load_bundle(saved.folder)


@pytest.mark.parametrize(
    "change",
    [
        {"numbers": None},
        {"numbers": {"dim": 12}},
        {"numbers": {"dim": 12, "encoder_dim": 16, "warp": 9}},
        {"numbers": {"dim": 7, "encoder_dim": 16, "unit": False, "spread": 1.0, "user_spread": 1.0}},
        {"numbers": {"dim": 12, "encoder_dim": 16, "unit": False, "spread": "wide", "user_spread": 1.0}},
        {"held_out": 3},
        {"held_out": ["t1"]},
        {"held_out": ["t1", "t5", "t7", "t9"]},
        {"held_out": ["t1", "none"], "splits": {"holdout": ["t1", "none"]}},
        {"splits": {}},
        {"splits": None},
        {"splits": {"holdout": 3}},
        {"splits": {"holdout": ["t1", "t5"], "regions": ["t5", "t7"]}},
        {"report": None},
    ],
    ids=str,
)
def test_wrong_numbers_of_an_alignment_are_damaged(saved, change):
    path = saved.folder / "spaces" / "things" / "alignment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    note_files(saved.folder)
    with pytest.raises(UserError, match="the alignment in .* is damaged"):
        load_bundle(saved.folder)


def test_an_alignment_of_another_width_than_its_space_is_damaged(tmp_path, source, entry):
    narrow = dataclasses.replace(entry, alignment=Alignment(dim=7, encoder_dim=7), users=None)
    with pytest.raises(UserError, match="is damaged .it maps vectors of 7 numbers, the space has 12"):
        save_bundle(tmp_path / "b", source=source, name="b", entries={"things": narrow})


@pytest.mark.parametrize("content", ["[]", "{", "3"])
def test_garbage_in_the_place_of_an_alignment_is_a_user_error(saved, content):
    (saved.folder / "spaces" / "things" / "alignment.json").write_text(content)
    note_files(saved.folder)
    with pytest.raises(UserError, match="alignment"):
        load_bundle(saved.folder)


@pytest.mark.parametrize("failing", ["save_space", "save_file", "write_json", "save_concept"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_save_that_fails_midway_leaves_the_old_bundle(saved, entry, monkeypatch, failing, error):
    before = content(saved.folder)

    def fail(*arguments, **named):
        raise error

    monkeypatch.setattr(bundle, failing, fail)
    with pytest.raises((KeyboardInterrupt, UserError)):
        save_entry(saved, dataclasses.replace(entry, splits={}))
    monkeypatch.undo()
    assert content(saved.folder) == before
    assert load_bundle(saved.folder).entry().held_out == entry.held_out
    assert [path.name for path in saved.folder.parent.iterdir() if path.name.startswith(".")] == []


def test_a_folder_that_is_no_bundle_is_not_replaced(tmp_path, source, entry):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"me")
    with pytest.raises(UserError, match="will not replace the folder"):
        save_bundle(tmp_path / "photos", source=source, name="b", entries={"things": entry})
    assert (tmp_path / "photos" / "me.jpg").read_bytes() == b"me"


def test_a_concept_under_another_name_is_not_taken_for_it(saved):
    """Else scary would be gone at the next save, and nobody told."""
    folder = saved.folder / "spaces" / "things" / "concepts"
    (folder / "zany.json").write_bytes((folder / "scary.json").read_bytes())
    with pytest.raises(UserError, match="zany.json holds the concept scary, whose file is scary.json"):
        load_bundle(saved.folder)


def test_damaged_distances_are_not_called_a_damaged_alignment(saved):
    path = saved.folder / "spaces" / "things" / "distances.safetensors"
    path.write_bytes(path.read_bytes()[:30])
    note_files(saved.folder)
    with pytest.raises(UserError, match="distances.safetensors is damaged") as caught:
        load_bundle(saved.folder)
    assert "alignment" not in str(caught.value)
    path.unlink()
    assert load_bundle(saved.folder).entry().concepts
