"""Judging: what a rater, a person or a language model, thinks of the answers in a report, and whether to believe it."""
