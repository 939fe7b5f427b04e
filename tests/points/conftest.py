"""A toy space of five films in three dimensions, two users and one concept: small enough to work by hand."""

import numpy as np
import pyarrow as pa
import pytest

from vecspeak.points import Concept, Scope
from vecspeak.points.concept import Chance, Score
from vecspeak.spaces import Space


@pytest.fixture
def films() -> Space:
    return Space(
        name="films",
        ids=("m1", "m2", "m3", "m4", "m5"),
        labels=("Heat", "Alien", "Up", "Solaris", "Solaris"),
        vectors=np.array([[1, 2, 3], [4, 0, -2], [0.5, 0.25, 8], [1, 1, 1], [-3, 2, 1]], dtype=np.float32),
        metadata=pa.table({"studio": ["W", "F", "P", "M", "F"], "year": [1995, 1979, 2009, 1972, 2002]}),
    )


@pytest.fixture
def viewers() -> Space:
    return Space(
        name="films.users",
        ids=("7", "ann"),
        labels=("7", "ann"),
        vectors=np.array([[0, 1, 0], [2, 0, 2]], dtype=np.float32),
    )


@pytest.fixture
def funny(films: Space) -> Concept:
    return Concept(
        name="funny",
        space="films",
        space_digest=films.digest,
        direction=np.array([0.6, 0, 0.8], dtype=np.float32),
        scale=2.5,
        positives=5,
        negatives=5,
        method="logistic",
        measure="AUC",
        score=Score(value=0.9, low=0.8, high=1.0),
        chance=Chance(mean=0.5, high=0.6, draws=20),
        source="genres = Comedy",
    )


@pytest.fixture
def scope(films: Space, viewers: Space, funny: Concept) -> Scope:
    return Scope(space=films, users=viewers, concepts={"funny": funny})
