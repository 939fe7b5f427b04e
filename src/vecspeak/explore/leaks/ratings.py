"""Ratings: whether a vector says which ratings it was made of, where people's vectors come from ratings.

A person's vector x solves the equations of the factorization: (Y'Y + regularization I) x is the sum of the vectors of
the items that they rated, each with a weight above 0. Who has x and the items' vectors Y can solve for these weights.
The closed form of least length is the dot product Y x; with weights that may not be below 0 (Lawson and Hanson 1974)
few ratings are found one by one. Both are asked of people whose vector is folded in from one half of their ratings, so
that the other half is the control: they rated it too, and the vector has not seen it.
"""

from collections.abc import Callable, Mapping

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.explore.leaks.findings import LeakReading
from vecspeak.explore.leaks.judging import EMPTY, TestedReading, compared
from vecspeak.explore.leaks.outcomes import Outcome
from vecspeak.explore.leaks.protections import Protection
from vecspeak.points.foldin import FoldIn, gram_of
from vecspeak.stats import auc

_PEOPLE, _FORM_PEOPLE, _FEWEST_RATINGS, _FEWEST_PEOPLE = 200, 60, 10, 10
_NAMES = {
    "made of": "in a vector",
    "rated": "of a person",
    "others": "from their other half",
}
_AUCS = {
    "made of": "AUC, ratings in the vector against the person's others",
    "rated": "AUC, ratings in the vector against what was not rated",
    "others": "AUC, the half that is not in the vector against what was not rated",
}
_HELD_OUT_BY = "half of a person's ratings"
_ATTACKS = ("dot product", "equations")


class _Person:
    """Somebody's ratings in two halves, and the vector of the first."""

    def __init__(
        self, entry: SpaceEntry, fold_in: FoldIn, rated: Mapping[str, float], draw: np.random.Generator
    ) -> None:
        items = list(rated)
        order = draw.permutation(len(items))
        half = [items[place] for place in order[: len(items) // 2]]
        rows = np.array([entry.space.index_of(item) for item in items])
        self.inside = rows[order[: len(items) // 2]]
        self.outside = rows[order[len(items) // 2 :]]
        self.vector = fold_in.vector(entry.space, {item: rated[item] for item in half}).astype(np.float64)
        self.count = len(half)


def rating_readings(
    entry: SpaceEntry,
    people: Mapping[str, Mapping[str, float]],
    seed: int,
    form: Protection | None = None,
    number: int = 0,
) -> tuple[list[TestedReading], int]:
    """What is read of at most 200 people with ten ratings or more, and how many they are; nothing of fewer than ten.

    Where people's and items' vectors are protected by a `form`, it is asked of 60 what is in a vector.
    """
    fold_in = entry.fold_in
    draw = np.random.default_rng(seed)
    enough = sorted(name for name, rated in people.items() if len(rated) >= _FEWEST_RATINGS)
    if fold_in is None or len(enough) < _FEWEST_PEOPLE:
        return [], len(enough)
    most = _PEOPLE if form is None else _FORM_PEOPLE
    names = [enough[place] for place in draw.permutation(len(enough))[:most]]
    some = [_Person(entry, fold_in, people[name], draw) for name in names]
    popular = np.zeros(entry.space.num_items)
    for rated in people.values():
        popular[[entry.space.index_of(item) for item in rated]] += 1
    tables = [entry.space.vectors, np.stack([one.vector for one in some])]
    if form is not None:
        tables = form.of_tables(tables, (seed, number))
    items, persons = (table.astype(np.float64) for table in tables)
    gram = gram_of(items) + fold_in.settings.regularization * np.eye(items.shape[1])
    scores = {
        "dot product": list(persons @ items.T),
        "equations": [_solved(items, gram @ person) for person in persons],
    }
    found = []
    for kind, truth in _TRUTHS.items():
        for attack in _ATTACKS if kind != "others" else _ATTACKS[:1]:
            if form is None or kind == "made of":
                found.append(_judged_people(kind, attack, some, scores[attack], popular, truth))
    return found, len(some)


def _solved(vectors: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """[N] weights of 0 or more with which items' vectors sum to what is wanted; equal ones by the dot product."""
    from scipy.optimize import nnls

    weights, _ = nnls(vectors.T, wanted, maxiter=10 * len(vectors))
    ties = vectors @ wanted
    return np.asarray(weights + 1e-9 * weights.max() * ties / max(float(np.abs(ties).max()), 1e-30))


Truth = Callable[[_Person, int], tuple[np.ndarray, np.ndarray]]
"""Rows of items that should stand first, and of those that should not."""


def _made_of(one: _Person, _: int) -> tuple[np.ndarray, np.ndarray]:
    return one.inside, one.outside


def _rated(one: _Person, num_items: int) -> tuple[np.ndarray, np.ndarray]:
    return one.inside, _unrated(one, num_items)


def _others(one: _Person, num_items: int) -> tuple[np.ndarray, np.ndarray]:
    return one.outside, _unrated(one, num_items)


def _unrated(one: _Person, num_items: int) -> np.ndarray:
    return np.setdiff1d(np.arange(num_items), np.concatenate([one.inside, one.outside]))


_TRUTHS: dict[str, Truth] = {"made of": _made_of, "rated": _rated, "others": _others}


def _judged_people(
    kind: str, attack: str, some: list[_Person], scores: list[np.ndarray], popular: np.ndarray, truth: Truth
) -> TestedReading:
    """AUC of each person, beside that of what is popular and of another person's vector."""
    values = np.empty((len(some), 3))
    for place, one in enumerate(some):
        positive, negative = truth(one, len(popular))
        rows = np.concatenate([positive, negative])
        is_true = np.arange(len(rows)) < len(positive)
        for number, said in enumerate((scores[place], popular, scores[place - 1])):
            found = auc(said[rows], is_true)
            values[place, number] = 0.5 if found is None else found
    counts = np.array([one.count for one in some])
    few = counts <= np.median(counts)
    most = int(counts[few].max())
    detail = f"{values[few, 0].mean():.2f} for the {few.sum()} people with {most} ratings or fewer in it"
    made = LeakReading(
        kind="ratings",
        name=_NAMES[kind],
        attack=attack,
        measure=_AUCS[kind],
        detail=detail,
        held_out_by=_HELD_OUT_BY,
        **EMPTY,
    )
    own, base, shuffled = (Outcome.mean(column) for column in values.T)
    return compared(made, own, base, shuffled)
