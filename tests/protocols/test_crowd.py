import dataclasses

import numpy as np
import pytest

import tastes
from vecspeak.errors import UserError
from vecspeak.protocols.hiding import hide, order_of
from vecspeak.protocols.people import UserRatings


def test_counts_and_means_leave_the_person_out():
    people = {"a": {"p0": 5.0, "p1": 1.0}, "b": {"p0": 1.0}}
    made = UserRatings.of(tastes.entry(), people)
    assert made.popularity(["p0", "p1"], "a").tolist() == [1, 0]
    middle = (3.0 + 1.0) / 2
    assert made.mean_ratings(["p0", "p1"], "a").tolist() == [(1 + 5 * middle) / 6, middle]


def test_for_someone_outside_the_factorization_the_space_is_as_it_is():
    crowd = tastes.crowd()
    assert crowd.without({"nobody": {"p0": 5.0}}) is tastes.entry()


def test_without_a_few_ratings_the_space_lies_where_it_lay():
    crowd, space = tastes.crowd(), tastes.entry().space
    found = crowd.without({"u0": hide(crowd.people["u0"], 0.3, [0]).hidden}).space
    assert (found.name, found.ids) == (space.name, space.ids)
    cosines = (found.vectors * space.vectors).sum(1) / found.lengths / space.lengths
    assert np.median(cosines) > 0.9


def test_an_item_that_nobody_else_rated_is_not_in_the_space_without_it():
    people = {person: dict(rated) for person, rated in tastes.crowd().people.items()}
    item = next(iter(people["u0"]))
    for person, rated in people.items():
        if person != "u0":
            rated.pop(item, None)
    found = UserRatings.of(tastes.entry(), people).without({"u0": {item: 5.0}}).space
    assert not found.has(item)
    assert found.num_items == tastes.entry().space.num_items - 1


def auc_of(crowd, person, parts, space, vector):
    items = [item for item in (*parts.liked, *parts.disliked) if space.has(item)]
    rows = [space.index_of(item) for item in items]
    assert len(items) == len(parts.liked) + len(parts.disliked)
    return order_of(parts.liked, parts.disliked, space.vectors[rows] @ vector).auc


def test_the_stored_vector_and_items_that_saw_what_was_hidden_know_too_much():
    """The leak, on ratings without taste: only what is made without the hidden ratings ranks them as chance does."""
    crowd, entry = tastes.crowd(noise=True), tastes.entry(noise=True)
    parts = {person: hide(rated, 0.3, [0]) for person, rated in crowd.people.items()}
    without = crowd.without({person: one.hidden for person, one in parts.items()}).space
    stored, folded, honest = [], [], []
    for person, one in parts.items():
        known = entry.users.vectors[entry.users.index_of(person)]
        stored.append(auc_of(crowd, person, one, entry.space, known))
        seen = entry.fold_in.vector(entry.space, one.shown)
        folded.append(auc_of(crowd, person, one, entry.space, seen))
        honest.append(auc_of(crowd, person, one, without, entry.fold_in.vector(without, one.shown)))
    assert np.mean(stored) > 0.59
    assert np.mean(folded) > 0.55
    assert abs(np.mean(honest) - 0.5) < 0.03


def test_who_cannot_be_folded_in_and_foreign_items_are_refused():
    unknown = dataclasses.replace(tastes.entry(), fold_in=None)
    with pytest.raises(UserError, match="how its users were made is not known"):
        UserRatings.of(unknown, {"a": {"p0": 5.0}})
    with pytest.raises(UserError, match="none of the rated items is in the space 'triples'.*`item`"):
        UserRatings.of(tastes.entry(), {"a": {"x": 5.0}})
