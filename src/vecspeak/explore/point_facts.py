"""What is read of a point without a language model, as plain values for whoever draws it beside a map."""

from typing import Any, Literal

import numpy as np

from vecspeak.asking import Asker
from vecspeak.points import Point
from vecspeak.points.expressions import id_call
from vecspeak.spaces.plane import MapPlace, SpaceMap


def point_facts(
    asker: Asker, drawn: SpaceMap | None, point: Point, *, nearest: int = 10, words: int = 10
) -> dict[str, Any]:
    """What is near a point, how far from the data it lies, its words, and where it is on the map, if there is one."""
    entry = asker.entry_of(point)
    near = asker.near(point, nearest) if nearest else ()
    terms = entry.words(point.vector[None], point.kind, words)[0].to_dicts() if words else []
    return {
        "expression": point.expression,
        "kind": point.kind,
        "percentile": asker.percentile(point),
        "nearest": [{"id": one.id, "label": one.label, "similarity": one.similarity} for one in near],
        "words": terms,
        "map": _place(drawn, point),
        "notes": list(point.notes),
    }


def _place(drawn: SpaceMap | None, point: Point) -> list[float] | None:
    if drawn is None or not point.vector.any():
        return None
    kind: Literal["user", "item"] = "user" if point.kind == "user" else "item"
    place: list[float] = drawn.place(point.vector[None], kind=kind)[0].tolist()
    return place


_LONGEST = 1800
"""Characters of an expression, so that something may still be added to it."""


def place_point(place: MapPlace) -> str | np.ndarray:
    """What the vector of a place is written as, a sum of items; where that would be too long, its numbers.

    A place on an item is the item.
    """
    if len(place.ids) == 1:
        return id_call(place.ids[0])
    text = " + ".join(
        f"{factor:.6g}*{id_call(one)}" for one, factor in zip(place.ids, place.factors, strict=True)
    )
    return text if len(text) <= _LONGEST else place.vector


def place_facts(place: MapPlace, facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of a point that was read back from a place of the map, with what it was made of.

    Its percentile does not count the items that it was made of.
    """
    made_of = zip(place.ids, place.labels, place.weights, strict=True)
    return facts | {
        "map": list(place.xy),
        "percentile": place.percentile,
        "gap": place.gap,
        "vector": place.vector.tolist(),
        "made_of": [{"id": one, "label": label, "weight": weight} for one, label, weight in made_of],
        "notes": [*facts["notes"], *([place.note] if place.note else [])],
    }
