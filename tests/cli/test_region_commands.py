"""The commands about regions, with a reader that truly reads: what they print, keep and refuse."""

import json

import pytest

from vecspeak.bundles import load_bundle
from vecspeak.cli import main
from vecspeak.spaces.formats import save_space
from worlds import bundle, space


@pytest.fixture
def path(tmp_path):
    return bundle(tmp_path / "b").folder


def run(capsys, *arguments):
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def as_json(capsys, *arguments):
    return json.loads(run(capsys, *arguments, "--json"))


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.fixture(autouse=True)
def words(monkeypatch):
    """The tiny world's encoder has no files."""
    import vecspeak.asking
    from worlds import ENCODER

    monkeypatch.setattr(vecspeak.asking, "load_encoder", lambda name: ENCODER)


def test_an_atlas_is_written_kept_and_spoken_of(path, tmp_path, capsys):
    out = tmp_path / "atlas"
    atlas = ("atlas", path, "--regions", 5, "--method", "kmeans", "--out", out, "--engine", "transformers")
    printed = run(capsys, *atlas)
    assert "pairs: 45 items in 5 regions by kmeans" in printed
    assert "answers fit their own region best among all" in printed
    assert {file.name for file in out.iterdir()} >= {
        "regions.csv",
        "regions.json",
        "atlas.html",
        "answers.jsonl",
    }
    names = load_bundle(path).entry().clusters.names
    assert all(name in printed for name in names)
    found = as_json(capsys, "describe", path, "--cluster", 2, "--engine", "transformers")
    assert found["title"] == names[2] and found["reading"]["among"] == 5
    assert found["reading"]["text"]
    asked = as_json(capsys, *atlas)
    assert [one["title"] for one in asked["regions"]] == list(names)


def test_no_save_leaves_the_bundle_and_no_reader_asks_nothing(path, tmp_path, capsys):
    out = tmp_path / "atlas"
    run(capsys, "atlas", path, "--regions", 4, "--out", out, "--no-save", "--no-reader")
    assert load_bundle(path).entry().clusters is None
    assert not (out / "answers.jsonl").exists()
    assert "no regions yet" in refused(capsys, "describe", path, "--cluster", 0)


def test_a_query_and_a_file_are_described(path, tmp_path, capsys):
    printed = run(capsys, "describe", path, "--where", 'tags = "ghost"', "--no-reader")
    assert printed.startswith('centroid(tags = "ghost"): 9 items, 20.0% of the space')
    assert "tags  ghost" in printed and "mean cosine to it" in printed
    (tmp_path / "ids").write_text("p1\np2\np3\n")
    found = as_json(capsys, "describe", path, "--ids", tmp_path / "ids", "--no-reader")
    assert found["num_items"] == 3 and found["reading"] is None


def test_two_sides_are_held_apart(path, capsys):
    printed = run(capsys, "diff", path, '"Pair 1"', 'where: tags = "love"', "--engine", "transformers")
    assert 'A = "Pair 1"' in printed and 'B = centroid(tags = "love"): 9 items' in printed
    assert "what the reader says" in printed and "round trip {y}" in printed
    found = as_json(capsys, "diff", path, 'where: tags = "love"', 'where: tags = "ghost"', "--no-reader")
    assert found["num_in_both"] == 1 and found["more_in_first"]["num_inside"] == 8


def test_a_space_is_followed_over_time(path, tmp_path, capsys):
    save_space(space().take(range(40)), tmp_path / "new.parquet")
    printed = run(capsys, "drift", path, tmp_path / "new.parquet")
    assert "40 items in both, 0 new, 5 gone" in printed and "0 items moved beyond the noise" in printed
    assert as_json(capsys, "drift", tmp_path / "new.parquet", path)["num_new"] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["describe", "{b}"], "0 of --cluster, --where and --ids are given"),
        (["describe", "{b}", "--cluster", "1", "--where", "x = 1"], "2 of --cluster"),
        (["describe", "{b}", "--where", "tug = 1"], "did you mean"),
        (["atlas", "{b}", "--regions", "46", "--no-reader"], "cannot be cut into 46 regions"),
        (["atlas", "{b}", "--method", "hdbscan", "--regions", "4"], "leave the number out"),
        (["diff", "{b}", '"Nobody"', '"Pair 1"'], "no item"),
        (["drift", "{b}", "nowhere.parquet"], "nowhere.parquet"),
    ],
)
def test_mistakes_are_one_line(path, tmp_path, capsys, arguments, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *[argument.replace("{b}", str(path)) for argument in arguments])
    assert load_bundle(path).entry().clusters is None
