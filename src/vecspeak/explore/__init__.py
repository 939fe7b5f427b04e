"""Regions: what many items share, what sets them apart, and what the reader says of their middle.

Prints nothing.
"""

from vecspeak.explore.regions import Region, cluster_region, ids_region, where_region

__all__ = ["Region", "cluster_region", "ids_region", "where_region"]
