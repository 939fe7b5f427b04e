"""The laws of points, what each expression comes to by hand, and what is no point."""

import dataclasses
import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vecspeak.errors import UserError
from vecspeak.points import Concept, Point, Scope, evaluate, evaluate_path, parse
from vecspeak.points import rows_where as rows_of_query
from vecspeak.points.concept_fit import metadata_mask
from vecspeak.points.parser import parse_query
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters


def rows_where(space, query):
    """Rows of a query, typed or made."""
    return rows_of_query(space, parse_query(query) if isinstance(query, str) else query)


HEAT, ALIEN, UP = [1.0, 2.0, 3.0], [4.0, 0.0, -2.0], [0.5, 0.25, 8.0]

amounts = st.floats(min_value=-100, max_value=100)
WORDS = """"Heat" 'Up' funny user(7) id("m1") mid( mean( ( ) , + - * / 0 2 1e308 .5 dull " \\ slerp( toward( negate(
centroid( studio = "F" year >= 1979 and not @films @ random(3) cluster(0) user({ "Heat":4 }) item(""".split()
over_fixtures = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def fault(text: str, scope: Scope) -> UserError:
    with pytest.raises(UserError) as caught:
        evaluate(text, scope)
    return caught.value


def test_an_item_is_its_own_vector_and_its_own_parent(scope):
    point = evaluate("'Alien'", scope)
    assert point.vector.tolist() == ALIEN
    assert point.vector.dtype == np.float32
    assert (point.space, point.kind, point.item_id, point.parents) == ("films", "item", "m2", ("m2",))
    assert point.expression == '"Alien"'


@given(st.floats(min_value=0, max_value=1))
@over_fixtures
def test_midpoint_of_a_vector_with_itself_is_that_vector(scope, amount):
    point = evaluate(f'mid("Heat", "Heat", {amount!r})', scope)
    assert point.vector.tolist() == HEAT
    assert point.item_id == "m1"


@pytest.mark.parametrize(("amount", "item_id"), [("0", "m1"), ("1", "m2"), ("2/2", "m2"), ("-0", "m1")])
def test_mid_at_its_ends_gives_the_ends(scope, amount, item_id):
    point = evaluate(f'mid("Heat", "Alien", {amount})', scope)
    assert (point.item_id, point.parents) == (item_id, (item_id,))
    assert np.array_equal(point.vector, evaluate(f'id("{item_id}")', scope).vector)


def test_mean_of_one_is_it(scope):
    assert evaluate('mean("Up")', scope).item_id == "m3"
    assert evaluate('mean("Up")', scope).vector.tolist() == UP


@given(amounts)
@over_fixtures
def test_adding_a_concept_and_taking_it_away_changes_nothing(scope, amount):
    point = evaluate(f'"Heat" + {amount!r}*funny - ({amount!r}*funny)', scope)
    assert point.vector.tolist() == HEAT
    assert (point.kind, point.item_id) == ("item", "m1")


def test_none_of_a_concept_changes_nothing(scope):
    assert evaluate('"Heat" + 0*funny', scope).item_id == "m1"


def test_an_amount_of_a_concept_counts_in_standard_deviations(scope):
    point = evaluate('"Heat" + 2*funny', scope)
    assert np.allclose(point.vector, [1 + 2 * 2.5 * 0.6, 2, 3 + 2 * 2.5 * 0.8])
    assert (point.kind, point.item_id, point.parents) == ("made", None, ("m1",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('mid("Heat", "Alien")', [2.5, 1.0, 0.5]),
        ('mid("Heat", "Alien", 0.25)', [1.75, 1.5, 1.75]),
        ('mean("Heat", "Alien", "Up", "Heat")', [1.625, 1.0625, 3.0]),
        ('"Heat" - "Alien" + "Up"', [-2.5, 2.25, 13.0]),
        ('-"Heat"*2 - "Alien"/4', [-3.0, -4.0, -5.5]),
        ('2*("Heat" + 3*("Alien" - "Up"))', [23.0, 2.5, -54.0]),
        ("funny + user(7) - -user('ann')", [3.5, 1.0, 4.0]),
        ('mean("Heat", mid("Heat", "Alien") + (1 - 3)/2*funny)', [1.0, 1.5, 0.75]),
    ],
)
def test_evaluation_agrees_with_working_it_out_by_hand(scope, text, expected):
    assert np.allclose(evaluate(text, scope).vector, expected, atol=1e-6)


