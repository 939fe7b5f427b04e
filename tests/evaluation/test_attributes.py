import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import precision_score, recall_score
from sklearn.preprocessing import MultiLabelBinarizer

from vecspeak.evaluation.behavior import MOST_NAMES, attribute_accuracy, attributes_of
from vecspeak.spaces import Space

GENRES = (
    "Comedy", "Comedy film", "Romantic comedy", "Science Fiction", "Sci-Fi Horror", "Horror", "Family Film",
    "Children's", "Black-and-white", "Sports", "Zombie Film", "Romance Film", "Film noir", "Culture & Society",
    "Biopic [feature]", "Action Thrillers",
)  # fmt: skip


def space_of(**columns):
    count = len(next(iter(columns.values())))
    return Space(
        name="movies",
        ids=tuple(map(str, range(count))),
        labels=("movie",) * count,
        vectors=np.ones((count, 2), dtype=np.float32),
        metadata=pa.table(columns),
    )


def attributes(*values, years=None):
    """Attributes whose vocabulary is these values, with one entity of which each is true, each in five items."""
    genres = [[value] for value in values] * 5 or [[]] * (5 * len(years))
    columns = {"genres": pa.array(genres, pa.list_(pa.string()))}
    if years:
        columns["year"] = (list(years) * len(genres))[: len(genres)]
    made = attributes_of(space_of(**columns), range(len(values) or len(years)))
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A horror film.", {"Horror"}),
        ("HORROR, comedy", {"Horror", "Comedy"}),
        ("horrors and comedies", {"Horror", "Comedy"}),
        ("horrorful, acomedy, Comedyland", set()),
        ("a comedy film", {"Comedy"}),
        ("a romantic comedy", {"Romantic comedy"}),
        ("a rom-com", {"Romantic comedy"}),
        ("a romantic comedy, which is a comedy", {"Romantic comedy", "Comedy"}),
        ("a romantic, comedy", {"Romance Film", "Comedy"}),
        ("sci-fi", {"Science Fiction"}),
        ("sci fi", {"Science Fiction"}),
        ("a SciFi story", {"Science Fiction"}),
        ("science-fiction", {"Science Fiction"}),
        ("sci-fi horror", {"Sci-Fi Horror"}),
        ("a family movie", {"Family Film"}),
        ("black and white", {"Black-and-white"}),
        ("black & white", {"Black-and-white"}),
        ("a children’s film", {"Children's"}),
        ("a childrens film", {"Children's"}),
        ("she has two children", set()),
        ("a sport movie", {"Sports"}),
        ("zombies!", {"Zombie Film"}),
        ("a romance", {"Romance Film"}),
        ("noir", {"Film noir"}),
        ("culture and society", {"Culture & Society"}),
        ("a biography", {"Biopic [feature]"}),
        ("an action thriller", {"Action Thrillers"}),
        ("horror/comedy", {"Horror", "Comedy"}),
        ("", set()),
    ],
)
def test_names_are_found_as_people_write_them(text, expected):
    assert attributes(*GENRES).named(text) == expected


@pytest.mark.parametrize("tag", ["news", "c++", "3d", "glass", "bus", "gas"])
def test_a_tag_is_found_in_its_own_spelling_and_not_in_half_of_it(tag):
    found = attributes(tag)
    assert found.named(f"about {tag}, mostly") == {tag}
    assert found.named("new gla bu ga c 3") == set()


@pytest.mark.parametrize("order", [("women", "women's"), ("women's", "women"), ("comedy", "comedy kid's")])
def test_the_longest_name_wins_at_each_place(order):
    longest = max(order, key=len)
    assert attributes(*order).named(f"a {longest} film") == {longest}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in the 1990s", {"1990s"}),
        ("in the 1990's", {"1990s"}),
        ("made in 1994.", {"1990s"}),
        ("the nineties", {"1990s"}),
        ("the mid-90s", {"1990s"}),
        ("the '90s", {"1990s"}),
        ("1989-1991", {"1980s", "1990s"}),
        ("ninety, 90, 19900 and 199", set()),
        ("a man in his late eighties", set()),
        ("a woman in her 80s in the eighties", {"1980s"}),
        ("in 2003", {"2000s"}),
        ("in 1975", set()),
    ],
)
def test_decades_are_found_as_people_write_them(text, expected):
    assert attributes(years=[1990, 1985, 2009]).named(text) == expected


