"""Words and texts of every row of a large table of vectors, in Parquet, resumable, on one machine or a cluster."""

from vecspeak.bulk.run import Narration, narrate

__all__ = ["Narration", "narrate"]
