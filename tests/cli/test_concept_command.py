import csv
import json

import numpy as np
import pytest

from vecspeak import asking
from vecspeak.bundles import load_bundle
from vecspeak.cli import main


@pytest.fixture
def run(capsys):
    """What a command prints."""

    def command(*arguments):
        main(["concept", *map(str, arguments)])
        return capsys.readouterr().out

    return command


@pytest.fixture
def fails(capsys):
    """The one line of a command that must leave with status 2."""

    def command(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["concept", *map(str, arguments)])
        assert stopped.value.code == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        return line

    return command


def concepts(bundle):
    return load_bundle(bundle).entry().concepts


@pytest.fixture
def crowd(space, tmp_path):
    """A file of the crowd's form: one attribute that the vectors bear, one that they do not, one of too few titles."""
    rng = np.random.default_rng(0)
    path = tmp_path / "soft.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["rater_id", "reference_title", "soft_attribute", "less_than", "about_as", "more_than"]
        )
        for attribute in ("spooky", "pure luck"):
            for row in range(60):
                order = rng.choice(120, 5, replace=False)
                if attribute == "spooky":
                    order = order[np.argsort(space.vectors[order, 0])]
                titles = [f"{space.labels[one]} (1999)" for one in order]
                groups = [titles[:2], [], titles[3:]]
                writer.writerow([row % 4, titles[2], attribute, *map(json.dumps, groups)])
        writer.writerow([1, "Unknown (2001)", "rare", "", "", json.dumps(["Thing 30", "Thing 31"])])
    return path


def test_a_fit_prints_and_keeps_what_it_takes_to_trust_it(run, bundle):
    told = run("fit", bundle, "scary", "--where", "scary=true")
    for part in (
        "scary: scary = true (logistic)",
        "held-out AUC",
        "beaten: 20 shuffles",
        "stability",
        "random directions",
    ):
        assert part in told
    kept = concepts(bundle)["scary"]
    assert kept.is_trusted and kept.chance.draws == 20 and kept.stability.refits == 20
    facts = json.loads(run("fit", bundle, "spooky", "--where", "scary=true", "--method", "mean", "--json"))
    assert facts["method"] == "mean" and facts["beats_chance"] is True and facts["caution"] == ""
    assert set(facts["overlap"]) == {"scary"} and "direction" not in facts
    assert facts["left_out"] == {"unknown": [], "held_out": []}


def test_a_query_says_which_items_have_it(run, bundle):
    told = run("fit", bundle, "scary", "--where", 'scary = true and not label ~ "nothing like it"')
    assert 'scary: scary = "true" and not label ~ "nothing like it" (logistic)' in told
    plain = json.loads(run("fit", bundle, "spooky", "--where", "scary=true", "--json"))
    assert plain["positives"] == concepts(bundle)["scary"].positives
    run("fit", bundle, "tame", "--where", "not scary = true")
    assert concepts(bundle)["tame"].positives == plain["negatives"]


def test_what_does_not_beat_chance_is_refused_and_with_force_says_so_ever_after(
    run, fails, bundle, space, tmp_path
):
    listed = tmp_path / "names.txt"
    rows = np.random.default_rng(0).choice(np.arange(20, 120), 30, replace=False)
    listed.write_text("\n".join([*(space.labels[row] for row in rows), "No such thing", "Thing 3"]))
    line = fails("fit", bundle, "luck", "--positives", listed)
    assert line.startswith("vecspeak: luck does not beat chance: AUC 0.") and line.endswith("--force")
    assert concepts(bundle) == {}
    told = run("fit", bundle, "luck", "--positives", listed, "--force")
    assert "NOT beaten" in told and "caution     luck does not beat chance" in told
    assert "luck: 30 of 32 named items against all others (logistic)" in told
    left_out = (
        "1 name means no item, or several: No such thing",
        "1 named item is held out, so not fitted on: Thing 3",
    )
    assert all(f"\n{one}\n" in told for one in left_out)
    assert f"({'; '.join(left_out)})" in line
    assert "(!) luck does not beat chance" in run("list", bundle)


def test_items_can_be_named_one_by_one(run, fails, bundle, texts):
    ghosts = [f"Thing {row}" for row in range(20, 120) if "ghost" in texts[row]][:12]
    others = [f"Thing {row}" for row in range(20, 120) if "ghost" not in texts[row]][:12]
    options = [part for name in ghosts for part in ("--positive", name)]
    options += [part for name in others for part in ("--negative", name)]
    facts = json.loads(run("fit", bundle, "ghosts", *options, "--force", "--json"))
    assert (facts["positives"], facts["negatives"]) == (12, 12)
    assert "no item" in fails("fit", bundle, "ghosts", "--positive", "Thang 5")
    assert "needs at least 5 of each" in fails("fit", bundle, "ghosts", "--positive", "Thing 50")


def test_names_of_a_file_may_be_in_quotes_and_unknown_ones_are_told_where_the_fit_fails(
    run, fails, bundle, texts, tmp_path
):
    ghosts = [f"Thing {row}" for row in range(20, 120) if "ghost" in texts[row]][:12]
    listed = tmp_path / "names.txt"
    listed.write_text("\n".join(f'"{name}"' for name in [*ghosts, ghosts[0], "Thong"]))
    facts = json.loads(run("fit", bundle, "ghosts", "--positives", listed, "--force", "--json"))
    assert (facts["positives"], facts["source"]) == (12, "12 of 13 named items against all others")
    assert facts["left_out"]["unknown"] == ["Thong"]
    listed.write_text('"Thing 30"\n"Thong"\nThang\n')
    line = fails("fit", bundle, "few", "--positives", listed)
    assert "needs at least 5 of each" in line and "(2 names mean no item, or several: Thong, Thang)" in line


