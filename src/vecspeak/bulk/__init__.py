"""Words and texts of every row of a large table of vectors, in Parquet, resumable, on one machine or a cluster."""

from vecspeak.bulk.narrate import Narration, narrate

__all__ = ["Narration", "narrate"]
