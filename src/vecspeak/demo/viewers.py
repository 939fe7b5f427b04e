"""Viewers: what is true of a person who rated movies, from those ratings alone.

Knows ratings, titles and genres. Reads nothing else about anyone: no age, no sex, no job, no place.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from vecspeak.demo.data import Film, read_films
from vecspeak.encoders.factorization import read_ratings

_LIKED, _DISLIKED, _TASTES = 6, 3, 4
_ENOUGH = 5
"""Fewest ratings in a genre before its average says anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """A genre that a viewer rates above their own average."""

    genre: str
    above: float
    """Stars above the viewer's average."""
    count: int
    """Movies of it that they rated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """What a person's ratings say; ties are broken by how many others rated the movie."""

    id: str
    num_ratings: int
    mean: float
    """Their average rating in stars."""
    liked: tuple[str, ...]
    """Titles that they rated highest, the best known first."""
    disliked: tuple[str, ...]
    """Titles that they rated lowest."""
    tastes: tuple[Taste, ...]
    """Genres over their average, the most liked first."""


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
    return Viewer(
        id=user,
        num_ratings=len(given),
        mean=mean,
        liked=tuple(films[item].title for item in best[:_LIKED]),
        disliked=tuple(films[item].title for item in worst[:_DISLIKED]),
        tastes=_tastes(given, films, mean),
    )


def _tastes(given: dict[str, float], films: dict[str, Film], mean: float) -> tuple[Taste, ...]:
    by_genre: defaultdict[str, list[float]] = defaultdict(list)
    for item, value in given.items():
        for genre in films[item].genres:
            by_genre[genre].append(value)
    tastes = [
        Taste(genre=genre, above=sum(values) / len(values) - mean, count=len(values))
        for genre, values in by_genre.items()
        if len(values) >= _ENOUGH
    ]
    return tuple(sorted((t for t in tastes if t.above > 0), key=lambda t: -t.above)[:_TASTES])
