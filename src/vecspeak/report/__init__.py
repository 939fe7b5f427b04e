"""Presentation: tables, figures and pages of results. Computes nothing that a result does not hold."""