@given(weights=st.lists(amounts, min_size=4, max_size=4))
@over_fixtures
def test_a_weighted_sum_agrees_with_numpy(scope, films, weights):
    sources = ('"Heat"', '"Alien"', '"Up"', "user(7)")
    vectors = np.array([HEAT, ALIEN, UP, [0, 1, 0]])
    text = " + ".join(f"({weight!r})*{source}" for weight, source in zip(weights, sources, strict=True))
    expected = (np.array(weights) @ vectors).astype(np.float32)
    if 1e9 * np.linalg.norm(expected.astype(float)) < np.median(films.lengths):
        with pytest.raises(UserError):
            evaluate(text, scope)
    else:
        assert np.allclose(evaluate(text, scope).vector, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "kind", "parents"),
    [
        ("user(7)", "user", ()),
        ('mid(user(7), user("ann")) + funny', "user", ()),
        ('"Heat" + user(7)', "made", ("m1",)),
        ('"Heat" + user(7) - user(7)', "item", ("m1",)),
        ('2*"Heat"', "made", ("m1",)),
        ('mean("Up", "Heat", "Up")', "made", ("m3", "m1")),
        ('"Up" + "Heat" - "Up" + "Alien"', "made", ("m1", "m2")),
        ('0.1*"Up" + 0.2*"Up" - 0.3*"Up" + "Heat"', "item", ("m1",)),
        ('mean("Up", "Up", "Up")', "item", ("m3",)),
    ],
)
def test_a_point_knows_what_it_was_made_from(scope, text, kind, parents):
    point = evaluate(text, scope)
    assert (point.kind, point.parents) == (kind, parents)
    assert (point.item_id is not None) == (kind == "item")


def test_a_tree_evaluates_as_its_text_does(scope):
    text = '"Heat" + 0.8*funny'
    assert np.array_equal(evaluate(parse(text), scope).vector, evaluate(text, scope).vector)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 + 2", "at character 1: this is a number, not a point"),
        (" 2*funny", "at character 2: this is a direction, not a point; add it to an item or a user"),
        ('"Heat" * "Alien"', "at character 8: * joins a point and a point; one side must be a number"),
        ('"Heat" + funny*funny', "at character 15: * joins a concept and a concept"),
        ('"Heat" + 1', "at character 8: + joins a point and a number"),
        ('3 - funny + "Heat"', "at character 3: - joins a number and a concept"),
        ('"Heat" / "Alien"', "at character 8: / divides by a point; only a number may stand after /"),
        ('"Heat" / (1 - 1)', "at character 8: division by zero"),
        ('mid("Heat", 3)', "at character 13: mid takes points, but this is a number"),
        ('mean("Heat", funny)', "at character 14: mean takes points, but this is a concept"),
        ('mid("Heat", "Alien", "Up")', "at character 22: the third argument of mid is a number, but"),
        ('mid("Heat", "Alien", 1.5)', "at character 22: mid takes a number from 0 (the first point) to 1"),
        ('mid("Heat", "Alien", -0.1)', "at character 22: mid takes a number from 0 (the first point) to 1"),
        ('mid("Heat", "Alien", 1e308*1e308 - 1e308*1e308)', "at character 22: mid takes a number from 0"),
        ('"Heat" - "Heat"', "at character 1: nothing is left of the items and users in this"),
        ('"Heat" - "Heat" + funny', "at character 1: nothing is left of the items and users in this"),
        ('1e300*1e300*"Heat"', "at character 1: this point lies too far out to be computed"),
        ('1e300*"Heat"', "at character 1: this point lies too far out to be computed"),
        ('1e-300*"Heat"', "at character 1: this is the zero vector, which has no direction"),
        ('"Heat" + slow', "at character 10: there is no concept slow; concepts there are: funny"),
        ('"Heat" + alien', "at character 10: there is no concept alien; concepts there are: funny; lab"),
        ('mid("Heat", "Aline")', 'at character 13: films has no item "Aline"; the nearest spellings:'),
        ("user(8)", 'at character 1: there is no user "8" among the 2 of films.users; users there'),
    ],
)  # fmt: skip
def test_what_is_no_point_is_refused_at_its_place(scope, text, message):
    assert str(fault(text, scope)).startswith(message)


