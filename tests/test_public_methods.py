"""The methods of VecSpeak that the commands call: concepts, atlases, drift, profiles, teaching, evaluation."""

import csv
import json

import numpy as np
import pytest

import tastes
import worlds
from fakes import NearestEngine
from lesson_kit import ANSWERS
from vecspeak import Space, UserError, VecSpeak
from vecspeak.bundles import save_bundle
from vecspeak.tasks.task_set import split_sentences


@pytest.fixture
def vs(bundle, encoder, texts):
    return VecSpeak.load(bundle, engine=NearestEngine(texts, encoder), encoder=encoder)


def test_concepts_are_fitted_listed_looked_at_and_forgotten(vs, bundle):
    with VecSpeak.editing(bundle) as editing:
        editing.concept("scary", where="scary=true")
        editing.concept("spooky", where="scary=true", method="mean")
    again = VecSpeak.load(bundle)
    assert list(again.concepts()) == ["scary", "spooky"]
    assert set(again.concepts()["scary"].overlap) == {"spooky"}, "as it is now, not when it was fitted"
    highest, lowest = again.concept_extremes("scary", 3)
    assert len(highest) == len(lowest) == 3 and highest[0].amount > 0 > lowest[0].amount
    assert again.remove_concept("scary") == ["spooky"]
    with pytest.raises(UserError, match="no concept 'scary'"):
        again.concept("scary")
    assert list(VecSpeak.load(bundle).concepts()) == ["scary", "spooky"], "nothing was saved"


def test_a_crowds_judgements_become_concepts_where_they_beat_chance(vs, tmp_path):
    rng, space, path = np.random.default_rng(0), vs.space, tmp_path / "soft.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["rater_id", "reference_title", "soft_attribute", "less_than", "about_as", "more_than"])
        for row in range(60):
            order = rng.choice(120, 5, replace=False)
            order = order[np.argsort(space.vectors[order, 0])]
            titles = [f"{space.labels[one]} (1999)" for one in order]
            groups = map(json.dumps, (titles[:2], [], titles[3:]))
            rows.writerow([row % 4, titles[2], "spooky", *groups])
        rows.writerow([1, "Unknown (2001)", "rare", "", "", json.dumps(["Thing 30", "Thing 31"])])
    found = vs.import_concepts(path)
    assert found.saved == ("spooky",) and list(vs.concepts()) == ["spooky"]
    assert found.left_out.unknown == ("Unknown (2001)",)
    rare = next(one for one in found.to_dict()["attributes"] if one["attribute"] == "rare")
    assert "none of the 2 pairs" in rare["reason"]


def test_an_atlas_is_written_and_its_regions_are_expressions_in_the_bundle(vs, bundle, tmp_path):
    found = vs.write_atlas(tmp_path / "atlas", n_regions=4, method="kmeans", reader=False)
    assert {path.name for path in found.written} == {"regions.csv", "regions.json", "atlas.html"}
    assert found.before is None and len(found.atlas.regions) == 4
    assert VecSpeak.load(bundle).point("cluster(3)").kind == "made"
    again = vs.write_atlas(tmp_path / "atlas", n_regions=3, method="kmeans", reader=False, save=False)
    assert len(again.atlas.regions) == 3 and VecSpeak.load(bundle).entry().clusters.num_regions == 4
    with pytest.raises(UserError, match="no folder|cannot make the folder"):
        vs.write_atlas(found.written[0], reader=False)


def test_a_concept_that_was_fitted_again_does_not_stand_for_the_old_one(vs):
    old = vs.concept("scary", where="scary = true")
    point = vs.space["Thing 1"] + 2 * old
    assert vs.ask("Describe {x}.", x=point).evidence[0].expression == '"Thing 1" + 2*scary'
    vs.concept("scary", where="scary = false")
    with pytest.raises(UserError, match="is another point now: scary was fitted again"):
        vs.ask("Describe {x}.", x=point)
    with pytest.raises(UserError, match="scary of things is another direction now"):
        vs.trace("Thing 1", old, steps=[0, 1])


