"""Maps are made once: a bundle and the cache keep them, and what is broken or of other vectors is never used."""

import json

import numpy as np
import pytest

from vecspeak import UserError, VecSpeak
from vecspeak.bundles.maps import MAP_FILE, cached_map
from vecspeak.spaces import plane
from vecspeak.storage import cache_folder


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def never(monkeypatch):
    """After it is called nothing may be laid out."""

    def forbid():
        def fail(*_, **__):
            raise AssertionError("a map was laid out again")

        monkeypatch.setattr(plane, "_layout", fail)

    return forbid


def test_a_saved_map_is_that_of_the_bundle_and_made_once(bundle, never):
    made = VecSpeak.load(bundle).map(seed=3, save=True)
    for path in (cache_folder() / "maps").iterdir():
        path.unlink()
    never()
    again = VecSpeak.load(bundle).map()
    assert again.seed == 3 and np.array_equal(again.coordinates, made.coordinates)
    assert VecSpeak.check(bundle).is_whole


def test_what_was_not_saved_comes_from_the_cache(bundle, never):
    made = VecSpeak.load(bundle).map()
    never()
    again = VecSpeak.load(bundle)
    assert np.array_equal(again.retained_map().coordinates, made.coordinates)
    assert VecSpeak.load(bundle).retained_map(seed=1) is None


def test_save_writes_the_map_that_was_made(bundle, never):
    vs = VecSpeak.load(bundle)
    made = vs.map()
    vs.save()
    assert (bundle / "spaces" / "things" / MAP_FILE).is_file()
    assert np.array_equal(VecSpeak.load(bundle).map().coordinates, made.coordinates)


def test_a_map_stays_when_something_else_is_saved(bundle):
    VecSpeak.load(bundle).map(save=True)
    with VecSpeak.editing(bundle) as editing:
        editing.concept("scary", where="scary=true")
    assert list(VecSpeak.load(bundle).entry().maps) == [0]


def test_a_broken_cache_file_is_made_again(bundle, caplog):
    vs = VecSpeak.load(bundle)
    made = vs.map()
    (path,) = (cache_folder() / "maps").iterdir()
    path.write_bytes(path.read_bytes()[:-40])
    assert cached_map(vs.space, 0) is None and "made again" in caplog.text
    assert np.array_equal(VecSpeak.load(bundle).map().coordinates, made.coordinates)


def test_a_map_of_other_vectors_or_an_older_layout_is_not_used(bundle, space, monkeypatch):
    vs = VecSpeak.load(bundle)
    vs.map(save=True)
    with monkeypatch.context() as newer:
        newer.setattr("vecspeak.bundles.maps.VERSION", 2)
        assert not VecSpeak.load(bundle).entry().maps
    assert VecSpeak.load(bundle).entry().maps


def spoiled(path):
    path.write_bytes(path.read_bytes()[:-8] + b"\xff" * 8)


def cut(path):
    path.write_bytes(path.read_bytes()[:50])


def shuffled(path):
    """The same header, other rows: a file that opens."""
    data = path.read_bytes()
    path.write_bytes(data[:-16] + data[-8:] + data[-16:-8])


@pytest.mark.parametrize("damage", [spoiled, cut, shuffled])
@pytest.mark.parametrize("noted", [True, False], ids=["noted", "format 1"])
def test_a_damaged_map_in_a_bundle_counts_as_not_there_and_is_made_again(bundle, damage, noted):
    made = VecSpeak.load(bundle).map(save=True)
    path = bundle / "spaces" / "things" / MAP_FILE
    damage(path)
    if not noted:
        values = json.loads((bundle / "manifest.json").read_text())
        del values["space_files"], values["made"]
        (bundle / "manifest.json").write_text(json.dumps({**values, "format_version": 1}))
    said = []
    vs = VecSpeak.load(bundle, notify=said.append)
    assert said == [
        f"{path} is damaged: the bundle is opened without this map, and `VecSpeak.map(...)` makes it again"
    ]
    assert not vs.entry().maps
    found = VecSpeak.check(bundle)
    assert not found.is_whole and not found.error
    assert [one.path for one in found.files if one.state == "changed"] == [f"spaces/things/{MAP_FILE}"]
    vs.map(save=True)
    again = VecSpeak.load(bundle, notify=said.append)
    assert len(said) == 1 and VecSpeak.check(bundle).is_whole
    assert np.array_equal(again.entry().maps[0].coordinates, made.coordinates)


def test_a_shuffled_map_in_the_cache_is_made_again(bundle, caplog):
    vs = VecSpeak.load(bundle)
    made = vs.map()
    (path,) = (cache_folder() / "maps").iterdir()
    shuffled(path)
    assert cached_map(vs.space, 0) is None and "not those that were written" in caplog.text
    assert np.array_equal(VecSpeak.load(bundle).map().coordinates, made.coordinates)


def test_without_opentsne_the_extra_is_named(bundle, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openTSNE", None)
    with pytest.raises(UserError, match=r"vecspeak\[map\]"):
        VecSpeak.load(bundle).map()
