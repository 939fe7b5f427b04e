import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vecspeak.encoders.factorization import Ratings, factorize, label_items, read_ratings, refactorize
from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.search import nearest
from vecspeak.tables.delimited import TextFormat
from vecspeak.tables.ledger import Ledger

USERS, ITEMS = 20, 12


def planted(seed=0):
    """Two blocks: even users like most even items and dislike the few odd ones they met; odd likewise."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(USERS):
        for item in range(ITEMS):
            own_block = item % 2 == user % 2
            if rng.random() < (0.8 if own_block else 0.1):
                rows.append((f"u{user}", f"i{item}", 5.0 if own_block else 1.0))
    users, items, values = zip(*rows, strict=True)
    return Ratings(user_ids=users, item_ids=items, values=values)


def ratings_of(*rows):
    users, items, values = zip(*rows, strict=True)
    return Ratings(user_ids=users, item_ids=items, values=values)


def parity(names):
    return np.array([int(name[1:]) % 2 for name in names])


def test_users_lie_near_the_items_of_their_block_and_items_near_items_of_theirs():
    made = factorize(planted(), dim=2)
    found = nearest(made.items, made.users.vectors, 4, metric="dot").indices
    np.testing.assert_array_equal(
        parity(made.items.ids)[found], np.repeat(parity(made.users.ids)[:, None], 4, axis=1)
    )
    own = [[row] for row in range(made.items.num_items)]
    near = nearest(made.items, made.items.vectors, 1, exclude=own).indices[:, 0]
    np.testing.assert_array_equal(parity(made.items.ids)[near], parity(made.items.ids))


def test_the_same_seed_gives_the_same_spaces_and_another_seed_others():
    first, again, other = (factorize(planted(), dim=4, seed=seed) for seed in (1, 1, 2))
    assert first.items.digest == again.items.digest
    assert first.users.digest == again.users.digest
    assert first.items.digest != other.items.digest


def test_spaces_carry_names_ids_and_counts():
    made = factorize(ratings_of(("a", "x", 4), ("a", "y", 2), ("b", "x", 5)), dim=2, name="movies")
    assert (made.items.name, made.users.name) == ("movies", "movies.users")
    assert made.items.ids == ("x", "y")
    assert made.items.metadata.to_pydict() == {"num_ratings": [2, 1], "mean_rating": [4.5, 2.0]}
    assert made.users.metadata.to_pydict() == {"num_ratings": [2, 1], "mean_rating": [3.0, 5.0]}
    assert made.items.dim == made.users.dim == 2


def test_items_with_few_ratings_and_users_left_without_any_are_dropped_and_counted():
    rare = ratings_of(
        ("a", "x", 4), ("b", "x", 2), ("b", "y", 3), ("c", "z", 5), ("a", "w", 1), ("b", "w", 1)
    )
    made = factorize(rare, dim=2, min_ratings=2)
    assert made.items.ids == ("x", "w")
    assert made.users.ids == ("a", "b")
    assert (made.dropped_items, made.dropped_users) == (2, 1)


def test_repeated_ratings_count_once_by_their_mean():
    once = ratings_of(("a", "x", 4), ("a", "y", 1), ("b", "x", 5))
    twice = ratings_of(("a", "x", 5), ("a", "y", 1), ("b", "x", 5), ("a", "x", 3))
    assert factorize(twice, dim=2).items.digest == factorize(once, dim=2).items.digest


def test_only_ratings_above_a_users_own_mean_gain_confidence():
    """Adding a constant to one user's ratings changes nothing but the mean ratings."""
    rows = [("a", "x", 4), ("a", "y", 1), ("b", "x", 1), ("b", "y", 2)]
    shifted = [(user, item, value + 3 * (user == "b")) for user, item, value in rows]
    plain, moved = factorize(ratings_of(*rows), dim=2), factorize(ratings_of(*shifted), dim=2)
    np.testing.assert_allclose(plain.items.vectors, moved.items.vectors, atol=1e-5)
    assert not np.allclose(plain.items.vectors, factorize(ratings_of(*rows), dim=2, alpha=0).items.vectors)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 0}, "dim must be 1 or more, and 0 was given"),
        ({"iterations": 0}, "iterations must be 1 or more"),
        ({"alpha": -1.0}, "alpha must be 0 or more"),
        ({"regularization": float("nan")}, "regularization must be 0 or more"),
        ({"min_ratings": 99}, "no item has 99 ratings or more"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        factorize(planted(), **settings)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (([], [], []), "there are no ratings"),
        ((["a"], ["x", "y"], [1]), "1 users, 2 items and 1 ratings"),
        ((["a"], ["x"], [np.nan]), "rating 0 is missing, NaN or infinite"),
    ],
    ids=str,
)
def test_ratings_that_are_none_are_refused(rows, message):
    with pytest.raises(UserError, match=message):
        Ratings(user_ids=rows[0], item_ids=rows[1], values=rows[2])


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("r.csv", "u,i,r,t\n01,x,4,9\n1,y,2.5,9\n", "uir"),
        ("r.tsv", "u\ti\tr\n01\tx\t4\n1\ty\t2.5\n", "uir"),
        ("r.inter", "u:token\ti:token\tr:float\tt:float\n01\tx\t4\t9\n1\ty\t2.5\t9\n", "uir"),
        ("r.inter", "u:token\ti:token\tr:float\n01\tx\t4\n1\ty\t2.5\n", ("u:token", "i:token", "r:float")),
    ],
)
def test_ratings_are_read_from_csv_tsv_and_recbole(tmp_path, name, content, columns):
    (tmp_path / name).write_text(content)
    ratings = read_ratings(tmp_path / name, user=columns[0], item=columns[1], rating=columns[2])
    assert ratings.user_ids.tolist() == ["01", "1"]
    assert ratings.item_ids.tolist() == ["x", "y"]
    assert ratings.values.tolist() == [4, 2.5]


