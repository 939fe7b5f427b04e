"""Contents: what is missing, changed or unknown in a bundle is said when it is opened, or by `check`."""

import dataclasses
import json

import pytest

from fakes import WordEncoder
from vecspeak import VecSpeak
from vecspeak.bundles import load_bundle, save_bundle
from vecspeak.bundles.fitting import fit_space
from vecspeak.errors import UserError
from vecspeak.spaces.clusters import cluster_space
from vecspeak.storage import file_digest

HERE = "spaces/things"


@pytest.fixture
def full(space, texts, source, tmp_path):
    """A bundle in which every kind of file is."""
    entry = fit_space(space, texts=texts, encoder=WordEncoder(), users=space.take(range(0, 120, 3)))
    entry = dataclasses.replace(entry, clusters=cluster_space(space, "kmeans", k=5))
    folder = save_bundle(
        tmp_path / "full.bundle", source=source, name="full", entries={"things": entry}
    ).folder
    vs = VecSpeak.load(folder)
    vs.fit_concept("scary", where="scary = true")
    return vs.save().folder


def states(folder):
    return {one.path: one.state for one in VecSpeak.check(folder).files if one.state != "whole"}


def test_every_file_that_a_save_writes_is_noted(full):
    noted = json.loads((full / "manifest.json").read_text())["space_files"]
    there = {path.relative_to(full).as_posix(): path for path in full.rglob("*") if path.is_file()}
    assert set(noted) == {path for path in there if path.startswith("spaces/")}
    assert {path.rpartition("/")[2] for path in noted} == {
        *("items.parquet", "items.users.parquet", "alignment.json", "alignment.safetensors", "scary.json"),
        *("clusters.safetensors", "distances.safetensors", "lexicon.json", "lexicon.safetensors"),
    }
    for path, facts in noted.items():
        assert facts == {"sha256": file_digest(there[path]), "size": there[path].stat().st_size}
    found = VecSpeak.check(full)
    assert found.is_whole and not states(full) and found.made.startswith("20")


@pytest.mark.parametrize(
    "name",
    [
        "items.users.parquet",
        "concepts/scary.json",
        "clusters.safetensors",
        "distances.safetensors",
        "lexicon.json",
    ],
)
def test_what_is_missing_is_said_when_it_is_opened_and_not_again_after_a_save(full, name):
    (full / HERE / name).unlink()
    said = []
    vs = VecSpeak.load(full, notify=said.append)
    assert said == [f"the bundle {full} lacks {HERE}/{name}, which its manifest names: it is opened without"]
    assert states(full) == {f"{HERE}/{name}": "missing"} and not VecSpeak.check(full).is_whole
    vs.fit_concept("calm", where="scary = false")
    vs.save()
    assert load_bundle(full).note == "" and VecSpeak.check(full).is_whole


@pytest.mark.parametrize("name", ["items.parquet", "alignment.json", "alignment.safetensors"])
def test_a_space_without_its_vectors_or_its_map_is_refused(full, name):
    (full / HERE / name).unlink()
    with pytest.raises(UserError, match=f"lacks {HERE}/{name}; copy or make the bundle again"):
        load_bundle(full)
    found = VecSpeak.check(full)
    assert f"{HERE}/{name}" in found.error and states(full) == {f"{HERE}/{name}": "missing"}


@pytest.mark.parametrize(
    "name",
    ["items.users.parquet", "concepts/scary.json", "clusters.safetensors", "lexicon.json", "alignment.json"],
)
def test_a_small_file_that_was_changed_is_refused(full, name):
    path = full / HERE / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=f"{name} is damaged: it is not the file the manifest names"):
        load_bundle(full)
    assert states(full) == {f"{HERE}/{name}": "changed"}


def test_a_large_file_is_compared_by_size_when_opened_and_by_digest_in_check(full, monkeypatch):
    monkeypatch.setattr("vecspeak.bundles.contents._SMALL", 100)
    path = full / HERE / "lexicon.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    load_bundle(full)
    assert states(full) == {f"{HERE}/lexicon.safetensors": "changed"}
    path.write_bytes(data + b"x")
    with pytest.raises(
        UserError, match=r"lexicon.safetensors is damaged: .* or remove that file to go on without"
    ):
        load_bundle(full)


def test_what_the_manifest_does_not_name_is_extra(full, tmp_path):
    (full / "x").mkdir()
    (full / "x" / "evil.py").write_text("")
    (full / "link").symlink_to(tmp_path)
    assert states(full) == {"x/evil.py": "extra", "link": "link"} and not VecSpeak.check(full).is_whole


def test_what_nobody_named_is_not_carried_into_another_bundle(full, tmp_path):
    (full / "reader" / "evil.py").write_text("")
    VecSpeak.load(full).save(tmp_path / "other.bundle")
    assert not (tmp_path / "other.bundle" / "reader" / "evil.py").exists()
    assert VecSpeak.check(tmp_path / "other.bundle").is_whole


def test_a_bundle_of_format_1_opens_and_check_says_that_it_has_no_digests(full):
    values = json.loads((full / "manifest.json").read_text())
    del values["space_files"], values["made"]
    (full / "manifest.json").write_text(json.dumps({**values, "format_version": 1}))
    found = VecSpeak.check(full)
    assert found.is_whole and found.format_version == 1 and found.made == ""
    assert set(states(full).values()) == {"no digest"} and len(states(full)) == 9
    (full / HERE / "concepts" / "scary.json").unlink()
    assert load_bundle(full).note == ""  # nothing was noted, so that nothing is missed


def test_check_says_what_is_in_it_and_from_whom(full):
    found = VecSpeak.check(full)
    (space,) = found.spaces
    assert (space.name, space.items, space.users, space.regions, space.concepts) == (
        "things",
        120,
        40,
        5,
        ("scary",),
    )
    assert (found.encoder.name, found.encoder.place, found.base.name, found.base.place) == (
        "words",
        "",
        "none",
        "",
    )
    assert json.loads(json.dumps(found.to_dict()))["is_whole"] is True
    shipped = VecSpeak.check("src/vecspeak/assets/reader")
    assert shipped.base.place == shipped.encoder.place == "package" and shipped.began_as == "reader"
    assert "CC BY-SA" in shipped.trained_on["movies"]
