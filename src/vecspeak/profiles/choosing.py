"""Choosing: whose profiles are checked, and what is known of whether a reader was trained on them.

Knows people by id and how many of their ratings could be hidden. Knows no vectors.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from vecspeak.bundles import Bundle
from vecspeak.errors import UserError
from vecspeak.points import parse
from vecspeak.points.expressions import Person, User
from vecspeak.points.lookup import nearest_rows
from vecspeak.points.sources import source_of
from vecspeak.profiles.crowd import Crowd, fold_in_of
from vecspeak.profiles.hiding import can_hide
from vecspeak.tasks.lessons import is_held_out_person

MIN_PEOPLE = 2
"""One is held against the profile of the other."""
NEW = ""
"""Id of a person who is in no table: one whose ratings were typed."""


def named_person(expression: str, crowd: Crowd) -> tuple[str, Mapping[str, float]]:
    """The id and the ratings of `user(42)`, who is in the ratings, or of `user({"Heat": 5, ...})`, who is NEW.

    Raises UserError for any other expression, unknown people, unknown items and ratings off the space's scale.
    """
    tree = parse(expression)
    if isinstance(tree, Person):
        ratings = dict(source_of(tree, crowd.entry.scope).ratings)
        # All of them: one that is hidden in every draw would never be looked at, and yet move the person's mean.
        fold_in_of(crowd.entry).vector(crowd.entry.space, ratings)
        return NEW, ratings
    if not isinstance(tree, User):
        raise UserError(
            f"{tree} is not one person; a profile is checked of one",
            "type --at 'user(42)', with an id of the ratings",
        )
    if tree.user_id not in crowd.people:
        ids = list(crowd.people)
        near = [ids[row] for row in nearest_rows(tree.user_id, ids)] or ids[:5]
        raise UserError(
            f"nobody in the ratings has the id {tree.user_id!r} and rated an item of {crowd.entry.space.name!r}",
            f"there are: {', '.join(near)}",
        )
    return tree.user_id, crowd.people[tree.user_id]


def people_to_check(crowd: Crowd, count: int, share: float, seed: int) -> list[str]:
    """So many held-out people with enough ratings, or as many as there are, drawn by the seed.

    Raises UserError for fewer than two.
    """
    fit = [one for one in _fit(crowd, share) if is_held_out_person(one)]
    if len(fit) < MIN_PEOPLE:
        raise UserError(
            f"{len(fit)} people who are held out rated enough for {100 * share:g}% to be hidden; at least {MIN_PEOPLE} "
            "are needed",
            "give ratings of more people, or another --hide",
        )
    return _drawn(fit, count, seed)


def others_than(crowd: Crowd, person: str, count: int, share: float, seed: int) -> list[str]:
    """So many other people with enough ratings, drawn by the seed. Raises UserError where there is none."""
    fit = [one for one in _fit(crowd, share) if one != person]
    if not fit:
        raise UserError(
            f"nobody else rated enough for {100 * share:g}% to be hidden and to be held beside this person",
            "give ratings of more people, or another --hide",
        )
    return _drawn(fit, count, seed)


def standing(bundle: Bundle, people: Sequence[str]) -> str:
    """Whether the reader may have been trained on profiles of these people, in a line."""
    if not bundle.manifest.knows_tasks:
        return "the reader was trained on nobody's profile"
    if list(people) == [NEW]:
        return "this person is in no table, so nothing was trained on them"
    if all(map(is_held_out_person, people)):
        who = "this person is" if len(people) == 1 else "these people are"
        return f"{who} held out: in no target that vecspeak teach writes for training"
    return (
        "THE READER MAY HAVE BEEN TRAINED ON THIS PERSON'S PROFILE, HIDDEN RATINGS AND ALL: only a tenth of people are "
        "held out; --people N takes those"
    )


def _fit(crowd: Crowd, share: float) -> list[str]:
    return sorted(person for person, rated in crowd.people.items() if can_hide(rated, share))


def _drawn(people: Sequence[str], count: int, seed: int) -> list[str]:
    return [people[row] for row in np.random.default_rng(seed).permutation(len(people))[:count].tolist()]
