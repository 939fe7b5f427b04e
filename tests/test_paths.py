"""Paths that cannot be, or where a save would destroy more than a bundle, are refused in one line."""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fakes import note_files
from test_people_noticed import people, vs  # noqa: F401  # fixtures
from vecspeak import Recipe, Space, UserError, VecSpeak
from vecspeak.spaces.io import save_space

_ROOT = Path(__file__).parents[1]
WRONG = ["\0", "x" * 300, 5, b"ab", ["a"]]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: str(one)[:3])
def test_what_is_no_path_is_said_to_be_none(vs, wrong, tmp_path):  # noqa: F811
    things = {"space": "things"}
    for call in (
        VecSpeak.load,
        VecSpeak.create,
        VecSpeak.from_pretrained,
        vs.save,
        Recipe.load,
        Space.load,
        lambda path: save_space(vs.spaces["things"], path),
        lambda path: VecSpeak.editing(path).__enter__(),
        lambda path: vs.write_atlas(path, reader=False, n_regions=3, **things),
        lambda path: vs.teach(path, teacher="facts", **things),
        lambda path: vs.train("r.toml", work=path, out="o"),
        lambda path: vs.evaluate(split="train", cache=path, **things),
        lambda path: vs.evaluate_recipe("r.toml", path),
        lambda path: vs.evaluate_recipe(path, tmp_path / "w"),
        lambda path: vs.import_concepts(path, **things),
        lambda path: vs.concept("a", pairs=path, **things),
        lambda path: vs.describe(ids=path, reader=False, **things),
        lambda path: vs.region_reader("things", cache=path),
        partial(vs.task_set, space="things"),
        partial(vs.profile, "user(1)", space="things"),
    ):
        with pytest.raises(UserError):
            call(ratings=wrong) if getattr(call, "func", None) == vs.profile else call(wrong)


def test_the_current_folder_is_not_replaced(vs, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "empty" / "below").mkdir(parents=True)
    for current, given in (
        ("empty", "."),
        ("empty", ""),
        ("empty/below", ".."),
        ("empty", tmp_path / "empty"),
    ):
        monkeypatch.chdir(tmp_path / current)
        with pytest.raises(UserError, match="the current folder"):
            vs.save(given)
        assert os.listdir(tmp_path / "empty") == ["below"]
    monkeypatch.chdir(tmp_path / "t.bundle")
    with pytest.raises(UserError, match="the current folder"), VecSpeak.editing("."):
        pytest.fail("the edit begins")
    with pytest.raises(UserError, match="`out=.*the current folder"):
        vs.train(_recipe(tmp_path), work=tmp_path / "work", out=".")
    monkeypatch.chdir(tmp_path / "empty")
    vs.save("new.bundle")
    assert VecSpeak.load("new.bundle").spaces.keys() == vs.spaces.keys()


def _recipe(folder):
    path = folder / "r.toml"
    path.write_text((_ROOT / "recipes" / "reader.toml").read_text(encoding="utf-8"), encoding="utf-8")
    return path


def test_caches_and_work_do_not_lie_in_a_bundle(vs, tmp_path):  # noqa: F811
    recipe, bundle = _recipe(tmp_path), tmp_path / "t.bundle"
    (tmp_path / "link").symlink_to(bundle)
    for folder in (bundle, bundle / "cache", bundle / "spaces" / "x", tmp_path / "link" / "cache"):
        for name, call in (
            ("cache", lambda folder: vs.evaluate(space="things", split="train", cache=folder)),
            (
                "cache",
                lambda folder: vs.evaluate_tasks(space="things", split="train", points="items", cache=folder),
            ),
            ("cache", lambda folder: vs.evaluate_recipe(recipe, tmp_path / "w", cache=folder)),
            ("cache", lambda folder: vs.region_reader("things", cache=folder / "answers.sqlite")),
            ("work", lambda folder: vs.evaluate_recipe(recipe, folder)),
            ("work", lambda folder: vs.train(recipe, work=folder, out=tmp_path / "out")),
            ("out", lambda folder: vs.teach(folder, space="things", teacher="facts")),
            ("folder", lambda folder: vs.save(folder / "inner.bundle")),
        ):
            with pytest.raises(UserError, match=f"`{name}=.*lies in one, and saving replaces its folder"):
                call(folder)
    assert sorted(os.listdir(bundle)) == ["manifest.json", "reader", "spaces"]


def test_a_vectors_file_may_stand_in_single_quotes(vs, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    vector = vs.spaces["things"].vectors[3]
    np.save("q.npy", vector)
    for text in ("vector(q.npy)", "vector('q.npy')", 'vector("q.npy")', "1*vector( 'q.npy' )"):
        assert np.array_equal(vs.point(text, space="things").vector, vector)


def test_a_header_of_numpy_may_lie(vs, tmp_path):  # noqa: F811
    for shape in ((2**70,), (2**62,), (-1,), (2**40, 2**40)):
        header = str({"descr": "<f4", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
        (tmp_path / "h.npy").write_bytes(
            b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
        )
        with pytest.raises(UserError, match="cannot read"):
            vs.point(f"vector({tmp_path / 'h.npy'})", space="things")


@pytest.mark.parametrize("report", [{}, {"kind": "identity"}, {"kind": "ridge"}, {"kind": 5, "held_out": 5}])
def test_a_bundle_whose_report_is_not_whole_says_so(vs, tmp_path, report):  # noqa: F811
    path = tmp_path / "t.bundle" / "spaces" / "things" / "alignment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "report": report}))
    note_files(tmp_path / "t.bundle")
    with pytest.raises(UserError, match="does not say how the space was mapped"):
        VecSpeak.load(tmp_path / "t.bundle").alignment_report("things")
