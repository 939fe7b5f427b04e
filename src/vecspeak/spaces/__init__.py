"""Spaces: tables of vectors with ids, labels and metadata.

Knows files and distances; knows no language model.
"""

from vecspeak.spaces.space import Space

__all__ = ["Space"]
