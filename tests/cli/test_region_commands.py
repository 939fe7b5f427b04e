"""The commands about regions, with a reader that truly reads: what they print, keep and refuse."""

import dataclasses
import json

import pytest

from vecspeak.bundles import load_bundle
from vecspeak.cli import main
from vecspeak.cli.show import print_contrast
from vecspeak.explore.contrast import Contrast, FeatureContrast, MedianDifference
from vecspeak.spaces.io import save_space
from vecspeak.stats import Estimate
from vecspeak.storage import Cache
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

    monkeypatch.setattr(vecspeak.asking, "load_named_encoder", lambda *_: ENCODER)


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
        "answers.sqlite",
    }
    names = load_bundle(path).entry().clusters.names
    assert all(name in printed for name in names)
    found = as_json(capsys, "describe", path, "--cluster", 2, "--engine", "transformers")
    assert found["title"] == names[2] and found["reading"]["among"] == 5
    assert found["reading"]["text"]
    asked = as_json(capsys, *atlas)
    assert [one["title"] for one in asked["regions"]] == list(names)


def test_regions_that_are_cut_anew_say_what_was_there_and_leave_no_old_answers(path, tmp_path, capsys):
    out = tmp_path / "atlas"
    atlas = ("atlas", path, "--method", "kmeans", "--out", out, "--engine", "transformers")
    assert "means another region" not in run(capsys, *atlas, "--regions", 5)
    assert "means another region" not in run(capsys, *atlas, "--regions", 5)
    printed = run(capsys, *atlas, "--regions", 3)
    assert "cluster(N) means another region than before: pairs had 5 regions by kmeans, seed 0" in printed
    shown = {one["reading"]["text"] for one in json.loads((out / "regions.json").read_text())["regions"]}
    with Cache(out / "answers.sqlite") as cache:
        cached = [found["text"] for _, found in cache.items()]
    assert cached and set(cached) == shown
    run(capsys, *atlas, "--regions", 3, "--no-reader")
    assert (out / "answers.sqlite").exists(), "they are of these regions"
    assert as_json(capsys, *atlas, "--regions", 4, "--no-reader")["regions_before"] == 3
    assert not (out / "answers.sqlite").exists()


def test_tables_and_regions_of_two_runs_are_noticed(path, tmp_path, capsys, monkeypatch):
    """A kill between them leaves the table, the whole and the bundle's regions of different runs."""
    monkeypatch.chdir(tmp_path)
    atlas = ("atlas", path, "--method", "kmeans", "--no-reader", "--regions")
    described = ["describe", str(path), "--cluster", "1", "--no-reader"]
    run(capsys, *atlas, 4)
    main(described)
    assert "run" not in capsys.readouterr().err
    old = {name: (tmp_path / "atlas" / name).read_bytes() for name in ("regions.csv", "regions.json")}
    run(capsys, *atlas, 3)
    (tmp_path / "atlas" / "regions.csv").write_bytes(old["regions.csv"])
    main(described)
    again = f"vecspeak atlas {path} makes them anew"
    assert f"regions.csv and regions.json in atlas are of two runs, of which one was stopped; {again}" in (
        capsys.readouterr().err
    )
    (tmp_path / "atlas" / "regions.json").write_bytes(old["regions.json"])
    main(described)
    assert f"the tables in atlas are of another run than the regions in b; {again}" in capsys.readouterr().err
    main([str(one) for one in (*atlas, 3)])
    assert "than the regions in b; all are made anew" in capsys.readouterr().err
    main(described)
    assert "run" not in capsys.readouterr().err


