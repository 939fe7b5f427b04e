"""Points from vectors that a person brings: arrays, numbers that were typed, and `.npy` files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vecspeak.errors import UserError, check_one_of, check_path, shorten
from vecspeak.spaces.point import Point, as_float32, vector_text
from vecspeak.spaces.space import Space
from vecspeak.tables.files import read_array

_CODE = "bad_vector"
"""Of an error about what was given as a vector."""
_SAME = 1 - 1e-4
"""Cosine, whatever its sign, from which a vector counts as that of a user."""


def raw_point(
    space: Space,
    users: Space | None,
    vector: Any,
    *,
    kind: Literal["user"] | None = None,
    expression: str = "",
) -> Point:
    """The point of a vector [D] that names nothing; `kind="user"` declares that it is a person's.

    A vector that is (nearly) one of the space's users is treated as about a person although nobody said so, with a
    note. Raises UserError for another shape or width, for what are no finite numbers.
    """
    array = np.asarray(vector)
    check_one_of("kind", kind, (None, "user"))
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        got = f"shape {list(array.shape)} of {array.dtype}" if array.ndim else shorten(repr(array.item()))
        raise UserError(
            f"a vector of shape [{space.dim}] was expected, got {got}", "give one row of numbers", code=_CODE
        )
    if array.size != space.dim:
        raise UserError(
            f"the vector has {array.size} numbers, and {space.name} has vectors of {space.dim}",
            "give a vector of the same embedding model",
            code=_CODE,
        )
    if not np.isfinite(array).all() or not array.any():
        what = "only zeros" if np.isfinite(array).all() else "NaN or infinite numbers"
        raise UserError(f"the vector holds {what}", "give a vector with a direction", code=_CODE)
    values = as_float32(array, expression or "the vector")
    text = expression or vector_text(values)
    note = "" if kind == "user" or users is None else person_note([users], values)
    return Point(
        space=space.name,
        vector=values,
        expression=f"user({text})" if kind == "user" else text,
        item_id=None,
        kind="user" if kind == "user" else "made",
        parents=(),
        notes=(note,) if note else (),
        about_person=bool(note),
        form="atom" if kind == "user" else "vector",
    )


def person_note(people: Iterable[Space], vector: np.ndarray) -> str:
    """What to know of a vector [D] that is, or nearly is, a user's or the reverse of it; empty for any other.

    Users of another width are passed over.
    """
    length = float(np.linalg.norm(vector))
    for users in people:
        if users.dim != len(vector) or not length:
            continue
        cosines = np.abs(users.vectors @ (vector / length)) / users.lengths
        best = int(cosines.argmax())
        if cosines[best] >= _SAME:
            return (
                f"the vector is that of the user {users.ids[best]} or nearly so: questions about it obey the "
                "privacy rule; declare kind='user' to have it read as a person"
            )
    return ""


def read_vector(path: str) -> np.ndarray:
    """[D] from a `.npy` file with one vector, or one row; nothing in it is executed. UserError for anything else."""
    if check_path("vector", path).suffix.lower() != ".npy":
        raise UserError(
            f"vector(...) reads .npy files, got {path}", "save it with numpy.save('query.npy', x)"
        )
    array = read_array(Path(path))
    if array.ndim == 2 and len(array) == 1:
        array = array[0]
    if array.ndim != 1:
        raise UserError(f"{path} holds an array of shape {list(array.shape)}", "give one vector of shape [D]")
    return array
