"""Atlas: a whole space cut into regions, each named, described and, where there is a reader, put into words.

Knows how the parts are put together. Writes nothing.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from vecspeak.bundles import SpaceEntry
from vecspeak.errors import UserError
from vecspeak.regions.contrast import contrast
from vecspeak.regions.describe import Description, describe
from vecspeak.regions.facts import Facts
from vecspeak.regions.naming import region_names
from vecspeak.regions.reading import RegionReader
from vecspeak.regions.region import cluster_region, similarities
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters, Method, cluster_space

QUESTION = "Describe {x} in one sentence."


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """Every region of a space, the largest first."""

    space: str
    digest: str
    num_items: int
    method: str
    note: str
    """Why another method was taken than was tried first; mostly empty."""
    seed: int
    num_without: int
    """Items that no region holds."""
    question: str
    """What the reader was asked; empty where there was none."""
    regions: tuple[Description, ...]

    @property
    def found_back(self) -> tuple[int, int] | None:
        """Of how many regions the answer fits its own best, and how many have one; None where none was asked for."""
        ranks = [one.reading.rank for one in self.regions if one.reading is not None]
        return (sum(rank == 1 for rank in ranks), len(ranks)) if ranks else None


def make_atlas(
    entry: SpaceEntry,
    *,
    method: Method = "auto",
    regions: int | None = None,
    seed: int = 0,
    reader: Callable[[SpaceEntry], RegionReader] | None = None,
    question: str = QUESTION,
    progress: bool = False,
) -> tuple[Atlas, Clusters]:
    """Cut, name and describe; and the regions, under their names, to be kept with the space.

    `reader` makes one for the entry with its regions; without it nothing is put into words. Raises UserError as
    `cluster_space` does, and for a space that is one region.
    """
    clusters = cluster_space(entry.space, method, k=regions, seed=seed)
    if clusters.num_regions < 2:
        raise _one_region(entry.space, clusters, regions)
    facts = Facts.of(entry.space)
    found = [contrast(facts, clusters.rows_of(number)) for number in range(clusters.num_regions)]
    labels = [_most_typical(entry, clusters, number) for number in range(clusters.num_regions)]
    clusters = clusters.named(region_names(found, labels))
    entry = dataclasses.replace(entry, clusters=clusters)
    numbers = tqdm(range(clusters.num_regions), desc="regions", unit="region", disable=not progress)
    described = [
        describe(entry, cluster_region(entry, number), facts=facts, shared=found[number], seed=seed)
        for number in numbers
    ]
    if reader is not None:
        described = _put_into_words(entry, clusters, described, reader(entry), question, progress)
    atlas = Atlas(
        space=entry.space.name,
        digest=entry.space.digest,
        num_items=entry.space.num_items,
        method=clusters.method,
        note=clusters.note,
        seed=seed,
        num_without=int((clusters.labels < 0).sum()),
        question=question if reader else "",
        regions=tuple(described),
    )
    return atlas, clusters


def _one_region(space: Space, clusters: Clusters, asked: int | None) -> UserError:
    told = f"{space.name!r} is one region: there is nothing to tell apart"
    if clusters.method == "kmeans" and asked != 1 and space.num_items > 1:
        told += f", for its {space.num_items:,} items all point the same way"
        return UserError(told, "take another space")
    return UserError(told, "use --method kmeans --regions 8")


def _most_typical(entry: SpaceEntry, clusters: Clusters, number: int) -> str:
    rows = clusters.rows_of(number)
    members = entry.space.take(rows)
    return members.labels[int(np.argmax(similarities(members, clusters.centroid(number))))]


def _put_into_words(
    entry: SpaceEntry,
    clusters: Clusters,
    described: list[Description],
    reader: RegionReader,
    question: str,
    progress: bool,
) -> list[Description]:
    points = [cluster_region(entry, number).point(entry.space) for number in range(clusters.num_regions)]
    readings = reader.read(
        question,
        points,
        regions=clusters.centroids,
        own=range(clusters.num_regions),
        progress="regions in words" if progress else "",
    )
    return [
        dataclasses.replace(one, reading=reading) for one, reading in zip(described, readings, strict=True)
    ]
