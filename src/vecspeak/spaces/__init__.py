"""Spaces: tables of vectors with ids, labels and metadata."""

from vecspeak.spaces.space import Space

__all__ = ["Space"]
