import numpy as np
import pytest

from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.lookup import neighbors_of_item

SPACE = Space(
    name="movies",
    ids=("m1", "m2", "m3", "m4"),
    labels=("Heat", "Alien", "Alien", "m1"),
    vectors=np.array([[1, 0], [1, 1], [0, 1], [-1, 0]]),
)


@pytest.mark.parametrize(("given", "row"), [("Heat", 0), ("heat", 0), ("m3", 2), ("m1", 3)])
def test_an_item_is_found_by_label_before_id_and_in_any_case(given, row):
    assert SPACE.find(given) == row


def test_all_rows_with_a_label_are_named_in_order():
    assert [SPACE.rows_labelled(label) for label in ("Alien", "Heat", "m1", "alien")] == [
        [1, 2],
        [0],
        [3],
        [],
    ]


def test_a_label_of_several_items_is_refused_with_their_ids():
    with pytest.raises(UserError, match="2 items of 'movies' have the label 'Alien'; use an id: 'm2', 'm3'"):
        SPACE.find("Alien")


def test_a_misspelt_label_names_the_nearest_with_its_id():
    with pytest.raises(UserError, match=r"label or id 'Heet'; did you mean 'Heat' \(id 'm1'\)"):
        SPACE.find("Heet")


def test_neighbours_of_an_item_leave_it_out():
    found = neighbors_of_item(SPACE, "Heat", 2)
    assert [(one.id, one.label) for one in found] == [("m2", "Alien"), ("m3", "Alien")]
    assert found[0].score == pytest.approx(0.5**0.5)
