import dataclasses
import time
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecspeak.encoders.factorization import Ratings, _confidences, _rating_table, factorize
from vecspeak.errors import UserError
from vecspeak.points import evaluate
from vecspeak.points.foldin import FoldIn, gram_of, half_step
from vecspeak.points.resolve import Scope
from vecspeak.spaces import Space
from vecspeak.spaces.io import FactorSettings

USERS, ITEMS = 30, 16


@cache
def ratings():
    """Two tastes: even people rate even items high and odd ones low, odd people the other way; with noise."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", float(np.clip(rng.normal(4.2 if user % 2 == item % 2 else 2.0, 0.7), 1, 5)))
        for user in range(USERS)
        for item in range(ITEMS)
        if rng.random() < 0.6
    ]
    users, items, values = zip(*rows, strict=True)
    return Ratings(user_ids=users, item_ids=items, values=values)


def given_by(user):
    """What a person of the table rated."""
    rated = ratings()
    mine = rated.user_ids == user
    return {
        str(item): float(value) for item, value in zip(rated.item_ids[mine], rated.values[mine], strict=True)
    }


@cache
def made():
    """A factorization that has converged: the penalty is large and there are many rounds."""
    return factorize(ratings(), dim=4, iterations=200, regularization=1.0)


def fold_in():
    return FoldIn(settings=made().settings)


def a_fold(**changes):
    plain = FactorSettings(alpha=10.0, regularization=0.05, lowest=1.0, highest=5.0)
    return FoldIn(settings=dataclasses.replace(plain, **changes))


def a_space(vectors, name="things"):
    names = tuple(f"t{row}" for row in range(len(vectors)))
    return Space(name=name, ids=names, labels=tuple(f"Thing {name}" for name in names), vectors=vectors)


# --- the equations ---


@pytest.mark.parametrize(("alpha", "regularization"), [(10.0, 0.05), (1.0, 2.0), (0.0, 0.05)])
def test_a_known_person_folded_in_is_one_more_half_step_of_implicit(alpha, regularization):
    from implicit.cpu.als import AlternatingLeastSquares

    rated = _rating_table(ratings(), 1)
    settings = FactorSettings(alpha=alpha, regularization=regularization, lowest=1.0, highest=5.0)
    confidences = _confidences(rated.matrix, settings)
    model = AlternatingLeastSquares(
        factors=4, iterations=2, regularization=regularization, random_state=0, num_threads=1
    )
    model.fit(confidences, show_progress=False)
    items = a_space(model.item_factors)
    items = dataclasses.replace(items, ids=rated.item_ids)
    for row in range(5):
        expected = model.recalculate_user(row, confidences[row])
        found = FoldIn(settings=settings).vector(items, given_by(rated.user_ids[row]))
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_at_convergence_the_stored_vector_comes_back():
    users = made().users
    for row, user in enumerate(users.ids):
        found = fold_in().vector(made().items, given_by(user))
        np.testing.assert_allclose(found, users.vectors[row], atol=2e-3 * np.abs(users.vectors).max())


def test_an_item_is_the_half_step_of_the_people_who_rated_it():
    rated, users, items = _rating_table(ratings(), 1), made().users, made().items
    confidences = _confidences(rated.matrix, made().settings).toarray()
    column = confidences[:, 0]
    who = np.flatnonzero(column)
    found = half_step(gram_of(users.vectors), users.vectors[who], column[who], 1.0)
    np.testing.assert_allclose(found, items.vectors[0], atol=2e-3 * np.abs(items.vectors).max())


# --- laws ---


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from(range(ITEMS)), st.floats(1, 5), min_size=1), st.randoms())
def test_the_order_of_ratings_does_not_matter(given, random):
    pairs = [(f"i{item}", value) for item, value in given.items()]
    first = a_fold().vector(made().items, dict(pairs))
    random.shuffle(pairs)
    np.testing.assert_allclose(a_fold().vector(made().items, dict(pairs)), first, rtol=1e-4, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(st.sampled_from(range(ITEMS)), st.floats(1, 4), min_size=1),
    st.floats(0.0, 1.0),
)
def test_someone_who_gives_more_stars_to_everything_is_the_same_person(given, more):
    pairs = {f"i{item}": value for item, value in given.items()}
    shifted = {item: value + more for item, value in pairs.items()}
    first, second = (a_fold().vector(made().items, one) for one in (pairs, shifted))
    np.testing.assert_allclose(second, first, rtol=1e-3, atol=1e-5)


def test_one_rating_and_equal_ratings_tell_of_contact_alone_whatever_the_stars():
    items = made().items
    one, five = (a_fold().vector(items, {"i0": stars}) for stars in (1.0, 5.0))
    np.testing.assert_array_equal(one, five)
    equal = a_fold().vector(items, {"i0": 3.0, "i2": 3.0})
    np.testing.assert_allclose(equal, a_fold(alpha=0.0).vector(items, {"i0": 1.0, "i2": 5.0}))


def test_whoever_is_folded_in_likes_what_people_of_that_taste_like():
    rng = np.random.default_rng(0)
    chosen = [
        (f"u{user}", f"i{item}", 5.0 if user % 2 == item % 2 else 1.0)
        for user in range(USERS)
        for item in range(ITEMS)
        if rng.random() < (0.8 if user % 2 == item % 2 else 0.1)
    ]
    users, items, values = zip(*chosen, strict=True)
    spaces = factorize(Ratings(user_ids=users, item_ids=items, values=values), dim=2)
    of_taste = np.array([int(item[1:]) % 2 for item in spaces.items.ids])
    for taste in (0, 1):
        stars = {f"i{taste}": 5.0, f"i{taste + 2}": 5.0, f"i{1 - taste}": 1.0}
        scores = spaces.items.vectors @ FoldIn(settings=spaces.settings).vector(spaces.items, stars)
        unseen = np.array([item not in stars for item in spaces.items.ids])
        assert scores[unseen & (of_taste == taste)].min() > scores[unseen & (of_taste != taste)].max()


def test_a_vector_does_not_depend_on_which_space_was_asked_for_before():
    folding, other = a_fold(), a_space(np.random.default_rng(1).normal(size=(7, 4)))
    first = folding.vector(made().items, {"i0": 5.0, "i1": 1.0})
    folding.vector(other, {"t0": 5.0, "t1": 1.0})
    np.testing.assert_array_equal(folding.vector(made().items, {"i0": 5.0, "i1": 1.0}), first)


def test_without_regularization_and_with_few_items_the_shortest_answer_is_taken():
    items = a_space(np.eye(2, 4))
    found = a_fold(regularization=0.0).vector(items, {"t0": 5.0, "t1": 1.0})
    np.testing.assert_allclose(found, [1, 1, 0, 0], atol=1e-6)


def test_the_sums_over_all_items_are_made_once_and_in_well_under_a_second():
    rng = np.random.default_rng(0)
    items = a_space(rng.normal(size=(200_000, 64)).astype(np.float32))
    folding = a_fold()
    folding.vector(items, {"t0": 5.0, "t1": 1.0})
    kept = folding.gram(items)
    started = time.perf_counter()
    folding.vector(items, {"t0": 5.0, "t9": 1.0})
    assert time.perf_counter() - started < 0.25
    assert folding.gram(items) is kept
    np.testing.assert_allclose(kept, items.vectors.T @ items.vectors, rtol=1e-3, atol=60)


# --- what is refused ---


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "a person who rated nothing has no vector"),
        ({"i99": 3.0}, 'has no item with the id "i99".*the nearest ids: .*i9'),
        ({"i0": 5.5}, "ratings of items go from 1 to 5, and 'i0' has 5.5"),
        ({"i0": 3.0, "i1": -1.0}, "ratings of items go from 1 to 5, and 'i1' has -1"),
        ({"i0": float("nan")}, "ratings of items go from 1 to 5, and 'i0' has nan"),
        ({"i0": float("inf")}, "ratings of items go from 1 to 5, and 'i0' has inf"),
    ],
    ids=str,
)
def test_ratings_that_make_no_person_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        a_fold().vector(made().items, given)


def test_an_item_that_the_factorization_dropped_is_unknown():
    few = Ratings(
        user_ids=["a", "b", "a", "b", "a"], item_ids=["x", "x", "y", "y", "z"], values=[5, 1, 2, 4, 3]
    )
    spaces = factorize(few, dim=2, min_ratings=2)
    with pytest.raises(UserError, match='has no item with the id "z"'):
        FoldIn(settings=spaces.settings).vector(spaces.items, {"x": 5.0, "z": 3.0})


def test_the_ends_of_a_scale_that_float32_cannot_hold_are_on_it():
    rated = Ratings(user_ids=["a", "a", "b"], item_ids=["x", "y", "x"], values=[0.1, 4.7, 2.3])
    spaces = factorize(rated, dim=2)
    assert FoldIn(settings=spaces.settings).vector(spaces.items, {"x": 4.7, "y": 0.1}).shape == (2,)


def test_vectors_that_cancel_give_no_person():
    with pytest.raises(UserError, match="cancel each other out"):
        a_fold().vector(a_space(np.array([[1.0, 2.0], [-1.0, -2.0]])), {"t0": 3.0, "t1": 3.0})


# --- in expressions ---


def test_an_expression_folds_a_person_in_by_labels_and_ids():
    items = dataclasses.replace(
        made().items, labels=tuple(f"Item {row}" for row in range(ITEMS)), metadata=pa.table({})
    )
    scope = Scope(space=items, users=made().users, fold_in=fold_in())
    point = evaluate('user({"Item 0": 5, id("' + items.ids[1] + '"): 1.5})', scope)
    expected = fold_in().vector(items, {items.ids[0]: 5.0, items.ids[1]: 1.5})
    np.testing.assert_allclose(point.vector, expected, rtol=1e-5)
    assert point.kind == "user"
    assert point.parents == (items.ids[0], items.ids[1]), "what was rated is not recommended"
    with pytest.raises(UserError, match="rated twice"):
        evaluate(f'user({{"Item 0": 5, id("{items.ids[0]}"): 1}})', scope)


def test_a_space_that_does_not_know_how_its_people_were_made_folds_nobody_in():
    scope = Scope(space=made().items, users=made().users)
    with pytest.raises(UserError, match=r"how its users were made is not known.*factorization.factorize\("):
        evaluate('user({"i0": 5})', scope)
