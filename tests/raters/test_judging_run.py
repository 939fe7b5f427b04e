"""Run: whole reports judged by raters that are honest, flatter, talk rubbish or fail."""

import dataclasses
import json

import numpy as np
import pytest

from local_rater import evaluated_set, flatterer, honest, report, rubbish, serve
from vecspeak.errors import UserError
from vecspeak.llm_client import Endpoint
from vecspeak.raters.llm import ChatRater, JudgeConfig, JudgeReplies, judge_report

SMALL = evaluated_set(12)


def judge(server, given, kept=None, **settings):
    rater = ChatRater(Endpoint(url=server.url, model="rater", retries=0), kept or JudgeReplies())
    return judge_report(given, rater, JudgeConfig(**settings)).judged


@pytest.fixture(scope="module")
def judged():
    """The honest rater's entry."""
    with serve(honest) as server:
        return judge(server, report(SMALL))["rater"]


def test_an_honest_rater_is_trusted_and_ranks_the_systems(judged):
    assert judged["checks"]["trusted"] is True
    reader, nearest = (judged["systems"][key]["fits"] for key in ("reader", "nearest_text"))
    assert reader["low"] > nearest["high"]
    assert judged["pairs"]["nearest_text"]["win"]["low"] > 0.5
    assert judged["pairs"]["nearest_text"]["flips"] == 0
    assert judged["systems"]["reader"]["fluent"]["value"] == 5
    assert judged["unanswered"] == 0


def test_an_entry_says_what_was_asked_of_whom_and_when(judged):
    expected = {
        "model": "rater",
        "url_host": "127.0.0.1",
        "seed": 0,
        "set": "things",
        "entities": 12,
        "cached": 0,
    }
    assert {key: judged[key] for key in expected} == expected
    assert judged["made"].endswith("+00:00")
    assert set(judged["questions"]) == {"fluent", "fits", "specific", "better"}
    json.dumps(judged, allow_nan=False)


def test_estimates_are_the_means_of_the_ratings_that_are_written(judged):
    for system, values in judged["systems"].items():
        for question, found in values.items():
            rows = [
                r["value"] for r in judged["ratings"] if (r["system"], r["question"]) == (system, question)
            ]
            assert len(rows) == found["count"] == 12
            assert found["value"] == pytest.approx(np.mean(rows))
            assert found["low"] <= found["value"] <= found["high"]
    pairs = [row for row in judged["ratings"] if row["question"] == "better"]
    wins = {("reader", "win"), ("nearest_text", "loss")}
    assert len(pairs) == 24
    share = np.mean([(row["system"], row["value"]) in wins for row in pairs])
    assert judged["pairs"]["nearest_text"]["win"]["value"] == pytest.approx(share)


def test_planted_ratings_are_kept_apart(judged):
    assert {row["system"] for row in judged["ratings"]} == {"reader", "nearest_text"}
    assert {row["system"] for row in judged["planted_ratings"]} == {"right", "wrong", "broken"}


def test_a_flatterer_is_untrusted_and_the_entry_says_so():
    with serve(flatterer) as server:
        found = judge(server, report(SMALL))["rater"]
    assert found["systems"]["reader"]["fits"]["value"] == 5
    assert found["checks"]["trusted"] is False
    assert "cannot tell a right answer from a wrong one" in found["checks"]["verdict"]
    assert "do not use its ratings" in found["checks"]["verdict"]
    assert found["pairs"]["nearest_text"]["flips"] == 1


def test_rubbish_is_counted_and_gives_no_number():
    with serve(rubbish) as server:
        found = judge(server, report(SMALL))["rater"]
    assert found["unanswered"] == found["asked"] == len(server.requests) / 2
    assert found["systems"] == {"reader": {}, "nearest_text": {}}
    assert (found["pairs"], found["ratings"]) == ({}, [])
    assert found["checks"]["trusted"] is False


def test_equal_prompts_are_asked_once():
    same = dataclasses.replace(
        SMALL,
        entities=tuple(dataclasses.replace(e, answers={"reader": "It is a film."}) for e in SMALL.entities),
    )
    with serve(honest) as server:
        found = judge(server, report(same))["rater"]
    assert len(server.prompts) == len(set(server.prompts)) == found["asked"]
    assert found["systems"]["reader"]["fluent"]["count"] == 12


def test_a_rater_that_dies_half_way_is_asked_only_the_rest(tmp_path, judged):
    path = tmp_path / "replies.jsonl"
    left = iter(range(60))

    def mortal(prompt):
        return honest(prompt) if next(left, None) is not None else (503, {"error": {"message": "gone"}})

    with serve(mortal) as server, pytest.raises(UserError, match="60 replies are kept"):
        judge(server, report(SMALL), JudgeReplies(path))
    with serve(honest) as server:
        found = judge(server, report(SMALL), JudgeReplies(path))["rater"]
    assert len(server.requests) == found["asked"] == judged["asked"] - 60
    assert found["cached"] == 60
    counts = ("made", "asked", "cached")
    assert {k: v for k, v in found.items() if k not in counts} == {
        k: v for k, v in judged.items() if k not in counts
    }


def test_several_sets_are_judged_apart_and_other_raters_stay():
    other = dataclasses.replace(evaluated_set(14), name="others", entities=evaluated_set(14).entities[2:])
    given = dataclasses.replace(report(SMALL, other), judged={"somebody": {"kept": True}})
    with serve(honest) as server:
        found = judge(server, given, systems=("reader",))
        one = judge(server, given, systems=("reader",), sets=("others",))
    assert set(found) == {"somebody", "rater on things", "rater on others"}
    assert set(one) == {"somebody", "rater on others"}
    assert found["rater on others"]["set"] == "others"


def test_a_set_that_is_not_there_is_refused():
    with serve(honest) as server:
        with pytest.raises(UserError, match="no set 'none'; it has things"):
            judge(server, report(SMALL), sets=("none",))
        with pytest.raises(UserError, match="same name"):
            judge(server, report(SMALL, SMALL))
    assert server.requests == []
