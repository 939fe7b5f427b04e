"""Fuzzing: inputs of every kind that vecspeak reads, mostly valid or nearly so, and the loop that tries them."""
