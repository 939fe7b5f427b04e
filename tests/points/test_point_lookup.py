"""Which item a label or an id means, and what is said where it means none or several."""

import time

import numpy as np
import pyarrow as pa
import pytest

from vecspeak.errors import UserError
from vecspeak.points import find_item, find_user
from vecspeak.points.lookup import nearest_rows
from vecspeak.spaces import Space


def space_of(ids: list[str], labels: list[str], **metadata: list[object]) -> Space:
    vectors = np.ones((len(ids), 2), dtype=np.float32)
    return Space(name="s", ids=tuple(ids), labels=tuple(labels), vectors=vectors, metadata=pa.table(metadata))


def test_an_exact_label_wins_over_an_id_and_an_id_over_another_case():
    space = space_of(["one", "two", "heat"], ["two", "Heat", "three"])
    assert find_item(space, "two") == 0
    assert find_item(space, "heat") == 2
    assert find_item(space, "HEAT") == 1
    assert find_item(space, "one") == 0


def test_an_exact_label_is_not_ambiguous_with_one_in_another_case():
    assert find_item(space_of(["a", "b"], ["HEAT", "Heat"]), "Heat") == 1


def test_by_id_no_label_matches():
    space = space_of(["one", "two"], ["two", "one"])
    assert find_item(space, "two", by_id=True) == 1
    with pytest.raises(
        UserError, match='s has no item with the id "Two"; the nearest ids: "one" id\\("two"\\)'
    ):
        find_item(space, "Two", by_id=True)


def test_an_ambiguous_label_lists_five_with_ids_and_years_and_what_to_type():
    space = space_of(
        [f"m{n}" for n in range(7)], ["Dune"] * 7, plot=["x"] * 7, Year=[float(1980 + n) for n in range(7)]
    )
    with pytest.raises(UserError) as caught:
        find_item(space, "Dune")
    message = caught.value.message
    assert message.startswith(
        '7 items of s are labelled "Dune": "Dune" id("m0") (1980), "Dune" id("m1") (1981)'
    )
    assert message.endswith('"Dune" id("m4") (1984) and 2 more')
    assert caught.value.hint == 'type id("m0")'


def test_without_a_year_the_first_two_columns_tell_namesakes_apart():
    space = space_of(
        ["a", "b"], ["Dune", "Dune"], genres=[["War", "Drama"], None], by=["Lynch", "Villeneuve"], x=[1, 2]
    )
    with pytest.raises(
        UserError, match='id\\("a"\\) \\(War \\| Drama, Lynch\\), "Dune" id\\("b"\\) \\(Villeneuve\\);'
    ):
        find_item(space, "Dune")


def test_labels_alike_but_for_case_are_ambiguous_in_a_third_case():
    with pytest.raises(
        UserError, match='2 items of s are labelled "hEAT": "HEAT" id\\("a"\\), "Heat" id\\("b"\\)'
    ):
        find_item(space_of(["a", "b"], ["HEAT", "Heat"]), "hEAT")


def test_a_missing_label_names_the_nearest_first_and_at_most_five():
    labels = ["Alien", "Aliens", "Alien 3", "Allen", "Align", "Lien", "Up", "Brazil"]
    near = nearest_rows("alein", labels)
    assert len(near) == 5
    assert near[0] == 0
    assert not {6, 7} & set(near)


def test_a_label_like_no_other_shows_one_that_there_is():
    with pytest.raises(UserError, match='no label is spelt like it; an item there is "Heat" id\\("a"\\)'):
        find_item(space_of(["a"], ["Heat"]), "Qwxyz")


def test_long_labels_are_cut_short_in_errors():
    with pytest.raises(UserError) as caught:
        find_item(space_of(["a"], ["Heat " * 50]), "Heat")
    assert len(str(caught.value)) < 200


def test_a_user_is_found_by_exact_id_only():
    users = space_of(["1", "12", "70"], ["x", "y", "z"])
    assert find_user(users, "12") == 1
    with pytest.raises(UserError, match='there is no user "13" among the 3 of s; users there are: 1, 12'):
        find_user(users, "13")
    with pytest.raises(UserError, match="no user"):
        find_user(users, "y")


def test_a_mistyped_label_among_a_hundred_thousand_is_answered_in_seconds():
    labels = [
        f"{word} of the {number}th day"
        for number in range(25_000)
        for word in ("Night", "Dawn", "Song", "End")
    ]
    labels[77_777] = "The Seventh Seal"
    start = time.perf_counter()
    near = nearest_rows("The Sevnth Seel", labels)
    assert near[0] == 77_777
    assert time.perf_counter() - start < 5
