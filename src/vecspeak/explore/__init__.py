"""Regions: what many items share, what sets them apart, and what the reader says of their middle.

Knows spaces, their metadata and texts, regions of an atlas, and how a reader is asked. Prints nothing.
"""

from vecspeak.explore.regions import Region, cluster_region, ids_region, where_region

__all__ = ["Region", "cluster_region", "ids_region", "where_region"]
