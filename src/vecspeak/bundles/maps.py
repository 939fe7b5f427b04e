"""Maps on the disk: in a bundle beside its regions, and in the user's cache for spaces that were not saved since.

A file holds the places [N, 2] and, as JSON, whose vectors they are of and the digest of the places. One of other
vectors, or of another version of the layout, counts as not there; so does a damaged one, which is said.
"""

import json
import logging
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.plane import VERSION, SpaceMap
from vecspeak.spaces.search import DataDistance
from vecspeak.storage import cache_folder, digest, replace_file

MAP_FILE = "map.safetensors"
_KEY = "map"
_log = logging.getLogger(__name__)


class _MapHeader(msgspec.Struct):
    digest: str
    seed: int
    method: Literal["tsne", "pca"]
    version: int
    coordinates: str = ""
    """SHA-256 of the places as little-endian float32; an older vecspeak wrote none."""


def save_map(found: SpaceMap, path: Path) -> None:
    """Write the places of a map; the caller sees to it that a kill leaves no half of a file."""
    header = {
        "digest": found.space.digest,
        "seed": found.seed,
        "method": found.method,
        "version": VERSION,
        "coordinates": _digest_of(found.coordinates),
    }
    save_file(
        {"coordinates": np.ascontiguousarray(found.coordinates)}, path, metadata={_KEY: json.dumps(header)}
    )


def load_map(path: Path, space: Space, distance: DataDistance | None = None) -> SpaceMap | None:
    """The map of a file; None where there is none for these vectors. Raises UserError for a broken file."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as file:
            header = msgspec.json.decode(file.metadata()[_KEY], type=_MapHeader)
            if header.digest != space.digest or header.version != VERSION:
                return None
            found = SpaceMap(
                space=space,
                coordinates=file.get_tensor("coordinates"),
                method=header.method,
                seed=header.seed,
                distance=distance,
            )
            if header.coordinates and header.coordinates != _digest_of(found.coordinates):
                raise ValueError("its places are not those that were written")
            return found
    except (OSError, SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{path} is damaged ({error})", "remove it; `VecSpeak.map(...)` makes it again"
        ) from error


def damaged_note(folder: Path, damaged: tuple[str, ...]) -> str:
    """What a person should know of maps of a bundle that are damaged, by their paths there; empty where none is."""
    if not damaged:
        return ""
    paths = ", ".join(str(folder / path) for path in damaged)
    return (
        f"{paths} is damaged: the bundle is opened without this map, and `VecSpeak.map(...)` makes it again"
    )


def _digest_of(coordinates: np.ndarray) -> str:
    return digest(np.ascontiguousarray(coordinates, dtype="<f4").tobytes())


def cached_map(space: Space, seed: int, distance: DataDistance | None = None) -> SpaceMap | None:
    """The map in the user's cache; None where there is none. A broken file is removed, with a line in the log."""
    path = _cache_file(space, seed)
    try:
        return load_map(path, space, distance)
    except UserError as error:
        _log.warning("%s; it is made again", error.message)
        path.unlink(missing_ok=True)
        return None


def cache_map(found: SpaceMap) -> None:
    """Keep a map in the user's cache, whole or not at all. Nothing is kept where that may not be written to."""
    path = _cache_file(found.space, found.seed)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as temporary:
            save_map(found, temporary)
    except (OSError, UserError) as error:
        _log.warning("the map is not kept in %s: %s", path, error)


def _cache_file(space: Space, seed: int) -> Path:
    return cache_folder() / "maps" / f"{digest([space.digest, seed, VERSION])[:32]}.safetensors"
