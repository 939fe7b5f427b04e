"""Profiles: what the text written from a part of a person's ratings says of the part that was hidden from it.

Trains nothing.
"""
