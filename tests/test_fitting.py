import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from vecspeak.errors import UserError
from vecspeak.fitting import choose_held_out, fit_entry_concept, fit_space


def test_a_planted_map_is_found_and_scored_on_items_it_never_saw(space, texts, encoder):
    held_out = choose_held_out(space, share=0.2, seed=0)
    report = fit_space(space, texts=texts, encoder=encoder, held_out=held_out).report
    assert report["kind"] == "ridge"
    assert report["items"] + report["held_out"]["items"] == 120
    assert report["held_out"]["cosine"] > 0.95 > report["held_out"]["cosine_of_mean"]


def test_random_vectors_predict_no_better_than_the_mean(space, texts, encoder):
    noise = np.random.default_rng(5).normal(size=space.vectors.shape).astype(np.float32)
    held_out = choose_held_out(space, share=0.2, seed=0)
    report = fit_space(
        dataclasses.replace(space, vectors=noise), texts=texts, encoder=encoder, held_out=held_out
    ).report["held_out"]
    assert report["cosine"] < report["cosine_of_mean"] + 0.05


def test_what_is_held_out_does_not_touch_the_map(space, texts, encoder):
    held_out = choose_held_out(space, share=0.2, seed=0)
    changed = [
        "joke joke joke" if item in held_out else text for item, text in zip(space.ids, texts, strict=True)
    ]
    first = fit_space(space, texts=texts, encoder=encoder, held_out=held_out).alignment
    second = fit_space(space, texts=changed, encoder=encoder, held_out=held_out).alignment
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
    with pytest.raises(UserError, match="no item of 'things' has a text.*--text"):
        fit_space(space, texts=[None] * 120, encoder=encoder)


def test_items_of_one_label_are_on_one_side_of_the_split(space):
    twins = dataclasses.replace(space, labels=tuple(f"Thing {i // 2}" for i in range(120)))
    held_out = choose_held_out(twins, share=0.3, seed=0)
    assert held_out
    assert all((f"t{i}" in held_out) == (f"t{i + 1}" in held_out) for i in range(0, 120, 2))


def test_a_split_column_decides(space):
    marks = ["held_out" if i == 7 else "train" for i in range(120)]
    marked = dataclasses.replace(space, metadata=space.metadata.append_column("split", pa.array(marks)))
    assert choose_held_out(marked, share=0.5, seed=0) == {"t7"}


def test_a_share_outside_its_range_is_refused(space):
    with pytest.raises(UserError, match="--holdout may be 0 to 0.9, got 1.5"):
        choose_held_out(space, share=1.5, seed=0)


def test_a_concept_counts_only_items_that_are_not_held_out(space, texts, encoder):
    held_out = choose_held_out(space, share=0.2, seed=0)
    entry = fit_space(space, texts=texts, encoder=encoder, held_out=held_out)
    concept = fit_entry_concept(entry, "scary", "scary", "true")
    assert concept.positives + concept.negatives == 120 - len(held_out)
    assert concept.space_digest == space.digest
    assert concept.auc > 0.9
