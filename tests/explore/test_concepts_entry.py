"""Concepts of a bundle's space: what is held out stays out, texts pull the right way, and chance is a gate."""

import dataclasses

import numpy as np
import pytest

from vecspeak.bundles.fitting import fit_space
from vecspeak.errors import UserError
from vecspeak.explore.concepts import (
    Fitted,
    check_trusted,
    concept_from,
    concept_from_items,
    concept_from_judgements,
    concept_from_text,
    extremes,
    fit_entry_concept,
    import_attributes,
    mean_gradient,
    named_rows,
    with_concepts,
)
from vecspeak.model.alignment import Alignment, unit
from vecspeak.points.judgements import Judgement, SoftAttributes


@pytest.fixture
def entry(space, texts, encoder):
    return fit_space(space, texts=texts, encoder=encoder, splits={"holdout": space.ids[:20]})


@pytest.fixture
def identity(space, texts, encoder):
    own = dataclasses.replace(space, vectors=encoder.encode(texts), encoder="words")
    return fit_space(own, texts=texts, encoder=encoder)


@pytest.fixture
def scary(entry):
    return fit_entry_concept(entry, "scary", "scary", "true")


def named(space, word, texts):
    return [label for label, text in zip(space.labels, texts, strict=True) if word in text]


def test_named_items_give_the_direction_of_their_metadata_value(entry, space, texts, scary):
    fitted = concept_from_items(entry, "ghosts", named_rows(entry, named(space, "ghost", texts)), {})
    assert np.allclose(fitted.concept.direction, scary.direction, atol=1e-6)
    held_out = [f"Thing {row}" for row in range(20) if "ghost" in texts[row]]
    assert fitted.left_out.held_out == tuple(held_out) and fitted.left_out.unknown == ()


@pytest.mark.parametrize("where", ['scary = "true"', "scary='true'", 'scary="True"', "scary=true"])
def test_the_value_of_a_query_may_stand_in_quotes(entry, encoder, scary, where):
    found = concept_from(entry, "scary", lambda: encoder, where=where).concept
    assert np.array_equal(found.direction, scary.direction) and found.positives == scary.positives
    checked = [
        concept_from(entry, "ghosts", lambda: encoder, text="a ghost", check=one).concept.score
        for one in (where, "scary=true")
    ]
    assert checked[0] == checked[1]


def test_only_the_negatives_that_are_named_count(entry, space, texts):
    positive, negative = named(space, "ghost", texts), named(space, "joke", texts)
    both = set(positive) & set(negative)
    rows = [named_rows(entry, [one for one in names if one not in both]) for names in (positive, negative)]
    fitted = concept_from_items(entry, "ghosts", *rows)
    left = [name for name in rows[1] if name not in fitted.left_out.held_out]
    assert fitted.concept.negatives == len(left) < 100 - fitted.concept.positives


def test_an_item_on_both_sides_is_refused(entry):
    rows = named_rows(entry, [f"Thing {row}" for row in range(30, 40)])
    with pytest.raises(UserError, match="'Thing 30' is given as having both and as lacking it"):
        concept_from_items(entry, "both", rows, rows)


def test_too_few_items_say_that_the_others_are_held_out(entry):
    rows = named_rows(entry, [f"Thing {row}" for row in range(17, 22)])
    with pytest.raises(UserError, match="2 items have few .*3 named items are held out"):
        concept_from_items(entry, "few", rows, {})


def test_a_typed_name_must_be_an_item_and_one_of_a_file_need_not(entry):
    assert named_rows(entry, ["Thing 30"], ["thing 31", "Thing 999", "t32"]) == {
        "Thing 30": 30,
        "thing 31": 31,
        "Thing 999": None,
        "t32": 32,
    }
    with pytest.raises(UserError, match="no item .*Thing 999.*nearest spellings"):
        named_rows(entry, ["Thing 999"])


def test_what_is_held_out_touches_no_concept(entry, space, scary):
    vectors = space.vectors.copy()
    vectors[:20] = np.random.default_rng(0).normal(size=vectors[:20].shape)
    changed = dataclasses.replace(space, vectors=vectors)
    again = fit_entry_concept(
        dataclasses.replace(entry, space=changed, distances={}), "scary", "scary", "true"
    )
    assert np.array_equal(again.direction, scary.direction)
    assert (again.score, again.chance, again.stability) == (scary.score, scary.chance, scary.stability)


def test_pairs_by_name_leave_out_what_is_held_out_or_unknown(entry, space):
    rng = np.random.default_rng(0)
    judgements = [Judgement(more="Nothing", less="Thing 30")]
    for _ in range(300):
        one, other = rng.choice(120, 2, replace=False)
        high, low = (one, other) if space.vectors[one, 0] > space.vectors[other, 0] else (other, one)
        judgements.append(Judgement(more=space.labels[high], less=space.labels[low]))
    fitted = concept_from_judgements(entry, "first", judgements)
    assert fitted.left_out.unknown == ("Nothing",)
    assert set(fitted.left_out.held_out) <= {f"Thing {row}" for row in range(20)}
    assert 90 < fitted.concept.items <= 100 and fitted.concept.is_trusted
    along = space.vectors @ fitted.concept.direction
    assert np.corrcoef(along, space.vectors[:, 0])[0, 1] > 0.8


