"""Describe: everything that is said of one region.

Puts together what its members share, what sets it apart from its surroundings, how it lies, and what the reader says.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.regions.contrast import Contrast, contrast
from vecspeak.regions.facts import Facts
from vecspeak.regions.geometry import Geometry, geometry
from vecspeak.regions.reading import COMPARE, QUESTION, Compared, Reading, RegionReader
from vecspeak.regions.region import Region, surroundings
from vecspeak.spaces.neighbours import unit_rows

FAR = 99.0
"""Percentile from which on a point lies outside the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A region in facts, numbers and words."""

    name: str
    """How it was chosen, such as `cluster(7)`."""
    title: str
    """What an atlas called it; empty where none did."""
    number: int | None
    """Its number in the atlas."""
    num_items: int
    share: float
    """Of the space's items."""
    shared: Contrast
    """Its members against all other items."""
    around: str
    """What lies around it: the nearest other region, or the nearest items outside."""
    around_cosine: float
    """Cosine of its centroid and theirs."""
    apart: Contrast
    """Its members against those, as far as they also differ from all other items."""
    geometry: Geometry
    left_out: tuple[str, ...] = ()
    """Columns that the region was chosen by, so that they are in neither contrast."""
    reading: Reading | None = None
    """What the reader says of the centroid; None where it was not asked."""
    difference: Compared | None = None
    """What it says of the centroid and that of the surroundings."""

    @property
    def flags(self) -> tuple[str, ...]:
        """What speaks against trusting it, in words; empty where nothing does."""
        reading = self.reading
        found = {
            "as widely spread as random items": not self.geometry.is_tight,
            "centroid outside the data": self.geometry.percentile > FAR,
            "weak round trip": reading is not None and not reading.trust.is_clear,
            "the answer fits another region better": reading is not None and (reading.rank or 1) > 1,
            "nothing is over-represented": self.shared.is_empty,
        }
        return tuple(flag for flag, holds in found.items() if holds)


def describe(
    entry: SpaceEntry,
    region: Region,
    *,
    facts: Facts | None = None,
    shared: Contrast | None = None,
    reader: RegionReader | None = None,
    question: str = QUESTION,
    compare: str = COMPARE,
    seed: int = 0,
) -> Description:
    """Describe a region; without a `reader` only what can be counted and measured.

    `facts` and `shared` are taken where they are known already. Columns that the region was chosen by are in neither
    contrast: they would tell the choice back. Raises UserError for a region that holds everything,
    and for questions that are none.
    """
    facts = (Facts.of(entry.space) if facts is None else facts).without(region.columns)
    around = surroundings(entry, region)
    points = [one.point(entry.space) for one in (region, around)]
    units = unit_rows(np.stack([point.vector for point in points]).astype(np.float64))
    found = Description(
        name=region.name,
        title=region.title,
        number=region.number,
        num_items=len(region),
        share=len(region) / entry.space.num_items,
        shared=contrast(facts, region.rows) if shared is None else shared,
        around=around.full_name,
        around_cosine=float(units[0] @ units[1]),
        apart=contrast(facts, region.rows, around.rows, beyond_all=True),
        geometry=geometry(entry, region, seed=seed),
        left_out=region.columns,
    )
    if reader is None:
        return found
    regions = None if entry.clusters is None else entry.clusters.centroids
    reading = reader.read(question, points[:1], regions=regions, own=[region.number])[0]
    return dataclasses.replace(found, reading=reading, difference=reader.compare(compare, *points))
