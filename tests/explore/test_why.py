"""Why two points match: the parts sum to the score, a planted word is found, and random pairs are given no reason."""

import dataclasses
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecspeak.bundles import save_bundle
from vecspeak.bundles.fitting import fit_space
from vecspeak.cli import main
from vecspeak.errors import UserError
from vecspeak.explore import shared_words
from vecspeak.explore.why import why
from vecspeak.model.alignment import unit
from vecspeak.points import evaluate
from vecspeak.points.foldin import FoldIn
from vecspeak.points.raw import raw_point
from vecspeak.spaces import Space
from vecspeak.spaces.io import FactorSettings

SUBJECTS = ("submarine", "wedding", "robbery", "dragon", "circus", "desert")
FILLERS = tuple(f"filler{number}" for number in range(30))
ITEMS = 300


class Planted:
    """Vectors of texts as sums of their words' directions, a subject's weighing most."""

    name, dim = "planted", 24

    def encode(self, texts, *, progress=False, batch_size=64):
        rng = np.random.default_rng(5)
        of = {word: rng.normal(size=self.dim) for word in (*SUBJECTS, *FILLERS)}
        rows = [
            sum((3.0 if word in SUBJECTS else 1.0) * of[word] for word in text.split()) + 4 * of["filler0"]
            for text in texts
        ]
        return unit(np.array(rows)).astype(np.float32)


@pytest.fixture(scope="module")
def entry():
    """300 items, 50 of each subject; `"Item 0"`, `"Item 6"`, ... share one."""
    rng = np.random.default_rng(0)
    texts = [
        " ".join([SUBJECTS[row % 6], *rng.choice(FILLERS, size=4, replace=False)]) for row in range(ITEMS)
    ]
    space = Space.from_arrays(
        Planted().encode(texts),
        ids=[f"i{row}" for row in range(ITEMS)],
        labels=[f"Item {row}" for row in range(ITEMS)],
        texts=texts,
        name="planted",
        encoder="planted",
    )
    return fit_space(space, texts=texts, encoder=Planted())


def explained(entry, first, second, **options):
    return why(entry, evaluate(first, entry.scope), evaluate(second, entry.scope), **options)


def test_the_word_that_two_items_share_carries_their_score(entry):
    similar = unit(entry.space.vectors) @ unit(entry.space.vectors[0])
    nearest = max(range(6, ITEMS, 6), key=lambda row: similar[row])  # of those about a submarine too
    found = explained(entry, '"Item 0"', f'"Item {nearest}"')
    assert found.is_found and found.words[0].term == "submarine"
    assert found.words[0].share > 0.3 * (found.score - found.common)
    assert found.explained > found.by_other_words.high
    assert found.words[0].rank_without > found.rank == 1


def test_a_pair_that_does_not_match_is_given_no_reason(entry):
    found = explained(entry, '"Item 0"', '"Item 1"')
    assert not found.is_found and found.verdict.startswith("NO ")


def test_shuffled_texts_explain_no_match(entry):
    texts = np.random.default_rng(3).permutation(entry.space.metadata.column("text").to_pylist()).tolist()
    shuffled = fit_space(entry.space, texts=texts, encoder=Planted())
    found = [explained(shuffled, f'"Item {row}"', f'"Item {row + 6}"').is_found for row in range(0, 60, 3)]
    assert np.mean(found) < 0.2


rows = st.integers(0, ITEMS - 1)


@settings(max_examples=25, deadline=None)
@given(rows, rows, st.integers(1, 10), st.integers(0, 5))
def test_the_parts_sum_to_the_score(entry, one, other, limit, seed):
    found = explained(entry, f'"Item {one}"', f'"Item {other}"', limit=limit, seed=seed)
    vectors = entry.space.vectors.astype(np.float64)
    cosine = unit(vectors[one][None])[0] @ unit(vectors[other][None])[0]
    assert found.score == pytest.approx(cosine, abs=1e-6)
    assert found.common + sum(word.share for word in found.words) + found.rest == pytest.approx(
        found.score, abs=1e-5
    )
    assert len(found.words) <= limit and all(word.share > 0 for word in found.words)
    if found.runner_up:
        parts = found.runner_up_common + sum(word.of_runner_up for word in found.words) + found.runner_up_rest
        assert parts == pytest.approx(found.runner_up.similarity, abs=1e-5)