def test_ratings_are_read_from_parquet_and_with_another_separator(tmp_path):
    pq.write_table(pa.table({"u": [1, 2], "i": [7, 8], "r": [4, 5]}), tmp_path / "r.parquet")
    (tmp_path / "r.dat").write_text("u;i;r\n1;7;4\n2;8;5\n")
    for name, sep in (("r.parquet", None), ("r.dat", ";")):
        ratings = read_ratings(tmp_path / name, user="u", item="i", rating="r", form=TextFormat(sep=sep))
        assert (ratings.user_ids.tolist(), ratings.values.tolist()) == (["1", "2"], [4, 5])


def test_ratings_that_are_not_numbers_and_missing_columns_are_refused(tmp_path):
    (tmp_path / "r.csv").write_text("user,item,stars\n1,7,good\n")
    with pytest.raises(UserError, match="column 'stars' of .* holds string, not numbers"):
        read_ratings(tmp_path / "r.csv", user="user", item="item", rating="stars")
    with pytest.raises(UserError, match="has no column 'users'.*did you mean 'user'"):
        read_ratings(tmp_path / "r.csv", user="users", item="item", rating="stars")


def test_a_missing_rating_is_left_out_and_told_or_refused(tmp_path):
    (tmp_path / "r.csv").write_text("u,i,r\n1,7,4\n1,8,\n,9,3\n")
    ledger = Ledger()
    found = read_ratings(tmp_path / "r.csv", user="u", item="i", rating="r", ledger=ledger)
    assert found.item_ids.tolist() == ["7"]
    assert ledger.lines == [
        "1 of 3 rows are left out: nothing in the column 'u' (rows 2)",
        "1 of 3 rows are left out: nothing in the column 'r' (rows 1)",
    ]
    with pytest.raises(UserError, match="1 of 3 rows have nothing in the column 'u'"):
        read_ratings(tmp_path / "r.csv", user="u", item="i", rating="r", ledger=Ledger(strict=True))


def test_labels_that_do_not_join_are_counted(tmp_path):
    (tmp_path / "l.csv").write_text("id,title\n01,One\n10,Ten\n")
    space = Space.from_arrays(np.eye(2), ids=["1", "10"])
    ledger = Ledger()
    assert label_items(space, tmp_path / "l.csv", id="id", label="title", ledger=ledger).labels == (
        "1",
        "Ten",
    )
    assert (
        "1 of 2 items have no label in" in ledger.lines[0]
        and "such as '1'; did you mean '01'" in ledger.lines[0]
    )


