"""A small world of planted tastes: items of three words, people who like one word and dislike another."""

import itertools
from functools import cache

import numpy as np
import pyarrow as pa

from fakes import WORDS, NearestEngine, WordEncoder
from vecspeak.asking import Asker
from vecspeak.bundles.fitting import fit_space
from vecspeak.encoders.factorization import Ratings, factorize
from vecspeak.engines import Sampling
from vecspeak.evaluation.task_cases import by_person
from vecspeak.points.foldin import FoldIn
from vecspeak.protocols.people import UserRatings
from vecspeak.protocols.profiles import Checker, ProfileConfig
from vecspeak.spaces import Space
from vecspeak.tasks.examples import is_held_out_person
from vecspeak.tasks.task_set import load_task_set

ENCODER = WordEncoder()
ITEMS = [" ".join(words) for words in itertools.combinations(WORDS, 3)]
PEOPLE = [f"u{number}" for number in range(160)]
OUT = [person for person in PEOPLE if is_held_out_person(person)]
TEXTS = [f"It is all of a {item} and it is about nothing else here." for item in ITEMS]
PROFILES = [f"Likes what has a {word} in it." for word in WORDS]
MOVIES = load_task_set("movies")


def taste(person):
    """The word that a person likes and the one that they dislike."""
    number = int(person[1:]) % len(WORDS)
    return WORDS[number], WORDS[(number + 3) % len(WORDS)]


def stars(person, item):
    likes, dislikes = taste(person)
    return 3.0 + 1.5 * (likes in item) - 1.5 * (dislikes in item)


@cache
def ratings():
    """People rate most of what they like and some of the rest; a little noise, so that few stand on the mean."""
    rng = np.random.default_rng(0)
    rows = [
        (person, f"p{row}", float(np.clip(stars(person, item) + rng.normal(0, 0.4), 0.5, 5)))
        for person in PEOPLE
        for row, item in enumerate(ITEMS)
        if rng.random() < (0.9 if taste(person)[0] in item else 0.4)
    ]
    people, items, values = zip(*rows, strict=True)
    return Ratings(user_ids=people, item_ids=items, values=values)


def entry(noise=False):
    """The factorized space, mapped to the encoder by its texts; with `noise` instead ratings without any taste."""
    return _entry(noise)


@cache
def _entry(noise):
    given = shuffled() if noise else ratings()
    made = factorize(given, dim=10, iterations=30)
    number = [int(item[1:]) for item in made.items.ids]
    kinds = pa.array([ITEMS[row].split() for row in number], type=pa.list_(pa.string()))
    texts = [TEXTS[row] for row in number]
    space = Space(
        name="triples",
        ids=made.items.ids,
        labels=tuple(f"Triple {row}" for row in number),
        vectors=made.items.vectors,
        metadata=pa.table({"text": texts, "genres": kinds, "year": [1950 + row % 60 for row in number]}),
    )
    splits = {"holdout": frozenset(space.ids[::10])}
    fold_in = FoldIn(settings=made.settings)
    return fit_space(space, texts=texts, encoder=ENCODER, users=made.users, fold_in=fold_in, splits=splits)


@cache
def shuffled():
    """The same ratings, handed out at random."""
    rated = ratings()
    values = np.random.default_rng(1).permutation(rated.values)
    return Ratings(user_ids=rated.user_ids, item_ids=rated.item_ids, values=values)


def crowd(noise=False):
    return _crowd(noise)


@cache
def _crowd(noise):
    return UserRatings.of(entry(noise), by_person(shuffled() if noise else ratings()))


def checker(engine=None, noise=False, **changes):
    """A checker whose engine names the word that the person's vector is nearest to."""
    asker = Asker(entry(noise), lambda: engine or NearestEngine(PROFILES, ENCODER), lambda: ENCODER)
    settings = ProfileConfig(**{"draws": 2, "sampling": Sampling(), **changes})
    return Checker(asker, MOVIES, MOVIES.task("user_profile"), crowd(noise), settings)
