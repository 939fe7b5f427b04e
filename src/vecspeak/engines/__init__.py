"""Engines: what generates. All take the same prompts; each states what it can do."""

from vecspeak.engines.base import BEST_OF_TEMPERATURE, Engine, Sampling, TokenCounter, turns_of
from vecspeak.engines.registry import AUTO, open_engine, opening_note, resolve_engine

__all__ = [
    "AUTO",
    "BEST_OF_TEMPERATURE",
    "Engine",
    "Sampling",
    "TokenCounter",
    "resolve_engine",
    "open_engine",
    "opening_note",
    "turns_of",
]
