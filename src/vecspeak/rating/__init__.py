"""Rating by people: a blind sheet of a report's answers, served to raters on this computer, and what they said.

Knows reports. Knows no model and no bundle.
"""
