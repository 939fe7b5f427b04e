"""Align: a planted map is found, users by their own statistics, and more noise means more caution."""

import dataclasses

import numpy as np
import pytest

from vecspeak.errors import UserError
from vecspeak.model import map_scores
from vecspeak.model.alignment import fit_alignment, unit
from vecspeak.model.map_scores import (
    caution,
    cross_validated_report,
    held_out_report,
    says_something,
    verdict,
)
from views_world import views_world


def planted(noise=0.0, items=400, seed=0):
    """Vectors, and text vectors that are a linear image of them with a mean of their own."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((items, 8)).astype(np.float32) * 3 + 2
    targets = (vectors - 2) @ rng.standard_normal((8, 12)) + 4 + noise * rng.standard_normal((items, 12))
    return vectors, unit(targets).astype(np.float32)


def cosine(fit, vectors, targets):
    return float((fit.alignment(vectors) * targets).sum(1).mean())


def test_a_planted_linear_map_is_recovered_on_items_that_were_not_seen():
    vectors, targets = planted()
    fit = fit_alignment(vectors[:300], targets[:300])
    assert cosine(fit, vectors[300:], targets[300:]) > 0.99
    assert fit.report["items"] == 300


def test_an_exactly_linear_image_is_predicted_exactly():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((400, 8)) * 3 + 2
    targets = vectors @ rng.standard_normal((8, 12)) + 5
    map_ = fit_alignment(vectors, targets).alignment
    assert np.allclose(map_.standardize(vectors) @ map_.matrix + map_.offset, targets, atol=0.05)


def test_the_map_gives_unit_vectors_of_the_encoders_width():
    vectors, targets = planted()
    mapped = fit_alignment(vectors, targets).alignment(vectors)
    assert mapped.shape == (400, 12) and mapped.dtype == np.float32
    assert np.allclose(np.linalg.norm(mapped, axis=1), 1, atol=1e-5)


def test_lengths_are_left_out_when_directions_alone_tell():
    rng = np.random.default_rng(0)
    vectors, targets = planted()
    directions = unit(vectors - 2)
    longer = (directions * rng.uniform(0.1, 20, (400, 1))).astype(np.float32)
    texts = unit(directions @ rng.standard_normal((8, 12)))
    fit = fit_alignment(longer[:300], texts[:300])
    assert fit.report["unit"] is True
    assert cosine(fit, longer[300:], texts[300:]) > 0.99


def test_the_penalty_grows_with_the_noise():
    penalties = [fit_alignment(*planted(noise)).report["penalty"] for noise in (0.0, 30.0, 300.0)]
    assert penalties[0] < penalties[1] < penalties[2]


def test_users_are_matched_by_their_own_statistics():
    """Users who like what items are, on another scale and around another mean, are read as those items."""
    vectors, targets = planted()
    users = (vectors - vectors.mean(0)) * 0.1 - 5
    fit = fit_alignment(vectors, targets, users)
    as_users = fit.alignment(users, "user")
    assert fit.alignment.unit is False
    assert np.allclose(as_users, fit.alignment(vectors), atol=1e-4)
    assert not np.allclose(fit.alignment(users, "item"), as_users, atol=0.1)


def test_too_few_items_are_refused():
    vectors, targets = planted(items=19)
    with pytest.raises(UserError, match="only 19 items have a text; at least 20 are needed"):
        fit_alignment(vectors, targets)


def test_the_report_is_of_the_items_it_is_given():
    vectors, targets = planted()
    fit = fit_alignment(vectors[:300], targets[:300])
    report = held_out_report(fit, vectors[300:], targets[300:], targets[:300].mean(0))
    assert report["items"] == 100
    plain = dataclasses.replace(fit, alignment=dataclasses.replace(fit.alignment, gain=1.0))
    assert report["cosine"] == pytest.approx(cosine(plain, vectors[300:], targets[300:]), abs=1e-5)
    assert report["cosine"] > report["cosine_of_mean"]
    assert report["median_rank_percent"] == 0 and report["recall_at_10"] == 1


def test_a_map_of_noise_ranks_like_chance():
    rng = np.random.default_rng(0)
    vectors, targets = rng.standard_normal((300, 8)), unit(rng.standard_normal((300, 12)))
    fit = fit_alignment(vectors[:150], targets[:150])
    report = held_out_report(fit, vectors[150:], targets[150:], targets[:150].mean(0))
    assert 35 < report["median_rank_percent"] < 65
    assert report["recall_at_10"] < 0.2
    assert "NOTHING SHOWS" in verdict(report)


@pytest.mark.parametrize(("noise", "says"), [(0.0, True), (None, False)], ids=["planted", "shuffled"])
def test_items_predicted_by_maps_that_have_not_seen_them_score_as_held_out_items_do(noise, says):
    vectors, targets = planted(noise=noise or 0.0, items=300)
    if noise is None:
        targets = np.random.default_rng(1).permutation(targets)
    fit = fit_alignment(vectors[:60], targets[:60])
    crossed = cross_validated_report(fit, vectors[:60], targets[:60])
    held_out = held_out_report(fit, vectors[60:], targets[60:], targets[:60].mean(0))
    assert crossed["items"] == 60 and crossed["cosine"] == pytest.approx(held_out["cosine"], abs=0.03)
    assert says_something(crossed) == says_something(held_out) == says


def test_a_map_that_learned_its_items_by_heart_is_not_believed():
    rng = np.random.default_rng(2)
    vectors, targets = rng.standard_normal((40, 100)), unit(rng.standard_normal((40, 12)))
    fit = fit_alignment(vectors, targets)
    free = dataclasses.replace(fit, report={**fit.report, "penalty": 1e-6})
    assert not says_something(cross_validated_report(free, vectors, targets))


def test_four_items_are_too_few_to_tell():
    vectors, targets = planted(items=300)
    fit = fit_alignment(vectors[:60], targets[:60])
    assert "too few to tell" in verdict(held_out_report(fit, vectors[60:64], targets[60:64], targets.mean(0)))


def scored(items, rank):
    return {"items": items, "median_rank_percent": rank}


def test_a_verdict_is_no_bolder_than_the_number_of_items_allows():
    # Of 23 items the median's standard deviation is 50 / 5 = 10, so that two of them reach down to 30.4.
    assert "NOTHING SHOWS" in verdict(scored(23, 31.0))
    assert "not much" in verdict(scored(23, 30.0))
    assert "ALMOST NOTHING" in verdict(scored(2300, 41.0))
    assert verdict(scored(23, 5.0)) == "the vectors say much of the texts"
    assert "not known" in verdict({"items": 0})


def test_a_sample_is_ranked_among_all_and_blocks_do_not_matter(monkeypatch):
    vectors, targets = planted(noise=100.0)
    fit = fit_alignment(vectors[:200], targets[:200])
    report = held_out_report(fit, vectors[200:], targets[200:], targets.mean(0))
    monkeypatch.setattr(map_scores, "BLOCK_BYTES", 4 * 200 * 7)
    assert held_out_report(fit, vectors[200:], targets[200:], targets.mean(0)) == report
    monkeypatch.setattr(map_scores, "_RANKED", 100)
    monkeypatch.setattr(map_scores, "_PAIRS", 1)
    sampled = held_out_report(fit, vectors[200:], targets[200:], targets.mean(0))
    assert sampled["median_rank_percent"] == pytest.approx(report["median_rank_percent"], abs=10)
    assert sampled["cosine"] == report["cosine"] and sampled["items"] == 200


def test_a_report_of_nothing_is_empty():
    vectors, targets = planted()
    fit = fit_alignment(vectors, targets)
    assert held_out_report(fit, vectors[:0], targets[:0], targets.mean(0)) == {"items": 0}


def test_the_gain_spreads_mapped_vectors_as_widely_as_the_texts_are():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(2000, 6))
    vectors = hidden + rng.normal(size=(2000, 6))  # half of what a vector says is noise
    targets = hidden @ rng.normal(size=(6, 12)) + 40 * np.eye(12)[0]
    alignment = fit_alignment(vectors, targets).alignment
    predicted = alignment.standardize(vectors) @ alignment.matrix * alignment.gain
    assert 1.2 < alignment.gain < 1.7
    assert predicted.std() == pytest.approx((targets - targets.mean(0)).std(), rel=0.02)


def test_vectors_that_say_nothing_are_not_turned_into_confident_noise():
    rng = np.random.default_rng(0)
    alignment = fit_alignment(rng.normal(size=(400, 6)), rng.normal(size=(400, 12))).alignment
    assert alignment.gain == 3.0


def views_report(vectors, targets, counts=None, seed=0):
    out = np.random.default_rng(seed).random(len(vectors)) < 0.2
    fit = fit_alignment(vectors, targets, selected_rows=np.flatnonzero(~out))
    mean = fit.alignment.offset
    return held_out_report(fit, vectors[out], targets[out], mean, None if counts is None else counts[out])


def test_views_of_articles_are_judged_with_the_mean_text_taken_off():
    report = views_report(*views_world())
    assert report["centered_median_rank_percent"] < report["median_rank_percent"] - 10
    assert report["centered_recall_at_10"] > report["recall_at_10"]
    assert report["p_shuffled"] == 0.001 and "say something" in verdict(report)
    assert caution({"held_out": report}) == ""
    few, *_, many = report["by_count"]
    assert sum(one["items"] for one in report["by_count"]) == report["items"]
    assert (few["least"], few["most"]) == (1, 2) and many["least"] >= 10
    assert few["centered_median_rank_percent"] > many["centered_median_rank_percent"]


def test_views_of_articles_with_the_texts_of_others_show_nothing():
    vectors, targets, counts = views_world()
    draw = np.random.default_rng(1)
    shuffled = [
        views_report(vectors, targets[draw.permutation(len(targets))], seed=seed) for seed in range(24)
    ]
    said = ["NOTHING SHOWS" in verdict(one) for one in shuffled]
    assert sum(said) >= 23  # of 24 at 1% each: two false alarms come in 2% of all worlds
    assert ["NOTHING SHOWS" in caution({"held_out": one}) for one in shuffled] == said


def test_texts_that_are_all_the_same_show_nothing():
    vectors, _, _ = views_world()
    report = views_report(vectors, np.tile(unit(np.ones(12, np.float32)), (len(vectors), 1)))
    assert report["centered_median_rank_percent"] == pytest.approx(50) and report["p_shuffled"] == 1
    assert "NOTHING SHOWS" in verdict(report)


def test_what_bundles_of_before_say_of_themselves_is_judged_as_before():
    old = scored(2300, 8.0)
    assert verdict(old) == "the vectors say much of the texts"
    centered = {**old, "centered_median_rank_percent": 8.0, "p_shuffled": 0.001}
    assert "not much" in verdict(centered) and caution({"held_out": centered}) == ""
    assert "NOTHING SHOWS" in verdict({**centered, "p_shuffled": 0.02})


def test_what_is_shown_to_say_something_is_read_boldly_and_nothing_else_is():
    vectors, targets, _ = views_world(sharp=3.0)
    fit = fit_alignment(vectors, targets)
    assert fit.report["gain"] == 3.0 and 6 < fit.full_gain < 15
    bold = fit.bolder()
    assert bold.alignment.gain == bold.report["gain"] == pytest.approx(fit.full_gain)
    for other in (planted(), views_world()[:2]):  # half of the spread is left, or all of it
        assert fit_alignment(*other).bolder().alignment.gain == fit_alignment(*other).alignment.gain
    report = views_report(vectors, targets)
    assert says_something(report)
    assert not says_something({**report, "p_shuffled": 0.5}) and not says_something({"items": 0})