def sums(found):
    """Both columns of the table are their scores, whatever is asked about."""
    assert found.common + sum(word.share for word in found.words) + found.rest == pytest.approx(
        found.score, abs=1e-5
    )
    if found.runner_up:
        parts = found.runner_up_common + sum(word.of_runner_up for word in found.words) + found.runner_up_rest
        assert parts == pytest.approx(found.runner_up.similarity, abs=1e-5)


query_words = st.lists(st.sampled_from((*SUBJECTS, *FILLERS)), min_size=1, max_size=6).map(" ".join)


@settings(max_examples=25, deadline=None)
@given(query_words, rows, st.integers(1, 10))
def test_the_parts_of_a_querys_score_sum_to_it(entry, words, other, limit):
    vector = Planted().encode([words])[0]
    found = why(entry, raw_point(entry.space, None, vector), entry.space[f"i{other}"], limit=limit)
    own = unit(entry.space.vectors[other][None].astype(np.float64))[0]
    assert found.score == pytest.approx(unit(vector[None].astype(np.float64))[0] @ own, abs=1e-6)
    sums(found)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(rows, st.integers(1, 5), min_size=1, max_size=6), rows, st.integers(1, 10))
def test_the_parts_of_a_persons_score_sum_to_it(rated, given_ratings, other, limit):
    ratings = json.dumps({f"Item {row}": stars for row, stars in given_ratings.items()})
    try:
        person = evaluate(f"user({ratings})", rated.scope)
    except UserError:  # ratings that say nothing of a person
        return
    found = why(rated, person, rated.space[f"i{other}"], limit=limit)
    own = unit(person.vector[None].astype(np.float64))[0] @ rated.space.vectors[other].astype(np.float64)
    assert found.score == pytest.approx(own, abs=1e-5)
    assert sum(item.share for item in found.rated) == pytest.approx(found.score, abs=1e-5)
    sums(found)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 7), rows)
def test_the_parts_of_a_known_persons_score_sum_to_it(rated, user, other):
    sums(explained(rated, f"user({user})", f'"Item {other}"'))


@pytest.mark.parametrize("is_listed", [False, True])
def test_of_values_that_exclude_each_other_one_is_named(entry, is_listed):
    """An item's column has one value, or a list in which it could have both."""
    kinds = [SUBJECTS[row % 6] for row in range(ITEMS)]
    column = pa.array([[one] for one in kinds] if is_listed else kinds)
    table = entry.space.metadata.append_column("kind", column)
    fresh = dataclasses.replace(entry, space=dataclasses.replace(entry.space, metadata=table))
    points = [fresh.space[one] for one in ("i0", "i6")]
    shared = shared_words.SharedWords(fresh, shared_words.ScoredPair(fresh, *points), 0)
    middle, is_even = shared.first + shared.second, np.arange(entry.space.dim) % 2 == 0
    found = [
        shared_words.WordCandidate(
            term=term, column="kind", of_first=0.5, of_second=0.5, direction=middle * half
        )
        for term, half in (("dragon", is_even), ("circus", ~is_even))
    ]
    named = [one.word.term for one in shared.carrying(found, 10)]
    assert len(named) == (2 if is_listed else 1)
    if not is_listed:
        alone = [shared.carrying([one], 1)[0] for one in found]
        assert named == [max(alone, key=lambda one: one.share).word.term]