def test_labels_and_other_columns_are_joined_by_id(tmp_path):
    items = factorize(ratings_of(("a", "10", 4), ("a", "2", 2), ("b", "7", 5)), dim=2).items
    (tmp_path / "m.csv").write_text(
        "id,title,year,num_ratings\n2,Heat,1995,0\n5,Jaws,1975,0\n10,Alien,1979,0\n"
    )
    labelled = label_items(items, tmp_path / "m.csv", id="id", label="title")
    assert labelled.labels == ("Alien", "Heat", "7")
    assert labelled.metadata.column("year").to_pylist() == [1979, 1995, None]
    assert labelled.metadata.column("num_ratings").to_pylist() == [1, 1, 1]
    np.testing.assert_array_equal(labelled.vectors, items.vectors)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,title\n10,A\n10,B\n", "'10' \\(rows 0, 1\\); choose"),
        ("id,title\nx,A\n", "ids of the space look like '10', column 'id' holds 'x'"),
        ("key,title\nx,A\n", "has no column 'id'"),
    ],
)
def test_a_table_of_labels_that_does_not_fit_is_refused(tmp_path, table, message):
    items = factorize(ratings_of(("a", "10", 4), ("b", "2", 2)), dim=2).items
    (tmp_path / "m.csv").write_text(table)
    with pytest.raises(UserError, match=message):
        label_items(items, tmp_path / "m.csv", id="id", label="title")


def test_made_anew_from_the_same_ratings_the_spaces_lie_where_they_lay():
    made = factorize(planted(), dim=3, iterations=100, regularization=1.0)
    again = refactorize(
        planted(), items=made.items, users=made.users, settings=made.settings, iterations=100, seed=5
    )
    assert again.items.ids == made.items.ids
    for old, new in ((made.items, again.items), (made.users, again.users)):
        cosines = (old.vectors * new.vectors).sum(1) / old.lengths / new.lengths
        assert np.median(cosines) > 0.99


def test_made_anew_without_some_ratings_the_rest_alone_counts():
    rated = planted()
    made = factorize(rated, dim=2)
    kept = [row for row, item in enumerate(rated.item_ids) if item != "i0"]
    some = Ratings(user_ids=rated.user_ids[kept], item_ids=rated.item_ids[kept], values=rated.values[kept])
    again = refactorize(some, items=made.items, users=made.users, settings=made.settings)
    assert (again.items.has("i0"), again.dropped_items) == (False, 1)
    strangers = ratings_of(("nobody", "i1", 4.0), ("u1", "nothing", 5.0))
    with pytest.raises(UserError, match="none of the ratings is of people and items of this space"):
        refactorize(strangers, items=made.items, users=made.users, settings=made.settings)


def test_views_need_no_ratings_and_what_was_seen_again_counts_more(tmp_path):
    path = tmp_path / "views.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("reader,article\n07,x\n07,x\n07,y\n08,x\n")
    views = read_ratings(path, user="reader", item="article")
    assert list(zip(views.user_ids, views.item_ids, views.values.tolist(), strict=True)) == [
        ("07", "x", 2.0),
        ("07", "y", 1.0),
        ("08", "x", 1.0),
    ]
    made = factorize(views, dim=2)
    assert made.items.metadata.to_pydict() == {"num_ratings": [2, 1], "mean_rating": [1.5, 1.0]}
    assert (made.zero_items, made.zero_users) == (0, 0)


def test_views_find_the_blocks_that_ratings_find():
    rated = planted()
    views = Ratings(
        user_ids=rated.user_ids, item_ids=rated.item_ids, values=np.ones(len(rated.values), np.float32)
    )
    made = factorize(views, dim=2)
    own = [[row] for row in range(made.items.num_items)]
    near = nearest(made.items, made.items.vectors, 1, exclude=own).indices[:, 0]
    np.testing.assert_array_equal(parity(made.items.ids)[near], parity(made.items.ids))
