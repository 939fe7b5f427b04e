"""Engines: what generates. All take the same prompts; each states what it can do."""

from vecspeak.engines.base import Engine, Sampling, open_engine

__all__ = ["Engine", "Sampling", "open_engine"]