def test_the_truth_is_of_the_rows_that_are_asked_for():
    made = attributes("Comedy", "Comedy film", "Horror", years=[1991, 1992, 2005])
    assert made.truth == ({"Comedy", "1990s"}, {"Comedy", "1990s"}, {"Horror", "2000s"})
    assert made.names == ("1990s", "Comedy", "2000s", "Horror")


def test_what_is_in_two_columns_is_one():
    space = space_of(genres=[["Horror"], ["Sci-Fi"]] * 5, tags=[["horror"], ["science fiction"]] * 5)
    made = attributes_of(space, [0, 1])
    assert made.truth == ({"Horror"}, {"Sci-Fi"})


def test_rare_names_are_left_out():
    # Of 1,000 items 1% are 10; of 20 items 5 are the least.
    genres = [["common", "rare"]] * 9 + [["common"]] + [[]] * 990
    assert attributes_of(space_of(genres=genres), [0]).names == ("common",)
    genres = [["common", "rare"]] * 4 + [["common"]] + [[]] * 15
    assert attributes_of(space_of(genres=genres), [0]).names == ("common",)


def test_only_the_commonest_names_are_kept():
    genres = [[f"tag {number}" for number in range(MOST_NAMES + 20)]] * 5 + [["tag 519"]]
    made = attributes_of(space_of(genres=genres), [0])
    assert len(made.names) == MOST_NAMES
    assert made.names[0] == "tag 519"


@pytest.mark.parametrize(
    "columns",
    [
        {"text": ["a"] * 9, "num_ratings": [3] * 9},
        {"genres": [["once"], *[[]] * 8]},
        {"year": [0, None] * 4},
        {"year": [45] * 9},
        {"genres": [None] * 9},
        {"sizes": [[1990, 2]] * 9},
    ],
)
def test_a_space_without_attributes_has_none(columns):
    assert attributes_of(space_of(**columns), [0]) is None


def test_missing_values_are_no_values():
    space = space_of(genres=[None, ["Horror", None, ""]] * 5, year=[1999, None] * 5)
    assert attributes_of(space, [0, 1]).truth == ({"1990s"}, {"Horror"})


def test_accuracy_by_hand():
    made = attributes("Comedy", "Horror", "War film")
    found = attribute_accuracy(made, ["A comedy about war.", "Nothing.", "A horror film, a comedy."])
    assert found["precision"].values.tolist() == [0.5, 0, 0]
    assert found["precision"].counted.tolist() == [2, 0, 2]
    assert found["precision"].estimate().value == pytest.approx(1 / 4)
    assert found["recall"].values.tolist() == [1, 0, 0]
    assert found["recall"].counted.tolist() == [1, 1, 1]
    assert found["recall"].estimate().value == pytest.approx(1 / 3)


def test_accuracy_is_scikit_learns_micro_average():
    rng = np.random.default_rng(0)
    names = ["Comedy", "Horror", "War", "Western", "Drama"]

    def draw():
        return [[name for name in names if rng.random() < 0.3] for _ in range(60)]

    truth, said = draw(), draw()
    made = attributes_of(space_of(genres=truth), range(60))
    found = attribute_accuracy(made, [f"It is {' and '.join(one)}." for one in said])
    table = MultiLabelBinarizer(classes=names)
    true, named = table.fit_transform(truth), table.fit_transform(said)
    assert found["precision"].estimate().value == pytest.approx(precision_score(true, named, average="micro"))
    assert found["recall"].estimate().value == pytest.approx(recall_score(true, named, average="micro"))


def test_an_answer_that_names_nothing_has_no_precision():
    assert attribute_accuracy(attributes("Comedy"), ["Nothing."])["precision"].estimate() is None


def test_there_must_be_one_answer_an_entity():
    with pytest.raises(ValueError, match="1 answers for 2 entities"):
        attribute_accuracy(attributes("Comedy", "Horror"), ["A comedy."])