def test_two_items_with_opposite_vectors_have_no_midpoint():
    space = Space(
        name="s",
        ids=("a", "b"),
        labels=("a", "b"),
        vectors=np.array([[0.1, 0.3], [-0.1, -0.3]]),
        metadata=pa.table({}),
    )
    assert "this is the zero vector" in fault('mid("a", "b")', Scope(space=space)).message


def test_a_user_without_users_is_refused(films):
    assert (
        'user "3" was asked for, but this space has no users' in fault("user(3)", Scope(space=films)).message
    )


def test_users_and_concepts_of_another_width_are_refused(films, funny):
    narrow = Space(name="u", ids=("7",), labels=("7",), vectors=np.ones((1, 2), dtype=np.float32))
    with pytest.raises(UserError, match="users have width 2, items of films have 3"):
        Scope(space=films, users=narrow)
    flat = dataclasses.replace(funny, direction=np.array([0.6, 0.8]))
    with pytest.raises(UserError, match="the concept funny has width 2, films has width 3"):
        Scope(space=films, concepts={"funny": flat})


def test_points_cannot_be_changed_and_refuse_infinite_numbers(scope):
    with pytest.raises(ValueError, match="read-only"):
        evaluate('"Heat"', scope).vector[0] = 5
    with pytest.raises(UserError, match="NaN or infinite"):
        Point(space="s", vector=np.array([np.inf]), expression="x", item_id=None, kind="made", parents=())


def test_the_longest_chains_and_deepest_brackets_evaluate(scope):
    chain = '"Up"' + "+0*funny" * 249
    assert evaluate(chain, scope).item_id == "m3"
    deep = '-mid("Up"+2*' * 100 + '"Up"' + ',"Up")' * 100
    assert evaluate(deep, scope).parents == ("m3",)


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
@over_fixtures
def test_garbage_only_ever_raises_a_user_error(scope: Scope, text: str):
    try:
        point = evaluate(text, scope)
    except UserError:
        return
    assert np.isfinite(point.vector).all()
    again = evaluate(point.expression, scope)
    assert np.array_equal(again.vector, point.vector)
    assert again.expression == point.expression


def test_a_concept_of_any_name_in_the_mapping_is_found_by_that_name(films, funny: Concept):
    assert evaluate('"Heat" + droll', Scope(space=films, concepts={"droll": funny})).parents == ("m1",)


# --- the wider language ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('toward("Heat", funny, 2)', [4.0, 2.0, 7.0]),
        ('toward("Heat", funny)', [2.5, 2.0, 5.0]),
        ('away("Heat", funny, 2)', [-2.0, 2.0, -1.0]),
        ('toward("Heat", -2*funny, 1)', [-2.0, 2.0, -1.0]),
        ('centroid(studio = "f")', [0.5, 1.0, -0.5]),
        ("centroid(year >= 1995)", [-0.5, 4.25 / 3, 4.0]),
        ("item(year < 1979)", [1.0, 1.0, 1.0]),
        ('item(label ~ "li")', [4.0, 0.0, -2.0]),
        ('negate("Up")', [2 * 0.7 - 0.5, 2 * 1.05 - 0.25, 2 * 2.2 - 8.0]),
        ('item(studio = F and not label = "Alien") + item(id = m1)', [-2.0, 4.0, 4.0]),
        ('centroid(studio = "P" or year = 1995)', [0.75, 1.125, 5.5]),
    ],
)
def test_the_wider_language_agrees_with_working_it_out_by_hand(scope, text, expected):
    assert np.allclose(evaluate(text, scope).vector, expected, atol=1e-6)


