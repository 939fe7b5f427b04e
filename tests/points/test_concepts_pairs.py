"""Concepts from pairs: files of them, a crowd's attributes, and titles of two catalogues."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecspeak.errors import UserError
from vecspeak.points.concept_fit import concept_from_pairs
from vecspeak.points.judgements import (
    Judgement,
    concept_name,
    finder,
    pairs_of,
    read_names,
    read_pairs,
    read_soft_attributes,
    read_title,
    title_finder,
    unquoted,
)
from vecspeak.points.parser import check_concept_name
from vecspeak.spaces import Space
from vecspeak.spaces.point import quoted


def space_of(*labels, years=None):
    metadata = pa.table({"year": pa.array(years)}) if years else pa.table({})
    ids = tuple(f"m{row}" for row in range(len(labels)))
    return Space(name="films", ids=ids, labels=labels, vectors=np.eye(len(labels)), metadata=metadata)


@pytest.fixture
def ordered():
    """60 items whose first coordinate says how much they have, and 400 judgements of three raters."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 8)).astype(np.float32)
    names = tuple(f"i{row}" for row in range(60))
    space = Space(name="items", ids=names, labels=names, vectors=vectors)
    judgements = []
    for number in range(400):
        one, other = rng.choice(60, 2, replace=False)
        high, low = (one, other) if vectors[one, 0] > vectors[other, 0] else (other, one)
        judgements.append(Judgement(more=names[high], less=names[low], rater=str(number % 3)))
    return space, judgements


def test_a_planted_order_is_recovered_and_counted(ordered):
    space, judgements = ordered
    rows = {name: row for row, name in enumerate(space.labels)}
    concept = concept_from_pairs(space, "much", pairs_of(judgements, rows), source="judgements")
    assert concept.direction[0] > 0.9
    assert (concept.pairs, concept.items, concept.raters) == (400, 60, 3)
    assert (concept.method, concept.measure) == ("rank", "pair accuracy")
    assert concept.is_trusted and concept.score.low > 0.7


def test_pairs_in_any_order_have_no_direction_to_trust(ordered):
    space, judgements = ordered
    rng = np.random.default_rng(1)
    turned = [Judgement(more=one.less, less=one.more) if rng.random() < 0.5 else one for one in judgements]
    rows = {name: row for row, name in enumerate(space.labels)}
    concept = concept_from_pairs(space, "luck", pairs_of(turned, rows))
    assert concept.beats_chance is False
    assert concept.caution.startswith("luck does not beat chance: pair accuracy 0.")
    assert "\n" not in concept.caution


def test_too_few_items_say_how_many_are_needed(ordered):
    space, judgements = ordered
    rows = {f"i{row}": row for row in range(9)}
    with pytest.raises(UserError, match="too few pairs for much: 8 items, .* 10 items and 10 such pairs"):
        concept_from_pairs(space, "much", pairs_of(judgements, rows))
    with pytest.raises(UserError, match="none of the 400 pairs is of two items"):
        pairs_of(judgements, {"i0": 0})


def test_an_item_against_itself_says_nothing_and_a_pair_said_twice_counts_twice():
    said = [
        Judgement(more="a", less="b", rater="1"),
        Judgement(more="a", less="b"),
        Judgement(more="a", less="a"),
    ]
    pairs = pairs_of(said, {"a": 4, "b": 2})
    assert (pairs.more.tolist(), pairs.less.tolist(), pairs.counts.tolist()) == ([4], [2], [2.0])
    assert pairs.raters == 1


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_pairs_are_read_from_every_table(tmp_path, ending):
    path = tmp_path / f"pairs.{ending}"
    table = pa.table({"more": ["Heat", "007"], "less": ["Up", "Heat"], "rater": ["1", "2"]})
    if ending == "csv":
        pa_csv.write_csv(table, path)
    elif ending == "parquet":
        pq.write_table(table, path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in table.to_pylist()))
    assert read_pairs(path) == (
        Judgement(more="Heat", less="Up", rater="1"),
        Judgement(more="007", less="Heat", rater="2"),
    )


