"""`vecspeak profile` end to end, in the world of planted tastes, with an engine that reads the vector."""

import csv
import json

import pytest
from click.testing import CliRunner

import tastes
from fakes import NearestEngine
from vecspeak.bundles import save_bundle
from vecspeak.cli.profile import profile
from vecspeak.errors import UserError


@pytest.fixture
def bundle(tmp_path, source, monkeypatch):
    monkeypatch.setattr("vecspeak.asking.load_named_encoder", lambda *_: tastes.ENCODER)
    monkeypatch.setattr(
        "vecspeak.asking.open_engine", lambda *_: NearestEngine(tastes.PROFILES, tastes.ENCODER)
    )
    save_bundle(tmp_path / "b", source=source, name="b", entries={"triples": tastes.entry()})
    rated = tastes.ratings()
    with (tmp_path / "r.csv").open("w", newline="") as file:
        rows = zip(rated.user_ids, rated.item_ids, rated.values.tolist(), strict=True)
        csv.writer(file).writerows([("user_id", "item_id", "rating"), *rows])
    return tmp_path / "b"


def run(bundle, *arguments):
    ratings = ["--ratings", str(bundle.parent / "r.csv"), "--tasks", "movies"]
    return CliRunner().invoke(profile, [str(bundle), *ratings, *map(str, arguments)])


def test_a_person_of_the_ratings_is_told_in_words_and_in_json(bundle):
    told = run(bundle, "--at", 'user("u3")', "--draws", 2)
    assert told.exit_code == 0, told.output
    assert "Likes what has a" in told.stdout
    for part in (
        "profile",
        "another person's profile",
        "vector of the kept ratings",
        "chance",
        "over the hidden",
    ):
        assert part in told.stdout
    assert "the reader was trained on nobody's profile" in told.stdout
    values = json.loads(run(bundle, "--at", 'user("u3")', "--draws", 2, "--json").stdout)
    assert values["people"] == ["u3"]
    assert len(values["profiles"]) == 2
    first = values["profiles"][0]
    assert first["num_ratings"] == len(tastes.crowd().people["u3"])
    assert values["kept"] + len(first["hidden_liked"]) + len(first["hidden_disliked"]) <= first["num_ratings"]
    assert values["ranking"]["profile"]["auc"]["low"] < values["ranking"]["profile"]["auc"]["high"]


def test_people_who_are_held_out_are_told_together(bundle):
    told = run(bundle, "--people", 6, "--draws", 1)
    assert told.exit_code == 0, told.output
    assert "over 6 people" in told.stdout
    assert "The profile tells something of these people" in told.stdout
    many = run(bundle, "--people", 999, "--draws", 1)
    assert f"only {len(tastes.OUT)} people who are held out" in many.stderr


def test_a_person_whose_ratings_are_typed(bundle):
    some = list(tastes.crowd().people["u4"].items())[:36]
    typed = ", ".join(f'id("{item}"): {value:.2f}' for item, value in some)
    told = run(bundle, "--at", f"user({{{typed}}})", "--draws", 1, "--hide", 0.4)
    assert told.exit_code == 0, told.output
    assert f"of {len(some)} ratings)" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nobody is named"),
        (("--at", "user(1)", "--people", 3), "both a person and a number of people"),
        (("--at", '"Triple 2"'), "is not one person"),
        (("--at", 'user("u3")', "--hide", 0.001), "under it, 0.1% cannot be hidden"),
        (
            ("--at", 'user({"Triple 2": 4})'),
            "of 0 ratings over their own mean and 0 under it, 30% cannot be hidden",
        ),
        (("--at", "user(999)"), "nobody in the ratings has the id '999'"),
        (("--at", 'user({"Triple 2": 4})'), "cannot be hidden"),
        (("--at", 'user("u3")', "--task", "summary"), "the task summary is not about a person"),
        (("--at", 'user("u3")', "--item", "film"), "has no column 'film'"),
        (("--at", 'user("u3")', "--tasks", "packages"), "no task of the set packages is about a person"),
    ],
    ids=str,
)
def test_a_mistake_is_told_before_any_model_is_opened(bundle, monkeypatch, arguments, message):
    monkeypatch.setattr("vecspeak.asking.open_engine", lambda *_: pytest.fail("a model was opened"))
    failed = run(bundle, *arguments)
    assert isinstance(failed.exception, UserError), failed.output
    assert message in str(failed.exception)
