"""Clusters: the regions of a space's atlas, kept beside it so that expressions can name them.

    spaces/NAME/clusters.safetensors    labels [N] centroids [K, D] and, as metadata, method, seed, digest, note, names

Regions of another version of the space are passed over: an atlas makes them again. Knows arrays and one file. Knows
nothing of how regions are found.
"""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters

_FILE = "clusters.safetensors"
_KEY = "regions"


def save_clusters(clusters: Clusters, folder: Path) -> None:
    """Write the regions of the space in an entry's folder."""
    known = {
        "method": clusters.method,
        "seed": clusters.seed,
        "digest": clusters.space_digest,
        "note": clusters.note,
        "names": list(clusters.names),
    }
    arrays = {"labels": clusters.labels, "centroids": clusters.centroids}
    save_file(arrays, folder / _FILE, metadata={_KEY: json.dumps(known)})


def load_clusters(space: Space, folder: Path) -> Clusters | None:
    """The regions kept of this very space; None where there are none. Raises UserError for a broken file."""
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as file:
            known = json.loads(file.metadata()[_KEY])
            if known["digest"] != space.digest:
                return None
            clusters = Clusters(
                labels=file.get_tensor("labels"),
                centroids=file.get_tensor("centroids"),
                method=str(known["method"]),
                seed=int(known["seed"]),
                space_digest=space.digest,
                note=str(known["note"]),
                names=tuple(map(str, known["names"])),
            )
        if clusters.labels.shape != (space.num_items,) or clusters.centroids.shape[1] != space.dim:
            raise ValueError("its regions are of other items")
        return clusters
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error})", "remove it; vecspeak atlas makes it again") from error