@given(amounts)
@over_fixtures
def test_toward_and_then_as_far_away_comes_back(scope, amount):
    point = evaluate(f'away(toward("Heat", funny, {amount!r}), funny, {amount!r})', scope)
    assert (point.item_id, point.vector.tolist()) == ("m1", HEAT)


def test_to_negate_twice_changes_nothing(scope):
    assert evaluate('negate(negate("Heat"))', scope).item_id == "m1"


@given(st.floats(min_value=0, max_value=1))
@over_fixtures
def test_slerp_keeps_lengths_and_angles(scope, amount):
    point = evaluate(f'slerp("Heat", "Alien", {amount!r})', scope).vector.astype(np.float64)
    first, second = (np.array(one) / np.linalg.norm(one) for one in (HEAT, ALIEN))
    angle = np.arccos(first @ second)
    length = (1 - amount) * np.linalg.norm(HEAT) + amount * np.linalg.norm(ALIEN)
    assert np.isclose(np.linalg.norm(point), length, rtol=1e-5)
    assert np.isclose(point @ first / length, np.cos(amount * angle), atol=1e-5)
    assert np.isclose(point @ second / length, np.cos((1 - amount) * angle), atol=1e-5)


@pytest.mark.parametrize(("amount", "item_id"), [("0", "m1"), ("1", "m2")])
def test_slerp_at_its_ends_gives_the_ends(scope, amount, item_id):
    assert evaluate(f'slerp("Heat", "Alien", {amount})', scope).item_id == item_id


@given(st.floats(min_value=0, max_value=1))
@over_fixtures
def test_slerp_of_a_vector_with_itself_is_that_vector(scope, amount):
    assert evaluate(f'slerp("Heat", "Heat", {amount!r})', scope).item_id == "m1"


def test_slerp_between_opposite_points_is_refused(scope):
    assert "opposite ways" in fault('slerp("Heat", -"Heat")', scope).message


def test_a_path_starts_and_ends_at_its_ends(scope):
    points = evaluate_path('between("Heat", "Alien") steps 4', scope)
    assert [point.item_id for point in points] == ["m1", None, None, "m2"]
    assert points[1].expression == 'mid("Heat", "Alien", 0.333333)'
    assert np.allclose(points[2].vector, [3, 2 / 3, -1 / 3], atol=1e-5)
    assert evaluate_path('"Up"', scope)[0].item_id == "m3"
    assert "a path of 4 points, not a point" in fault('between("Heat", "Alien") steps 4', scope).message


def test_random_points_are_drawn_like_the_items():
    drawn = np.random.default_rng(0)
    vectors = drawn.normal([5, 0, 0], [1, 2, 0.1], (400, 3)).astype(np.float32)
    names = tuple(map(str, range(400)))
    wide = Scope(space=Space(name="wide", ids=names, labels=names, vectors=vectors))
    found = np.stack([evaluate(f"random({seed})", wide).vector for seed in range(400)])
    assert np.allclose(found.mean(0), vectors.mean(0), atol=0.3)
    assert np.allclose(found.std(0), vectors.std(0), rtol=0.15)
    assert np.array_equal(found[3], evaluate("random(3)", wide).vector)


class Folding:
    """Somebody's vector: the sum of what they rated, weighted by the ratings."""

    def vector(self, space, ratings):
        rows = [space.index_of(item) for item in ratings]
        return (np.array(list(ratings.values())) @ space.vectors[rows]).astype(np.float32)