def test_what_depends_on_the_space_alone_is_worked_out_once(entry, monkeypatch):
    fresh, made = dataclasses.replace(entry), []
    first = [explained(fresh, '"Item 0"', f'"Item {row}"') for row in (6, 12)]
    of_pairs = shared_words._SpaceWords._of_random_pairs
    monkeypatch.setattr(
        shared_words._SpaceWords, "_of_random_pairs", lambda self: made.append(1) or of_pairs(self)
    )
    assert [explained(fresh, '"Item 0"', f'"Item {row}"') for row in (6, 12)] == first and not made
    assert explained(fresh, '"Item 0"', '"Item 6"', seed=1) != first[0] and made
    assert [explained(dataclasses.replace(entry), '"Item 0"', '"Item 6"')] == first[:1] and len(made) == 2


def test_the_rank_is_the_place_among_all_items_but_the_first(entry):
    units = unit(entry.space.vectors.astype(np.float64))
    order = [row for row in np.argsort(-(units @ units[0])).tolist() if row != 0]
    for place in (0, 7, 150):
        found = explained(entry, '"Item 0"', f'"Item {order[place]}"')
        assert found.rank == place + 1
        assert found.runner_up.label == f"Item {order[1] if place == 0 else order[0]}"


@pytest.fixture(scope="module")
def rated(entry):
    """The same items with people: what a person gives an item is a product of vectors."""
    users = Space.from_arrays(entry.space.vectors[:8], ids=[str(row) for row in range(8)], name="people")
    settings = FactorSettings(alpha=2.0, regularization=0.1, lowest=1.0, highest=5.0)
    texts = entry.space.metadata.column("text").to_pylist()
    return fit_space(
        entry.space, texts=texts, encoder=Planted(), users=users, fold_in=FoldIn(settings=settings)
    )


def test_what_a_person_rated_sums_to_their_score(rated):
    found = explained(rated, 'user({"Item 0": 5, "Item 1": 1, "Item 12": 4})', '"Item 6"')
    assert sum(item.share for item in found.rated) == pytest.approx(found.score, abs=1e-5)
    assert {item.label for item in found.rated} == {"Item 0", "Item 1", "Item 12"}
    assert found.common + sum(word.share for word in found.words) + found.rest == pytest.approx(
        found.score, abs=1e-5
    )
    assert not explained(rated, "user(3)", '"Item 6"').rated  # whose ratings are not kept


def test_a_person_comes_first(rated):
    with pytest.raises(UserError, match="name the person first"):
        explained(rated, '"Item 6"', "user(3)")


def test_the_command_says_what_the_library_finds(entry, source, tmp_path, capsys):
    folder = tmp_path / "planted.bundle"
    save_bundle(folder, source=source, name="planted", entries={"planted": entry})
    assert main(["why", str(folder), '"Item 0"', '"Item 6"', "--json"]) is None
    found = json.loads(capsys.readouterr().out)
    assert found["words"][0]["term"] == "submarine" and found["is_found"]
    main(["why", str(folder), '"Item 0"', '"Item 6"'])
    printed = capsys.readouterr().out
    assert "submarine" in printed and "common to all items" in printed and "shared words carry" in printed


def test_labels_of_others_are_shown_and_not_obeyed(entry):
    labels = [f"Item {row} \x1b[2J" for row in range(ITEMS)]
    hostile = dataclasses.replace(entry, space=dataclasses.replace(entry.space, labels=tuple(labels)))
    found = why(hostile, hostile.space["i0"], hostile.space["i6"])
    assert "\x1b" not in str(found) + repr(found) and r"\x1b" in str(found)


def test_a_query_without_its_mark_is_told_how_to_write_it(entry, source, tmp_path, capsys):
    folder = tmp_path / "planted.bundle"
    save_bundle(folder, source=source, name="planted", entries={"planted": entry})
    with pytest.raises(SystemExit):
        main(["why", str(folder), "a submarine under the ice", '"Item 0"'])
    assert 'as a search query write "text: a submarine under the ice"' in capsys.readouterr().err
