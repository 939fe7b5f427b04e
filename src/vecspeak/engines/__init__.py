"""Engines: what generates. All take the same prompts; each states what it can do."""

from vecspeak.engines.base import BEST_OF_TEMPERATURE, Engine, Sampling, open_engine

__all__ = ["BEST_OF_TEMPERATURE", "Engine", "Sampling", "open_engine"]