def test_a_person_is_folded_in_by_what_they_rated(films, viewers):
    folding = Scope(space=films, users=viewers, fold_in=Folding())
    point = evaluate('user({"Heat": 2, id("m2"): -1})', folding)
    assert (point.kind, point.parents, point.vector.tolist()) == ("user", ("m1", "m2"), [-2.0, 4.0, 8.0])
    both = evaluate('mid(user({"Heat": 2}), user(7))', folding)
    assert both.kind == "user"
    swapped = 'user({id("m2"): -1, "Heat": 2}) - user({"Heat": 2, id("m2"): -1}) + "Up"'
    assert evaluate(swapped, folding).item_id == "m3"
    assert point.notes == ("2 ratings tell little of a person: give 10 or more",)
    for alike in ('user({"Heat": 2})', 'user({"Heat": 2, "Up": 2})'):
        assert "changes nothing" in evaluate(alike, folding).notes[0]
    assert "is rated twice" in fault('user({"Heat": 2, id("m1"): 3})', folding).message
    assert str(fault('user({"Heat": 2, "Haet": 3})', folding)).startswith(
        "at character 18: films has no item"
    )
    assert "nobody can be folded into films" in fault('user({"Heat": 2})', Scope(space=films)).message


def test_regions_are_the_means_of_their_items(films):
    labels = np.array([0, 0, 1, -1, 1])
    centroids = np.stack([films.vectors[labels == region].mean(0) for region in (0, 1)])
    clusters = Clusters(
        labels=labels, centroids=centroids, method="kmeans", seed=0, space_digest=films.digest
    )
    cut = Scope(space=films, clusters=clusters)
    assert evaluate("cluster(0)", cut).vector.tolist() == [2.5, 1.0, 0.5]
    assert evaluate("cluster(0) - cluster(0) + cluster(1)", cut).parents == ()
    assert "has the regions 0 to 1, got 2" in fault("cluster(2)", cut).message
    assert "make them with `VecSpeak.atlas" in str(fault("cluster(0)", Scope(space=films)))


@pytest.fixture
def others(films):
    """Another space of the same width, where Heat lies elsewhere."""
    space = dataclasses.replace(films, name="films.other", vectors=films.vectors[::-1].copy())
    return {"films.other": Scope(space=space)}


def test_a_point_of_another_space_says_where_it_lies(scope, others):
    point = evaluate('mid("Heat", "Alien")@films.other', scope, others)
    assert (point.space, point.parents) == ("films.other", ("m1", "m2"))
    assert point.vector.tolist() == [-1.0, 1.5, 1.0]
    assert evaluate('("Heat"@films.other + "Alien"@films.other)/2', scope, others).space == "films.other"
    assert evaluate('"Heat"@films', scope, others).space == "films"
    assert [one.space for one in evaluate_path('between("Heat"@films, "Up") steps 2', scope, others)] == [
        "films"
    ] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"Heat" + "Heat"@films.other', "at character 8: this would mix points of two spaces, films and films.other"),
        ('mid("Heat", "Heat"@films.other)', "at character 13: this would mix points of two spaces"),
        ('("Heat"@films.other + funny)', "at character 21: this would mix points of two spaces, films.other and films"),
        ('"Heat"@films.othe', "at character 1: there is no space films.othe; did you mean 'films.other'"),
        ('("Heat"@films)@films.other', "at character 2: this lies in films, so it cannot be taken from films.other"),
        ("3@films", "at character 1: this is a number, which lies in no space"),
        ('(funny)@films.other', "at character 2: there is no concept funny; no concepts are fitted"),
        (
            'item(studio = "F")',
            'at character 1: 2 items of films have studio = "F": "Alien" id("m2") (1979), "Solaris" id(',
        ),
        ('centroid(studio = "Q")', 'at character 1: no item of films has studio = "Q"'),
        ('centroid(studios = "F")', "at character 1: films has no column \"studios\"; did you mean 'studio'?"),
        ('centroid(studio < 3)', "at character 1: < compares numbers, and studio holds text"),
        ('centroid(year < "x")', 'at character 1: < compares numbers, and "x" is text'),
        ('toward("Heat", "Up", 1)', "at character 16: toward goes along a concept, but this is a point"),
        ('toward("Heat", funny, "Up")', "at character 23: the third argument of toward is an amount in standard"),
        ('toward(funny, funny, 1)', "at character 8: toward takes points, but this is a concept"),
        ("negate(2)", "at character 8: negate takes points, but this is a number"),
    ],
)  # fmt: skip
def test_what_the_wider_language_refuses_is_refused_at_its_place(scope, others, text, message):
    with pytest.raises(UserError) as caught:
        evaluate(text, scope, others)
    assert str(caught.value).startswith(message)


