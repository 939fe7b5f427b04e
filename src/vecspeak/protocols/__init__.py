"""Profiles: what the text written from a part of a person's ratings says of the part that was hidden from it.

Knows ratings, the vectors of people, and how a profile is asked for. Trains nothing.
"""