@pytest.mark.parametrize("name", ["entry", "identity"])
@pytest.mark.parametrize("against", ["", "love kiss"])
def test_moving_by_a_text_raises_the_cosine_of_what_is_read_with_it(name, against, encoder, request):
    entry = request.getfixturevalue(name)
    concept = concept_from_text(entry, "ghostly", encoder, "ghost blood", against=against)
    target = encoder.encode(["ghost blood"])[0]
    cosines = [
        entry.alignment(entry.space.vectors + amount * concept.scale * concept.direction) @ target
        for amount in (-1.0, 0.0, 1.0)
    ]
    assert cosines[0].mean() < cosines[1].mean() < cosines[2].mean()
    assert (cosines[2] > cosines[1]).mean() > 0.9
    assert concept.score is None and concept.chance is None and concept.stability is None
    assert concept.caution == "ghostly comes from a text alone: no item was checked against it"


@pytest.mark.parametrize("uses_unit", [False, True])
@pytest.mark.parametrize("is_mapped", [False, True])
def test_the_gradient_is_that_of_finite_differences(is_mapped, uses_unit):
    rng = np.random.default_rng(0)
    vectors, wanted = rng.normal(size=(30, 5)), rng.normal(size=5 if not is_mapped else 7)
    fields = {
        "matrix": rng.normal(size=(5, 7)),
        "offset": rng.normal(size=7),
        "center": rng.normal(size=5),
        "spread": 1.7,
        "gain": 2.0,
        "unit": uses_unit,
    }
    alignment = Alignment(dim=5, encoder_dim=7 if is_mapped else 5, **(fields if is_mapped else {}))

    def product(moved):
        if not is_mapped:
            return float((unit(moved) @ wanted).mean())
        read = alignment.gain * (alignment.standardize(moved) @ alignment.matrix) + alignment.offset
        return float((unit(read) @ wanted).mean())

    steps = 1e-5 * np.eye(5)
    slopes = [(product(vectors + step) - product(vectors - step)) / 2e-5 for step in steps]
    assert np.allclose(mean_gradient(alignment, vectors, wanted), slopes, atol=1e-7)


def test_a_checked_text_has_a_score_and_chance(entry, encoder):
    good = concept_from_text(entry, "ghostly", encoder, "ghost", check=("scary", "true"))
    assert good.score.value > 0.8 and good.is_trusted and good.measure == "AUC"
    bad = concept_from_text(entry, "unghostly", encoder, "love", against="ghost", check=("scary", "true"))
    assert bad.score.value < 0.5 and bad.beats_chance is False
    assert good.source == 'the text "ghost", checked by scary = true'


def test_a_text_against_itself_or_an_empty_one_is_refused(entry, encoder):
    for text, against in (("ghost", "ghost "), (" ", "")):
        with pytest.raises(UserError, match="needs a text, and another than it is against"):
            concept_from_text(entry, "x", encoder, text, against=against)


def test_what_does_not_beat_chance_needs_force(entry, scary):
    check_trusted(Fitted(concept=scary), force=False)
    luck = dataclasses.replace(scary, chance=dataclasses.replace(scary.chance, high=scary.score.low))
    with pytest.raises(UserError, match="scary does not beat chance: AUC .* nothing was saved; .*force=True"):
        check_trusted(Fitted(concept=luck), force=False)
    check_trusted(Fitted(concept=luck), force=True)


def test_concepts_that_are_added_know_their_overlap_with_all(entry, scary):
    twin = dataclasses.replace(scary, name="twin")
    turned = dataclasses.replace(scary, name="turned", direction=-scary.direction)
    added = with_concepts(with_concepts(entry, [scary]), [twin, turned])
    assert added.concepts["twin"].overlap == pytest.approx({"scary": 1.0, "turned": -1.0}, abs=1e-5)
    assert list(added.concepts) == ["scary", "twin", "turned"]


def test_the_ends_of_a_concept_are_the_items_farthest_along_it(entry, scary):
    highest, lowest = extremes(entry, scary, 3)
    along = entry.space.vectors @ scary.direction
    assert highest[0].id == entry.space.ids[int(along.argmax())]
    assert lowest[0].id == entry.space.ids[int(along.argmin())]
    assert [one.amount for one in highest] == sorted((one.amount for one in highest), reverse=True)
    assert highest[0].amount > 1 > -1 > lowest[0].amount


def test_attributes_of_one_name_are_refused_and_too_few_pairs_are_told(entry):
    given = SoftAttributes(judgements={"far-fetched": (), "far fetched": ()}, titles=("Thing 1",))
    with pytest.raises(UserError, match="two attributes have the same name"):
        import_attributes(entry, given, source="x.csv")
    (one,), left_out = import_attributes(entry, given, ["far-fetched"], source="x.csv")
    assert one.concept is None and "none of the 0 pairs" in one.reason and not one.is_trusted
    assert left_out.held_out == ("Thing 1",)
