import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecspeak.errors import UserError
from vecspeak.protocols.hiding import FEWEST, can_hide, hide, mean_of

RATED = {f"m{number}": float(1 + number % 5) for number in range(40)}


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.floats(1, 5), min_size=12, max_size=60),
    st.floats(0.1, 0.9),
    st.integers(0, 9),
)
def test_what_is_hidden_is_not_kept_and_nothing_is_lost(rated, share, draw):
    if not can_hide(rated, share):
        with pytest.raises(UserError, match="cannot be hidden"):
            hide(rated, share, [draw])
        return
    parts = hide(rated, share, [draw])
    assert {**parts.shown, **parts.hidden} == rated
    assert not set(parts.shown) & set(parts.hidden)
    assert set(parts.liked) | set(parts.disliked) <= set(parts.hidden)
    mean = mean_of(rated)
    assert all(rated[item] > mean for item in parts.liked)
    assert all(rated[item] < mean for item in parts.disliked)
    assert min(len(parts.liked), len(parts.disliked)) >= FEWEST


def test_the_share_is_hidden_on_either_side():
    parts = hide(RATED, 0.5, [0])
    assert (len(parts.liked), len(parts.disliked), len(parts.hidden)) == (8, 8, 20)


def test_a_seed_hides_the_same_whatever_the_order_and_another_hides_others():
    turned = dict(reversed(RATED.items()))
    assert set(hide(RATED, 0.3, [1]).hidden) == set(hide(turned, 0.3, [1]).hidden)
    assert set(hide(RATED, 0.3, [1]).hidden) != set(hide(RATED, 0.3, [2]).hidden)


@pytest.mark.parametrize(
    "rated",
    [{}, {"a": 3.0}, {f"m{number}": 4.0 for number in range(50)}, {"a": 5.0, "b": 1.0, "c": 4.0}],
    ids=len,
)
def test_too_few_ratings_or_equal_ones_are_refused_with_the_counts(rated):
    with pytest.raises(UserError, match=r"of \d+ ratings over their own mean and \d+ under it, 30% cannot"):
        hide(rated, 0.3, [0])
