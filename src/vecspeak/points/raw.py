"""Points from vectors that a person brings: arrays, numbers that were typed, and `.npy` files."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from vecspeak.errors import UserError, shorten
from vecspeak.spaces.point import Point, vector_text
from vecspeak.spaces.space import Space
from vecspeak.spaces.tables import read_array

_SAME = 1 - 1e-4
"""Cosine from which a vector counts as that of a user."""


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
    if kind not in (None, "user"):
        raise UserError(
            f"the kind of a vector is user or nothing, got {kind!r}", "declare kind='user' or none"
        )
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        got = f"shape {list(array.shape)} of {array.dtype}" if array.ndim else shorten(repr(array.item()))
        raise UserError(f"a vector of shape [{space.dim}] was expected, got {got}", "give one row of numbers")
    if array.size != space.dim:
        raise UserError(
            f"the vector has {array.size} numbers, and {space.name} has vectors of {space.dim}",
            "give a vector of the same embedding model",
        )
    if not np.isfinite(array).all() or not array.any():
        what = "only zeros" if np.isfinite(array).all() else "NaN or infinite numbers"
        raise UserError(f"the vector holds {what}", "give a vector with a direction")
    with np.errstate(over="ignore"):
        values = array.astype(np.float32)
    text = expression or vector_text(values)
    user = None if kind == "user" else _user_like(users, values)
    note = (
        f"the vector is that of the user {user} or nearly so: questions about it obey the privacy rule; "
        "declare kind='user' to have it read as a person"
        if user
        else ""
    )
    return Point(
        space=space.name,
        vector=values,
        expression=f"user({text})" if kind == "user" else text,
        item_id=None,
        kind="user" if kind == "user" else "made",
        parents=(),
        notes=(note,) if note else (),
        about_person=bool(user),
    )


def _user_like(users: Space | None, vector: np.ndarray) -> str | None:
    """Id of the user whose vector this is or nearly is; None where there is none."""
    if users is None:
        return None
    length = float(np.linalg.norm(vector))
    cosines = users.vectors @ (vector / length) / users.lengths
    best = int(cosines.argmax())
    return users.ids[best] if cosines[best] >= _SAME else None


def read_vector(path: str) -> np.ndarray:
    """[D] from a `.npy` file with one vector, or one row; nothing in it is executed. UserError for anything else."""
    if Path(path).suffix.lower() != ".npy":
        raise UserError(
            f"vector(...) reads .npy files, got {path}", "save it with numpy.save('query.npy', x)"
        )
    array = read_array(Path(path))
    if array.ndim == 2 and len(array) == 1:
        array = array[0]
    if array.ndim != 1:
        raise UserError(f"{path} holds an array of shape {list(array.shape)}", "give one vector of shape [D]")
    return array
