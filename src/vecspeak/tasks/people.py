"""People: what a person's ratings say of their taste. Knows ratings and what is known of items; no vectors, no models.

Reads ratings and nothing else about anyone: no age, no sex, no job, no place (see `privacy.py`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from vecspeak.tasks.facts import Known, Taste

_SHRINK = 5.0
"""Ratings at the person's own average that are added to each group, so that few ratings say little."""
_FEWEST = 3
_LEAST = 0.1
"""Stars that a group must lie above or below the person's average, after shrinking."""
_LISTED = 8


def taste_of(ratings: Mapping[str, float], items: Mapping[str, Known], counts: Mapping[str, int]) -> Taste:
    """The taste of one person.

    `ratings` are stars by item; items that are not in `items` are left out. `counts` is how many rated each item:
    of equal ratings the best known comes first.
    """
    known = {item: value for item, value in ratings.items() if item in items}
    if not known:
        return Taste(liked=(), disliked=(), kinds_over=(), kinds_under=(), eras_over=(), eras_under=())
    mean = sum(known.values()) / len(known)
    best = sorted(known, key=lambda item: (-known[item], -counts.get(item, 0), item))
    worst = sorted(known, key=lambda item: (known[item], -counts.get(item, 0), item))
    kinds = _differences(((kind, known[item]) for item in known for kind in items[item].kinds), mean)
    eras = _differences(((items[item].era, known[item]) for item in known if items[item].era), mean)
    return Taste(
        liked=tuple(items[item].label for item in best[:_LISTED] if known[item] > mean),
        disliked=tuple(items[item].label for item in worst[:_LISTED] if known[item] < mean),
        kinds_over=_over(kinds),
        kinds_under=_over({name: -value for name, value in kinds.items()}),
        eras_over=_over(eras),
        eras_under=_over({name: -value for name, value in eras.items()}),
    )


def _differences(rated: Iterable[tuple[str, float]], mean: float) -> dict[str, float]:
    """Stars above the mean of each group with enough ratings, shrunk towards it."""
    given: defaultdict[str, list[float]] = defaultdict(list)
    for name, value in rated:
        given[name].append(value - mean)
    return {
        name: sum(values) / (len(values) + _SHRINK)
        for name, values in given.items()
        if len(values) >= _FEWEST
    }


def _over(differences: Mapping[str, float]) -> tuple[str, ...]:
    above = {name: value for name, value in differences.items() if value >= _LEAST}
    return tuple(sorted(above, key=lambda name: (-above[name], name)))
