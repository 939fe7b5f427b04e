"""Vector stores and databases, read in batches and never written: one address form, one registry, one contract."""

from vecspeak.stores.address import Address, is_address
from vecspeak.stores.registry import STORES, read_store

__all__ = ["STORES", "Address", "is_address", "read_store"]