def test_the_same_rows_are_found_by_a_query_in_text_and_as_a_tree(films):
    assert rows_where(films, 'year >= 1979 and studio != "W"').tolist() == [1, 2, 4]
    assert rows_where(films, parse_query("not year >= 1979")).tolist() == [3]


def test_an_empty_cell_fulfils_no_comparison_and_a_list_any_of_its_parts(films):
    table = pa.table({"tags": [["a", "B"], None, [], ["ab"], ["b"]], "score": [1.5, None, 3, 2, None]})
    space = dataclasses.replace(films, metadata=table)
    assert rows_where(space, "tags = b").tolist() == [0, 4]
    assert rows_where(space, "tags ~ B").tolist() == [0, 3, 4]
    assert rows_where(space, "tags != b").tolist() == [1, 2, 3]
    assert rows_where(space, "score < 100").tolist() == [0, 2, 3]
    assert rows_where(space, "not score < 100").tolist() == [1, 4]
    assert rows_where(space, "score = 3.0 or score = '1.5'").tolist() == [0, 2]


@pytest.fixture
def typed(films):
    """The films with a column of each type that is neither text nor a plain number."""
    table = pa.table({
        "shown": pa.array([datetime.date(1995, 12, day) for day in (1, 2, 3, 4, 5)]),
        "seen": pa.array([datetime.datetime(1995, 12, day, 12) for day in (1, 2, 3, 4, 5)], pa.timestamp("s", "UTC")),
        "price": pa.array([Decimal(f"{whole}.50") for whole in range(5)]),
        "post": [2**60, 2**60 + 1, 2**53, 2**53 + 1, None],
        "pair": pa.array([[row, row + 1] for row in range(5)], pa.list_(pa.int64(), 2)),
        "nothing": pa.nulls(5),
        "good": [True, False, None, True, False],
        "tags": [["a", None], [None], [], None, ["None"]],
    })  # fmt: skip
    return dataclasses.replace(films, metadata=table)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ('shown > "1995-12-03"', [3, 4]),
        ('seen <= "1995-12-02T12:00"', [0, 1]),
        ('seen <= "1995-12-02"', [0]),
        ("price = 1.5", [1]),
        ("price >= 2.5", [2, 3, 4]),
        ("post = 1152921504606846977", [1]),
        ("post = '1152921504606846976'", [0]),
        ("post > 9007199254740992", [0, 1, 3]),
        ("pair >= 5", [4]),
    ],
)
def test_a_column_is_compared_by_what_it_holds(typed, query, rows):
    assert rows_where(typed, query).tolist() == rows
    assert rows_where(typed, str(parse_query(query))).tolist() == rows


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "shown > 1995",
            'shown holds dates, and "1995" is none; write the whole date, as in shown > "1999-12-31"',
        ),
        ('shown > "spring"', 'shown holds dates, and "spring" is none'),
        ("nothing > 3", "> compares numbers, and nothing holds nothing"),
        ("good > 0", "> compares numbers, and good holds true and false"),
    ],
)
def test_what_has_no_order_says_what_the_column_holds(typed, query, message):
    with pytest.raises(UserError) as caught:
        rows_where(typed, query)
    assert str(caught.value).startswith(message)


def test_an_empty_part_of_a_list_is_not_the_word_none(typed):
    assert metadata_mask(typed, "tags", "none").tolist() == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"Heat"*1e30', "at character 1: this point lies too far out to be computed; use smaller numbers"),
        ('"Heat" + 1e11*funny', "at character 1: this point lies too far out to be computed"),
        ('"Heat"/1e30', "at character 1: this is so short that its direction is lost; use larger numbers"),
    ],
)
def test_a_point_that_would_be_read_as_zeros_is_refused(scope, text, message):
    assert str(fault(text, scope)).startswith(message)
    assert evaluate('1e6*"Heat"', scope).vector.tolist() == [1e6, 2e6, 3e6]
