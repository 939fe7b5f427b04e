import dataclasses

import numpy as np
import pytest

from vecspeak.bundles.fitting import fit_space
from vecspeak.errors import UserError
from vecspeak.explore.concepts import fit_entry_concept
from vecspeak.spaces import Space
from vecspeak.spaces.splits import choose_splits, union
from views_world import views_world


def test_a_planted_map_is_found_and_scored_on_items_it_never_saw(space, texts, encoder):
    splits = choose_splits(space, share=0.2, seed=0)
    report = fit_space(space, texts=texts, encoder=encoder, splits=splits).report
    assert report["kind"] == "ridge"
    assert report["items"] + report["held_out"]["items"] == 120
    assert report["held_out"]["cosine"] > 0.95 > report["held_out"]["cosine_of_mean"]


def test_random_vectors_predict_no_better_than_the_mean(space, texts, encoder):
    noise = np.random.default_rng(5).normal(size=space.vectors.shape).astype(np.float32)
    splits = choose_splits(space, share=0.2, seed=0)
    report = fit_space(
        dataclasses.replace(space, vectors=noise), texts=texts, encoder=encoder, splits=splits
    ).report["held_out"]
    assert report["cosine"] < report["cosine_of_mean"] + 0.05


def test_what_is_held_out_does_not_touch_the_map(space, texts, encoder):
    splits = choose_splits(space, share=0.2, seed=0)
    changed = [
        "joke joke joke" if item in splits["holdout"] else text
        for item, text in zip(space.ids, texts, strict=True)
    ]
    first = fit_space(space, texts=texts, encoder=encoder, splits=splits).alignment
    second = fit_space(space, texts=changed, encoder=encoder, splits=splits).alignment
    assert np.array_equal(first(space.vectors), second(space.vectors))


def test_items_without_a_text_are_left_out_of_the_fit(space, texts, encoder):
    some = [text if row % 2 else None for row, text in enumerate(texts)]
    assert fit_space(space, texts=some, encoder=encoder).report["items"] == 60


def test_a_space_of_the_readers_own_encoder_is_read_as_it_is(space, texts, encoder):
    own = dataclasses.replace(space, vectors=encoder.encode(texts), encoder="words")
    entry = fit_space(own, texts=[None] * 120, encoder=encoder)
    assert entry.alignment.is_identity
    assert np.allclose(entry.alignment(own.vectors), own.vectors, atol=1e-6)


def test_no_text_at_all_says_what_to_type(space, encoder):
    with pytest.raises(UserError, match="no item of 'things' has a text.*`text`"):
        fit_space(space, texts=[None] * 120, encoder=encoder)


def test_every_split_has_its_score_and_no_split_touches_the_map(space, texts, encoder):
    splits = choose_splits(space, share=0.1, regions=2, seed=0)
    entry = fit_space(space, texts=texts, encoder=encoder, splits=splits)
    scores = entry.report["splits"]
    assert {name: one["items"] for name, one in scores.items()} == {
        name: len(ids) for name, ids in splits.items()
    }
    assert entry.held_out == union(splits) and entry.splits == splits
    assert entry.report["items"] + entry.report["held_out"]["items"] == 120
    changed = [
        "joke joke joke" if item in splits["regions"] else text
        for item, text in zip(space.ids, texts, strict=True)
    ]
    again = fit_space(space, texts=changed, encoder=encoder, splits=splits)
    assert np.array_equal(again.alignment(space.vectors), entry.alignment(space.vectors))
    assert again.report["splits"]["regions"]["cosine"] < scores["regions"]["cosine"]
    assert again.report["splits"]["holdout"] == scores["holdout"]


def test_one_split_is_scored_once(space, texts, encoder):
    report = fit_space(space, texts=texts, encoder=encoder, splits={"holdout": space.ids[:20]}).report
    assert report["held_out"]["items"] == 20 and "splits" not in report


def test_too_few_texts_say_that_the_others_are_held_out(space, texts, encoder):
    with pytest.raises(UserError, match="of 120 items with a text 110 are held out, which leaves 10"):
        fit_space(space, texts=texts, encoder=encoder, splits={"holdout": space.ids[10:]})
    with pytest.raises(UserError, match="only 10 items have a text"):
        fit_space(space, texts=[*texts[:10], *[None] * 110], encoder=encoder)


def test_splits_that_do_not_fit_the_space_are_refused(space, texts, encoder):
    with pytest.raises(UserError, match="the split 'cold' names 't999', which is no item of 'things'"):
        fit_space(space, texts=texts, encoder=encoder, splits={"cold": ["t999"]})
    with pytest.raises(UserError, match="names 't3', which is in another split too"):
        fit_space(space, texts=texts, encoder=encoder, splits={"holdout": ["t3"], "cold": ["t3"]})


def test_a_concept_counts_only_items_that_are_not_held_out(space, texts, encoder):
    splits = choose_splits(space, share=0.2, seed=0)
    entry = fit_space(space, texts=texts, encoder=encoder, splits=splits)
    concept = fit_entry_concept(entry, "scary", "scary", "true")
    assert concept.positives + concept.negatives == 120 - len(splits["holdout"])
    assert concept.space_digest == space.digest
    assert concept.score.value > 0.9


def test_views_of_articles_are_read_boldly_only_where_they_are_shown_to_say_something():
    vectors, targets, counts = views_world(sharp=3.0)

    class Known:
        name, dim = "known", targets.shape[1]

        def __init__(self, rows):
            self.rows = rows

        def encode(self, texts, **_):
            return targets[self.rows]

    space = Space.from_arrays(vectors, texts=["an article"] * len(vectors), metadata={"num_views": counts})
    splits = choose_splits(space, share=0.2, seed=0)
    order = np.random.default_rng(0).permutation(len(vectors))
    entries = [
        fit_space(space, texts=["an article"] * len(vectors), encoder=Known(rows), splits=splits)
        for rows in (np.arange(len(vectors)), order)
    ]
    assert entries[0].report["gain"] == entries[0].alignment.gain > 3 and not entries[0].caution
    assert entries[1].report["gain"] == entries[1].alignment.gain == 3 and "NOTHING" in entries[1].caution
    assert entries[0].report["count_column"] == "num_views"
    assert len(entries[0].report["held_out"]["by_count"]) >= 3