def test_an_atlas_of_another_bundle_or_space_is_not_replaced(path, tmp_path, capsys):
    out = tmp_path / "atlas"
    atlas = ("--regions", 4, "--method", "kmeans", "--out", out, "--no-reader")
    run(capsys, "atlas", path, *atlas)
    other = bundle(tmp_path / "other").folder
    before = (out / "regions.json").read_bytes()
    message = refused(capsys, "atlas", other, *atlas)
    assert "holds an atlas of pairs in b, not of pairs in other; choose another folder" in message
    assert (out / "regions.json").read_bytes() == before and load_bundle(other).entry().clusters is None
    run(capsys, "atlas", other, *atlas, "--force")
    held = json.loads((out / "regions.json").read_text())
    assert held["bundle"] == "other"
    for changed, told in (({"digest": "0"}, "with other vectors"), ({"space": "toys"}, "an atlas of toys")):
        (out / "regions.json").write_text(json.dumps({**held, **changed}))
        assert told in refused(capsys, "atlas", other, *atlas)
    (out / "regions.json").write_text("[1]")
    assert "is there already, and no atlas" in refused(capsys, "atlas", other, *atlas)


def test_no_save_leaves_the_bundle_and_no_reader_asks_nothing(path, tmp_path, capsys):
    out = tmp_path / "atlas"
    run(capsys, "atlas", path, "--regions", 4, "--out", out, "--no-save", "--no-reader")
    assert load_bundle(path).entry().clusters is None
    assert not (out / "answers.sqlite").exists()
    assert "no regions yet" in refused(capsys, "describe", path, "--cluster", 0)


def test_a_query_and_a_file_are_described(path, tmp_path, capsys):
    printed = run(capsys, "describe", path, "--where", 'tags = "ghost"', "--no-reader")
    assert printed.startswith('centroid(tags = "ghost"): 9 items, 20.0% of the space')
    assert "it was chosen by them: tags" in printed and "mean cosine to it" in printed
    assert "tags  ghost" not in printed and "text  ghost" in printed
    (tmp_path / "ids").write_text("p1\np2\np3\n")
    found = as_json(capsys, "describe", path, "--ids", tmp_path / "ids", "--no-reader")
    assert found["num_items"] == 3 and found["reading"] is None


def test_a_contrast_is_printed_in_words_that_need_no_table(capsys):
    of_none = FeatureContrast(
        column="tags", name="ghost", inside=0.5, outside=0, lift=Estimate(298.6, 18.3, 4884.4), q=0
    )
    of_few = dataclasses.replace(of_none, name="blood", outside=0.002, lift=Estimate(3.0, 1.5, 6.0))
    middle = MedianDifference(
        column="year", inside=Estimate(1990, 1, 2), outside=Estimate(2003, 1, 2), above=0.09, q=0
    )
    print_contrast(
        Contrast(
            num_inside=9,
            num_outside=9,
            values=(of_none, of_few),
            numbers=(middle,),
            words=(),
            num_found=3,
            num_tested=9,
        )
    )
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split()[2:] == ["50%", "0%", "at", "least", "18", "times"]
    assert printed[2].split()[2:] == ["50%", "0.2%", "3.0", "[1.5,", "6.0]"]
    assert printed[3].endswith("picked at random, the inside one is lower 91 times in 100")


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


def test_regions_are_written_as_labels_for_other_tools(path, tmp_path, capsys):
    out = tmp_path / "labels"
    said = refused(capsys, "labels", path, "bertopic", "--out", out)
    assert "'pairs' has no regions yet" in said and "vecspeak atlas" in said and not out.exists()
    run(
        capsys,
        "atlas",
        path,
        "--regions",
        6,
        "--method",
        "kmeans",
        "--no-reader",
        "--out",
        tmp_path / "atlas",
    )
    kept = load_bundle(path).entry().clusters
    assert [level.num_groups for level in kept.levels] == [2, 3] and all(level.names for level in kept.levels)
    printed = run(capsys, "labels", path, "datamapplot", "--out", out)
    assert "pairs: 45 of 45 items, 2 / 3 / 6 names" in printed
    assert "frame.region, frame.middle, frame.coarse" in printed
    found = as_json(capsys, "labels", path, "bertopic", "--out", out, "--outliers", "leave")
    assert found["levels"] == [2, 3, 6] and found["num_outside"] == 0
    assert all((out / "bertopic" / name).is_file() for name in ("topics.json", "items.parquet"))
