"""Bundles: saved readers and the spaces that they read. Safetensors, Parquet and JSON; never pickle."""

from vecspeak.bundles.bundle import Bundle, SpaceEntry, load_bundle, save_bundle, save_entry
from vecspeak.bundles.manifest import Manifest, ReaderCard

__all__ = ["Bundle", "Manifest", "ReaderCard", "SpaceEntry", "load_bundle", "save_bundle", "save_entry"]
