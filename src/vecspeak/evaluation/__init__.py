"""Evaluation: is the vector read, or is the prose merely fluent? Numbers with intervals, beside baselines."""