def test_a_table_without_its_columns_or_cells_is_refused(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("more,fewer\na,b\n")
    with pytest.raises(UserError, match="has no column 'less'; its columns are more, fewer"):
        read_pairs(path)
    pq.write_table(pa.table({"more": ["a", None], "less": ["b", "c"]}), tmp_path / "gaps.parquet")
    with pytest.raises(UserError, match="column 'more' has no value in 1 rows"):
        read_pairs(tmp_path / "gaps.parquet")
    path.write_text("more,less\na,b\n ,b\n")
    with pytest.raises(UserError, match="row 2 of .*pairs.csv names one item only"):
        read_pairs(path)


def test_names_are_read_one_a_line(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("\ufeffHeat\n\n  Up \nHeat\n", encoding="utf-8")
    assert read_names(path) == ("Heat", "Up")
    path.write_text(" \n")
    with pytest.raises(UserError, match="holds no names; write one label or id a line"):
        read_names(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot read"):
        read_names(path)
    with pytest.raises(UserError, match="there is no file"):
        read_names(tmp_path / "none.txt")


def test_a_name_is_a_label_an_id_or_a_label_in_other_case_but_never_one_of_several():
    find = finder(space_of("Heat", "m0", "Solaris", "Solaris", "HEAT WAVE"))
    found = [find(name) for name in ("Heat", "m0", "m2", "heat wave", "Solaris", "Jaws")]
    assert found == [0, 1, 2, 4, None, None]


@pytest.mark.parametrize(
    ("text", "key", "others", "year"),
    [
        ("The Matrix (1999)", "the matrix", (), 1999),
        ("Matrix, The (1999)", "the matrix", (), 1999),
        ("Boot, Das (Boat, The) (1981)", "das boot", ("the boat",), 1981),
        ("Seven (a.k.a. Se7en) (1995)", "seven", ("se7en",), 1995),
        ("Léon: The Professional", "leon the professional", (), None),
        ("Dumb & Dumber", "dumb and dumber", (), None),
        ("Bug's Life, A", "a bugs life", (), None),
        ("2001: A Space Odyssey (1968)", "2001 a space odyssey", (), 1968),
        ("1984", "1984", (), None),
        ("(500) Days of Summer (2009)", "days of summer", ("500",), 2009),
        ("(1941)", "", (), 1941),
        ("", "", (), None),
    ],
)  # fmt: skip
def test_titles_are_read_whatever_their_catalogue_does_with_them(text, key, others, year):
    title = read_title(text)
    assert (title.key, title.others, title.year) == (key, others, year)


def test_years_tell_namesakes_apart_where_both_sides_have_one():
    find = title_finder(space_of("Psycho", "Psycho", "Heat", "Alien, The", years=[1960, 1998, None, 1979]))
    assert find("Psycho (1960)") == 0 and find("Psycho (1998)") == 1
    assert find("Psycho") is None and find("Psycho (2020)") is None
    assert find("Heat (1995)") == 2
    assert find("The Alien (1979)") == 3 and find("The Alien (1986)") is None


def test_a_year_in_the_label_counts_and_an_other_title_is_tried_last():
    find = title_finder(space_of("Heat (1995)", "Heat (1986)", "Harry Potter and the Philosopher's Stone"))
    assert find("Heat (1995)") == 0 and find("Heat") is None
    told = "Harry Potter and the Sorcerer's Stone (a.k.a. Harry Potter and the Philosopher's Stone) (2001)"
    assert find(told) == 2
    assert find("") is None


HEADER = "rater_id,reference_title,soft_attribute,less_than,about_as,more_than\n"


def test_a_row_of_three_groups_is_every_pair_across_them(tmp_path):
    path = tmp_path / "soft.csv"
    path.write_text(HEADER + '7,R,funny,"[""L""]","[""A""]","[""M"",""N""]"\n8,R,action filled,,"[""A""]",\n')
    found = read_soft_attributes(path)
    assert found.titles == ("R", "L", "A", "M", "N")
    pairs = {(one.more, one.less) for one in found.judgements["funny"]}
    assert pairs == {(m, low) for m in "MN" for low in "RAL"} | {("R", "L"), ("A", "L")}
    assert {one.rater for one in found.judgements["funny"]} == {"7"}
    assert found.judgements["action filled"] == ()
    with pytest.raises(UserError, match="no row judges 'fun'; did you mean 'funny'"):
        found.of_attributes(["fun"])


@pytest.mark.parametrize("cell", ["Alien", '"{""a"": 1}"', '"[1]"'])
def test_a_cell_that_is_no_list_of_titles_names_its_row(tmp_path, cell):
    path = tmp_path / "soft.csv"
    path.write_text(HEADER + f"1,R,funny,,,\n1,R,funny,{cell},,\n")
    with pytest.raises(UserError, match="row 2 of .* where a list of titles should be"):
        read_soft_attributes(path)


def test_another_table_is_refused_with_what_is_missing(tmp_path):
    path = tmp_path / "soft.csv"
    path.write_text("rater_id,title\n1,Heat\n")
    with pytest.raises(UserError, match="has no column 'reference_title'"):
        read_soft_attributes(path)


@pytest.mark.parametrize("attribute", ["action filled", "far-fetched", "mean", "3d", "", "spaß"])
def test_every_attribute_gets_a_name_that_expressions_know(attribute):
    check_concept_name(concept_name(attribute))
    assert concept_name("Action  filled") == "action_filled"


def test_copies_of_items_are_one_item_and_tell_no_order():
    """Labels by chance of 30 places, told of three copies each: a fit that met a copy would know them."""
    rng = np.random.default_rng(3)
    names = tuple(f"i{row}" for row in range(90))
    vectors = np.repeat(rng.normal(size=(30, 64)), 3, axis=0)
    space = Space(name="copied", ids=names, labels=names, vectors=vectors)
    much = np.repeat(rng.normal(size=30), 3)
    drawn = [rng.choice(90, 2, replace=False) for _ in range(600)]
    ordered = [(one, other) if much[one] >= much[other] else (other, one) for one, other in drawn]
    judgements = [Judgement(more=names[one], less=names[other]) for one, other in ordered]
    rows = {name: row for row, name in enumerate(names)}
    concept = concept_from_pairs(space, "luck", pairs_of(judgements, rows))
    assert concept.items == 30
    assert concept.pairs == sum(one // 3 != other // 3 for one, other in ordered)
    assert not concept.beats_chance


def test_pairs_of_copies_alone_are_too_few():
    names = tuple(f"i{row}" for row in range(20))
    space = Space(name="one", ids=names, labels=names, vectors=np.ones((20, 3)))
    judgements = [Judgement(more=names[row], less=names[row + 1]) for row in range(19)]
    with pytest.raises(UserError, match="too few pairs for luck: 1 items, and 0 pairs"):
        concept_from_pairs(space, "luck", pairs_of(judgements, {name: row for row, name in enumerate(names)}))


@given(st.text(min_size=1))
def test_a_name_is_meant_as_it_is_quoted(name):
    assert unquoted(quoted(name)) == name


@pytest.mark.parametrize("name", ["Heat", 'Say "Yes"', '"Yes" or "No"', '"', '""', '"open'])
def test_a_name_that_is_not_in_quotes_is_meant_as_it_stands(name):
    assert unquoted(name) == name
