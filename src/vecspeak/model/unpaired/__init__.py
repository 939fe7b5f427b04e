"""Maps without pairs: a space's vectors and a pile of texts' vectors, of which nobody says what belongs together.

After *Shared Geometry as a Rosetta Stone* (arXiv 2610.09411) and mini-vec2vec (arXiv 2510.02348): an orthogonal map,
found by matching what rotations leave as it is, then refined. Other than there, the search begins at signatures of
single vectors instead of matched cluster centers, and a proof without labels decides whether the map is one.
"""

from vecspeak.model.unpaired.fit import MIN_VECTORS, fit_unpaired

__all__ = ["MIN_VECTORS", "fit_unpaired"]
