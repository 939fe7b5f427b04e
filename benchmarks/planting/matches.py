"""Planted in vectors, and looked for by `why` and `axes`: a word that two points share, and a genre as an axis."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from planting.worlds import Row, World, genres_of, unit_rows, with_vectors
from vecspeak.bundles import SpaceEntry
from vecspeak.explore.axes import AxisMeaning, read_axes
from vecspeak.explore.contrast import Facts
from vecspeak.explore.why import why
from vecspeak.points import Point
from vecspeak.points.raw import raw_point
from vecspeak.spaces import Space

PAIRS = 10
"""Of items, with the word and without it."""
WORD_ITEMS = (60, 500)
"""Items that have a word that is planted, at least and at most."""
_LIKELIEST = 10
"""Words of a vector that the plain way compares."""
RANDOM_AXES = 9


def shared_word(world: World, name: str, seed: int, *, size: float) -> Row:
    """Pairs of random items to both of which one word's direction is added: the reason must be that word.

    The same pairs as they were must be given no reason. The plain way is to read ten words of each and to say which
    are in both.
    """
    entry, draw = world.entry(name), np.random.default_rng([seed, 6])
    vectors = unit_rows(entry.space.vectors)
    facts = Facts.from_space(entry.space).words
    counts = facts.counts(np.arange(entry.space.num_items))
    known = set(np.array(entry.term_reader.terms)[entry.term_reader.shown].tolist())
    terms = [
        place
        for place in np.flatnonzero((counts >= WORD_ITEMS[0]) & (counts <= WORD_ITEMS[1]))
        if facts.names[place] in known
    ]
    row = {"planted": PAIRS, "hits": 0, "first": 0, "others": PAIRS, "invented": 0, "size": size}
    in_plain = {"hits": 0, "invented": 0}
    pairs = draw.permutation(entry.space.num_items)[: 2 * PAIRS].reshape(-1, 2)
    for (one, other), place in zip(pairs, draw.choice(terms, PAIRS), strict=True):
        has = np.asarray(facts.matrix[:, place].todense()).ravel() > 0
        along = unit_rows((vectors[has].mean(0) - vectors[~has].mean(0))[None])[0]
        word = facts.names[place]
        with_word = [_point(entry, vectors[row] + size * along) for row in (one, other)]
        found = why(entry, *with_word, seed=seed)
        names = [shared.term for shared in found.words]
        row["hits"] += int(found.is_found and word in names)
        row["first"] += int(found.is_found and names[:1] == [word])
        in_plain["hits"] += int(word in _in_both(entry, with_word))
        bare = [_point(entry, vectors[row]) for row in (one, other)]
        row["invented"] += int(why(entry, *bare, seed=seed).is_found)
        in_plain["invented"] += int(bool(_in_both(entry, bare)))
    return row | {"plain": in_plain}


def _point(entry: SpaceEntry, vector: np.ndarray) -> Point:
    return raw_point(entry.space, None, unit_rows(vector[None])[0])


def _in_both(entry: SpaceEntry, points: Sequence[Point]) -> set[str]:
    read = entry.words(np.stack([point.vector for point in points]), limit=_LIKELIEST)
    return set.intersection(*({word.term for word in words} for words in read))


def planted_axis(world: World, name: str, seed: int) -> Row:
    """A genre's direction, of items that are not looked at: its axis must name it and stand out from random ones.

    Nine random directions may not stand out, and of shuffled items none may mean anything. The plain number is an
    axis' share of the variance, over what a direction has on average.
    """
    sample, rest = world.halves(name, seed)
    draw = np.random.default_rng([seed, 7])
    genres = [one for one, has in genres_of(sample).items() if has.sum() >= 30]
    genre = genres[draw.integers(len(genres))]
    has, vectors = genres_of(rest)[genre], unit_rows(rest.vectors)
    directions = np.stack([vectors[has].mean(0) - vectors[~has].mean(0), *_random(sample, draw)])
    names = ["planted", *(f"random {number}" for number in range(RANDOM_AXES))]
    space = with_vectors(sample, unit_rows(sample.vectors))
    found = read_axes(space, names, unit_rows(directions).astype(np.float64), seed=seed).axes
    shuffled = replace(space, vectors=draw.permutation(space.vectors))
    by_chance = read_axes(shuffled, names, unit_rows(directions).astype(np.float64), seed=seed).axes
    often = [one.variance * space.dim > 2 for one in found]
    return {
        "planted": 1,
        "hits": int(found[0].is_found and genre in {word.term for word in found[0].high.words}),
        "first": int(found[0].beats_random),
        "others": RANDOM_AXES + len(by_chance),
        "invented": _count(found[1:], "beats_random") + _count(by_chance, "is_found"),
        "of": {
            "random directions": _count(found[1:], "beats_random"),
            "shuffled items": _count(by_chance, "is_found"),
        },
        "what": genre,
        "plain": {"hits": int(often[0]), "invented": sum(often[1:]) + sum(often)},
    }


def _random(space: Space, draw: np.random.Generator) -> np.ndarray:
    return unit_rows(draw.standard_normal((RANDOM_AXES, space.dim)))


def _count(axes: Sequence[AxisMeaning], what: str) -> int:
    return sum(bool(getattr(one, what)) for one in axes)
