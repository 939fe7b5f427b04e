"""Leaks: what somebody who gets only the vectors of a space can read from them, and what protecting them costs.

Prints nothing.
"""

from vecspeak.explore.leaks.assess import leaks
from vecspeak.explore.leaks.findings import LeakReading, Leaks, ProtectionResult
from vecspeak.explore.leaks.texts import KnownEncoder

__all__ = ["KnownEncoder", "LeakReading", "Leaks", "ProtectionResult", "leaks"]
