"""Distances: the calibration of a space's distances, kept beside it so that no question has to wait for it.

    spaces/NAME/distances.safetensors    items [S] [users [S]] and, as metadata, each one's digest and neighbours

A bundle without the file, as older ones are, or whose spaces are others by digest, calibrates when it is first asked.
Knows arrays and one file. Knows nothing of how distances are worked out.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.neighbours import DataDistance

_FILE = "distances.safetensors"
_KEY = "calibration"


def save_distances(distances: Mapping[str, DataDistance], folder: Path) -> None:
    """Write the calibrations of the spaces called "items" and "users" in an entry's folder."""
    known = {
        name: {"digest": one.space.digest, "num_neighbours": one.num_neighbours}
        for name, one in distances.items()
    }
    arrays = {name: np.ascontiguousarray(one.reference) for name, one in distances.items()}
    save_file(arrays, folder / _FILE, metadata={_KEY: json.dumps(known)})


def load_distances(spaces: Mapping[str, Space], folder: Path) -> dict[str, DataDistance]:
    """What is kept of these spaces; of those that it was not made of there is nothing.

    Raises UserError for a broken file.
    """
    path = folder / _FILE
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="np") as file:
            known = json.loads(file.metadata()[_KEY])
            return {
                name: _distance(spaces[name], file.get_tensor(name), known[name])
                for name in known
                if name in spaces and known[name]["digest"] == spaces[name].digest
            }
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error})", "remove it: it is made again when needed") from error


def _distance(space: Space, reference: np.ndarray, known: dict[str, Any]) -> DataDistance:
    """ValueError for what no calibration can be."""
    ascends = reference.ndim == 1 and len(reference) and bool((np.diff(reference) >= 0).all())
    if not ascends or not np.isfinite(reference).all() or not 1 <= known["num_neighbours"] < 1000:
        raise ValueError("distances ascend, and are to a few neighbours")
    return DataDistance(space=space, num_neighbours=known["num_neighbours"], reference=reference)
