"""Atlas: the demo's movies in regions, each put into words, on a map that is drawn once.

Knows bundles, the chapter's plan and how atlases are made. Writes the map's file and nothing else.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vecspeak.asking import Asker
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.demo.chapters import ATLAS, ATLAS_SEED, REGIONS
from vecspeak.demo.results import AtlasChapter, RegionLine
from vecspeak.encoders.text import Encoder
from vecspeak.engines import Engine
from vecspeak.errors import UserError
from vecspeak.explore.atlas import make_atlas
from vecspeak.explore.regions import Description, RegionReader
from vecspeak.report.region_map import Map, Patch, make_map
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters, by_direction
from vecspeak.spaces.search import unit_rows
from vecspeak.stats import Estimate
from vecspeak.storage import read_json, write_json

_TYPICAL = 3
_FORMAT = 1
"""Goes up when the file of the drawing holds something else."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What depends on the items and their regions alone."""

    map: Map
    silhouette: float
    of_cloud: float


def survey(
    bundle: Bundle, engine: Engine, encoder: Encoder, *, drawing: Path, say: Callable[[str], None]
) -> AtlasChapter:
    """Cut, name and ask. Raises UserError as `make_atlas` does, and when the drawing cannot be kept."""
    entry = bundle.entry(ATLAS.space)

    def reader(cut: SpaceEntry) -> RegionReader:
        say(f"putting {REGIONS} regions into words")
        return RegionReader.of(bundle, Asker(cut, lambda: engine, lambda: encoder))

    say(f"cutting {ATLAS.space} into {REGIONS} regions")
    made, clusters = make_atlas(
        entry, regions=REGIONS, seed=ATLAS_SEED, reader=reader, question=ATLAS.questions[0]
    )
    drawn = _drawing(drawing, entry.space, clusters, say)
    lines = tuple(map(_line, made.regions))
    found = sum(line.rank == 1 for line in lines)
    return AtlasChapter(
        plan=ATLAS,
        method=made.method,
        seed=made.seed,
        regions=lines,
        found_back=found,
        found_share=_share(found, len(lines)),
        silhouette=drawn.silhouette,
        of_cloud=drawn.of_cloud,
        is_kept=_are_alike(entry.clusters, clusters),
        drawn=drawn.map,
    )


def _line(one: Description) -> RegionLine:
    reading = one.reading
    assert one.number is not None and reading is not None and reading.rank is not None, "asked in an atlas"
    return RegionLine(
        number=one.number,
        title=one.title,
        items=one.num_items,
        typical=tuple(near.label for near in one.geometry.typical[:_TYPICAL]),
        text=reading.text,
        round_trip=reading.trust.round_trip,
        swapped=reading.trust.swapped,
        rank=reading.rank,
        flags=one.flags,
    )


def _share(found: int, count: int) -> Estimate:
    """A share with the interval of Clopper and Pearson."""
    from scipy.stats import binomtest

    interval = binomtest(found, count).proportion_ci()
    return Estimate(found / count, float(interval.low), float(interval.high))


def _are_alike(kept: Clusters | None, made: Clusters) -> bool:
    """Whether these are the regions of the bundle; a person may have put others into it."""
    return kept is not None and kept.names == made.names and np.array_equal(kept.labels, made.labels)


# --- the drawing ---


def _drawing(path: Path, space: Space, clusters: Clusters, say: Callable[[str], None]) -> Drawing:
    """The drawing that is kept, or a new one where there is none of these regions."""
    key = _key(space, clusters)
    if kept := _kept(path, key):
        return kept
    say("drawing the map of the regions (once)")
    drawing = Drawing(
        map=make_map(space, clusters, seed=ATLAS_SEED),
        silhouette=silhouette(space.vectors, clusters.labels),
        of_cloud=silhouette_of_cloud(space.vectors, clusters.num_regions),
    )
    write_json(path, {"key": key, **dataclasses.asdict(drawing)})
    return drawing


def _key(space: Space, clusters: Clusters) -> str:
    parts = [_FORMAT, space.digest, ATLAS_SEED, list(clusters.names)]
    return hashlib.sha256(json.dumps(parts).encode() + clusters.labels.tobytes()).hexdigest()


def _kept(path: Path, key: str) -> Drawing | None:
    """What the file holds, if it is whole and of these regions."""
    try:
        known = read_json(path)
        if known["key"] != key:
            return None
        picture = known["map"]
        return Drawing(
            map=Map(
                patches=tuple(Patch(**patch) for patch in picture["patches"]),
                num_drawn=picture["num_drawn"],
                size=tuple(picture["size"]),
            ),
            silhouette=float(known["silhouette"]),
            of_cloud=float(known["of_cloud"]),
        )
    except (UserError, KeyError, TypeError, ValueError):
        return None


def silhouette(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette (Rousseeuw 1987) of vectors [N, D] in regions [N], by Euclidean distance of unit vectors."""
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(unit_rows(vectors), labels))


def silhouette_of_cloud(vectors: np.ndarray, count: int) -> float:
    """The same for as many normal vectors of the same mean and covariance, cut into `count` regions by k-means."""
    rng = np.random.default_rng(ATLAS_SEED)
    spread = np.cov(vectors.T.astype(np.float64))
    cloud = rng.multivariate_normal(vectors.mean(0), spread, len(vectors), method="eigh")
    return silhouette(cloud, by_direction(cloud, count, ATLAS_SEED))