def test_points_and_arrays_are_told_apart_like_expressions(vs):
    written = vs.diff('"Thing 1"', '"Thing 2"', reader=False)
    assert vs.diff(vs.space["Thing 1"], vs.space["Thing 2"], reader=False) == written
    arrays = vs.diff(vs.space.vectors[1], vs.space.vectors[2], reader=False)
    assert arrays.cosine == written.cosine


def test_any_two_spaces_are_compared(vs, bundle, tmp_path):
    fewer = vs.space.take(range(100))
    found = VecSpeak.drift(bundle, fewer)
    assert found.num_gone == 20 and "20 gone" in str(found) and len(repr(found)) < 100
    assert VecSpeak.drift(fewer, vs.space).num_new == 20
    with pytest.raises(UserError, match="share 0 ids"):
        VecSpeak.drift(fewer, Space.from_arrays(fewer.vectors, ids=[f"o{row}" for row in range(100)]))


def test_facts_teach_a_space_its_tasks_and_a_plan_asks_nobody(vs, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    texts = [f"{text} {split_sentences(ANSWERS[-1 - row])[0]}" for row, text in enumerate(ANSWERS[:60])]
    films = Space.from_arrays(vectors, labels=[f"Film {row}" for row in range(60)], texts=texts, name="films")
    vs = VecSpeak(vs.bundle, encoder=vs.encoder).fit(films)
    job = vs.teaching(tmp_path / "targets", teacher="facts", task=["pitch"], count=4, space="films")
    plan = job.plan()
    assert dict(plan.examples) == {"pitch": 4} and plan.is_free and len(plan.shown) <= 3
    assert not (tmp_path / "targets").exists()
    result = vs.teach(tmp_path / "targets", teacher="facts", task=["pitch"], count=4, space="films")
    assert result.examples == 4 and result.cost == {}
    assert vs.teach(tmp_path / "targets", teacher="facts", task=["pitch"], count=4, space="films").asked == 0
    with pytest.raises(UserError, match="holds targets of another split"):
        vs.teaching(tmp_path / "targets", teacher="facts", split="holdout", space="films")
    with pytest.raises(UserError, match="is about a person, and no ratings are given"):
        vs.teaching(tmp_path / "others", task=["user_profile"], space="films")


def test_a_profile_is_checked_against_the_ratings_that_were_hidden(source, tmp_path):
    save_bundle(tmp_path / "b", source=source, name="b", entries={"triples": tastes.entry()})
    rated = tastes.ratings()
    with (tmp_path / "r.csv").open("w", newline="") as file:
        rows = zip(rated.user_ids, rated.item_ids, rated.values.tolist(), strict=True)
        csv.writer(file).writerows([("user_id", "item_id", "rating"), *rows])
    said = []
    engine = NearestEngine(tastes.PROFILES, tastes.ENCODER)
    vs = VecSpeak.load(tmp_path / "b", engine=engine, encoder=tastes.ENCODER, notify=said.append)
    found = vs.profile('user("u3")', ratings=tmp_path / "r.csv", tasks="movies", draws=2)
    assert found.result.people == ("u3",) and found.num_profiles == 2 and found.flags == []
    assert found.to_dict()["profiles"][0]["person"] == "u3"
    assert "learned no tasks by name" in said[0]
    with pytest.raises(UserError, match="nobody is named"):
        vs.profile(ratings=tmp_path / "r.csv")


def test_tasks_are_scored_and_those_that_cannot_be_asked_are_left_out(tmp_path, monkeypatch):
    class Named(worlds.WordEncoder):
        digest = "0" * 64

    monkeypatch.setattr("vecspeak.evaluation.evaluate.load_named_encoder", lambda *_: Named())
    said = []
    vs = VecSpeak.load(worlds.bundle(tmp_path / "b").folder, notify=said.append)
    few = {"count": 5, "max_new_tokens": 4, "second_encoder": "none", "points": "items"}
    report = vs.evaluate_tasks(["summary"], **few, words={"item": "jacket"})
    assert [one.name for one in report.sets] == ["pairs / summary"] and not said
    assert report.settings["words"] == {"item": "jacket"} and report.settings["best_of"] == 1
    with pytest.raises(UserError, match="the space 'pairs' has no users"):
        vs.evaluate_tasks(ratings=tmp_path / "r.csv")
