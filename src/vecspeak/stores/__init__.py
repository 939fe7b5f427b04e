"""Vector stores and databases, read in batches and never written: one address form, one registry, one contract."""