def test_pairs_come_from_a_table(run, bundle, space, tmp_path):
    rng = np.random.default_rng(0)
    lines = ["more,less,rater"]
    for number in range(200):
        one, other = rng.choice(np.arange(20, 120), 2, replace=False)
        high, low = (one, other) if space.vectors[one, 0] > space.vectors[other, 0] else (other, one)
        lines.append(f"{space.labels[high]},{space.ids[low]},{number % 5}")
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join(lines))
    told = run("fit", bundle, "first", "--pairs", path)
    assert "first: pairs in pairs.csv (rank)" in told and "200 pairs of" in told and "by 5 raters" in told
    assert "held-out pair accuracy" in told


def test_a_text_gives_a_direction_that_is_unchecked_or_checked(run, bundle, encoder, monkeypatch):
    monkeypatch.setattr(asking, "load_named_encoder", lambda *_: encoder)
    told = run("fit", bundle, "ghostly", "--text", "ghost blood", "--against", "love")
    assert 'the text "ghost blood" against "love" (text)' in told
    assert "caution     ghostly comes from a text alone" in told
    told = run("fit", bundle, "ghostly", "--text", "ghost", "--check", "scary=true")
    assert "checked on" in told and "caution" not in told
    assert list(concepts(bundle)) == ["ghostly"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            [],
            "nothing to fit was given; a concept is fitted from one of --where, --positive, --pairs or --text",
        ),
        (["--where", "a=b", "--text", "x"], "--where and --text were given"),
        (["--where", "genres"], "--where takes COLUMN=VALUE, got 'genres'"),
        (
            ["--where", "a=b", "--negative", "x"],
            "--negative does not go with --where; it goes with --positive",
        ),
        (["--positive", "x", "--against", "y"], "--against does not go with --positive; it goes with --text"),
        (["--where", "a=b", "--method", "rank"], "--method rank is for --pairs"),
        (["--pairs", "x.csv", "--method", "mean"], "--method does not go with --pairs"),
        (["--pairs", "none.csv"], "there is no file none.csv"),
        (["--where", "scary=maybe"], "no item of things has scary = maybe"),
        (["--where", "scary=true and"], "no item of things has scary = true and"),
        (["--where", "not scary=true and"], "at character 19"),
        (["--where", "id=t30"], "1 items have x and "),
        (["--where", "hue=blue"], "things has no metadata column 'hue'"),
    ],
)
def test_a_mistake_is_one_line_and_loses_nothing(fails, bundle, options, message):
    before = (bundle / "manifest.json").read_bytes()
    assert message in fails("fit", bundle, "x", *options)
    assert (bundle / "manifest.json").read_bytes() == before


def test_show_names_both_ends_and_the_overlap_with_what_is_there_now(run, fails, bundle):
    run("fit", bundle, "scary", "--where", "scary=true")
    run("fit", bundle, "spooky", "--where", "scary=true", "--method", "mean")
    told = run("show", bundle, "scary", "--items", 3)
    assert "overlap     spooky +" in told and "highest along it" in told and told.count("  Thing ") == 6
    facts = json.loads(run("show", bundle, "scary", "--json"))
    assert set(facts["overlap"]) == {"spooky"} and len(facts["highest"]) == len(facts["lowest"]) == 8
    assert "has no concept 'scry'; did you mean 'scary'" in fails("show", bundle, "scry")


def test_list_and_remove(run, fails, bundle):
    assert "fit one with vecspeak concept fit" in fails("remove", bundle, "scary")
    run("fit", bundle, "scary", "--where", "scary=true")
    assert run("list", bundle).splitlines()[0] == "things: 1 concept"
    assert json.loads(run("list", bundle, "--json"))["things"]["scary"]["source"] == "scary = true"
    assert run("remove", bundle, "scary") == "scary removed from things, which has 0 concepts now\n"
    assert concepts(bundle) == {}


def test_a_crowd_is_imported_and_what_is_only_luck_is_listed(run, fails, bundle, crowd):
    told = run("import", "soft-attributes", crowd, bundle)
    assert "118 of 119 titles are items of things" in told
    assert "1 of 3 beat chance; 1 saved" in told and "none of the 2 pairs is of two items" in told
    assert list(concepts(bundle)) == ["spooky"]
    kept = concepts(bundle)["spooky"]
    assert kept.source == '"spooky" in soft.csv' and kept.raters == 4 and kept.pairs > 200
    options = ("--attribute", "pure luck", "--force", "--json")
    found = json.loads(run("import", "soft-attributes", crowd, bundle, *options))
    assert found["saved"] == ["pure_luck"] and found["attributes"][0]["beats_chance"] is False
    assert found["left_out"]["unknown"] == ["Unknown (2001)"]
    assert list(concepts(bundle)) == ["pure_luck", "spooky"]
    assert "no row judges 'spoky'" in fails(
        "import", "soft-attributes", crowd, bundle, "--attribute", "spoky"
    )
